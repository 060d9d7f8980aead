"""THE log-mel front end and its chunks: one definition for tagger and training.

Every DSP constant of the networks is here, with its unit. Same values as librosa's
``melspectrogram(sr=22050, n_fft=2048, hop_length=1024, n_mels=128)`` and ``power_to_db(ref=max,
top_db=80)``; column j is the frame centred at sample 1024 j.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from tagger.sound.audio import Excerpt
from tagger.sound.decoder import SAMPLE_RATE

N_FFT = 2048  # samples
HOP = 1024  # samples: 46.4 ms
N_MELS = 128
TOP_DB = 80.0  # decibels below the track's maximum where the floor lies
# Of power. Natural logarithms are fast in numpy's float32, decimal ones are not.
DB_PER_NEPER = 10 / math.log(10)

CHUNK_COLUMNS = 86  # 4 s
CHUNK_STEP = 43  # columns: 2 s

COLUMN_S = HOP / SAMPLE_RATE
PadMode = Literal["constant", "reflect", "edge"]  # of `np.pad`

_BLOCK = 1 << 15  # samples transformed at once: they stay in the processor's cache
_NEIGHBOURS = 16  # bands that are summed at once


@dataclass(frozen=True)
class LogMel:
    """Log-mel spectrogram of one track, excerpt by excerpt.

    Attributes
    ----------
    excerpts : tuple of np.ndarray [shape=(N_MELS, n_columns), dtype=float32]
        Decibels relative to the maximum over the excerpts, from -80 to 0; band 0 is the lowest.
    starts_s : tuple of float
        Where column 0 of each excerpt is centred in the track, in seconds.
    ref_db : float
        That maximum in absolute decibels (``power_to_db(ref=1.0)``), NaN where unknown.
    """

    excerpts: tuple[np.ndarray, ...]
    starts_s: tuple[float, ...]
    ref_db: float


def front_end() -> dict[str, str | int | float]:
    """Return this module's constants, as a model's card stores them."""
    return {
        "name": "log-mel",
        "sample_rate": SAMPLE_RATE,
        "n_fft": N_FFT,
        "hop_length": HOP,
        "n_mels": N_MELS,
        "top_db": TOP_DB,
        "chunk_columns": CHUNK_COLUMNS,
        "chunk_step": CHUNK_STEP,
    }


class FilterBank:
    """Sums power or magnitude in bands, as ``power @ filters.T`` does.

    Most bins are in no band of a few neighbouring ones, and are left out there.

    Parameters
    ----------
    filters : np.ndarray [shape=(n_bands, n_bins), dtype=float32]
        By ascending frequency.
    """

    def __init__(self, filters: np.ndarray) -> None:
        self._n = len(filters)
        self._blocks = []
        for first in range(0, self._n, _NEIGHBOURS):
            bands = slice(first, first + _NEIGHBOURS)
            used = np.flatnonzero(filters[bands].any(axis=0))
            bins = slice(used[0], used[-1] + 1) if len(used) else slice(0, 1)
            self._blocks.append((bands, bins, np.ascontiguousarray(filters[bands, bins].T)))

    def __call__(self, power: np.ndarray) -> np.ndarray:
        """Return the bands of each frame [shape=(n_frames, n_bands), dtype=float32]."""
        out = np.empty((len(power), self._n), dtype=np.float32)
        for bands, bins, weights in self._blocks:
            np.matmul(power[:, bins], weights, out=out[:, bands])
        return out


@lru_cache(maxsize=4)
def mel_bank(
    sample_rate: int = SAMPLE_RATE, n_fft: int = N_FFT, n_mels: int = N_MELS
) -> FilterBank:
    """Slaney's mel filter bank, as `mel_filters` has it."""
    return FilterBank(mel_filters(sample_rate, n_fft, n_mels))


@lru_cache(maxsize=4)
def mel_filters(
    sample_rate: int = SAMPLE_RATE, n_fft: int = N_FFT, n_mels: int = N_MELS
) -> np.ndarray:
    """Slaney's mel filter bank, 0 Hz to half the sample rate [shape=(n_mels, 1 + n_fft // 2)].

    Triangles from the centre of the band below to that of the band above, each of the area 1.
    """
    bins_hz = np.fft.rfftfreq(n_fft, 1 / sample_rate)
    edges_hz = _mel_points(n_mels, sample_rate / 2)
    widths_hz = np.diff(edges_hz)
    away = edges_hz[:, None] - bins_hz  # of every bin from every edge
    rising, falling = -away[:-2] / widths_hz[:-1, None], away[2:] / widths_hz[1:, None]
    filters = np.maximum(0, np.minimum(rising, falling)).astype(np.float32)
    return np.asarray(filters * (2 / (edges_hz[2:] - edges_hz[:-2]))[:, None], dtype=np.float32)


def _mel_points(n_mels: int, highest_hz: float) -> np.ndarray:
    """Return ends and centres of `n_mels` bands from 0 Hz on, in hertz [shape=(n_mels + 2,)].

    Slaney's scale (Auditory Toolbox, 1998): even steps up to 1 kHz, even ratios above.
    """
    step_hz, corner_hz = 200 / 3, 1000.0
    corner, log_step = corner_hz / step_hz, np.log(6.4) / 27
    highest = highest_hz / step_hz
    if highest_hz >= corner_hz:
        highest = corner + np.log(highest_hz / corner_hz) / log_step
    mels = np.linspace(0.0, highest, n_mels + 2)
    above = np.maximum(mels - corner, 0)
    return np.where(above > 0, corner_hz * np.exp(log_step * above), step_hz * mels)


def mel_frequencies(n_mels: int = N_MELS, sample_rate: int = SAMPLE_RATE) -> np.ndarray:
    """Centre of each mel band in hertz, by default of the log-mel front end [shape=(n_mels,)]."""
    return _mel_points(n_mels, sample_rate / 2)[1:-1]


@lru_cache(maxsize=4)
def hann(n: int) -> np.ndarray:
    """Hann's window, periodic [shape=(n,), dtype=float32]."""
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)).astype(np.float32)


def power_frames(y: np.ndarray, n_fft: int, hop: int, window: int | None = None) -> np.ndarray:
    """Squared magnitude of the STFT, without padding.

    Parameters
    ----------
    y : np.ndarray [shape=(n,)] mono waveform, at least `window` samples
    n_fft, hop : int, samples
    window : int, samples, optional
        Frames of this length are padded with zeros up to `n_fft`, the default.

    Returns
    -------
    np.ndarray [shape=(1 + (n - window) // hop, 1 + n_fft // 2), dtype=float32]
        One row a frame, contiguous in memory; row j covers samples from ``hop * j``.
    """
    window = window or n_fft
    frames = np.lib.stride_tricks.sliding_window_view(y, window)[::hop]
    n_bins = 1 + n_fft // 2
    power = np.empty((len(frames), n_bins), dtype=np.float32)
    # numpy would transform float32 in double, too, and convert it piece by piece.
    rows = _BLOCK // n_fft
    padded = np.zeros((rows, n_fft))  # numpy would pad each frame by itself
    spectrum = np.empty((rows, n_bins), dtype=np.complex128)
    parts = np.empty((rows, 2 * n_bins), dtype=np.float32)  # real, imaginary, real …
    for first in range(0, len(frames), rows):
        taken = frames[first : first + rows]
        n = len(taken)
        np.multiply(taken, hann(window), out=padded[:n, :window])
        np.fft.rfft(padded[:n], axis=1, out=spectrum[:n])
        np.copyto(parts[:n], spectrum[:n].view(np.float64), casting="same_kind")
        np.square(parts[:n], out=parts[:n])
        np.add(parts[:n, ::2], parts[:n, 1::2], out=power[first : first + n])
    return power


def pad_edges(excerpt: Excerpt, n_fft: int, mode: PadMode = "constant") -> np.ndarray:
    """Return the excerpt's samples with half a window at each end, padded where its edges are
    shorter.

    Returns
    -------
    np.ndarray [shape=(n,)]
        Its frame 0 is centred on the excerpt's start.
    """
    half = n_fft // 2
    before, after = excerpt.edge_before, excerpt.edge_after
    y = excerpt.samples[max(0, before - half) : len(excerpt.samples) - max(0, after - half)]
    return np.pad(y, (max(0, half - before), max(0, half - after)), mode=mode)


def log_mel(excerpts: Sequence[Excerpt]) -> LogMel:
    """Log-mel spectrogram of a track's excerpts, relative to the maximum over all of them.

    Examples
    --------
    >>> from tagger.sound.audio import SAMPLE_RATE, Excerpt
    >>> y = np.sin(2 * np.pi * 440 * np.arange(12 * SAMPLE_RATE) / SAMPLE_RATE)
    >>> mel = log_mel([Excerpt(y.astype(np.float32), start_s=0.0)])
    >>> mel.excerpts[0].shape, float(mel.excerpts[0].max())
    ((128, 259), 0.0)
    """
    bank = mel_bank()
    power = [bank(power_frames(pad_edges(e, N_FFT), N_FFT, HOP)) for e in excerpts]
    peak = max(float(p.max()) for p in power)
    ref_db = DB_PER_NEPER * float(np.log(max(peak, 1e-10)))
    for p in power:  # in place: most of a small model's time goes into these arrays
        np.log(np.maximum(p, 1e-10, out=p), out=p)
        p *= DB_PER_NEPER
        p -= ref_db
        np.maximum(p, -TOP_DB, out=p)
    return LogMel(
        excerpts=tuple(np.ascontiguousarray(p.T, dtype=np.float32) for p in power),
        starts_s=tuple(e.start_s for e in excerpts),
        ref_db=ref_db,
    )


def chunks(mel: LogMel) -> tuple[np.ndarray, np.ndarray]:
    """Return the chunks of a track: 4 s long, 2 s apart, within each excerpt.

    An excerpt shorter than a chunk is repeated until it fills one.

    Returns
    -------
    chunks : np.ndarray [shape=(n_chunks, N_MELS, CHUNK_COLUMNS), dtype=float32] decibels
    starts_s : np.ndarray [shape=(n_chunks,)] seconds in the track
    """
    cut: list[np.ndarray] = []
    starts: list[float] = []
    for db, start_s in zip(mel.excerpts, mel.starts_s, strict=True):
        missing = CHUNK_COLUMNS - db.shape[1]
        if missing > 0:
            db = np.pad(db, ((0, 0), (0, missing)), mode="wrap")
        for first in range(0, db.shape[1] - CHUNK_COLUMNS + 1, CHUNK_STEP):
            cut.append(db[:, first : first + CHUNK_COLUMNS])
            starts.append(start_s + first * COLUMN_S)
    return np.stack(cut), np.array(starts)
