"""Vorbis comments as raw bytes: in FLAC and Ogg files.

Comments are kept as they stand, also those that are no UTF-8.
"""

from __future__ import annotations

import struct

from tagger.containers.blocks import GENRE, Block, CannotKeepError, Entry, role_of
from tagger.containers.bounds import FIELDS
from tagger.containers.parts import BrokenTagError


class Comments(Block):
    """A Vorbis comment: vendor, comments, and what follows them. Where it stands, others say."""

    name = "Vorbis comment"

    def __init__(self, data: bytes | None) -> None:
        """Take `data`, which begins with the vendor's length; None where no comment is."""
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

    def rendered(self, *, in_flac: bool) -> bytes:
        """Return the comment as bytes, beginning with the length of the vendor's name."""
        head = struct.pack("<I", len(self._vendor)) + self._vendor
        comments = [struct.pack("<I", len(e.raw)) + e.raw for e in self.entries]
        data = head + struct.pack("<I", len(comments)) + b"".join(comments) + self._rest
        if in_flac and len(data) >= 1 << 24:
            raise CannotKeepError("its Vorbis comment would grow beyond what FLAC allows")
        return data
