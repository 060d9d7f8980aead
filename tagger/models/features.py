"""Descriptors by name: how a model that looks at some of them finds them in what was heard.

Must not know: which model asks, where its weights are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tagger.descriptors import FEATURES
from tagger.log_mel_statistics import LOG_MEL_FEATURES
from tagger.models.heard import Heard


class FeatureColumns:
    """A choice of descriptors, in the model's order.

    Parameters
    ----------
    names : sequence of str
        From `LOG_MEL_FEATURES` and `FEATURES`.

    Raises
    ------
    ValueError
        Where one of them is unknown.
    """

    def __init__(self, names: Sequence[str]) -> None:
        position = {name: i for i, name in enumerate((*LOG_MEL_FEATURES, *FEATURES))}
        unknown = [name for name in names if name not in position]
        if unknown or not names:
            raise ValueError(f"unknown feature {unknown[0]!r}" if unknown else "no features")
        self._columns = np.array([position[name] for name in names], dtype=np.intp)
        self._need_sound = bool((self._columns >= len(LOG_MEL_FEATURES)).any())
        self._need_log_mel = bool((self._columns < len(LOG_MEL_FEATURES)).any())

    def __call__(self, heard: Heard) -> np.ndarray:
        """The chosen descriptors of a track [shape=(n_names,)]; only what is needed is computed."""
        both = np.zeros(len(LOG_MEL_FEATURES) + len(FEATURES), dtype=np.float32)
        if self._need_log_mel:
            both[: len(LOG_MEL_FEATURES)] = heard.log_mel_statistics
        if self._need_sound:
            both[len(LOG_MEL_FEATURES) :] = heard.descriptors
        return both[self._columns]
