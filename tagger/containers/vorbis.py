"""Vorbis comments as raw bytes, and their place among FLAC's metadata blocks.

Comments are kept as they stand, also those that are no UTF-8. The padding gives and takes what a
comment needs, so that the sound stays where it is. For Ogg, see `ogg.py`.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from itertools import count as count_from
from typing import Any, BinaryIO

from tagger.containers.blocks import (
    GENRE,
    Block,
    BrokenTagError,
    CannotKeepError,
    Description,
    Entry,
    read_exactly,
    replace_range,
    role_of,
)
from tagger.containers.bounds import BLOCKS, FIELDS, SEEK_POINTS, TAG_BYTES

_STREAMINFO, _PADDING, _SEEK_TABLE, _COMMENT = 0, 1, 3, 4
_SEEK_POINT = 18  # bytes


class Comments(Block):
    """A Vorbis comment: vendor, comments, and what follows them. Where it stands, others say."""

    name = "Vorbis comment"

    def __init__(self, data: bytes | None) -> None:
        """`data` begins with the length of the vendor's name; None where no comment is."""
        super().__init__(exists=data is not None)
        self._vendor, self._rest = b"gtag", b""
        if data is None:
            return
        self._vendor, position = self._sized(data, 0)
        if position + 4 > len(data):
            raise BrokenTagError("its Vorbis comment is damaged")
        count = struct.unpack("<I", data[position : position + 4])[0]
        position += 4
        if 4 * count > len(data) - position:
            raise BrokenTagError("its Vorbis comment is damaged")
        FIELDS.check(count)
        for _ in range(count):
            raw, position = self._sized(data, position)
            key, _, value = raw.partition(b"=")
            role = role_of(key.decode("ascii", "replace"), genre="GENRE")
            values = (value.decode("utf-8", "replace"),) if role else ()
            self.entries.append(Entry(raw, role, values))
        self._rest = data[position:]

    @staticmethod
    def _sized(data: bytes, position: int) -> tuple[bytes, int]:
        if position + 4 <= len(data):
            end = position + 4 + struct.unpack("<I", data[position : position + 4])[0]
            if end <= len(data):
                return data[position + 4 : end], end
        raise BrokenTagError("its Vorbis comment is damaged")

    def foreign(self) -> list[bytes]:
        return [self._vendor, self._rest, *super().foreign()]

    def make(self, role: str, values: tuple[str, ...]) -> list[Entry]:
        key = "GENRE" if role == GENRE else role
        return [Entry(f"{key}={value}".encode(), role, (value,)) for value in values]

    def rendered(self) -> bytes:
        """The comment as bytes, beginning with the length of the vendor's name."""
        head = struct.pack("<I", len(self._vendor)) + self._vendor
        comments = [struct.pack("<I", len(e.raw)) + e.raw for e in self.entries]
        return head + struct.pack("<I", len(comments)) + b"".join(comments) + self._rest


class FlacComments(Comments):
    """The comment among the metadata blocks of a FLAC file whose "fLaC" stands at `start`."""

    def __init__(self, file: BinaryIO, start: int) -> None:
        self._start = start + 4
        self._blocks = list(_flac_blocks(file, self._start))
        self._area = sum(4 + len(body) for _, body in self._blocks)
        comments = [body for kind, body in self._blocks if kind == _COMMENT]
        self._only = len(comments) <= 1
        super().__init__(comments[0] if comments else None)

    @property
    def end(self) -> int:
        """Where the sound begins."""
        return self._start + self._area

    def description(self) -> Description:
        told: Description = {}
        for key, _, value in (e.raw.partition(b"=") for e in self.entries if e.role is None):
            name = key.decode("ascii", "replace").upper()
            told[name] = (*told.get(name, ()), value.decode("utf-8", "replace"))
        return told

    def tell(self, description: Description) -> list[Entry]:
        return [
            Entry(f"{name}={value}".encode())
            for name, values in description.items()
            if re.fullmatch("[ -<>-}]+", name)
            for value in values
        ]

    def others(self) -> list[bytes]:
        """All metadata blocks but comment and padding."""
        return [bytes((k,)) + b for k, b in self._blocks if k not in (_PADDING, _COMMENT)]

    def prepare(self) -> None:
        if not self._only:
            raise CannotKeepError("it has more than one Vorbis comment, where FLAC allows one")

    def store(self, file: BinaryIO, shape: Mapping[str, Any] | None = None) -> None:
        self.prepare()
        comment = self.rendered()
        if len(comment) >= 1 << 24:
            raise CannotKeepError("its Vorbis comment would grow beyond what FLAC allows")
        if self.exists:
            blocks = [(k, comment if k == _COMMENT else b) for k, b in self._blocks]
        else:
            kinds = [k for k, _ in self._blocks]
            place = kinds.index(_PADDING) if _PADDING in kinds else len(kinds)
            blocks = [*self._blocks[:place], (_COMMENT, comment), *self._blocks[place:]]
        self._put(file, blocks, shape)

    def remove(self, file: BinaryIO, shape: Mapping[str, Any]) -> None:
        self._put(file, [(k, b) for k, b in self._blocks if k != _COMMENT], shape)

    def _put(
        self,
        file: BinaryIO,
        blocks: list[tuple[int, bytes]],
        shape: Mapping[str, Any] | None,
    ) -> None:
        """Write the blocks; the largest padding gives way or grows, and the sound stays in place.

        Not so where an earlier state is wanted whose metadata was longer or shorter in all.
        """
        free = self._area - sum(4 + len(body) for _, body in blocks)
        paddings = [i for i, (kind, _) in enumerate(blocks) if kind == _PADDING]
        if paddings and (shape is None or shape["area"] == self._area):
            largest = max(paddings, key=lambda i: len(blocks[i][1]))
            size = len(blocks[largest][1]) + free
            if 0 <= size < 1 << 24:
                blocks[largest] = (_PADDING, bytes(size))
        data = b"".join(
            bytes((kind | (0x80 if i == len(blocks) - 1 else 0),))
            + struct.pack(">I", len(body))[1:]
            + body
            for i, (kind, body) in enumerate(blocks)
        )
        replace_range(file, self._start, self._area, data)

    def shape(self) -> dict[str, Any]:
        return {"area": self._area}


def _flac_blocks(file: BinaryIO, position: int) -> Iterator[tuple[int, bytes]]:
    """The metadata blocks, whole; raises where they do not lead to sound."""
    first, start = True, position
    for count in count_from(1):
        BLOCKS.check(count)
        head = read_exactly(file, position, 4)
        kind, size = head[0] & 0x7F, int.from_bytes(head[1:])
        TAG_BYTES.check(position + 4 + size - start)
        if kind == _SEEK_TABLE:
            SEEK_POINTS.check(size // _SEEK_POINT)
        body = read_exactly(file, position + 4, size)
        if kind == 127 or (kind == _STREAMINFO) != first or (first and size != 34):
            raise BrokenTagError("its FLAC metadata is damaged")
        yield kind, body
        first, position = False, position + 4 + size
        if head[0] & 0x80:
            break
    file.seek(position)
    sync = file.read(2)
    if sync and (sync[0] != 0xFF or (sync[1:] and sync[1] & 0xFC != 0xF8)):
        # Often a picture longer than its block can say: the lengths that follow are not true.
        raise BrokenTagError("its FLAC metadata does not end where the sound begins")
