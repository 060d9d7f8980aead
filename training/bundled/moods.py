"""Makes `moods`, the bundled model of moods: a linear model on YAMNet's embedding and logits.

    python -m tagger.training.bundled.moods --data PANDA

The set is one of four moods, of which each clip has one, the quadrants of Russell's circle (1980):
pleasant or not, aroused or not. Measured with artists kept apart, by folds of `artist_key`; the
figures in the card are at thresholds that were found on other folds. A few seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from tagger.models.linear import pack
from tagger.models.moods import KIND, NAME
from tagger.models.registry import bundled_folder
from tagger.system.errors import DataError
from tagger.training.data.datasets import YAMNET_TAG, read_tracks, yamnet
from tagger.training.data.track_views import Item, read_items
from tagger.training.measure.calibrate import apply_temperature, cross_fitted, fit_temperature
from tagger.training.measure.metrics import how_many, rounded, share, told
from tagger.training.multi_label import Family, fold_of, thresholds_for
from tagger.training.publish import learned_from, write_model
from tagger.training.reporter import Tool

VERSION = 1
MOODS = {"Q1": "Energetic", "Q2": "Tense", "Q3": "Sad", "Q4": "Calm"}
STRENGTH = 1e-2  # of data against the penalty: the lowest log loss, with artists kept apart
# Of each kind of input, so that the one with more columns does not outweigh the other.
VARIANCE = 200.0
# Two points more than what is to be right: thresholds are worth less on tracks that they were not
# found on.
AIM = 0.87
TOLD = ("yamnet", "yamnet_logits")


def labelled(folder: Path) -> tuple[list[Item], np.ndarray]:
    """Return the tracks of a set whose mood is known, and its place in `MOODS` [shape=(n,)].

    Raises
    ------
    DataError
        None is, or what YAMNet says of one is not there.
    """
    quadrants = {
        row["track"]: row["quadrant"] for row in read_tracks(folder, ("track", "quadrant"))
    }
    items = [item for item in read_items(folder) if quadrants[item.track] in MOODS]
    if not items or any(name not in item.views for item in items for name in TOLD):
        raise DataError("has no tracks with `quadrant` in tracks.csv and views.npz", path=folder)
    return items, np.array([[*MOODS].index(quadrants[item.track]) for item in items])


def rows_of(items: Sequence[Item]) -> np.ndarray:
    """Return what YAMNet says of tracks [shape=(n, n_inputs)]."""
    return np.array([np.concatenate([item.views[name] for name in TOLD]) for item in items])


def fit(rows: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Learn to tell the moods apart.

    Parameters
    ----------
    rows : np.ndarray [shape=(n, n_inputs)]
    truth : np.ndarray [shape=(n,), dtype=int]

    Returns
    -------
    np.ndarray [shape=(n_moods, n_inputs)], np.ndarray [shape=(n_moods,)]
        Coefficients and intercepts, the scaling worked in.
    """
    from sklearn.linear_model import LogisticRegression

    mean, scale = rows.mean(axis=0), rows.std(axis=0)
    scale[scale < 1e-6] = 1.0
    embedding = yamnet().n_dimensions
    of_kind = np.repeat(
        [embedding, rows.shape[1] - embedding], [embedding, rows.shape[1] - embedding]
    )
    scale = scale * np.sqrt(of_kind / VARIANCE)
    regression = LogisticRegression(C=STRENGTH, max_iter=1000).fit((rows - mean) / scale, truth)
    coefficients = regression.coef_ / scale
    return coefficients, regression.intercept_ - coefficients @ mean


def thresholds(probabilities: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return from which probability on each mood is named [shape=(n_moods,)]."""
    table, weights = np.eye(len(MOODS))[truth], np.ones(len(truth))
    return thresholds_for(probabilities, table, Family(tuple(MOODS.values())), weights, AIM)


def train(folder: Path, target: Path) -> list[str]:
    """Train and publish the model; return its figures, in words."""
    items, truth = labelled(folder)
    rows, folds = rows_of(items), fold_of([item.artist for item in items])
    labels = tuple(MOODS.values())
    scores = np.zeros((len(rows), len(labels)))
    for fold in np.unique(folds):
        inside = folds == fold
        coefficients, intercept = fit(rows[~inside], truth[~inside])
        scores[inside] = rows[inside] @ coefficients.T + intercept
    probabilities = cross_fitted(scores, truth, [str(fold) for fold in folds])
    named = np.zeros(len(rows), dtype=bool)
    best = probabilities.argmax(axis=1)
    for fold in np.unique(folds):  # at thresholds that its tracks had no part in
        inside = folds == fold
        limits = thresholds(probabilities[~inside], truth[~inside])
        named[inside] = probabilities[inside].max(axis=1) >= limits[best[inside]]
    right, temperature = best == truth, fit_temperature(scores, truth)
    limits = thresholds(apply_temperature(scores, temperature), truth)
    everything = np.ones(len(rows), dtype=bool)
    counted = {
        "right, of all": how_many(right, everything),
        "named": how_many(named, everything),
        "right, of what is named": how_many(right, named),
    }
    rightly = [how_many(right, named & (best == j)) for j in range(len(labels))]
    card: dict[str, Any] = {
        "name": NAME,
        "version": VERSION,
        "kind": KIND,
        "labels": list(labels),
        "backbone": YAMNET_TAG,
        "calibration": {"temperature": temperature, "fitted_on": "out-of-fold predictions"},
        "mood": [
            {
                "name": label,
                "threshold": min(float(limits[j]), 1.0),
                "n": int((truth == j).sum()),
                "named": rightly[j][1],
                **rounded(share("precision", *rightly[j])),
            }
            for j, label in enumerate(labels)
        ],
        "shares": [
            {"of": name, "n": n, **rounded(share("share", k, n))}
            for name, (k, n) in counted.items()
        ],
        "learned_from": learned_from(items, [None] * len(items)),
    }
    written = write_model(target, card, {"moods.npz": pack(*fit(rows, truth))})
    return [f"{name}: {told(k, n)}" for name, (k, n) in counted.items()] + [
        f"{table['name']}: from {table['threshold']:.2f} on; rightly named, of all:"
        f" {told(k, table['n'])}; right, of what is named: {told(k, n)}"
        for table, (k, n) in zip(written.data["mood"], rightly, strict=True)
    ]


@click.command(cls=Tool)
@click.option("--data", required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--models", type=click.Path(file_okay=False, path_type=Path), help="Where it goes.")
def main(data: Path, models: Path | None) -> None:
    """Make the bundled model of moods again."""
    for line in train(data, (models or bundled_folder()).resolve() / NAME):
        click.echo(line)


if __name__ == "__main__":
    main()
