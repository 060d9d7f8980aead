"""Runs boosted trees with XGBoost on descriptors.

Weights are a `.ubj` file; the card's `features` name the inputs in their order. Must not know:
where models are kept, how they were trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tagger.errors import ModelError
from tagger.models.card import Card
from tagger.models.features import FeatureColumns
from tagger.models.heard import Heard
from tagger.models.prediction import Classifier, Scores, log_softmax
from tagger.models.ubjson import check_trees

# One process a core is how a collection is scanned; a second thread would only get in the way.
THREADS = 1


class Trees:
    """Boosted trees in XGBoost's form, loaded from memory.

    Parameters
    ----------
    weights : bytes
        A `.ubj` file: one tree a label and round, objective `multi:softprob`.
    features : sequence of str
        Names from `LOG_MEL_FEATURES` and `descriptors.FEATURES`, one an input.

    Raises
    ------
    ValueError
        Where that are no such trees, or none for these features.
    """

    def __init__(self, weights: bytes, features: Sequence[str]) -> None:
        import xgboost

        self._chosen = FeatureColumns(features)
        self.n_labels = check_trees(weights, len(features))
        self._booster: Any = xgboost.Booster({"nthread": THREADS})
        try:
            self._booster.load_model(bytearray(weights))
        except xgboost.core.XGBoostError as error:  # with a stack trace for a message
            raise ValueError("XGBoost cannot read them") from error

    def logits(self, inputs: np.ndarray) -> np.ndarray:
        """Logits [shape=(n, n_labels)] from descriptors [shape=(n, n_features)]."""
        margins: np.ndarray = self._booster.inplace_predict(inputs, predict_type="margin")
        return margins

    def ask(self, inputs: np.ndarray) -> np.ndarray:
        """Log probabilities [shape=(n, n_labels)] from descriptors [shape=(n, n_features)]."""
        return log_softmax(self.logits(inputs))

    def look(self, heard: Heard) -> np.ndarray:
        """What the trees see of one track [shape=(1, n_features)]."""
        return self._chosen(heard)[None]


class BoostedTrees(Classifier):
    """Boosted trees, ready to be asked.

    Raises
    ------
    ModelError
        Where the weights are damaged or do not fit the card.
    """

    def __init__(self, card: Card) -> None:
        self.card = card
        features = card.data.get("features")
        if not isinstance(features, list) or not all(isinstance(name, str) for name in features):
            raise ModelError("names no features", path=card.folder)
        try:
            self._trees = Trees(card.weights(), features)
        except ValueError as error:
            raise ModelError(
                f"the weights are no trees of ours: {error}", path=card.folder
            ) from error
        if self._trees.n_labels != len(card.labels):
            raise ModelError(
                f"the trees have {self._trees.n_labels} outputs for {len(card.labels)} labels",
                path=card.folder,
            )

    def scores(self, heard: Heard) -> Scores:
        ask = self._trees.logits if self.card.independent else self._trees.ask
        return Scores(ask(self._trees.look(heard))[0])
