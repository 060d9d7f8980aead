"""Finds the tags in front of and behind what is a container's own, whoever put them there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

from tagger.containers.apev2 import Apev2, find_apev2
from tagger.containers.blocks import Block
from tagger.containers.bounds import TAG_BYTES, TAGS, Bound
from tagger.containers.id3 import id3v2_length, read_id3v2
from tagger.containers.id3v1 import EXTENSION_SIZE, SIZE, Id3v1, Id3v1Extension
from tagger.containers.parts import BrokenTagError, Part, peek, read_ranges

# How a tag begins that somebody put behind what is the container's own.
_TAG_MAGIC = (b"ID3", b"TAG", b"APETAGEX", b"LYRICSBEGIN")


@dataclass(frozen=True)
class Placed:
    """A tag before or behind what is the container's own, and where it stands."""

    block: Block
    start: int
    end: int


def tags_in_front(file: BinaryIO, end: int, start: int = 0) -> list[Placed]:
    """Return the ID3v2 tags in a row from `start` to `end`; damaged ones are content."""
    placed, position, count = list[Placed](), start, 0
    while position < end and (size := id3v2_length(peek(file, position))):
        if position + size > end:
            break
        count += 1
        TAGS.check(count)
        TAG_BYTES.check(position + size - start)
        with suppress(BrokenTagError):
            block = read_id3v2(file, position, size)
            placed.append(Placed(block, position, position + size))
        position += size
    return placed


def tags_behind(file: BinaryIO, floor: int, *, strict: bool = False) -> list[Placed]:
    """Return the tags behind `floor`, in the order of the file; damaged ones are content.

    Where `strict`, a damaged APE tag is an error.
    """
    placed, position, count = list[Placed](), file.seek(0, 2), 0
    while position > floor:
        TAGS.check(count)
        count += 1
        try:
            start, read = _ending_at(file, position)
            block = read() if read else None
        except BrokenTagError:
            if strict:
                raise
            break
        if start < floor and strict and isinstance(block, Apev2):
            raise BrokenTagError("its tags overlap its sound")
        if not floor <= start < position:
            break
        if block is not None:
            placed.insert(0, Placed(block, start, position))
        position = start
    # What has no footer can only be found from its beginning.
    return [*tags_in_front(file, position, floor), *placed]


def before_tags(file: BinaryIO, end: int) -> int:
    """Return where the tags begin that end at `end`, whatever is in them."""
    with suppress(BrokenTagError):
        for _ in range(TAGS.most):
            end = _ending_at(file, end)[0]
    return end


def _ending_at(file: BinaryIO, end: int) -> tuple[int, Callable[[], Block] | None]:
    """Return where the tag begins that ends at `end`, and what reads it; `end` without any.

    Lyrics count as content: they are passed over.
    """
    # First of all, since in "APETAGEX" and "GTAG_GENRE" the letters of ID3v1 may stand just there.
    if ape := find_apev2(file, end):
        return ape[0], partial(Apev2, file, *ape)
    footer = peek(file, end - 10)
    size = id3v2_length(b"ID3" + footer[3:]) if footer[:3] == b"3DI" else 0
    if size and peek(file, end - size) == b"ID3" + footer[3:]:
        return end - size, partial(read_id3v2, file, end - size, size)
    if peek(file, end - SIZE)[:3] == b"TAG":
        return end - SIZE, partial(Id3v1, end - SIZE, peek(file, end - SIZE, SIZE))
    start = end - EXTENSION_SIZE
    if peek(file, start)[:4] == b"TAG+" and peek(file, end)[:3] == b"TAG":
        return start, partial(Id3v1Extension, start, peek(file, start, EXTENSION_SIZE))
    footer = peek(file, end - 15, 15)
    if footer[6:] == b"LYRICS200" and footer[:6].isdigit():
        return max(0, end - 15 - int(footer[:6])), None
    return end, None


def ape_that_programs_see(file: BinaryIO, back: list[Placed]) -> Apev2 | None:
    """Return the APE tag at the end or before an ID3v1 tag there: few look anywhere else."""
    end = file.seek(0, 2)
    for placed in reversed(back[-2:]):
        if placed.end == end and isinstance(placed.block, Apev2):
            return placed.block
        if placed.end == end and isinstance(placed.block, Id3v1):
            end = placed.start
    return None


def place_before_id3v1(file: BinaryIO, back: list[Placed]) -> int:
    """Return where an APE tag belongs: at the end, but before ID3v1."""
    place = file.seek(0, 2)
    for placed in reversed(back):
        if placed.end != place or not isinstance(placed.block, (Id3v1, Id3v1Extension)):
            break
        place = placed.start
    return place


def end_of_parts(file: BinaryIO, parts: Iterable[Part], bound: Bound) -> int:
    """Return where tags begin among or behind a container's parts; the file's end without any."""
    for count, part in enumerate(parts):
        if begins_tag(file, part.start):
            return part.start
        bound.check(count)
    return file.seek(0, 2)


def begins_tag(file: BinaryIO, position: int) -> bool:
    """Tell whether a tag begins at a position behind what is the container's own."""
    return peek(file, position, 11).startswith(_TAG_MAGIC)


def end_before(placed: list[Placed], file: BinaryIO) -> int:
    """Return where what is the container's own ends: before the tags behind it."""
    return placed[0].start if placed else file.seek(0, 2)


def outside(file: BinaryIO, start: int, end: int, placed: list[Placed]) -> Iterator[bytes]:
    """Yield the bytes from `start` to `end` that belong to none of the tags."""
    for tag in placed:
        yield from read_ranges(file, start, tag.start)
        start = max(start, tag.end)
    yield from read_ranges(file, start, end)
