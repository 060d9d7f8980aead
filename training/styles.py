"""Makes the styles of a model: a linear model that tells a genre's styles apart."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from tagger.genres import genre_of
from tagger.training.data.track_views import Tracks
from tagger.training.measure.metrics import wilson
from tagger.training.multi_label import FEWEST, PRECISION
from tagger.training.recipes.softmax_regression import fit_softmax

STRENGTH = 0.03  # of data against the penalty
LOWEST_THRESHOLD = 0.5  # a style that is less probable than not is not named


@dataclass(frozen=True)
class FittedStyles:
    """Styles, and how well they are told apart with artists kept apart.

    Attributes
    ----------
    names : tuple of str
    coefficients : np.ndarray [shape=(n_inputs, n_styles)]
    intercept : np.ndarray [shape=(n_styles,)]
    thresholds : np.ndarray [shape=(n_styles,)]
        1 for a style that is never right often enough to be named.
    named, right, n : np.ndarray [shape=(n_styles,)]
    """

    names: tuple[str, ...]
    coefficients: np.ndarray
    intercept: np.ndarray
    thresholds: np.ndarray
    named: np.ndarray
    right: np.ndarray
    n: np.ndarray

    def tables(self) -> list[dict[str, Any]]:
        rows = []
        for i, name in enumerate(self.names):
            k, m = int(self.right[i]), int(self.named[i])
            rows.append(
                {
                    "name": name,
                    "genre": genre_of(name),
                    "threshold": float(self.thresholds[i]),
                    "n": int(self.n[i]),
                    "named": m,
                    "precision": round(k / max(m, 1), 4),
                    "precision_low": round(wilson(k, m)[0], 4),
                    "precision_high": round(wilson(k, m)[1], 4),
                }
            )
        return rows


def fit_styles(tracks: Tracks, rows: np.ndarray, folds: np.ndarray) -> FittedStyles:
    """Learn from the tracks whose style is known."""
    style = np.array([item.known.style for item in tracks.items])
    known = style != ""
    names = tuple(sorted(set(style[known])))
    said = np.zeros((len(rows), len(names)))
    for fold in np.unique(folds):
        inside = folds == fold
        learned, asked = known & ~inside, known & inside
        fitted = fit_softmax(rows[learned], style[learned], strength=STRENGTH)
        said[asked] = fitted.probabilities(rows[asked])
    best = said.argmax(axis=1)
    thresholds, named, right = np.ones(len(names)), np.zeros(len(names)), np.zeros(len(names))
    for j, name in enumerate(names):
        mine = known & (best == j)
        confidence, true = said[mine, j], style[mine] == name
        order = np.argsort(-confidence, kind="stable")
        precision = np.cumsum(true[order]) / np.arange(1, len(order) + 1)
        enough = np.flatnonzero(precision >= PRECISION)
        if not len(enough):
            continue
        threshold = math.floor(1e4 * float(confidence[order][enough[-1]])) / 1e4
        threshold = max(threshold, LOWEST_THRESHOLD)
        passed = confidence >= threshold
        if true[passed].sum() < FEWEST:
            continue
        thresholds[j], named[j], right[j] = threshold, passed.sum(), true[passed].sum()
    fitted = fit_softmax(rows[known], style[known], strength=STRENGTH)
    return FittedStyles(
        names,
        fitted.coefficients.T,
        fitted.intercept,
        thresholds,
        named,
        right,
        np.array([(style == name).sum() for name in names]),
    )
