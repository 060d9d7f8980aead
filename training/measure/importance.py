"""What features are worth to a model: their gain in trees, what is lost when one is shuffled."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

if TYPE_CHECKING:
    import xgboost

TRACKS = 200  # at most: with more, an RBF-SVM would take longer to ask than to train
PERMUTATIONS = 3  # of each feature


def permutation_importance(
    ask: Callable[[np.ndarray], np.ndarray],
    rows: np.ndarray,
    target: np.ndarray,
    *,
    seed: int,
    progress: bool = False,
    description: str = "",
) -> np.ndarray:
    """Rise of the log loss when one feature's values change places among the tracks.

    Breiman, "Random forests", Machine Learning 45 (2001), section 10. A feature that another one
    can stand in for has little of it, however much the model looks at it.

    Parameters
    ----------
    ask : callable
        Log probabilities [shape=(n, n_labels)] of rows [shape=(n, n_features)].
    rows : np.ndarray [shape=(n, n_features)]
        Of tracks that the model did not learn from.
    target : np.ndarray [shape=(n,), dtype=int]
        Among the model's labels.
    seed : int
    progress, description : bool, str
        Show a bar on stderr, and what it says.

    Returns
    -------
    np.ndarray [shape=(n_features,)]
        In nats; about 0, and by chance below it, for a feature that the model does without.
    """
    rng = np.random.default_rng(seed)
    if len(rows) > TRACKS:
        chosen = np.sort(rng.choice(len(rows), TRACKS, replace=False))
        rows, target = rows[chosen], target[chosen]
    truth = np.tile(target, PERMUTATIONS)

    def loss(inputs: np.ndarray) -> float:
        return -float(ask(inputs)[np.arange(len(inputs)), truth].mean())

    shuffled = np.tile(rows, (PERMUTATIONS, 1))
    before = loss(shuffled)
    rises = np.zeros(rows.shape[1])
    for i in tqdm(
        range(rows.shape[1]),
        desc=f"{description}: importance".removeprefix(": "),
        unit="feature",
        disable=None if progress else True,
    ):
        own = shuffled[:, i].copy()
        shuffled[:, i] = np.concatenate([rng.permutation(rows[:, i]) for _ in range(PERMUTATIONS)])
        rises[i] = loss(shuffled) - before
        shuffled[:, i] = own
    return rises


def gains(booster: xgboost.Booster, names: tuple[str, ...]) -> dict[str, float]:
    """Each feature's share of what all splits of the trees gained."""
    gain = booster.get_score(importance_type="total_gain")
    found = np.array([gain.get(f"f{i}", 0.0) for i in range(len(names))], dtype=np.float64)
    return dict(zip(names, (found / max(found.sum(), 1e-12)).tolist(), strict=True))
