"""Runs a multi-label model: a small dense network with an independent probability for each genre.

Its inputs are those of a head (what pretrained networks say, statistics of the spectrogram).
Weights are a `.npz` file: an ensemble of networks with one hidden layer, for unscaled inputs, and
optionally a linear model of styles. Runs in numpy, so that the result depends on no processor.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tagger.errors import ModelError
from tagger.models.card import Card
from tagger.models.head import EmbeddingInputs
from tagger.models.linear import read_arrays
from tagger.models.prediction import Classifier, Embedder, Scores, log_softmax
from tagger.models.track_features import TrackFeatures

# Shapes: n_networks, n_inputs, n_hidden, n_labels, n_styles.
HIDDEN, HIDDEN_BIAS = "hidden", "hidden_bias"  # [n_networks, n_inputs, n_hidden], [n_networks, …]
OUTPUT, OUTPUT_BIAS = "output", "output_bias"  # [n_networks, n_hidden, n_labels], [n_networks, …]
STYLES, STYLES_BIAS = "styles", "styles_bias"  # [n_inputs, n_styles], [n_styles]


class MultiLabelWeights:
    """The arrays of a multi-label model, loaded from memory and checked.

    Parameters
    ----------
    content : bytes
        A `.npz` file. Nothing in it is unpickled.

    Raises
    ------
    ValueError
        Where it is no such file.
    """

    def __init__(self, content: bytes) -> None:
        arrays = read_arrays(content, HIDDEN, HIDDEN_BIAS, OUTPUT, OUTPUT_BIAS)
        self._hidden, self._hidden_bias = arrays[HIDDEN], arrays[HIDDEN_BIAS]
        self._output, self._output_bias = arrays[OUTPUT], arrays[OUTPUT_BIAS]
        if self._hidden.ndim != 3 or self._output.ndim != 3:
            raise ValueError("its arrays have the wrong number of dimensions")
        networks, self.n_inputs, hidden = self._hidden.shape
        self.n_labels = self._output.shape[2]
        self._styles = arrays.get(STYLES, np.zeros((self.n_inputs, 0)))
        self.n_styles = self._styles.shape[-1]
        self._styles_bias = arrays.get(STYLES_BIAS, np.zeros(0))
        if (
            self._hidden_bias.shape != (networks, hidden)
            or self._output.shape != (networks, hidden, self.n_labels)
            or self._output_bias.shape != (networks, self.n_labels)
            or self._styles.shape != (self.n_inputs, self.n_styles)
            or self._styles_bias.shape != (self.n_styles,)
            or not networks
        ):
            raise ValueError("its arrays do not fit together")

    def logits(self, rows: np.ndarray) -> np.ndarray:
        """Mean logits over the networks [shape=(n, n_labels)] of rows [shape=(n, n_inputs)]."""
        rows = rows.astype(np.float64)
        each = (
            np.maximum(rows @ hidden + hidden_bias, 0) @ output + output_bias
            for hidden, hidden_bias, output, output_bias in zip(
                self._hidden, self._hidden_bias, self._output, self._output_bias, strict=True
            )
        )
        return np.mean(list(each), axis=0)

    def styles(self, rows: np.ndarray) -> np.ndarray:
        """Log probabilities of the styles [shape=(n, n_styles)] of rows [shape=(n, n_inputs)]."""
        return log_softmax(rows.astype(np.float64) @ self._styles + self._styles_bias)


class MultiLabel(Classifier):
    """A multi-label model."""

    def __init__(self, card: Card, backbones: Sequence[Classifier | Embedder]) -> None:
        self.card = card
        if not card.independent:
            raise ModelError("a multi-label model needs calibrated labels", path=card.folder)
        self._inputs = EmbeddingInputs.of_card(card, backbones)
        self._weights = card.load_weights(MultiLabelWeights)
        expected = len(self._inputs), len(card.labels), len(card.styles)
        if (self._weights.n_inputs, self._weights.n_labels, self._weights.n_styles) != expected:
            raise ModelError("the weights do not fit the card", path=card.folder)

    def scores(self, features: TrackFeatures) -> Scores:
        row = self._inputs(features)[None]
        rows, starts_s = self._inputs.by_chunk(features)
        return Scores(
            self._weights.logits(row)[0],
            None if rows is None else self._weights.logits(rows),
            starts_s,
            self._weights.styles(row)[0] if self.card.styles else None,
        )
