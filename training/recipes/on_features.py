"""The recipes on descriptors: which estimator learns from which table, what is tuned, what ships.

Descriptors are statistics of the log-mel spectrogram, or the columns of a CSV.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from tagger.models.dense import feature_network
from tagger.models.linear import LinearWeights, pack
from tagger.models.prediction import log_softmax
from tagger.sound.log_mel_statistics import describe_log_mel
from tagger.training.data.datasets import Example, labels_of, targets, to_decibels
from tagger.training.data.feature_table import (
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
    Regression,
    SupportVectors,
    Trees,
)
from tagger.training.recipes.fitting import Fitted, Settings
from tagger.training.recipes.keras_start import start_keras
from tagger.training.recipes.tuning import search, tune

EPOCHS = 60
WINDOWS = 4  # rows from random windows, beside the one of the whole track
WINDOW_COLUMNS = 215, 430  # 10 to 20 s
OTHER_SETS_WEIGHT = 0.6  # of a track of another set, against one of the first


def _fitted(
    examples: Sequence[Example],
    features: tuple[str, ...],
    predict: Callable[[np.ndarray], np.ndarray],
    card: Mapping[str, Any],
    weights: Mapping[str, bytes],
    **more: Any,
) -> Fitted:
    """Return a model that learned from these examples, and predicts by named features."""
    return Fitted(
        labels_of(examples),
        lambda asked: predict(feature_rows(asked, features)),
        {**card, "features": list(features)},
        weights,
        features=features,
        predict=predict,
        **more,
    )


def fit_logistic(examples: Sequence[Example], settings: Settings) -> Fitted:
    """Fit multinomial logistic regression, its regularisation chosen on artists set aside."""
    table = learning_table(examples, settings)
    weights, training = fit_regression(table.rows, table.target, table.examples, settings.seed)
    return _fitted(
        examples,
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
    table = learning_table(examples, settings)
    machine = tune(table, settings, partial(SupportVectors, seed=settings.seed))
    machine.fit(table.rows, table.target)
    card = {"training": {"parameters": machine.tunable()}}
    return _fitted(examples, table.names, machine.predict_log_proba, card, {})


def fit_random_forest(examples: Sequence[Example], settings: Settings) -> Fitted:
    """Fit XGBoost's random forest."""
    table = learning_table(examples, settings)
    forest = tune(table, settings, partial(Forest, seed=settings.seed))
    forest.fit(table.rows, table.target)
    training = {"parameters": forest.tunable(), "trees_a_label": forest.num_parallel_tree}
    return _grown(examples, table.names, forest, training)


def _grown(
    examples: Sequence[Example], names: tuple[str, ...], trees: Trees, training: dict[str, Any]
) -> Fitted:
    return _fitted(
        examples,
        names,
        trees.predict_log_proba,
        {"kind": trees.kind, "training": training},
        {trees.file: bytes(trees.booster_.save_raw("ubj"))},
        gain=dict(zip(names, trees.gains_.tolist(), strict=True)),
    )


def fit_dense(examples: Sequence[Example], settings: Settings) -> Fitted:
    """Fit dense layers: one of them (`variant` ``shallow``) or four (``deep``)."""
    return _fit_network(examples, settings, settings.variant or "shallow")


def fit_feature_cnn(examples: Sequence[Example], settings: Settings) -> Fitted:
    """Fit a one-dimensional CNN along the descriptors."""
    return _fit_network(examples, settings, "cnn")


def _fit_network(examples: Sequence[Example], settings: Settings, layers: str) -> Fitted:
    start_keras()
    import keras

    from tagger.training.recipes.chunk_cnn import converted

    labels, table = labels_of(examples), learning_table(examples, settings)
    epochs = settings.epochs or EPOCHS
    make = partial(FeatureNetwork, layers, epochs=epochs, seed=settings.seed)
    network = tune(table, settings, make)
    watched = [example for example in settings.watch if example.genre in labels]
    watch = None
    if watched:
        rows = feature_rows(watched, table.names).astype(np.float32)
        watch = rows, targets(watched, labels)
    with settings.bar(total=epochs, unit="epochs") as bar:
        shown = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: bar.update())
        network.fit(table.rows, table.target, watch, [shown, *settings.callbacks()])

    model = network.model_
    weights = converted(model.inputs, {"logits": model.output}, quantise=False)
    run = feature_network(weights, len(table.names))
    training = {"epochs": epochs, "batch": network.batch, "parameters": network.tunable()}
    return _fitted(
        examples,
        table.names,
        lambda rows: log_softmax(run(rows)["logits"]),
        {"kind": "dense", "training": training},
        {"dense.tflite": weights},
        history=network.history_,
    )


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
    rows, target, weight, folds = windows(examples, settings)
    if 0 < settings.select < len(names):
        columns = most_important(rows, target, settings.select, settings.seed, weight)
        rows, names = rows[:, columns], tuple(names[i] for i in columns)

    given = rows, target, weight, folds
    make = partial(BoostedTrees, seed=settings.seed)
    grown = search(lambda trees: trees.fit(*given).log_loss_, make, settings)
    with settings.bar(total=ROUNDS, step="at most", unit="rounds") as bar:
        grown.fit(*given, after_round=bar.update)
    training = {
        "rounds": grown.rounds_,
        "parameters": {name.rstrip("_"): value for name, value in grown.tunable().items()},
        "optuna_trials": settings.tune,
        "windows_a_track": len(rows) // len(examples) - 1,
        "other_sets_weight": OTHER_SETS_WEIGHT,
        f"log_loss_on_{set_apart(examples)}_set_aside": round(grown.log_loss_, 4),
    }
    return _grown(examples, names, grown, training)


def windows(
    examples: Sequence[Example], settings: Settings
) -> tuple[np.ndarray, np.ndarray, np.ndarray, Folds]:
    """Return what boosted trees learn from: as many rows for each track, the whole track's first.

    A spectrogram gives one row from the whole of it and some from random windows: the same music,
    described from less of it, keeps trees from memorising single tracks.

    Returns
    -------
    np.ndarray [shape=(n_rows, n_features)], np.ndarray [shape=(n_rows,)], np.ndarray [same shape]
        Rows, their targets and weights.
    list of (np.ndarray, np.ndarray)
        Rows to learn from, and rows of other artists, whole tracks of the first set, to stop by.
    """
    bar = settings.bar(examples, step="features", unit="tracks")
    rows = [_rows(e, random_of(e, settings.seed)) for e in bar]
    own = np.array([e.source == examples[0].source for e in examples])
    each = len(rows[0])
    folds = [
        ((learn[:, None] * each + np.arange(each)).ravel(), aside * each)
        for learn, aside in set_aside(examples, settings.seed)
    ]
    return (
        np.concatenate(rows),
        np.repeat(targets(examples, labels_of(examples)), each),
        np.repeat(np.where(own, 1.0, OTHER_SETS_WEIGHT), each) / each,
        folds,
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
