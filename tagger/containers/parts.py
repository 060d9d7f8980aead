"""Reads and moves parts of a file: boxes, chunks, objects, and plain stretches of bytes."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO, NamedTuple

_COPY_BYTES = 1 << 18  # more do not stay in the processor's cache


class BrokenTagError(Exception):
    """A tag cannot be taken apart: the message says why, callers say for which file."""


class Part(NamedTuple):
    """A box, chunk, object or element of a container.

    Attributes
    ----------
    kind : bytes
        As it stands in the file.
    start, body, end : int
        Where it begins, where its content does, and where it ends, as it claims: perhaps behind
        the end of the file.
    """

    kind: bytes
    start: int
    body: int
    end: int

    @property
    def size(self) -> int:
        """Bytes of its content, as it claims."""
        return self.end - self.body


def parts_within(
    walk: Callable[[BinaryIO, int, int], Iterator[Part]],
    file: BinaryIO,
    start: int,
    end: int,
    kinds: tuple[bytes, ...],
) -> Iterator[Part]:
    """Yield the parts of the last kind from `start` to `end`, each kind within the one before."""
    for part in walk(file, start, end):
        if part.kind == kinds[0]:
            if len(kinds) == 1:
                yield part
            else:
                yield from parts_within(walk, file, part.body, min(part.end, end), kinds[1:])


def peek(file: BinaryIO, position: int, size: int = 10) -> bytes:
    """Return up to `size` bytes at a position; none before the file's beginning."""
    if position < 0:
        return b""
    file.seek(position)
    return file.read(size)


def unpack_at(file: BinaryIO, position: int, form: str) -> tuple[Any, ...]:
    """Return the numbers at a position; raises struct.error where the file has fewer bytes."""
    return struct.unpack(form, peek(file, position, struct.calcsize(form)))


def read_exactly(file: BinaryIO, start: int, size: int) -> bytes:
    """Return bytes of a file; raises BrokenTagError where it has fewer."""
    data = peek(file, start, size)
    if len(data) != size:
        raise BrokenTagError("it ends in the middle of its tag")
    return data


def replace_range(file: BinaryIO, start: int, size: int, data: bytes) -> None:
    """Put `data` in the place of `size` bytes at `start`; what follows moves along."""
    end = file.seek(0, 2)
    old_tail, new_tail = start + size, start + len(data)
    shift = new_tail - old_tail
    places = range(old_tail, end, _COPY_BYTES) if shift else range(0)
    # From the back where it grows, so that nothing is overwritten before it is read.
    for place in reversed(places) if shift > 0 else places:
        moved = peek(file, place, min(_COPY_BYTES, end - place))
        file.seek(place + shift)
        file.write(moved)
    if shift < 0:
        file.truncate(end + shift)
    file.seek(start)
    file.write(data)


def read_ranges(file: BinaryIO, start: int, end: int) -> Iterator[bytes]:
    """Yield the bytes from `start` to `end`, in pieces."""
    file.seek(start)
    while start < end:
        piece = file.read(min(_COPY_BYTES, end - start))
        if not piece:
            return
        yield piece
        start += len(piece)


def hashing(pieces: Iterable[bytes], digest: hashlib._Hash) -> Iterator[bytes]:
    """Yield pieces of a file, which go into a hash on their way."""
    for piece in pieces:
        digest.update(piece)
        yield piece


def digest_of(pieces: Iterable[bytes], most: int | None = None) -> str:
    """Return the SHA-256 of pieces of a file, one behind the other; of their first bytes alone."""
    digest, left = hashlib.sha256(), most
    for piece in pieces:
        digest.update(piece[:left])
        if left is not None and (left := left - len(piece)) <= 0:
            break
    return digest.hexdigest()


class HashedFile:
    """A file open for reading, of which the bytes are hashed as they are read: each once, in order.

    Parameters
    ----------
    file : binary file
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._sum, self._hashed = hashlib.sha256(), -1
        self.seek, self.tell = file.seek, file.tell

    def begin(self) -> None:
        """Hash from now on what is read, and what is skipped."""
        self._hashed = 0

    def read(self, size: int = -1) -> bytes:
        """Return what the file does."""
        if self._hashed < 0:
            return self._file.read(size)
        place = self.tell()
        if place > self._hashed:
            self._hash_up_to(place)
            self.seek(place)
        data = self._file.read(size)
        if place + len(data) > self._hashed:
            self._sum.update(data[self._hashed - place :] if place < self._hashed else data)
            self._hashed = place + len(data)
        return data

    def digest(self) -> str:
        """Return the SHA-256 of all of the file, of which the rest is read."""
        self._hash_up_to(self.seek(0, 2))
        return self._sum.hexdigest()

    def _hash_up_to(self, place: int) -> None:
        for piece in read_ranges(self._file, self._hashed, place):
            self._sum.update(piece)
            self._hashed += len(piece)


def same_bytes(ones: Iterable[bytes], others: Iterable[bytes]) -> bool:
    """Tell whether pieces, one behind the other, are the same bytes, however they are cut."""
    left, right = filter(None, ones), filter(None, others)
    one = other = b""
    while True:
        one, other = one or next(left, b""), other or next(right, b"")
        n = min(len(one), len(other))
        if n == 0 or one[:n] != other[:n]:
            return one == other
        one, other = one[n:], other[n:]


def cut_off(there: int, claimed: int) -> str | None:
    """Say that a file has fewer bytes than it claims; None where it has them."""
    if there >= claimed:
        return None
    return f"cut off: {there:,} of the {claimed:,} bytes that its header claims are there"
