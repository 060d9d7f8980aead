"""APEv2 tags (and APEv1, read the same way), item by item as raw bytes.

They stand at the end of a file, before an ID3v1 tag and a Lyrics3 block if there are such; seldom
at its beginning.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from typing import Any, BinaryIO

from tagger.containers.blocks import (
    COMMENT,
    GENRE,
    MOOD,
    MULTI_VALUE_SEPARATOR,
    Block,
    Description,
    Entry,
    distinct,
    from_text,
    role_of,
    split_joint,
    to_text,
)
from tagger.containers.bounds import FIELDS, TAG_BYTES
from tagger.containers.parts import BrokenTagError, peek, read_exactly, replace_range

_MAGIC = b"APETAGEX"
_LEAST_ITEM = 9  # bytes: two numbers, and the end of a name
_HAS_HEADER, _IS_HEADER = 1 << 31, 1 << 29

# What has another name here than in a Vorbis comment.
_KEYS = {
    "TITLE": "Title",
    "ARTIST": "Artist",
    "ALBUM": "Album",
    "ALBUMARTIST": "Album Artist",
    "COMMENT": "Comment",
    "COMPOSER": "Composer",
    "DATE": "Year",
    "DISCNUMBER": "Disc",
    "REMIXER": "MixArtist",
    "TRACKNUMBER": "Track",
}
_NAMES = {key.upper(): name for name, key in _KEYS.items()}
_NO_KEYS = ("ID3", "TAG", "OGGS", "MP+")  # what the format forbids


class Apev2(Block):
    """The APE tag in `size` bytes at `start`; none where `size` is 0."""

    name = "APEv2"

    def __init__(self, file: BinaryIO, start: int, size: int) -> None:
        super().__init__(exists=size > 0)
        self._start, self._size = start, size
        self._version, self._flags, self._header, self._reserved = 2000, _HAS_HEADER, b"", bytes(8)
        self._has_footer = True
        if not size:
            return
        TAG_BYTES.check(size)
        data = read_exactly(file, start, size)
        # Flags say that as well, but some writers have them the wrong way round.
        self._has_footer = data[-32:-24] == _MAGIC
        numbers = data[-32:] if self._has_footer else data[:32]
        self._version, _, count, self._flags = struct.unpack("<4I", numbers[8:24])
        self._reserved = numbers[24:]
        if self._version not in (1000, 2000):
            raise BrokenTagError("its APE tag is of an unknown version")
        if self._has_footer:
            data = data[:-32]
        if data.startswith(_MAGIC):
            self._header, data = data[:32], data[32:]
        position = 0
        if _LEAST_ITEM * count > len(data):
            raise BrokenTagError("its APE tag is damaged: it does not hold what it counts")
        FIELDS.check(count)
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
        if role is None:
            return Entry(raw)
        if flags >> 1 & 3:  # not text; what is empty says nothing, whatever its kind
            return Entry(raw, None if raw[key_end + 1 :].strip(b"\0 ") else role)
        values = _values(raw[key_end + 1 :])
        return Entry(raw, role, tuple(values if self._version >= 2000 else split_joint(values)))

    @property
    def wants_genre(self) -> bool:
        return self.exists and (super().wants_genre or self.describes)

    def description(self) -> Description:
        told: Description = {}
        for entry in self.entries:
            if entry.role is None and not struct.unpack("<I", entry.raw[4:8])[0] >> 1 & 3:
                key, _, value = entry.raw[8:].partition(b"\0")
                name = key.decode("latin-1").upper()
                told[_NAMES.get(name, name)] = distinct(_values(value))
        return {name: values for name, values in told.items() if values}

    def tell(self, description: Description) -> list[Entry]:
        return [
            Entry(self._item(_KEYS.get(name, name), values))
            for name, values in description.items()
            if re.fullmatch("[ -~]{2,255}", name) and name not in _NO_KEYS
        ]

    def make(self, role: str, values: tuple[str, ...]) -> list[Entry]:
        key = {GENRE: "Genre", MOOD: "Mood", COMMENT: "Comment"}.get(role, role)
        return [Entry(self._item(key, values), role, values)]

    def as_mutagen_reads(self, tags: Any, role: str) -> tuple[str, ...]:
        values = list(tags[role])
        # Joined in APEv1.
        return tuple(split_joint(values) if len(values) == 1 else values)

    def _item(self, key: str, values: tuple[str, ...]) -> bytes:
        text = ("\0" if self._version >= 2000 else MULTI_VALUE_SEPARATOR).join(values).encode()
        return struct.pack("<2I", len(text), 0) + key.encode() + b"\0" + text

    def store(self, file: BinaryIO, shape: Mapping[str, Any] | None = None) -> None:
        header, flags, reserved = self._header, self._flags, self._reserved
        if shape is not None:
            header, reserved = from_text(shape["header"]), from_text(shape["reserved"])
            flags = shape["flags"]
        items = b"".join(e.raw for e in self.entries)
        numbers = (self._version, len(items) + 32, len(self.entries))
        footer = _MAGIC + struct.pack("<4I", *numbers, flags) + reserved
        if not self._has_footer:
            footer, numbers = b"", (self._version, len(items), len(self.entries))
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


def _values(raw: bytes) -> list[str]:
    try:
        return raw.decode("utf-8").split("\0")
    except UnicodeDecodeError:
        return raw.decode("latin-1").split("\0")


def find_apev2(file: BinaryIO, end: int) -> tuple[int, int] | None:
    """Return start and size of the APE tag that ends at `end`; None where there is none."""
    footer = peek(file, end - 32, 32)
    if footer[:8] != _MAGIC:
        return None
    version, size, _, flags = struct.unpack("<4I", footer[8:24])
    if version not in (1000, 2000) or size < 32 or flags & _IS_HEADER:
        return None
    start = end - size
    if start < 0:
        raise BrokenTagError("its APE tag claims to be longer than the file")
    if peek(file, start - 32, 8) == _MAGIC:
        start -= 32
    return start, end - start


def leading_apev2_size(file: BinaryIO, start: int) -> int:
    """Return the bytes of the APE tag that begins at `start`; 0 where none does."""
    header = peek(file, start, 32)
    if len(header) < 32 or header[:8] != _MAGIC:
        return 0
    version, size, _, flags = struct.unpack("<4I", header[8:24])
    return 32 + size if version == 2000 and flags & _IS_HEADER else 0
