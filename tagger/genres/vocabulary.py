"""The vocabulary, a tree: genres, genres and styles below them, and other names for all of these.

It is read from `vocabulary.toml`.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

LONGEST_NAME = 100  # characters
_NAMES_AT_ONCE = 1024  # whose place in the tree is remembered
_JOINTS = re.compile(r"[;/,|+\\]| & ")  # what people and programs write between several genres


@cache
def vocabulary() -> dict[str, tuple[str, ...]]:
    """Return every genre with its styles, in the order of the file.

    A genre with a parent is a genre of its own here, and none of its parent's styles.

    >>> vocabulary()["Electronic"][:2], "Punk" in vocabulary(), "Punk" in vocabulary()["Rock"]
    (('Ambient', 'Breakbeat'), True, False)
    """
    return {genre: tuple(entry.get("styles", {})) for genre, entry in _tree().items()}


def canonical(name: str) -> str | None:
    """Return the vocabulary's own spelling of a genre or style, or None where it has none.

    >>> canonical("hip hop"), canonical("Rap/Hip-Hop"), canonical("DnB"), canonical("Polka")
    ('Hip-Hop', 'Hip-Hop', 'Drum and Bass', None)
    """
    return _names().get(_key(name))


def spelled(name: str) -> str:
    """Return a name in the vocabulary's letter case and punctuation; another word stays as it is.

    >>> spelled("hip hop"), spelled("Rap"), spelled("Polka")
    ('Hip-Hop', 'Rap', 'Polka')
    """
    known = canonical(name)
    return known if known and _key(known) == _key(name) else name


@lru_cache(maxsize=1024)
def names_in(text: str) -> tuple[str, ...]:
    """Return the genres in one text: a text that is no name, but joins known ones, is all of these.

    >>> names_in("Rock/Pop"), names_in("Rhythm & Blues"), names_in("Rock/Shanties")
    (('Rock', 'Pop'), ('Rhythm & Blues',), ('Rock/Shanties',))
    """
    parts = tuple(part for part in _JOINTS.split(text) if part.strip())
    together = canonical(text) is None and len(parts) > 1 and all(map(canonical, parts))
    return tuple(part.strip() for part in parts) if together else (text,)


def genre_of(name: str) -> str | None:
    """Return the genre that a genre or style belongs to, or None where the vocabulary has none.

    A genre with a parent is a genre, too: `parent_of` says what is above it.

    >>> genre_of("house"), genre_of("Pop Punk"), genre_of("Punk"), genre_of("Polka")
    ('Electronic', 'Punk', 'Punk', None)
    """
    known = canonical(name)
    if known is None or known in vocabulary():
        return known
    return _parents()[known]


@lru_cache(maxsize=_NAMES_AT_ONCE)
def parent_of(name: str) -> str | None:
    """Return the parent of a genre or style in the tree; None at the top, and for unknown names.

    >>> parent_of("house"), parent_of("Punk Rock"), parent_of("Rock"), parent_of("Polka")
    ('Electronic', 'Rock', None, None)
    """
    return _parents().get(canonical(name) or "")


def lineage(name: str) -> list[str]:
    """Return a name, and all that is above it in the tree.

    >>> lineage("punk rock"), lineage("Polka")
    (['punk rock', 'Rock'], ['Polka'])
    """
    line = [name]
    while above := parent_of(line[-1]):
        line.append(above)
    return line


@lru_cache(maxsize=_NAMES_AT_ONCE)
def same_name(name: str) -> str:
    """Return a key that is equal for all spellings and aliases of a name.

    >>> same_name("Rap") == same_name("hip hop"), same_name("Post Rock") == same_name("post-rock")
    (True, True)
    """
    return _key(canonical(name) or name) or name.casefold()


def why_no_name(text: str) -> str:
    """Say why a text cannot be written as the name of a genre; empty where it can.

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
def _tree() -> dict[str, dict[str, Any]]:
    text = files("tagger.genres").joinpath("vocabulary.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


@cache
def _parents() -> dict[str, str]:
    """Return the parent of each canonical name that is not at the top."""
    parents: dict[str, str] = {}
    for genre, entry in _tree().items():
        parents |= dict.fromkeys(entry.get("styles", {}), genre)
        if "parent" in entry:
            parents[genre] = entry["parent"]
    return parents


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
