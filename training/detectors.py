"""Makes the detectors of music: linear models that tell music, noise and voices apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tagger.models.detector import MUSIC
from tagger.models.linear import pack
from tagger.training.data.track_views import Tracks
from tagger.training.multi_label import Predict, fold_of, out_of_fold
from tagger.training.recipes.softmax_regression import fit_softmax

STRENGTH = 0.03  # of data against the penalty
DOUBTED = 0.01  # of music at most


@dataclass(frozen=True)
class FittedDetector:
    """A detector, and its out-of-fold predictions.

    Attributes
    ----------
    weights : bytes
        As `tagger.models.linear` runs them.
    threshold : float
        From which probability of no music on a track is doubted to be music.
    doubted : np.ndarray [shape=(n,), dtype=bool]
        Out of fold.
    """

    weights: bytes
    labels: tuple[str, ...]
    threshold: float
    doubted: np.ndarray

    def card(self, name: str, *, backbone: str, n_inputs: int) -> dict[str, Any]:
        return {
            "name": name,
            "version": 1,
            "kind": "detector",
            "labels": list(self.labels),
            "looks_at": backbone,
            "n_looked_at": n_inputs,
            "decision": {
                "threshold": self.threshold,
                "why": f"where {DOUBTED:.0%} of music is doubted, out of fold",
            },
        }


def fit_detector(tracks: Tracks, seen: np.ndarray, seed: int = 0) -> FittedDetector:
    """Learn to tell music from noise and voices.

    Parameters
    ----------
    seen : np.ndarray [shape=(n, n_inputs)]
        Embeddings or statistics; how tracks move is added. Tracks of which that is not known are
        left out, and not doubted.
    """
    rows = np.concatenate([seen, tracks.movement], axis=1)
    known = np.isfinite(rows).all(axis=1)
    kinds = np.array([item.kind or MUSIC for item in tracks.items])
    folds = fold_of([item.artist for item in tracks.items], seed)

    def learn(rows: np.ndarray, kinds: np.ndarray, weights: np.ndarray, _: int) -> Predict:
        fitted = fit_softmax(rows, kinds, strength=STRENGTH, balanced=True)
        return lambda asked: 1 - fitted.probabilities(asked)[:, fitted.labels.index(MUSIC)]

    doubt = np.zeros(len(rows))
    doubt[known] = out_of_fold(learn, rows[known], kinds[known], np.ones(known.sum()), folds[known])
    music = known & ~tracks.estimated & (kinds == MUSIC)
    threshold = round(float(np.quantile(doubt[music], 1 - DOUBTED)), 4)
    fitted = fit_softmax(rows[known], kinds[known], strength=STRENGTH, balanced=True)
    weights = pack(fitted.coefficients, fitted.intercept)
    return FittedDetector(weights, fitted.labels, threshold, doubt >= threshold)
