"""Tells whether a file is all there: what its header claims, against what is in it.

A download that broke off ends too early; one that goes on, or lost a part, holds zeros. Where a
container claims nothing (most MP3 of a constant bit rate), nothing can be told.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from typing import BinaryIO

from tagger.containers import asf, chunks, dsf, flac, mp4, mpeg, ogg, streams
from tagger.containers.formats import (
    AIFF,
    APE,
    ASF,
    DSF,
    FLAC,
    MP3,
    MP4,
    MUSEPACK,
    OGG_FLAC,
    OGG_VORBIS,
    OPUS,
    SPEEX,
    TTA,
    WAV,
    WAVPACK,
    Format,
)
from tagger.containers.id3 import skip_id3v2
from tagger.containers.parts import peek
from tagger.containers.surroundings import before_tags
from tagger.system.errors import RefusedError

# So many bytes of zeros in a row are in no compressed sound, and at so many places it is looked.
_ZEROS = 16 * 1024
_PLACES = 128
_GLANCE = 1024
# A packet of WMA may be padded with zeros to its end.
_ZEROS_IN_ASF = 32 * 1024

_HINT = "get it again, or --write-incomplete"

# What is missing by what the header claims.
_MISSING: dict[Format, Callable[[BinaryIO, int, int], str | None]] = {
    MP3: mpeg.missing,
    FLAC: flac.missing,
    OGG_VORBIS: ogg.missing,
    OPUS: ogg.missing,
    OGG_FLAC: ogg.missing,
    SPEEX: ogg.missing,
    MP4: mp4.missing,
    ASF: asf.missing,
    WAV: chunks.missing,
    AIFF: chunks.missing,
    APE: streams.ape_missing,
    WAVPACK: streams.wavpack_missing,
    MUSEPACK: streams.musepack_missing,
    TTA: streams.tta_missing,
    DSF: dsf.missing,
}
_UNCOMPRESSED = {WAV, AIFF, DSF}  # where silence is zeros, too
# Where compressed sound lies; what is beside it (padding, pictures) may well be zeros.
_SOUND: dict[Format, Callable[[BinaryIO, int, int], Iterator[tuple[int, int]]]] = {
    MP3: mpeg.sound,
    FLAC: flac.sound,
    OGG_VORBIS: ogg.sound,
    OPUS: ogg.sound,
    OGG_FLAC: ogg.sound,
    SPEEX: ogg.sound,
    MP4: mp4.sound,
    ASF: asf.sound,
}


def check_whole(path: str | os.PathLike[str], format: Format) -> None:
    """Refuse a file that is cut off, or of which a part is zeros.

    Raises
    ------
    RefusedError
    OSError
        It cannot be read.
    """
    with open(path, "rb") as file:
        start = skip_id3v2(file)
        size = file.seek(0, os.SEEK_END)
        try:
            missing = _MISSING[format](file, start, size) if format in _MISSING else None
            if missing is None and format not in _UNCOMPRESSED:
                missing = _zeros(file, format, start, size)
        except struct.error:  # shorter than a header
            missing = "cut off: it ends in its own header"
    if missing is not None:
        raise RefusedError(missing, path=path, hint=_HINT)


def _zeros(file: BinaryIO, format: Format, start: int, size: int) -> str | None:
    enough = _ZEROS_IN_ASF if format == ASF else _ZEROS
    tags = before_tags(file, size)
    for begin, end in _SOUND[format](file, start, tags) if format in _SOUND else [(start, tags)]:
        if end - begin < enough:  # a header may even claim less than nothing
            continue
        last = end - _GLANCE
        for place in range(begin, last + 1, max(1, (last - begin) // _PLACES)):
            if not _is_zero(file, place):
                continue
            around = max(begin, place - enough)
            if bytes(enough) in peek(file, around, min(end, place + enough) - around):
                return "a part of it holds only zeros: the download is incomplete"
    return None


def _is_zero(file: BinaryIO, place: int) -> bool:
    data = peek(file, place, _GLANCE)
    return len(data) == _GLANCE and not data.strip(b"\0")
