"""Words in a genre field that are not a genre, which rippers write where they know none.

They do not count as written by a person, so they are not kept.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import cache, lru_cache

# Case, spaces and punctuation do not count: "<unknown>" and "Unknown." are "unknown" as well.
# docs/commands.md shows them.
DEFAULT_PLACEHOLDERS = (
    *("Unknown", "Unknown Genre", "Genre Unknown", "Genre", "No Genre", "None", "Null", "N/A"),
    *("Not Available", "Not Specified", "Not Set", "Unspecified", "Undefined", "Unset", "Empty"),
    *("Other", "Others", "Misc", "Miscellaneous", "Default", "Default Genre", "Data"),
    *("Unclassified", "Unclassifiable", "Uncategorized", "Uncategorised", "TBD", "To Do"),
    # ID3v1's numbers for "Other" and for none, as some programs copy them.
    *("12", "255"),
    *("Unbekannt", "Unbekanntes Genre", "Sonstige", "Sonstiges", "Andere", "Ohne", "Inconnu"),
    *("Genre inconnu", "Autre", "Autres", "Desconocido", "Otro", "Otros", "Desconhecido"),
    *("Outro", "Outros", "Sconosciuto", "Altro", "Onbekend", "Overig", "Okänd", "Ukjent"),
)


class Placeholders:
    """Words that do not count as a genre.

    Parameters
    ----------
    words : iterable of str
        If empty, every word is a genre.

    >>> Placeholders(["Unknown"]).without(("<unknown>", "Rock", "???"))
    ('Rock',)
    """

    def __init__(self, words: Iterable[str] = DEFAULT_PLACEHOLDERS) -> None:
        self._keys = _keys(tuple(words))

    def without(self, genres: Iterable[str]) -> tuple[str, ...]:
        """Return the values that are not placeholders."""
        return tuple(genre for genre in genres if _key(genre) not in self._keys)


@cache
def _keys(words: tuple[str, ...]) -> frozenset[str]:
    keys = frozenset(map(_key, words))
    return keys | {""} if keys else keys  # nothing but punctuation


@lru_cache(maxsize=1024)  # most files of a library have the genres of others
def _key(word: str) -> str:
    composed = unicodedata.normalize("NFC", word)
    return "".join(c for c in composed.casefold() if not _is_decoration(c))


def _is_decoration(c: str) -> bool:
    """Punctuation, spaces and signs such as <>; not letters and digits of any script, nor emoji."""
    category = unicodedata.category(c)
    return category[0] in "PZC" or category in ("Sm", "Sk")
