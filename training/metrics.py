"""Figures: how good predictions are, each with its interval where it has one.

Must not know: models, files, where predictions come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np

ECE_BINS = 15


def wilson(successes: int, n: int, z: float = 1.959964) -> tuple[float, float]:
    """Wilson's score interval of a proportion; 95 % by default (Wilson 1927)."""
    if n == 0:
        return 0.0, 1.0
    p = successes / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


@dataclass(frozen=True)
class Measured:
    """Predictions beside the truth.

    Attributes
    ----------
    labels : tuple of str
    truth : np.ndarray [shape=(n,), dtype=int]
        Index of each track's genre among the labels.
    probabilities : np.ndarray [shape=(n, n_labels)]
    tracks : tuple of str
    """

    labels: tuple[str, ...]
    truth: np.ndarray
    probabilities: np.ndarray
    tracks: tuple[str, ...]

    @property
    def guesses(self) -> np.ndarray:
        return self.probabilities.argmax(axis=1)

    @property
    def right(self) -> np.ndarray:
        return self.guesses == self.truth

    @property
    def confidences(self) -> np.ndarray:
        return self.probabilities.max(axis=1)


def expected_calibration_error(measured: Measured, bins: int = ECE_BINS) -> float:
    """Mean gap between confidence and accuracy over equally wide bins (Guo et al. 2017)."""
    position = np.minimum((measured.confidences * bins).astype(int), bins - 1)
    gaps = [
        abs(measured.right[inside].mean() - measured.confidences[inside].mean()) * inside.mean()
        for inside in (position == b for b in range(bins))
        if inside.any()
    ]
    return float(sum(gaps))


def confusion_matrix(measured: Measured) -> np.ndarray:
    """Counts [shape=(n_labels, n_labels)]: rows are the truth, columns the guesses."""
    n = len(measured.labels)
    matrix = np.zeros((n, n), dtype=int)
    np.add.at(matrix, (measured.truth, measured.guesses), 1)
    return matrix


def per_genre(measured: Measured) -> dict[str, dict[str, float]]:
    """Precision, recall and F1 of each genre, with the interval of its recall."""
    matrix = confusion_matrix(measured)
    rows = {}
    for i, label in enumerate(measured.labels):
        hits, support, guessed = int(matrix[i, i]), int(matrix[i].sum()), int(matrix[:, i].sum())
        low, high = wilson(hits, support)
        rows[label] = {
            "n": support,
            "precision": hits / guessed if guessed else 0.0,
            "recall": hits / support if support else 0.0,
            "recall_low": low,
            "recall_high": high,
            "f1": 2 * hits / (support + guessed) if support + guessed else 0.0,
        }
    return rows


def figures(measured: Measured) -> dict[str, Any]:
    """What `metrics.json` and the cards say: accuracy with its Wilson 95 % interval, and more.

    Macro F1 is over the genres that occur.
    """
    n, hits = len(measured.truth), int(measured.right.sum())
    low, high = wilson(hits, n)
    genres = per_genre(measured)
    present = [row["f1"] for row in genres.values() if row["n"]]
    return {
        "n": n,
        "accuracy": hits / n,
        "accuracy_low": low,
        "accuracy_high": high,
        "macro_f1": float(np.mean(present)),
        "ece": expected_calibration_error(measured),
    }


def accuracy_by_coverage(measured: Measured) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The surest first: threshold, coverage and accuracy after each track [each shape=(n,)]."""
    order = np.argsort(-measured.confidences, kind="stable")
    counts = np.arange(1, len(order) + 1)
    return (
        measured.confidences[order],
        counts / len(order),
        np.cumsum(measured.right[order]) / counts,
    )


def threshold_for_precision(measured: Measured, precision: float) -> float:
    """The lowest confidence at and above which that share of the guesses is right.

    1.0 where no threshold reaches it.
    """
    confidences, _, accuracy = accuracy_by_coverage(measured)
    # Equal confidences are one step: a threshold cannot part them.
    last_of_step = np.append(confidences[1:] != confidences[:-1], True)
    reached = np.flatnonzero((accuracy >= precision) & last_of_step)
    return float(confidences[reached[-1]]) if len(reached) else 1.0


def coverage_at_precision(measured: Measured, precision: float) -> float:
    """Share of the tracks that are named when that share of the named ones is to be right."""
    threshold = threshold_for_precision(measured, precision)
    return float((measured.confidences >= threshold).mean()) if threshold < 1.0 else 0.0


def join(parts: Sequence[Measured]) -> Measured:
    """Predictions of several folds as one."""
    return Measured(
        labels=parts[0].labels,
        truth=np.concatenate([p.truth for p in parts]),
        probabilities=np.concatenate([p.probabilities for p in parts]),
        tracks=tuple(track for p in parts for track in p.tracks),
    )
