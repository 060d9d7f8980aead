"""Averages the log probabilities of several models, with the weights of a card."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tagger.models.card import Card
from tagger.models.classifier import Classifier
from tagger.models.prediction import Scores, log_softmax, logit
from tagger.models.track_features import TrackFeatures
from tagger.system.errors import ModelError


class Ensemble(Classifier):
    """A weighted average in log space, which is a weighted geometric mean of probabilities.

    Where labels are independent, calibrated logits are averaged.

    Parameters
    ----------
    card : Card
        With `weight` for each of its `members`.
    members : sequence of Classifier
        In the card's order, each with the card's labels.
    """

    def __init__(self, card: Card, members: Sequence[Classifier]) -> None:
        self.card = card
        self._members = members
        weights = np.array([entry.get("weight", 1.0) for entry in card.data["members"]])
        if weights.min() < 0 or weights.sum() <= 0:
            raise ModelError("weights of members must be above 0", path=card.folder)
        self._weights = weights / weights.sum()
        for member in members:
            if (member.card.labels, member.card.independent) != (card.labels, card.independent):
                raise ModelError(f"{member.card.tag} has other labels", path=card.folder)

    def scores(self, features: TrackFeatures) -> Scores:
        said = [member.scores(features) for member in self._members]
        by_chunk = next((s for s in said if s.chunks is not None), Scores(said[0].track))
        return Scores(
            self._joined(said),
            by_chunk.chunks,
            by_chunk.chunk_starts_s,
            next((s.styles for s in said if s.styles is not None), None),
        )

    def _joined(self, said: Sequence[Scores]) -> np.ndarray:
        if self.card.independent:
            each = [logit(m.calibrated(s.track)) for m, s in zip(self._members, said, strict=True)]
            return np.asarray(self._weights @ np.stack(each))
        return log_softmax(self._weights @ np.stack([s.track for s in said]))
