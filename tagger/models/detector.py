"""Rejects what is not music: a small linear model tells music, noise and voices apart.

Its inputs are the pretrained network's embedding, if the model at hand computed it anyway, and how
the log-mel spectrogram changes over time. Two sets of weights are bundled: one with the embedding,
which is better, and one with statistics of the spectrogram instead.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from tagger.errors import ModelError
from tagger.models import zoo
from tagger.models.card import Card
from tagger.models.linear import load_weights
from tagger.models.track_features import TrackFeatures
from tagger.sound.no_music import MOVEMENT

MUSIC = "music"
WITH_EMBEDDING, WITHOUT = "no-music", "no-music-fast"
# 11 of 2,557 clips of music have nothing above it; neither does what is sampled at 11,025 Hz.
NARROWEST_HZ = 6000.0
WORDS = {"noise": "sounds like noise, not music", "voice": "sounds like a voice, not music"}


class Detector:
    """A linear model of music, noise and voices."""

    def __init__(self, card: Card) -> None:
        if card.kind != "detector" or MUSIC not in card.labels:
            raise ModelError("is not a music detector", path=card.folder)
        self.card = card
        self.backbone = str(card.data.get("looks_at", ""))
        n_looked_at = card.data.get("n_looked_at")
        if type(n_looked_at) is not int or not 0 < n_looked_at < 10**6:
            raise ModelError("does not say how many inputs it has", path=card.folder)
        self._weights = load_weights(card, n_looked_at + len(MOVEMENT))

    def can_run(self, features: TrackFeatures) -> bool:
        """Whether the embedding, where it is an input, is computed already."""
        return not self.backbone or self.backbone in features.embeddings

    def probabilities(self, features: TrackFeatures) -> np.ndarray:
        """Of each of the card's labels [shape=(n_labels,)]."""
        name = self.backbone
        seen = features.embeddings[name] if name else features.narrow_statistics
        return np.exp(self._weights(np.concatenate([seen, features.movement])))

    def non_music_reason(self, features: TrackFeatures) -> str:
        """Why a track does not sound like music, in words; empty if it does."""
        probabilities = dict(zip(self.card.labels, self.probabilities(features), strict=True))
        if 1 - probabilities.pop(MUSIC) < self.card.threshold:
            return ""
        return WORDS.get(max(probabilities, key=lambda k: probabilities[k]), "not music")


def non_music_reason(features: TrackFeatures) -> str:
    """Why a track should not get a genre, in words; empty if it may.

    It does not sound like music, or its bandwidth is too narrow: a piece became Jazz at 8 kHz.
    """
    highest = float(features.highest_hz)
    if highest < NARROWEST_HZ:
        return f"nothing above {highest / 1000:.1f} kHz, bandwidth too narrow"
    detectors = _detectors()
    return next((d.non_music_reason(features) for d in detectors if d.can_run(features)), "")


@cache
def _detectors() -> tuple[Detector, ...]:
    root = zoo.bundled_folder()
    return tuple(
        Detector(zoo.find(str(root / name)))
        for name in (WITH_EMBEDDING, WITHOUT)
        if (root / name).is_dir()
    )
