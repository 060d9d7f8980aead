"""APEv2 tags (and APEv1, read the same way), item by item as raw bytes.

They stand at the end of a file, before an ID3v1 tag and a Lyrics3 block if there are such.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any, BinaryIO

from tagger.tags.blocks import (
    GENRE,
    JOINT,
    Block,
    BrokenTagError,
    Entry,
    from_text,
    read_exactly,
    refuse_beyond_reason,
    replace_range,
    role_of,
    split_joint,
    to_text,
)

_MAGIC = b"APETAGEX"
_HAS_HEADER, _IS_HEADER = 1 << 31, 1 << 29


class Apev2(Block):
    """The APE tag in `size` bytes at `start`; none where `size` is 0."""

    name = "APEv2"

    def __init__(self, file: BinaryIO, start: int, size: int) -> None:
        super().__init__(exists=size > 0)
        self._start, self._size = start, size
        self._version, self._flags, self._header, self._reserved = 2000, _HAS_HEADER, b"", bytes(8)
        if not size:
            return
        data = read_exactly(file, start, size)
        self._version, _, count, self._flags = struct.unpack("<4I", data[-24:-8])
        self._reserved = data[-8:]
        if data.startswith(_MAGIC):
            self._header, data = data[:32], data[32:]
        data, position = data[:-32], 0
        refuse_beyond_reason(count)
        while position < len(data) and len(self.entries) < count:
            key_end = data.find(b"\0", position + 8)
            if key_end < 0:
                raise BrokenTagError("its APE tag is damaged")
            length = struct.unpack("<I", data[position : position + 4])[0]
            end = key_end + 1 + length
            if end > len(data):
                raise BrokenTagError("its APE tag is damaged")
            self.entries.append(self._entry(data[position:end], key_end - position))
            position = end
        if len(self.entries) != count or position != len(data):
            raise BrokenTagError("its APE tag is damaged: it does not hold what it counts")

    def _entry(self, raw: bytes, key_end: int) -> Entry:
        flags = struct.unpack("<I", raw[4:8])[0]
        role = role_of(raw[8:key_end].decode("latin-1"), genre="Genre")
        if role is None or flags >> 1 & 3:  # not text
            return Entry(raw)
        try:
            text = raw[key_end + 1 :].decode("utf-8")
        except UnicodeDecodeError:
            text = raw[key_end + 1 :].decode("latin-1")
        values = text.split("\0")
        return Entry(raw, role, tuple(values if self._version >= 2000 else split_joint(values)))

    def make(self, role: str, values: tuple[str, ...]) -> list[Entry]:
        text = ("\0" if self._version >= 2000 else JOINT).join(values).encode()
        key = b"Genre" if role == GENRE else role.encode()
        return [Entry(struct.pack("<2I", len(text), 0) + key + b"\0" + text, role, values)]

    def store(self, file: BinaryIO, shape: Mapping[str, Any] | None = None) -> None:
        header, flags, reserved = self._header, self._flags, self._reserved
        if shape is not None:
            header, reserved = from_text(shape["header"]), from_text(shape["reserved"])
            flags = shape["flags"]
        items = b"".join(e.raw for e in self.entries)
        numbers = (self._version, len(items) + 32, len(self.entries))
        footer = _MAGIC + struct.pack("<4I", *numbers, flags) + reserved
        if header or not self.exists:
            old_flags = struct.unpack("<I", header[20:24])[0] if header else flags | _IS_HEADER
            header = _MAGIC + struct.pack("<4I", *numbers, old_flags) + (header[24:] or reserved)
        replace_range(file, self._start, self._size, header + items + footer)

    def remove(self, file: BinaryIO, shape: Mapping[str, Any]) -> None:
        replace_range(file, self._start, self._size, b"")

    def shape(self) -> dict[str, Any]:
        return {
            "header": to_text(self._header),
            "flags": self._flags,
            "reserved": to_text(self._reserved),
        }


def find_apev2(file: BinaryIO, id3v1_start: int) -> tuple[int, int]:
    """Start and size of the APE tag before `id3v1_start` (or the end of the file).

    Where there is none, size 0 and the place where it belongs.
    """
    for end in (id3v1_start, _before_lyrics3(file, id3v1_start)):
        if end < 32:
            continue
        file.seek(end - 32)
        footer = file.read(32)
        version, size, _, flags = struct.unpack("<4I", footer[8:24])
        if footer[:8] != _MAGIC or version not in (1000, 2000) or size < 32 or flags & _IS_HEADER:
            continue
        start = end - size
        if start < 0:
            raise BrokenTagError("its APE tag claims to be longer than the file")
        file.seek(max(0, start - 32))
        if start >= 32 and file.read(8) == _MAGIC:
            start -= 32
        return start, end - start
    return id3v1_start, 0


def _before_lyrics3(file: BinaryIO, end: int) -> int:
    if end < 15:
        return 0
    file.seek(end - 15)
    footer = file.read(15)
    if footer[6:] != b"LYRICS200" or not footer[:6].isdigit():
        return 0
    return max(0, end - 15 - int(footer[:6]))
