"""How a spectrogram changes over time, which tells music from steady sounds and from speech.

Noise, hum and tones are constant; the bands of a voice rise and fall with every syllable (the
modulation at 4 Hz of Scheirer and Slaney 1997), without a pulse. `models.detector` decides.
"""

from __future__ import annotations

import numpy as np

from tagger.sound.log_mel_statistics import N_BANDS, N_WIDE, bands, slopes
from tagger.sound.spectrogram import TOP_DB, LogMel, mel_frequencies

SMOOTHING = 11  # columns, 0.5 s: noise flickers from column to column
NORMAL_SPREAD = 2.56  # standard deviations between these percentiles of a normal distribution
QUIET_DB = -60.0  # a column with nothing louder is a pause, or part of a fade
FLOOR_DB = 4.0 - TOP_DB  # below: the floor of the spectrogram, or rounding
BEATS = slice(5, 43)  # columns: 0.23 to 2 s
VOICE_BANDS = slice(3, 18)  # of 32: centred from 340 to 2,400 Hz
MOVEMENT = ("liveliness", "syllabic_movement", "pulse")


def movement(log_mel: LogMel) -> np.ndarray:
    """The detector's features of a track [shape=(len(MOVEMENT),)], as named by `MOVEMENT`.

    Parameters
    ----------
    log_mel : LogMel
        Of the whole track or its excerpts.
    """
    return np.array([liveliness(log_mel), syllabic_movement(log_mel), pulse(log_mel)])


def highest_hz(log_mel: LogMel) -> float:
    """The centre of the highest mel band that is not silent, in hertz; 0 where all are.

    Above a low sample rate or a codec's limit is nothing; an old recording at least hisses there.
    """
    db = np.concatenate(log_mel.excerpts, axis=1)
    sounding = np.flatnonzero(np.percentile(db, 99, axis=1) > FLOOR_DB)
    return float(mel_frequencies()[sounding[-1]]) if len(sounding) else 0.0


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
    low, high = np.percentile(np.concatenate(smooth, axis=1), (10, 90), axis=1)
    return float((high - low).max() / NORMAL_SPREAD)


def _moving_mean(rows: np.ndarray) -> np.ndarray:
    """Each value's mean with its `SMOOTHING` neighbours in the row, of the same shape."""
    half = SMOOTHING // 2
    padded = np.pad(rows, ((0, 0), (half, half)), mode="edge")
    return np.lib.stride_tricks.sliding_window_view(padded, SMOOTHING, axis=1).mean(axis=2)


def syllabic_movement(log_mel: LogMel) -> float:
    """How steeply the bands of a voice rise and fall, in decibels a column."""
    moves = np.concatenate([slopes(bands(db, N_BANDS)) for db in log_mel.excerpts], axis=1)
    return float(moves[VOICE_BANDS].std(axis=1).mean())


def pulse(log_mel: LogMel) -> float:
    """How regularly onsets come: their autocorrelation at the best beat, from -1 to 1.

    0 where the excerpts are too short.
    """
    curves = []
    for db in log_mel.excerpts:
        onsets = np.maximum(slopes(bands(db, N_BANDS)), 0).mean(axis=0)
        if (n := len(onsets)) < 2 * BEATS.stop:
            continue
        onsets = onsets - onsets.mean()
        curve = np.correlate(onsets, onsets, "full")[n - 1 :] / np.arange(n, 0, -1)
        curves.append(curve[BEATS] / max(curve[0], 1e-9))
    return float(np.mean(curves, axis=0).max()) if curves else 0.0
