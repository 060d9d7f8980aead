"""Calibration of confidence by one temperature (Guo et al. 2017).

Fitted on predictions for tracks that the model did not learn from.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

TEMPERATURES = 0.05, 20.0
# Standard deviation of the prior on the logarithm of a temperature, or of a slope: a few tracks,
# all of them right, are no proof that every other will be.
SPREAD = 0.5


def fit_temperature(log_probabilities: np.ndarray, truth: np.ndarray) -> float:
    """Return the temperature with the lowest log loss, and a prior on it.

    Parameters
    ----------
    log_probabilities : np.ndarray [shape=(n, n_labels)]
        A track's logits or log probabilities, before calibration.
    truth : np.ndarray [shape=(n,), dtype=int]

    Returns
    -------
    float
        Divide the logits by it.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    def log_loss(log_temperature: float) -> float:
        scaled = log_softmax(log_probabilities / np.exp(log_temperature), axis=1)
        surprise = -float(scaled[np.arange(len(truth)), truth].sum())
        return surprise + (log_temperature / SPREAD) ** 2 / 2

    bounds = np.log(TEMPERATURES)
    return float(np.exp(minimize_scalar(log_loss, bounds=bounds, method="bounded").x))


def apply_temperature(log_probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Calibrated probabilities [shape=(n, n_labels)]."""
    from scipy.special import softmax

    return softmax(log_probabilities / temperature, axis=1)


def cross_fitted(
    log_probabilities: np.ndarray, truth: np.ndarray, folds: Sequence[str]
) -> np.ndarray:
    """Return each fold calibrated by the temperature of the others [shape=(n, n_labels)].

    Otherwise the error after calibration would be too low.
    """
    fold_of = np.array(folds)
    calibrated = np.empty_like(log_probabilities)
    for fold in np.unique(fold_of):
        inside = fold_of == fold
        temperature = fit_temperature(log_probabilities[~inside], truth[~inside])
        calibrated[inside] = apply_temperature(log_probabilities[inside], temperature)
    return calibrated
