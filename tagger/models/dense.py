"""Runs a dense network on descriptors."""

from __future__ import annotations

from functools import partial

from tagger.models.card import Card
from tagger.models.classifier import Classifier
from tagger.models.feature_columns import FeatureColumns
from tagger.models.networks import Network
from tagger.models.prediction import Scores, log_softmax
from tagger.models.track_features import TrackFeatures


def feature_network(weights: bytes, n_inputs: int) -> Network:
    """Return a network from `features`, not yet scaled, to `logits`; see `Network`."""
    return Network(weights, "features", (1, n_inputs), ("logits",))


class Dense(Classifier):
    """A network on the descriptors that its card names as `features`."""

    def __init__(self, card: Card) -> None:
        self.card = card
        self.columns = FeatureColumns.of_card(card)
        self._network = card.load_weights(partial(feature_network, n_inputs=len(self.columns)))
        card.need_outputs(self._network.sizes["logits"])

    def scores(self, features: TrackFeatures) -> Scores:
        return Scores(log_softmax(self._network(self.columns(features)[None])["logits"])[0])
