"""Accuracy against the number of tracks that are learned from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tagger.training.data.datasets import Example, labels_of, targets
from tagger.training.measure import splits
from tagger.training.measure.out_of_fold import OutOfFoldPredictions
from tagger.training.recipes.fitting import Recipe, Settings
from tagger.training.run import measure_split

SHARES = (0.125, 0.25, 0.5)  # of what a split learns from, beside all of it
LEAST = 2  # tracks of a genre


def learning_curve(
    fit: Recipe,
    examples: Sequence[Example],
    protocol: str,
    settings: Settings,
    whole: OutOfFoldPredictions,
) -> list[dict[str, Any]]:
    """Train on parts of what each split learns from, and measure on the same tracks.

    Parameters
    ----------
    whole : OutOfFoldPredictions
        Of the same protocol, learned from all.

    Returns
    -------
    list of dict
        `tracks` that are learned from, in the mean over the splits, and `accuracy` in each split.
    """
    labels = labels_of(examples)
    examples = splits.units(protocol, examples)
    sizes: list[list[int]] = []
    accuracies: list[list[float]] = []
    for split in splits.PROTOCOLS[protocol](examples, settings.seed, settings.folds):
        train = [examples[i] for i in split.train]
        test = [examples[i] for i in split.test]
        parts = [_part(train, share, settings.seed) for share in SHARES]
        found = []
        for share, part in zip(SHARES, parts, strict=True):
            step = f"{split.name}, {share:.0%} of the tracks"
            own = replace(
                settings,
                work=settings.work / f"{split.name}-of-{len(part)}",
                description=step,
                watch=test,
                importance=False,
            )
            scores, _ = measure_split(fit, part, labels, own)
            found.append(float((scores.argmax(axis=1) == targets(test, labels)).mean()))
        inside = np.array(whole.folds) == split.name
        right = whole.scores[inside].argmax(axis=1) == whole.truth[inside]
        sizes.append([*map(len, parts), len(train)])
        accuracies.append([*found, float(right.mean())])
    means = np.mean(sizes, axis=0).round().astype(int)
    # Of few tracks an eighth and a quarter are as many.
    different, places = np.unique(means, return_index=True)
    by_size = zip(different.tolist(), np.array(accuracies).T[places].tolist(), strict=True)
    return [{"tracks": size, "accuracy": values} for size, values in by_size]


def _part(train: Sequence[Example], share: float, seed: int) -> list[Example]:
    """Return a share of each genre's tracks, drawn at random; less is a part of more."""
    kept: set[int] = set()
    for genre in labels_of(train):
        own = [i for i, example in enumerate(train) if example.genre == genre]
        drawn = np.random.default_rng(seed).permutation(own)
        kept |= {*drawn[: max(LEAST, round(share * len(own)))].tolist()}
    return [train[i] for i in sorted(kept)]
