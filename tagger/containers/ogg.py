"""The comment packet of an Ogg stream.

mutagen lays out the header pages anew and renumbers those behind them; the sound's pages keep their
bytes but for number and check sum.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from itertools import count as count_from
from typing import Any, BinaryIO

from tagger.containers.blocks import BrokenTagError, CannotKeepError, read_ranges
from tagger.containers.bounds import PAGES, TAG_BYTES
from tagger.containers.formats import OGG_FLAC, OGG_VORBIS, OPUS, SPEEX, Format, ogg_pages
from tagger.containers.vorbis import Comments

# How the first packet begins, and the second: what stands there before the comment.
_MAGIC = {
    OGG_VORBIS: (b"\x01vorbis", b"\x03vorbis"),
    OPUS: (b"OpusHead", b"OpusTags"),
    OGG_FLAC: (b"\x7fFLAC", b"\x04"),
    SPEEX: (b"Speex   ", b""),
}


class OggComments(Comments):
    """The second packet of the first logical stream of the kind; pages stand before `end`."""

    def __init__(self, file: BinaryIO, start: int, end: int, format: Format) -> None:
        from mutagen.ogg import OggPage

        self._behind = file.seek(0, 2) - end
        first, self._head = _MAGIC[format]
        # Behind a Vorbis comment, the codec's set-up shares its pages.
        self._pages = _comment_pages(file, start, first, 2 if format == OGG_VORBIS else 1)
        try:
            packet, *self.following = OggPage.to_packets(self._pages, strict=True)
        except ValueError as error:
            raise BrokenTagError("its Ogg header pages are out of order") from error
        self._is_flac = format == OGG_FLAC
        if self._is_flac and len(packet) >= 4 and packet[0] & 0x7F == 4:
            self._head = packet[:4]
        if not packet.startswith(self._head):
            raise BrokenTagError("its second packet is not a comment header")
        super().__init__(packet[len(self._head) :])

    @property
    def serial(self) -> int:
        """Number of the logical stream."""
        return int(self._pages[0].serial)

    @property
    def offsets(self) -> frozenset[int]:
        """Where the pages stand that hold the comment."""
        return frozenset(page.offset for page in self._pages)

    def store(self, file: BinaryIO, shape: Mapping[str, Any] | None = None) -> None:
        from mutagen.ogg import OggPage
        from mutagen.ogg import error as OggError

        comment, head = self.rendered(), self._head
        if self._is_flac:
            if len(comment) >= 1 << 24:
                raise CannotKeepError("its Vorbis comment would grow beyond what FLAC allows")
            head = head[:1] + struct.pack(">I", len(comment))[1:]
        packets = [head + comment, *self.following]
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

    def shape(self) -> dict[str, Any]:
        return {
            "pages": [[[len(p) for p in q.packets], q.complete, q.position] for q in self._pages]
        }


def _comment_pages(file: BinaryIO, start: int, magic: bytes, packets: int) -> list[Any]:
    """The pages from the comment's first to the one that ends the last of `packets` packets."""
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
    """Pages as they once were; None where the packets are not as long as then."""
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


def ogg_content(file: BinaryIO, start: int, end: int, comments: OggComments) -> Iterator[bytes]:
    """All from `start` to `end` that a new comment must leave: other packets of its pages, and
    every other page.

    A page counts with everything but its check sum; of its number, only the distance from the page
    before it in the same stream counts.
    """
    yield from comments.following
    numbers, stop, skipped = dict[bytes, int](), start, comments.offsets
    for position, head, lacing in ogg_pages(file, start):
        if position >= end:
            break
        serial, number = head[14:18], int.from_bytes(head[18:22], "little")
        if position not in skipped:
            distance = (number - numbers.get(serial, number)) % (1 << 32)
            if int.from_bytes(serial, "little") == comments.serial and not position > min(skipped):
                distance = 0
            data = file.read(sum(lacing))
            yield head[:18] + struct.pack("<I", distance) + head[26:] + lacing + data
        numbers[serial] = number
        stop = position + 27 + len(lacing) + sum(lacing)
    yield from read_ranges(file, stop, end)  # junk behind the last page
