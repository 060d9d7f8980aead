"""Cards and weights from strangers: nothing is loaded that is not what the card says."""

from __future__ import annotations

import hashlib
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st

from tagger.models import zoo
from tagger.models.card import CARD, read_card
from tagger.models.chunk_cnn import mean_log_probabilities
from tagger.models.prediction import Prediction, log_softmax
from tagger.models.registry import bundled_folder
from tagger.system.errors import ConfigurationError, ExitStatus, ModelError
from tagger.training.publish import write_model

BUNDLED = bundled_folder() / "trees"


@pytest.fixture
def model(tmp_path) -> Path:
    return Path(shutil.copytree(BUNDLED, tmp_path / "model"))


def rewrite(model: Path, **changes: object) -> None:
    data = read_card(model).data | changes
    (model / CARD).write_text(tomli_w.dumps(data), encoding="utf-8")


def test_the_bundled_model_loads_by_name_and_by_folder(model):
    assert zoo.load("trees").card.tag == zoo.load(str(model)).card.tag
    assert "trees" in [card.name for card in zoo.available()]


def test_one_flipped_bit_in_the_weights_is_refused(model):
    weights = model / "trees.ubj"
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    with pytest.raises(ModelError, match="is not the file that the model's card names"):
        zoo.load(str(model))


def test_a_pickle_in_disguise_is_not_executed(model, tmp_path):
    marker = tmp_path / "executed"

    class Bomb:
        def __reduce__(self):
            return Path.touch, (marker,)

    content = pickle.dumps(Bomb())
    (model / "trees.ubj").write_bytes(content)
    rewrite(model, weights={"file": "trees.ubj", "sha256": hashlib.sha256(content).hexdigest()})
    with pytest.raises(ModelError):
        zoo.load(str(model))
    assert not marker.exists()


@pytest.mark.parametrize("name", ["a\0b", "../trees.ubj", "/etc/hostname", "", ".", "a/../../x"])
def test_weights_outside_the_folder_are_refused(model, name):
    (model.parent / "trees.ubj").write_bytes(b"x")
    rewrite(model, weights={"file": name, "sha256": hashlib.sha256(b"x").hexdigest()})
    with pytest.raises(ModelError, match="outside its folder"):
        zoo.load(str(model))


def test_a_link_that_leads_outside_is_refused(model):
    outside = model.parent / "outside.tflite"
    (model / "trees.ubj").rename(outside)
    (model / "trees.ubj").symlink_to(outside)
    with pytest.raises(ModelError, match="outside its folder"):
        zoo.load(str(model))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", "../evil"),
        ("name", "\x1b[2J"),
        ("version", 0),
        ("version", True),
        ("kind", "pickle"),
        ("labels", ["Rock"]),
        ("labels", ["Rock", "Rock"]),
        ("labels", ["Rock", 1]),
        ("calibration", {"temperature": 0}),
        ("calibration", {"temperature": float("nan")}),
        ("decision", {"threshold": 1.5}),
        ("learned_from", {"set": "gtzan"}),
        # Regression: one such model took every command down that lists models.
        ("learned_from", [{"set": "gtzan", "tracks": 5}]),
        ("calibration", 1),
        ("decision", [1]),
        ("version", 10**30),
        ("figures", [{"accuracy": 10**400}]),
        ("figures", [{"accuracy": float("inf")}]),
    ],
)
def test_a_card_that_makes_no_sense_is_refused(model, key, value):
    rewrite(model, **{key: value})
    with pytest.raises(ModelError, match="is not a valid card"):
        read_card(model)


NO_LABELS = {
    "blank": " ",
    "long": "x" * 3_000_000,
    "nul": "Ro\0ck",
    "newline": "Ro\nck",
    "reversed": "Ro\u202eck",
    "two": "Rock; Pop",
    "padded": " Rock ",
    "placeholder": "Unknown",
    "punctuation": "???",
}


@pytest.mark.parametrize("label", NO_LABELS.values(), ids=NO_LABELS)
def test_a_label_that_no_scan_can_write_is_refused_on_a_card(model, label):
    """Regression: such labels went into files, or were written anew at every scan."""
    labels = [label, *read_card(model).labels[1:]]
    rewrite(model, labels=labels)
    with pytest.raises(ModelError, match=r"the label .* cannot be written") as caught:
        read_card(model)
    assert len(str(caught.value)) < 500
    with pytest.raises(ModelError, match="cannot be written"):
        write_model(model.parent / "new", read_card(BUNDLED).data | {"labels": labels}, {})
    assert not (model.parent / "new").exists()
    rewrite_style = {"name": label, "genre": "Rock", "threshold": 0.5}
    shutil.copyfile(BUNDLED / CARD, model / CARD)
    rewrite(model, style=[rewrite_style | {"genre": read_card(model).labels[0]}])
    with pytest.raises(ModelError, match="cannot be written"):
        read_card(model)


@pytest.mark.parametrize("content", ["x = " + "[" * 5000, "x = " + "9" * 5000])
def test_a_card_that_is_too_much_for_its_reader_is_refused(model, content):
    """Regression: RecursionError, and a ValueError that nobody expected."""
    (model / CARD).write_text(content)
    with pytest.raises(ModelError, match="is not a valid card"):
        read_card(model)


def test_links_in_a_circle_are_refused(model):
    (model / "trees.ubj").unlink()
    (model / "trees.ubj").symlink_to("trees.ubj")
    with pytest.raises(ModelError):
        zoo.load(str(model))


def test_labels_that_do_not_fit_the_network_are_refused(model):
    rewrite(model, labels=["Rock", "Pop"])
    with pytest.raises(ModelError, match="must have a name, a slope"):
        zoo.load(str(model))


@settings(max_examples=50)
@given(st.binary(max_size=200))
def test_any_bytes_for_a_card_give_a_typed_error(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("any")
    (folder / CARD).write_bytes(content)
    with pytest.raises(ModelError):
        read_card(folder)


def test_no_such_model_names_those_there_are():
    with pytest.raises(ConfigurationError, match=r"there are: .*cnn") as caught:
        zoo.load("nonsense")
    assert caught.value.exit_status == ExitStatus.USAGE


def test_the_average_over_chunks_is_taken_in_log_space():
    logits = np.log(np.array([[0.9, 0.1], [0.4, 0.6]]))
    expected = np.sqrt([0.9 * 0.4, 0.1 * 0.6])
    np.testing.assert_allclose(
        np.exp(mean_log_probabilities(logits)), expected / expected.sum(), rtol=1e-9
    )
    assert np.isfinite(log_softmax(np.array([1e4, -1e4]))).all()


def test_a_prediction_ranks_its_genres():
    prediction = Prediction(("A", "B", "C"), np.array([0.2, 0.5, 0.3]), "m-1")
    assert (prediction.genre, prediction.runner_up) == ("B", "C")
    assert (prediction.confidence, prediction.runner_up_confidence) == (0.5, 0.3)
