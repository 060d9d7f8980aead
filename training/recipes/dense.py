"""A dense network on descriptors: dense layers, dropout, Adam. Shallow and deep."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tagger.models.dense import feature_network
from tagger.models.prediction import log_softmax
from tagger.training.data.datasets import Example, labels_of, targets
from tagger.training.data.feature_table import Table, feature_rows, learning_table
from tagger.training.recipes.cnn import converted
from tagger.training.recipes.fitting import Fitted, Settings, fitted_on_features
from tagger.training.recipes.keras_start import start_keras
from tagger.training.recipes.tuning import tune

LAYERS = {"shallow": (128,), "deep": (512, 256, 128, 64)}
EPOCHS = 60
BATCH = 32
START = {"dropout": 0.4, "learning_rate": 1e-3}

Build = Callable[[Any, int, float], Any]
"""From scaled features, the number of labels and the dropout to logits."""


def fit(examples: Sequence[Example], settings: Settings) -> Fitted:
    """Learn from all examples.

    Parameters
    ----------
    settings : Settings
        `variant` is ``shallow`` (one hidden layer) or ``deep`` (four); `tune` looks for dropout
        and learning rate.
    """
    return fit_network(examples, settings, build(LAYERS[settings.variant or "shallow"]))


def build(sizes: Sequence[int]) -> Build:
    """Dense layers of these sizes, each with dropout behind it."""

    def network(x: Any, n_labels: int, dropout: float) -> Any:
        from keras import layers

        for size in sizes:
            x = layers.Dense(size, activation="relu")(x)
            x = layers.Dropout(dropout)(x)
        return layers.Dense(n_labels)(x)

    return network


def fit_network(examples: Sequence[Example], settings: Settings, build: Build) -> Fitted:
    """Fit any network on descriptors: table, scaling, Adam, conversion."""
    start_keras()
    labels = labels_of(examples)
    table = learning_table(
        examples,
        labels,
        seed=settings.seed,
        select=settings.select,
        augment=bool(settings.augment),
    )
    quiet = Settings(settings.work, settings.epochs, settings.seed)
    watched = [example for example in settings.watch if example.genre in labels]
    watch = (
        (feature_rows(watched, table.names).astype(np.float32), targets(watched, labels))
        if watched
        else None
    )

    def predict(parameters: Mapping[str, Any], learn: np.ndarray, aside: np.ndarray) -> np.ndarray:
        part = Table(table.names, table.rows[learn], table.target[learn], ())
        model, _ = _trained(part, len(labels), quiet, build, parameters)
        return log_softmax(np.asarray(model(table.rows[aside].astype(np.float32))))

    parameters = tune(
        table,
        settings,
        start=START,
        space=lambda trial: {
            "dropout": trial.suggest_float("dropout", 0.0, 0.7),
            "learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True),
        },
        predict=predict,
    )
    model, history = _trained(table, len(labels), settings, build, parameters, watch)
    weights = converted(model.inputs, {"logits": model.output}, quantise=False)
    training = {"epochs": len(history), "batch": BATCH, "parameters": parameters}
    network = feature_network(weights, len(table.names))
    return fitted_on_features(
        labels,
        table.names,
        lambda rows: log_softmax(network(rows)["logits"]),
        {"kind": "dense", "training": training},
        {"dense.tflite": weights},
        history=history,
    )


def _trained(
    table: Table,
    n_labels: int,
    settings: Settings,
    build: Build,
    parameters: Mapping[str, Any],
    watch: tuple[np.ndarray, np.ndarray] | None = None,
) -> tuple[Any, list[dict[str, float]]]:
    """The Keras model and its history."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(settings.seed)
    scale = np.maximum(table.rows.std(axis=0), 1e-9)
    inputs = keras.Input((len(table.names),), name="features")
    x = layers.Normalization(mean=table.rows.mean(axis=0), variance=scale**2)(inputs)
    model = keras.Model(inputs, build(x, n_labels, parameters["dropout"]))
    model.compile(
        optimizer=keras.optimizers.Adam(parameters["learning_rate"]),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    epochs = settings.epochs or EPOCHS
    with settings.bar(total=epochs, unit="epoch") as bar:
        told = model.fit(
            table.rows.astype(np.float32),
            table.target,
            batch_size=BATCH,
            epochs=epochs,
            validation_data=watch,
            verbose=0,
            callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: bar.update())],
        )
    by_epoch = zip(*told.history.values(), strict=True)
    return model, [dict(zip(told.history, map(float, values), strict=True)) for values in by_epoch]
