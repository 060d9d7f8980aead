"""Whether a track is music at all: a small linear model tells music, noise and voices apart.

Its inputs are the pretrained network's embedding, where the genre model computed it anyway, and
how the log-mel spectrogram moves. Two sets of weights come with gtag: with the embedding, which is
more accurate, and with statistics of the spectrogram in its place.
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
# 11 of 2,557 clips of music have no sound above; nor has what is sampled at 11,025 Hz.
NARROWEST_HZ = 6000.0
WORDS = {"noise": "sounds like noise, not music", "voice": "sounds like a voice, not music"}


class Detector:
    """A linear model of music and what is none.

    Raises
    ------
    ModelError
        Where the weights are damaged or do not fit the card.
    """

    def __init__(self, card: Card) -> None:
        if card.kind != "detector" or MUSIC not in card.labels:
            raise ModelError("is not a music detector", path=card.folder)
        self.card = card
        self.backbone = str(card.data.get("looks_at", ""))
        n_looked_at = card.data.get("n_looked_at")
        if type(n_looked_at) is not int or not 0 < n_looked_at < 10**6:
            raise ModelError("n_looked_at must be the number of inputs", path=card.folder)
        self._weights = load_weights(card, n_looked_at + len(MOVEMENT))

    def can_run(self, features: TrackFeatures) -> bool:
        """Whether the embedding is there, where it is an input."""
        return not self.backbone or self.backbone in features.embeddings

    def probabilities(self, features: TrackFeatures) -> np.ndarray:
        """Of the card's labels [shape=(n_labels,)]."""
        name = self.backbone
        seen = features.embeddings[name] if name else features.narrow_statistics
        return np.exp(self._weights(np.concatenate([seen, features.movement])))

    def non_music_reason(self, features: TrackFeatures) -> str:
        """Why the track is not taken for music; empty where it is."""
        probabilities = dict(zip(self.card.labels, self.probabilities(features), strict=True))
        if 1 - probabilities.pop(MUSIC) < self.card.threshold:
            return ""
        return WORDS.get(max(probabilities, key=lambda k: probabilities[k]), "not music")


def non_music_reason(features: TrackFeatures) -> str:
    """Why the genre of a track cannot be trusted; empty where it can.

    It does not sound like music, or its bandwidth is too narrow: the same piece at 8 kHz was Jazz.
    """
    highest = float(features.highest_hz)
    if highest < NARROWEST_HZ:
        return f"nothing sounds above {highest / 1000:.1f} kHz, too narrow to judge"
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
