"""Matroska and WebM: decoded, never tagged."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import BinaryIO

from tagger.containers.formats import MATROSKA, WEBM, Format
from tagger.containers.parts import Part, parts_within, peek

MAGIC = b"\x1a\x45\xdf\xa3"
_DOCTYPE, _SEGMENT = b"\x42\x82", b"\x18\x53\x80\x67"
_TRACKS, _TRACK, _TRACK_TYPE = b"\x16\x54\xae\x6b", b"\xae", b"\x83"
_PICTURES, _SOUND = 1, 2
_TYPES = {b"matroska": MATROSKA, b"webm": WEBM}
# The tracks are described before the clusters of sound, unless somebody puts them last.
_MOST_ELEMENTS = 100_000


def recognise(file: BinaryIO, start: int) -> Format | None:
    """Return the container by its document's type; None for a film: a cover is an attachment."""
    end = file.seek(0, 2)
    name, kinds = b"", set[int]()
    for part in _elements(file, start, end):
        if part.kind == MAGIC:
            for doctype in parts_within(_elements, file, part.body, part.end, (_DOCTYPE,)):
                name = _value(file, doctype).rstrip(b"\0")
        elif part.kind == _SEGMENT:
            # Nothing else is looked for in a segment.
            tracks = parts_within(_elements, file, part.body, part.end, (_TRACKS,))
            for found in islice(tracks, 1):
                types = parts_within(_elements, file, found.body, found.end, (_TRACK, _TRACK_TYPE))
                kinds |= {int.from_bytes(_value(file, kind)) for kind in types}
    return _TYPES.get(name) if _SOUND in kinds and _PICTURES not in kinds else None


def _value(file: BinaryIO, element: Part) -> bytes:
    return peek(file, element.body, max(0, min(element.end - element.body, 16)))


def _elements(file: BinaryIO, start: int, end: int) -> Iterator[Part]:
    """Yield the elements from `start` to `end`; one of unknown length takes the rest."""
    for _ in range(_MOST_ELEMENTS):
        head = peek(file, start, 12)
        kind_size = 9 - head[0].bit_length() if head else 9
        if start >= end or kind_size > 4 or len(head) <= kind_size:
            return
        size_size = 9 - head[kind_size].bit_length()
        body = kind_size + size_size
        if size_size > 8 or len(head) < body:
            return
        size = int.from_bytes(head[kind_size:body]) & (1 << 7 * size_size) - 1
        unknown = size == (1 << 7 * size_size) - 1
        stop = end if unknown else min(start + body + size, end)
        yield Part(head[:kind_size], start, start + body, stop)
        start = stop
