"""Ogg: pages, the comment packet of a stream, and the links of a chained file.

mutagen lays out the header pages anew and renumbers those behind them; the sound's pages keep their
bytes but for number and check sum.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Mapping
from itertools import count as count_from
from itertools import islice
from typing import Any, BinaryIO, NamedTuple

from tagger.containers.blocks import CannotKeepError
from tagger.containers.bounds import PAGES, TAG_BYTES
from tagger.containers.formats import OGG_FLAC, OGG_VORBIS, OPUS, SPEEX, Format
from tagger.containers.parts import BrokenTagError, peek, read_ranges
from tagger.containers.vorbis import Comments

MAGIC = b"OggS"
_HEAD = 27  # bytes
_BEGINS_STREAM = 0x02
_LONGEST_PAGE = _HEAD + 255 + 255 * 255
# How far from the end to look for the last page: a tag behind it is seldom longer than a picture.
_TAILS = (1 << 17, 1 << 22)

# How the first packet of a stream begins, and the second: what stands there before the comment.
_MAGIC = {
    OGG_VORBIS: (b"\x01vorbis", b"\x03vorbis"),
    OPUS: (b"OpusHead", b"OpusTags"),
    OGG_FLAC: (b"\x7fFLAC", b"\x04"),
    SPEEX: (b"Speex   ", b""),
}
_VIDEO = (b"\x01video", b"BBCD\x00", b"OVP80", b"\x80kate")
# A film, or a single frame: ffmpeg turns the cover of a FLAC into that.
_PICTURE = b"\x80theora"
_THEORA_HEADERS = 3
_PAGES_OF_A_COVER = 256

_MOST_LINKS = 1000
_PLACES = 12  # where to look for pages of another link
_BLOCK = 1 << 20


class Page(NamedTuple):
    """A page of a logical stream, which has a serial number.

    Attributes
    ----------
    start, body, end : int
        Where it begins, where its data does, and where that ends, as it claims.
    head, lacing : bytes
        Its 27 bytes of header, its lacing values.
    granule : int
        Its time, in the codec's units; -1 where no packet ends here.
    """

    start: int
    body: int
    end: int
    head: bytes
    lacing: bytes
    flags: int
    granule: int
    serial: int
    number: int

    @property
    def begins_stream(self) -> bool:
        """Whether it is the first page of its stream."""
        return bool(self.flags & _BEGINS_STREAM)


def page_at(file: BinaryIO, position: int) -> Page | None:
    """Return the page that begins at a position; None where none does."""
    head = peek(file, position, _HEAD)
    if len(head) < _HEAD or head[:4] != MAGIC:
        return None
    lacing = file.read(head[26])
    body = position + _HEAD + len(lacing)
    numbers = struct.unpack("<BqII", head[5:22])
    return Page(position, body, body + sum(lacing), head, lacing, *numbers)


def pages(file: BinaryIO, position: int) -> Iterator[Page]:
    """Yield pages one behind the other, from a position on."""
    while page := page_at(file, position):
        yield page
        position = page.end


def recognise(file: BinaryIO, start: int) -> Format | None:
    """Return the container by the codec of its sound; None for a film."""
    found: Format | None = None
    pictures, position = set[int](), start
    for page in islice(pages(file, start), 64):
        if not page.begins_stream:  # every stream begins with a page of its own before all others
            break
        packet = peek(file, page.body, 16)
        if packet.startswith(_PICTURE):
            pictures.add(page.serial)
        elif packet.startswith(_VIDEO):
            return None
        for audio, (magic, _) in _MAGIC.items():
            if packet.startswith(magic) and found is None:
                found = audio
        position = page.end
    return found if _are_still(file, position, pictures) else None


def _are_still(file: BinaryIO, position: int, serials: set[int]) -> bool:
    """Tell whether each of these Theora streams has one frame, as a cover has: it stands first."""
    if not serials:
        return True
    packets = dict.fromkeys(serials, 1)  # that with which it began
    for page in islice(pages(file, position), _PAGES_OF_A_COVER):
        if page.serial in packets:
            packets[page.serial] += sum(size < 255 for size in page.lacing)
            if packets[page.serial] > _THEORA_HEADERS + 1:
                return False
    return set(packets.values()) == {_THEORA_HEADERS + 1}


def missing(file: BinaryIO, start: int, size: int) -> str | None:
    """Say what the last page lacks, which says how long it is; None where that is nothing."""
    place = _last_page(file, _TAILS[0])
    if place is None:
        return None
    page = page_at(file, place)
    if page is None or len(page.lacing) < page.head[26]:
        return "cut off: it ends in the middle of a page"
    return f"cut off: its last page lacks {page.end - size:,} bytes" if page.end > size else None


def sound_ranges(file: BinaryIO, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield where sound lies: from the first page on which a packet of it ends.

    Comments may be padded with zeros.
    """
    timed = (page for page in islice(pages(file, start), PAGES.most) if page.granule not in (0, -1))
    yield next((page.start for page in timed), start), end


def end_of_pages(file: BinaryIO) -> int:
    """Return where the last page ends; the end of the file where none is near it."""
    places = (_last_page(file, tail) for tail in _TAILS)
    place = next((place for place in places if place is not None), None)
    page = None if place is None else page_at(file, place)
    return file.seek(0, 2) if page is None else page.end


def _last_page(file: BinaryIO, tail: int) -> int | None:
    """Return where the last page begins in so many bytes at the end."""
    base = max(0, file.seek(0, 2) - tail)
    place = peek(file, base, tail).rfind(MAGIC + b"\0")
    return None if place < 0 else base + place


class OggComments(Comments):
    """The second packet of the first logical stream of the kind; pages stand before `end`."""

    def __init__(self, file: BinaryIO, start: int, end: int, format: Format) -> None:
        from mutagen.ogg import OggPage

        self._behind = file.seek(0, 2) - end
        first, self._head = _MAGIC[format]
        # Behind a Vorbis comment, the codec's set-up shares its pages.
        self._pages = _comment_pages(file, start, first, 2 if format == OGG_VORBIS else 1)
        try:
            packet, *self._following = OggPage.to_packets(self._pages, strict=True)
        except ValueError as error:
            raise BrokenTagError("its Ogg header pages are out of order") from error
        self._is_flac = format == OGG_FLAC
        if self._is_flac and len(packet) >= 4 and packet[0] & 0x7F == 4:
            self._head = packet[:4]
        if not packet.startswith(self._head):
            raise BrokenTagError("its second packet is not a comment header")
        super().__init__(packet[len(self._head) :])

    def store(self, file: BinaryIO, shape: Mapping[str, Any] | None = None) -> None:
        from mutagen.ogg import OggPage
        from mutagen.ogg import error as OggError

        comment, head = self.rendered(in_flac=self._is_flac), self._head
        if self._is_flac:
            head = head[:1] + struct.pack(">I", len(comment))[1:]
        packets = [head + comment, *self._following]
        pages = None if shape is None else _laid_out(packets, shape["pages"])
        if pages is None:
            pages = OggPage.from_packets(packets, self._pages[0].sequence)
        # mutagen numbers pages anew to the end of the file, and nothing else may stand there.
        end = file.seek(-self._behind, 2)
        behind = file.read()
        file.truncate(end)
        try:
            OggPage.replace(file, self._pages, pages)
        except (OggError, EOFError, ValueError) as error:
            raise CannotKeepError("its Ogg pages are damaged further on") from error
        file.seek(0, 2)
        file.write(behind)

    def content(self, file: BinaryIO, start: int, end: int) -> Iterator[bytes]:
        """Yield all from `start` to `end` that a new comment must leave.

        That is other packets of its pages, and every other page. A page counts with everything but
        its check sum; of its number, only the distance from the page before it in the same stream
        counts.
        """
        yield from self._following
        numbers, stop = dict[int, int](), start
        serial, skipped = self._pages[0].serial, {page.offset for page in self._pages}
        for page in pages(file, start):
            if page.start >= end:
                break
            if page.start not in skipped:
                distance = (page.number - numbers.get(page.serial, page.number)) % (1 << 32)
                if page.serial == serial and not page.start > min(skipped):
                    distance = 0
                head = page.head[:18] + struct.pack("<I", distance) + page.head[26:]
                yield head + page.lacing + peek(file, page.body, sum(page.lacing))
            numbers[page.serial] = page.number
            stop = page.end
        yield from read_ranges(file, stop, end)  # junk behind the last page

    def shape(self) -> dict[str, Any]:
        return {
            "pages": [[[len(p) for p in q.packets], q.complete, q.position] for q in self._pages]
        }


def _comment_pages(file: BinaryIO, start: int, magic: bytes, packets: int) -> list[Any]:
    """Return the pages from the comment's first to the one that ends the last of its packets."""
    from mutagen.ogg import OggPage
    from mutagen.ogg import error as OggError

    file.seek(start)
    serial, pages, ended = None, list[Any](), 0
    try:
        for count in count_from():
            PAGES.check(count)
            page = OggPage(file)
            TAG_BYTES.check(file.tell() - start)
            if serial is None and page.first and page.packets[:1]:
                if page.packets[0].startswith(magic):
                    serial = page.serial
                    if len(page.packets) > 1:
                        raise BrokenTagError("its first Ogg page holds more than one packet")
            elif page.serial == serial:
                pages.append(page)
                ended += len(page.packets) - (not page.complete)
                if ended >= packets and page.complete:
                    break
    except (OggError, EOFError) as error:
        raise BrokenTagError("its Ogg header pages are damaged") from error
    return pages


def _laid_out(packets: list[bytes], layout: list[Any]) -> list[Any] | None:
    """Lay pages out as they once were; None where the packets are not as long as then."""
    from mutagen.ogg import OggPage

    data = b"".join(packets)
    if sum(sum(lengths) for lengths, _, _ in layout) != len(data):
        return None
    pages, position, continued = [], 0, False
    for lengths, complete, granule in layout:
        page = OggPage()
        page.complete, page.continued, page.position = complete, continued, granule
        for length in lengths:
            page.packets.append(data[position : position + length])
            position += length
        continued = not complete
        pages.append(page)
    return pages


def ogg_links(path: str | os.PathLike[str]) -> list[tuple[int, int]]:
    """Return the byte ranges [start, end) of the links of an Ogg file.

    Links are streams one after the other, as recorders write them: ffmpeg reads only the first, or
    confuses their times. A few pages show whether a file is chained; only then is it read through.

    Returns
    -------
    list of (int, int)
        Empty for a file of one link, and for one that is not Ogg.

    Raises
    ------
    OSError
    """
    with open(path, "rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            return []
        size = file.seek(0, os.SEEK_END)
        if not _seems_chained(file, size):
            return []
        starts = list(islice(_link_starts(file), _MOST_LINKS))
    return list(zip(starts, [*starts[1:], size], strict=True)) if len(starts) > 1 else []


def _seems_chained(file: BinaryIO, size: int) -> bool:
    """Tell whether a sampled page is of a later stream, or goes back in time."""
    last_granules: dict[int, int] = {}
    for page in _run(file, 0):
        if not page.begins_stream:
            break
        last_granules[page.serial] = 0
    step = max(1, size // _PLACES)
    places = [*range(step, size - _LONGEST_PAGE, step), max(0, size - _LONGEST_PAGE)]
    for i, place in enumerate(places):
        last = i == len(places) - 1
        for n, page in enumerate(_run(file, _next_page(file, place, place + _LONGEST_PAGE))):
            if page.begins_stream and page.start > 0 and page.serial in last_granules:
                return True
            if page.serial not in last_granules:
                return True
            if page.granule != -1:
                if page.granule < last_granules[page.serial]:
                    return True
                last_granules[page.serial] = page.granule
            if n and not last:
                break
    return False


def _link_starts(file: BinaryIO) -> Iterator[int]:
    """Yield where links start: at the first of adjacent pages that begin a stream."""
    end_of_first_pages = None
    place = 0
    file.seek(0)
    overlap = b""
    while block := file.read(_BLOCK):
        data = overlap + block
        found = data.find(MAGIC)
        while found != -1 and found <= len(data) - _HEAD:
            if data[found + 5] & _BEGINS_STREAM:
                page = _followed(file, place + found)
                if page is not None and page.number == 0:
                    if page.start != end_of_first_pages:
                        yield page.start
                    end_of_first_pages = page.end
            found = data.find(MAGIC, found + 1)
        overlap = data[-(_HEAD - 1) :]
        place += len(data) - len(overlap)
        file.seek(place + len(overlap))


def _run(file: BinaryIO, start: int | None) -> Iterator[Page]:
    while start is not None and (page := _followed(file, start)) is not None:
        yield page
        start = page.end


def _next_page(file: BinaryIO, start: int, end: int) -> int | None:
    """Find the first page from `start` on that another one follows, or the file's end."""
    data = peek(file, start, end - start)
    found = data.find(MAGIC)
    while found != -1:
        if _followed(file, start + found) is not None:
            return start + found
        found = data.find(MAGIC, found + 1)
    return None


def _followed(file: BinaryIO, start: int) -> Page | None:
    """Return the page at this place; None: there is none, or it is not followed by another."""
    page = page_at(file, start)
    if page is None or page.head[4] != 0 or page.flags > 7:
        return None
    return page if peek(file, page.end, len(MAGIC)) in (MAGIC, b"") else None
