"""Linear models and heads: what they compute, and what of strangers' weights they refuse."""

from __future__ import annotations

import io
import pickle
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tagger.models import zoo
from tagger.models.feature_columns import FeatureColumns
from tagger.models.linear import LinearWeights, pack
from tagger.models.registry import bundled_folder
from tagger.models.track_features import TrackFeatures
from tagger.sound.audio import Excerpt, Sound
from tagger.sound.decoder import SAMPLE_RATE
from tagger.sound.descriptors import FEATURES
from tagger.sound.log_mel_statistics import LOG_MEL_FEATURES
from tagger.sound.spectrogram import CHUNK_COLUMNS, N_MELS, LogMel
from tagger.system.errors import DataError, ModelError
from tagger.training.publish import write_model


@pytest.fixture
def features() -> TrackFeatures:
    db = np.random.default_rng(0).uniform(-80, 0, (N_MELS, 3 * CHUNK_COLUMNS)).astype(np.float32)
    values = np.arange(len(FEATURES), dtype=np.float32)
    return TrackFeatures(lambda: LogMel((db,), (0.0,), 0.0), lambda: values)


def linear(folder: Path, features: list[str], coefficients: np.ndarray, **card: object) -> Path:
    data = {"name": "lines", "version": 1, "kind": "linear", "labels": ["Polka", "Rock"]}
    weights = {"linear.npz": pack(coefficients, np.array([0.0, 1.0]))}
    write_model(folder, data | {"features": features} | card, weights)
    return folder


def head(folder: Path, inputs: list[str], n_inputs: int, backbone: str | None = None) -> Path:
    tag = backbone or zoo.find("musicnn").tag
    data = {"name": "own", "version": 1, "kind": "head", "labels": ["Polka", "Zydeco"]}
    coefficients = np.random.default_rng(1).standard_normal((2, n_inputs))
    weights = {"head.npz": pack(coefficients, np.zeros(2))}
    write_model(folder, data | {"inputs": inputs, "backbone": tag}, weights)
    return folder


def test_a_linear_model_is_a_softmax_of_its_lines(tmp_path, features):
    names = [LOG_MEL_FEATURES[7], FEATURES[3]]
    coefficients = np.array([[0.01, -0.5], [0.02, 0.5]])
    model = zoo.load(str(linear(tmp_path / "m", names, coefficients)))
    row = np.array([features.log_mel_statistics[7], 3.0])
    logits = coefficients @ row + [0, 1]
    expected = np.exp(logits) / np.exp(logits).sum()
    np.testing.assert_allclose(model.predict(features).probabilities, expected, rtol=1e-6)


def test_descriptors_come_by_name_and_in_order(features):
    names = [FEATURES[5], LOG_MEL_FEATURES[0], FEATURES[2]]
    expected = [5, features.log_mel_statistics[0], 2]
    np.testing.assert_allclose(FeatureColumns(names)(features), expected)
    with pytest.raises(ValueError, match="harmony_mean"):
        FeatureColumns(["harmony_mean"])


def test_what_needs_sound_says_so_where_there_is_none(features):
    silent = TrackFeatures.from_log_mel(features.log_mel)
    assert FeatureColumns([LOG_MEL_FEATURES[0]])(silent).shape == (1,)
    with pytest.raises(DataError, match="needs the audio"):
        FeatureColumns([FEATURES[0]])(silent)


@pytest.fixture(scope="module")
def sound() -> TrackFeatures:
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 8 * SAMPLE_RATE).astype(np.float32)
    return TrackFeatures.from_sound(Sound((Excerpt(noise, 0.0),), 8.0))


def test_a_head_looks_at_its_backbone(tmp_path, sound):
    backbone = zoo.load_backbone("musicnn")
    size = backbone.n_dimensions
    folder = head(tmp_path / "m", ["embedding-mean", "embedding-std"], 2 * size)
    model = zoo.load(str(folder))
    prediction = model.predict(sound)
    assert prediction.labels == ("Polka", "Zydeco") and prediction.model == "own-1"
    assert prediction.probabilities.sum() == pytest.approx(1)
    embedding = backbone.embed(sound)
    row = np.concatenate([embedding.mean(axis=0), embedding.std(axis=0)])
    with np.load(folder / "head.npz") as arrays:
        logits = arrays["coefficients"] @ row
    assert prediction.genre == ["Polka", "Zydeco"][int(logits.argmax())]


def test_a_head_hears_chunk_by_chunk_where_it_looks_at_the_mean(tmp_path, sound):
    size = zoo.load_backbone("musicnn").n_dimensions
    n = size + len(LOG_MEL_FEATURES)
    folder = head(tmp_path / "m", ["embedding-mean", "narrow-log-mel-statistics"], n)
    prediction = zoo.load(str(folder)).predict(sound)
    assert prediction.chunk_probabilities is not None and prediction.chunk_starts_s is not None
    assert prediction.chunk_probabilities.shape == (len(prediction.chunk_starts_s), 2)
    sound.over_time = False  # as in a scan
    alone = zoo.load(str(folder)).predict(sound)
    assert alone.chunk_probabilities is None and alone.chunk_starts_s is None
    assert np.array_equal(alone.probabilities, prediction.probabilities)


def test_a_known_embedding_is_taken_as_it_is(tmp_path, features):
    size = zoo.load_backbone("musicnn").n_dimensions
    model = zoo.load(str(head(tmp_path / "m", ["embedding-mean"], size)))
    with pytest.raises(DataError, match="needs the audio"):
        model.predict(features)
    known = TrackFeatures.from_log_mel(features.log_mel, {"musicnn-1": np.zeros(size)})
    np.testing.assert_allclose(model.predict(known).probabilities, 0.5)


def test_a_head_prefers_the_backbone_that_it_brought_along(tmp_path):
    size = zoo.load_backbone("musicnn").n_dimensions
    folder = head(tmp_path / "m", ["embedding-mean"], size, backbone="other-7")
    with pytest.raises(ModelError, match="no model 'other'"):
        zoo.load(str(folder))
    shutil.copytree(bundled_folder() / "musicnn", folder / "other")
    with pytest.raises(ModelError, match="needs other-7, not musicnn-"):
        zoo.load(str(folder))


@pytest.mark.parametrize("backbone", ["../cnn-1", "/cnn-1", "", 7, None])
def test_a_backbone_that_is_no_name_is_refused(tmp_path, backbone):
    data = {"name": "own", "version": 1, "kind": "head", "labels": ["Polka", "Zydeco"]}
    if backbone is not None:
        data["backbone"] = backbone
    with pytest.raises(ModelError, match="have a backbone"):
        write_model(tmp_path / "m", data, {"head.npz": b""})


def test_a_head_on_a_head_is_refused(tmp_path):
    folder = head(tmp_path / "m", ["embedding-mean"], 3, backbone="own-1")
    head(folder / "own", ["embedding-mean"], 3, backbone="own-1")
    with pytest.raises(ModelError, match="of the same kind"):
        zoo.load(str(folder))


def test_a_backbone_without_embedding_is_refused(tmp_path):
    folder = head(tmp_path / "m", ["embedding-mean"], 3, backbone="lines-1")
    linear(folder / "lines", [FEATURES[0]], np.zeros((2, 1)))
    with pytest.raises(ModelError, match="has no embedding"):
        zoo.load(str(folder))


@pytest.mark.parametrize(
    ("features", "coefficients"),
    [
        ([], np.zeros((2, 0))),
        (["nonsense"], np.zeros((2, 1))),
        ([FEATURES[0]], np.zeros((2, 2))),
        ([FEATURES[0]], np.zeros((3, 1))),
        ([FEATURES[0]], np.full((2, 1), np.nan)),
        ([FEATURES[0]], np.zeros(2)),
    ],
)
def test_weights_that_do_not_fit_are_refused(tmp_path, features, coefficients):
    with pytest.raises(ModelError):
        zoo.load(str(linear(tmp_path / "m", features, coefficients)))


def test_only_arrays_are_loaded():
    marker = Path("never written")

    class Bomb:
        def __reduce__(self):
            return Path.touch, (marker,)

    content = io.BytesIO()
    np.savez(content, coefficients=np.array([Bomb()], dtype=object), intercept=np.zeros(1))
    for hostile in (content.getvalue(), pickle.dumps(Bomb()), b"", b"PK\x03\x04"):
        with pytest.raises(ValueError):
            LinearWeights(hostile)
    assert not marker.exists()


def test_a_file_that_would_fill_the_memory_is_refused():
    content = io.BytesIO()
    packed = zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED)
    with packed, packed.open("coefficients.npy", "w") as member:
        for _ in range(300):
            member.write(bytes(1 << 20))
    with pytest.raises(ValueError, match="too large"):
        LinearWeights(content.getvalue())
