"""Knows a recording again by its sound, whatever its file is called.

A fingerprint says where, in coarse bands and segments of a log-mel spectrogram, energy grows more
than in the band below (after Haitsma and Kalker 2002): 128 bits that survive other encodings, rates
and levels. It tells a track from others, not which part of a longer recording it is.

Fingerprints of parts do: after the same authors, and Chromaprint, 32 bits a column, the signs of
the same differences, finer and over a shorter time. Tracks that have an excerpt in common have
runs of nearly equal columns.
"""

from __future__ import annotations

import base64
import binascii
import io
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
# Of parts: mean over so many columns, compared with as many before (half a second each).
PART_BANDS, PART_COLUMNS = 33, 12
# Of 40 clips and excerpts of 20 s of them, encoded anew in three ways, at most 9 % of the bits
# differed; of others at least 43 %. Fewer columns than 3 s, or fewer different ones, say nothing.
SAME_BITS, FEWEST_COLUMNS, FEWEST_DIFFERENT = 0.25, 64, 24
VOTES = 3  # columns that are equal, before more are compared
PARTS = "parts.npz"  # in a model's folder: those of what it learned from
Parts = list[np.ndarray]
"""Of each excerpt of a track the fingerprints of its columns [each shape=(n,), dtype=uint32]."""
STILL_DB = 1.0  # what moves no more has no fingerprint: tones and hum are all alike


def fingerprint(excerpts: Sequence[np.ndarray]) -> np.ndarray:
    """Return the fingerprint of a track [shape=(N_BYTES,), dtype=uint8]; all zeros where nothing
    moves.

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


def parts(excerpts: Sequence[np.ndarray]) -> Parts:
    """Return the fingerprint of each column of a track's excerpts.

    Parameters
    ----------
    excerpts : sequence of np.ndarray [shape=(N_MELS, n_columns)]
        As `LogMel.excerpts`. One that is too short for any column is left out.
    """
    edges = np.linspace(0, HIGHEST_BAND, PART_BANDS + 1).astype(int)
    found = []
    for excerpt in excerpts:
        if excerpt.shape[1] <= 2 * PART_COLUMNS:
            continue
        db = np.maximum(excerpt[:HIGHEST_BAND].astype(np.float64), FLOOR_DB)
        coarse = np.add.reduceat(db, edges[:-1]) / np.diff(edges)[:, None]
        sums = np.pad(np.cumsum(coarse, axis=1), ((0, 0), (1, 0)))
        steps = np.diff(sums[:, PART_COLUMNS:] - sums[:, :-PART_COLUMNS], axis=0)
        bits = steps[:, PART_COLUMNS:] > steps[:, :-PART_COLUMNS]
        found.append(np.ascontiguousarray(np.packbits(bits.T, axis=1)).view(np.uint32)[:, 0])
    return found


def same_recordings(tracks: Sequence[Parts]) -> list[tuple[int, int]]:
    """Return pairs of tracks, by number, that have an excerpt in common.

    Of several such tracks each is in a pair with another one, not with every one.

    Parameters
    ----------
    tracks : sequence
        Of each one its `parts`.
    """
    pieces = [piece for of_track in tracks for piece in of_track]
    if not pieces:
        return []
    track = np.repeat(np.arange(len(tracks)), [len(of_track) for of_track in tracks])
    lengths = [len(piece) for piece in pieces]
    piece, place = (
        np.repeat(np.arange(len(pieces)), lengths),
        np.concatenate([np.arange(n) for n in lengths]),
    )
    words = np.concatenate(pieces)
    order = np.lexsort((piece, words))
    words, piece, place = words[order], piece[order], place[order]
    equal = (words[1:] == words[:-1]) & (track[piece[1:]] != track[piece[:-1]])
    shift = (place[:-1] - place[1:])[equal]
    where = np.stack([piece[:-1][equal], piece[1:][equal], shift // PART_COLUMNS])
    found, votes = np.unique(where, axis=1, return_counts=True)
    pairs = {
        (int(track[a]), int(track[b]))
        for a, b, about in found[:, votes >= VOTES].T.tolist()
        if _overlap(pieces[a], pieces[b], about * PART_COLUMNS)
    }
    return sorted(pairs)


def _overlap(one: np.ndarray, other: np.ndarray, about: int) -> bool:
    """Tell whether two pieces are the same, the second starting about there in the first."""
    for shift in range(about - PART_COLUMNS // 2, about + 2 * PART_COLUMNS):
        a, b = one[max(0, shift) :], other[max(0, -shift) :]
        n = min(len(a), len(b))
        if n >= FEWEST_COLUMNS and len(np.unique(a[:n])) >= FEWEST_DIFFERENT:
            bits = np.unpackbits((a[:n] ^ b[:n]).view(np.uint8))
            if bits.mean() <= SAME_BITS:
                return True
    return False


def packed_parts(tracks: Sequence[Parts]) -> bytes:
    """Return a file of tracks' parts, for `unpacked_parts`."""
    pieces = [piece for of_track in tracks for piece in of_track]
    content = io.BytesIO()
    np.savez(
        content,
        words=np.concatenate([np.empty(0, np.uint32), *pieces]),
        lengths=np.array([len(piece) for piece in pieces], dtype=np.uint32),
        pieces=np.array([len(of_track) for of_track in tracks], dtype=np.uint32),
    )
    return content.getvalue()


def unpacked_parts(words: np.ndarray, lengths: np.ndarray, pieces: np.ndarray) -> list[Parts]:
    """Return tracks' parts from the arrays of such a file.

    Raises
    ------
    ValueError
        Where they do not fit together.
    """
    if lengths.sum() != len(words) or pieces.sum() != len(lengths) or words.dtype != np.uint32:
        raise ValueError("its parts do not fit together")
    cut = np.split(words, np.cumsum(lengths.astype(int))[:-1]) if len(lengths) else []
    ends = np.cumsum(pieces.astype(int)).tolist()
    return [cut[end - n : end] for end, n in zip(ends, pieces.tolist(), strict=True)]


def fingerprint_of(features: TrackFeatures) -> np.ndarray | None:
    """Return a track's fingerprint; None where it has no spectrogram, as in a table of features."""
    try:
        return fingerprint(features.log_mel.excerpts)
    except DataError:
        return None


def parts_of(features: TrackFeatures) -> Parts:
    """Return those of its parts; none where it has no spectrogram."""
    try:
        return parts(features.log_mel.excerpts)
    except DataError:
        return []


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
    """Tell whether a fingerprint is one of these [shape=(n, N_BYTES)], but for a few bits."""
    if not asked.any():
        return False
    bits = np.unpackbits(known[known.any(axis=1)] ^ asked, axis=1).sum(axis=1, dtype=int)
    return bool((bits <= ALIKE_BITS).any())
