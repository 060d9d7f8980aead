"""MPEG sound (MP3), AAC and AC-3: streams of frames, known by frames that follow each other.

An MP3 is whole where it is as long as the Xing or VBRI header in its first frame says.
"""

from __future__ import annotations

import os
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from typing import BinaryIO

from tagger.containers.bounds import MOST_ZEROS
from tagger.containers.formats import AAC, AC3, MP3, Format
from tagger.containers.parts import cut_off, peek, read_ranges

# How far to look for the first frame behind junk, and how many in a row are no accident.
_SEARCH = 512 * 1024
_IN_A_ROW = 4
_EXTENSIONS = frozenset({".mp3", ".mp2", ".mpga", ".mpa", ".bit"})
_ID3_HEADER = 10

# What begins like this is of another kind, whatever MPEG frames stand in it: an archive of MP3s is
# no MP3.
_FOREIGN = (
    b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08", b"7z\xbc\xaf\x27\x1c", b"Rar!", b"\x1f\x8b",
    b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"LZIP", b"\x04\x22\x4d\x18", b"MSCF", b"ISc(",
    b"StuffIt", b"SIT!", b"!<arch>", b"070701", b"070702", b"070707", b"xar!", b"hsqs", b"wim",
    b"\x1a\x45\xdf\xa3", b"RIFF", b"RIFX", b"RF64", b"BW64", b"FORM", b"OggS", b"FLV\x01",
    b".RMF", b".ra\xfd", b"caff", b".snd", b"riff", b"nut/", b"\0\0\x01\xba", b"\0\0\x01\xb3",
    b"MThd", b"ADIF", b"#!AMR", b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*",
    b"%PDF", b"%!PS", b"{\\rtf", b"\xd0\xcf\x11\xe0", b"<", b"\xef\xbb\xbf<", b"\x7fELF", b"MZ",
    b"\xca\xfe\xba\xbe", b"\xfe\xed\xfa", b"#!/", b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe",
    b"SQLite format 3",
)  # fmt: skip
_FOREIGN_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"uuid")
_DISC_IMAGE, _DISC_IMAGE_AT = b"CD001", 0x8001
_TAR_BLOCK = 512
_FOREIGN_HEAD = 1 << 16  # bytes in which all of these show
_TS_PACKET = 188

# kbit/s
_AC3_BITRATES = (
    32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640,
)  # fmt: skip
# Layers II and III only: "layer I" is what tables of jumps in programs look like.
_BITRATES = {  # kbit/s by (is MPEG 1, layer)
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}

# By which header is told how long the sound is, and how far behind the frame's beginning it stands.
_CLAIMS = (
    (b"Xing", (36, 21, 13, 38, 23, 15)),
    (b"Info", (36, 21, 13, 38, 23, 15)),
    (b"VBRI", (36,)),
)
_TOLERANCE = 0.01  # Xing headers are written by many, not all of them exact


def recognise(file: BinaryIO, start: int, name: str | bytes) -> Format | None:
    """Return AAC, AC-3 or MP3 where frames follow each other; None else."""
    if _is_framed(file, start, _adts_frame):
        return AAC
    if _is_framed(file, start, _ac3_frame):
        return AC3
    return MP3 if find_frames(file, start, name) is not None else None


def missing(file: BinaryIO, start: int, size: int) -> str | None:
    """Say what an MP3 lacks that its header claims; None where nothing is known to be missing."""
    claim = _claim(file, start)
    if claim is None:
        return None
    first, claimed = claim
    there = size - first
    return cut_off(there, claimed) if there < claimed * (1 - _TOLERANCE) else None


def sound_ranges(file: BinaryIO, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield where an MP3's sound lies: from its first frame to where its header says.

    From `start` where something is missing before the first frame: what was lost seldom ends where
    a frame begins, padding does.
    """
    padded = behind_zeros(file, start)
    if _is_framed(file, padded, _mpeg_length, 2):
        start = padded
    claim = _claim(file, start)
    if claim is not None:
        behind = read_ranges(file, sum(claim), end)
        if not any(piece.strip(b"\0") for piece in behind):
            end = min(end, sum(claim))
    yield start, end


def find_frames(file: BinaryIO, start: int, name: str | bytes) -> int | None:
    """Return where MPEG frames begin; None where there are none.

    Behind junk they count only in what is named an MP3.
    """
    if start > file.seek(0, os.SEEK_END):
        start = _ID3_HEADER  # the tag lies about its size
    if _is_foreign(peek(file, start, _FOREIGN_HEAD)):
        return None
    start = behind_zeros(file, start)  # some taggers pad behind the ID3v2 tag
    data = peek(file, start, _FOREIGN_HEAD)
    extension = os.fsdecode(os.path.splitext(name)[1]).lower()  # noqa: PTH122

    def frames_from(position: int) -> tuple[int, int]:
        """Return how many consistent frames follow each other, and where the last of them ends."""
        kind, count = None, 0
        while count < _IN_A_ROW:
            frame = _mpeg_frame(data[position : position + 4])
            if frame is None or kind not in (None, frame[1]) or position + frame[0] > len(data):
                break
            count, kind, position = count + 1, frame[1], position + frame[0]
        return count, position

    count, end = frames_from(0)
    rest = data[end : end + 8]
    if count >= 2 or (count == 1 and (not rest or rest.startswith((b"TAG", b"APETAGEX")))):
        return start
    # Zip's directory stands at the end: it may have anything in front.
    if extension not in _EXTENSIONS or _is_foreign(data) or zipfile.is_zipfile(file):
        return None
    data = peek(file, start, _SEARCH + 8 * 1024)
    position = data.find(b"\xff")
    while 0 <= position < _SEARCH:
        if frames_from(position)[0] == _IN_A_ROW:
            return start + position
        position = data.find(b"\xff", position + 1)
    return None


def behind_zeros(file: BinaryIO, start: int) -> int:
    """Return where the zeros from `start` on end; `start` itself where they do not."""
    if peek(file, start, 1) != b"\0":
        return start
    file.seek(start)
    for position in range(start, start + MOST_ZEROS, _SEARCH):
        data = file.read(_SEARCH)
        rest = data.lstrip(b"\0")
        if rest:
            return position + len(data) - len(rest)
        if not data:
            break
    return start


def _is_foreign(head: bytes) -> bool:
    """Tell whether something that is no MPEG sound begins so."""
    if head.startswith(_FOREIGN) or head.startswith(_FOREIGN_BOXES, 4):
        return True
    if head.startswith(_DISC_IMAGE, _DISC_IMAGE_AT):
        return True
    if len(head) > 2 * _TS_PACKET and head[0] == head[_TS_PACKET] == head[2 * _TS_PACKET] == 0x47:
        return True
    try:
        # Of any age: the oldest have no signature, but a sum over the header.
        tarfile.TarInfo.frombuf(head[:_TAR_BLOCK], "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError):
        return False
    return True


def _is_framed(
    file: BinaryIO, start: int, length_of: Callable[[bytes], int], times: int = _IN_A_ROW
) -> bool:
    """Tell whether frames follow each other, whose lengths their headers tell: 0 of no frame."""
    for _ in range(times):
        length = length_of(peek(file, start, 7))
        if not length:
            return False
        start += length
    return True


def _adts_frame(header: bytes) -> int:
    if len(header) < 7 or header[0] != 0xFF or header[1] & 0xF6 != 0xF0 or header[2] >> 2 & 15 > 12:
        return 0
    length = int.from_bytes(header[3:6]) >> 5 & 0x1FFF
    return length if length > 7 else 0


def _ac3_frame(header: bytes) -> int:
    """Return the length of a frame of AC-3, or of Enhanced AC-3, whose identity is above 10."""
    if len(header) < 6 or header[:2] != b"\x0b\x77":
        return 0
    identity, rate, code = header[5] >> 3, header[4] >> 6, header[4] & 0x3F
    if identity > 10:
        return 2 * ((int.from_bytes(header[2:4]) & 0x7FF) + 1) if identity <= 16 else 0
    if rate == 3 or code >= 2 * len(_AC3_BITRATES):
        return 0
    bitrate = _AC3_BITRATES[code >> 1]
    return (4 * bitrate, 2 * (320 * bitrate // 147 + (code & 1)), 6 * bitrate)[rate]


def _mpeg_frame(header: bytes) -> tuple[int, tuple[int, int, int]] | None:
    """Return the length of the frame with this 4-byte header, and what all frames share."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return None
    version, layer = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3)
    bitrate, rate, padding = header[2] >> 4, header[2] >> 2 & 3, header[2] >> 1 & 1
    if version == 1 or layer not in (2, 3) or bitrate in (0, 15) or rate == 3:
        return None
    samples_by_8 = 72 if layer == 3 and version != 3 else 144
    bits = 1000 * _BITRATES[version == 3, layer][bitrate - 1]
    return samples_by_8 * bits // _RATES[version][rate] + padding, (version, layer, rate)


def _mpeg_length(header: bytes) -> int:
    frame = _mpeg_frame(header)
    return frame[0] if frame else 0


def _claim(file: BinaryIO, start: int) -> tuple[int, int] | None:
    """Return where the first frame stands and how many bytes follow, as the header in it says."""
    start = behind_zeros(file, start)
    head = peek(file, start, 64 * 1024)
    for name, distances in _CLAIMS:
        place = head.find(name)
        frames = (place - distance for distance in distances if place >= distance)
        first = next((f for f in frames if head[f] == 0xFF and head[f + 1] & 0xE0 == 0xE0), None)
        if first is None:
            continue
        if name == b"VBRI":
            (claimed,) = struct.unpack_from(">I", head, place + 10)
        else:
            (flags,) = struct.unpack_from(">I", head, place + 4)
            if not flags & 2:
                return None
            (claimed,) = struct.unpack_from(">I", head, place + (12 if flags & 1 else 8))
        return start + first, claimed
    return None
