"""The CNN recipe, end to end at small size: train, resume, convert, publish, run, evaluate."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from tagger.models import zoo
from tagger.models.chunk_cnn import mean_log_probabilities
from tagger.models.track_features import TrackFeatures
from tagger.sound.spectrogram import chunks
from tagger.training.data.datasets import read_log_mel_archive
from tagger.training.measure.evaluate import evaluate_model
from tagger.training.measure.training_history import read_history
from tagger.training.recipes import chunk_cnn
from tagger.training.recipes.fitting import Settings
from tagger.training.recipes.keras_start import start_keras
from tagger.training.report.report import write_report
from tagger.training.run import train_model
from tests.training.archives import GENRES, write_archive


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return write_archive(tmp_path_factory.mktemp("sets") / "hills")


@pytest.fixture(scope="module")
def small(request):
    patch = pytest.MonkeyPatch()
    patch.setattr(chunk_cnn, "STEPS", 16)
    patch.setattr(chunk_cnn, "BATCH", 16)
    patch.setattr(chunk_cnn, "CHANNELS", (8, 8, 8, 16))
    patch.setattr(chunk_cnn, "LEARNING_RATE", 5e-3)
    patch.setattr(chunk_cnn, "NORMALISATION_MOMENTUM", 0.8)
    yield
    patch.undo()


@pytest.fixture(scope="module")
def trained(archive, small, tmp_path_factory):
    output = tmp_path_factory.mktemp("models") / "hills-cnn"
    card = train_model("chunk-cnn", [archive], output, protocols=["artist"], epochs=6, name="hills")
    return output, card


def test_a_trained_model_is_a_zoo_folder(trained):
    output, card = trained
    files = {"card.toml", "cnn.tflite", "history.csv", "out_of_fold.npz", "parts.npz"}
    assert {p.name for p in output.iterdir()} == files
    # Epoch by epoch: the loss on crops, and how the artists set aside fared.
    history = read_history(card).history
    assert len(history) == 6 and history[-1].keys() == {"loss", "val_loss", "val_accuracy"}
    assert not output.with_name(output.name + ".work").exists()
    assert card.labels == ("Blues", "Jazz", "Rock") and card.tag == "hills-1"
    assert [row["protocol"] for row in card.figures] == ["artist"]
    assert card.data["calibration"]["temperature"] > 0
    assert set(card.learned_from) == {"hills"} and len(card.learned_from["hills"]) == 24


def test_it_learned_what_can_be_learned(trained, archive, tmp_path):
    output, _ = trained
    fresh = write_archive(tmp_path / "fresh", tracks_per_genre=4, seed=9)
    evaluation = evaluate_model(zoo.load(str(output)), fresh)
    assert evaluation.metrics()["accuracy"] > 0.8
    assert evaluation.metrics()["seen_in_training"] == 0, "other sound under the same names"
    again = evaluate_model(zoo.load(str(output)), archive)
    assert again.metrics()["seen_in_training"] == 24
    write_report(evaluation, tmp_path / "report")
    metrics = json.loads((tmp_path / "report" / "metrics.json").read_text())
    assert metrics["n"] == 12 and np.shape(metrics["confusion"]) == (3, 3)
    assert {
        "accuracy",
        "accuracy_low",
        "accuracy_high",
        "macro_f1",
        "ece",
        "per_genre",
        "seen_in_training",
    } <= metrics.keys()


def test_a_prediction_is_calibrated_and_tells_its_chunks(trained, archive):
    output, _ = trained
    example = read_log_mel_archive(archive)[0]
    prediction = zoo.load(str(output)).predict(TrackFeatures.from_log_mel(example.log_mel()))
    assert prediction.probabilities.sum() == pytest.approx(1)
    assert prediction.chunk_probabilities is not None
    assert prediction.chunk_probabilities.shape == (1 + (200 - 86) // 43, len(GENRES))
    assert prediction.model == "hills-1"
    assert prediction.confidence >= prediction.runner_up_confidence


def test_int8_weights_say_nearly_what_float_weights_say(archive, small):
    examples = read_log_mel_archive(archive)
    start_keras()
    model = chunk_cnn.build(len(GENRES))
    floats, ints = (
        chunk_cnn.fitted(("a",) * 3, chunk_cnn.convert(model, quantise=q), []).log_probabilities(
            examples
        )
        for q in (False, True)
    )
    np.testing.assert_allclose(np.exp(floats), np.exp(ints), atol=0.05)
    from_keras = np.stack(
        [mean_log_probabilities(np.asarray(model(chunks(e.log_mel())[0])[0])) for e in examples]
    )
    np.testing.assert_allclose(floats, from_keras, atol=1e-3)


@pytest.mark.slow
def test_same_seed_same_weights_and_a_resumed_training_ends_alike(archive, small, tmp_path):
    examples = read_log_mel_archive(archive)
    settings = Settings(tmp_path / "a", epochs=2, seed=3)
    once = chunk_cnn.fit(examples, settings)
    again = chunk_cnn.fit(examples, replace(settings, work=tmp_path / "b"))
    said = once.log_probabilities(examples)
    np.testing.assert_array_equal(said, again.log_probabilities(examples))
    assert once.history == again.history

    stopped = replace(settings, work=tmp_path / "c")
    original, calls = chunk_cnn.batches, []

    def interrupted(*args):
        for i, batch in enumerate(original(*args)):
            if args[3] == 1 and i == 12:  # in the second epoch
                calls.append(i)
                raise KeyboardInterrupt
            yield batch

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunk_cnn, "batches", interrupted)
        with pytest.raises(BaseException):  # noqa: B017  TensorFlow wraps it as it likes
            chunk_cnn.fit(examples, stopped)
    assert calls and (stopped.work / "checkpoint" / "1.keras").exists()
    resumed = chunk_cnn.fit(examples, replace(stopped, resume=True))
    assert len(resumed.history) == 2
    assert not (stopped.work / "checkpoint").exists()
    np.testing.assert_array_equal(said, resumed.log_probabilities(examples))
    assert once.history == resumed.history
