"""ID3v1: 128 bytes at the end of a file, of which gtag writes one, the genre's number.

gtag keeps it in step where it is, and never adds one. The same goes for the rare extension before
it, which spells the genre out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, BinaryIO

from tagger.containers.blocks import GENRE, Block, Description, Entry, from_text, to_text

SIZE, EXTENSION_SIZE = 128, 227
_GENRE_TEXT = slice(185, 215)  # in the extension


class Id3v1(Block):
    """The 128 bytes at the end of a file: the genre's number is the last of them."""

    name = "ID3v1"

    def __init__(self, position: int, data: bytes) -> None:
        super().__init__([Entry(data[:127])], exists=True)
        self._position = position
        names = genre_names()
        if data[127] < len(names):
            self.entries.append(Entry(data[127:], GENRE, (names[data[127]],)))
        self._none = data[127:] if data[127] >= len(names) else b"\xff"

    @property
    def wants_genre(self) -> bool:
        return True

    def description(self) -> Description:
        data = self.entries[0].raw
        comment, track, year = data[97:127], "", _text(data[93:97])
        if comment[28] == 0 and comment[29]:
            comment, track = comment[:28], str(comment[29])
        told = {
            "TITLE": _text(data[3:33]),
            "ARTIST": _text(data[33:63]),
            "ALBUM": _text(data[63:93]),
            "DATE": year if year.isdecimal() and int(year) else "",
            "COMMENT": _text(comment),
            "TRACKNUMBER": track,
        }
        return {name: (text,) for name, text in told.items() if text}

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

    def shape(self) -> dict[str, Any]:
        return {"none": to_text(self._none)}


class Id3v1Extension(Block):
    """The 227 bytes "TAG+" before an ID3v1 tag: here only the genre in letters."""

    name = "ID3v1 extension"

    def __init__(self, position: int, data: bytes) -> None:
        super().__init__([Entry(data[: _GENRE_TEXT.start])], exists=True)
        self._position = position
        raw = data[_GENRE_TEXT]
        if _text(raw):
            self.entries.append(Entry(raw, GENRE, (_text(raw),)))
        self.entries.append(Entry(data[_GENRE_TEXT.stop :]))

    def make(self, role: str, values: tuple[str, ...]) -> list[Entry]:
        size = _GENRE_TEXT.stop - _GENRE_TEXT.start
        for value in values if role == GENRE else ():
            raw = value.encode("latin-1", "replace")
            if len(raw) <= size and raw.decode("latin-1") == value:
                return [Entry(raw.ljust(size, b"\0"), role, (value,))]
        return []

    def store(self, file: BinaryIO, shape: Mapping[str, Any] | None = None) -> None:
        raw = next((e.raw for e in self.entries if e.role == GENRE), b"")
        file.seek(self._position + _GENRE_TEXT.start)
        file.write(raw.ljust(_GENRE_TEXT.stop - _GENRE_TEXT.start, b"\0"))


def _text(raw: bytes) -> str:
    return raw.split(b"\0")[0].decode("latin-1").strip()


def genre_names() -> list[str]:
    """Return the numbered genres, as all taggers know them (Winamp's additions included)."""
    from mutagen.id3 import TCON

    return list(TCON.GENRES)


def referenced_genres(text: str) -> tuple[str, ...]:
    """Return the genres of a text that may refer to numbered ones, as ID3v2.3 does: "(17)".

    A number that no genre has, such as 200, is what somebody wrote: no word for "no genre".
    """
    names = _as_others_read(text)
    unnamed = "Unknown" in names and "unknown" not in text.casefold()
    return (text,) if unnamed else names


def is_text(genre: str) -> bool:
    """Tell whether a genre in ID3v2 is read as it stands, not as a reference to a number."""
    return _as_others_read(genre) == (genre,)


def _as_others_read(text: str) -> tuple[str, ...]:
    from mutagen.id3 import TCON

    return tuple(TCON(encoding=3, text=[text]).genres)
