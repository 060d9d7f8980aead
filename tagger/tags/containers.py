"""Opens a file of the table: which tags it has, which of them is the main one, what is sound.

The main tag is the container's own; a genre in any other is hidden: people who wrote it there
may have long forgotten, but their players have not. An MP3 or TTA whose only words stand in an
APEv2 tag has that for its main one: its players read it, and a new ID3v2 tag would take its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO

from tagger.formats import (
    AIFF,
    ASF,
    DSF,
    FLAC,
    MP4,
    WAV,
    Format,
    id3v2_length,
    iso_boxes,
    skip_id3v2,
)
from tagger.tags.apev2 import Apev2, find_apev2, leading_apev2_size
from tagger.tags.asf import AsfAttributes
from tagger.tags.blocks import (
    Block,
    BrokenTagError,
    CannotKeepError,
    Description,
    Entry,
    read_exactly,
    read_ranges,
    role_of,
)
from tagger.tags.chunks import Chunks, ChunkSlot, DsfSlot, Info
from tagger.tags.id3 import Id3v2, RangeSlot, read_id3v2
from tagger.tags.id3v1 import EXTENSION_SIZE, SIZE, Id3v1, Id3v1Extension
from tagger.tags.mp4 import Ilst
from tagger.tags.ogg import OggComments, ogg_content
from tagger.tags.vorbis import FlacComments

# How a tag begins that somebody put behind what is the container's own.
_TAG_MAGIC = (b"ID3", b"TAG", b"APETAGEX", b"LYRICSBEGIN")
# How far from the end to look for the last page of an Ogg file: a page has at most 65,307 bytes,
# and a tag behind it is seldom longer than a picture.
_OGG_TAILS = (1 << 17, 1 << 22)


@dataclass
class Container:
    """The tags of one open file.

    Attributes
    ----------
    main : Block
        Exists or could be made.
    content : function
        Yields everything in the file but tags, in pieces: the sound above all.
    blocks : list of Block
        All tags, always in the same order, whichever is the main one; those that could be made
        among them.
    """

    main: Block
    content: Callable[[], Iterator[bytes]]
    blocks: list[Block]

    @property
    def hidden(self) -> list[Block]:
        """The tags beside the main one."""
        return [block for block in self.blocks if block is not self.main]

    def asks_for_genre(self, block: Block) -> bool:
        """Whether a tag beside the main one is to say the genre; one is made only with that."""
        if block is self.main:
            return False
        return block.wants_genre and (block.exists or self.main.is_bare)

    def description(self) -> Description:
        """What the hidden tags say besides the genre; of several, the first has the word."""
        told: Description = {}
        for block in self.hidden:
            for name, values in block.description().items():
                if role_of(name, genre="GENRE") is None:
                    told.setdefault(name, values)
        return told

    def carried(self) -> list[Entry]:
        """What the main tag says for the hidden ones where it says nothing else.

        Most programs show the first tag that says anything, and no other: to them a main tag that
        says only the genre takes the title and the artist away.
        """
        return self.main.tell(self.description())


class _FixedSlot(RangeSlot):
    """A place that must keep its size."""

    def put(self, file: BinaryIO, data: bytes) -> None:
        if len(data) != self.size:
            raise CannotKeepError("the ID3 tag in front of it has no room, and it must not grow")
        super().put(file, data)


@dataclass(frozen=True)
class _Placed:
    """A tag before or behind what is the container's own, and where it stands."""

    block: Block
    start: int
    end: int


def open_container(file: BinaryIO, format: Format) -> Container:
    """Take the tags of a file apart; positions hold until something is written.

    Raises
    ------
    BrokenTagError
        The main tag, or what surrounds it, is damaged. Damaged hidden tags count as content.
    """
    if format == DSF:
        slot = DsfSlot(file)
        main = Id3v2(slot, read_exactly(file, slot.start, slot.size))
        return Container(main, lambda: slot.content(file), [main])
    if format in (WAV, AIFF):
        return _open_chunks(file, skip_id3v2(file))
    if format.family in ("id3", "ape") or format == FLAC:
        return _open_stream(file, format)
    start = skip_id3v2(file)
    if format == MP4:
        # The chunk offsets count from the start of the file: what stands there must not grow.
        front, back = _front(file, start, fixed=True), _back(file, _end_of_boxes(file, start))
        ilst = Ilst(file, start, _first(back, file))
        return _surrounded(file, ilst, front, back, lambda: ilst.content(file))
    front = _front(file, start)
    if format == ASF:
        back = _back(file, _end_of_objects(file, start))
        end, attributes = _first(back, file), AsfAttributes(file, start)
        return _surrounded(file, attributes, front, back, lambda: attributes.content(file, end))
    back = _back(file, _end_of_pages(file))
    end, comments = _first(back, file), OggComments(file, start, format)
    return _surrounded(file, comments, front, back, lambda: ogg_content(file, start, end, comments))


def _surrounded(
    file: BinaryIO,
    main: Block,
    front: list[_Placed],
    back: list[_Placed],
    inner: Callable[[], Iterator[bytes]],
) -> Container:
    """A container of which `inner` yields what stands between the tags in front and behind."""

    def content() -> Iterator[bytes]:
        yield from _outside(file, 0, front[-1].end if front else 0, front)
        yield from inner()
        yield from _outside(file, _first(back, file), file.seek(0, 2), back)

    return Container(main, content, [main, *(p.block for p in (*front, *back))])


def _open_chunks(file: BinaryIO, start: int) -> Container:
    chunks = Chunks(file, start)
    tags: list[Block] = [
        Id3v2(ChunkSlot(chunks, c), read_exactly(file, c.start + 8, c.size))
        for c in chunks.find(b"ID3 ")
    ] or [Id3v2(ChunkSlot(chunks, None))]
    main = tags[0]
    for chunk in chunks.find(b"LIST") if chunks.is_wav else []:
        file.seek(chunk.start + 8)
        if file.read(4) == b"INFO":
            tags.append(Info(file, chunks, chunk))
    if chunks.is_wav and not any(isinstance(tag, Info) for tag in tags):
        tags.append(Info(file, chunks, None))  # some programs read only that
    front, back = _front(file, start), _back(file, chunks.end)

    def content() -> Iterator[bytes]:
        yield from _outside(file, 0, start, front)
        yield from chunks.content(file)
        yield from _outside(file, chunks.end, file.seek(0, 2), back)

    return Container(main, content, [*tags, *(p.block for p in (*front, *back))])


def _open_stream(file: BinaryIO, format: Format) -> Container:
    """ID3v2 in front, ID3v1 and perhaps APE behind, a stream of sound between them."""
    sound, front = 0, list[Block]()
    while True:
        if size := id3v2_length(_peek(file, sound)):
            front.append(read_id3v2(file, sound, size))
        elif format.family == "id3" and (size := leading_apev2_size(file, sound)):
            front.append(Apev2(file, sound, size))
        else:
            break
        sound += size
    others = list[bytes]()
    if format == FLAC:
        comments = FlacComments(file, sound)
        sound, others = comments.end, comments.others()
    back = _back(file, sound, strict=format.family == "ape")
    hidden = [p.block for p in back]
    main: Block
    if format == FLAC:
        main, blocks = comments, [comments, *front, *hidden]
    elif format.family == "ape":
        apes = [block for block in hidden if isinstance(block, Apev2)]
        main = apes[-1] if apes else Apev2(file, _before_id3v1(file, back), 0)
        blocks = [main, *front, *(block for block in hidden if block is not main)]
    else:
        first = next((b for b in front if isinstance(b, Id3v2)), None) or read_id3v2(file, 0, 0)
        blocks = [first, *(block for block in front if block is not first), *hidden]
        ape = _ape_that_programs_see(file, back)
        main = ape if ape is not None and ape.describes and first.is_bare else first

    def content() -> Iterator[bytes]:
        yield from others
        yield from _outside(file, sound, file.seek(0, 2), back)

    return Container(main, content, blocks)


def _front(file: BinaryIO, end: int, *, fixed: bool = False) -> list[_Placed]:
    """The ID3v2 tags in front of a container that begins at `end`; damaged ones are content."""
    placed, position = list[_Placed](), 0
    while position < end and (size := id3v2_length(_peek(file, position))):
        slot = _FixedSlot(position, size, room=0) if fixed else None
        with suppress(BrokenTagError):
            block = read_id3v2(file, position, size, slot)
            placed.append(_Placed(block, position, position + size))
        position += size
    return placed


def _back(file: BinaryIO, floor: int, *, strict: bool = False) -> list[_Placed]:
    """The tags behind `floor`, in the order of the file; damaged ones are content.

    Where `strict`, a damaged APE tag is an error.
    """
    placed, position = list[_Placed](), file.seek(0, 2)
    while position > floor:
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
            placed.insert(0, _Placed(block, start, position))
        position = start
    # What has no footer can only be found from its beginning.
    first = position
    position = floor
    while position < first and (size := id3v2_length(_peek(file, position))):
        if position + size > first:
            break
        with suppress(BrokenTagError):
            block = read_id3v2(file, position, size)
            placed.append(_Placed(block, position, position + size))
        position += size
    return sorted(placed, key=lambda p: p.start)


def _ending_at(file: BinaryIO, end: int) -> tuple[int, Block | None]:
    """Where the tag begins that ends at `end`, and it; `end` itself where there is none.

    Lyrics count as content: they are passed over.
    """
    # First of all, since in "APETAGEX" and "GTAG_GENRE" the letters of ID3v1 may stand just there.
    if ape := find_apev2(file, end):
        return ape[0], Apev2(file, *ape)
    footer = _peek(file, end - 10)
    size = id3v2_length(b"ID3" + footer[3:]) if footer[:3] == b"3DI" else 0
    if size and _peek(file, end - size) == b"ID3" + footer[3:]:
        return end - size, read_id3v2(file, end - size, size)
    if _peek(file, end - SIZE)[:3] == b"TAG":
        return end - SIZE, Id3v1(end - SIZE, read_exactly(file, end - SIZE, SIZE))
    start = end - EXTENSION_SIZE
    if _peek(file, start)[:4] == b"TAG+" and _peek(file, end)[:3] == b"TAG":
        return start, Id3v1Extension(start, read_exactly(file, start, EXTENSION_SIZE))
    footer = _peek(file, end - 15, 15)
    if footer[6:] == b"LYRICS200" and footer[:6].isdigit():
        return max(0, end - 15 - int(footer[:6])), None
    return end, None


def _ape_that_programs_see(file: BinaryIO, back: list[_Placed]) -> Apev2 | None:
    """The APE tag at the end or before an ID3v1 tag there: few look anywhere else."""
    end = file.seek(0, 2)
    for placed in reversed(back[-2:]):
        if placed.end == end and isinstance(placed.block, Apev2):
            return placed.block
        if placed.end == end and isinstance(placed.block, Id3v1):
            end = placed.start
    return None


def _before_id3v1(file: BinaryIO, back: list[_Placed]) -> int:
    """Where an APE tag belongs: at the end, but before ID3v1."""
    place = file.seek(0, 2)
    for placed in reversed(back):
        if placed.end != place or not isinstance(placed.block, (Id3v1, Id3v1Extension)):
            break
        place = placed.start
    return place


def _end_of_boxes(file: BinaryIO, start: int) -> int:
    """Where tags begin behind the boxes of an MP4 file; its end where there are none."""
    length = file.seek(0, 2)
    for _, box, _, _ in iso_boxes(file, start, length):
        if _peek(file, box, 11).startswith(_TAG_MAGIC):
            return box
    return length


def _end_of_objects(file: BinaryIO, start: int) -> int:
    """Where tags begin behind the objects of an ASF file; its end where there are none."""
    length = file.seek(0, 2)
    while start < length and not _peek(file, start, 11).startswith(_TAG_MAGIC):
        size = int.from_bytes(_peek(file, start + 16, 8), "little")
        if size < 24:
            return length
        start += size
    return min(start, length)


def _end_of_pages(file: BinaryIO) -> int:
    """Where tags begin behind the pages of an Ogg file; its end where there are none."""
    length = file.seek(0, 2)
    for tail in _OGG_TAILS:
        base = max(0, length - tail)
        file.seek(base)
        place = file.read().rfind(b"OggS\0")
        if place < 0:
            continue
        head = _peek(file, base + place, 27 + 255)
        segments = head[27 : 27 + head[26]] if len(head) >= 27 else b""
        end = base + place + 27 + len(segments) + sum(segments)
        return end if _peek(file, end, 11).startswith(_TAG_MAGIC) else length
    return length


def _first(placed: list[_Placed], file: BinaryIO) -> int:
    """Where the first of the tags behind a container begins, or the file ends."""
    return placed[0].start if placed else file.seek(0, 2)


def _outside(file: BinaryIO, start: int, end: int, placed: list[_Placed]) -> Iterator[bytes]:
    """The bytes from `start` to `end` that belong to none of the tags."""
    for tag in placed:
        yield from read_ranges(file, start, tag.start)
        start = max(start, tag.end)
    yield from read_ranges(file, start, end)


def _peek(file: BinaryIO, position: int, size: int = 10) -> bytes:
    if position < 0:
        return b""
    file.seek(position)
    return file.read(size)
