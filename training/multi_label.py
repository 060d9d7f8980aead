"""Models of many genres from partial labels: measured with artists apart, calibrated by label.

A label's logit becomes a probability by Platt's scaling, and is named from where four in five are
right, on tracks whose artists were not learned from. What is left open about a track counts neither
as right nor as wrong.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np

from tagger.models.prediction import sigmoid
from tagger.training.data import steady_sounds
from tagger.training.data.track_views import Item, Tracks
from tagger.training.measure.metrics import (
    calibration_bins,
    calibration_error,
    rounded,
    share,
    wilson,
)

FOLDS = 5
PRECISION = 0.8  # of what is named by default
# No genre is named below it, whatever its precision: so that of music outside the model's genres,
# of which there is little to learn from, at most 15 % is named (docs/experiments.md).
LOWEST_THRESHOLD = 0.7
FEWEST = 10  # tracks that must be named rightly, for a label to be worth having

Predict = Callable[[np.ndarray], np.ndarray]
Fit = Callable[[np.ndarray, np.ndarray, int], Predict]
"""Rows, targets and a seed in; a function from rows to logits out."""


def targets(items: Sequence[Item], labels: Sequence[str]) -> np.ndarray:
    """1, 0, or NaN where it is left open [shape=(n_items, n_labels)]."""
    table = np.zeros((len(items), len(labels)))
    for row, item in zip(table, items, strict=True):
        for j, label in enumerate(labels):
            if label in item.known.genres:
                row[j] = 1.0
            elif label in item.known.open:
                row[j] = np.nan
    return table


def fold_of(artists: Sequence[str], seed: int = 0, folds: int = FOLDS) -> np.ndarray:
    """A fold for each track, the same for all of an artist [shape=(n,)]."""

    def drawn(artist: str) -> int:
        # By the name, so that another set beside this one changes nothing.
        return int.from_bytes(sha256(f"{seed} {artist}".encode()).digest()[:8]) % folds

    return np.array([drawn(artist) for artist in artists])


def out_of_fold(fit: Fit, rows: np.ndarray, table: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Logits for each track from a fit that did not learn from its artist [shape=(n, n_labels)]."""
    logits = np.zeros(table.shape)
    for fold in np.unique(folds):
        inside = folds == fold
        logits[inside] = fit(rows[~inside], table[~inside], int(fold))(rows[inside])
    return logits


def fit_platt(logits: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Slope and offset with the lowest log loss (Platt 1999)."""
    from scipy.optimize import minimize

    sign = 2 * truth - 1

    def surprise(parameters: np.ndarray) -> float:
        slope, offset = parameters
        return float(np.logaddexp(0, -sign * (slope * logits + offset)).mean())

    slope, offset = minimize(surprise, [1.0, 0.0], method="Nelder-Mead").x
    return max(float(slope), 1e-3), float(offset)


def platt_by_label(logits: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Slope and offset of each label [shape=(n_labels, 2)]."""
    known = ~np.isnan(table)
    return np.array(
        [fit_platt(logits[known[:, j], j], table[known[:, j], j]) for j in range(table.shape[1])]
    )


def calibrated(logits: np.ndarray, platt: np.ndarray) -> np.ndarray:
    """Probabilities [shape=(n, n_labels)]."""
    return sigmoid(logits * platt[:, 0] + platt[:, 1])


def cross_calibrated(logits: np.ndarray, table: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Each fold calibrated on the others; otherwise the error would be too low."""
    probabilities = np.empty(logits.shape)
    for fold in np.unique(folds):
        inside = folds == fold
        platt = platt_by_label(logits[~inside], table[~inside])
        probabilities[inside] = calibrated(logits[inside], platt)
    return probabilities


@dataclass(frozen=True)
class LabelFigures:
    """The figures of a label where it is the most probable one.

    Attributes
    ----------
    n : int
        Tracks that have the label.
    named, right : int
        Tracks that it is named for, and of those it is known of whether rightly.
    """

    label: str
    threshold: float
    n: int
    named: int
    right: int

    @property
    def worth_having(self) -> bool:
        return self.threshold <= 1 and self.right >= FEWEST

    def as_table(self) -> dict[str, Any]:
        return {
            "n": self.n,
            "named": self.named,
            **rounded(share("precision", self.right, self.named)),
            "coverage": round(self.right / max(self.n, 1), 4),
        }


def threshold_of(confidence: np.ndarray, right: np.ndarray, lowest: float) -> float | None:
    """From which confidence on, and not below `lowest`, `PRECISION` of the guesses are right.

    None where it is never reached.
    """
    order = np.argsort(-confidence, kind="stable")
    precision = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    enough = np.flatnonzero(precision >= PRECISION)
    if not len(enough):
        return None
    # Down: rounded up, it would shut out the very track that it was set by.
    return max(math.floor(1e4 * float(confidence[order][enough[-1]])) / 1e4, lowest)


def find_thresholds(
    probabilities: np.ndarray, table: np.ndarray, labels: Sequence[str], allowed: np.ndarray
) -> list[LabelFigures]:
    """From which confidence on each label is right four times of five; above 1 where it never is.

    Parameters
    ----------
    allowed : np.ndarray [shape=(n,), dtype=bool]
        Tracks that are not doubted to be music, and so may be named at all.
    """
    best = probabilities.argmax(axis=1)
    figures = []
    for j, label in enumerate(labels):
        known = ~np.isnan(table[:, j])
        mine = allowed & known & (best == j)
        found = threshold_of(probabilities[mine, j], table[mine, j] == 1, LOWEST_THRESHOLD)
        threshold = 2.0 if found is None else found
        named = mine & (probabilities[:, j] >= threshold)
        figures.append(
            LabelFigures(
                label,
                threshold,
                n=int(np.nansum(table[:, j])),
                named=int(named.sum()),
                right=int((table[named, j] == 1).sum()),
            )
        )
    return figures


@dataclass(frozen=True)
class Report:
    """Out-of-fold results of a model at its thresholds.

    Attributes
    ----------
    shares : dict of str to (int, int)
        Of each group of tracks, how many of how many; see `measure`.
    ece : float
        Expected calibration error of the best label's confidence.
    """

    shares: dict[str, tuple[int, int]]
    ece: float

    def lines(self) -> list[str]:
        said = []
        for name, (k, n) in self.shares.items():
            low, high = wilson(k, n)
            said.append(f"{name}: {k / max(n, 1):.1%} ({low:.1%} to {high:.1%}, n = {n})")
        return [*said, f"expected calibration error: {self.ece:.3f}"]


def measure(
    tracks: Tracks,
    probabilities: np.ndarray,
    table: np.ndarray,
    labels: Sequence[str],
    doubted: np.ndarray,
    thresholds: Sequence[LabelFigures],
    reference: str,
) -> Report:
    """Count what a scan would do with tracks of which the sound, or its embedding, is known.

    Parameters
    ----------
    probabilities : np.ndarray [shape=(n, n_labels)]
        Out of fold, calibrated on other folds.
    doubted : np.ndarray [shape=(n,), dtype=bool]
        Not music, by a detector that did not learn from it.
    reference : str
        The set of single genres, on which accuracy is measured.
    """
    real = ~tracks.estimated
    best = probabilities.argmax(axis=1)
    confidence = probabilities.max(axis=1)
    limit = np.array([figures.threshold for figures in thresholds])
    named = real & ~doubted & (confidence >= limit[best])
    kind = np.array([bool(item.kind) for item in tracks.items])
    recorded = kind & np.array([item.source != steady_sounds.NAME for item in tracks.items])
    source = np.array([item.source for item in tracks.items])
    truth = table[np.arange(len(best)), best]
    judged = real & ~kind & ~np.isnan(truth)
    mine = real & (source == reference)
    # Known to have a genre or several, none of them the model's, and none left open that is named.
    outside = (
        real
        & ~kind
        & np.array([bool(item.known.genres) for item in tracks.items])
        & ~(table == 1).any(axis=1)
    )

    def count(what: np.ndarray, of: np.ndarray) -> tuple[int, int]:
        return int((what & of).sum()), int(of.sum())

    right, music = truth == 1, real & ~kind
    shares = {
        f"right, of {reference}": count(right, mine),
        f"named, of {reference}": count(named, mine),
        f"right, of what is named of {reference}": count(right, mine & named),
        "right, of all that is named and known": count(right, named & judged),
        "named, of music outside the model's genres": count(named & (truth == 0), outside),
        "named, of recorded noise and voices": count(named, recorded),
        "doubted, of music": count(doubted, music),
    }
    if "Electronic" in labels:
        j = list(labels).index("Electronic")
        electronic = real & (source == "ishkur") & (table[:, j] == 1)
        shares["named Electronic, of electronic clips"] = count(named & (best == j), electronic)
    bins = calibration_bins(confidence[judged], truth[judged] == 1)
    return Report(shares, float(calibration_error(bins)))
