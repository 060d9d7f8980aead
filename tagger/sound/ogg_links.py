"""Finds the links of a chained Ogg file: streams one after the other, as recorders write them.

ffmpeg reads only the first link of such a file, or confuses their times. A few pages show whether a
file is chained; only then is it read through.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

MAGIC = b"OggS"
MAX_LINKS = 1000
_HEADER = 27  # bytes
_MAX_PAGE = _HEADER + 255 + 255 * 255
_PLACES = 12  # where to look for pages of another link
_BLOCK = 1 << 20
_FIRST_OF_STREAM = 0x02


@dataclass(frozen=True)
class _Page:
    start: int
    end: int
    flags: int
    granule: int  # -1: no packet ends here
    serial: int
    number: int


def ogg_links(path: str | os.PathLike[str]) -> list[tuple[int, int]]:
    """Byte ranges [start, end) of the links of an Ogg file.

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
        starts = list(_link_starts(file))[:MAX_LINKS]
    return list(zip(starts, [*starts[1:], size], strict=True)) if len(starts) > 1 else []


def _seems_chained(file: BinaryIO, size: int) -> bool:
    """Tell whether a sampled page is of a later stream, or goes back in time."""
    last_granules: dict[int, int] = {}
    for page in _pages(file, 0):
        if not page.flags & _FIRST_OF_STREAM:
            break
        last_granules[page.serial] = 0
    step = max(1, size // _PLACES)
    places = [*range(step, size - _MAX_PAGE, step), max(0, size - _MAX_PAGE)]
    for i, place in enumerate(places):
        last = i == len(places) - 1
        for n, page in enumerate(_pages(file, _next_page(file, place, place + _MAX_PAGE))):
            if page.flags & _FIRST_OF_STREAM and page.start > 0 and page.serial in last_granules:
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
        while found != -1 and found <= len(data) - _HEADER:
            if data[found + 5] & _FIRST_OF_STREAM:
                page = _page(file, place + found)
                if page is not None and page.number == 0:
                    if page.start != end_of_first_pages:
                        yield page.start
                    end_of_first_pages = page.end
            found = data.find(MAGIC, found + 1)
        overlap = data[-(_HEADER - 1) :]
        place += len(data) - len(overlap)
        file.seek(place + len(overlap))


def _pages(file: BinaryIO, start: int | None) -> Iterator[_Page]:
    while start is not None and (page := _page(file, start)) is not None:
        yield page
        start = page.end


def _next_page(file: BinaryIO, start: int, end: int) -> int | None:
    """Find the first page from `start` on that another one follows, or the file's end."""
    file.seek(start)
    data = file.read(end - start)
    found = data.find(MAGIC)
    while found != -1:
        if _page(file, start + found) is not None:
            return start + found
        found = data.find(MAGIC, found + 1)
    return None


def _page(file: BinaryIO, start: int) -> _Page | None:
    """Return the page at this place; None: there is none, or it is not followed by another."""
    file.seek(start)
    head = file.read(_HEADER)
    if len(head) < _HEADER or head[:4] != MAGIC or head[4] != 0 or head[5] > 7:
        return None
    lengths = file.read(head[26])
    end = start + _HEADER + len(lengths) + sum(lengths)
    file.seek(end)
    if file.read(len(MAGIC)) not in (MAGIC, b""):
        return None
    return _Page(
        start,
        end,
        flags=head[5],
        granule=int.from_bytes(head[6:14], "little", signed=True),
        serial=int.from_bytes(head[14:18], "little"),
        number=int.from_bytes(head[18:22], "little"),
    )
