"""Permutation importance of features."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

TRACKS = 200  # at most: with more, an RBF-SVM would predict longer than it trains
PERMUTATIONS = 3  # of each feature


def permutation_importance(
    predict: Callable[[np.ndarray], np.ndarray],
    rows: np.ndarray,
    target: np.ndarray,
    *,
    seed: int,
    bar: Callable[[Iterable[int]], Iterable[int]] = lambda columns: columns,
) -> np.ndarray:
    """Rise of the log loss when one feature's values are shuffled over the tracks.

    Breiman, "Random forests", Machine Learning 45 (2001), section 10. A feature that another one
    can replace has little of it, however much the model uses it.

    Parameters
    ----------
    predict : callable
        Log probabilities [shape=(n, n_labels)] of rows [shape=(n, n_features)].
    rows : np.ndarray [shape=(n, n_features)]
        Of tracks that the model did not learn from.
    target : np.ndarray [shape=(n,), dtype=int]
        Among the model's labels.
    bar : callable
        Shows progress over the columns.

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
        return -float(predict(inputs)[np.arange(len(inputs)), truth].mean())

    shuffled = np.tile(rows, (PERMUTATIONS, 1))
    before = loss(shuffled)
    rises = np.zeros(rows.shape[1])
    for i in bar(range(rows.shape[1])):
        own = shuffled[:, i].copy()
        shuffled[:, i] = np.concatenate([rng.permutation(rows[:, i]) for _ in range(PERMUTATIONS)])
        rises[i] = loss(shuffled) - before
        shuffled[:, i] = own
    return rises
