"""The pretrained network: its port, on small weights through the real path, and what ships."""

from __future__ import annotations

import numpy as np
import pytest

from tagger.models import zoo
from tagger.models.card import read_card
from tagger.models.networks import Network
from tagger.models.registry import bundled_folder
from tagger.models.track_features import TrackFeatures
from tagger.sound.audio import read_excerpts
from tagger.sound.patches import PATCH_FRAMES, PATCH_MELS
from tagger.system.errors import ConfigurationError
from tagger.training import wheels
from tagger.training.bundled import musicnn

BACK = 3 * 64 + 561


def variables(seed: int = 0) -> dict[str, np.ndarray]:
    """A network of the right shapes, with weights at random."""
    rng = np.random.default_rng(seed)
    shapes = {
        "conv2d": (7, 38, 1, 204),
        "conv2d_1": (7, 67, 1, 204),
        "conv2d_2": (128, 1, 1, 51),
        "conv2d_3": (64, 1, 1, 51),
        "conv2d_4": (32, 1, 1, 51),
        "conv2d_5": (7, 561, 1, 64),
        "conv2d_6": (7, 64, 1, 64),
        "conv2d_7": (7, 64, 1, 64),
        "dense": (2 * BACK, 200),
        "dense_1": (200, 50),
    }
    made = {}
    for name, shape in shapes.items():
        spread = 1 / np.sqrt(np.prod(shape[:-1]))
        made[f"{name}/kernel"] = rng.normal(0, spread, shape).astype(np.float32)
        made[f"{name}/bias"] = rng.normal(0, 0.1, shape[-1]).astype(np.float32)
    widths = [1, 204, 204, 51, 51, 51, 64, 64, 64, 2 * BACK, 200]
    for number, width in enumerate(widths):
        name = "batch_normalization" + (f"_{number}" if number else "")
        # Some scales are negative, as in the real one.
        made[f"{name}/gamma"] = rng.normal(0.6, 0.5, width).astype(np.float32)
        made[f"{name}/beta"] = rng.normal(0, 0.1, width).astype(np.float32)
        made[f"{name}/moving_mean"] = rng.normal(0, 0.1, width).astype(np.float32)
        made[f"{name}/moving_variance"] = rng.uniform(0.5, 1.5, width).astype(np.float32)
    return made


def by_the_paper(v: dict[str, np.ndarray], patch: np.ndarray) -> np.ndarray:
    """The embedding in plain numpy, layer by layer in the order of the original."""
    from numpy.lib.stride_tricks import sliding_window_view

    def norm(x, number):
        name = "batch_normalization" + (f"_{number}" if number else "")
        gamma, beta, mean, var = (
            v[f"{name}/{p}"].astype(float)
            for p in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        return (x - mean) / np.sqrt(var + musicnn.EPSILON) * gamma + beta

    def convolve(x, number):  # [frames, bands] → [frames', bands', filters]
        name = "conv2d" + (f"_{number}" if number else "")
        kernel = v[f"{name}/kernel"][:, :, 0].astype(float)
        windows = sliding_window_view(x, kernel.shape[:2])
        return np.maximum(np.tensordot(windows, kernel, 2) + v[f"{name}/bias"], 0)

    x = norm(patch[..., None].astype(float), 0)[..., 0]
    wide = np.pad(x, ((3, 3), (0, 0)))
    parts = [norm(convolve(wide, i), i + 1).max(axis=1) for i in (0, 1)]
    for i, length in ((2, 128), (3, 64), (4, 32)):
        padded = np.pad(x, (((length - 1) // 2, length // 2), (0, 0)))
        parts.append(norm(convolve(padded, i), i + 1).max(axis=1))
    front = np.concatenate(parts, axis=1)
    one = norm(convolve(np.pad(front, ((3, 3), (0, 0))), 5)[:, 0], 6)
    two = norm(convolve(np.pad(one, ((3, 3), (0, 0))), 6)[:, 0], 7) + one
    three = norm(convolve(np.pad(two, ((3, 3), (0, 0))), 7)[:, 0], 8) + two
    every = np.concatenate([front, one, two, three], axis=1)
    pooled = np.stack([every.max(axis=0), every.mean(axis=0)], axis=1).ravel()
    dense = norm(pooled, 9) @ v["dense/kernel"].astype(float) + v["dense/bias"]
    return norm(np.maximum(dense, 0), 10)


def checkpoint(folder, made):
    """The same as TensorFlow's own file, with what an optimiser leaves in it."""
    import tensorflow as tf

    graph = tf.Graph()
    with graph.as_default():
        for name, value in {**made, "conv2d/kernel/Adam": np.zeros(3, np.float32)}.items():
            tf.compat.v1.get_variable(name, initializer=value)
        saver = tf.compat.v1.train.Saver()
        with tf.compat.v1.Session() as session:
            session.run(tf.compat.v1.global_variables_initializer())
            saver.save(session, str(folder / "model"), write_meta_graph=False)
    return folder / "model"


def test_a_checkpoint_becomes_the_network_of_the_paper(tmp_path):
    made = variables()
    read = musicnn.read_checkpoint(checkpoint(tmp_path, made))
    assert read.keys() == made.keys()
    weights = musicnn.convert(read)
    folder = tmp_path / "zoo" / "musicnn"
    card = musicnn.publish(folder, weights, "ISC")
    assert (folder / "LICENSE").read_text() == "ISC"
    from tagger.models.networks import Backbone

    patches = np.random.default_rng(1).uniform(0, 4, (2, PATCH_FRAMES, PATCH_MELS))
    said = Backbone(card).outputs(patches.astype(np.float32))
    assert said["embedding"].shape == (2, 200) and said["tags"].shape == (2, 50)
    for patch, embedding in zip(patches, said["embedding"], strict=True):
        np.testing.assert_allclose(embedding, by_the_paper(made, patch), rtol=2e-3, atol=2e-3)


def with_dead_filters(made: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The same after weights died, as in the real one: in each bank, and of each layer.

    Biases stay, so that dead filters are no zeros.
    """
    dead = {name: value.copy() for name, value in made.items()}
    rng = np.random.default_rng(5)
    shares = {0: 0.9, 1: 0.9, 2: 0.9, 3: 0.8, 4: 0.6, 5: 0.7, 6: 0.1, 7: 0.1}
    for number, share in shares.items():
        kernel = dead["conv2d" + (f"_{number}" if number else "") + "/kernel"]
        gone = rng.permutation(kernel.shape[-1])[: int(share * kernel.shape[-1])]
        kernel[..., gone] = rng.uniform(-1e-9, 1e-9, (*kernel.shape[:-1], len(gone)))
    return dead


def said_by(weights: bytes, patches: np.ndarray) -> dict[str, np.ndarray]:
    network = Network(weights, "patches", (1, PATCH_FRAMES, PATCH_MELS), ("embedding", "tags"))
    each = [network(patch[None]) for patch in patches.astype(np.float32)]
    return {name: np.concatenate([one[name] for one in each]) for name in each[0]}


def test_without_dead_filters_it_says_the_same(monkeypatch):
    made = with_dead_filters(variables(2))
    patches = np.random.default_rng(1).uniform(0, 4, (6, PATCH_FRAMES, PATCH_MELS))
    patches[0] = 0  # silence
    patches[1, 90:] = 0  # and half of it
    pruned = musicnn.convert(made)
    found = said_by(pruned, patches)
    for patch, embedding in zip(patches[:3], found["embedding"], strict=False):
        np.testing.assert_allclose(embedding, by_the_paper(made, patch), rtol=2e-3, atol=2e-3)
    monkeypatch.setattr(musicnn, "DEAD", -1.0)
    whole = musicnn.convert(made)
    assert len(pruned) < len(whole) / 2
    for name, expected in said_by(whole, patches).items():
        np.testing.assert_allclose(found[name], expected, atol=1e-4)


@pytest.mark.slow
@pytest.mark.shared_data
def test_the_bundled_network_says_what_the_whole_one_says(shared_data, tmp_path, monkeypatch):
    """On 1,000 patches of real music, noise and voices."""
    try:
        wheel = wheels.download(musicnn.WHEEL, tmp_path / "musicnn.whl", musicnn._BY_HAND)
    except ConfigurationError as error:
        pytest.skip(f"the wheel is not to be had: {error}")
    made, _ = musicnn.read_wheel(wheel)
    monkeypatch.setattr(musicnn, "DEAD", -1.0)
    whole = musicnn.convert(made)
    files = [
        file
        for name in ("gtzan", "no_music")
        for file in sorted((shared_data / name / "audio").rglob("*.*"))
    ]
    patches = np.concatenate(
        [TrackFeatures.from_sound(read_excerpts(file)).patches.patches for file in files]
    )[:1000]
    assert len(patches) == 1000
    found = zoo.load_backbone("musicnn").outputs(patches)
    for name, expected in said_by(whole, patches).items():
        np.testing.assert_allclose(found[name], expected, atol=1e-4)


def test_another_wheel_is_refused(tmp_path):
    wheel = tmp_path / "musicnn-0.1.0-py3-none-any.whl"
    wheel.write_bytes(b"PK")
    with pytest.raises(ConfigurationError, match="not the wheel"):
        musicnn.read_wheel(wheel)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        musicnn.read_wheel(tmp_path / "gone.whl")


def test_where_pip_cannot_download_it_says_what_to_do(tmp_path, monkeypatch):
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_CONFIG_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    with pytest.raises(ConfigurationError, match="pip cannot download") as failed:
        wheels.download(musicnn.WHEEL, tmp_path / "x.whl", musicnn._BY_HAND)
    assert "--wheel" in str(failed.value.hint)


def test_the_bundled_network_comes_with_its_licence():
    folder = bundled_folder() / "musicnn"
    assert "Permission to use, copy, modify" in (folder / "LICENSE").read_text()
    card = read_card(folder)
    assert card.kind == "backbone" and len(card.labels) == 50
    assert card.data["licence"].startswith("ISC")


@pytest.mark.shared_data
def test_the_bundled_network_says_what_the_original_said(shared_data):
    """Parity on real sound, at the level that the original heard it."""
    from tagger.sound.patches import log_mel_frames

    backbone = zoo.load_backbone("musicnn")
    with np.load(shared_data / "gtzan" / "musicnn.npz") as kept:
        known = dict(zip(map(str, kept["names"]), kept["penultimate"].astype(float), strict=True))
        tags = dict(zip(map(str, kept["names"]), kept["tags"].astype(float), strict=True))
    for file in sorted((shared_data / "gtzan" / "audio").rglob("*.flac"))[::7]:
        (excerpt,) = read_excerpts(file).excerpts
        frames = log_mel_frames(excerpt)
        cut = [frames[i : i + PATCH_FRAMES] for i in range(0, len(frames) - 186, PATCH_FRAMES)]
        said = backbone.outputs(np.stack(cut))
        for name, expected in (("embedding", known), ("tags", tags)):
            found = said[name].mean(axis=0)
            assert np.corrcoef(found, expected[file.stem])[0, 1] > 0.98, (file.stem, name)
        assert TrackFeatures.from_sound(read_excerpts(file)).patches.patches.shape[1:] == (187, 96)
