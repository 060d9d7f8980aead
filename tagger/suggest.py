"""What somebody may have meant who mistyped a name. Must not know: what the names are of."""

from __future__ import annotations

from collections.abc import Iterable


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """A question that names what is nearest, or nothing where nothing is near.

    >>> did_you_mean("scna", ["scan", "show", "undo"]), did_you_mean("polka", ["scan"])
    ('did you mean scan?', '')
    """
    from difflib import get_close_matches

    spelled = {known.casefold(): known for known in names}
    near = [spelled[key] for key in get_close_matches(name.casefold(), spelled, n=2)]
    return f"did you mean {' or '.join(near)}?" if near else ""
