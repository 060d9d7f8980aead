"""Whether a file is all there: what its header claims, against what is in it.

A download that broke off ends too early; one that goes on, or lost a part, holds zeros. Where a
container claims nothing (most MP3 of a constant bit rate), nothing can be told.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from typing import Any, BinaryIO

from tagger.containers import formats
from tagger.containers.bounds import PAGES, TAGS
from tagger.containers.formats import Format, id3v2_length, skip_id3v2
from tagger.system.errors import RefusedError

# So many bytes of zeros in a row are in no compressed sound, and at so many places it is looked.
_ZEROS = 16 * 1024
_PLACES = 128
_GLANCE = 1024
# A packet of WMA may be padded with zeros to its end.
_ZEROS_IN_ASF = 32 * 1024
# Xing headers are written by many, not all of them exact.
_TOLERANCE = 0.01

_AT_THE_END = 1 << 20  # bytes in which the last frame of a FLAC, the last page of an Ogg lies
_MOST_PARTS = 1_000_000  # blocks, boxes, chunks

_ASF_DATA = bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c")
_ABSURD = 1 << 40  # bytes: a claim of more is a mistake of whoever wrote it

_HINT = "get it again, or --write-incomplete"


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
            missing = _CLAIMS[format](file, start, size) if format in _CLAIMS else None
            if missing is None and format not in _UNCOMPRESSED:
                missing = _zeros(file, format, start, size)
        except struct.error:  # shorter than a header
            missing = "cut off: it ends in its own header"
    if missing is not None:
        raise RefusedError(missing, path=path, hint=_HINT)


def _cut(there: int, claimed: int) -> str | None:
    if there >= claimed:
        return None
    return f"cut off: {there:,} of the {claimed:,} bytes that its header claims are there"


def _at(file: BinaryIO, position: int, form: str) -> tuple[Any, ...]:
    file.seek(position)
    return struct.unpack(form, file.read(struct.calcsize(form)))


def _mp3(file: BinaryIO, start: int, size: int) -> str | None:
    sound = _mp3_claim(file, start)
    if sound is None:
        return None
    first, claimed = sound
    there = size - first
    return _cut(there, claimed) if there < claimed * (1 - _TOLERANCE) else None


def _mp3_claim(file: BinaryIO, start: int) -> tuple[int, int] | None:
    """Where the first frame stands and how many bytes follow, by the Xing or VBRI header in it."""
    start = formats.behind_zeros(file, start)
    file.seek(start)
    head = file.read(64 * 1024)
    for name, distances in (
        (b"Xing", (36, 21, 13, 38, 23, 15)),
        (b"Info", (36, 21, 13, 38, 23, 15)),
        (b"VBRI", (36,)),
    ):
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


def _flac(file: BinaryIO, start: int, size: int) -> str | None:
    """By the number of samples, against the last frame."""
    file.seek(start + 8)
    info = file.read(34)
    longest_block, longest_frame = struct.unpack_from(">2xH3x", info)[0], int.from_bytes(info[7:10])
    rate_to_count = int.from_bytes(info[10:18])
    rate, total = rate_to_count >> 44, rate_to_count & (1 << 36) - 1
    if not total or not rate:
        return None
    window = min(_AT_THE_END, (longest_frame or 1 << 18) + (1 << 16))
    begin = max(_flac_sound(file, start, size), size - window)
    file.seek(begin)
    data = file.read(window)
    end = max((e for e in _flac_frames(data, longest_block) if e <= total), default=None)
    # A tag behind the last frame may hide it: then nothing is known.
    if end is None or end + longest_block >= total:
        return None
    return f"cut off: {end / rate:.1f} of {total / rate:.1f} s that its header claims are there"


def _flac_frames(data: bytes, longest_block: int) -> Iterator[int]:
    """Where frames end, counted in samples; of what looks like their headers, by their checksum."""
    for sync, counts_samples in ((b"\xff\xf8", False), (b"\xff\xf9", True)):
        place = data.find(sync)
        while place >= 0:
            end = _flac_frame_end(data[place : place + 16], longest_block, counts_samples)
            if end is not None:
                yield end
            place = data.find(sync, place + 1)


def _flac_frame_end(head: bytes, longest_block: int, counts_samples: bool) -> int | None:
    head = head.ljust(16, b"\0")
    code, rate = head[2] >> 4, head[2] & 0xF
    if code == 0 or rate == 15 or head[3] & 1 or head[3] >> 4 > 10:
        return None
    ones = 8 - (~head[4] & 0xFF).bit_length()  # as in UTF-8: how many bytes the number takes
    if ones == 1 or ones > 7:
        return None
    number, length = head[4] & 0x7F >> ones, max(1, ones)
    for byte in head[5 : 4 + length]:
        if byte & 0xC0 != 0x80:
            return None
        number = number << 6 | byte & 0x3F
    place = 4 + length
    if code == 1:
        block = 192
    elif code < 6:
        block = 576 << code - 2
    elif code < 8:
        block = int.from_bytes(head[place : place + code - 5]) + 1
        place += code - 5
    else:
        block = 256 << code - 8
    place += {12: 1, 13: 2, 14: 2}.get(rate, 0)
    if place >= len(head) or _crc8(head[:place]) != head[place] or block > longest_block:
        return None
    return number + block if counts_samples else number * longest_block + block


def _crc8(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ (0x07 if crc & 0x80 else 0)) & 0xFF
    return crc


def _flac_sound(file: BinaryIO, start: int, size: int) -> int:
    """Where the frames begin: behind the metadata."""
    position = start + 4
    while position + 4 <= size:
        file.seek(position)
        head = file.read(4)
        position += 4 + int.from_bytes(head[1:])
        if head[0] & 0x80:
            break
    return position


def _ogg(file: BinaryIO, start: int, size: int) -> str | None:
    """By the last page, which says how long it is."""
    window = min(size - start, 2 * 65_307)
    file.seek(size - window)
    data = file.read(window)
    place = data.rfind(b"OggS\0")
    if place < 0:
        return None
    head = data[place : place + 27]
    segments = data[place + 27 : place + 27 + head[26]] if len(head) == 27 else b""
    if len(head) < 27 or len(segments) < head[26]:
        return "cut off: it ends in the middle of a page"
    missing = place + 27 + head[26] + sum(segments) - len(data)
    return f"cut off: its last page lacks {missing:,} bytes" if missing > 0 else None


def _mp4(file: BinaryIO, start: int, size: int) -> str | None:
    for kind, begin, _, _ in formats.iso_boxes(file, start, size):
        if kind in (b"mdat", b"moov"):
            (length,) = _at(file, begin, ">I")
            if length == 1:
                (length,) = _at(file, begin + 8, ">Q")
            if begin + length > size:  # a length of 0 means: to the end
                return _cut(size, begin + length)
    return None


def _asf(file: BinaryIO, start: int, size: int) -> str | None:
    (header,) = _at(file, start + 16, "<Q")
    kind, data = _at(file, start + header, "<16sQ")
    if kind != _ASF_DATA or data > _ABSURD:  # it is 0 while it is broadcast
        return None
    return _cut(size, start + header + data)


def _ape(file: BinaryIO, start: int, size: int) -> str | None:
    (version,) = _at(file, start + 4, "<H")
    if version < 3980:
        return None
    *parts, low, high, end = _at(file, start + 8, "<7I")
    return _cut(size, start + sum(parts) + low + (high << 32) + end)


def _wavpack(file: BinaryIO, start: int, size: int) -> str | None:
    """By the number of samples in the first block, against the last."""
    position, total, counted = start, None, 0
    for _ in range(_MOST_PARTS):
        file.seek(position)
        head = file.read(32)
        if len(head) < 32 or head[:4] != b"wvpk":
            break
        length, low, index, samples = struct.unpack_from("<I4xIII", head, 4)
        position += 8 + length
        if total is None and low != 0xFFFFFFFF:
            total = low + (head[11] << 32) - head[11]
        if position > size:
            return "cut off: it ends in the middle of a block"
        counted = max(counted, index + (head[10] << 32) + samples)
    if total is None or counted >= total:
        return None
    return f"cut off: {counted:,} of the {total:,} samples that its header claims are there"


def _musepack(file: BinaryIO, start: int, size: int) -> str | None:
    """Packets up to one that ends the stream; the older kind says no lengths."""
    file.seek(start)
    if file.read(4) != b"MPCK":
        return None
    position = start + 4
    for _ in range(_MOST_PARTS):
        file.seek(position)
        head = file.read(12)
        if head[:2] == b"SE":
            return None
        length = 0
        for byte in head[2:]:
            length = length << 7 | byte & 0x7F
            if not byte & 0x80:
                break
        if len(head) < 3 or length < 3 or position + length > size:
            return "cut off: it ends in the middle of its stream"
        position += length
    return None


def _tta(file: BinaryIO, start: int, size: int) -> str | None:
    rate, samples = _at(file, start + 10, "<II")
    frame = rate * 256 // 245
    count = -(-samples // frame) if frame else 0
    if start + 22 + 4 * count > size:
        return "cut off: it ends in its own header"
    lengths = _at(file, start + 22, f"<{count}I")
    return _cut(size, start + 22 + 4 * count + 4 + sum(lengths))


def _dsf(file: BinaryIO, start: int, size: int) -> str | None:
    (claimed,) = _at(file, start + 12, "<Q")
    return _cut(size - start, claimed)


def _chunks(file: BinaryIO, start: int, size: int, number: str, sound: bytes) -> str | None:
    position = start + 12
    for _ in range(_MOST_PARTS):
        file.seek(position)
        head = file.read(8)
        if len(head) < 8:
            return None
        (length,) = struct.unpack(number, head[4:])
        end = position + 8 + length
        # 0xFFFFFFFF: written into a pipe, or in the other place that RF64 has for long ones.
        if head[:4] == sound:
            return _cut(size, end) if length != 0xFFFFFFFF else None
        position = end + length % 2
    return None


_CLAIMS: dict[Format, Callable[[BinaryIO, int, int], str | None]] = {
    formats.MP3: _mp3,
    formats.FLAC: _flac,
    formats.OGG_VORBIS: _ogg,
    formats.OPUS: _ogg,
    formats.OGG_FLAC: _ogg,
    formats.SPEEX: _ogg,
    formats.MP4: _mp4,
    formats.ASF: _asf,
    formats.WAV: partial(_chunks, number="<I", sound=b"data"),
    formats.AIFF: partial(_chunks, number=">I", sound=b"SSND"),
    formats.APE: _ape,
    formats.WAVPACK: _wavpack,
    formats.MUSEPACK: _musepack,
    formats.TTA: _tta,
    formats.DSF: _dsf,
}
_UNCOMPRESSED = {formats.WAV, formats.AIFF, formats.DSF}  # where silence is zeros, too
_OGG = {formats.OGG_VORBIS, formats.OPUS, formats.OGG_FLAC, formats.SPEEX}


def _zeros(file: BinaryIO, format: Format, start: int, size: int) -> str | None:
    enough = _ZEROS_IN_ASF if format is formats.ASF else _ZEROS
    for begin, end in _sound(file, format, start, size):
        last = max(begin, end - _GLANCE)
        for place in range(begin, last + 1, max(1, (last - begin) // _PLACES)):
            if not _is_zero(file, place):
                continue
            around = max(begin, place - enough)
            file.seek(around)
            if bytes(enough) in file.read(min(end, place + enough) - around):
                return "a part of it holds only zeros: the download is incomplete"
    return None


def _is_zero(file: BinaryIO, place: int) -> bool:
    file.seek(place)
    data = file.read(_GLANCE)
    return len(data) == _GLANCE and not data.strip(b"\0")


def _sound(file: BinaryIO, format: Format, start: int, size: int) -> Iterator[tuple[int, int]]:
    """Where compressed sound lies: what is beside it (padding, pictures) may well be zeros."""
    end = _before_tags(file, size)
    if format is formats.FLAC:
        yield _flac_sound(file, start, size), end
    elif format is formats.MP3:
        yield _mp3_sound(file, start, end)
    elif format in _OGG:
        yield _ogg_sound(file, start), end
    elif format is formats.ASF:
        (header,) = _at(file, start + 16, "<Q")
        yield start + header, end
    elif format is formats.MP4:
        boxes = list(formats.iso_boxes(file, start, size))
        yield from ((body, end) for kind, _, body, end in boxes if kind == b"mdat")
    else:
        yield start, end


def _mp3_sound(file: BinaryIO, start: int, end: int) -> tuple[int, int]:
    """From the first frame, unless something is missing before it, to where its header says.

    What was lost seldom ends where a frame begins, padding does.
    """
    padded = formats.behind_zeros(file, start)
    if formats.is_mpeg_frame(file, padded):
        start = padded
    claim = _mp3_claim(file, start)
    if claim is not None and _only_zeros(file, sum(claim), end):
        end = min(end, sum(claim))
    return start, end


def _only_zeros(file: BinaryIO, begin: int, end: int) -> bool:
    file.seek(begin)
    while begin < end:
        data = file.read(min(_AT_THE_END, end - begin))
        if not data or data.strip(b"\0"):
            return False
        begin += len(data)
    return True


def _ogg_sound(file: BinaryIO, start: int) -> int:
    """Where the first page stands on which a packet of sound ends: comments may be padded."""
    for position, head, _ in islice(formats.ogg_pages(file, start), PAGES.most):
        if head[6:14] not in (bytes(8), b"\xff" * 8):  # its time
            return position
    return start


def _before_tags(file: BinaryIO, end: int) -> int:
    """Where the tags behind the sound begin: the pictures in them may hold zeros."""
    for _ in range(TAGS.most):
        file.seek(max(0, end - 128))
        tail = file.read(min(end, 128))
        if tail[:3] == b"TAG":
            end -= 128
        elif tail[-32:-24] == b"APETAGEX":
            size, _, flags = struct.unpack_from("<3I", tail, len(tail) - 20)
            end -= size + 32 * (flags >> 31)
        elif length := id3v2_length(b"ID3" + tail[-7:]) if tail[-10:-7] == b"3DI" else 0:
            end -= length
        else:
            break
    return max(0, end)
