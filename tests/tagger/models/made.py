"""Models made on the spot, real ones whose weights say the same of every track."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tagger.models.prediction import logit
from tagger.sound.log_mel_statistics import LOG_MEL_FEATURES
from tagger.training.publish import write_model
from tagger.training.recipes.multi_label import packed

Pairs = Sequence[Sequence[float]]


def model_saying(
    folder: Path,
    probabilities: Mapping[str, float],
    *,
    styles: Mapping[str, tuple[str, float]] | None = None,
    threshold: float = 0.5,
    aims: Mapping[str, Pairs] | None = None,
    **more: Any,
) -> Path:
    """Write a multi-label model to a folder.

    Parameters
    ----------
    probabilities : mapping of str to float
        Of each label, for every track.
    styles : mapping of str to (str, float)
        From a style to its genre and its probability given that.
    aims : mapping of str to pairs
        The card's `aims`, of labels and styles.
    """
    styles, n = styles or {}, len(LOG_MEL_FEATURES)
    measured = dict(aims or {})

    def entry(name: str, **fields: Any) -> dict[str, Any]:
        pairs = {"aims": [list(p) for p in measured[name]]} if name in measured else {}
        return {"name": name, "threshold": threshold, **fields, **pairs}

    card = {
        "name": "made",
        "version": 1,
        "kind": "multi-label",
        "labels": list(probabilities),
        "backbone": "musicnn-1",
        "inputs": ["narrow-log-mel-statistics"],
        "label": [
            entry(name, slope=1.0, offset=float(logit(np.array(p))))
            for name, p in probabilities.items()
        ],
        "style": [entry(name, genre=genre) for name, (genre, _) in styles.items()],
        **more,
    }
    arrays = {
        "mean": np.zeros(n),
        "scale": np.ones(n),
        "projection": np.zeros((n, 1)),
        "hidden": np.zeros((1, 1, 1)),
        "hidden_bias": np.zeros((1, 1)),
        "output": np.zeros((1, 1, len(probabilities))),
        "output_bias": np.zeros((1, len(probabilities))),
    }
    if styles:
        arrays["styles"] = np.zeros((1, len(styles)))
        arrays["styles_bias"] = np.log([p for _, p in styles.values()])
    return write_model(folder, card, {"weights.npz": packed(arrays)}).folder
