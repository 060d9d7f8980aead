"""Runs a linear head on the embedding of a pretrained network, its backbone.

The backbone is a model of the zoo, or in the head's own folder.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tagger.errors import ModelError
from tagger.models.card import Card
from tagger.models.linear import load_weights
from tagger.models.prediction import Classifier, Embedder, Scores
from tagger.models.track_features import TrackFeatures

EMBEDDING, SPREAD, STATISTICS = "embedding-mean", "embedding-std", "log-mel-statistics"
NARROW = "narrow-log-mel-statistics"
INPUTS = (EMBEDDING, SPREAD, STATISTICS, NARROW)


def embedding_by_chunk(backbone: Embedder, features: TrackFeatures) -> np.ndarray:
    """Embedding of each chunk of a track [shape=(n_chunks, n_dimensions)], computed once."""
    tag = backbone.card.tag
    if tag not in features.embedded:
        features.embedded[tag] = backbone.embed(features)
        features.spreads[tag] = features.embedded[tag].std(axis=0)
    return features.embedded[tag]


def mean_embedding(backbone: Embedder, features: TrackFeatures) -> np.ndarray:
    """Its mean over the chunks [shape=(n_dimensions,)], which an archive may provide."""
    tag = backbone.card.tag
    if tag not in features.embeddings:
        features.embeddings[tag] = embedding_by_chunk(backbone, features).mean(axis=0)
    return features.embeddings[tag]


def _spread(backbone: Embedder, features: TrackFeatures) -> np.ndarray:
    """Its standard deviation over the chunks [shape=(n_dimensions,)]."""
    tag = backbone.card.tag
    if tag not in features.spreads:
        embedding_by_chunk(backbone, features)
    return features.spreads[tag]


def look(backbone: Embedder, inputs: Sequence[str], features: TrackFeatures) -> np.ndarray:
    """The input of a model on an embedding, for one track.

    Parameters
    ----------
    backbone : Embedder
    inputs : sequence of str
        From `INPUTS`: mean and standard deviation of the embedding over the track's chunks, and
        statistics of its log-mel spectrogram, of all of it or below 7.4 kHz.

    Returns
    -------
    np.ndarray [shape=(n,)]
    """
    parts = []
    for name in inputs:
        if name == EMBEDDING:
            parts.append(mean_embedding(backbone, features))
        elif name == SPREAD:
            parts.append(_spread(backbone, features))
        else:
            parts.append(_statistics(name, features))
    return np.concatenate(parts)


def _statistics(name: str, features: TrackFeatures) -> np.ndarray:
    return features.narrow_statistics if name == NARROW else features.log_mel_statistics


def look_by_chunk(
    backbone: Embedder, inputs: Sequence[str], features: TrackFeatures
) -> np.ndarray | None:
    """The same chunk by chunk [shape=(n_chunks, n)]: its embedding, the track's statistics.

    None where a single chunk does not have all inputs of the model.
    """
    if SPREAD in inputs or EMBEDDING not in inputs or not features.has_sound:
        return None
    embedding = embedding_by_chunk(backbone, features)
    parts = [
        embedding
        if name == EMBEDDING
        else np.tile(_statistics(name, features), (len(embedding), 1))
        for name in inputs
    ]
    return np.concatenate(parts, axis=1)


def n_inputs(backbone: Embedder, inputs: Sequence[str]) -> int:
    """Length of what `look` returns."""
    from tagger.sound.log_mel_statistics import LOG_MEL_FEATURES

    sizes = dict.fromkeys((STATISTICS, NARROW), len(LOG_MEL_FEATURES))
    return sum(sizes.get(name, backbone.n_dimensions) for name in inputs)


def inputs_of(card: Card, backbone: Classifier | Embedder) -> tuple[Embedder, list[str]]:
    """The backbone and the inputs that a card names, checked.

    Raises
    ------
    ModelError
    """
    if not isinstance(backbone, Embedder):
        raise ModelError(f"{backbone.card.tag} has no embedding", path=card.folder)
    inputs = card.data.get("inputs")
    if not isinstance(inputs, list) or not inputs or not all(name in INPUTS for name in inputs):
        raise ModelError(f"inputs must be some of {', '.join(INPUTS)}", path=card.folder)
    return backbone, inputs


class Head(Classifier):
    """A linear head.

    Raises
    ------
    ModelError
        Where the weights are damaged, or do not fit the card or the backbone.
    """

    def __init__(self, card: Card, backbone: Classifier | Embedder) -> None:
        self.card = card
        self._backbone, self._inputs = inputs_of(card, backbone)
        self._weights = load_weights(card, n_inputs(self._backbone, self._inputs))

    def scores(self, features: TrackFeatures) -> Scores:
        by_chunk = look_by_chunk(self._backbone, self._inputs, features)
        chunks = None if by_chunk is None else self._weights(by_chunk)
        starts_s = None if by_chunk is None else self._backbone.starts_s(features)
        return Scores(self._weights(look(self._backbone, self._inputs, features)), chunks, starts_s)
