"""THE librosa feature vector of a track, by name: one definition for tagger and training.

Timbre, loudness, harmony and tempo as the field's feature tables have them, all from one STFT,
pooled over a track's excerpts. The definitions are librosa's (defaults of 0.7 and 0.8: frames
reflect at the ends of a clip), written in numpy: librosa brings 215 MB of numba, and its functions
compile themselves for half a minute on a fresh machine. The tests compare with librosa. What comes
from a log-mel spectrogram alone: `log_mel_statistics`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from tagger.sound.audio import Excerpt
from tagger.sound.decoder import SAMPLE_RATE
from tagger.sound.log_mel_statistics import dct_basis
from tagger.sound.spectrogram import (
    N_FFT,
    N_MELS,
    TOP_DB,
    hann,
    mel_filters,
    pad_edges,
    power_frames,
)

TABLE_HOP = 512  # samples: hop of the field's feature tables (features_30s.csv)

N_MFCC = 20
N_CHROMA = 12
CHROMA_OCTAVES = 5.0, 2.0  # above A0: centre and spread of the weights of chroma
CONTRAST_BANDS = 6  # octaves above CONTRAST_FMIN, and one band below
CONTRAST_FMIN = 200.0  # Hz
CONTRAST_QUANTILE = 0.02  # of a band's bins: its peak, its valley
ROLLOFF = 0.85  # of a frame's magnitude lies below the rolloff frequency
PITCH_RANGE = 150.0, 4000.0  # Hz: where the tuning is estimated
PITCH_THRESHOLD = 0.1  # of a frame's maximum power: a partial
TUNING_STEP = 0.01  # of a semitone
TEMPO_WINDOW_S = 8.0  # autocorrelation window
TEMPO_PRIOR = 120.0, 1.0, 320.0  # bpm: most likely, spread in octaves, fastest

_AMIN = 1e-10  # power below which decibels are not taken


def _names() -> tuple[str, ...]:
    measures = ["chroma_stft", "rms", "spectral_centroid", "spectral_bandwidth", "rolloff"]
    measures += ["zero_crossing_rate", "spectral_flatness"]
    measures += [f"spectral_contrast{k + 1}" for k in range(CONTRAST_BANDS + 1)]
    measures += [f"mfcc{k + 1}" for k in range(N_MFCC)]
    return (*(f"{m}_{s}" for m in measures for s in ("mean", "var")), "tempo")


FEATURES: tuple[str, ...] = _names()
"""The features in order; those of `features_30s.csv` under its column names."""


def describe(excerpts: Sequence[Excerpt]) -> np.ndarray:
    """Feature vector of one track; of a whole clip, the values of `features_30s.csv`.

    Parameters
    ----------
    excerpts : sequence of Excerpt, not empty
        Frames of all of them are pooled: one mean, one variance, one tuning, one loudness
        reference per track. An excerpt's first and last frame reach into the samples of its edges,
        and are reflected where there are none.

    Returns
    -------
    np.ndarray [shape=(len(FEATURES),), dtype=float32]
        As named by `FEATURES`; all finite, also for silence.
    """
    padded = [pad_edges(e, N_FFT, "reflect") for e in excerpts]
    power = np.concatenate([power_frames(y, N_FFT, TABLE_HOP) for y in padded])
    magnitude = np.sqrt(power)
    mel_db = _power_to_db(power @ mel_filters().T)
    rows = [
        _chroma(power),
        np.concatenate([_rms(y) for y in padded]),
        *_centre_width_rolloff(magnitude),
        # librosa repeats the last sample here, where elsewhere it reflects.
        np.concatenate([_zero_crossings(pad_edges(e, N_FFT, "edge")) for e in excerpts]),
        _flatness(power),
        *_contrast(magnitude).T,
        *(mel_db @ dct_basis(N_MFCC, N_MELS).T).T,  # MFCC
    ]
    moments = [m for row in rows for m in (row.mean(), row.var())]
    n_frames = [1 + (len(y) - N_FFT) // TABLE_HOP for y in padded]
    tempo = _tempo(np.split(mel_db, np.cumsum(n_frames)[:-1]))
    return np.array([*moments, tempo], dtype=np.float32)


def _power_to_db(power: np.ndarray) -> np.ndarray:
    """Absolute decibels, at most `TOP_DB` below the loudest."""
    db = 10.0 * np.log10(np.maximum(power, _AMIN))
    return np.maximum(db, db.max() - TOP_DB)


@lru_cache(maxsize=1)
def _frequencies() -> np.ndarray:
    """Centre of each bin of the STFT, in hertz."""
    return np.fft.rfftfreq(N_FFT, 1.0 / SAMPLE_RATE).astype(np.float32)


def _rms(y: np.ndarray) -> np.ndarray:
    frames = np.lib.stride_tricks.sliding_window_view(y, N_FFT)[::TABLE_HOP]
    return np.sqrt(np.einsum("ij,ij->i", frames, frames) / N_FFT)


def _zero_crossings(y: np.ndarray) -> np.ndarray:
    """Share of a frame's samples that have another sign than the one before."""
    negative = (y < -_AMIN).astype(np.int32)  # so nearly nothing counts as positive
    before = np.concatenate([[0], np.cumsum(np.abs(np.diff(negative)))])
    first = np.arange(0, len(y) - N_FFT + 1, TABLE_HOP)
    return (before[first + N_FFT - 1] - before[first]) / N_FFT


def _centre_width_rolloff(magnitude: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Spectral centroid, bandwidth and rolloff of each frame, in hertz; 0 in silence."""
    hz = _frequencies()
    total = magnitude.sum(axis=1)
    share = magnitude / np.where(total > 0, total, 1)[:, None]
    centroid = share @ hz
    # The second moment about the centroid, in float64 because it is a small difference.
    square = share @ np.square(hz, dtype=np.float64) - np.square(centroid, dtype=np.float64)
    below = np.cumsum(magnitude, axis=1)
    rolloff = hz[np.argmax(below >= ROLLOFF * below[:, -1:], axis=1)]
    return centroid, np.sqrt(np.maximum(square, 0)), rolloff


def _flatness(power: np.ndarray) -> np.ndarray:
    power = np.maximum(power, _AMIN)
    return np.exp(np.log(power).mean(axis=1)) / power.mean(axis=1)


def _contrast(magnitude: np.ndarray) -> np.ndarray:
    """Peaks over valleys of each octave, in decibels [shape=(n_frames, CONTRAST_BANDS + 1)]."""
    hz = _frequencies()
    edges = np.array([0, *(CONTRAST_FMIN * 2.0 ** np.arange(CONTRAST_BANDS + 1))])
    peaks, valleys = [], []
    for k in range(CONTRAST_BANDS + 1):
        inside = np.flatnonzero((hz >= edges[k]) & (hz <= edges[k + 1]))
        first = inside[0] - (k > 0)
        last = len(hz) - 1 if k == CONTRAST_BANDS else inside[-1]
        n = max(1, round(CONTRAST_QUANTILE * (last + 1 - first)))
        # librosa counts the band's last bin, but leaves it to the next band.
        band = np.sort(magnitude[:, first : last + (k == CONTRAST_BANDS)], axis=1)
        valleys.append(band[:, :n].mean(axis=1))
        peaks.append(band[:, -n:].mean(axis=1))
    return _power_to_db(np.stack(peaks, axis=1)) - _power_to_db(np.stack(valleys, axis=1))


def _chroma(power: np.ndarray) -> np.ndarray:
    """Energy of the twelve pitch classes relative to a frame's strongest [(n_frames, 12)]."""
    chroma = power @ _chroma_filters(_tuning(power)).T
    strongest = chroma.max(axis=1, keepdims=True)
    return chroma / np.where(strongest > np.finfo(np.float32).tiny, strongest, 1)


@lru_cache(maxsize=128)  # there are no more than 101 tunings
def _chroma_filters(tuning: float) -> np.ndarray:
    """Return how much of each bin belongs to each pitch class, from C [shape=(N_CHROMA, n_bins)].

    Bumps around the pitches, as wide as a bin, weighted towards the middle octaves (Ellis 2007).
    """
    a0 = 440.0 * 2.0 ** (tuning / N_CHROMA) / 16
    pitch = N_CHROMA * np.log2(_frequencies()[1:].astype(np.float64) / a0)
    pitch = np.concatenate([[pitch[0] - 1.5 * N_CHROMA], pitch])  # 0 Hz, somewhere far below
    width = np.maximum(np.append(np.diff(pitch), 1.0), 1.0)
    half = N_CHROMA // 2
    distance = np.mod(pitch - np.arange(N_CHROMA)[:, None] + half, N_CHROMA) - half
    bumps = np.exp(-0.5 * np.square(2 * distance / width))
    bumps /= np.linalg.norm(bumps, axis=0)
    centre, spread = CHROMA_OCTAVES
    bumps *= np.exp(-0.5 * np.square((pitch / N_CHROMA - centre) / spread))
    return np.roll(bumps, -3, axis=0).astype(np.float32)


def _tuning(power: np.ndarray) -> float:
    """Return the track's tuning against 440 Hz, in semitones from -0.5 to 0.5.

    The commonest deviation of its partials: peaks of a frame's power, interpolated by a parabola
    through their neighbours (librosa's `piptrack` and `pitch_tuning`).
    """
    hz = _frequencies()
    inside = np.flatnonzero((hz >= PITCH_RANGE[0]) & (hz < PITCH_RANGE[1]))
    left, mid, right = (power[:, inside[0] + k : inside[-1] + 1 + k] for k in (-1, 0, 1))
    floor = PITCH_THRESHOLD * power.max(axis=1, keepdims=True)
    # librosa sets neighbours below the floor to 0, which changes no comparison.
    at = np.nonzero((mid > floor) & (mid > left) & (mid >= right))
    left, mid, right = left[at], mid[at], right[at]
    slope, bend = (right - left) / 2, right + left - 2 * mid
    shift = np.where(np.abs(slope) < np.abs(bend), -slope / np.where(bend, bend, 1), 0)
    pitch = (at[1] + inside[0] + shift) * (SAMPLE_RATE / N_FFT)
    height = mid + slope * shift / 2
    if not len(pitch):
        return 0.0
    pitch = pitch[height >= np.median(height)]
    deviation = np.mod(N_CHROMA * np.log2(pitch / (440.0 / 16)), 1.0)
    deviation[deviation >= 0.5] -= 1.0
    bins = np.linspace(-0.5, 0.5, round(1 / TUNING_STEP) + 1)
    counts, _ = np.histogram(deviation, bins)
    return float(bins[np.argmax(counts)])


def _tempo(mel_db: Sequence[np.ndarray]) -> float:
    """Tempo in beats per minute, 0 where nothing starts (librosa's `beat_track`).

    The period at which onsets repeat in windows of 8 s, on average over all excerpts, with
    tempos around 120 preferred.
    """
    width = int(TEMPO_WINDOW_S * SAMPLE_RATE) // TABLE_HOP
    size = 1 << (2 * width - 2).bit_length()  # at least twice the width: nothing wraps round
    window = hann(width)
    spectra, n_frames = np.zeros(size // 2 + 1), 0
    for db in mel_db:
        rise = np.median(np.maximum(np.diff(db, axis=0), 0), axis=1)
        # An onset belongs to the frame with its middle there, not its edge.
        onsets = np.pad(rise, (1 + N_FFT // (2 * TABLE_HOP), 0))[: len(db)]
        ramped = np.pad(onsets, width // 2, mode="linear_ramp")
        frames = np.lib.stride_tricks.sliding_window_view(ramped, width)[: len(db)] * window
        energy = np.einsum("ij,ij->i", frames, frames)[:, None]
        spectrum = np.abs(np.fft.rfft(frames, size, axis=1)) ** 2
        spectra += (spectrum / np.where(energy > 0, energy, 1)).sum(axis=0)
        n_frames += len(db)
    if not spectra.any():
        return 0.0
    repeats = np.fft.irfft(spectra / n_frames, size)[1:width]
    bpm = 60.0 * SAMPLE_RATE / (TABLE_HOP * np.arange(1.0, width))
    best, spread, fastest = TEMPO_PRIOR
    score = np.log1p(1e6 * repeats) - 0.5 * (np.log2(bpm / best) / spread) ** 2
    score[: np.argmax(bpm < fastest)] = -np.inf
    return float(bpm[np.argmax(score)])
