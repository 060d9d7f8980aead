"""DSF: an ID3 tag at the end, with a pointer to it in the header."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

from tagger.containers.blocks import CannotKeepError
from tagger.containers.id3 import Slot
from tagger.containers.parts import cut_off, read_exactly, read_ranges, unpack_at


def missing(file: BinaryIO, start: int, size: int) -> str | None:
    """Say what is missing of the length that its header claims; None where that is nothing."""
    return cut_off(size - start, int(unpack_at(file, start + 12, "<Q")[0]))


class DsfSlot(Slot):
    """An ID3 tag's place in a DSF file: the end, with a pointer in the header."""

    behind = room = 0

    def __init__(self, file: BinaryIO) -> None:
        head = read_exactly(file, 0, 28)
        _, self._claimed, pointer = struct.unpack("<3Q", head[4:28])
        self._length = file.seek(0, 2)
        self._is_consistent = pointer == 0 or 28 <= pointer < self._length
        start = pointer if pointer and self._is_consistent else self._length
        super().__init__(start, self._length - start)

    def check(self) -> None:
        if not self._is_consistent:
            raise CannotKeepError("its header points to a tag behind its end")

    def put(self, file: BinaryIO, data: bytes, *, keep: bool = False) -> None:
        self.check()
        super().put(file, data)
        claimed = self._claimed + len(data) - self.size
        file.seek(12)
        file.write(struct.pack("<2Q", max(0, claimed), self.start if data else 0))

    def content(self, file: BinaryIO) -> Iterator[bytes]:
        """Yield all but the tag and what the header says of it."""
        yield from read_ranges(file, 0, 12)
        yield from read_ranges(file, 28, self.start)
