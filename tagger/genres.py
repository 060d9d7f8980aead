"""The vocabulary: genres, their styles, and other names for both, from `vocabulary.toml`."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files


@cache
def vocabulary() -> dict[str, tuple[str, ...]]:
    """Every genre with its styles, in the order of the file.

    >>> vocabulary()["Electronic"][:2]
    ('Breakbeat', 'Downtempo')
    """
    return {genre: tuple(entry.get("styles", {})) for genre, entry in _tree().items()}


def canonical(name: str) -> str | None:
    """The vocabulary's own spelling of a genre or style, or None where it has none.

    >>> canonical("hip hop"), canonical("Rap/Hip-Hop"), canonical("DnB"), canonical("Polka")
    ('Hip-Hop', 'Hip-Hop', 'Drum and Bass', None)
    """
    return _names().get(_key(name))


def genre_of(name: str) -> str | None:
    """The genre that a genre or style belongs to, or None where the vocabulary has none.

    >>> genre_of("house"), genre_of("Jazz"), genre_of("Polka")
    ('Electronic', 'Jazz', None)
    """
    known = canonical(name)
    return next((g for g, styles in vocabulary().items() if known == g or known in styles), None)


def same_name(name: str) -> str:
    """A key that is equal for all spellings and aliases of a name.

    >>> same_name("Rap") == same_name("hip hop"), same_name("Post Rock") == same_name("post-rock")
    (True, True)
    """
    return _key(canonical(name) or name) or name.casefold()


@cache
def _tree() -> dict[str, dict[str, dict[str, list[str]]]]:
    text = files("tagger").joinpath("vocabulary.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


@cache
def _names() -> dict[str, str]:
    """Canonical names by key."""
    names: dict[str, str] = {}
    for genre, entry in _tree().items():
        known: dict[str, list[str]] = {genre: list(entry["aliases"]), **entry.get("styles", {})}
        for canonical_name, aliases in known.items():
            for name in (canonical_name, *aliases):
                names.setdefault(_key(name), canonical_name)
    return names


def _key(name: str) -> str:
    return "".join(c for c in name.casefold() if c.isalnum())
