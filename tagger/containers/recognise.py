"""Recognises containers by content: the first bytes, and the headers behind where those say too
little.
"""

from __future__ import annotations

import os
import stat
from os import PathLike
from typing import BinaryIO

from tagger.containers import asf, formats, matroska, mp4, mpeg, ogg, wav_aiff
from tagger.containers.formats import Format
from tagger.containers.id3 import skip_id3v2
from tagger.containers.parts import peek
from tagger.system.errors import UnreadableError

_MAGIC = (
    (b"fLaC", formats.FLAC),
    (b"MAC ", formats.APE),
    (b"wvpk", formats.WAVPACK),
    (b"MPCK", formats.MUSEPACK),
    *((b"MP+" + bytes((version << 4 | 7,)), formats.MUSEPACK) for version in range(16)),
    (b"TTA1", formats.TTA),
    (b"DSD ", formats.DSF),
    (b"#!AMR", formats.AMR),
    (b".snd", formats.AU),
    (b"caff", formats.CAF),
    (b"\x7f\xfe\x80\x01", formats.DTS),
    (b"\xfe\x7f\x01\x80", formats.DTS),
    (b"\x1f\xff\xe8\x00\x07", formats.DTS),
    (b"\xff\x1f\x00\xe8\xf1\x07", formats.DTS),
    (b"DTSHDHDR", formats.DTS),
    (b"EA3\x01", formats.OMA),
    (b"ea3", formats.OMA),  # a tag of its own in front, by the rules of ID3
    (b".ra\xfd", formats.REAL),
    (b"ajkg", formats.SHORTEN),
    (b"tBaK", formats.TAK),
    (bytes.fromhex("726966662e91cf11a5d628db04c10000"), formats.W64),
)
# Where the first bytes say too little.
_BY_HEADERS = (
    (b"RIFF", wav_aiff.recognise),
    (b"RF64", wav_aiff.recognise),
    (b"BW64", wav_aiff.recognise),
    (b"FORM", wav_aiff.recognise),
    (ogg.MAGIC, ogg.recognise),
    (asf.MAGIC, asf.recognise),
    (matroska.MAGIC, matroska.recognise),
)


def identify(path: str | PathLike[str]) -> Format | None:
    """Return the container that a file's content says it is, or None.

    The name counts where an MP3's frames stand behind junk: unknown archives have frames, too.

    Raises
    ------
    UnreadableError
        When the file cannot be opened or read.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116 - opening a FIFO would wait
            return None
        with open(path, "rb") as file:
            return identify_open(file, os.fspath(path))
    except OSError as error:
        raise UnreadableError.of_system(error, path) from error


def supported_format(path: str | PathLike[str]) -> Format:
    """Return what `identify` does, of a file that has to be of a known container.

    Raises
    ------
    UnreadableError
    """
    format = identify(path)
    if format is None:
        raise UnreadableError(_why_no_format(path), path=path)
    return format


def _why_no_format(path: str | PathLike[str]) -> str:
    status = os.stat(path)  # noqa: PTH116 - the name may be bytes
    if stat.S_ISDIR(status.st_mode):
        return "is a folder, not a music file"
    if not stat.S_ISREG(status.st_mode):
        return "is no regular file"
    return "not a sound format that gtag supports" if status.st_size else "empty file"


def identify_open(file: BinaryIO, name: str | bytes = "") -> Format | None:
    """Return what `identify` does, of a seekable file object."""
    start = skip_id3v2(file)
    head = peek(file, start, 36)
    for magic, format in _MAGIC:
        if head.startswith(magic):
            return format
    for magic, recognise in _BY_HEADERS:
        if head.startswith(magic):
            return recognise(file, start)
    if head[4:8] == b"ftyp":
        return mp4.recognise(file, start)
    if head[:4] == b"FRM8" and head[12:16] == b"DSD ":
        return formats.DFF
    if head[:4] == b".RMF":  # it names the kind of each of its streams in its header
        kinds = peek(file, start, 1 << 16)
        return formats.REAL if b"audio/x-pn-" in kinds and b"video/x-pn-" not in kinds else None
    return mpeg.recognise(file, start, name)


def sound_start(file: BinaryIO, name: str | bytes = "") -> int:
    """Return where a container begins: behind ID3v2 tags, an MP3's behind junk, too.

    0 for an unknown one.

    Parameters
    ----------
    file : binary file
        Seekable.
    name : str or bytes
        As `identify` takes it into account.
    """
    format = identify_open(file, name)
    if format is None:
        return 0
    start = skip_id3v2(file)
    return (mpeg.find_frames(file, start, name) or 0) if format == formats.MP3 else start
