"""Features of a log-mel spectrogram, by name, for models without a network.

Training archives hold log-mel spectrograms, no sound: these features are the same in training and
in a scan. Timbre (cepstrum, bands, spectral shape), how it changes (slopes, onsets, modulation
spectrum) and which bands change together.

Slopes span nine columns, and modulations end at 6.7 Hz: some frames of the GTZAN archive are
interpolated between their neighbours, so differences between adjacent columns are smaller there
than in a scan.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np

from tagger.sound.spectrogram import N_MELS, TOP_DB, mel_frequencies

N_MFCC = 20
N_BANDS = 32  # of four mel bands each
N_WIDE = 16  # of eight, for modulations and correlations
N_CONTRAST = 8  # of sixteen
CONTRAST_MELS = 3  # mel bands: a band's peak, its valley
ROLLOFF = 0.85  # of a column's magnitude lies below the rolloff
LOWEST_HZ = 50.0  # pitches are octaves above this
SLOPE_REACH = 4  # columns either way
ONSET_RANGES = {"all": (0, 128), "low": (0, 16), "mid": (16, 64), "high": (64, 128)}  # mel bands
WINDOW = 128  # columns of a modulation spectrum: 6 s
WINDOW_STEP = 32
NARROW_BANDS = 112  # mel bands: below 7.4 kHz
MODULATION_EDGES = (1, 2, 3, 5, 8, 12, 18, 27, 40)  # bins of 0.17 Hz


def _names() -> Iterator[str]:
    for k in range(N_MFCC):
        yield from (f"mel_mfcc{k + 1}_{s}" for s in ("mean", "std", "slope_std"))
    for k in range(N_BANDS):
        yield from (f"mel_band{k + 1}_{s}" for s in ("mean", "slope_std"))
    shapes = ["centroid", "bandwidth", "rolloff", "flatness", "loudness"]
    for name in shapes + [f"contrast{k + 1}" for k in range(N_CONTRAST)]:
        yield from (f"mel_{name}_{s}" for s in ("mean", "std"))
    for name in ONSET_RANGES:
        yield from (f"mel_onset_{name}_{s}" for s in ("mean", "std", "skew"))
    for k in range(N_WIDE):
        yield from (f"mel_modulation{k + 1}_{r + 1}" for r in range(len(MODULATION_EDGES) - 1))
    for i in range(N_WIDE):
        yield from (f"mel_correlation{i + 1}_{j + 1}" for j in range(i + 1, N_WIDE))


LOG_MEL_FEATURES: tuple[str, ...] = tuple(_names())
"""The features in order. Bands and modulations count from 1, the lowest."""


def describe_log_mel(excerpts: Sequence[np.ndarray]) -> np.ndarray:
    """Feature vector of one track from its log-mel spectrogram.

    Parameters
    ----------
    excerpts : sequence of np.ndarray [shape=(N_MELS, n_columns)], not empty
        As `tagger.sound.spectrogram.LogMel.excerpts`: decibels relative to the track's maximum.
        Columns of all of them are pooled; slopes and modulations stay within an excerpt.

    Returns
    -------
    np.ndarray [shape=(len(LOG_MEL_FEATURES),), dtype=float32]
        As named by `LOG_MEL_FEATURES`; all finite, also for a constant spectrogram.
    """
    db = np.concatenate(excerpts, axis=1).astype(np.float32)
    rising = np.concatenate([slopes(e) for e in excerpts], axis=1)
    cosines = dct_basis(N_MFCC, N_MELS)
    mfcc, mfcc_slopes = cosines @ db, cosines @ rising
    shape = _shape(db)
    onsets = _onsets(rising)
    parts = [
        [mfcc.mean(axis=1), mfcc.std(axis=1), mfcc_slopes.std(axis=1)],
        [bands(db, N_BANDS).mean(axis=1), bands(rising, N_BANDS).std(axis=1)],
        [shape.mean(axis=1), shape.std(axis=1)],
        [onsets.mean(axis=1), onsets.std(axis=1), _skewness(onsets)],
        [_modulations(excerpts)],
        [_correlations(bands(db, N_WIDE))],
    ]
    return np.concatenate([np.column_stack(p).ravel() for p in parts]).astype(np.float32)


@lru_cache(maxsize=2)
def dct_basis(n: int, n_bands: int) -> np.ndarray:
    """Return the first rows of the orthonormal DCT-II, for a cepstrum [shape=(n, n_bands)]."""
    angles = np.pi / n_bands * np.outer(np.arange(n), np.arange(n_bands) + 0.5)
    rows = np.sqrt(2 / n_bands) * np.cos(angles)
    rows[0] /= np.sqrt(2)
    return rows.astype(np.float32)


def bands(db: np.ndarray, n: int) -> np.ndarray:
    """Means of adjacent mel bands [shape=(n, n_columns)]."""
    return db.reshape(n, len(db) // n, -1).mean(axis=1)


def slopes(db: np.ndarray) -> np.ndarray:
    """Decibels per column, by a straight line through nine columns."""
    reach, n = SLOPE_REACH, db.shape[1]
    padded = np.pad(db.astype(np.float32), ((0, 0), (reach, reach)), mode="edge")
    rise = np.zeros_like(padded[:, :n])
    for k in range(1, reach + 1):
        rise += k * (padded[:, reach + k : reach + k + n] - padded[:, reach - k : reach - k + n])
    return rise / np.float32(2 * np.square(np.arange(reach + 1)).sum())


@lru_cache(maxsize=1)
def _octaves() -> np.ndarray:
    """Centre of each mel band, in octaves above `LOWEST_HZ` [shape=(N_MELS,)]."""
    return np.log2(np.maximum(mel_frequencies(), LOWEST_HZ) / LOWEST_HZ).astype(np.float32)


def _shape(db: np.ndarray) -> np.ndarray:
    """Centroid, bandwidth, rolloff (octaves), flatness, loudness, contrasts (decibels)."""
    octaves = _octaves()
    magnitude = np.exp(db * np.float32(np.log(10) / 20))
    share = magnitude / magnitude.sum(axis=0)
    centroid = octaves @ share
    bandwidth = np.sqrt(np.maximum(np.square(octaves) @ share - np.square(centroid), 0))
    rolloff = octaves[np.argmax(np.cumsum(share, axis=0) >= ROLLOFF, axis=0)]
    power = np.square(magnitude)
    flatness = db.mean(axis=0) - 10 * np.log10(power.mean(axis=0))
    loudness = 10 * np.log10(power.sum(axis=0))
    ordered = np.sort(db.reshape(N_CONTRAST, N_MELS // N_CONTRAST, -1), axis=1)
    contrast = ordered[:, -CONTRAST_MELS:].mean(axis=1) - ordered[:, :CONTRAST_MELS].mean(axis=1)
    return np.vstack([centroid, bandwidth, rolloff, flatness, loudness, contrast])


def _onsets(rising: np.ndarray) -> np.ndarray:
    """Measure how strongly each column rises, in ranges of mel bands [shape=(4, n_columns)]."""
    rises = np.maximum(rising, 0)
    return np.stack([rises[low:high].mean(axis=0) for low, high in ONSET_RANGES.values()])


def _skewness(rows: np.ndarray) -> np.ndarray:
    centred = rows - rows.mean(axis=1, keepdims=True)
    return (centred**3).mean(axis=1) / np.maximum(rows.std(axis=1) ** 3, 1e-6)


def _modulations(excerpts: Sequence[np.ndarray]) -> np.ndarray:
    """Measure how strongly wide bands are modulated at each rate [shape=(N_WIDE * n_rates,)].

    Logarithm of the mean magnitude; 0 for a constant band.
    """
    taper = np.hanning(WINDOW).astype(np.float32)
    spectra = []
    for db in excerpts:
        wide = bands(db, N_WIDE)
        if wide.shape[1] < WINDOW:
            wide = np.pad(wide, ((0, 0), (0, WINDOW - wide.shape[1])), mode="wrap")
        windows = np.lib.stride_tricks.sliding_window_view(wide, WINDOW, axis=1)
        windows = windows[:, ::WINDOW_STEP]
        windows = (windows - windows.mean(axis=2, keepdims=True)) * taper
        spectra.append(np.abs(np.fft.rfft(windows, axis=2)))
    mean = np.concatenate(spectra, axis=1).mean(axis=1)
    rates = [mean[:, a:b].mean(axis=1) for a, b in pairwise(MODULATION_EDGES)]
    return np.log1p(np.column_stack(rates)).ravel()


def _correlations(wide: np.ndarray) -> np.ndarray:
    """Correlation over time of each pair of wide bands; 0 where one is constant."""
    centred = wide - wide.mean(axis=1, keepdims=True)
    centred /= np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-3)
    return (centred @ centred.T)[np.triu_indices(len(wide), 1)]


def below_seven_khz(excerpts: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
    """Return the same spectrogram without sound above 7.4 kHz.

    Where a codec or a low sample rate cuts off identifies a collection, not a genre. Decibels are
    relative to the maximum of what remains.
    """
    peak = max(float(db[:NARROW_BANDS].max()) for db in excerpts)
    narrow = []
    for db in excerpts:
        cut = np.full_like(db, -TOP_DB)
        cut[:NARROW_BANDS] = np.maximum(db[:NARROW_BANDS] - peak, -TOP_DB)
        narrow.append(cut)
    return tuple(narrow)
