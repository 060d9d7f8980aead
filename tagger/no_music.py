"""Whether a track sounds like no music at all: a steady sound, or speech.

A model chooses among its genres, and noise is Metal to it with 0.97. What moves in a spectrogram
tells music from both: nothing moves in noise, hum and tones; the bands of a voice rise and fall
with every syllable (the modulation at 4 Hz of Scheirer and Slaney 1997), and without a pulse.
Must not know: models, decisions.
"""

from __future__ import annotations

import numpy as np

from tagger.log_mel_statistics import N_BANDS, N_WIDE, bands, slopes
from tagger.spectrogram import LogMel

SMOOTHING = 11  # columns, 0.5 s: noise flickers from column to column
# None of 1,912 clips of GTZAN, panda and emotify lies beyond: the steadiest one has 2.1 dB, the
# most syllabic one 2.39 dB a column. Noises have up to 1.0 dB; 37 of 40 synthetic voices more than
# 2.45 dB a column. Dry staccato music has as much, but a pulse of 0.8 and more.
STEADY_DB = 1.5  # spread of the liveliest wide band, smoothed
NORMAL_SPREAD = 2.56  # standard deviations between these percentiles of a normal distribution
QUIET_DB = -60.0  # a column with nothing louder is a pause, or the beginning of a fade
SPEECH_SLOPE_DB = 2.45  # a column: standard deviation of the slopes of a voice's bands, in mean
PULSE = 0.5  # autocorrelation of the onsets at the best beat; chance gives 0.2, in 10 s up to 0.5
BEATS = slice(5, 43)  # columns: 0.23 to 2 s
VOICE_BANDS = slice(3, 18)  # of 32: centred from 340 to 2,400 Hz


def doubt(log_mel: LogMel) -> str:
    """What speaks against music, in words; empty where nothing does.

    Parameters
    ----------
    log_mel : LogMel
        Of the whole track or its excerpts.
    """
    if liveliness(log_mel) < STEADY_DB:
        return "a steady sound, not music"
    if syllabic_movement(log_mel) > SPEECH_SLOPE_DB and pulse(log_mel) < PULSE:
        return "more like speech than music"
    return ""


def liveliness(log_mel: LogMel) -> float:
    """How far the wide band that moves most spreads over time, in decibels.

    As a standard deviation, but from the tenth to the ninetieth percentile and without pauses:
    noise that is faded in, or followed by silence, is no livelier for it.
    """
    from scipy.ndimage import uniform_filter1d

    smooth = []
    for db in log_mel.excerpts:
        # The first and last columns may reach beyond the sound, and a tone's beginning is a click.
        inner = db[:, 1:-1] if db.shape[1] > 2 else db
        heard = inner[:, inner.max(axis=0) > QUIET_DB]
        if heard.shape[1] > 0:
            smooth.append(uniform_filter1d(bands(heard, N_WIDE), SMOOTHING, axis=1, mode="nearest"))
    if not smooth:
        return 0.0
    low, high = np.percentile(np.concatenate(smooth, axis=1), (10, 90), axis=1)
    return float((high - low).max() / NORMAL_SPREAD)


def syllabic_movement(log_mel: LogMel) -> float:
    """How steeply the bands of a voice rise and fall, in decibels a column."""
    moves = np.concatenate([slopes(bands(db, N_BANDS)) for db in log_mel.excerpts], axis=1)
    return float(moves[VOICE_BANDS].std(axis=1).mean())


def pulse(log_mel: LogMel) -> float:
    """How regularly onsets come: their autocorrelation at the best beat, from -1 to 1.

    0 where there is too little to tell.
    """
    from scipy.signal import correlate

    curves = []
    for db in log_mel.excerpts:
        onsets = np.maximum(slopes(bands(db, N_BANDS)), 0).mean(axis=0)
        if len(onsets) < 2 * BEATS.stop:
            continue
        onsets = onsets - onsets.mean()
        curve = correlate(onsets, onsets)[len(onsets) - 1 :] / np.arange(len(onsets), 0, -1)
        curves.append(curve[BEATS] / max(curve[0], 1e-9))
    return float(np.mean(curves, axis=0).max()) if curves else 0.0
