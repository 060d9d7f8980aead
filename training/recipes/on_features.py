"""The recipes on descriptors: which estimator learns from which table, what is tuned, what ships.

Descriptors are statistics of the log-mel spectrogram, or the columns of a CSV.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from tagger.models.dense import feature_network
from tagger.models.linear import LinearWeights, pack
from tagger.models.prediction import log_softmax
from tagger.sound.log_mel_statistics import describe_log_mel
from tagger.training.data.datasets import Example, labels_of, targets, to_decibels
from tagger.training.data.feature_table import (
    Table,
    feature_names,
    feature_rows,
    learning_table,
    most_important,
    random_of,
)
from tagger.training.measure.splits import known_folds, set_apart, set_aside
from tagger.training.recipes.estimators import (
    ROUNDS,
    BoostedTrees,
    FeatureNetwork,
    Folds,
    Forest,
    OnRows,
    Regression,
    SupportVectors,
    Trees,
)
from tagger.training.recipes.fitting import Fitted, Settings, fitted_on_features
from tagger.training.recipes.keras_start import start_keras
from tagger.training.recipes.tuning import search, tune

MFCC = "mfcc"  # the variant with these features only
EPOCHS, BATCH = 60, 32
FOREST_TREES = 150  # a label
WINDOWS = 4  # rows from random windows, beside the one of the whole track
WINDOW_COLUMNS = 215, 430  # 10 to 20 s
OTHER_SETS_WEIGHT = 0.6  # of a track of another set, against one of the first


def table_of(examples: Sequence[Example], settings: Settings) -> Table:
    """Return what a recipe learns from."""
    return learning_table(
        examples,
        labels_of(examples),
        seed=settings.seed,
        only=lambda name: settings.variant != MFCC or "mfcc" in name,
        select=settings.select,
        augment=bool(settings.augment),
    )


def fit_logistic(examples: Sequence[Example], settings: Settings) -> Fitted:
    """Fit multinomial logistic regression, its regularisation chosen on artists set aside."""
    table = table_of(examples, settings)
    weights, training = fit_regression(table.rows, table.target, table.examples, settings.seed)
    return fitted_on_features(
        labels_of(examples),
        table.names,
        LinearWeights(weights),
        {"kind": "linear", "training": training},
        {"linear.npz": weights},
    )


def fit_regression(
    rows: np.ndarray, target: np.ndarray, examples: Sequence[Example], seed: int
) -> tuple[bytes, dict[str, Any]]:
    """Fit a `Regression` to rows of examples: its weights file, and the card's `training`."""
    found = Regression().fit(rows, target, known_folds(examples, target, seed))
    apart = set_apart(examples)
    training: dict[str, Any] = {"strength": found.strength_, "chosen_by": f"log loss on {apart}"}
    if np.isfinite(found.log_loss_):
        training[f"log_loss_on_{apart}_set_aside"] = round(found.log_loss_, 4)
    else:
        training["chosen_by"] = "nothing: there is too little to set aside"
    return pack(found.coefficients_, found.intercept_, found.low_, found.high_), training


def fit_svm(examples: Sequence[Example], settings: Settings) -> Fitted:
    """Fit a support vector machine. For benchmarks only: it would be a pickle."""
    return _fit_tuned(examples, settings, partial(SupportVectors, seed=settings.seed))


def fit_random_forest(examples: Sequence[Example], settings: Settings) -> Fitted:
    """Fit XGBoost's random forest."""
    forest = partial(Forest, num_parallel_tree=FOREST_TREES, seed=settings.seed)
    return _fit_tuned(examples, settings, forest)


def fit_dense(examples: Sequence[Example], settings: Settings) -> Fitted:
    """Fit dense layers: one of them (`variant` ``shallow``) or four (``deep``)."""
    return _fit_network(examples, settings, settings.variant or "shallow")


def fit_feature_cnn(examples: Sequence[Example], settings: Settings) -> Fitted:
    """Fit a one-dimensional CNN along the descriptors."""
    return _fit_network(examples, settings, "cnn")


def _fit_network(examples: Sequence[Example], settings: Settings, layers: str) -> Fitted:
    start_keras()
    epochs = settings.epochs or EPOCHS
    make = partial(FeatureNetwork, layers, epochs=epochs, batch=BATCH, seed=settings.seed)

    def fit(network: OnRows, table: Table) -> None:
        import keras

        labels = labels_of(examples)
        watched = [example for example in settings.watch if example.genre in labels]
        rows = feature_rows(watched, table.names).astype(np.float32) if watched else None
        watch = None if rows is None else (rows, targets(watched, labels))
        with settings.bar(total=epochs, unit="epochs") as bar:
            shown = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: bar.update())
            network.fit(
                table.rows, table.target, watch=watch, callbacks=[shown, *settings.callbacks()]
            )

    return _fit_tuned(examples, settings, make, fit)


def _fit_tuned(
    examples: Sequence[Example],
    settings: Settings,
    make: Callable[..., OnRows],
    fit: Callable[[OnRows, Table], object] = lambda e, table: e.fit(table.rows, table.target),
) -> Fitted:
    """Tune an estimator if asked to, fit it to all of the table, and bring it into its form."""
    table = table_of(examples, settings)
    parameters = tune(table, settings, make)
    estimator = make(**parameters)
    fit(estimator, table)
    training: dict[str, Any] = {"parameters": parameters}
    if isinstance(estimator, Forest):
        training["trees_a_label"] = estimator.num_parallel_tree
    return _fitted(labels_of(examples), table.names, estimator, training)


def _fitted(
    labels: tuple[str, ...], names: tuple[str, ...], estimator: OnRows, training: dict[str, Any]
) -> Fitted:
    """Bring an estimator into the form that a scan runs; the machine has none."""
    if isinstance(estimator, FeatureNetwork):
        return _fitted_network(labels, names, estimator, training)
    if not isinstance(estimator, Trees):
        card = {"training": training}
        return fitted_on_features(labels, names, estimator.predict_log_proba, card, {})
    return fitted_on_features(
        labels,
        names,
        estimator.predict_log_proba,
        {"kind": estimator.kind, "training": training},
        {estimator.file: bytes(estimator.booster_.save_raw("ubj"))},
        gain=dict(zip(names, estimator.gains_.tolist(), strict=True)),
    )


def _fitted_network(
    labels: tuple[str, ...],
    names: tuple[str, ...],
    estimator: FeatureNetwork,
    training: dict[str, Any],
) -> Fitted:
    from tagger.training.recipes.chunk_cnn import converted

    model, history = estimator.model_, estimator.history_
    weights = converted(model.inputs, {"logits": model.output}, quantise=False)
    network = feature_network(weights, len(names))
    about = {"epochs": len(history), "batch": estimator.batch, **training}
    return fitted_on_features(
        labels,
        names,
        lambda rows: log_softmax(network(rows)["logits"]),
        {"kind": "dense", "training": about},
        {"dense.tflite": weights},
        history=history,
    )


@dataclass(frozen=True)
class Windows:
    """What boosted trees learn from: as many rows for each track, the whole track's first.

    A spectrogram gives one row from the whole of it and some from random windows: the same music,
    described from less of it, keeps trees from memorising single tracks.

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
    folds: Folds


def fit_boosted_trees(examples: Sequence[Example], settings: Settings) -> Fitted:
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
    names = feature_names(examples)
    table = windows(examples, settings)
    rows = table.rows
    if 0 < settings.select < len(names):
        columns = most_important(rows, table.target, settings.select, settings.seed, table.weight)
        rows, names = rows[:, columns], tuple(names[i] for i in columns)

    given = rows, table.target, table.weight, table.folds
    make = partial(BoostedTrees, seed=settings.seed)
    parameters = search(lambda own: make(**own).fit(*given).log_loss_, make(), settings)
    with settings.bar(total=ROUNDS, step="at most", unit="rounds") as bar:
        grown = make(**parameters).fit(*given, after_round=bar.update)
    training = {
        "rounds": grown.rounds_,
        "parameters": {name.rstrip("_"): value for name, value in parameters.items()},
        "optuna_trials": settings.tune,
        "windows_a_track": len(rows) // len(examples) - 1,
        "other_sets_weight": OTHER_SETS_WEIGHT,
        f"log_loss_on_{set_apart(examples)}_set_aside": round(grown.log_loss_, 4),
    }
    return _fitted(labels_of(examples), names, grown, training)


def windows(examples: Sequence[Example], settings: Settings) -> Windows:
    """Return the rows of all examples, and artists set aside."""
    bar = settings.bar(examples, step="features", unit="tracks")
    rows = [_rows(e, random_of(e, settings.seed)) for e in bar]
    own = np.array([e.source == examples[0].source for e in examples])
    each = len(rows[0])
    return Windows(
        rows=np.concatenate(rows),
        target=np.repeat(targets(examples, labels_of(examples)), each),
        weight=np.repeat(np.where(own, 1.0, OTHER_SETS_WEIGHT), each) / each,
        folds=[
            ((learn[:, None] * each + np.arange(each)).ravel(), aside * each)
            for learn, aside in set_aside(examples, settings.seed)
        ],
    )


def _rows(example: Example, rng: np.random.Generator) -> np.ndarray:
    """Return statistics of the whole track and of its windows [shape=(1 + WINDOWS, n_features)].

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
