"""Finds the tags in front of and behind what is a container's own, whoever put them there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import count as count_from
from typing import BinaryIO

from tagger.containers.apev2 import Apev2, find_apev2
from tagger.containers.blocks import Block, BrokenTagError, read_exactly, read_ranges
from tagger.containers.bounds import BOXES, OBJECTS, TAG_BYTES, TAGS
from tagger.containers.formats import id3v2_length, iso_boxes
from tagger.containers.id3 import read_id3v2
from tagger.containers.id3v1 import EXTENSION_SIZE, SIZE, Id3v1, Id3v1Extension

# How a tag begins that somebody put behind what is the container's own.
_TAG_MAGIC = (b"ID3", b"TAG", b"APETAGEX", b"LYRICSBEGIN")
# How far from the end to look for the last page of an Ogg file: a page has at most 65,307 bytes,
# and a tag behind it is seldom longer than a picture.
_OGG_TAILS = (1 << 17, 1 << 22)


@dataclass(frozen=True)
class Placed:
    """A tag before or behind what is the container's own, and where it stands."""

    block: Block
    start: int
    end: int


def tags_in_front(file: BinaryIO, end: int, start: int = 0) -> list[Placed]:
    """The ID3v2 tags one behind the other from `start` to `end`; damaged ones are content."""
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
    """The tags behind `floor`, in the order of the file; damaged ones are content.

    Where `strict`, a damaged APE tag is an error.
    """
    placed, position = list[Placed](), file.seek(0, 2)
    for count in count_from():
        if position <= floor:
            break
        TAGS.check(count)
        try:
            start, block = _ending_at(file, position)
        except BrokenTagError:
            if strict:
                raise
            break
        if start >= position:
            break
        if start < floor:
            if strict and isinstance(block, Apev2):
                raise BrokenTagError("its tags overlap its sound")
            break
        if block is not None:
            placed.insert(0, Placed(block, start, position))
        position = start
    # What has no footer can only be found from its beginning.
    return [*tags_in_front(file, position, floor), *placed]


def _ending_at(file: BinaryIO, end: int) -> tuple[int, Block | None]:
    """Where the tag begins that ends at `end`, and it; `end` itself where there is none.

    Lyrics count as content: they are passed over.
    """
    # First of all, since in "APETAGEX" and "GTAG_GENRE" the letters of ID3v1 may stand just there.
    if ape := find_apev2(file, end):
        return ape[0], Apev2(file, *ape)
    footer = peek(file, end - 10)
    size = id3v2_length(b"ID3" + footer[3:]) if footer[:3] == b"3DI" else 0
    if size and peek(file, end - size) == b"ID3" + footer[3:]:
        return end - size, read_id3v2(file, end - size, size)
    if peek(file, end - SIZE)[:3] == b"TAG":
        return end - SIZE, Id3v1(end - SIZE, read_exactly(file, end - SIZE, SIZE))
    start = end - EXTENSION_SIZE
    if peek(file, start)[:4] == b"TAG+" and peek(file, end)[:3] == b"TAG":
        return start, Id3v1Extension(start, read_exactly(file, start, EXTENSION_SIZE))
    footer = peek(file, end - 15, 15)
    if footer[6:] == b"LYRICS200" and footer[:6].isdigit():
        return max(0, end - 15 - int(footer[:6])), None
    return end, None


def ape_that_programs_see(file: BinaryIO, back: list[Placed]) -> Apev2 | None:
    """The APE tag at the end or before an ID3v1 tag there: few look anywhere else."""
    end = file.seek(0, 2)
    for placed in reversed(back[-2:]):
        if placed.end == end and isinstance(placed.block, Apev2):
            return placed.block
        if placed.end == end and isinstance(placed.block, Id3v1):
            end = placed.start
    return None


def place_before_id3v1(file: BinaryIO, back: list[Placed]) -> int:
    """Where an APE tag belongs: at the end, but before ID3v1."""
    place = file.seek(0, 2)
    for placed in reversed(back):
        if placed.end != place or not isinstance(placed.block, (Id3v1, Id3v1Extension)):
            break
        place = placed.start
    return place


def end_of_boxes(file: BinaryIO, start: int) -> int:
    """Where tags begin behind the boxes of an MP4 file; its end where there are none."""
    length = file.seek(0, 2)
    for count, (_, box, _, _) in enumerate(iso_boxes(file, start, length)):
        BOXES.check(count)
        if peek(file, box, 11).startswith(_TAG_MAGIC):
            return box
    return length


def end_of_objects(file: BinaryIO, start: int) -> int:
    """Where tags begin behind the objects of an ASF file; its end where there are none."""
    length = file.seek(0, 2)
    for count in count_from():
        if start >= length or peek(file, start, 11).startswith(_TAG_MAGIC):
            break
        OBJECTS.check(count)
        size = int.from_bytes(peek(file, start + 16, 8), "little")
        if size < 24:
            return length
        start += size
    return min(start, length)


def end_of_pages(file: BinaryIO) -> int:
    """Where tags begin behind the pages of an Ogg file; its end where there are none."""
    length = file.seek(0, 2)
    for tail in _OGG_TAILS:
        base = max(0, length - tail)
        file.seek(base)
        place = file.read().rfind(b"OggS\0")
        if place < 0:
            continue
        head = peek(file, base + place, 27 + 255)
        segments = head[27 : 27 + head[26]] if len(head) >= 27 else b""
        end = base + place + 27 + len(segments) + sum(segments)
        return end if peek(file, end, 11).startswith(_TAG_MAGIC) else length
    return length


def end_before(placed: list[Placed], file: BinaryIO) -> int:
    """Where what is the container's own ends: before the tags behind it."""
    return placed[0].start if placed else file.seek(0, 2)


def outside(file: BinaryIO, start: int, end: int, placed: list[Placed]) -> Iterator[bytes]:
    """The bytes from `start` to `end` that belong to none of the tags."""
    for tag in placed:
        yield from read_ranges(file, start, tag.start)
        start = max(start, tag.end)
    yield from read_ranges(file, start, end)


def peek(file: BinaryIO, position: int, size: int = 10) -> bytes:
    if position < 0:
        return b""
    file.seek(position)
    return file.read(size)
