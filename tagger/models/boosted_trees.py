"""Runs boosted trees that XGBoost made, on descriptors.

Weights are a `.ubj` file; the card's `features` name the inputs in their order. Runs in numpy: a
scan starts a second sooner, and no native code reads a stranger's file.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from tagger.models.card import Card
from tagger.models.classifier import Classifier
from tagger.models.embeddings import Embedder
from tagger.models.feature_columns import FeatureColumns
from tagger.models.prediction import Scores, log_softmax
from tagger.models.track_features import TrackFeatures
from tagger.models.ubjson import read_trees


class Trees:
    """Boosted trees in XGBoost's form, loaded from memory.

    Parameters
    ----------
    weights : bytes
        A `.ubj` file: one tree a label and round, objective `multi:softprob`.
    n_features : int
        Number of inputs.

    Raises
    ------
    ValueError
        Where the file is damaged or has other inputs.
    """

    def __init__(self, weights: bytes, n_features: int) -> None:
        learner = read_trees(weights, n_features)
        model, parameters = learner["gradient_booster"]["model"], learner["learner_model_param"]
        self.n_labels = int(parameters["num_class"])
        bias = str(parameters["base_score"]).strip("[]").split(",")
        self._bias = np.array([float(score) for score in bias])
        self._label_of_tree = np.array(model["tree_info"], dtype=np.intp)
        # All nodes in a row, one tree behind the other.
        sizes = [int(tree["tree_param"]["num_nodes"]) for tree in model["trees"]]
        self._roots = np.cumsum([0, *sizes[:-1]])

        def nodes(name: str, kind: type) -> np.ndarray:
            return np.concatenate([np.asarray(tree[name]) for tree in model["trees"]]).astype(kind)

        self._feature = nodes("split_indices", np.intp)
        self._below = nodes("split_conditions", np.float32)  # of a leaf: its value
        self._default_left = nodes("default_left", bool)
        left, right = nodes("left_children", np.intp), nodes("right_children", np.intp)
        own, roots = np.arange(len(left)), np.repeat(self._roots, sizes)
        # A leaf is its own child, so that trees of any depth are evaluated in step.
        self._left = np.where(left < 0, own, roots + left)
        self._right = np.where(left < 0, own, roots + right)

    def logits(self, inputs: np.ndarray) -> np.ndarray:
        """Logits [shape=(n, n_labels)] from descriptors [shape=(n, n_features)]."""
        return np.array([self._logits(row) for row in inputs.astype(np.float32)])

    def _logits(self, row: np.ndarray) -> np.ndarray:
        at, before = self._roots, None
        while before is None or (at != before).any():
            value = row[self._feature[at]]
            goes_left = np.where(np.isnan(value), self._default_left[at], value < self._below[at])
            at, before = np.where(goes_left, self._left[at], self._right[at]), at
        sums = np.bincount(self._label_of_tree, self._below[at], minlength=self.n_labels)
        return (self._bias + sums).astype(np.float32)


class BoostedTrees(Classifier):
    """Boosted trees on the descriptors that its card names as `features`.

    Parameters
    ----------
    card : Card
    network : Embedder, optional
        Where the card names a backbone; its logits may be among the features.
    """

    def __init__(self, card: Card, network: Embedder | None = None) -> None:
        self.card = card
        self.columns = FeatureColumns.of_card(card, network)
        self._trees = card.load_weights(partial(Trees, n_features=len(self.columns)))
        card.need_outputs(self._trees.n_labels)

    def scores(self, features: TrackFeatures) -> Scores:
        logits = self._trees.logits(self.columns(features)[None])[0]
        return Scores(logits if self.card.independent else log_softmax(logits))
