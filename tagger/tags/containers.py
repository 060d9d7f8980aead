"""Opens a file of the table: which tags it has, which of them is the main one, what is sound.

The main tag is the container's own; a genre in any other is hidden: people who wrote it there
may have long forgotten, but their players have not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import BinaryIO

from tagger.formats import AIFF, ASF, DSF, FLAC, MP4, WAV, Format, id3v2_length, skip_id3v2
from tagger.tags.apev2 import Apev2, find_apev2
from tagger.tags.asf import AsfAttributes
from tagger.tags.blocks import Block, BrokenTagError, read_exactly, read_ranges
from tagger.tags.chunks import Chunks, ChunkSlot, DsfSlot, Info
from tagger.tags.id3 import Id3v2, read_id3v2
from tagger.tags.id3v1 import Id3v1
from tagger.tags.mp4 import Ilst
from tagger.tags.ogg import OggComments, ogg_content
from tagger.tags.vorbis import FlacComments


@dataclass
class Container:
    """The tags of one open file.

    Attributes
    ----------
    main : Block
        Exists or could be made.
    content : function
        Yields everything in the file but tags, in pieces: the sound above all.
    hidden : list of Block
        Other tags that exist.
    """

    main: Block
    content: Callable[[], Iterator[bytes]]
    hidden: list[Block] = field(default_factory=list)

    @property
    def blocks(self) -> list[Block]:
        """The main tag, then the hidden ones, always in the same order."""
        return [self.main, *self.hidden]


def open_container(file: BinaryIO, format: Format) -> Container:
    """Take the tags of a file apart; positions hold until something is written.

    Raises
    ------
    BrokenTagError
        The main tag, or what surrounds it, is damaged. Damaged hidden tags count as content.
    """
    if format == DSF:
        slot = DsfSlot(file)
        data = read_exactly(file, slot.start, slot.size)
        return Container(Id3v2(slot, data), lambda: slot.content(file))
    if format in (WAV, AIFF):
        return _open_chunks(file, skip_id3v2(file))
    if format == MP4:
        ilst = Ilst(file, skip_id3v2(file))
        return Container(ilst, lambda: ilst.content(file))
    if format == ASF:
        attributes = AsfAttributes(file, skip_id3v2(file))
        return Container(attributes, lambda: attributes.content(file))
    if format.family == "vorbis" and format != FLAC:
        start = skip_id3v2(file)
        comments = OggComments(file, start, format)
        return Container(comments, lambda: ogg_content(file, start, comments))
    return _open_plain(file, format)


def _open_chunks(file: BinaryIO, start: int) -> Container:
    chunks = Chunks(file, start)
    tags = [
        Id3v2(ChunkSlot(chunks, c), read_exactly(file, c.start + 8, c.size))
        for c in chunks.find(b"ID3 ")
    ] or [Id3v2(ChunkSlot(chunks, None))]
    hidden: list[Block] = list(tags[1:])
    for chunk in chunks.find(b"LIST") if chunks.is_wav else []:
        file.seek(chunk.start + 8)
        if file.read(4) == b"INFO":
            hidden.append(Info(file, chunks, chunk))
    return Container(tags[0], lambda: chunks.content(file), hidden)


def _open_plain(file: BinaryIO, format: Format) -> Container:
    """ID3v2 in front, ID3v1 and perhaps APE behind, a stream of sound between them."""
    length = file.seek(0, 2)
    sound, leading = 0, list[Id3v2]()
    while size := id3v2_length(_peek(file, sound)):
        leading.append(read_id3v2(file, sound, size))
        sound += size
    trailing: list[Block] = []
    id3v1_start = length
    # An APE tag at the very end may have those letters just there ("APETAGEX", "GTAG_GENRE").
    ends_in_ape = _peek(file, length - 32)[:8] == b"APETAGEX"
    if length - 128 >= sound and _peek(file, length - 128)[:3] == b"TAG" and not ends_in_ape:
        id3v1_start = length - 128
        trailing.append(Id3v1(id3v1_start, read_exactly(file, id3v1_start, 128)))
    ape_start, ape_size, ape = id3v1_start, 0, None
    if format.family == "ape":
        ape_start, ape_size = find_apev2(file, id3v1_start)
        ape = Apev2(file, ape_start, ape_size)
    else:
        with suppress(BrokenTagError):
            ape_start, ape_size = find_apev2(file, id3v1_start)
            if ape_size:
                trailing.insert(0, Apev2(file, ape_start, ape_size))
    main: Block
    if format == FLAC:
        main = comments = FlacComments(file, sound)
        sound_start, others = comments.end, comments.others()
        trailing = [*leading, *trailing]
    elif ape is not None:
        main, sound_start, others = ape, sound, []
        trailing = [*leading, *trailing]
    else:
        main = leading[0] if leading else read_id3v2(file, 0, 0)
        sound_start, others = sound, []
        trailing = [*leading[1:], *trailing]
    if ape_start < sound_start:
        raise BrokenTagError("its tags overlap its sound")

    def content() -> Iterator[bytes]:
        yield from others
        yield from read_ranges(file, sound_start, ape_start)
        yield from read_ranges(file, ape_start + ape_size, id3v1_start)

    return Container(main, content, trailing)


def _peek(file: BinaryIO, position: int) -> bytes:
    if position < 0:
        return b""
    file.seek(position)
    return file.read(10)
