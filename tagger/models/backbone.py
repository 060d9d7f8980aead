"""Runs a pretrained network whose embedding other models look at; it names no genre itself.

Weights are a `.tflite` file whose signature takes `patches` and returns `embedding` and `tags`.
"""

from __future__ import annotations

import numpy as np

from tagger.errors import ModelError
from tagger.models.card import Card
from tagger.models.lite import LiteNetwork
from tagger.models.track_features import TrackFeatures
from tagger.sound.patches import PATCH_FRAMES, PATCH_MELS


class Backbone:
    """A pretrained network, ready to be asked.

    Raises
    ------
    ModelError
        Where the weights are damaged or are no such network.
    """

    def __init__(self, card: Card) -> None:
        self.card = card
        try:
            # One patch a call: the network's largest layer takes 9 MB for each.
            self._network = LiteNetwork(
                card.weights(), "patches", (1, PATCH_FRAMES, PATCH_MELS), ("embedding", "tags")
            )
        except (ValueError, RuntimeError, KeyError) as error:
            raise ModelError(f"not a valid gtag network: {error}", path=card.folder) from error
        if self._network.size("tags") != len(card.labels):
            raise ModelError("the network's outputs do not fit its card", path=card.folder)

    @property
    def n_dimensions(self) -> int:
        """Of the embedding."""
        return self._network.size("embedding")

    def embed(self, features: TrackFeatures) -> np.ndarray:
        """Embedding of each patch [shape=(n_patches, n_dimensions)]."""
        return self.outputs(features.patches.patches)["embedding"]

    def starts_s(self, features: TrackFeatures) -> np.ndarray:
        """Where each patch starts in the track, in seconds [shape=(n_patches,)]."""
        return features.patches.starts_s

    def outputs(self, patches: np.ndarray) -> dict[str, np.ndarray]:
        """Embeddings and tags (logits) of patches, one row a patch."""
        each = [self._network(patch[None]) for patch in patches]
        return {name: np.concatenate([one[name] for one in each]) for name in each[0]}
