"""Suggestions for mistyped names."""

from __future__ import annotations

from collections.abc import Iterable


def did_you_mean(name: str, names: Iterable[str], *, shown_in: str = "") -> str:
    """Return a question with the nearest names, or an empty string where none is near.

    Parameters
    ----------
    name : str
        As typed.
    names : iterable of str
        The valid ones.
    shown_in : str
        Prefix of each name shown.

    >>> did_you_mean("scna", ["scan", "show", "undo"]), did_you_mean("polka", ["scan"])
    ('did you mean scan?', '')
    """
    near = [shown_in + known for known in near_names(name, names)]
    return f"did you mean {' or '.join(near)}?" if near else ""


def near_names(name: str, names: Iterable[str]) -> list[str]:
    """Return at most two names that are near, the nearest first."""
    from difflib import get_close_matches

    spelled = {known.casefold(): known for known in names}
    typed = name.casefold()
    # The beginning of a name: a shell cut it off at a space.
    near = [key for key in spelled if len(typed) > 2 and key.startswith(typed)]
    return [spelled[key] for key in near[:2] or get_close_matches(typed, spelled, n=2)]
