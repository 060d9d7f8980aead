"""Runs a chunk-averaged CNN with LiteRT.

Weights are a `.tflite` file whose signature takes `chunks` and returns `logits` and `embedding`.
"""

from __future__ import annotations

import numpy as np

from tagger.errors import ModelError
from tagger.models.card import Card
from tagger.models.lite import LiteNetwork
from tagger.models.prediction import Classifier, Scores, log_softmax
from tagger.models.track_features import TrackFeatures
from tagger.sound.spectrogram import CHUNK_COLUMNS, N_MELS


def load_network(weights: bytes) -> LiteNetwork:
    """The network of a `.tflite` file.

    Raises
    ------
    ValueError, RuntimeError, KeyError
        Where that is no network with this module's signature.
    """
    return LiteNetwork(weights, "chunks", (1, N_MELS, CHUNK_COLUMNS), ("logits", "embedding"))


class ChunkCnn(Classifier):
    """A chunk-averaged CNN, ready to be asked.

    Raises
    ------
    ModelError
        Where the weights are damaged or are no such network.
    """

    def __init__(self, card: Card) -> None:
        self.card = card
        try:
            self._network = load_network(card.weights())
        except (ValueError, RuntimeError, KeyError) as error:
            raise ModelError(f"not a valid gtag network: {error}", path=card.folder) from error
        if self._network.size("logits") != len(card.labels):
            raise ModelError(
                f"the network has {self._network.size('logits')} outputs for "
                f"{len(card.labels)} labels",
                path=card.folder,
            )

    @property
    def n_dimensions(self) -> int:
        """Of the embedding."""
        return self._network.size("embedding")

    def embed(self, features: TrackFeatures) -> np.ndarray:
        """Embedding of each chunk [shape=(n_chunks, n_dimensions)]."""
        return self._network(features.chunks[0])["embedding"]

    def starts_s(self, features: TrackFeatures) -> np.ndarray:
        """Where each chunk starts in the track, in seconds [shape=(n_chunks,)]."""
        return features.chunks[1]

    def scores(self, features: TrackFeatures) -> Scores:
        logits = self._network(features.chunks[0])["logits"]
        return Scores(mean_log_probabilities(logits), log_softmax(logits), self.starts_s(features))


def mean_log_probabilities(logits: np.ndarray) -> np.ndarray:
    """A track's score for each label, from its chunks: the average in log space.

    Parameters
    ----------
    logits : np.ndarray [shape=(n_chunks, n_labels)]

    Returns
    -------
    np.ndarray [shape=(n_labels,)]
        Log probabilities, not yet calibrated.
    """
    return log_softmax(log_softmax(logits).mean(axis=0))
