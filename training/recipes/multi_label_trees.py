"""Boosted trees with a probability of its own for each genre, from partial labels.

XGBoost grows a tree for each label and round; each label has a logistic loss of its own, and what
is left open about a track has no gradient.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tagger.models.prediction import sigmoid
from tagger.training.recipes.multi_label import weighted

ROUNDS = 150
PARAMETERS = {
    # Its outputs are read as they are; the name makes XGBoost grow a tree for each label.
    "objective": "multi:softprob",
    "base_score": 0.5,
    "max_depth": 3,
    "eta": 0.08,
    "subsample": 0.7,
    "colsample_bytree": 0.2,
    "max_bin": 64,
    "nthread": 1,  # so that sums do not depend on how many cores there are
}
LEAST_HESSIAN = 1e-6


def fit_trees(
    rows: np.ndarray, targets: np.ndarray, *, weights: np.ndarray | None = None, seed: int = 0
) -> Any:
    """Return an `xgboost.Booster` whose margins are the logits.

    Parameters
    ----------
    rows : np.ndarray [shape=(n, n_features)]
    targets : np.ndarray [shape=(n, n_labels)]
        1, 0, or NaN where nothing is known.
    weights : np.ndarray [shape=(n,)], optional
        How much each row counts; by default all alike.
    """
    import xgboost

    truth, weight = weighted(targets, np.ones(len(rows)) if weights is None else weights)

    def objective(margins: np.ndarray, _: Any) -> tuple[np.ndarray, np.ndarray]:
        said = sigmoid(margins.reshape(targets.shape).astype(np.float64))
        hessian = np.maximum(weight * said * (1 - said), LEAST_HESSIAN)
        return weight * (said - truth), hessian

    data = xgboost.DMatrix(rows.astype(np.float32), label=np.zeros(len(rows)))
    parameters = {**PARAMETERS, "num_class": targets.shape[1], "seed": seed}
    return xgboost.train(parameters, data, ROUNDS, obj=objective)


def predict(booster: Any, rows: np.ndarray) -> np.ndarray:
    """Logits [shape=(n, n_labels)]."""
    import xgboost

    margins = booster.predict(xgboost.DMatrix(rows.astype(np.float32)), output_margin=True)
    return np.asarray(margins, dtype=np.float64)
