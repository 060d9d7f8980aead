"""Multinomial logistic regression on rows of any kind.

The regularisation is chosen on artists set aside. Solved by scipy's L-BFGS, from the strongest
penalty to the weakest, each starting where the last one ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tagger.models.linear import pack
from tagger.models.prediction import log_softmax
from tagger.system.errors import DataError
from tagger.training.data.datasets import Example
from tagger.training.measure.splits import set_aside

STRENGTHS = tuple(float(s) for s in 10.0 ** np.arange(-4.5, 1.1, 0.5))  # of data against penalty
WORSE = 2  # so often the log loss may rise before weaker penalties are not tried any more
ITERATIONS = 200


@dataclass(frozen=True)
class Regression:
    """What `tagger.models.linear` runs, and how it was found.

    Attributes
    ----------
    weights : bytes
        `.npz`, the scaling of the inputs worked in.
    training : dict
        For the card.
    """

    weights: bytes
    training: dict[str, Any]


def fit_regression(
    rows: np.ndarray, target: np.ndarray, examples: Sequence[Example], *, seed: int
) -> Regression:
    """Choose the regularisation on artists set aside, then learn from all rows.

    Parameters
    ----------
    rows : np.ndarray [shape=(n, n_inputs)]
    target : np.ndarray [shape=(n,), dtype=int]
        Each label from 0 on occurs.
    examples : sequence of Example
        Whose rows they are.
    """
    from threadpoolctl import threadpool_limits

    rows = rows.astype(np.float64)
    mean, scale = rows.mean(axis=0), rows.std(axis=0)
    scale[scale < 1e-9] = 1.0
    standard = (rows - mean) / scale
    # With a quadratic penalty the solution lies in the span of the rows: the same one is found
    # among as many dimensions as there are tracks, which for a small library are far fewer.
    with threadpool_limits(1):  # products this small only wait for a second thread
        if len(rows) < rows.shape[1]:
            left, stretch, axes = np.linalg.svd(standard, full_matrices=False)
            standard = left * stretch
        else:
            axes = np.eye(rows.shape[1])
        number, loss = _best(standard, target, _folds(examples, target, seed))
        path = _Path(standard, target, int(target.max()) + 1)
        for strength in STRENGTHS[: number + 1]:
            coefficients, intercept = path.solve(strength)
        coefficients = coefficients @ axes / scale
    training: dict[str, Any] = {"strength": STRENGTHS[number], "chosen_by": "log loss on artists"}
    if np.isfinite(loss):
        training["log_loss_on_artists_set_aside"] = round(loss, 4)
    return Regression(pack(coefficients, intercept - coefficients @ mean), training)


def _folds(
    examples: Sequence[Example], target: np.ndarray, seed: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Rows to learn from and rows to choose by, of genres that are among the former."""
    try:
        folds = set_aside(examples, seed)
    except DataError:  # a single artist: any choice is as good
        return []
    known = [(learn, aside[np.isin(target[aside], target[learn])]) for learn, aside in folds]
    return [(learn, aside) for learn, aside in known if len(aside)]


def _best(
    rows: np.ndarray, target: np.ndarray, folds: Sequence[tuple[np.ndarray, np.ndarray]]
) -> tuple[int, float]:
    """The strength with the lowest log loss, by number, and that loss."""
    n_labels = int(target.max()) + 1
    paths = [_Path(rows[learn], target[learn], n_labels) for learn, _ in folds]
    best, lowest, worse = len(STRENGTHS) // 2, np.inf, 0
    for number, strength in enumerate(STRENGTHS if folds else ()):
        losses = []
        for path, (_, aside) in zip(paths, folds, strict=True):
            coefficients, intercept = path.solve(strength)
            said = log_softmax(rows[aside] @ coefficients.T + intercept)
            losses.append(-said[np.arange(len(aside)), target[aside]])
        loss = float(np.concatenate(losses).mean())
        best, lowest, worse = (number, loss, 0) if loss < lowest else (best, lowest, worse + 1)
        if worse == WORSE:
            break
    return best, lowest


class _Path:
    """Solutions for weaker and weaker penalties."""

    def __init__(self, rows: np.ndarray, target: np.ndarray, n_labels: int) -> None:
        self._rows = rows
        self._truth = np.eye(n_labels)[target]
        self._last = np.zeros((n_labels, rows.shape[1] + 1))

    def solve(self, strength: float) -> tuple[np.ndarray, np.ndarray]:
        """Coefficients [n_labels, n_inputs] and intercepts [n_labels]; the latter go free."""
        from scipy.optimize import minimize

        shape = self._last.shape

        def cost(flat: np.ndarray) -> tuple[float, np.ndarray]:
            weights = flat.reshape(shape)
            said = log_softmax(self._rows @ weights[:, :-1].T + weights[:, -1])
            surplus = strength * (np.exp(said) - self._truth)
            slope = np.column_stack([surplus.T @ self._rows + weights[:, :-1], surplus.sum(axis=0)])
            value = -strength * (said * self._truth).sum() + np.square(weights[:, :-1]).sum() / 2
            return float(value), slope.ravel()

        found = minimize(
            cost, self._last.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": ITERATIONS}
        )
        self._last = found.x.reshape(shape)
        return self._last[:, :-1], self._last[:, -1]
