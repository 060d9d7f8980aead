"""Whether a spectrogram changes over time, and how high it reaches.

Noise, hum and tones are constant. `models.not_music` decides what follows.
"""

from __future__ import annotations

import numpy as np

from tagger.sound.log_mel_statistics import N_WIDE, bands
from tagger.sound.spectrogram import N_MELS, TOP_DB, LogMel, mel_frequencies

SMOOTHING = 11  # columns, 0.5 s: noise flickers from column to column
NORMAL_SPREAD = 2.56  # standard deviations between these percentiles of a normal distribution
QUIET_DB = -60.0  # a column with nothing louder is a pause, or part of a fade
FLOOR_DB = 4.0 - TOP_DB  # below: the floor of the spectrogram, or rounding


def highest_hz(log_mel: LogMel) -> float:
    """Return the centre of the highest mel band that is not silent, in hertz; 0 where all are.

    Above a low sample rate or a codec's limit is nothing; an old recording at least hisses there.
    """
    for band in reversed(range(N_MELS)):
        db = np.concatenate([excerpt[band] for excerpt in log_mel.excerpts])
        if percentiles(db, 99)[0] > FLOOR_DB:
            return float(mel_frequencies()[band])
    return 0.0


def liveliness(log_mel: LogMel) -> float:
    """Spread over time of the wide band that changes most, in decibels.

    Like a standard deviation, but from the tenth to the ninetieth percentile and without pauses,
    so that a fade or silence around noise does not add to it.
    """
    smooth = []
    for db in log_mel.excerpts:
        # The first and last columns may reach beyond the sound, and the start of a tone is a click.
        inner = db[:, 1:-1] if db.shape[1] > 2 else db
        loud = inner[:, inner.max(axis=0) > QUIET_DB]
        if loud.shape[1] > 0:
            smooth.append(_moving_mean(bands(loud, N_WIDE)))
    if not smooth:
        return 0.0
    low, high = percentiles(np.concatenate(smooth, axis=1), 10, 90)
    return float((high - low).max() / NORMAL_SPREAD)


def percentiles(rows: np.ndarray, *percents: int) -> np.ndarray:
    """Return percentiles over the last axis, one after the other, as `np.percentile` does.

    That one imports numpy.ma when it is first called, which a scan needs for nothing else.
    """
    ordered = np.sort(rows, axis=-1)
    at = np.array(percents) / 100 * (rows.shape[-1] - 1)
    below = at.astype(np.intp)
    share = at - below
    low, high = ordered[..., below], ordered[..., np.minimum(below + 1, rows.shape[-1] - 1)]
    rise = high - low
    between = np.where(share < 0.5, low + rise * share, high - rise * (1 - share))
    return np.moveaxis(between, -1, 0)


def _moving_mean(rows: np.ndarray) -> np.ndarray:
    """Return each value's mean with its `SMOOTHING` neighbours in the row, of the same shape."""
    half, n = SMOOTHING // 2, rows.shape[1]
    padded = np.pad(rows, ((0, 0), (half, half)), mode="edge")
    total = padded[:, :n].copy()
    for k in range(1, SMOOTHING):
        total += padded[:, k : k + n]
    return total / SMOOTHING
