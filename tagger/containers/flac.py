"""FLAC: its Vorbis comment among the blocks of metadata, and whether its last frame is there.

The padding gives and takes what a comment needs, so that the sound stays where it is.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, BinaryIO

from tagger.containers.blocks import CannotKeepError, Description, Entry
from tagger.containers.bounds import BLOCKS, SEEK_POINTS, TAG_BYTES
from tagger.containers.parts import BrokenTagError, peek, read_exactly, replace_range
from tagger.containers.vorbis import Comments

_STREAMINFO, _PADDING, _SEEK_TABLE, _COMMENT = 0, 1, 3, 4
_SEEK_POINT = 18  # bytes
_AT_THE_END = 1 << 20  # bytes in which the last frame lies


class FlacComments(Comments):
    """The comment among the metadata blocks of a FLAC file whose "fLaC" stands at `start`."""

    def __init__(self, file: BinaryIO, start: int) -> None:
        self._start = start + 4
        self._blocks = list(_blocks(file, self._start))
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
        """Return all metadata blocks but comment and padding."""
        return [bytes((k,)) + b for k, b in self._blocks if k not in (_PADDING, _COMMENT)]

    def prepare(self) -> None:
        if not self._only:
            raise CannotKeepError("it has more than one Vorbis comment, where FLAC allows one")

    def store(self, file: BinaryIO, shape: Mapping[str, Any] | None = None) -> None:
        self.prepare()
        comment = self.rendered(in_flac=True)
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


def missing(file: BinaryIO, start: int, size: int) -> str | None:
    """Say how much of the samples that it claims is not there, by the last frame.

    None where nothing is known to be missing.
    """
    info = peek(file, start + 8, 34)
    longest_block, longest_frame = struct.unpack_from(">2xH3x", info)[0], int.from_bytes(info[7:10])
    rate_to_count = int.from_bytes(info[10:18])
    rate, total = rate_to_count >> 44, rate_to_count & (1 << 36) - 1
    if not total or not rate:
        return None
    window = min(_AT_THE_END, (longest_frame or 1 << 18) + (1 << 16))
    data = peek(file, max(_sound_start(file, start), size - window), window)
    end = max((e for e in _frame_ends(data, longest_block) if e <= total), default=None)
    # A tag behind the last frame may hide it: then nothing is known.
    if end is None or end + longest_block >= total:
        return None
    return f"cut off: {end / rate:.1f} of {total / rate:.1f} s that its header claims are there"


def sound_ranges(file: BinaryIO, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield where the sound lies: behind the metadata."""
    yield _sound_start(file, start), end


def _walk(file: BinaryIO, position: int) -> Iterator[tuple[int, int, int]]:
    """Yield kind, begin and size of the metadata blocks from a position on.

    Raises BrokenTagError where the file ends before the last.
    """
    is_last = 0
    while not is_last:
        head = read_exactly(file, position, 4)
        kind, is_last, size = head[0] & 0x7F, head[0] & 0x80, int.from_bytes(head[1:])
        yield kind, position + 4, size
        position += 4 + size


def _sound_start(file: BinaryIO, start: int) -> int:
    """Return where the frames begin, as far as the metadata blocks lead there."""
    end = start + 4
    with suppress(BrokenTagError):
        for _, begin, size in _walk(file, end):
            end = begin + size
    return end


def _blocks(file: BinaryIO, start: int) -> Iterator[tuple[int, bytes]]:
    """Yield the metadata blocks, whole; raises BrokenTagError where they do not lead to sound."""
    for count, (kind, begin, size) in enumerate(_walk(file, start)):
        BLOCKS.check(count + 1)
        TAG_BYTES.check(begin + size - start)
        if kind == _SEEK_TABLE:
            SEEK_POINTS.check(size // _SEEK_POINT)
        body = read_exactly(file, begin, size)
        first = count == 0
        if kind == 127 or (kind == _STREAMINFO) != first or (first and size != 34):
            raise BrokenTagError("its FLAC metadata is damaged")
        yield kind, body
    sync = peek(file, begin + size, 2)
    if sync and (sync[0] != 0xFF or (sync[1:] and sync[1] & 0xFC != 0xF8)):
        # Often a picture longer than its block can say: the lengths that follow are not true.
        raise BrokenTagError("its FLAC metadata does not end where the sound begins")


def _frame_ends(data: bytes, longest_block: int) -> Iterator[int]:
    """Yield where frames end, in samples; what looks like their headers counts by its checksum."""
    for sync, counts_samples in ((b"\xff\xf8", False), (b"\xff\xf9", True)):
        place = data.find(sync)
        while place >= 0:
            end = _frame_end(data[place : place + 16], longest_block, counts_samples)
            if end is not None:
                yield end
            place = data.find(sync, place + 1)


def _frame_end(head: bytes, longest_block: int, counts_samples: bool) -> int | None:
    head = head.ljust(16, b"\0")
    code, rate = head[2] >> 4, head[2] & 0xF
    if code == 0 or rate == 15 or head[3] & 1 or head[3] >> 4 > 10:
        return None
    ones = 8 - (~head[4] & 0xFF).bit_length()  # as in UTF-8: how many bytes the number takes
    if ones == 1 or ones > 7:
        return None
    number, length = head[4] & 0x7F >> ones, max(1, ones)
    for byte in head[5 : 4 + length]:
        if byte & 0xC0 != 0x80:
            return None
        number = number << 6 | byte & 0x3F
    place = 4 + length
    if code == 1:
        block = 192
    elif code < 6:
        block = 576 << code - 2
    elif code < 8:
        block = int.from_bytes(head[place : place + code - 5]) + 1
        place += code - 5
    else:
        block = 256 << code - 8
    place += {12: 1, 13: 2, 14: 2}.get(rate, 0)
    if place >= len(head) or _crc8(head[:place]) != head[place] or block > longest_block:
        return None
    return number + block if counts_samples else number * longest_block + block


def _crc8(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ (0x07 if crc & 0x80 else 0)) & 0xFF
    return crc
