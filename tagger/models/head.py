"""The inputs of models on the embedding of a pretrained network, and a linear head on them.

The network, their backbone, is a model of the zoo, or in the model's own folder.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tagger.errors import ModelError
from tagger.models.card import Card
from tagger.models.linear import load_weights
from tagger.models.prediction import Classifier, Embedder, Scores
from tagger.models.track_features import TrackFeatures
from tagger.sound.log_mel_statistics import LOG_MEL_FEATURES

EMBEDDING, SPREAD, STATISTICS = "embedding-mean", "embedding-std", "log-mel-statistics"
NARROW = "narrow-log-mel-statistics"
INPUTS = (EMBEDDING, SPREAD, STATISTICS, NARROW)


def mean_embedding(backbone: Embedder, features: TrackFeatures) -> np.ndarray:
    """A network's embedding, in mean over the chunks [shape=(n_dimensions,)]; computed once."""
    tag = backbone.card.tag
    if tag not in features.embeddings:
        features.embeddings[tag] = _embedding_by_chunk(backbone, features).mean(axis=0)
    return features.embeddings[tag]


def _embedding_by_chunk(backbone: Embedder, features: TrackFeatures) -> np.ndarray:
    tag = backbone.card.tag
    if tag not in features.embedded:
        features.embedded[tag] = backbone.embed(features)
        features.spreads[tag] = features.embedded[tag].std(axis=0)
    return features.embedded[tag]


class EmbeddingInputs:
    """The inputs of a model on an embedding.

    Parameters
    ----------
    backbone : Embedder
    names : sequence of str
        From `INPUTS`: mean and standard deviation of the embedding over the track's chunks, and
        statistics of its log-mel spectrogram, of all of it or below 7.4 kHz.
    """

    def __init__(self, backbone: Embedder, names: Sequence[str]) -> None:
        self._backbone, self._names = backbone, names

    @classmethod
    def of_card(cls, card: Card, backbone: Classifier | Embedder) -> EmbeddingInputs:
        """Those that a card names, checked.

        Raises
        ------
        ModelError
        """
        if not isinstance(backbone, Embedder):
            raise ModelError(f"{backbone.card.tag} has no embedding", path=card.folder)
        names = card.data.get("inputs")
        if not isinstance(names, list) or not names or not all(name in INPUTS for name in names):
            raise ModelError(f"inputs must be some of {', '.join(INPUTS)}", path=card.folder)
        return cls(backbone, names)

    def __len__(self) -> int:
        n_statistics = sum(name in (STATISTICS, NARROW) for name in self._names)
        n_embeddings = len(self._names) - n_statistics
        return n_statistics * len(LOG_MEL_FEATURES) + n_embeddings * self._backbone.n_dimensions

    def __call__(self, features: TrackFeatures) -> np.ndarray:
        """The inputs for one track [shape=(n_inputs,)]."""
        return np.concatenate([self._input(name, features) for name in self._names])

    def _input(self, name: str, features: TrackFeatures) -> np.ndarray:
        if name == EMBEDDING:
            return mean_embedding(self._backbone, features)
        if name == SPREAD:
            tag = self._backbone.card.tag
            if tag not in features.spreads:
                _embedding_by_chunk(self._backbone, features)
            return features.spreads[tag]
        return features.narrow_statistics if name == NARROW else features.log_mel_statistics

    def by_chunk(self, features: TrackFeatures) -> tuple[np.ndarray | None, np.ndarray | None]:
        """The inputs for each chunk: the embedding of the chunk, the statistics of the track.

        Returns
        -------
        rows : np.ndarray [shape=(n_chunks, n_inputs)] or None
            None where there is no sound, or a chunk does not have all inputs.
        starts_s : np.ndarray [shape=(n_chunks,)] or None
            Where each chunk starts in the track, in seconds.
        """
        if SPREAD in self._names or EMBEDDING not in self._names or not features.has_sound:
            return None, None
        embedding = _embedding_by_chunk(self._backbone, features)
        parts = [
            embedding
            if name == EMBEDDING
            else np.tile(self._input(name, features), (len(embedding), 1))
            for name in self._names
        ]
        return np.concatenate(parts, axis=1), self._backbone.starts_s(features)


class Head(Classifier):
    """A linear model on an embedding."""

    def __init__(self, card: Card, backbone: Classifier | Embedder) -> None:
        self.card = card
        self._inputs = EmbeddingInputs.of_card(card, backbone)
        self._weights = load_weights(card, len(self._inputs))

    def scores(self, features: TrackFeatures) -> Scores:
        rows, starts_s = self._inputs.by_chunk(features)
        chunks = None if rows is None else self._weights(rows)
        return Scores(self._weights(self._inputs(features)), chunks, starts_s)
