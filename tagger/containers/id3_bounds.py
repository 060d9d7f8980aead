"""Counts what mutagen would have to do for an ID3 tag, before it sees the tag.

zlib turns a megabyte into a gigabyte, and mutagen inflates every compressed frame, those in
chapters, too. It copies the rest of a tag for each frame, and the rest of a text for each value.
Where a tag is damaged, it finds frames by other rules than gtag: so all its ways to read a tag are
gone through.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from functools import cache

from tagger.containers.bounds import (
    FRAMES,
    FRAMES_TIMES_BYTES,
    INFLATED_BYTES,
    TEXT_BYTES,
    TEXTS,
)

_UNSYNC, _EXTENDED = 0x80, 0x40
_HAS_LENGTH = 0x01  # in 2.4: four bytes before the data
_COMPRESSED = {3: 0x80, 4: 0x08}  # in the second byte of a frame's flags, by version
_PIECE = 1 << 20
_DEPTH = 4  # of chapters within compressed chapters
_CHAPTERS = (b"CHAP", b"CTOC")
_TEXTS = re.compile(rb"T|W|COM|ULT|USLT|IPL")  # at the start of a frame's name


def synchsafe(data: bytes) -> int | None:
    """Return the number in four bytes of seven bits each; None where they are none."""
    if len(data) < 4 or max(data) > 0x7F:
        return None
    a, b, c, d = data
    return a << 21 | b << 14 | c << 7 | d


def check_id3(data: bytes) -> None:
    """Raise BeyondBoundError where a whole ID3v2 tag would be too much for mutagen."""
    version, flags, body = data[3], data[5], data[10:]
    if version not in (2, 3, 4):
        return
    starts = [0]
    if version > 2 and flags & _EXTENDED and len(body) >= 4:
        size = int.from_bytes(body[:4])
        starts += [4 + size, synchsafe(body[:4]) or 0]
    readings = [body]
    if version < 4 and flags & _UNSYNC:
        readings.append(body.replace(b"\xff\0", b"\xff"))
    inflated = _Inflated(version)
    for reading in readings:
        seen = set[int]()
        for start in starts:
            for plain in {version < 4, True}:
                for name, frame_flags, begin, end in _frames(reading, version, start, plain=plain):
                    if begin not in seen:
                        seen.add(begin)
                        inflated.add(name, frame_flags, reading[begin:end], _DEPTH)


def _frames(
    body: bytes, version: int, position: int, *, plain: bool
) -> Iterator[tuple[bytes, int, int, int]]:
    """Yield what mutagen takes for frames: name, flags, where the data of each begins and ends."""
    head, names = (6, 3) if version == 2 else (10, 4)
    count = copied = 0
    while position + head <= len(body):
        name = body[position : position + names]
        if not name.strip(b"\0"):
            return
        number = body[position + names : position + 2 * names]
        size = int.from_bytes(number)
        if not plain:  # of each byte seven bits, whatever the eighth
            size = synchsafe(bytes(byte & 0x7F for byte in number)) or 0
        begin, position = position + head, position + head + size
        count, copied = count + 1, copied + max(0, len(body) - position)
        FRAMES.check(count)
        FRAMES_TIMES_BYTES.check(copied)
        if size:
            yield name, 0 if version == 2 else body[begin - 1], begin, position


@cache
def _header_in_a_chapter(flag: int) -> re.Pattern[bytes]:
    """Return a compressed frame's header; its claimed size may stand before its zlib stream."""
    flags = b"".join(re.escape(bytes((b,))) for b in range(256) if b & flag)
    return re.compile(
        rb"(?=([A-Z0-9]{4}).{5}([" + (flags or b"\0") + rb"])(?:.{4})?[\x08\x18\x28\x38HXhx])",
        re.S,
    )


class _Inflated:
    """Adds up to what the compressed frames of a tag of this version inflate."""

    def __init__(self, version: int) -> None:
        self._version, self._flag = version, _COMPRESSED.get(version, 0)
        self._total = self._count = 0
        self._header = _header_in_a_chapter(self._flag)

    def add(self, name: bytes, flags: int, data: bytes, depth: int) -> None:
        """Count a frame, and what is in it."""
        if not flags & self._flag:
            has_length = self._version == 4 and flags & _HAS_LENGTH
            self._look_into(name, data[4:] if has_length else data, depth)
            return
        self._count += 1
        FRAMES.check(self._count)
        for start in (0, 4):
            for unsynced in {False, b"\xff\0" in data}:
                content = b"".join(self._inflate(data, start, unsynced=unsynced))
                self._look_into(name, content, depth)

    def _look_into(self, name: bytes, data: bytes, depth: int) -> None:
        if _TEXTS.match(name):
            TEXT_BYTES.check(len(data))
            # UTF-16 is full of zeros.
            TEXTS.check(data.count(b"\0\0" if data[:1] in (b"\1", b"\2") else b"\0"))
        elif name in _CHAPTERS and depth and self._flag:
            for header in self._header.finditer(data):
                begin = header.start() + 10
                self.add(header[1], header[2][0], data[begin:], depth - 1)

    def _inflate(self, data: bytes, start: int, *, unsynced: bool) -> Iterator[bytes]:
        """Yield the content of a zlib stream, as far as it is one."""
        if unsynced:
            data = data.replace(b"\xff\0", b"\xff")
        stream = zlib.decompressobj()
        rest = data[start:]
        try:
            while rest and not stream.eof:
                piece = stream.decompress(rest, _PIECE)
                rest = stream.unconsumed_tail
                self._total += len(piece)
                INFLATED_BYTES.check(self._total)
                yield piece
        except zlib.error:
            return
