"""A person's own genres: measured with artists apart, calibrated, silent about other music.

Beside the person's tracks stands a shipped sample of other music (`data.company`), its artists
apart as theirs are. No genre is named from so low a confidence on that more than `OUTSIDE` of that
music would be named, or fewer than `SURELY` of the names may be right, by the interval's bounds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tagger.models.card import OUT_OF_FOLD
from tagger.models.prediction import logit, sigmoid
from tagger.system.errors import ConfigurationError
from tagger.training import multi_label
from tagger.training.data.datasets import Example
from tagger.training.measure.metrics import (
    calibration_bins,
    calibration_error,
    how_many,
    wilson,
)
from tagger.training.measure.out_of_fold import OutOfFoldPredictions, pack
from tagger.training.measure.splits import PROTOCOLS, or_otherwise
from tagger.training.multi_label import NOT_NAMED, Family, LabelFigures, Report
from tagger.training.recipes import own
from tagger.training.recipes.fitting import Settings
from tagger.training.reporter import Reporter

RECIPE = "own"
OUTSIDE = 0.15  # of music outside the genres, the most that may be named
SURELY = 0.7  # of what is named of the person's tracks, by the interval's lower bound, is right
BETTER = 0.9  # the log loss from which on what is learned takes the bundled decision's place
YOURS, NAMED, RIGHT, FOREIGN = (
    "right, of your tracks, the best guess",
    "named, of your tracks",
    "right, of what is named of them",
    "named, of music outside your genres",
)


@dataclass(frozen=True)
class Judged:
    """Out-of-fold results.

    Attributes
    ----------
    lesson : Lesson
        What was judged, with what keeps the bundled decision, since it is as good.
    measured : np.ndarray [shape=(n,), dtype=bool]
        The person's tracks that could be measured.
    probabilities : np.ndarray [shape=(n, n_labels)]
        Each fold calibrated on the others.
    platt : np.ndarray [shape=(n_labels, 2)]
        Slopes and offsets.
    report : Report
        Shares of `YOURS`, `NAMED`, `RIGHT` and `FOREIGN`.
    """

    lesson: own.Lesson
    measured: np.ndarray
    probabilities: np.ndarray
    platt: np.ndarray
    figures: list[LabelFigures]
    report: Report

    def calibrated(self, logits: np.ndarray) -> np.ndarray:
        """Return probabilities [shape=(n, n_labels)] as the published model's."""
        return multi_label.calibrated(logits, self.platt)


def only_protocol(protocols: Sequence[str]) -> str:
    """Return the one protocol that own genres are measured under, by default ``artist``.

    Raises
    ------
    ConfigurationError
        Where there are more, or it is neither that nor ``track-random``.
    """
    protocol, *more = protocols or ["artist"]
    if more or protocol not in ("artist", "track-random"):
        raise ConfigurationError(
            "own genres are measured under one protocol: artist or track-random",
            hint="gtag evaluate --recipe own compares the others",
        )
    return protocol


def train_own(
    examples: Sequence[Example], protocol: str, otherwise: str, settings: Settings
) -> tuple[dict[str, Any], Mapping[str, bytes], dict[str, bytes]]:
    """Learn a person's genres, measured under a protocol or, where it is not possible, another.

    Returns
    -------
    dict, dict of str to bytes, dict of str to bytes
        The model's part of the card, its weights, and other files.
    """
    lesson = own.lesson(examples, lambda tracks: settings.bar(tracks, unit="track"))
    protocol, parts = or_otherwise(
        lambda p: PROTOCOLS[p](examples, settings.seed, settings.folds),
        protocol,
        otherwise,
        settings.reporter,
    )
    folds = np.full(len(examples), -1)  # cannot be measured
    for number, part in enumerate(parts):
        folds[list(part.test)] = number
    judged = judge(lesson, folds)
    lesson = judged.lesson
    _tell(lesson, judged, protocol, settings.reporter)
    fitted = lesson.fit(lesson.rows, lesson.table, lesson.weights)
    card = {
        "labels": list(lesson.labels),
        **own.card(),
        "bundled_decision": [lesson.labels[j] for j in lesson.kept],
        **multi_label.described(
            judged.figures,
            judged.platt,
            judged.report,
            YOURS,
            protocol=protocol,
            measured_on=examples[0].source,
            fitted_on=f"out-of-fold predictions, protocol {protocol}",
            why="each label's own, and their median here: by the interval's lower bound at "
            f"least {SURELY:.0%} of what is named is right, and by its upper one at most "
            f"{OUTSIDE:.0%} of other music is named",
        ),
    }
    predictions = _predictions(lesson, judged, examples, folds)
    return card, own.weights(fitted, lesson.company), {OUT_OF_FOLD: pack({protocol: predictions})}


def judge(lesson: own.Lesson, folds: np.ndarray) -> Judged:
    """Measure and calibrate what is learned, and find from where on each genre is named.

    Parameters
    ----------
    folds : np.ndarray [shape=(n_own,), dtype=int]
        Of the person's tracks; -1 for those that cannot be measured.
    """
    sampled = multi_label.fold_of(lesson.company.artists, folds=int(folds.max()) + 1)
    folds = np.concatenate([folds, sampled])
    measured = lesson.is_own & (folds >= 0)
    table = np.where((lesson.is_own & ~measured)[:, None], np.nan, lesson.table)
    logits = multi_label.out_of_fold(lesson.fit, lesson.rows, lesson.table, lesson.weights, folds)
    # As if half of what will be asked about were other music.
    weights = np.where(measured, 1.0, measured.sum() / max(len(sampled), 1))
    probabilities = multi_label.cross_calibrated(logits, table, weights, folds)
    for j in set(lesson.known) - {*lesson.kept}:
        theirs = lesson.bundled(j)[:, None]
        truth = table[:, [j]]
        said = multi_label.cross_calibrated(theirs, truth, weights, folds)
        learned = probabilities[:, [j]]
        if BETTER * surprise(said, truth, weights) <= surprise(learned, truth, weights):
            lesson = replace(lesson, kept=(*lesson.kept, j))
            logits[:, j] = theirs[:, 0]
    platt = multi_label.platt_by_label(logits, table, weights)
    kept = list(lesson.kept)
    probabilities[:, kept], platt[kept] = sigmoid(logits[:, kept]), (1.0, 0.0)
    figures = multi_label.find_thresholds(
        probabilities[measured], table[measured], lesson.labels, np.ones(measured.sum())
    )
    figures = _raised(lesson, measured, probabilities, figures)
    named, right, known = _named(lesson, probabilities, figures)
    best = probabilities.argmax(axis=1)
    truth = lesson.table[np.arange(len(best)), best]
    sure = measured & ~np.isnan(truth)
    shares = {
        YOURS: how_many(truth == 1, sure),
        NAMED: how_many(named, measured),
        RIGHT: how_many(right, measured & named & known),
        FOREIGN: how_many(named, lesson.outside),
    }
    bins = calibration_bins(probabilities.max(axis=1)[sure], truth[sure] == 1)
    report = Report(shares, float(calibration_error(bins)))
    return Judged(lesson, measured, probabilities, platt, figures, report)


def surprise(said: np.ndarray, table: np.ndarray, weights: np.ndarray) -> float:
    """Return the log loss of probabilities where the truth is known."""
    rows = ~np.isnan(table[:, 0])
    of_truth = np.where(table[rows] == 1, said[rows], 1 - said[rows])
    return float(np.average(-np.log(np.maximum(of_truth[:, 0], 1e-12)), weights=weights[rows]))


def _named(
    lesson: own.Lesson, probabilities: np.ndarray, figures: Sequence[LabelFigures]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tell which tracks are named, which of them rightly, and of which that is known."""
    limits = np.array([f.threshold for f in figures])
    name = Family(lesson.labels).named(probabilities, limits)
    truth = lesson.table[np.arange(len(name)), np.maximum(name, 0)]
    return name >= 0, truth == 1, ~np.isnan(truth)


def _raised(
    lesson: own.Lesson,
    measured: np.ndarray,
    probabilities: np.ndarray,
    figures: Sequence[LabelFigures],
) -> list[LabelFigures]:
    """Raise thresholds until little other music is named, and what is named is surely right.

    None is below the lowest one of the bundled model. Genres that keep its decision have its
    thresholds.
    """
    bundled = own.base().calibrated_labels

    def at_least(floor: float) -> list[LabelFigures]:
        return [
            replace(f, aims=bundled[lesson.known[j]].aims)
            if j in lesson.kept
            else replace(f, aims=tuple((aim, max(t, floor)) for aim, t in f.aims))
            for j, f in enumerate(figures)
        ]

    lowest = float(own.base().thresholds.min())
    for floor in np.arange(lowest, 1.0, 0.01):
        raised = at_least(round(float(floor), 2))
        named, right, known = _named(lesson, probabilities, raised)
        foreign = wilson(*how_many(named, lesson.outside))[1] if lesson.outside.any() else 0.0
        if foreign <= OUTSIDE and wilson(*how_many(right, measured & named & known))[0] >= SURELY:
            return raised
    return at_least(NOT_NAMED)


def _predictions(
    lesson: own.Lesson, judged: Judged, examples: Sequence[Example], folds: np.ndarray
) -> OutOfFoldPredictions:
    """Return what the report is made of; of several genres the best guess counts, if it is one."""
    rows = np.flatnonzero(judged.measured).tolist()
    said = judged.probabilities[rows]
    truth = lesson.table[rows]
    best = said.argmax(axis=1)
    hit = truth[np.arange(len(rows)), best] == 1
    return OutOfFoldPredictions(
        lesson.labels,
        tuple(examples[i].track for i in rows),
        np.where(hit, best, (truth == 1).argmax(axis=1)),
        logit(said),
        [str(folds[i]) for i in rows],
        independent=True,
    )


def _tell(lesson: own.Lesson, judged: Judged, protocol: str, reporter: Reporter) -> None:
    missing = int((lesson.is_own & ~judged.measured).sum())
    if missing:
        reporter.tell(
            f"not measured under {protocol}: {missing} of {lesson.n_own} tracks: nobody else "
            "plays that genre, or nobody knows who plays"
        )
    for j in lesson.kept:
        n = int((lesson.table[:, j] == 1).sum())
        why = "are too few to learn from" if n < own.FEW else "teach nothing better"
        reporter.tell(f"{lesson.labels[j]}: {n} tracks {why}: gtag's own decision stays")
    silent = [f.label for f in judged.figures if f.threshold >= 1]
    if silent:
        reporter.tell(
            f"WARNING: too few tracks to know when these are right: {', '.join(silent)}. A scan "
            "names them only with --min-confidence"
        )
