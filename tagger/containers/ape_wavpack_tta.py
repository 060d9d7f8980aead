"""Monkey's Audio, WavPack, Musepack and TTA: how long they say they are, and what is missing.

Their tags are ID3 or APEv2: `id3`, `apev2`.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

from tagger.containers.parts import cut_off, peek, unpack_at

_MOST_PARTS = 1_000_000  # blocks, packets


def ape_missing(file: BinaryIO, start: int, size: int) -> str | None:
    """Say what is missing of the parts that a Monkey's Audio header counts."""
    (version,) = unpack_at(file, start + 4, "<H")
    if version < 3980:
        return None
    *parts, low, high, end = unpack_at(file, start + 8, "<7I")
    return cut_off(size, start + sum(parts) + low + (high << 32) + end)


def wavpack_missing(file: BinaryIO, start: int, size: int) -> str | None:
    """Say what is missing of the samples that the first block counts, by the last block."""
    position, total, counted = start, None, 0
    for _ in range(_MOST_PARTS):
        head = peek(file, position, 32)
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


def musepack_missing(file: BinaryIO, start: int, size: int) -> str | None:
    """Say that no packet ends the stream; the older kind of Musepack says no lengths."""
    if peek(file, start, 4) != b"MPCK":
        return None
    position = start + 4
    for _ in range(_MOST_PARTS):
        head = peek(file, position, 12)
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


def tta_missing(file: BinaryIO, start: int, size: int) -> str | None:
    """Say what is missing of the frames whose lengths a TTA header lists."""
    rate, samples = unpack_at(file, start + 10, "<II")
    frame = rate * 256 // 245
    count = -(-samples // frame) if frame else 0
    if start + 22 + 4 * count > size:
        return "cut off: it ends in its own header"
    lengths = unpack_at(file, start + 22, f"<{count}I")
    return cut_off(size, start + 22 + 4 * count + 4 + sum(lengths))
