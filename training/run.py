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
from training import recipes, splits
from training.datasets import Example, labels_of, read_log_mel_archive, targets
from training.outcomes import OUT_OF_FOLD, Outcome, described, pack
from training.publish import learned_from, write_model
from training.recipes import Recipe, Settings


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
    outcomes = {protocol: measure(fit, examples, protocol, settings) for protocol in protocols}
    card |= described(outcomes, _sets(examples))
    fitted = fit(examples, replace(settings, work=work / "all", description=f"{recipe} on all"))
    own, weights = fitted.export()
    card |= own
    card["learned_from"] = learned_from(examples)
    extras = {OUT_OF_FOLD: pack(outcomes)} if outcomes else {}
    published = write_model(output, card, weights, extras)
    shutil.rmtree(work, ignore_errors=True)
    return published


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
    tracks = tuple(example.track for example in tested)
    return Outcome(labels, tracks, targets(tested, labels), np.concatenate(parts), folds)


def _sets(examples: Sequence[Example]) -> dict[str, Any]:
    sources = list(dict.fromkeys(e.source for e in examples))
    return {"measured_on": sources[0], "also_learned_from": sources[1:]}
