"""Fits the styles of a model: a linear model that tells a genre's styles apart."""

from __future__ import annotations

from typing import Any

import numpy as np

from tagger.genres.vocabulary import genre_of
from tagger.models.multi_label import STYLES, STYLES_BIAS
from tagger.training.data.track_views import Tracks
from tagger.training.measure.metrics import rounded, share
from tagger.training.multi_label import AIMS, LEAST, NOT_NAMED, threshold_of
from tagger.training.recipes.estimators import Regression

STRENGTH = 0.03  # of data against the penalty


def fit_styles(
    tracks: Tracks, rows: np.ndarray, folds: np.ndarray
) -> tuple[dict[str, np.ndarray], list[dict[str, Any]]]:
    """Learn from the tracks whose style is known, measured with artists kept apart.

    Returns
    -------
    dict of str to np.ndarray
        For the model's weights file.
    list of dict
        The card's `style`, one a style. A threshold is 1 where the aim is never reached.
    """
    style = np.array([item.known.style for item in tracks.items])
    known = style != ""
    names = tuple(sorted(set(style[known])))
    said = np.zeros((len(rows), len(names)))
    for fold in np.unique(folds):
        inside = folds == fold
        learned, asked = known & ~inside, known & inside
        fitted = Regression(STRENGTH).fit(rows[learned], style[learned])
        said[asked] = fitted.predict_proba(rows[asked])
    best = said.argmax(axis=1)
    tables = []
    for j, name in enumerate(names):
        mine = known & (best == j)
        confidence, true = said[mine, j], style[mine] == name
        found = [threshold_of(confidence, true, aim) for aim in AIMS]
        rising = np.maximum.accumulate([NOT_NAMED if t is None else t for t in found]).tolist()
        aims = list(zip(AIMS, rising, strict=True))
        threshold = dict(aims)[LEAST]
        passed = confidence >= threshold
        named, right = int(passed.sum()), int(true[passed].sum())
        tables.append(
            {
                "name": name,
                "genre": genre_of(name),
                "threshold": min(threshold, 1.0),
                "aims": [[aim, min(t, 1.0)] for aim, t in aims],
                "n": int((style == name).sum()),
                "named": named,
                **rounded(share("precision", right, named)),
            }
        )
    fitted = Regression(STRENGTH).fit(rows[known], style[known])
    return {STYLES: fitted.coefficients_.T, STYLES_BIAS: fitted.intercept_}, tables
