"""The descriptors that a model uses, chosen by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tagger.models.card import Card
from tagger.models.embeddings import Embedder, mean_logits
from tagger.models.track_features import TrackFeatures
from tagger.sound.descriptors import FEATURES
from tagger.sound.log_mel_statistics import LOG_MEL_FEATURES
from tagger.system.errors import ModelError

# The features of the log-mel spectrogram below 7.4 kHz.
NARROW_FEATURES = tuple(f"narrow_{name}" for name in LOG_MEL_FEATURES)


def logit_columns(network: Card) -> tuple[str, ...]:
    """Return the names of a pretrained network's logits as features: ``yamnet_Banjo``."""
    return tuple(f"{network.name}_{label}" for label in network.labels)


class FeatureColumns:
    """A choice of descriptors, in the model's order.

    Parameters
    ----------
    names : sequence of str
        From `LOG_MEL_FEATURES`, `NARROW_FEATURES`, `FEATURES`, and the network's `logit_columns`.
    network : Embedder, optional
        A pretrained network, of whose logits some may be among the names.

    Raises
    ------
    ValueError
        Where one of them is unknown.
    """

    def __init__(self, names: Sequence[str], network: Embedder | None = None) -> None:
        self._network = network
        logits = logit_columns(network.card) if network is not None else ()
        tables = (LOG_MEL_FEATURES, NARROW_FEATURES, FEATURES, logits)
        place = {name: (t, i) for t, table in enumerate(tables) for i, name in enumerate(table)}
        unknown = [name for name in names if name not in place]
        if unknown or not names:
            raise ValueError(f"unknown feature {unknown[0]!r}" if unknown else "no features")
        of_table = np.array([place[name][0] for name in names])
        column = np.array([place[name][1] for name in names], dtype=np.intp)
        self._n = len(names)
        self._chosen = [(of_table == t, column[of_table == t]) for t in range(len(tables))]

    @classmethod
    def of_card(cls, card: Card, network: Embedder | None = None) -> FeatureColumns:
        """Return the descriptors that a card names, checked.

        Raises
        ------
        ModelError
        """
        names = card.data.get("features")
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ModelError("names no features", path=card.folder)
        try:
            return cls(names, network)
        except ValueError as error:
            raise ModelError(f"is of another version of gtag: {error}", path=card.folder) from error

    def __len__(self) -> int:
        return self._n

    def __call__(self, features: TrackFeatures) -> np.ndarray:
        """Return the chosen descriptors of a track [shape=(n_names,)]; only what is needed is
        computed.
        """
        views: tuple[Callable[[], np.ndarray], ...] = (
            lambda: features.log_mel_statistics,
            lambda: features.narrow_statistics,
            lambda: features.descriptors,
            lambda: self._logits(features),
        )
        values = np.zeros(self._n, dtype=np.float32)
        for view, (places, columns) in zip(views, self._chosen, strict=True):
            if len(columns):
                values[places] = view()[columns]
        return values

    def _logits(self, features: TrackFeatures) -> np.ndarray:
        assert self._network is not None
        return mean_logits(self._network, features)
