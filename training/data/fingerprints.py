"""Knows a recording again by its sound, whatever its file is called.

A fingerprint says where, in coarse bands and segments of a log-mel spectrogram, energy grows more
than in the band below (after Haitsma and Kalker 2002): 128 bits that survive other encodings, rates
and levels. It tells a track from others, not which part of a longer recording it is: a clip of a
song and the whole song have different ones.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Sequence

import numpy as np

from tagger.models.track_features import TrackFeatures
from tagger.sound.spectrogram import TOP_DB
from tagger.system.errors import DataError

N_BANDS, N_SEGMENTS = 16, 8  # bits
N_BYTES = N_BANDS * N_SEGMENTS // 8
# Mel bands below 7.4 kHz, and no quieter than this: codecs and rates differ elsewhere.
HIGHEST_BAND, FLOOR_DB = 112, 20 - TOP_DB
# Of 151 GTZAN tracks the archive's spectrogram and the sound differ in 17 bits at most, in 3 in the
# median; of 639 different ones the nearest differ in 36 (repetitions of a recording left aside).
ALIKE_BITS = 25
STILL_DB = 1.0  # what moves no more has no fingerprint: tones and hum are all alike


def fingerprint(excerpts: Sequence[np.ndarray]) -> np.ndarray:
    """The fingerprint of a track [shape=(N_BYTES,), dtype=uint8]; all zeros where nothing moves.

    Parameters
    ----------
    excerpts : sequence of np.ndarray [shape=(N_MELS, n_columns)]
        As `LogMel.excerpts`: decibels relative to the track's maximum.
    """
    db = np.maximum(np.concatenate(excerpts, axis=1)[:HIGHEST_BAND].astype(np.float64), FLOOR_DB)
    # Segments end between columns, so that a column more or less changes little.
    sums = np.pad(np.cumsum(db, axis=1), ((0, 0), (1, 0)))
    columns = np.arange(sums.shape[1])
    ends = np.linspace(0, columns[-1], N_SEGMENTS + 2)
    segments = np.diff([np.interp(ends, columns, row) for row in sums], axis=1) / ends[1]
    edges = np.linspace(0, HIGHEST_BAND, N_BANDS + 2).astype(int)
    coarse = np.add.reduceat(segments, edges[:-1]) / np.diff(edges)[:, None]
    moves = np.diff(np.diff(coarse, axis=0), axis=1)
    if np.abs(moves).max() < STILL_DB:
        return np.zeros(N_BYTES, dtype=np.uint8)
    return np.packbits(moves > 0)


def fingerprint_of(features: TrackFeatures) -> np.ndarray | None:
    """Of a track as models see it; None where it has no spectrogram, as in a table of features."""
    try:
        return fingerprint(features.log_mel.excerpts)
    except DataError:
        return None


def packed(fingerprints: Iterable[np.ndarray]) -> str:
    """Fingerprints as a card keeps them: base64, one after the other."""
    return base64.b64encode(b"".join(row.tobytes() for row in fingerprints)).decode("ascii")


def unpacked(text: str) -> np.ndarray:
    """Fingerprints from a card [shape=(n, N_BYTES), dtype=uint8].

    Raises
    ------
    ValueError
        Where it is no such text.
    """
    try:
        content = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from error
    return np.frombuffer(content, dtype=np.uint8).reshape(-1, N_BYTES)


def is_among(asked: np.ndarray, known: np.ndarray) -> bool:
    """Whether a fingerprint is one of these [shape=(n, N_BYTES)], but for a few bits."""
    if not asked.any():
        return False
    bits = np.unpackbits(known[known.any(axis=1)] ^ asked, axis=1).sum(axis=1, dtype=int)
    return bool((bits <= ALIKE_BITS).any())
