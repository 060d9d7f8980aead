"""Runs a linear head: a small model of a person's own genres on top of a network's embedding.

The network, its backbone, is a model of the zoo, or lies in the head's own folder. Must not
know: where models are kept, how they were trained.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tagger.errors import ModelError
from tagger.models.card import Card
from tagger.models.cnn import ChunkCnn
from tagger.models.heard import Heard
from tagger.models.linear import load_weights
from tagger.models.prediction import Classifier, Scores

INPUTS = ("embedding-mean", "embedding-std", "log-mel-statistics")


def look(backbone: ChunkCnn, inputs: Sequence[str], heard: Heard) -> np.ndarray:
    """What a head sees of a track.

    Parameters
    ----------
    backbone : ChunkCnn
    inputs : sequence of str
        From `INPUTS`: mean and standard deviation of the embedding over the track's chunks, and
        statistics of its log-mel spectrogram.

    Returns
    -------
    np.ndarray [shape=(n,)]
    """
    parts = []
    if {"embedding-mean", "embedding-std"} & set(inputs):
        embedding = backbone.hear(heard).embedding
    for name in inputs:
        if name == "embedding-mean":
            parts.append(embedding.mean(axis=0))
        elif name == "embedding-std":
            parts.append(embedding.std(axis=0))
        else:
            parts.append(heard.log_mel_statistics)
    return np.concatenate(parts)


def n_inputs(backbone: ChunkCnn, inputs: Sequence[str]) -> int:
    """How many numbers `look` gives."""
    from tagger.log_mel_statistics import LOG_MEL_FEATURES

    sizes = {"log-mel-statistics": len(LOG_MEL_FEATURES)}
    return sum(sizes.get(name, backbone.n_dimensions) for name in inputs)


class Head(Classifier):
    """A linear head, ready to be asked.

    Raises
    ------
    ModelError
        Where the weights are damaged, or do not fit the card or the backbone.
    """

    def __init__(self, card: Card, backbone: Classifier) -> None:
        self.card = card
        if not isinstance(backbone, ChunkCnn):
            raise ModelError(f"{backbone.card.tag} has no embedding", path=card.folder)
        inputs = card.data.get("inputs")
        if not isinstance(inputs, list) or not inputs or not all(name in INPUTS for name in inputs):
            raise ModelError(f"inputs must be some of {', '.join(INPUTS)}", path=card.folder)
        self._backbone, self._inputs = backbone, inputs
        self._weights = load_weights(card, n_inputs(backbone, inputs))

    def scores(self, heard: Heard) -> Scores:
        if self._inputs == ["embedding-mean"]:
            embedding = self._backbone.hear(heard).embedding
            return Scores(self._weights(embedding.mean(axis=0)), self._weights(embedding))
        return Scores(self._weights(look(self._backbone, self._inputs, heard)))
