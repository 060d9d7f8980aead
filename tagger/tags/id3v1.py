"""ID3v1: 128 bytes at the end of a file, of which gtag knows one, the genre's number.

gtag keeps it in step where it is, and never adds one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, BinaryIO

from tagger.tags.blocks import GENRE, Block, CannotKeepError, Entry, from_text, to_text


class Id3v1(Block):
    """The 128 bytes at the end of a file: here only the genre's number, the last of them."""

    name = "ID3v1"

    def __init__(self, position: int, data: bytes) -> None:
        super().__init__([Entry(data[:127])], exists=True)
        self._position = position
        names = genre_names()
        if data[127] < len(names):
            self.entries.append(Entry(data[127:], GENRE, (names[data[127]],)))
        self._none = data[127:] if data[127] >= len(names) else b"\xff"

    def make(self, role: str, values: tuple[str, ...]) -> list[Entry]:
        numbers = {
            name.casefold(): number for number, name in reversed([*enumerate(genre_names())])
        }
        known = [numbers[v.casefold()] for v in values if v.casefold() in numbers]
        if role != GENRE or not known:
            return []
        return [Entry(bytes(known[:1]), GENRE, (genre_names()[known[0]],))]

    def store(self, file: BinaryIO, shape: Mapping[str, Any] | None = None) -> None:
        byte = next((e.raw for e in self.entries if e.role == GENRE), None)
        if byte is None:
            byte = self._none if shape is None else from_text(shape["none"])
        file.seek(self._position + 127)
        file.write(byte)

    def remove(self, file: BinaryIO, shape: Mapping[str, Any]) -> None:
        raise CannotKeepError("gtag never adds an ID3v1 tag, so it takes none away")

    def shape(self) -> dict[str, Any]:
        return {"none": to_text(self._none)}


def genre_names() -> list[str]:
    """The numbered genres, as all taggers know them (Winamp's additions included)."""
    from mutagen.id3 import TCON

    return list(TCON.GENRES)
