"""The vocabulary: genres, their styles, and other names for both, from `vocabulary.toml`."""

from __future__ import annotations

import tomllib
import unicodedata
from functools import cache
from importlib.resources import files

LONGEST_NAME = 100  # characters


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


def why_no_name(text: str) -> str:
    """Why a text cannot be written as the name of a genre; empty where it can.

    >>> why_no_name("Drum and Bass"), why_no_name("Rock; Pop")
    ('', "a name with ';' would be read as two")
    """
    if not text.strip():
        return "it is blank"
    if len(text) > LONGEST_NAME:
        return f"it is longer than {LONGEST_NAME} characters"
    if not text.isprintable():  # NUL, line breaks, what reverses the direction of reading
        return "it has characters that cannot be seen"
    if ";" in text:
        return "a name with ';' would be read as two"
    return ""


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
    # Composed, since accents that stand for themselves are neither letters nor digits.
    composed = unicodedata.normalize("NFC", name)
    return "".join(c for c in composed.casefold() if c.isalnum())
