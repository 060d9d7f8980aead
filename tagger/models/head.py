"""The inputs of models on the embeddings of pretrained networks, and a linear head on them.

The networks, their backbones, are models of the zoo, or in the model's own folder.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tagger.models.card import Card
from tagger.models.classifier import Classifier
from tagger.models.embeddings import (
    Embedder,
    embedding_by_chunk,
    embedding_spread,
    mean_embedding,
    mean_logits,
)
from tagger.models.linear import load_weights
from tagger.models.prediction import Scores
from tagger.models.track_features import TrackFeatures
from tagger.sound.log_mel_statistics import LOG_MEL_FEATURES
from tagger.system.errors import ModelError

YAMNET = "yamnet"  # the name of the network that the inputs below are of
# Mean and standard deviation over the chunks, of the first backbone that the card names.
EMBEDDING, SPREAD = "embedding-mean", "embedding-std"
YAMNET_EMBEDDING, YAMNET_LOGITS = "yamnet-embedding", "yamnet-logits"  # means over its patches
STATISTICS, NARROW = "log-mel-statistics", "narrow-log-mel-statistics"
INPUTS_OF_NETWORKS = (EMBEDDING, SPREAD, YAMNET_EMBEDDING, YAMNET_LOGITS)
INPUTS = (*INPUTS_OF_NETWORKS, STATISTICS, NARROW)


class EmbeddingInputs:
    """The inputs of a model on embeddings.

    Parameters
    ----------
    backbones : sequence of Embedder
        None are needed for statistics alone.
    names : sequence of str
        From `INPUTS`: what the networks say of the track, and statistics of its log-mel
        spectrogram, of all of it or below 7.4 kHz.

    Raises
    ------
    ValueError
        Where an input is unknown, or of a network that is not among the backbones.
    """

    def __init__(self, backbones: Sequence[Embedder], names: Sequence[str]) -> None:
        if not names or not all(name in INPUTS for name in names):
            raise ValueError(f"inputs must be some of {', '.join(INPUTS)}")
        self._names = names
        self._backbones = {network.card.name: network for network in backbones}
        if not backbones and set(INPUTS_OF_NETWORKS) & set(names):
            raise ValueError("these inputs need a backbone")
        self._first = backbones[0] if backbones else None
        if YAMNET not in self._backbones and {YAMNET_EMBEDDING, YAMNET_LOGITS} & set(names):
            raise ValueError(f"{YAMNET} must be among the backbones")

    @classmethod
    def of_card(cls, card: Card, backbones: Sequence[Classifier | Embedder]) -> EmbeddingInputs:
        """Return the inputs that a card names, checked.

        Raises
        ------
        ModelError
        """
        networks: list[Embedder] = []
        for backbone in backbones:
            if not isinstance(backbone, Embedder):
                raise ModelError(f"{backbone.card.tag} has no embedding", path=card.folder)
            networks.append(backbone)
        names = card.data.get("inputs")
        try:
            return cls(networks, names if isinstance(names, list) else [])
        except ValueError as error:
            raise ModelError(str(error), path=card.folder) from error

    def __len__(self) -> int:
        return sum(self._size(name) for name in self._names)

    def _size(self, name: str) -> int:
        if name in (STATISTICS, NARROW):
            return len(LOG_MEL_FEATURES)
        if name == YAMNET_LOGITS:
            return len(self._backbones[YAMNET].card.labels)
        return self._network(name).n_dimensions

    def _network(self, name: str) -> Embedder:
        network = self._backbones[YAMNET] if name.startswith(YAMNET) else self._first
        assert network is not None
        return network

    def __call__(self, features: TrackFeatures) -> np.ndarray:
        """Return the inputs for one track [shape=(n_inputs,)]."""
        return np.concatenate([self._input(name, features) for name in self._names])

    def _input(self, name: str, features: TrackFeatures) -> np.ndarray:
        match name:
            case "log-mel-statistics":
                return features.log_mel_statistics
            case "narrow-log-mel-statistics":
                return features.narrow_statistics
            case "embedding-std":
                return embedding_spread(self._network(name), features)
            case "yamnet-logits":
                return mean_logits(self._backbones[YAMNET], features)
        return mean_embedding(self._network(name), features)

    def by_chunk(self, features: TrackFeatures) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Return the inputs for each chunk of a backbone: the chunk's embedding, the rest of the
        track's.

        Returns
        -------
        rows : np.ndarray [shape=(n_chunks, n_inputs)] or None
            None where there is no sound or nobody asks, or no embedding among the inputs.
        starts_s : np.ndarray [shape=(n_chunks,)] or None
            Where each chunk starts in the track, in seconds.
        """
        heard = next((n for n in (EMBEDDING, YAMNET_EMBEDDING) if n in self._names), None)
        if heard is None or not (features.has_sound and features.over_time):
            return None, None
        network = self._network(heard)
        embedding = embedding_by_chunk(network, features)
        parts = [
            embedding
            if name == heard
            else np.tile(self._input(name, features), (len(embedding), 1))
            for name in self._names
        ]
        return np.concatenate(parts, axis=1), network.starts_s(features)


def hears_networks(card: Card) -> bool:
    """Tell whether a model has inputs of its backbone; some have statistics alone."""
    inputs = card.data.get("inputs")
    return not isinstance(inputs, list) or not set(inputs) <= {STATISTICS, NARROW}


class Head(Classifier):
    """A linear model on embeddings."""

    def __init__(self, card: Card, backbones: Sequence[Classifier | Embedder]) -> None:
        self.card = card
        self._inputs = EmbeddingInputs.of_card(card, backbones)
        self._weights = load_weights(card, len(self._inputs))

    def scores(self, features: TrackFeatures) -> Scores:
        rows, starts_s = self._inputs.by_chunk(features)
        chunks = None if rows is None else self._weights(rows)
        return Scores(self._weights(self._inputs(features)), chunks, starts_s)
