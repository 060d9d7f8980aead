"""Models of many genres from partial labels: measured with artists apart, calibrated by label.

A label's logit becomes a probability by Platt's scaling. From which probability on it is named
follows from an aim: the share of what is named that is right, on tracks whose artists were not
learned from. What is left open about a track counts neither as right nor as wrong.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np

from tagger.genres.vocabulary import parent_of
from tagger.models.prediction import sigmoid
from tagger.training.data.track_views import Item, Tracks
from tagger.training.measure.calibrate import SPREAD
from tagger.training.measure.metrics import (
    calibration_bins,
    calibration_error,
    how_many,
    rounded,
    share,
    told,
)

FOLDS = 5
# Shares of all that is named that are right, the default one, and the share that each genre has to
# reach where more is aimed at.
AIMS = (0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.98)
AIM, LEAST = 0.85, 0.8
NOT_NAMED = 2.0  # as a threshold
FEWEST = 6  # tracks that must be named rightly, for a threshold to be found
# So many tracks, right as often as their probabilities say, are put beside those that were counted:
# ten tracks that happen to be right are no proof.
PRIOR = 4.0
SPREAD_OF_OFFSET = 3.0  # standard deviation of the prior on an offset


@dataclass(frozen=True)
class Says:
    """How much the tracks of a set count: what people own is not what sets are made of.

    Attributes
    ----------
    learning : float
        In training.
    calibration : float
        For what a probability means.
    validation : float
        For thresholds; 0 where all are of one genre, so that naming it is always right.
    """

    learning: float = 1.0
    calibration: float = 1.0
    validation: float = 1.0


SETS = {
    "gtzan": Says(3.0, 1.0, 0.4),
    "emotify": Says(1.0, 0.5, 0.4),
    "ishkur": Says(0.5, 0.25, 0.0),
    "no_music": Says(0.5, 0.25, 0.0),
}
# Of the same where the input is estimated.
ESTIMATED = 0.5

Predict = Callable[[np.ndarray], np.ndarray]
Fit = Callable[[np.ndarray, np.ndarray, np.ndarray, int], Predict]
"""Rows, targets, weights of the rows and a seed in; a function from rows to logits out."""


def weights_of(tracks: Tracks, what: str) -> np.ndarray:
    """Return how much each track counts for one of `Says`' attributes [shape=(n,)]."""
    by_set = np.array([getattr(SETS.get(item.source, Says()), what) for item in tracks.items])
    return by_set * np.where(tracks.estimated, ESTIMATED, 1.0)


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
    """Return a fold for each track, the same for all of an artist [shape=(n,)]."""

    def drawn(artist: str) -> int:
        # By the name, so that another set beside this one changes nothing.
        return int.from_bytes(sha256(f"{seed} {artist}".encode()).digest()[:8]) % folds

    return np.array([drawn(artist) for artist in artists])


def out_of_fold(
    fit: Fit, rows: np.ndarray, table: np.ndarray, weights: np.ndarray, folds: np.ndarray
) -> np.ndarray:
    """Logits for each track from a fit that did not learn from its artist [shape=(n, n_labels)]."""
    logits = np.zeros(table.shape)
    for fold in np.unique(folds):
        inside = folds == fold
        logits[inside] = fit(rows[~inside], table[~inside], weights[~inside], int(fold))(
            rows[inside]
        )
    return logits


def fit_platt(
    logits: np.ndarray, truth: np.ndarray, weights: np.ndarray | None = None
) -> tuple[float, float]:
    """Return slope and offset with the lowest log loss (Platt 1999), and a prior on both.

    With few tracks, all of them right, there would be no end to the slope.
    """
    from scipy.optimize import minimize

    sign = 2 * truth - 1
    weights = np.ones(len(truth)) if weights is None else weights

    def surprise(parameters: np.ndarray) -> float:
        log_slope, offset = parameters
        loss = np.logaddexp(0, -sign * (np.exp(log_slope) * logits + offset)) @ weights
        return float(loss + (log_slope / SPREAD) ** 2 / 2 + (offset / SPREAD_OF_OFFSET) ** 2 / 2)

    log_slope, offset = minimize(surprise, [0.0, 0.0], method="Nelder-Mead").x
    return float(np.exp(log_slope)), float(offset)


def platt_by_label(logits: np.ndarray, table: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Slope and offset of each label [shape=(n_labels, 2)]."""
    known = ~np.isnan(table)
    return np.array(
        [
            fit_platt(logits[known[:, j], j], table[known[:, j], j], weights[known[:, j]])
            for j in range(table.shape[1])
        ]
    )


def calibrated(logits: np.ndarray, platt: np.ndarray) -> np.ndarray:
    """Probabilities [shape=(n, n_labels)]."""
    return sigmoid(logits * platt[:, 0] + platt[:, 1])


def cross_calibrated(
    logits: np.ndarray, table: np.ndarray, weights: np.ndarray, folds: np.ndarray
) -> np.ndarray:
    """Return each fold calibrated on the others; otherwise the error would be too low."""
    probabilities = np.empty(logits.shape)
    for fold in np.unique(folds):
        inside = folds == fold
        platt = platt_by_label(logits[~inside], table[~inside], weights[~inside])
        probabilities[inside] = calibrated(logits[inside], platt)
    return probabilities


@dataclass(frozen=True)
class LabelFigures:
    """The figures of a label at its threshold, on validation tracks.

    Attributes
    ----------
    aims : tuple of (float, float)
        Shares right, ascending, and the threshold for each; above 1 where it is never reached.
    n : int
        Tracks that have the label.
    named, right : int
        Tracks that it is named for, and of those it is known of whether rightly.
    sets : dict of str to (int, int)
        Rightly named and named, by set.
    """

    label: str
    aims: tuple[tuple[float, float], ...]
    n: int
    named: int
    right: int
    sets: dict[str, tuple[int, int]]

    @property
    def threshold(self) -> float:
        return dict(self.aims)[AIM]

    def as_table(self) -> dict[str, Any]:
        return {
            "threshold": min(self.threshold, 1.0),
            "aims": [[aim, min(t, 1.0)] for aim, t in self.aims],
            "n": self.n,
            "named": self.named,
            **rounded(share("precision", self.right, self.named)),
            "coverage": round(self.right / max(self.n, 1), 4),
            "named_by_set": {name: f"{k} of {n}" for name, (k, n) in self.sets.items()},
        }


def threshold_of(
    confidence: np.ndarray, right: np.ndarray, aim: float, weights: np.ndarray | None = None
) -> float | None:
    """Return from which confidence on the aimed share of the guesses is right.

    None where it is never reached, or by too few to know.
    """
    order = np.argsort(-confidence, kind="stable")
    weights = np.ones(len(order)) if weights is None else weights[order]
    confidence, right = confidence[order], right[order].astype(float)
    total = np.cumsum(weights)
    expected = np.cumsum(weights * confidence) / np.maximum(total, 1e-9)
    share_right = (np.cumsum(weights * right) + PRIOR * expected) / (total + PRIOR)
    enough = np.flatnonzero((share_right >= aim) & (np.cumsum(right) >= FEWEST))
    if not len(enough):
        return None
    # Down: rounded up, it would shut out the very track that it was set by.
    return math.floor(1e4 * float(confidence[enough[-1]])) / 1e4


class Family:
    """The labels of a model, and which of them is part of which other."""

    def __init__(self, labels: Sequence[str]) -> None:
        place = {label: j for j, label in enumerate(labels)}
        self.parent = [place.get(parent_of(label) or "", -1) for label in labels]
        self.children = [
            [k for k, above in enumerate(self.parent) if above == j] for j in range(len(labels))
        ]
        kin = zip(self.parent, self.children, strict=True)
        self._has_kin = np.array([above >= 0 or bool(below) for above, below in kin])

    def named(self, probabilities: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
        """Return the label that a scan names for each track, -1 for none [shape=(n,)].

        `tagger.deciding.decide` has the rule: a child that is sure stands for its parent, and a
        parent that is sure for a child that is not.
        """
        sure = probabilities >= thresholds
        found = probabilities.argmax(axis=1)
        result = np.where(sure[np.arange(len(found)), found], found, -1)
        for i in np.flatnonzero(self._has_kin[found]):
            best = found[i]
            above = self.parent[best]
            if not sure[i, best] and above >= 0 and sure[i, above]:
                best = above
            children = [k for k in self.children[best] if sure[i, k]]
            if children:
                result[i] = max(children, key=lambda k: probabilities[i, k])
            elif sure[i, best]:
                result[i] = best
        return result


def find_thresholds(
    probabilities: np.ndarray,
    table: np.ndarray,
    labels: Sequence[str],
    weights: np.ndarray,
    sources: np.ndarray | None = None,
) -> list[LabelFigures]:
    """Find from which probability on each label is named, for each aim.

    Parameters
    ----------
    weights : np.ndarray [shape=(n,)]
        How much a track counts; 0 for one that no threshold may be set by.
    sources : np.ndarray [shape=(n,)] of str, optional
        The set of each track.
    """
    family = Family(labels)
    found = [thresholds_for(probabilities, table, family, weights, aim) for aim in AIMS]
    rising = np.maximum.accumulate(found).T.tolist()
    aims = [tuple(zip(AIMS, thresholds, strict=True)) for thresholds in rising]
    named = family.named(probabilities, np.array([dict(a)[AIM] for a in aims]))
    sources = np.full(len(table), "") if sources is None else sources
    figures = []
    for j, label in enumerate(labels):
        counted = (weights > 0) & ~np.isnan(table[:, j])
        mine = counted & (named == j)
        right = mine & (table[:, j] == 1)
        figures.append(
            LabelFigures(
                label,
                aims[j],
                n=int((table[counted, j] == 1).sum()),
                named=int(mine.sum()),
                right=int(right.sum()),
                sets={
                    str(name): (int((right & here).sum()), int((mine & here).sum()))
                    for name in np.unique(sources[mine])
                    for here in [sources == name]
                },
            )
        )
    return figures


def thresholds_for(
    probabilities: np.ndarray, table: np.ndarray, family: Family, weights: np.ndarray, aim: float
) -> np.ndarray:
    """Return each label's threshold for an aim.

    Each label by itself has the aimed share right, or `LEAST`; and from the one probability on that
    all need, the aimed share of all that is named is right.
    """
    own = _own_thresholds(probabilities, table, family, weights, min(aim, LEAST))
    best = probabilities.max(axis=1)
    every = np.arange(len(table))
    for common in np.arange(0.0, 1.0, 0.01):
        thresholds = np.where(own < NOT_NAMED, np.maximum(own, common), own)
        named = family.named(probabilities, thresholds)
        truth = table[every, np.maximum(named, 0)]
        counted = (named >= 0) & ~np.isnan(truth)
        n = (weights * counted).sum()
        right = (weights * counted * (truth == 1)).sum()
        if n == 0 or right + PRIOR * best[counted].mean() >= aim * (n + PRIOR):
            return thresholds
    return np.full(table.shape[1], NOT_NAMED)


def _own_thresholds(
    probabilities: np.ndarray, table: np.ndarray, family: Family, weights: np.ndarray, aim: float
) -> np.ndarray:
    """Return each label's threshold by itself; children first, since they stand for parents."""
    best = probabilities.argmax(axis=1)
    thresholds = np.full(table.shape[1], NOT_NAMED)
    for j in sorted(range(table.shape[1]), key=lambda j: family.parent[j] < 0):
        mine = best == j
        if family.parent[j] >= 0:
            mine |= best == family.parent[j]
        for child in family.children[j]:
            sure = probabilities[:, child] >= thresholds[child]
            mine = (mine & ~sure) | ((best == child) & ~sure)
        known = (weights > 0) & ~np.isnan(table[:, j])
        # A label that is hardly ever the best can still be named beside another.
        for rows in (known & mine, known):
            found = threshold_of(probabilities[rows, j], table[rows, j] == 1, aim, weights[rows])
            if found is not None:
                thresholds[j] = found
                break
    return thresholds


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
        said = [f"{name}: {told(k, n)}" for name, (k, n) in self.shares.items()]
        return [*said, f"expected calibration error: {self.ece:.3f}"]


def described(
    figures: Sequence[LabelFigures],
    platt: np.ndarray,
    report: Report,
    accuracy: str,
    *,
    protocol: str,
    measured_on: str,
    fitted_on: str,
    why: str,
) -> dict[str, Any]:
    """Return the card's labels, calibration, decision, figures and shares.

    Parameters
    ----------
    platt : np.ndarray [shape=(n_labels, 2)]
        Slope and offset of each label.
    accuracy : str
        Which of the report's shares is the accuracy.
    fitted_on, why : str
        What slopes and offsets are fitted on, and where the thresholds come from.
    """
    right, n = report.shares[accuracy]
    return {
        "label": [
            {"name": f.label, "slope": float(slope), "offset": float(offset), **f.as_table()}
            for f, (slope, offset) in zip(figures, platt, strict=True)
        ],
        "calibration": {
            "method": "Platt's scaling of each label",
            "fitted_on": fitted_on,
            "ece_after": round(report.ece, 4),
        },
        "decision": {
            "threshold": float(np.median([min(f.threshold, 1.0) for f in figures])),
            "aim": AIM,
            "why": why,
        },
        "figures": [
            {
                "protocol": protocol,
                "measured_on": measured_on,
                "n": n,
                **rounded(share("accuracy", right, n)),
            }
        ],
        "shares": [_share_row(of, k, n) for of, (k, n) in report.shares.items() if n],
    }


def _share_row(of: str, k: int, n: int) -> dict[str, Any]:
    figures = rounded(share("share", k, n))
    return {"of": of, "n": n, **{key.removeprefix("share_"): f for key, f in figures.items()}}


def measure(
    tracks: Tracks,
    probabilities: np.ndarray,
    table: np.ndarray,
    labels: Sequence[str],
    figures: Sequence[LabelFigures],
) -> Report:
    """Count what a scan would do with tracks of which the sound, or its embedding, is known.

    Parameters
    ----------
    tracks : Tracks
        The first one's set is the one of single genres, on which accuracy is measured.
    probabilities : np.ndarray [shape=(n, n_labels)]
        Out of fold, calibrated on other folds.
    """
    real, doubted, reference = ~tracks.estimated, tracks.doubted, tracks.items[0].source
    best = probabilities.argmax(axis=1)
    limits = np.array([f.threshold for f in figures])
    name = Family(labels).named(probabilities, limits)
    named = real & ~doubted & (name >= 0)
    kind = np.array([bool(item.kind) for item in tracks.items])
    source = np.array([item.source for item in tracks.items])
    every = np.arange(len(best))
    truth_of_best, truth = table[every, best], table[every, np.maximum(name, 0)]
    # Known to have a genre or several, none of them the model's, and none left open that is named.
    outside = (
        real
        & ~kind
        & np.array([bool(item.known.genres) for item in tracks.items])
        & ~(table == 1).any(axis=1)
    )

    music = real & ~kind
    shares = {}
    mine = real & (source == reference)
    only = [j for j, label in enumerate(labels) if (table[mine, j] == 1).any()]
    if only:
        of_these = np.array(only)[probabilities[:, only].argmax(axis=1)]
        shares[f"right, of {reference}, best of its genres"] = how_many(
            table[every, of_these] == 1, mine
        )
    for one in dict.fromkeys(source[music & ~outside]):
        here = music & (source == one)
        known = here & named & ~np.isnan(truth)
        shares |= {
            f"right, of {one}": how_many(truth_of_best == 1, here & ~np.isnan(truth_of_best)),
            f"named, of {one}": how_many(named, here),
            f"right, of what is named of {one}": how_many(truth == 1, known),
        }
    shares |= {
        "right, of all that is named and known": how_many(
            truth == 1, music & named & ~np.isnan(truth)
        ),
        "named, of music outside the model's genres": how_many(named & (truth == 0), outside),
        "named, of recorded noise and voices": how_many(named, kind),
        "doubted, of music": how_many(doubted, music),
    }
    if "Electronic" in labels:
        j = list(labels).index("Electronic")
        electronic = real & (source == "ishkur") & (table[:, j] == 1)
        shares["named Electronic, of electronic clips"] = how_many(named & (name == j), electronic)
    judged = music & ~np.isnan(truth_of_best) & (weights_of(tracks, "validation") > 0)
    confidence = probabilities.max(axis=1)
    bins = calibration_bins(confidence[judged], truth_of_best[judged] == 1)
    return Report(shares, float(calibration_error(bins)))
