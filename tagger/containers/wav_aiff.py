"""WAV and AIFF: chunks, in which they keep an ID3 tag, and a WAV its INFO list."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, BinaryIO

from tagger.containers.blocks import (
    GENRE,
    MULTI_VALUE_SEPARATOR,
    Block,
    CannotKeepError,
    Description,
    Entry,
    distinct,
    split_joint,
)
from tagger.containers.bounds import CHUNKS, FIELDS, TAG_BYTES
from tagger.containers.formats import AIFF, RF64, WAV, Format
from tagger.containers.id3 import Slot
from tagger.containers.parts import (
    BrokenTagError,
    Part,
    cut_off,
    peek,
    read_exactly,
    read_ranges,
    replace_range,
)

# Items of an INFO list, by the names that Vorbis comments have for them.
_INFO_NAMES = {
    b"INAM": "TITLE",
    b"IART": "ARTIST",
    b"IPRD": "ALBUM",
    b"IBPM": "BPM",
    b"ICMT": "COMMENT",
    b"ICNT": "RELEASECOUNTRY",
    b"ICOP": "COPYRIGHT",
    b"ICRD": "DATE",
    b"IDIT": "ENCODINGTIME",
    b"IEDT": "REMIXER",
    b"IENG": "ARRANGER",
    b"ILNG": "LANGUAGE",
    b"IMED": "MEDIA",
    b"IMUS": "COMPOSER",
    b"IPRT": "TRACKNUMBER",
    b"IPUB": "LABEL",
    b"ISFT": "ENCODING",
    b"ISRC": "ISRC",
    b"ISTR": "PERFORMER",
    b"ITCH": "ENCODEDBY",
    b"ITRK": "TRACKNUMBER",
    b"IWRI": "LYRICIST",
}


_INFO_ID = re.compile(rb"[A-Z][A-Z0-9]{3}")
_MOST_OF_A_DAMAGED_LIST = 1 << 20  # bytes
_LITTLE, _BIG = struct.Struct("<I"), struct.Struct(">I")
_MOST_CHUNKS = 1_000_000  # before the sound


def recognise(file: BinaryIO, start: int) -> Format | None:
    """Return WAV, RF64 or AIFF, by the name of the form; None where it is another."""
    head = peek(file, start, 12)
    if head[:4] == b"FORM":
        return AIFF if head[8:] in (b"AIFF", b"AIFC") else None
    if head[:4] not in (b"RIFF", b"RF64", b"BW64") or head[8:] != b"WAVE":
        return None
    return WAV if head[:4] == b"RIFF" else RF64


def missing(file: BinaryIO, start: int, size: int) -> str | None:
    """Say what is missing of the sound, by the length of its chunk; None where that is nothing."""
    number = _number(file, start)
    for chunk in islice(_walk(file, start + 12, size, number), _MOST_CHUNKS):
        if chunk.kind == (b"data" if number is _LITTLE else b"SSND"):
            # 0xFFFFFFFF: written into a pipe, or in the other place that RF64 has for long ones.
            return cut_off(size, chunk.end) if chunk.size != 0xFFFFFFFF else None
    return None


def _number(file: BinaryIO, start: int) -> struct.Struct:
    """Return how numbers are written in a file that begins at `start`."""
    return _BIG if peek(file, start, 4) == b"FORM" else _LITTLE


def _walk(file: BinaryIO, position: int, end: int, number: struct.Struct) -> Iterator[Part]:
    """Yield the chunks from a position on, as long as their heads stand before the end."""
    while position + 8 <= end:
        kind, size = struct.unpack("4s4s", read_exactly(file, position, 8))
        chunk = Part(kind, position, position + 8, position + 8 + int(number.unpack(size)[0]))
        yield chunk
        position = _behind(chunk)


def _behind(chunk: Part) -> int:
    """Return where a chunk ends, with the byte that makes its content even."""
    return chunk.end + chunk.size % 2


class Chunks:
    """The chunks of a WAV (little-endian) or AIFF (big-endian) file that begins at `start`."""

    def __init__(self, file: BinaryIO, start: int) -> None:
        self.start = start
        head = read_exactly(file, start, 12)
        self._number = _number(file, start)
        self.is_wav = self._number is _LITTLE
        self._length = file.seek(0, 2)
        # As the file says; other data may follow.
        self.end = start + 8 + int(self._number.unpack(head[4:8])[0])
        self.chunks: list[Part] = []
        self._damaged = set[Part]()
        self._is_consistent = (
            head[:4] in (b"RIFF", b"FORM") and start + 12 <= self.end <= self._length + 1
        )
        end = min(self.end, self._length)
        for chunk in _walk(file, start + 12, end, self._number):
            self.chunks.append(chunk)
            CHUNKS.check(len(self.chunks))
            # The last even byte is often forgotten.
            if _behind(chunk) > end + 1:
                self._is_consistent = False
        self.end = end

    @property
    def _place(self) -> int:
        """Where a new chunk goes: to the end, but before a chunk at which mutagen stops reading.

        Programs take the first tag of a kind: a damaged one stands behind, too.
        """
        odd = (c.start for c in self.chunks if c in self._damaged or not _is_readable(c))
        return next(odd, self.end)

    def find(self, kind: bytes) -> list[Part]:
        """Return the chunks of a kind, which counts in either case."""
        return [c for c in self.chunks if c.kind.upper() == kind]

    def info_lists(self, file: BinaryIO) -> list[Part]:
        """Return a WAV's INFO lists, damaged ones included."""
        return [c for c in self.chunks if self.is_wav and _is_info(file, c)]

    def take_for_content(self, chunk: Part) -> None:
        """Keep a chunk as it is: the tag in it is damaged."""
        self._damaged.add(chunk)

    def behind(self, chunk: Part | None) -> int:
        """Return how many bytes follow a chunk, or a new one at the end."""
        return self._length - (self._place if chunk is None else min(_behind(chunk), self._length))

    def check(self) -> None:
        """Raise where the file's lengths are not true: what is written might go astray."""
        if not self._is_consistent:
            raise CannotKeepError("its chunks are not as long as they claim")

    def put(
        self, file: BinaryIO, chunk: Part | None, data: bytes, kind: bytes, *, keep: bool = False
    ) -> None:
        """Replace a chunk's data, add a chunk, or (without data) take one away.

        With `keep` an empty one stays.
        """
        self.check()
        new = b""
        if data or keep:
            letters = kind if chunk is None else chunk.kind
            new = letters + self._number.pack(len(data)) + data + bytes(len(data) % 2)
        if chunk is not None:
            start, old = chunk.start, min(_behind(chunk), self.end) - chunk.start
        else:
            start, old = self._place, 0
            new = bytes(start % 2 ^ self.start % 2) + new  # an even byte that was forgotten
        size = self.end - self.start - 8 + len(new) - old
        if size >= 1 << 32:
            raise CannotKeepError("it would grow beyond 4 GiB, which its kind does not allow")
        replace_range(file, start, old, new)
        file.seek(self.start + 4)
        file.write(self._number.pack(size))

    def content(self, file: BinaryIO) -> Iterator[bytes]:
        """Yield all chunks but tags that can be read."""
        for chunk in self.chunks:
            is_tag = chunk.kind.upper() == b"ID3 " or (self.is_wav and _is_info(file, chunk))
            if not is_tag or chunk in self._damaged:
                yield chunk.kind + struct.pack("<I", chunk.size)
                yield from read_ranges(file, chunk.body, min(chunk.end, self._length))


def _is_info(file: BinaryIO, chunk: Part) -> bool:
    return chunk.kind.upper() == b"LIST" and peek(file, chunk.body, 4) == b"INFO"


def _is_readable(chunk: Part) -> bool:
    """Tell whether mutagen reads on behind a chunk."""
    return all(0x20 <= c < 0x7F for c in chunk.kind) and (chunk.kind != b"LIST" or chunk.size >= 4)


class ChunkSlot(Slot):
    """An ID3 tag's place in a WAV or AIFF file: a chunk, or the end."""

    room = 0

    def __init__(self, chunks: Chunks, chunk: Part | None) -> None:
        self._chunks, self._chunk = chunks, chunk  # which know where it stands
        self.is_empty_chunk = chunk is not None and chunk.size == 0
        self.behind = chunks.behind(chunk)

    def check(self) -> None:
        self._chunks.check()

    def put(self, file: BinaryIO, data: bytes, *, keep: bool = False) -> None:
        kind = b"id3 " if self._chunks.is_wav else b"ID3 "
        self._chunks.put(file, self._chunk, data, kind, keep=keep)


class Info(Block):
    """A WAV's INFO list, in the `LIST` chunk given, or where one would be."""

    name = "INFO"

    def __init__(self, file: BinaryIO, chunks: Chunks, chunk: Part | None) -> None:
        super().__init__(exists=chunk is not None)
        self._chunks, self._chunk = chunks, chunk
        TAG_BYTES.check(chunk.size if chunk else 0)
        data = b"" if chunk is None else read_exactly(file, chunk.body, chunk.size)
        position, self._rest = 4, b""
        while position + 8 <= len(data):
            size = struct.unpack("<I", data[position + 4 : position + 8])[0]
            end = position + 8 + size
            if end > len(data):
                raise BrokenTagError("its INFO list is damaged")
            raw = data[position : end + size % 2]
            self.entries.append(_info_entry(raw))
            FIELDS.check(len(self.entries))
            position += len(raw)
        self._rest = data[position:]

    def foreign(self) -> list[bytes]:
        return [*super().foreign(), self._rest]

    @property
    def wants_genre(self) -> bool:
        return True

    def description(self) -> Description:
        told: Description = {}
        for raw in (e.raw for e in self.entries if e.role is None):
            name, values = _INFO_NAMES.get(raw[:4]), distinct([_info_text(raw)])
            # Of the two items for a track's number, that which more programs read.
            if name and values and (raw[:4] != b"ITRK" or name not in told):
                told[name] = values
        return told

    def prepare(self) -> None:
        self._chunks.check()

    def make(self, role: str, values: tuple[str, ...]) -> list[Entry]:
        if role != GENRE:
            return []
        text = MULTI_VALUE_SEPARATOR.join(values).encode() + b"\0"
        raw = b"IGNR" + struct.pack("<I", len(text)) + text + bytes(len(text) % 2)
        return [Entry(raw, role, values)]

    def store(self, file: BinaryIO, shape: Mapping[str, Any] | None = None) -> None:
        items = b"".join(e.raw + bytes(len(e.raw) % 2) for e in self.entries)
        self._chunks.put(file, self._chunk, b"INFO" + items + self._rest, b"LIST")

    def remove(self, file: BinaryIO, shape: Mapping[str, Any]) -> None:
        self._chunks.put(file, self._chunk, b"", b"LIST")


class DamagedInfo(Info):
    """An INFO list that lacks pad bytes or its end: kept as it is, read as far as that goes.

    What other programs read there is not to be hidden by a new tag, and a genre is a person's.
    """

    name = "damaged INFO"

    def __init__(self, file: BinaryIO, chunks: Chunks, chunk: Part) -> None:
        Block.__init__(self, exists=True)
        self._rest = b""
        chunks.take_for_content(chunk)
        data = peek(file, chunk.body, min(chunk.size, _MOST_OF_A_DAMAGED_LIST))
        position = 4
        while position + 8 <= len(data) and _INFO_ID.match(data, position):
            size = struct.unpack("<I", data[position + 4 : position + 8])[0]
            raw = data[position : position + 8 + size]
            self.entries.append(_info_entry(raw))
            FIELDS.check(len(self.entries))
            position += 8 + size
            if size % 2 and not _INFO_ID.match(data, position):
                position += 1

    @property
    def wants_genre(self) -> bool:
        return any(e.role is not None for e in self.entries)

    def prepare(self) -> None:
        if self.wants_genre:
            raise CannotKeepError("its INFO list is damaged, and names a genre")

    def make(self, role: str, values: tuple[str, ...]) -> list[Entry]:
        raise CannotKeepError("its INFO list is damaged")

    def store(self, file: BinaryIO, shape: Mapping[str, Any] | None = None) -> None:
        """Leave it as it is."""

    def remove(self, file: BinaryIO, shape: Mapping[str, Any]) -> None:
        """Leave it as it is."""


def _info_entry(raw: bytes) -> Entry:
    if raw[:4] != b"IGNR":
        return Entry(raw)
    return Entry(raw, GENRE, tuple(split_joint([_info_text(raw)])))


def _info_text(raw: bytes) -> str:
    text = raw[8 : 8 + struct.unpack("<I", raw[4:8])[0]].split(b"\0")[0]
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        return text.decode("cp1252", "replace")
