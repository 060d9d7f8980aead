"""One training, whole: measure a recipe honestly, calibrate it, fit it to all tracks, publish it.

Measuring and calibrating use tracks that the measured fit did not learn from; the published
model then learns from all of them. Must not know: what a recipe does inside.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tagger.errors import DataError
from tagger.models.card import Card
from training import calibrate, recipes, splits
from training.datasets import Example, labels_of, read_log_mel_archive, targets
from training.metrics import (
    Measured,
    accuracy_by_coverage,
    coverage_at_precision,
    expected_calibration_error,
    figures,
    threshold_for_precision,
)
from training.publish import learned_from, write_model
from training.recipes import Recipe, Settings

CALIBRATION_PROTOCOL = "artist"
PRECISION = 0.8  # of what is named by default, on tracks and artists never heard


def train_model(
    recipe: str,
    data: Sequence[Path],
    output: Path,
    *,
    protocols: Sequence[str] = (),
    epochs: int | None = None,
    seed: int = 0,
    resume: bool = False,
    progress: bool = False,
    name: str | None = None,
    version: int = 1,
) -> Card:
    """Train a recipe on labelled tracks and write the model's folder.

    Parameters
    ----------
    recipe : str
    data : sequence of Path
        Log-mel archives; the first one is the reference set, which is measured on.
    output : Path
        The model's folder. Work in progress is kept beside it, in ``<output>.work``.
    protocols : sequence of str
        Measure under these first. `artist` also calibrates and sets the default threshold.
    epochs, seed, resume, progress
        As in `Settings`.
    name, version : str, int
        What the model is called; by default as the recipe.

    Returns
    -------
    Card
    """
    fit = recipes.find(recipe)
    examples = [example for folder in data for example in read_log_mel_archive(folder)]
    if len(labels_of(examples)) < 2:
        raise DataError("has fewer than two genres: nothing to tell apart", path=data[0])
    work = output.with_name(output.name + ".work")
    settings = Settings(work, epochs, seed, resume, progress)
    if not resume:
        shutil.rmtree(work, ignore_errors=True)

    card: dict[str, Any] = {"name": name or recipe, "version": version}
    card["labels"] = list(labels_of(examples))
    rows = []
    for protocol in protocols:
        outcome = measure(fit, examples, protocol, settings)
        calibrated = outcome.calibrated()
        rows.append({"protocol": protocol, **_sets(examples), **_figures(calibrated)})
        if protocol == CALIBRATION_PROTOCOL:
            card["calibration"] = outcome.calibration(calibrated)
            card["decision"] = {
                "threshold": round(threshold_for_precision(calibrated, PRECISION), 4),
                "why": f"where out-of-fold precision reaches {PRECISION:.0%}",
            }
    fitted = fit(examples, replace(settings, work=work / "all", description=f"{recipe} on all"))
    own, weights = fitted.export()
    card |= own
    card["figures"] = rows
    card["learned_from"] = learned_from(examples)
    published = write_model(output, card, weights)
    shutil.rmtree(work, ignore_errors=True)
    return published


class Outcome:
    """Log probabilities for tracks that were not learned from, fold by fold."""

    def __init__(
        self, labels: tuple[str, ...], examples: list[Example], scores: np.ndarray, folds: list[str]
    ) -> None:
        self.labels = labels
        self.scores = scores
        self.folds = folds
        self.truth = targets(examples, labels)
        self.tracks = tuple(example.track for example in examples)

    def measured(self, probabilities: np.ndarray) -> Measured:
        return Measured(self.labels, self.truth, probabilities, self.tracks)

    def calibrated(self) -> Measured:
        """Each fold calibrated on the others; a single fold, not calibrated."""
        if len(set(self.folds)) < 2:
            return self.measured(np.exp(self.scores))
        return self.measured(calibrate.cross_fitted(self.scores, self.truth, self.folds))

    def calibration(self, calibrated: Measured) -> dict[str, Any]:
        """The card's `calibration`."""
        coverage = {}
        threshold, share, accuracy = accuracy_by_coverage(calibrated)
        for percent in range(10, 101, 10):
            i = int(np.ceil(percent / 100 * len(share))) - 1
            coverage[str(percent)] = [round(float(threshold[i]), 4), round(float(accuracy[i]), 4)]
        return {
            "method": "temperature",
            "temperature": round(calibrate.fit_temperature(self.scores, self.truth), 4),
            "fitted_on": f"out-of-fold predictions, protocol {CALIBRATION_PROTOCOL}",
            "ece_before": round(expected_calibration_error(self.measured(np.exp(self.scores))), 4),
            "ece_after": round(expected_calibration_error(calibrated), 4),
            # Coverage in per cent: lowest confidence among the covered, their accuracy.
            "threshold_and_accuracy_by_coverage": coverage,
        }


def measure(fit: Recipe, examples: Sequence[Example], protocol: str, settings: Settings) -> Outcome:
    """Fit and ask under a protocol; what is done is kept in `settings.work` and not done again."""
    parts, tested, folds = [], [], []
    labels = labels_of(examples)
    for split in splits.PROTOCOLS[protocol](examples):
        test = [examples[i] for i in split.test]
        work = settings.work / split.name
        done = work / "scores.npz"
        if settings.resume and done.exists():
            with np.load(done, allow_pickle=False) as kept:
                scores = kept["scores"]
        else:
            own = replace(settings, work=work, description=split.name)
            fitted = fit([examples[i] for i in split.train], own)
            if fitted.labels != labels:
                raise DataError(f"not every genre is in the training part of {split.name}")
            scores = fitted.log_probabilities(test)
            work.mkdir(parents=True, exist_ok=True)
            np.savez(done, scores=scores)
        parts.append(scores)
        tested += test
        folds += [split.name] * len(test)
    return Outcome(labels, tested, np.concatenate(parts), folds)


def _sets(examples: Sequence[Example]) -> dict[str, Any]:
    sources = list(dict.fromkeys(e.source for e in examples))
    return {"measured_on": sources[0], "also_learned_from": sources[1:]}


def _figures(measured: Measured) -> dict[str, Any]:
    row = {k: round(v, 4) if isinstance(v, float) else v for k, v in figures(measured).items()}
    for precision in (0.8, 0.9):
        key = f"coverage_at_{precision * 100:.0f}_percent_precision"
        row[key] = round(coverage_at_precision(measured, precision), 4)
    return row
