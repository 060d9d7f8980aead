"""Runs a CNN on chunks of a track's log-mel spectrogram."""

from __future__ import annotations

import numpy as np

from tagger.models.card import Card
from tagger.models.classifier import Classifier
from tagger.models.networks import Network
from tagger.models.prediction import Scores, log_softmax
from tagger.models.track_features import TrackFeatures
from tagger.sound.spectrogram import CHUNK_COLUMNS, N_MELS


def chunk_network(weights: bytes) -> Network:
    """Return a network from chunks of a log-mel spectrogram to `logits` and `embedding`; see
    `Network`.
    """
    return Network(weights, "chunks", (1, N_MELS, CHUNK_COLUMNS), ("logits", "embedding"))


class ChunkCnn(Classifier):
    """A chunk-averaged CNN on log-mel spectrograms."""

    def __init__(self, card: Card) -> None:
        self.card = card
        self._network = card.load_weights(chunk_network)
        card.need_outputs(self._network.sizes["logits"])

    @property
    def n_dimensions(self) -> int:
        return self._network.sizes["embedding"]

    def embed(self, features: TrackFeatures) -> np.ndarray:
        return self._network(features.chunks[0])["embedding"]

    def starts_s(self, features: TrackFeatures) -> np.ndarray:
        return features.chunks[1]

    def scores(self, features: TrackFeatures) -> Scores:
        logits = self._network(features.chunks[0])["logits"]
        return Scores(mean_log_probabilities(logits), log_softmax(logits), self.starts_s(features))


def mean_log_probabilities(logits: np.ndarray) -> np.ndarray:
    """Return a track's score for each label, from its chunks: the average in log space.

    Parameters
    ----------
    logits : np.ndarray [shape=(n_chunks, n_labels)]

    Returns
    -------
    np.ndarray [shape=(n_labels,)]
        Log probabilities, not yet calibrated.
    """
    return log_softmax(log_softmax(logits).mean(axis=0))
