"""Opens a file with all its tags, and tells which is the main one and where the sound is.

The main tag is the container's own; a genre in any other is hidden, though players may show it.
An MP3 or TTA whose only words stand in an APEv2 tag has that for its main one: its players read it,
and a new ID3v2 tag would take its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import BinaryIO

from tagger.containers import asf, mp4
from tagger.containers.apev2 import Apev2, find_apev2, leading_apev2_size
from tagger.containers.asf import AsfAttributes
from tagger.containers.blocks import ROLES, Block, Description, Entry, role_of
from tagger.containers.bounds import BOXES, OBJECTS, TAG_BYTES, TAGS, Bound, deadline
from tagger.containers.dsf import DsfSlot
from tagger.containers.flac import FlacComments
from tagger.containers.formats import AIFF, ASF, DSF, FLAC, MP4, WAV, Format
from tagger.containers.id3 import Id3v2, id3v2_length, read_id3v2, skip_id3v2
from tagger.containers.id3v1 import EXTENSION_SIZE, SIZE, Id3v1, Id3v1Extension
from tagger.containers.mp4 import Ilst
from tagger.containers.ogg import OggComments, end_of_pages
from tagger.containers.parts import BrokenTagError, Part, peek, read_exactly, read_ranges
from tagger.containers.wav_aiff import Chunks, ChunkSlot, DamagedInfo, Info

# How a tag begins that somebody put behind what is the container's own.
_TAG_MAGIC = (b"ID3", b"TAG", b"APETAGEX", b"LYRICSBEGIN")


@dataclass(frozen=True)
class _Placed:
    """A tag before or behind what is the container's own, and where it stands."""

    block: Block
    start: int
    end: int


@dataclass
class Container:
    """The tags of one open file.

    Attributes
    ----------
    main : Block
        Exists or could be made.
    sound : function
        Yields everything in the file but tags, and but what tag editors change beside them, in
        pieces.
    blocks : list of Block
        All tags, always in the same order, whichever is the main one; those that could be made
        among them.
    beside : function
        Yields what tag editors change beside their tags.
    """

    main: Block
    sound: Callable[[], Iterator[bytes]]
    blocks: list[Block]
    beside: Callable[[], Iterable[bytes]] = tuple

    def content(self) -> Iterator[bytes]:
        """Yield everything in the file but tags: the sound last."""
        yield from self.beside()
        yield from self.sound()

    @property
    def hidden(self) -> list[Block]:
        """The tags beside the main one."""
        return [block for block in self.blocks if block is not self.main]

    def asks_for_genre(self, block: Block) -> bool:
        """Tell whether a tag beside the main one is to say the genre, or to be made with it."""
        if block is self.main:
            return False
        return block.wants_genre and (block.exists or self.main.is_bare)

    def description(self) -> Description:
        """Return what the hidden tags say besides the genre; of several, the first has the word."""
        told: Description = {}
        for block in self.hidden:
            for name, values in block.description().items():
                if role_of(name, genre="GENRE") not in (*ROLES, *self.main.roles):
                    told.setdefault(name, values)
        return told

    def carried(self) -> list[Entry]:
        """Return what the main tag says for the hidden ones where it says nothing else.

        Most programs show the first tag that says anything, and no other: to them a main tag that
        says only the genre takes the title and the artist away.
        """
        return self.main.tell(self.description())


def open_container(file: BinaryIO, format: Format, roles: tuple[str, ...] = ROLES) -> Container:
    """Take the tags of a file apart; positions hold until something is written.

    Parameters
    ----------
    roles : tuple of str
        Which fields count as ours: what is to be read or written. All others are left alone.

    Raises
    ------
    BrokenTagError
        The main tag, or what surrounds it, is damaged. Damaged hidden tags count as content.
    BeyondBoundError
        It has more of something than gtag takes apart.
    """
    with deadline():
        container = _opened(file, format)
    for block in container.blocks:
        block.limit(roles)
    return container


def _opened(file: BinaryIO, format: Format) -> Container:
    if format == DSF:
        slot = DsfSlot(file)
        TAG_BYTES.check(slot.size)
        main = Id3v2(slot, read_exactly(file, slot.start, slot.size))
        return Container(main, lambda: slot.content(file), [main])
    if format in (WAV, AIFF):
        return _open_chunks(file, skip_id3v2(file))
    if format.family in ("id3", "ape") or format == FLAC:
        return _open_stream(file, format)
    start, length = skip_id3v2(file), file.seek(0, 2)
    front = _tags_in_front(file, start)
    if format == MP4:
        floor = _end_of_parts(file, mp4.boxes(file, start, length), BOXES)
        back = _tags_behind(file, floor)
        ilst = Ilst(file, start, _end_before(back, file))
        return _surrounded(file, ilst, front, back, lambda: ilst.content(file))
    if format == ASF:
        floor = _end_of_parts(file, asf.objects(file, start, length), OBJECTS)
        back = _tags_behind(file, floor)
        end, attributes = _end_before(back, file), AsfAttributes(file, start)
        opened = _surrounded(file, attributes, front, back, attributes.others)
        return replace(opened, sound=lambda: attributes.sound(file, end), beside=opened.sound)
    pages_end = end_of_pages(file)
    if not _begins_tag(file, pages_end):
        pages_end = length
    back = _tags_behind(file, pages_end)
    end, comments = _end_before(back, file), OggComments(file, start, pages_end, format)
    return _surrounded(file, comments, front, back, lambda: comments.content(file, start, end))


def _surrounded(
    file: BinaryIO,
    main: Block,
    front: list[_Placed],
    back: list[_Placed],
    inner: Callable[[], Iterator[bytes]],
) -> Container:
    """Open a container of which `inner` yields what stands between the tags in front and behind."""
    end_of_front = front[-1].end if front else 0
    content = partial(_around, file, front, end_of_front, inner, _end_before(back, file), back)
    return Container(main, content, [main, *(p.block for p in (*front, *back))])


def _around(
    file: BinaryIO,
    front: list[_Placed],
    start: int,
    inner: Callable[[], Iterable[bytes]],
    end: int,
    back: list[_Placed],
) -> Iterator[bytes]:
    """Yield what is no tag up to `start`, what `inner` yields, and what is no tag from `end` on."""
    yield from _outside(file, 0, start, front)
    yield from inner()
    yield from _outside(file, end, file.seek(0, 2), back)


def _open_chunks(file: BinaryIO, start: int) -> Container:
    chunks = Chunks(file, start)
    tags = list[Block]()
    for chunk in chunks.find(b"ID3 "):
        TAG_BYTES.check(chunk.size)
        TAGS.check(len(tags))
        data = read_exactly(file, chunk.body, chunk.size)
        try:
            tags.append(Id3v2(ChunkSlot(chunks, chunk), data))
        except BrokenTagError:
            # Programs do not read what does not begin like a tag, and few what stands behind one.
            if data[:3] == b"ID3" and not tags:
                raise
            chunks.take_for_content(chunk)
    main: Block
    main, *others = tags or [Id3v2(ChunkSlot(chunks, None))]
    tags = [main, *others]
    lists = chunks.info_lists(file)
    for chunk in lists:
        TAGS.check(len(tags))
        try:
            tags.append(Info(file, chunks, chunk))
        except BrokenTagError:
            tags.append(DamagedInfo(file, chunks, chunk))
    if chunks.is_wav and not lists:
        tags.append(Info(file, chunks, None))  # some programs read only that
    front, back = _tags_in_front(file, start), _tags_behind(file, chunks.end)
    inner = partial(chunks.content, file)
    content = partial(_around, file, front, start, inner, chunks.end, back)
    return Container(main, content, [*tags, *(p.block for p in (*front, *back))])


def _open_stream(file: BinaryIO, format: Format) -> Container:
    """Open a stream of sound with ID3v2 in front of it, ID3v1 and perhaps APE behind."""
    sound, front = 0, list[Block]()
    while True:
        if size := id3v2_length(peek(file, sound)):
            front.append(read_id3v2(file, sound, size))
        elif format.family == "id3" and (size := leading_apev2_size(file, sound)):
            try:
                front.append(Apev2(file, sound, size))
            except BrokenTagError:
                break  # it is content
        else:
            break
        sound += size
        TAGS.check(len(front))
        TAG_BYTES.check(sound)
    others = list[bytes]()
    if format == FLAC:
        comments = FlacComments(file, sound)
        sound, others = comments.end, comments.others()
    back = _tags_behind(file, sound, strict=format.family == "ape")
    hidden = [p.block for p in back]
    main: Block
    if format == FLAC:
        main, blocks = comments, [comments, *front, *hidden]
    elif format.family == "ape":
        apes = [block for block in hidden if isinstance(block, Apev2)]
        main = apes[-1] if apes else Apev2(file, _place_before_id3v1(file, back), 0)
        blocks = [main, *front, *(block for block in hidden if block is not main)]
    else:
        first = next((b for b in front if isinstance(b, Id3v2)), None) or read_id3v2(file, 0, 0)
        blocks = [first, *(block for block in front if block is not first), *hidden]
        ape = _ape_that_programs_see(file, back)
        main = ape if ape is not None and ape.describes and first.is_bare else first

    # What a decoder must know stands in the first block; pictures and seek points follow.
    read = partial(_around, file, [], 0, lambda: others[:1], sound, back)
    return Container(main, read, blocks, lambda: others[1:])


def _tags_in_front(file: BinaryIO, end: int, start: int = 0) -> list[_Placed]:
    """Return the ID3v2 tags in a row from `start` to `end`; damaged ones are content."""
    placed, position, count = list[_Placed](), start, 0
    while position < end and (size := id3v2_length(peek(file, position))):
        if position + size > end:
            break
        count += 1
        TAGS.check(count)
        TAG_BYTES.check(position + size - start)
        with suppress(BrokenTagError):
            block = read_id3v2(file, position, size)
            placed.append(_Placed(block, position, position + size))
        position += size
    return placed


def _tags_behind(file: BinaryIO, floor: int, *, strict: bool = False) -> list[_Placed]:
    """Return the tags behind `floor`, in the order of the file; damaged ones are content.

    Where `strict`, a damaged APE tag is an error.
    """
    placed, position, count = list[_Placed](), file.seek(0, 2), 0
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
            placed.insert(0, _Placed(block, start, position))
        position = start
    # What has no footer can only be found from its beginning.
    return [*_tags_in_front(file, position, floor), *placed]


def before_tags(file: BinaryIO, end: int) -> int:
    """Return where the tags begin that end at `end`, whatever is in them."""
    with suppress(BrokenTagError):
        for _ in range(TAGS.most):
            start, _ = _ending_at(file, end)
            if start == end:
                break
            end = start
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


def _ape_that_programs_see(file: BinaryIO, back: list[_Placed]) -> Apev2 | None:
    """Return the APE tag at the end or before an ID3v1 tag there: few look anywhere else."""
    end = file.seek(0, 2)
    for placed in reversed(back[-2:]):
        if placed.end == end and isinstance(placed.block, Apev2):
            return placed.block
        if placed.end == end and isinstance(placed.block, Id3v1):
            end = placed.start
    return None


def _place_before_id3v1(file: BinaryIO, back: list[_Placed]) -> int:
    """Return where an APE tag belongs: at the end, but before ID3v1."""
    place = file.seek(0, 2)
    for placed in reversed(back):
        if placed.end != place or not isinstance(placed.block, (Id3v1, Id3v1Extension)):
            break
        place = placed.start
    return place


def _end_of_parts(file: BinaryIO, parts: Iterable[Part], bound: Bound) -> int:
    """Return where tags begin among or behind a container's parts; the file's end without any."""
    for count, part in enumerate(parts):
        if _begins_tag(file, part.start):
            return part.start
        bound.check(count)
    return file.seek(0, 2)


def _begins_tag(file: BinaryIO, position: int) -> bool:
    """Tell whether a tag begins at a position behind what is the container's own."""
    return peek(file, position, 11).startswith(_TAG_MAGIC)


def _end_before(placed: list[_Placed], file: BinaryIO) -> int:
    """Return where what is the container's own ends: before the tags behind it."""
    return placed[0].start if placed else file.seek(0, 2)


def _outside(file: BinaryIO, start: int, end: int, placed: list[_Placed]) -> Iterator[bytes]:
    """Yield the bytes from `start` to `end` that belong to none of the tags."""
    for tag in placed:
        yield from read_ranges(file, start, tag.start)
        start = max(start, tag.end)
    yield from read_ranges(file, start, end)
