"""Multinomial logistic regression on standardised columns, as plain coefficients.

Fitted by scikit-learn; for what is learned beside the genres (noise and voices, styles). A model of
genres chooses its regularisation on artists set aside: see `logistic`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tagger.models.prediction import log_softmax

ITERATIONS = 2000


@dataclass(frozen=True)
class SoftmaxRegression:
    """Coefficients [shape=(n_labels, n_inputs)] and intercepts, the scaling worked in."""

    labels: tuple[str, ...]
    coefficients: np.ndarray
    intercept: np.ndarray

    def probabilities(self, rows: np.ndarray) -> np.ndarray:
        """Of each label [shape=(n, n_labels)]."""
        return np.exp(log_softmax(rows @ self.coefficients.T + self.intercept))


def fit_softmax(
    rows: np.ndarray, names: np.ndarray, *, strength: float, balanced: bool = False
) -> SoftmaxRegression:
    """Learn to tell names apart.

    Parameters
    ----------
    rows : np.ndarray [shape=(n, n_inputs)]
    names : np.ndarray [shape=(n,)] of str
        At least two different ones.
    strength : float
        Of the data against the penalty.
    balanced : bool
        Whether a rare name counts for as much as a frequent one.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(rows)
    regression = LogisticRegression(
        C=strength, max_iter=ITERATIONS, class_weight="balanced" if balanced else None
    ).fit(scaler.transform(rows), names)
    coefficients, intercept = regression.coef_, regression.intercept_
    if len(coefficients) == 1:  # of two names only what speaks for the second is kept
        halves = np.array([[-0.5], [0.5]])
        coefficients, intercept = halves * coefficients, (halves * intercept)[:, 0]
    coefficients = coefficients / scaler.scale_
    labels = tuple(map(str, regression.classes_))
    return SoftmaxRegression(labels, coefficients, intercept - coefficients @ scaler.mean_)
