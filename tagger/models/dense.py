"""Runs a network on descriptors with LiteRT.

Weights are a `.tflite` file whose signature takes `features` and returns `logits`, the scaling of
the inputs worked in.
"""

from __future__ import annotations

import numpy as np

from tagger.errors import ModelError
from tagger.models.card import Card
from tagger.models.linear import columns_of
from tagger.models.lite import LiteNetwork
from tagger.models.prediction import Classifier, Scores, log_softmax
from tagger.models.track_features import TrackFeatures


class FeatureNetwork:
    """A network in LiteRT's form, loaded from memory.

    Parameters
    ----------
    weights : bytes
        A `.tflite` file.
    n_inputs : int

    Raises
    ------
    ValueError, RuntimeError, KeyError
        Where that is no network with this module's signature.
    """

    def __init__(self, weights: bytes, n_inputs: int) -> None:
        self._network = LiteNetwork(weights, "features", (1, n_inputs), ("logits",))
        self.n_labels = self._network.size("logits")

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Log probabilities [shape=(n, n_labels)] from inputs [shape=(n, n_inputs)]."""
        return log_softmax(self._network(rows.astype(np.float32))["logits"])


class Dense(Classifier):
    """A network on the descriptors that its card names as `features`.

    Raises
    ------
    ModelError
        Where the weights are damaged or do not fit the card.
    """

    def __init__(self, card: Card) -> None:
        self.card = card
        self._columns, n_inputs = columns_of(card)
        try:
            self._network = FeatureNetwork(card.weights(), n_inputs)
        except (ValueError, RuntimeError, KeyError) as error:
            raise ModelError(f"not a valid gtag network: {error}", path=card.folder) from error
        if self._network.n_labels != len(card.labels):
            raise ModelError("the network has other outputs", path=card.folder)

    def scores(self, features: TrackFeatures) -> Scores:
        return Scores(self._network(self._columns(features)[None])[0])
