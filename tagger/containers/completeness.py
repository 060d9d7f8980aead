"""Tells whether a file is all there: what its header claims, against what is in it.

A download that broke off ends too early; one that goes on, or lost a part, holds zeros. Where a
container claims nothing (most MP3 of a constant bit rate), nothing can be told.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from typing import BinaryIO

from tagger.containers import ape_wavpack_tta, asf, dsf, flac, formats, mp4, mpeg, ogg, wav_aiff
from tagger.containers.formats import Format
from tagger.containers.id3 import skip_id3v2
from tagger.containers.opened import before_tags
from tagger.containers.parts import peek
from tagger.system.errors import RefusedError

# So many bytes of zeros in a row are in no compressed sound, and at so many places it is looked.
_ZEROS = 16 * 1024
_PLACES = 128
_GLANCE = 1024
# A packet of WMA may be padded with zeros to its end.
_ZEROS_IN_ASF = 32 * 1024

_HINT = "get it again, or --write-incomplete"

_OGG = (formats.OGG_VORBIS, formats.OPUS, formats.OGG_FLAC, formats.SPEEX)
# What is missing by what the header claims.
_MISSING: dict[Format, Callable[[BinaryIO, int, int], str | None]] = {
    **dict.fromkeys(_OGG, ogg.missing),
    formats.MP3: mpeg.missing,
    formats.FLAC: flac.missing,
    formats.MP4: mp4.missing,
    formats.ASF: asf.missing,
    formats.WAV: wav_aiff.missing,
    formats.AIFF: wav_aiff.missing,
    formats.APE: ape_wavpack_tta.ape_missing,
    formats.WAVPACK: ape_wavpack_tta.wavpack_missing,
    formats.MUSEPACK: ape_wavpack_tta.musepack_missing,
    formats.TTA: ape_wavpack_tta.tta_missing,
    formats.DSF: dsf.missing,
}
_UNCOMPRESSED = {formats.WAV, formats.AIFF, formats.DSF}  # where silence is zeros, too
# Where compressed sound lies; what is beside it (padding, pictures) may well be zeros.
_SOUND: dict[Format, Callable[[BinaryIO, int, int], Iterator[tuple[int, int]]]] = {
    **dict.fromkeys(_OGG, ogg.sound_ranges),
    formats.MP3: mpeg.sound_ranges,
    formats.FLAC: flac.sound_ranges,
    formats.MP4: mp4.sound_ranges,
    formats.ASF: asf.sound_ranges,
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
    enough = _ZEROS_IN_ASF if format == formats.ASF else _ZEROS
    tags = before_tags(file, size)
    for begin, end in _SOUND[format](file, start, tags) if format in _SOUND else [(start, tags)]:
        if end - begin < enough:  # a header may even claim less than nothing
            continue
        last = end - _GLANCE
        for place in range(begin, last + 1, max(1, (last - begin) // _PLACES)):
            if peek(file, place, _GLANCE) != bytes(_GLANCE):
                continue
            around = max(begin, place - enough)
            if bytes(enough) in peek(file, around, min(end, place + enough) - around):
                return "a part of it holds only zeros: the download is incomplete"
    return None
