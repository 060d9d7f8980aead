"""The protocol of models: from a track's features to a `Prediction`."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from tagger.models.card import Card
from tagger.models.not_music import non_music_reason
from tagger.models.prediction import Prediction, Scores, Style, log_softmax, sigmoid
from tagger.models.track_features import TrackFeatures
from tagger.system.one_thread import one_thread


class Classifier(Protocol):
    """A loaded model. The kinds differ in `scores` alone.

    Each is made from a card, with ModelError where its weights are damaged or do not fit it.
    """

    card: Card

    def scores(self, features: TrackFeatures) -> Scores:
        """Return the model's output for a track, not yet calibrated."""
        ...

    def calibrated(self, scores: np.ndarray) -> np.ndarray:
        """Calibrated probabilities [shape=(..., n_labels)], from `Scores.track`."""
        if self.card.independent:
            slopes, offsets = (
                np.array([getattr(label, name) for label in self.card.calibrated_labels])
                for name in ("slope", "offset")
            )
            return sigmoid(slopes * scores + offsets)
        return np.exp(log_softmax(scores / self.card.temperature))

    @one_thread()
    def predict(self, features: TrackFeatures) -> Prediction:
        """Predict the genres of a track, with calibrated probabilities.

        Parameters
        ----------
        features : TrackFeatures
            Computed on demand.
        """
        scores = self.scores(features)
        probabilities = self.calibrated(scores.track)
        return Prediction(
            labels=self.card.labels,
            probabilities=probabilities,
            model=self.card.tag,
            thresholds=self.card.thresholds,
            independent=self.card.independent,
            styles=self._styles(scores, probabilities),
            chunk_probabilities=None if scores.chunks is None else self.calibrated(scores.chunks),
            chunk_starts_s=scores.chunk_starts_s,
            non_music_reason=non_music_reason(features),
            aims=self.card.aims,
        )

    def _styles(self, scores: Scores, probabilities: np.ndarray) -> tuple[Style, ...]:
        if scores.styles is None:
            return ()
        styles = (
            Style(s.name, s.genre, float(np.exp(given) * probabilities[i]), s.threshold, s.aims)
            for s, given in zip(self.card.styles, scores.styles, strict=True)
            for i in [self.card.labels.index(s.genre)]
        )
        return tuple(sorted(styles, key=lambda style: -style.probability))
