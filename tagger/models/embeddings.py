"""What pretrained networks say of a track: each runs once a track, when a model first asks."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np

from tagger.models.card import Card
from tagger.models.track_features import TrackFeatures


@runtime_checkable
class Embedder(Protocol):
    """A network whose embedding other models use."""

    card: Card

    @property
    def n_dimensions(self) -> int:
        """Of the embedding."""
        ...

    def embed(self, features: TrackFeatures) -> np.ndarray:
        """Embedding of each chunk of a track [shape=(n_chunks, n_dimensions)]."""
        ...

    def starts_s(self, features: TrackFeatures) -> np.ndarray:
        """Return where each chunk starts in the track, in seconds [shape=(n_chunks,)]."""
        ...


def embedding_by_chunk(network: Embedder, features: TrackFeatures) -> np.ndarray:
    """Return a network's embedding of each chunk [shape=(n_chunks, n_dimensions)]."""
    tag = network.card.tag
    if tag not in features.embedded:
        features.embedded[tag] = network.embed(features)
    return features.embedded[tag]


def mean_embedding(network: Embedder, features: TrackFeatures) -> np.ndarray:
    """Return the embedding, in mean over the chunks [shape=(n_dimensions,)]."""
    tag = network.card.tag
    if tag not in features.embeddings:
        features.embeddings[tag] = embedding_by_chunk(network, features).mean(axis=0)
    return features.embeddings[tag]


def embedding_spread(network: Embedder, features: TrackFeatures) -> np.ndarray:
    """Return the embedding's standard deviation over the chunks [shape=(n_dimensions,)]."""
    tag = network.card.tag
    if tag not in features.spreads:
        features.spreads[tag] = embedding_by_chunk(network, features).std(axis=0)
    return features.spreads[tag]


def mean_logits(network: Embedder, features: TrackFeatures) -> np.ndarray:
    """Logits of a pretrained network's own labels, in mean over the chunks [shape=(n_labels,)]."""
    tag = network.card.tag
    if tag not in features.logits:
        features.embedded[tag] = network.embed(features)
    return features.logits[tag]


def mean_scores(network: Embedder, features: TrackFeatures) -> np.ndarray:
    """Scores of its own labels, from 0 to 1, in mean over the chunks [shape=(n_labels,)]."""
    tag = network.card.tag
    if tag not in features.scores:
        features.embedded[tag] = network.embed(features)
    return features.scores[tag]
