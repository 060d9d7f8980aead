"""Boosted trees (XGBoost) on descriptors: statistics of the log-mel spectrogram, or a table's.

A spectrogram gives one row from the whole of it and some from random windows: the same music,
described from less of it, keeps trees from memorising single tracks. How many rounds is
found by early stopping on artists set aside; then everything is learned from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import xgboost

from tagger.sound.log_mel_statistics import describe_log_mel
from tagger.training.data.datasets import Example, labels_of, targets, to_decibels
from tagger.training.data.feature_table import feature_names, most_important, random_of
from tagger.training.measure.importance import gains
from tagger.training.measure.splits import set_aside
from tagger.training.recipes.classical import predict_trees
from tagger.training.recipes.fitting import Fitted, Settings, fitted_on_features
from tagger.training.recipes.tuning import search

if TYPE_CHECKING:
    import optuna

WINDOWS = 4  # rows from random windows, beside the one of the whole track
WINDOW_COLUMNS = 215, 430  # 10 to 20 s
OTHER_SETS_WEIGHT = 0.6  # of a track of another set, against one of the first
ROUNDS, PATIENCE = 600, 30
PARAMETERS: dict[str, Any] = {
    "eta": 0.1,
    "max_depth": 4,
    "subsample": 0.7,
    "colsample_bynode": 0.1,
    "min_child_weight": 2.0,
    "lambda": 2.0,
}
FIXED: dict[str, Any] = {
    "objective": "multi:softprob",
    "eval_metric": "mlogloss",
    "tree_method": "hist",
    "max_bin": 64,
}


@dataclass(frozen=True)
class Table:
    """What is learned from: as many rows for each track, the whole track's first.

    Attributes
    ----------
    rows : np.ndarray [shape=(n_rows, n_features)]
    target, weight : np.ndarray [shape=(n_rows,)]
    folds : list of (np.ndarray, np.ndarray)
        Rows to learn from, and rows of other artists, whole tracks of the first set, to stop by.
    """

    rows: np.ndarray
    target: np.ndarray
    weight: np.ndarray
    folds: list[tuple[np.ndarray, np.ndarray]]

    def matrix(self) -> xgboost.DMatrix:
        return xgboost.DMatrix(self.rows, self.target, weight=self.weight)


def fit(examples: Sequence[Example], settings: Settings) -> Fitted:
    """Find the number of rounds on artists set aside, then learn from all examples.

    Parameters
    ----------
    examples : sequence of Example
        With spectrograms or features. The first one's set is the reference set: artists are set
        aside from it.
    settings : Settings
        `tune` is the number of Optuna trials, each measured on other artists than it learned
        from; `select` keeps so many features, the most important ones to a random forest.
    """
    labels = labels_of(examples)
    names = feature_names(examples)
    table = _table(examples, labels, settings)
    columns = np.arange(len(names))
    if 0 < settings.select < len(columns):
        columns = most_important(
            table.rows, table.target, settings.select, settings.seed, table.weight
        )
        table = Table(table.rows[:, columns], table.target, table.weight, table.folds)
    features = tuple(names[i] for i in columns)

    parameters = PARAMETERS
    base = FIXED | {"num_class": len(labels), "seed": settings.seed}
    if settings.tune:
        parameters = _tune(table, base, settings)
    rounds, loss = _cross_validated(table, base | parameters)
    booster = xgboost.train(base | parameters, table.matrix(), num_boost_round=rounds)
    training = {
        "rounds": rounds,
        "parameters": parameters,
        "optuna_trials": settings.tune,
        "windows_a_track": len(table.rows) // len(examples) - 1,
        "other_sets_weight": OTHER_SETS_WEIGHT,
        "log_loss_on_artists_set_aside": round(loss, 4),
    }
    weights = bytes(booster.save_raw("ubj"))
    return fitted_on_features(
        labels,
        features,
        partial(predict_trees, xgboost.Booster(model_file=bytearray(weights))),
        {"kind": "boosted-trees", "training": training},
        {"trees.ubj": weights},
        gain=gains(booster, features),
    )


def _table(examples: Sequence[Example], labels: Sequence[str], settings: Settings) -> Table:
    bar = settings.bar(examples, step="features", unit="track")
    rows = [_rows(e, random_of(e, settings.seed)) for e in bar]
    own = np.array([e.source == examples[0].source for e in examples])
    each = len(rows[0])
    return Table(
        rows=np.concatenate(rows),
        target=np.repeat(targets(examples, labels), each),
        weight=np.repeat(np.where(own, 1.0, OTHER_SETS_WEIGHT), each) / each,
        folds=[
            ((learn[:, None] * each + np.arange(each)).ravel(), aside * each)
            for learn, aside in set_aside(examples, settings.seed)
        ],
    )


def _rows(example: Example, rng: np.random.Generator) -> np.ndarray:
    """Statistics of the whole track and of its windows [shape=(1 + WINDOWS, n_features)].

    A track of a table of features has one row.
    """
    if example.features is not None:
        return example.features.values[None]
    db = to_decibels(example.spectrogram())
    pieces = [db]
    for _ in range(WINDOWS):
        width = min(db.shape[1], int(rng.integers(*WINDOW_COLUMNS, endpoint=True)))
        first = int(rng.integers(0, db.shape[1] - width + 1))
        pieces.append(db[:, first : first + width])
    return np.stack([describe_log_mel([piece]) for piece in pieces])


def _cross_validated(table: Table, parameters: dict[str, Any]) -> tuple[int, float]:
    """The number of rounds that serves best on artists set aside, and the log loss there."""
    curve = xgboost.cv(
        parameters,
        table.matrix(),
        num_boost_round=ROUNDS,
        folds=table.folds,
        early_stopping_rounds=PATIENCE,
        as_pandas=False,
    )["test-mlogloss-mean"]
    best = int(np.argmin(curve))
    return best + 1, float(curve[best])


def _tune(table: Table, base: dict[str, Any], settings: Settings) -> dict[str, Any]:
    """The best of `settings.tune` sets of parameters, the recipe's own among them."""

    def loss(trial: optuna.Trial) -> float:
        parameters = {
            "eta": trial.suggest_float("eta", 0.03, 0.3, log=True),
            "max_depth": trial.suggest_int("max_depth", 2, 7),
            "subsample": trial.suggest_float("subsample", 0.4, 1.0),
            "colsample_bynode": trial.suggest_float("colsample_bynode", 0.02, 0.5, log=True),
            "min_child_weight": trial.suggest_float("min_child_weight", 0.2, 10.0, log=True),
            "lambda": trial.suggest_float("lambda", 0.1, 20.0, log=True),
        }
        return _cross_validated(table, base | parameters)[1]

    return search(loss, PARAMETERS, settings)
