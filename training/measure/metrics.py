"""Figures: how good predictions are, each with its interval where it has one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
    truth : np.ndarray [shape=(n,), dtype=int]
        Index of each track's genre among the labels.
    probabilities : np.ndarray [shape=(n, n_labels)]
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

    @property
    def bins(self) -> list[Bin]:
        """Confidence beside accuracy, over the bins that hold tracks."""
        return calibration_bins(self.confidences, self.right)

    def against_the_rest(self, label: int) -> tuple[np.ndarray, np.ndarray]:
        """Return which tracks are of a genre, and its probabilities [each shape=(n,)]."""
        return self.truth == label, self.probabilities[:, label]


@dataclass(frozen=True)
class Measurement:
    """The result of one recipe under one protocol.

    Attributes
    ----------
    name, protocol : str
        What was measured, and how.
    figures : dict
        Of `figures`; empty where nothing could be measured.
    seconds : float
        For training and predicting.
    note : str
        Why nothing could be measured.
    """

    name: str
    protocol: str
    figures: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    note: str = ""


def confusion_matrix(measured: Measured) -> np.ndarray:
    """Count guesses [shape=(n_labels, n_labels)]: rows are the truth, columns the guesses."""
    from sklearn import metrics

    labels = range(len(measured.labels))
    return np.asarray(metrics.confusion_matrix(measured.truth, measured.guesses, labels=labels))


def per_genre(measured: Measured) -> dict[str, dict[str, Any]]:
    """Return figures of each genre against all others, each with its 95 % interval.

    `accuracy` is the share of all tracks that are rightly said to be, or not to be, of the genre.
    A genre without a track was not measured: its figures are None, and so is `roc_auc` where all
    tracks are of one genre.
    """
    from sklearn.metrics import average_precision_score, roc_auc_score

    matrix = confusion_matrix(measured)
    n = len(measured.truth)
    rows: dict[str, dict[str, Any]] = {}
    for i, label in enumerate(measured.labels):
        hits, support, guessed = int(matrix[i, i]), int(matrix[i].sum()), int(matrix[:, i].sum())
        either = support + guessed - hits
        truth, scores = measured.against_the_rest(i)
        rows[label] = {
            "n": support,
            **share("accuracy", n - (either - hits), n),
            **share("precision", hits, guessed),
            **share("recall", hits, support),
            # F1 grows with the share of hits among the tracks that are or are said to be of the
            # genre (F1 = 2 s / (1 + s)), and that share is a proportion with an interval.
            **{k: 2 * s / (1 + s) for k, s in share("f1", hits, either).items()},
            "average_precision": float(average_precision_score(truth, scores)) if support else 0.0,
            "roc_auc": float(roc_auc_score(truth, scores)) if 0 < support < n else None,
        }
        if not support:
            rows[label] = {**dict.fromkeys(rows[label]), "n": 0}
    return rows


def share(name: str, hits: int, n: int) -> dict[str, float]:
    """Return a proportion and its 95 % interval: `name`, `name_low` and `name_high`."""
    low, high = wilson(hits, n)
    return {name: hits / n if n else 0.0, f"{name}_low": low, f"{name}_high": high}


def how_many(what: np.ndarray, of: np.ndarray) -> tuple[int, int]:
    """Return how many of those tracks [each shape=(n,), dtype=bool], and how many those are."""
    return int((what & of).sum()), int(of.sum())


def told(hits: int, n: int) -> str:
    """Say a proportion and its 95 % interval, in per cent."""
    low, high = wilson(hits, n)
    return f"{hits / max(n, 1):.1%} ({low:.1%} to {high:.1%}, n = {n})"


def rounded(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Figures as a card has them: four digits."""
    return {k: round(v, 4) if isinstance(v, float) else v for k, v in figures.items()}


def figures(measured: Measured) -> dict[str, Any]:
    """Return what `metrics.json` and the cards say: accuracy with its Wilson 95 % interval, and
    more.

    Macro F1 is over the genres that occur.
    """
    present = [row["f1"] for row in per_genre(measured).values() if row["n"]]
    n = len(measured.truth)
    return {
        "n": n,
        **share("accuracy", int(measured.right.sum()), n),
        "macro_f1": float(np.mean(present)),
        "ece": calibration_error(measured.bins),
    }


def accuracy_by_coverage(measured: Measured) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return threshold, coverage and accuracy after each track, surest first [each shape=(n,)]."""
    order = np.argsort(-measured.confidences, kind="stable")
    counts = np.arange(1, len(order) + 1)
    return (
        measured.confidences[order],
        counts / len(order),
        np.cumsum(measured.right[order]) / counts,
    )


@dataclass(frozen=True)
class Bin:
    """Tracks of about the same confidence, from `low` up to `high`."""

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float
    accuracy_low: float
    accuracy_high: float


def calibration_bins(confidences: np.ndarray, right: np.ndarray) -> list[Bin]:
    """Bin confidences, and whether each guess is right [each shape=(n,)]; no bin is empty."""
    position = np.minimum((confidences * ECE_BINS).astype(int), ECE_BINS - 1)
    rows = []
    for b in np.unique(position):
        inside = position == b
        n, hits = int(inside.sum()), int(right[inside].sum())
        mean = float(confidences[inside].mean())
        rows.append(Bin(b / ECE_BINS, (b + 1) / ECE_BINS, n, mean, hits / n, *wilson(hits, n)))
    return rows


def calibration_error(bins: Sequence[Bin]) -> float:
    """Mean gap between confidence and accuracy (Guo et al. 2017); 0 without tracks."""
    gaps = sum(abs(b.accuracy - b.confidence) * b.n for b in bins)
    return gaps / max(sum(b.n for b in bins), 1)


def threshold_for_precision(measured: Measured, precision: float, *, surely: bool = False) -> float:
    """Return the lowest confidence at and above which that share of the guesses is right.

    1.0 where no threshold reaches it.

    Parameters
    ----------
    surely : bool
        By the lower bound of the share's 95 % interval.
    """
    confidences, _, accuracy = accuracy_by_coverage(measured)
    if surely:
        counts = np.arange(1, len(accuracy) + 1)
        hits = np.rint(accuracy * counts).astype(int).tolist()
        pairs = zip(hits, counts.tolist(), strict=True)
        accuracy = np.array([wilson(k, n)[0] for k, n in pairs])
    reached = _reached(confidences, accuracy, precision)
    return 1.0 if reached is None else float(confidences[reached])


def coverage_at_precision(measured: Measured, precision: float) -> float:
    """Share of the tracks that are named when that share of the named ones is to be right."""
    confidences, share, accuracy = accuracy_by_coverage(measured)
    reached = _reached(confidences, accuracy, precision)
    return 0.0 if reached is None else float(share[reached])


def _reached(confidences: np.ndarray, accuracy: np.ndarray, precision: float) -> int | None:
    """Return the last place, from the surest track on, where that share of the guesses is right."""
    # Equal confidences are one step: a threshold cannot part them.
    last_of_step = np.append(confidences[1:] != confidences[:-1], True)
    reached = np.flatnonzero((accuracy >= precision) & last_of_step)
    return int(reached[-1]) if len(reached) else None
