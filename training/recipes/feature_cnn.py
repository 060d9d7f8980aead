"""A one-dimensional CNN along descriptors, as the field's tutorials have it.

Neighbours in a table of features have little to do with each other, so a convolution finds little;
it is here for comparison.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tagger.training.data.datasets import Example
from tagger.training.recipes.dense import fit_network
from tagger.training.recipes.fitting import Fitted, Settings

CHANNELS = (32, 64)
WIDTH = 5  # features
HIDDEN = 64


def fit(examples: Sequence[Example], settings: Settings) -> Fitted:
    """Learn from all features, or from the `settings.select` most important ones."""
    return fit_network(examples, settings, build)


def build(x: Any, n_labels: int, dropout: float) -> Any:
    """Convolutions along the features, then two dense layers."""
    from keras import layers

    x = layers.Reshape((-1, 1))(x)
    for channels in CHANNELS:
        x = layers.Conv1D(channels, WIDTH, padding="same", activation="relu")(x)
        x = layers.MaxPooling1D(2, padding="same")(x)
    x = layers.Flatten()(x)
    x = layers.Dropout(dropout)(x)
    x = layers.Dense(HIDDEN, activation="relu")(x)
    x = layers.Dropout(dropout)(x)
    return layers.Dense(n_labels)(x)
