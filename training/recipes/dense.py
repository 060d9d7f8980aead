"""A dense network on descriptors: dense layers, dropout, Adam. Shallow and deep."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from tqdm import tqdm

from tagger.models.networks import Network, feature_network
from tagger.models.prediction import log_softmax
from tagger.training.data.datasets import Example, labels_of, targets
from tagger.training.data.feature_table import Table, feature_rows, learning_table
from tagger.training.recipes import Settings
from tagger.training.recipes.keras_start import start_keras
from tagger.training.recipes.tuning import tune

LAYERS = {"shallow": (128,), "deep": (512, 256, 128, 64)}
EPOCHS = 60
BATCH = 32
START = {"dropout": 0.4, "learning_rate": 1e-3}

Build = Callable[[Any, int, float], Any]
"""From scaled features, the number of labels and the dropout to logits."""


@dataclass(frozen=True)
class FittedNetwork:
    """A trained network on descriptors in the form that `gtag scan` runs.

    Attributes
    ----------
    labels, features : tuple of str
    weights : bytes
        `.tflite`
    history : list of dict
        Loss and accuracy on what is learned from, and on what is watched, epoch by epoch.
    training : dict
        For the card.
    """

    labels: tuple[str, ...]
    features: tuple[str, ...]
    weights: bytes
    history: list[dict[str, float]]
    training: Mapping[str, Any] = field(default_factory=dict)

    def ask(self, rows: np.ndarray) -> np.ndarray:
        return log_softmax(self._network(rows)["logits"])

    def log_probabilities(self, examples: Sequence[Example]) -> np.ndarray:
        return self.ask(feature_rows(examples, self.features))

    @cached_property
    def _network(self) -> Network:
        return feature_network(self.weights, len(self.features))

    def export(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        card = {"kind": "dense", "features": list(self.features), "training": dict(self.training)}
        return card, {"dense.tflite": self.weights}


def fit(examples: Sequence[Example], settings: Settings) -> FittedNetwork:
    """Learn from all examples.

    Parameters
    ----------
    examples : sequence of Example
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


def fit_network(examples: Sequence[Example], settings: Settings, build: Build) -> FittedNetwork:
    """What every network on descriptors has in common: table, scaling, Adam, conversion."""
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

    def ask(parameters: Mapping[str, Any], learn: np.ndarray, aside: np.ndarray) -> np.ndarray:
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
        ask=ask,
    )
    model, history = _trained(table, len(labels), settings, build, parameters, watch)
    training = {"epochs": len(history), "batch": BATCH, "parameters": parameters}
    return FittedNetwork(labels, table.names, _convert(model), history, training)


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
    bar = tqdm(
        total=epochs,
        desc=settings.description,
        unit="epoch",
        disable=None if settings.progress else True,
    )
    with bar:
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


def _convert(model: Any) -> bytes:
    """For LiteRT, with a signature from `features` to `logits`."""
    from tagger.training.recipes.cnn import converted

    return converted(model.inputs, {"logits": model.output}, quantise=False)
