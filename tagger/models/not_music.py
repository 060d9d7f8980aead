"""Rejects what is not music, and says what it sounds like instead.

YAMNet's classes decide: the scores of music, in mean over the patches of a track. It takes hum and
steady tones for a synthesizer; they are known by a spectrogram that never changes. The same rules
hold with every model.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np

from tagger.models.card import Card, read_card
from tagger.models.embeddings import mean_scores
from tagger.models.networks import Backbone
from tagger.models.registry import bundled_folder
from tagger.models.track_features import TrackFeatures
from tagger.models.words_for_sounds import BROAD, CLOSE

NETWORK = "yamnet"
# The classes that are music: to the network, a choir or a chant need not be "Music".
MUSIC = ("Music", "Singing", "Choir", "Chant", "Mantra")
# Measured for each of them in docs/experiments.md.
LEAST_MUSIC = 0.25  # score below which a track is not music
STEADY_DB = 0.6  # liveliness below which a sound is steady
# 11 of 2,580 clips of music have nothing above it; neither does what is sampled at 11,025 Hz.
NARROWEST_HZ = 6000.0
LEAST_HEARD = 0.1  # score from which the row says what it heard

STEADY = "sounds like a steady hum or tone, not music"
UNKNOWN = "does not sound like music"


def doubted(highest_hz: np.ndarray, liveliness: np.ndarray, music: np.ndarray) -> np.ndarray:
    """Tell whether tracks should not get a genre; what is not known of a track (NaN) speaks for it.

    Parameters
    ----------
    highest_hz, liveliness : np.ndarray [shape=(n,)]
        As in `TrackFeatures`.
    music : np.ndarray [shape=(n,)]
        As `music_score` returns it.

    Returns
    -------
    np.ndarray [shape=(n,), dtype=bool]
    """
    return (highest_hz < NARROWEST_HZ) | (liveliness < STEADY_DB) | (music < LEAST_MUSIC)


def non_music_reason(features: TrackFeatures) -> str:
    """Say why a track should not get a genre; empty if it may.

    It does not sound like music, or its bandwidth is too narrow: a piece became Jazz at 8 kHz. Of
    an archive's spectrogram, YAMNet can say nothing.
    """
    card = yamnet_card()
    if features.has_sound or card.tag in features.scores:
        scores = _scores(features)
        if music_score(scores) < LEAST_MUSIC:
            return sounds_like(card.labels, scores)
    highest = float(features.highest_hz)
    if highest < NARROWEST_HZ:
        return f"nothing above {highest / 1000:.1f} kHz, bandwidth too narrow"
    return STEADY if features.liveliness < STEADY_DB else ""


def music_score(scores: np.ndarray) -> np.ndarray:
    """Return how surely tracks are music, from 0 to 1.

    Parameters
    ----------
    scores : np.ndarray [shape=(..., n_labels)]
        Of YAMNet's classes, in mean over a track.

    Returns
    -------
    np.ndarray [shape=(...)]
    """
    return np.asarray(
        scores[..., [yamnet_card().labels.index(name) for name in MUSIC]].max(axis=-1)
    )


def sounds_like(labels: tuple[str, ...], scores: np.ndarray) -> str:
    """Name what a track that is not music sounds like.

    Parameters
    ----------
    labels : tuple of str
        AudioSet's classes.
    scores : np.ndarray [shape=(n_labels,)]
        Of a track, from 0 to 1.
    """
    close, of_close = _best(CLOSE, labels, scores)
    broad, of_broad = _best(BROAD, labels, scores)
    # A helicopter is a vehicle, too: say the closer word unless it is far less sure.
    words, score = (close, of_close) if of_close >= of_broad / 2 else (broad, of_broad)
    return UNKNOWN if score < LEAST_HEARD else f"sounds like {words}, not music"


def _best(
    words: Mapping[str, str], labels: tuple[str, ...], scores: np.ndarray
) -> tuple[str, float]:
    """Return the words for the class that scores best, and its score."""
    found = (
        (float(s), words[label]) for s, label in zip(scores, labels, strict=True) if label in words
    )
    score, best = max(found, default=(0.0, ""))
    return best, score


@cache
def yamnet_card() -> Card:
    """Return the card of the network that tells music from other sounds."""
    return read_card(bundled_folder() / NETWORK)


def _scores(features: TrackFeatures) -> np.ndarray:
    """YAMNet's mean scores; the network is loaded only where no model has asked it."""
    tag = yamnet_card().tag
    return features.scores[tag] if tag in features.scores else mean_scores(yamnet(), features)


@cache
def yamnet() -> Backbone:
    """Return the network that tells music from other sounds, loaded once."""
    return Backbone(yamnet_card())
