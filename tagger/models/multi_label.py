"""Runs a multi-label model: a small dense network with an independent probability for each genre.

Its inputs are those of a head (what pretrained networks say, statistics of the spectrogram).
Weights are a `.npz` file: how inputs are standardised and projected on their principal components,
an ensemble of networks with one hidden layer, and optionally a linear model of styles. A model of a
person's own genres (`gtag train --from-tags`) is a bundled one with a linear layer of those genres
beside its networks, whose own genres are its company: where they are sure, it is silent. Runs in
numpy, so that the result depends on no processor.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tagger.models.card import Card
from tagger.models.classifier import Classifier
from tagger.models.embeddings import Embedder
from tagger.models.head import EmbeddingInputs
from tagger.models.linear import read_arrays
from tagger.models.prediction import Scores, log_softmax
from tagger.models.track_features import TrackFeatures
from tagger.system.errors import ModelError

# Standard deviations: an input further from its mean counts as this far, so that no single one that
# is unheard of decides.
CLIP = 5.0

# Shapes: n_networks, n_inputs, n_components, n_hidden, n_labels, n_styles.
MEAN, SCALE, PROJECTION = (
    "mean",
    "scale",
    "projection",
)  # [n_inputs] twice, [n_inputs, n_components]
HIDDEN, HIDDEN_BIAS = (
    "hidden",
    "hidden_bias",
)  # [n_networks, n_components, n_hidden], [n_networks, …]
OUTPUT, OUTPUT_BIAS = "output", "output_bias"  # [n_networks, n_hidden, n_labels], [n_networks, …]
STYLES, STYLES_BIAS = "styles", "styles_bias"  # [n_components, n_styles], [n_styles]
# Own genres, n_own, beside the networks' n_labels: slopes and offsets that calibrate the networks'
# logits, [2, n_labels]; coefficients of the components and of those logits, [n_components +
# n_labels, n_own], [n_own]; the logit from which on a genre of the networks silences one of them,
# [n_labels, n_own].
COMPANY, OWN, OWN_BIAS, SILENCED_FROM = "company", "own", "own_bias", "silenced_from"
NEVER = 1e4  # as such a logit
SURE = 6.0  # a calibrated logit further from 0 counts as this far


def silenced(own: np.ndarray, company: np.ndarray, silenced_from: np.ndarray) -> np.ndarray:
    """Return logits of own genres, low where another genre is sure and the more probable.

    Parameters
    ----------
    own : np.ndarray [shape=(n, n_own)]
    company : np.ndarray [shape=(n, n_labels)]
        Calibrated logits of the other genres.
    silenced_from : np.ndarray [shape=(n_labels, n_own)]
    """
    others = company[:, :, None]
    sure = (others >= silenced_from) & (others >= own[:, None, :])
    return np.minimum(own, np.where(sure, -others, np.inf).min(axis=1))


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
        needed = (MEAN, SCALE, PROJECTION, HIDDEN, HIDDEN_BIAS, OUTPUT, OUTPUT_BIAS)
        # Once: each product with double precision would convert them again.
        arrays = {n: a.astype(np.float64) for n, a in read_arrays(content, *needed).items()}
        self._mean, self._scale = arrays[MEAN], arrays[SCALE]
        self.projection = arrays[PROJECTION]
        self._hidden, self._hidden_bias = arrays[HIDDEN], arrays[HIDDEN_BIAS]
        self._output, self._output_bias = arrays[OUTPUT], arrays[OUTPUT_BIAS]
        if (self.projection.ndim, self._hidden.ndim, self._output.ndim) != (2, 3, 3):
            raise ValueError("its arrays have the wrong number of dimensions")
        self.n_inputs, components = self.projection.shape
        networks, _, hidden = self._hidden.shape
        labels = self._output.shape[2]
        self._styles = arrays.get(STYLES, np.zeros((components, 0)))
        self.n_styles = self._styles.shape[-1]
        self._styles_bias = arrays.get(STYLES_BIAS, np.zeros(0))
        if (
            self._mean.shape != (self.n_inputs,)
            or self._scale.shape != (self.n_inputs,)
            or not (self._scale > 0).all()
            or self._hidden.shape[1] != components
            or self._hidden_bias.shape != (networks, hidden)
            or self._output.shape != (networks, hidden, labels)
            or self._output_bias.shape != (networks, labels)
            or self._styles.shape != (components, self.n_styles)
            or self._styles_bias.shape != (self.n_styles,)
            or not networks
        ):
            raise ValueError("its arrays do not fit together")
        self._own = arrays if OWN in arrays else None
        self.n_labels = labels if self._own is None else self._own[OWN].shape[-1]
        if self._own is not None and (
            self._own[OWN].shape != (components + labels, self.n_labels)
            or {COMPANY, OWN_BIAS, SILENCED_FROM} - arrays.keys()
            or self._own[COMPANY].shape != (2, labels)
            or self._own[OWN_BIAS].shape != (self.n_labels,)
            or self._own[SILENCED_FROM].shape != (labels, self.n_labels)
        ):
            raise ValueError("its arrays of own genres do not fit together")

    def components(self, rows: np.ndarray) -> np.ndarray:
        """Return the networks' inputs [shape=(n, n_components)] of rows [shape=(n, n_inputs)]."""
        standard = (rows.astype(np.float64) - self._mean) / self._scale
        return np.clip(standard, -CLIP, CLIP) @ self.projection

    def logits(self, components: np.ndarray) -> np.ndarray:
        """Return the logits [shape=(n, n_labels)]; of networks, their mean."""
        each = (
            np.maximum(components @ hidden + hidden_bias, 0) @ output + output_bias
            for hidden, hidden_bias, output, output_bias in zip(
                self._hidden, self._hidden_bias, self._output, self._output_bias, strict=True
            )
        )
        said: np.ndarray = np.mean(list(each), axis=0)
        if self._own is None:
            return said
        slopes, offsets = self._own[COMPANY]
        company = np.clip(said * slopes + offsets, -SURE, SURE)
        own = np.concatenate([components, company], axis=1) @ self._own[OWN] + self._own[OWN_BIAS]
        return silenced(own, company, self._own[SILENCED_FROM])

    def styles(self, components: np.ndarray) -> np.ndarray:
        """Return the log probabilities of the styles [shape=(n, n_styles)]."""
        return log_softmax(components @ self._styles + self._styles_bias)


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
        row = self._weights.components(self._inputs(features)[None])
        rows, starts_s = self._inputs.by_chunk(features)
        return Scores(
            self._weights.logits(row)[0],
            None if rows is None else self._weights.logits(self._weights.components(rows)),
            starts_s,
            self._weights.styles(row)[0] if self.card.styles else None,
        )
