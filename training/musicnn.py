"""Makes the bundled backbone: converts the pretrained network of the wheel `musicnn`.

    python -m tagger.training.musicnn [--wheel musicnn-0.1.0-py3-none-any.whl]

The wheel (Pons & Serra 2019, ISC licence) holds checkpoints of TensorFlow 1. `MSD_musicnn` learned
50 tags of Last.fm from 200,000 songs of the Million Song Dataset. The architecture is built anew in
Keras 3 and takes the checkpoint's weights; it ships in float32.
"""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path
from typing import Any

import click
import numpy as np

from tagger.errors import GtagError
from tagger.models.card import Card
from tagger.models.zoo import bundled_folder
from tagger.sound.patches import PATCH_FRAMES, PATCH_MELS, patch_front_end
from tagger.training import wheels
from tagger.training.publish import write_model

NAME = "musicnn"
WHEEL = "musicnn==0.1.0"
SHA256 = "f38a4890c648c1ddbb141c5d96d2b0a8cfcd36746002d896989f7b88beb65cfa"
CHECKPOINT = "musicnn/MSD_musicnn/"
LICENCE = "musicnn-0.1.0.dist-info/LICENSE.md"
EPSILON = 1e-3  # of batch normalisation, TensorFlow 1's default
TIMBRAL = ((7, 38, 204), (7, 67, 204))  # frames, bands, filters: pooled over all bands
TEMPORAL = ((128, 51), (64, 51), (32, 51))  # frames, filters

TAGS = (
    *("rock", "pop", "alternative", "indie", "electronic", "female vocalists", "dance", "00s"),
    *("alternative rock", "jazz", "beautiful", "metal", "chillout", "male vocalists"),
    *("classic rock", "soul", "indie rock", "Mellow", "electronica", "80s", "folk", "90s", "chill"),
    *("instrumental", "punk", "oldies", "blues", "hard rock", "ambient", "acoustic"),
    *("experimental", "female vocalist", "guitar", "Hip-Hop", "70s", "party", "country"),
    *("easy listening", "sexy", "catchy", "funk", "electro", "heavy metal", "Progressive rock"),
    *("60s", "rnb", "indie pop", "sad", "House", "happy"),
)


_BY_HAND = f"download it yourself (pip download --no-deps {WHEEL}) and give its path as --wheel"


def read_wheel(wheel: Path) -> tuple[dict[str, np.ndarray], str]:
    """The network's variables by name, and the licence's text.

    Raises
    ------
    ConfigurationError
        Where it is not the wheel that this module knows.
    """
    wheels.check(wheel, WHEEL, SHA256, _BY_HAND)
    with zipfile.ZipFile(wheel) as packed, tempfile.TemporaryDirectory() as scratch:
        for part in (".index", ".data-00000-of-00001"):
            (Path(scratch) / f"checkpoint{part}").write_bytes(packed.read(CHECKPOINT + part))
        licence = packed.read(LICENCE).decode("utf-8")
        return read_checkpoint(Path(scratch) / "checkpoint"), licence


def read_checkpoint(prefix: Path) -> dict[str, np.ndarray]:
    """The variables of a checkpoint, without what an optimiser kept beside them."""
    import tensorflow as tf

    reader = tf.train.load_checkpoint(str(prefix))
    names = reader.get_variable_to_shape_map()
    return {n: reader.get_tensor(n) for n in names if "Adam" not in n and "power" not in n}


def build(variables: dict[str, np.ndarray]) -> Any:
    """The network as a Keras model: `patches` in, `embedding` and `tags` out.

    Batch normalisation is a scale and an offset for each filter. Where the scale is above 0, the
    maximum over bands may be taken before it, which costs a hundredth.
    """
    import keras
    from keras import layers, ops

    def normalisation(number: int) -> tuple[np.ndarray, np.ndarray]:
        name = "batch_normalization" + (f"_{number}" if number else "")
        gamma, beta, mean, variance = (
            variables[f"{name}/{part}"]
            for part in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        scale = gamma / np.sqrt(variance + EPSILON)
        return scale, beta - mean * scale

    def affine(x: Any, number: int) -> Any:
        scale, offset = normalisation(number)
        return x * scale + offset

    def weights(number: int) -> tuple[np.ndarray, np.ndarray]:
        name = "conv2d" + (f"_{number}" if number else "")
        return variables[f"{name}/kernel"], variables[f"{name}/bias"]

    def convolution(x: Any, kernel: np.ndarray, bias: np.ndarray, padding: str = "valid") -> Any:
        rank = kernel.ndim - 2
        kind = layers.Conv1D if rank == 1 else layers.Conv2D
        layer = kind(kernel.shape[-1], kernel.shape[:rank], padding=padding, activation="relu")
        layer.build((*[None] * (rank + 1), kernel.shape[rank]))
        layer.set_weights([kernel, bias])
        return layer(x)

    def highest(x: Any, number: int, axis: int) -> Any:
        """Maximum over bands of a normalised layer [batch, frames, filters]."""
        scale, offset = normalisation(number)
        sign = np.where(scale < 0, -1.0, 1.0).astype(np.float32)
        window = tuple(x.shape[a] if a == axis else 1 for a in (1, 2))
        pooled = layers.MaxPooling2D(window)(x if (sign > 0).all() else x * sign)
        return layers.Reshape((-1, x.shape[3]))(pooled) * (scale * sign) + offset

    def timbral(x: Any, number: int) -> Any:
        """Filters that are many bands high, at each band that they fit on.

        A convolution of one channel is slow; the bands under a filter as its channels give the
        same sums in two thirds of the time.
        """
        kernel, bias = weights(number)
        n_bands = kernel.shape[1]
        under = [x[:, :, low : low + n_bands] for low in range(PATCH_MELS - n_bands + 1)]
        stacked = ops.stack(under, axis=1)  # [batch, positions, frames, bands]
        return highest(convolution(stacked, kernel.transpose(2, 0, 1, 3), bias), number + 1, 1)

    def temporal(x: Any, number: int) -> Any:
        kernel, bias = weights(number)
        return highest(convolution(x, kernel, bias, "same"), number + 1, 2)

    inputs = keras.Input((PATCH_FRAMES, PATCH_MELS), name="patches")
    x = affine(inputs, 0)
    padded, single = layers.ZeroPadding1D(3)(x), layers.Reshape((PATCH_FRAMES, PATCH_MELS, 1))(x)
    first = len(TIMBRAL)
    parts = [timbral(padded, i) for i in range(first)]
    parts += [temporal(single, first + i) for i in range(len(TEMPORAL))]
    number, middle = first + len(TEMPORAL), [layers.Concatenate()(parts)]
    for i in range(3):
        kernel, bias = weights(number + i)
        layer = convolution(layers.ZeroPadding1D(3)(middle[-1]), kernel[:, :, 0], bias)
        normal = affine(layer, number + i + 1)
        middle.append(normal if i == 0 else normal + middle[-1])
    everything = layers.Concatenate()(middle)
    # Maximum and mean of each feature stand side by side.
    highest_and_mean = [
        layers.Reshape((-1, 1))(pool()(everything))
        for pool in (layers.GlobalMaxPooling1D, layers.GlobalAveragePooling1D)
    ]
    pooled = layers.Flatten()(layers.Concatenate()(highest_and_mean))

    def dense(x: Any, name: str) -> Any:
        kernel, bias = variables[f"{name}/kernel"], variables[f"{name}/bias"]
        layer = layers.Dense(kernel.shape[1])
        layer.build((None, kernel.shape[0]))
        layer.set_weights([kernel, bias])
        return layer(x)

    embedding = affine(ops.relu(dense(affine(pooled, number + 4), "dense")), number + 5)
    return keras.Model(inputs, {"embedding": embedding, "tags": dense(embedding, "dense_1")})


def convert(variables: dict[str, np.ndarray]) -> bytes:
    """The network for LiteRT, in float32."""
    from tagger.training.recipes.cnn import converted

    model = build(variables)
    return converted(model.inputs, model.output, quantise=False)


def publish(folder: Path, weights: bytes, licence: str) -> Card:
    """Write the backbone's folder."""
    card = {
        "name": NAME,
        "version": 1,
        "kind": "backbone",
        "labels": list(TAGS),
        "front_end": patch_front_end(),
        "licence": "ISC, see LICENSE",
        "source": f"{WHEEL} (Pons & Serra 2019), MSD_musicnn",
        "training": {"arithmetic": "float32", "calibrated_on": 0},
        # Which songs of the Million Song Dataset it learned from is not known by our ids.
        "learned_from": [{"set": "Million Song Dataset", "terms": "ISC", "tracks": []}],
    }
    return write_model(folder, card, {"musicnn.tflite": weights}, {"LICENSE": licence.encode()})


@click.command()
@click.option("--wheel", type=click.Path(path_type=Path), help="Default: pip downloads it.")
@click.option("--output", type=click.Path(path_type=Path), help="Default: the bundled models.")
def main(wheel: Path | None, output: Path | None) -> None:
    """Convert the pretrained network of the wheel musicnn into gtag's backbone."""
    try:
        with tempfile.TemporaryDirectory() as scratch:
            wheel = wheel or wheels.download(WHEEL, Path(scratch) / "musicnn.whl", _BY_HAND)
            variables, licence = read_wheel(wheel)
        card = publish(output or bundled_folder() / NAME, convert(variables), licence)
    except GtagError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{card.tag} is in {card.folder}")


if __name__ == "__main__":
    main()
