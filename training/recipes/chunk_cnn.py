"""The chunk-averaged log-mel CNN: four plain convolution blocks over 4 s of log-mel.

The network learns from random crops of one chunk's length; a track's genre is the average over its
chunks.
"""

from __future__ import annotations

import contextlib
import io
import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tagger.models.chunk_cnn import chunk_network, mean_log_probabilities
from tagger.sound.spectrogram import CHUNK_COLUMNS, N_MELS, TOP_DB, chunks, front_end
from tagger.training.data.augment import augment, mixup
from tagger.training.data.datasets import Example, labels_of, targets, to_decibels
from tagger.training.recipes.epoch_by_epoch import Batches, History, train_by_epochs
from tagger.training.recipes.fitting import Fitted, Settings
from tagger.training.recipes.keras_start import start_keras

CHANNELS = (24, 48, 96, 160)
DROPOUT = 0.3
NORMALISATION_MOMENTUM = 0.99  # of the running mean and variance, a batch
LEARNING_RATE = 2e-3
WEIGHT_DECAY = 1e-3
LABEL_SMOOTHING = 0.05
BATCH = 64
STEPS = 100  # batches an epoch: 6,400 crops
EPOCHS = 40
QUANTISE = True  # three times as fast as float32, as accurate: see docs/models.md
FIRST_SET_SHARE = 0.6  # of each batch; the other sets share the rest by the root of their size


def fitted(labels: tuple[str, ...], weights: bytes, history: History) -> Fitted:
    """Return a trained network in the form that `gtag scan` runs, so that what is measured is what
    ships.

    Parameters
    ----------
    weights : bytes
        `.tflite`, int8 weights where `QUANTISE` says so.
    """

    def log_probabilities(examples: Sequence[Example]) -> np.ndarray:
        network = chunk_network(weights)
        return np.stack(
            [mean_log_probabilities(network(chunks(e.log_mel())[0])["logits"]) for e in examples]
        )

    card = {
        "kind": "cnn",
        "front_end": front_end(),
        "training": {"epochs": len(history), "batches_an_epoch": STEPS, "batch": BATCH},
    }
    return Fitted(labels, log_probabilities, card, {"cnn.tflite": weights}, history)


def build(n_labels: int) -> Any:
    """Return the network, untrained. It computes in float32, so that no processor learns anything
    else.

    The first block strides instead of pooling, and pooling stands before normalisation: moving
    full-size maps through memory is what training on a CPU otherwise spends its time on.
    """
    from keras import Input, Model, layers

    x = inputs = Input((N_MELS, CHUNK_COLUMNS), name="chunks")
    x = layers.Reshape((N_MELS, CHUNK_COLUMNS, 1))(x)
    x = layers.Rescaling(scale=2 / TOP_DB, offset=1)(x)
    for channels in CHANNELS:
        if channels == CHANNELS[0]:
            x = layers.Conv2D(channels, 5, strides=2, padding="same", use_bias=False)(x)
        else:
            x = layers.Conv2D(channels, 3, padding="same", use_bias=False)(x)
            x = layers.MaxPooling2D(2)(x)
        x = layers.BatchNormalization(momentum=NORMALISATION_MOMENTUM)(x)
        x = layers.ReLU()(x)
    embedding = layers.Concatenate(name="embedding")(
        [layers.GlobalAveragePooling2D()(x), layers.GlobalMaxPooling2D()(x)]
    )
    x = layers.Dropout(DROPOUT)(embedding)
    logits = layers.Dense(n_labels, name="logits")(x)
    return Model(inputs, [logits, embedding])


def sampling_weights(examples: Sequence[Example]) -> np.ndarray:
    """Return how often each example is drawn [shape=(n_examples,), sum=1].

    The first set fills `FIRST_SET_SHARE` of a batch, each genre alike; the others the rest, by
    the root of their size, each genre by the root of its size, so that the few tracks of a
    rare genre are not repeated over and over.
    """
    sources = list(dict.fromkeys(e.source for e in examples))
    sizes = Counter(e.source for e in examples)
    others = sum(np.sqrt(sizes[s]) for s in sources[1:])
    share = {s: (1 - FIRST_SET_SHARE) * np.sqrt(sizes[s]) / others for s in sources[1:]}
    share[sources[0]] = FIRST_SET_SHARE if others else 1.0
    counts = Counter((e.source, e.genre) for e in examples)
    weights = np.zeros(len(examples))
    for source in sources:
        power = 1.0 if source == sources[0] else 0.5
        inside = np.array(
            [counts[source, e.genre] ** -power if e.source == source else 0.0 for e in examples]
        )
        weights += share[source] * inside / inside.sum()
    return weights / weights.sum()


def batches(
    examples: Sequence[Example],
    labels: Sequence[str],
    seed: int,
    first_epoch: int,
    augmented: bool = True,
) -> Batches:
    """Crops, augmented unless told otherwise, and their soft targets, without end.

    Each batch is drawn from its own number, so that a resumed training sees what an
    uninterrupted one would have seen.
    """
    index = targets(examples, labels)
    weights = sampling_weights(examples)
    for number in itertools.count(first_epoch * STEPS):
        rng = np.random.default_rng([seed, number])
        drawn = rng.choice(len(examples), BATCH, p=weights)
        crops = to_decibels(np.stack([_crop(examples[i].spectrogram(), rng) for i in drawn]))
        one_hot = np.eye(len(labels), dtype=np.float32)[index[drawn]]
        yield mixup(augment(crops, rng), one_hot, rng) if augmented else (crops, one_hot)


def _crop(mel: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    missing = CHUNK_COLUMNS - mel.shape[1]
    if missing > 0:
        mel = np.pad(mel, ((0, 0), (0, missing)), mode="wrap")
    first = int(rng.integers(0, mel.shape[1] - CHUNK_COLUMNS + 1))
    return mel[:, first : first + CHUNK_COLUMNS]


def fit(examples: Sequence[Example], settings: Settings) -> Fitted:
    """Train the network on all examples and convert it.

    Parameters
    ----------
    examples : sequence of Example
        With spectrograms. The first one's set is the reference set.
    """
    epochs = settings.epochs or EPOCHS
    return fit_on_crops(examples, settings, epochs, lambda n: _compiled(build(n), epochs))


def fit_on_crops(
    examples: Sequence[Example],
    settings: Settings,
    epochs: int,
    start: Callable[[int], Any],
    before_epoch: Callable[[Any, int], None] = lambda model, epoch: None,
) -> Fitted:
    """Train a network on random crops, `STEPS` batches of `BATCH` an epoch, and convert it.

    Parameters
    ----------
    start : callable
        Makes the compiled model, from chunks to logits and embedding, for so many labels.
    before_epoch : callable
        Given the model and the number of the epoch, from 0.
    """
    start_keras()
    labels = labels_of(examples)
    augmented = settings.augment is not False
    model, history = train_by_epochs(
        settings,
        labels,
        epochs=epochs,
        steps=STEPS,
        batches=lambda epoch: batches(examples, labels, settings.seed, epoch, augmented),
        start=lambda: start(len(labels)),
        before_epoch=before_epoch,
    )
    return fitted(labels, convert(model, quantise=QUANTISE), history)


def _compiled(model: Any, epochs: int) -> Any:
    import keras

    schedule = keras.optimizers.schedules.CosineDecay(
        LEARNING_RATE / 10,
        decay_steps=max(1, (epochs - 1) * STEPS),
        warmup_target=LEARNING_RATE,
        warmup_steps=STEPS,
    )
    model.compile(
        optimizer=keras.optimizers.AdamW(schedule, weight_decay=WEIGHT_DECAY, clipnorm=1.0),
        loss=[
            keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=LABEL_SMOOTHING),
            None,
        ],
    )
    return model


def convert(model: Any, *, quantise: bool) -> bytes:
    """Return what `build` made for LiteRT, with a signature from `chunks` to `logits` and
    `embedding`.
    """
    logits, embedding = model.outputs
    outputs = {"logits": logits, "embedding": embedding}
    return converted(model.inputs, outputs, quantise=quantise)


def converted(
    inputs: Any,
    outputs: dict[str, Any],
    *,
    quantise: bool,
) -> bytes:
    """Return a part of a Keras model for LiteRT, with a signature of these inputs and named
    outputs.

    Parameters
    ----------
    quantise : bool
        Weights as int8, activations in float ("dynamic range").
    """
    import keras
    import tensorflow as tf

    named = keras.Model(inputs, outputs)
    # Not from_saved_model: with Keras 3 that leaves the variables behind, and outputs are NaN.
    converter = tf.lite.TFLiteConverter.from_keras_model(named)
    if quantise:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    with contextlib.redirect_stdout(io.StringIO()):  # Keras describes the export there
        return bytes(converter.convert())
