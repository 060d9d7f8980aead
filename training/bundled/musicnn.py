"""Makes the bundled backbone: converts the pretrained network of the wheel `musicnn`.

    python -m tagger.training.bundled.musicnn [--wheel musicnn-0.1.0-py3-none-any.whl]

The wheel (Pons & Serra 2019, ISC licence) holds checkpoints of TensorFlow 1. `MSD_musicnn` learned
50 tags of Last.fm from 200,000 songs of the Million Song Dataset. The architecture is built anew in
Keras 3 and takes the checkpoint's weights; it ships in float32.

Training left most filters at zero: their output does not depend on the music, only on how near a
frame is to the patch's edges, where the layers pad. Those filters are not built. What they would
say is added to the next layer's bias, frame by frame, so that the network says what it said.
"""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np

from tagger.models.card import Card
from tagger.models.registry import bundled_folder
from tagger.sound.patches import PATCH_FRAMES, PATCH_MELS, patch_front_end
from tagger.training import wheels
from tagger.training.publish import write_model
from tagger.training.reporter import Tool

NAME = "musicnn"
WHEEL = "musicnn==0.1.0"
SHA256 = "f38a4890c648c1ddbb141c5d96d2b0a8cfcd36746002d896989f7b88beb65cfa"
CHECKPOINT = "musicnn/MSD_musicnn/"
LICENCE = "musicnn-0.1.0.dist-info/LICENSE.md"
EPSILON = 1e-3  # of batch normalisation, TensorFlow 1's default
TIMBRAL = ((7, 38, 204), (7, 67, 204))  # frames, bands, filters: pooled over all bands
TEMPORAL = ((128, 51), (64, 51), (32, 51))  # frames, filters
# No weight of a dead filter is larger. Those of the others have one above 0.0009; between are none.
DEAD = 1e-5
BLOCK = 16  # frames that the filters over time are computed for at once
PLACES = 4  # adjacent bands that the filters over bands are computed at, at once

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
    """Return the network's variables by name, and the licence's text.

    Raises
    ------
    ConfigurationError
        Where it is not the wheel that this module knows.
    """
    wheels.read_checked(wheel, f"the wheel of {WHEEL}", SHA256, _BY_HAND)
    with zipfile.ZipFile(wheel) as packed, tempfile.TemporaryDirectory() as scratch:
        for part in (".index", ".data-00000-of-00001"):
            (Path(scratch) / f"checkpoint{part}").write_bytes(packed.read(CHECKPOINT + part))
        licence = packed.read(LICENCE).decode("utf-8")
        return read_checkpoint(Path(scratch) / "checkpoint"), licence


def read_checkpoint(prefix: Path) -> dict[str, np.ndarray]:
    """Return the variables of a checkpoint, without what an optimiser kept beside them."""
    import tensorflow as tf

    reader = tf.train.load_checkpoint(str(prefix))
    names = reader.get_variable_to_shape_map()
    return {n: reader.get_tensor(n) for n in names if "Adam" not in n and "power" not in n}


@dataclass(frozen=True)
class Layer:
    """The output of a layer, in two parts.

    Attributes
    ----------
    tensor : Keras tensor [shape=(batch, PATCH_FRAMES, n_live)]
        Of the filters that depend on the input.
    live : np.ndarray [shape=(n_filters,), dtype=bool]
        Which ones those are.
    still : np.ndarray [shape=(PATCH_FRAMES, n_filters)]
        What the others say of any input; zeros where `live`.
    """

    tensor: Any
    live: np.ndarray
    still: np.ndarray

    def over(self, live: np.ndarray) -> Any:
        """Return the output of these filters, among them all live ones."""
        if (live == self.live).all():
            return self.tensor
        from keras import ops

        places = np.eye(len(live), dtype=np.float32)[self.live][:, live]
        return ops.matmul(self.tensor, places) + self.still[:, live].astype(np.float32)

    def __add__(self, other: Layer) -> Layer:
        live = self.live | other.live
        still = np.where(live, 0, self.still + other.still)
        return Layer(self.over(live) + other.over(live), live, still)


def joined(layers: Sequence[Layer]) -> Layer:
    """Return the filters of several layers, one after the other."""
    from keras.layers import Concatenate

    tensor = Concatenate()([layer.tensor for layer in layers])
    live = np.concatenate([layer.live for layer in layers])
    return Layer(tensor, live, np.concatenate([layer.still for layer in layers], axis=1))


def is_live(kernel: np.ndarray) -> np.ndarray:
    """Return which filters, the last axis of a kernel, are not dead [shape=(n_filters,),
    dtype=bool].
    """
    return np.abs(kernel).max(axis=tuple(range(kernel.ndim - 1)), initial=0) > DEAD


def build(variables: dict[str, np.ndarray]) -> Any:
    """Build the network as a Keras model: `patches` in, `embedding` and `tags` out.

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

    def convolution(x: Any, kernel: np.ndarray, bias: np.ndarray | None) -> Any:
        rank = kernel.ndim - 2
        layer = (layers.Conv1D if rank == 1 else layers.Conv2D)(
            kernel.shape[-1],
            kernel.shape[:rank],
            use_bias=bias is not None,
            activation=None if bias is None else "relu",
        )
        layer.build((*[None] * (rank + 1), kernel.shape[rank]))
        layer.set_weights([kernel] if bias is None else [kernel, bias])
        return layer(x)

    def front(number: int, convolve: Any, at_once: int = 1) -> Layer:
        """Maximum over bands of a normalised layer.

        `convolve` makes of live filters a tensor [batch, bands, frames, at_once * filters].
        """
        kernel, bias = weights(number)
        scale, offset = normalisation(number + 1)
        live = is_live(kernel)
        still = np.where(live, 0, np.maximum(bias, 0) * scale + offset)
        scale, offset = scale[live], offset[live]
        sign = np.where(scale < 0, -1.0, 1.0).astype(np.float32)
        x = convolve(kernel[..., live], bias[live])
        signed = x if (sign > 0).all() else x * np.tile(sign, at_once)
        pooled = layers.MaxPooling2D((x.shape[1], 1))(signed)
        frames = layers.Reshape((-1, x.shape[3]))(pooled)[:, :PATCH_FRAMES]
        if at_once > 1:
            frames = ops.max(ops.reshape(frames, (-1, PATCH_FRAMES, at_once, len(scale))), axis=2)
        return Layer(frames * (scale * sign) + offset, live, np.tile(still, (PATCH_FRAMES, 1)))

    # A convolution of one channel is slow. Both kinds of filters get channels from the patch, for
    # the same sums.

    def timbral(x: Any, number: int) -> Layer:
        """Add filters many bands high: the bands under them, at a few places, are channels."""

        def convolve(kernel: np.ndarray, bias: np.ndarray) -> Any:
            length, n_bands, _, n_filters = kernel.shape
            height = n_bands + PLACES - 1  # bands under a filter at all of the places
            last = PATCH_MELS - height
            # The last group overlaps: a place that is there twice does not change the maximum.
            under = [x[:, :, low : low + height] for low in [*range(0, last, PLACES), last]]
            stacked = ops.stack(under, axis=1)  # [batch, groups, frames, bands]
            shifted = np.zeros((length, height, PLACES, n_filters), np.float32)
            for i in range(PLACES):
                shifted[:, i : i + n_bands, i] = kernel[:, :, 0]
            shifted = shifted.reshape(1, length, height, PLACES * n_filters)
            return convolution(stacked, shifted, np.tile(bias, PLACES))

        return front(number, convolve, PLACES)

    def temporal(x: Any, number: int) -> Layer:
        """Add filters that are one band high: the frames of a block are channels, in and out."""

        def convolve(kernel: np.ndarray, bias: np.ndarray) -> Any:
            length, n_filters = kernel.shape[0], kernel.shape[-1]
            n_blocks = -(-PATCH_FRAMES // BLOCK)
            reach = -(-(length + BLOCK - 1) // BLOCK)  # blocks under a filter
            before = (length - 1) // 2
            after = (n_blocks + reach - 1) * BLOCK - PATCH_FRAMES - before
            padded = ops.pad(x, ((0, 0), (before, after), (0, 0)))
            blocks = ops.reshape(padded, (-1, n_blocks + reach - 1, BLOCK, PATCH_MELS))
            # The filter of a block's frame i begins i frames later.
            shifted = np.zeros((reach * BLOCK, BLOCK, n_filters), np.float32)
            for i in range(BLOCK):
                shifted[i : i + length, i] = kernel[:, 0, 0]
            shifted = shifted.reshape(1, reach, BLOCK, BLOCK * n_filters)
            said = convolution(ops.transpose(blocks, (0, 3, 1, 2)), shifted, np.tile(bias, BLOCK))
            return ops.reshape(said, (-1, PATCH_MELS, n_blocks * BLOCK, n_filters))

        return front(number, convolve)

    def middle(before: Layer, number: int) -> Layer:
        """Make a normalised layer of filters that are seven frames long."""
        kernel, bias = weights(number)
        kernel = kernel[:, :, 0]
        scale, offset = normalisation(number + 1)
        live = is_live(kernel[:, before.live])
        padded = np.pad(before.still.astype(np.float64), ((3, 3), (0, 0)))
        still = bias + sum(padded[k : k + PATCH_FRAMES] @ tap for k, tap in enumerate(kernel))
        # The bias differs from frame to frame: beyond the edges are zeros, not what dead ones say.
        x = layers.ZeroPadding1D(3)(before.tensor)
        x = convolution(x, kernel[:, before.live][..., live], None)
        x = ops.relu(x + still[:, live].astype(np.float32))
        constant = np.where(live, 0, np.maximum(still, 0) * scale + offset)
        return Layer(x * scale[live] + offset[live], live, constant)

    inputs = keras.Input((PATCH_FRAMES, PATCH_MELS), name="patches")
    x = affine(inputs, 0)
    padded = layers.ZeroPadding1D(3)(x)
    first = len(TIMBRAL)
    parts = [timbral(padded, i) for i in range(first)]
    parts += [temporal(x, first + i) for i in range(len(TEMPORAL))]
    number = first + len(TEMPORAL)
    front_end = joined(parts)
    one = middle(front_end, number)
    two = middle(one, number + 1) + one
    three = middle(two, number + 2) + two
    everything = joined([front_end, one, two, three])
    # Maximum and mean of each feature stand side by side.
    highest_and_mean = [
        layers.Reshape((-1, 1))(pool()(everything.tensor))
        for pool in (layers.GlobalMaxPooling1D, layers.GlobalAveragePooling1D)
    ]
    pooled = layers.Flatten()(layers.Concatenate()(highest_and_mean))
    still = np.stack([everything.still.max(axis=0), everything.still.mean(axis=0)], axis=1).ravel()
    live = np.repeat(everything.live, 2)

    def dense(x: Any, kernel: np.ndarray, bias: np.ndarray) -> Any:
        layer = layers.Dense(kernel.shape[1])
        layer.build((None, kernel.shape[0]))
        layer.set_weights([kernel, bias])
        return layer(x)

    scale, offset = normalisation(number + 4)
    kernel, bias = variables["dense/kernel"], variables["dense/bias"]
    said = np.where(live, 0, still * scale + offset) @ kernel.astype(np.float64)
    hidden = dense(pooled * scale[live] + offset[live], kernel[live], bias + said)
    embedding = affine(ops.relu(hidden), number + 5)
    tags = dense(embedding, variables["dense_1/kernel"], variables["dense_1/bias"])
    return keras.Model(inputs, {"embedding": embedding, "tags": tags})


def convert(variables: dict[str, np.ndarray]) -> bytes:
    """Convert the network for LiteRT, in float32."""
    from tagger.training.recipes.chunk_cnn import converted

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


@click.command(cls=Tool)
@click.option("--wheel", type=click.Path(path_type=Path), help="Default: pip downloads it.")
@click.option("--output", type=click.Path(path_type=Path), help="Default: the bundled models.")
def main(wheel: Path | None, output: Path | None) -> None:
    """Convert the pretrained network of the wheel musicnn into gtag's backbone."""
    with tempfile.TemporaryDirectory() as scratch:
        wheel = wheel or wheels.download(WHEEL, Path(scratch) / "musicnn.whl", _BY_HAND)
        variables, licence = read_wheel(wheel)
    card = publish(output or bundled_folder() / NAME, convert(variables), licence)
    click.echo(f"{card.tag} is in {card.folder}")


if __name__ == "__main__":
    main()
