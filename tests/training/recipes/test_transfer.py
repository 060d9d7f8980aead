"""Transfer: each backbone takes chunks, learns frozen and then whole, and runs as a CNN."""

from __future__ import annotations

import socket
import threading
from dataclasses import replace

import h5py
import numpy as np
import pytest

from tagger.models import zoo
from tagger.models.track_features import TrackFeatures
from tagger.system.errors import ConfigurationError
from tagger.training.data.datasets import read_log_mel_archive
from tagger.training.recipes import chunk_cnn, find, transfer
from tagger.training.recipes.fitting import Settings
from tagger.training.run import train_model
from tests.training.archives import write_archive

OTHERS = [v for v in transfer.PIXELS if v != transfer.DEFAULT]


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sets") / "hills"
    return write_archive(folder, tracks_per_genre=3, columns=90)


@pytest.fixture(autouse=True)
def small(monkeypatch, tmp_path):
    monkeypatch.setattr(chunk_cnn, "STEPS", 1)
    monkeypatch.setattr(chunk_cnn, "BATCH", 4)
    monkeypatch.setattr(transfer, "SIZE", 75)  # the least that InceptionV3 takes
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))


def a_step(archive, tmp_path, variant: str) -> None:
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)  # for one step, tracing takes twenty times as long
    try:
        card = train_model(
            "transfer", [archive], tmp_path / "m", variant=variant, weights="none", epochs=1
        )
    finally:
        tf.config.run_functions_eagerly(False)
    assert card.kind == "cnn"
    features = TrackFeatures.from_log_mel(read_log_mel_archive(archive)[0].log_mel())
    prediction = zoo.load(str(tmp_path / "m")).predict(features)
    assert prediction.probabilities.sum() == pytest.approx(1)
    assert prediction.chunk_probabilities is not None


def test_a_step_of_mobilenet(archive, tmp_path):
    a_step(archive, tmp_path, "MobileNetV2")


@pytest.mark.slow
@pytest.mark.parametrize("variant", OTHERS)
def test_a_step_of_every_other_backbone(archive, tmp_path, variant):
    a_step(archive, tmp_path, variant)


@pytest.mark.slow
def test_pretrained_weights_stay_while_frozen_and_move_when_fine_tuned(archive, tmp_path):
    import keras

    pretrained = keras.applications.MobileNetV2(
        include_top=False, weights=None, input_shape=(75, 75, 3), pooling="avg"
    )
    file = tmp_path / "brought.weights.h5"
    pretrained.save_weights(file)
    model = transfer.build(3, "MobileNetV2", str(file))
    backbone = next(layer for layer in model.layers if isinstance(layer, keras.Model))
    before = [np.array(w) for w in backbone.get_weights()]
    for x, y in zip(before, pretrained.get_weights(), strict=True):
        np.testing.assert_array_equal(x, y)
    examples = read_log_mel_archive(archive)
    crops = chunk_cnn.batches(examples, ("Blues", "Jazz", "Rock"), 0, 0)
    for frozen in (True, False):
        transfer._compile(model, frozen=frozen, fresh=False)
        model.fit(crops, epochs=1, steps_per_epoch=1, verbose=0)
        now = backbone.get_weights()
        assert all(np.array_equal(x, y) for x, y in zip(before, now, strict=True)) == frozen


@pytest.mark.slow
def test_an_interrupted_training_goes_on(archive, tmp_path):
    examples = read_log_mel_archive(archive)
    settings = Settings(tmp_path / "w", epochs=3, weights="none", resume=True)
    original, begun = chunk_cnn.batches, []

    def interrupted(*args):
        begun.append(args[3])
        if len(begun) == 3:
            raise KeyboardInterrupt
        return original(*args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunk_cnn, "batches", interrupted)
        with pytest.raises(KeyboardInterrupt):
            transfer.fit(examples, settings)
        fitted = transfer.fit(examples, settings)
    assert begun == [0, 1, 2, 2] and len(fitted.history) == 3
    whole = transfer.fit(examples, replace(settings, work=tmp_path / "whole"))
    assert fitted.history == whole.history


def test_weights_that_cannot_be_had_are_named_before_anything_is_done(monkeypatch, tmp_path):
    """A real attempt, at an address where nobody answers."""
    from keras.src.applications import vgg16

    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}/vgg16_notop.h5"
        monkeypatch.setattr(vgg16, "WEIGHTS_PATH_NO_TOP", url)
        with pytest.raises(ConfigurationError, match="weights of VGG16 are missing") as caught:
            train_model("transfer", [tmp_path / "not there"], tmp_path / "m", variant="VGG16")
    assert caught.value.hint and url in caught.value.hint
    assert str(tmp_path / "keras" / "models") in caught.value.hint
    assert "--weights FILE" in caught.value.hint


def test_a_server_that_says_nothing_is_not_waited_for(monkeypatch):
    from keras.src.applications import vgg16

    monkeypatch.setattr(transfer, "DOWNLOAD_TIMEOUT_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as server:
        accepted = []
        listener = threading.Thread(target=lambda: accepted.append(server.accept()), daemon=True)
        listener.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/silent.h5"
        monkeypatch.setattr(vgg16, "WEIGHTS_PATH_NO_TOP", url)
        with pytest.raises(ConfigurationError, match="cannot be downloaded"):
            transfer.pretrained("VGG16", transfer.IMAGENET)
        listener.join()
        accepted[0][0].close()
    assert socket.getdefaulttimeout() is None


def test_weights_that_lie_in_keras_folder_are_taken(monkeypatch, tmp_path):
    import keras
    from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group

    monkeypatch.setattr(transfer, "SIZE", 128)
    # Keras reads the variable when it is imported.
    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(tmp_path / "keras"))
    made = keras.applications.MobileNetV2(
        include_top=False, weights=None, input_shape=(128, 128, 3), pooling="avg"
    )
    name = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_128_no_top.h5"
    kept = tmp_path / "keras" / "models" / name
    kept.parent.mkdir(parents=True)
    with h5py.File(kept, "w") as file:
        save_weights_to_hdf5_group(file, made)
    found = transfer.pretrained("MobileNetV2", transfer.IMAGENET)
    for one, other in zip(made.get_weights(), found.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_file_that_holds_no_weights_is_named(tmp_path):
    file = tmp_path / "brought.h5"
    with pytest.raises(ConfigurationError, match="no such file"):
        find("transfer", Settings(tmp_path, weights=str(file)))
    file.write_bytes(b"no weights")
    with pytest.raises(ConfigurationError, match="are not weights of MobileNetV2"):
        transfer.build(3, "MobileNetV2", str(file))
