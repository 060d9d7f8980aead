"""The boosted-trees recipe, end to end at small size, and what its runner refuses."""

from __future__ import annotations

import csv
import hashlib
import shutil
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
import tomli_w
import xgboost

from tagger.models import ubjson, zoo
from tagger.models.boosted_trees import Trees
from tagger.models.card import CARD, read_card
from tagger.models.track_features import TrackFeatures
from tagger.models.ubjson import read_trees
from tagger.sound import demo
from tagger.sound.audio import Excerpt, Sound
from tagger.sound.log_mel_statistics import LOG_MEL_FEATURES
from tagger.system.errors import DataError, ModelError
from tagger.training.data import feature_table
from tagger.training.data.datasets import labels_of, read_log_mel_archive
from tagger.training.measure import splits
from tagger.training.measure.evaluate import evaluate_model
from tagger.training.publish import write_model
from tagger.training.recipes import estimators, on_features
from tagger.training.recipes.fitting import Settings
from tagger.training.recipes.on_features import fit_boosted_trees
from tagger.training.run import train_model
from tests.training.archives import write_archive


@pytest.fixture(scope="module", autouse=True)
def small():
    patch = pytest.MonkeyPatch()
    patch.setattr(estimators, "ROUNDS", 12)
    patch.setattr(estimators, "PATIENCE", 4)
    patch.setattr(on_features, "WINDOWS", 1)
    patch.setattr(feature_table, "FOREST_TREES", 20)
    yield
    patch.undo()


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return write_archive(tmp_path_factory.mktemp("sets") / "hills", tracks_per_genre=12)


@pytest.fixture(scope="module")
def examples(archive):
    return read_log_mel_archive(archive)


@pytest.fixture(scope="module")
def trained(archive, tmp_path_factory):
    output = tmp_path_factory.mktemp("models") / "hills-trees"
    train_model("boosted-trees", [archive], output, protocols=["artist"], name="hills")
    return output


def test_a_trained_model_runs_from_its_folder_and_learned_what_can_be_learned(trained, tmp_path):
    assert {"card.toml", "importance.csv", "trees.ubj"} <= {p.name for p in trained.iterdir()}
    model = zoo.load(str(trained))
    assert model.card.kind == "boosted-trees"
    fresh = write_archive(tmp_path / "fresh", tracks_per_genre=4, seed=9)
    assert evaluate_model(model, fresh).metrics()["accuracy"] > 0.8


def test_its_report_says_which_features_matter(trained):
    with (trained / "importance.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert {row["feature"] for row in rows} == set(LOG_MEL_FEATURES)
    gains = [float(row["gain"]) for row in rows]
    assert sum(gains) == pytest.approx(1, abs=1e-3) and gains == sorted(gains, reverse=True)
    assert max(float(row["permutation"]) for row in rows) > 0


def test_what_is_measured_is_what_ships(trained, examples, tmp_path):
    fitted = fit_boosted_trees(examples, Settings(tmp_path))
    card = {"name": "again", "version": 1, "labels": list(fitted.labels)} | fitted.card
    write_model(tmp_path / "again", card, fitted.weights)
    model = zoo.load(str(tmp_path / "again"))
    said = [model.scores(TrackFeatures.from_log_mel(e.log_mel())).track for e in examples[:6]]
    np.testing.assert_allclose(said, fitted.log_probabilities(examples[:6]), atol=1e-6)
    np.testing.assert_allclose(np.exp(said).sum(axis=1), 1)


def test_same_seed_same_trees(examples, tmp_path):
    first, again, other = (
        fit_boosted_trees(examples, Settings(tmp_path, seed=seed)).weights for seed in (3, 3, 4)
    )
    assert first == again != other


def test_artists_set_aside_are_not_learned_from(examples):
    *_, folds = on_features.windows(examples, Settings(work=None))
    artist = np.repeat([e.artist for e in examples], 2)
    assert len(folds) == splits.FOLDS
    for learn, aside in folds:
        assert not set(artist[learn]) & set(artist[aside])
        assert (aside % 2 == 0).all()  # whole tracks, not windows
    assert sorted(np.concatenate([aside for _, aside in folds])) == list(range(0, 72, 2))


def test_other_sets_are_learned_from_but_never_set_aside(examples):
    others = [replace(e, source="other", artist=None) for e in examples]
    _, _, weight, folds = on_features.windows([*examples, *others], Settings(work=None))
    for learn, aside in folds:
        assert aside.max() < 72 and set(range(72, 144)) <= set(learn)
    assert weight[72:].sum() == pytest.approx(on_features.OTHER_SETS_WEIGHT * weight[:72].sum())


def test_selected_features_are_the_model_s_only_inputs(examples, tmp_path):
    fitted = fit_boosted_trees(examples, Settings(tmp_path, select=9))
    assert len(fitted.features) == 9 and set(fitted.features) <= set(LOG_MEL_FEATURES)
    assert fitted.card["features"] == list(fitted.features)
    guesses = fitted.log_probabilities(examples).argmax(axis=1)
    assert [fitted.labels[g] for g in guesses] == [e.genre for e in examples]


def test_tuning_starts_from_the_recipe_s_own_parameters(examples, tmp_path):
    own = fit_boosted_trees(examples, Settings(tmp_path))
    tuned = fit_boosted_trees(examples, Settings(tmp_path, tune=3))
    assert tuned.card["training"]["optuna_trials"] == 3
    assert tuned.card["training"]["parameters"].keys() == {
        n.rstrip("_") for n in estimators.BoostedTrees.ranges
    }
    loss = "log_loss_on_artists_set_aside"
    assert tuned.card["training"][loss] <= own.card["training"][loss]


def rewrite(model, **changes):
    (model / CARD).write_text(tomli_w.dumps(read_card(model).data | changes), encoding="utf-8")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features": ["mel_mfcc1_mean"]}, "410 inputs for 1 features"),
        ({"features": ["nonsense"] * 410}, "unknown feature"),
        ({"features": "mel_mfcc1_mean"}, "names no features"),
        ({"features": [1, 2]}, "names no features"),
        ({"labels": ["A", "B"]}, "3 outputs for 2 labels"),
    ],
)
def test_a_card_that_does_not_fit_the_trees_is_refused(trained, tmp_path, changes, message):
    model = shutil.copytree(trained, tmp_path / "model")
    rewrite(model, **changes)
    with pytest.raises(ModelError, match=message):
        zoo.load(str(model))


@pytest.mark.parametrize("content", [b"", b"{}", b"not trees" * 99, b"\x80\x04K\x01."])
def test_weights_that_are_no_trees_are_refused(trained, tmp_path, content):
    model = shutil.copytree(trained, tmp_path / "model")
    (model / "trees.ubj").write_bytes(content)
    with pytest.raises(ModelError, match="is not the file that the model's card names"):
        zoo.load(str(model))
    digest = hashlib.sha256(content).hexdigest()
    rewrite(model, weights={"file": "trees.ubj", "sha256": digest})
    with pytest.raises(ModelError, match="the weights are not valid"):
        zoo.load(str(model))


def test_trees_say_what_xgboost_says(trained):
    card = read_card(trained)
    rng = np.random.default_rng(0)
    rows = rng.normal(0, 30, (40, len(card.data["features"]))).astype(np.float32)
    rows[::3][rng.random(rows[::3].shape) < 0.1] = np.nan
    booster = xgboost.Booster()
    booster.load_model(bytearray(card.weights()))
    expected = booster.inplace_predict(rows, predict_type="margin")
    found = Trees(card.weights(), len(card.data["features"])).logits(rows)
    assert found.shape == expected.shape and found.std() > 0.1
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_trees_on_logits_of_a_pretrained_network(trained, tmp_path):
    """Its columns are chosen by name and mixed with others; without the backbone it is refused."""
    model = tmp_path / "trees"
    shutil.copytree(trained, model)
    network = zoo.load_backbone("yamnet")
    names = list(LOG_MEL_FEATURES)
    names[::3] = [f"yamnet_{label}" for label in network.card.labels[: len(names[::3])]]
    rewrite(model, features=names)
    with pytest.raises(ModelError, match="unknown feature 'yamnet_Speech'"):
        zoo.load(str(model))
    rewrite(model, features=names, backbone="yamnet-1")
    sound = Sound((Excerpt(demo.compose("jazz", 0, 6.0), 0.0),), 6.0)
    features = TrackFeatures.from_sound(sound)
    logits = network.outputs(features.yamnet_patches.patches)["tags"].mean(axis=0)
    row = features.log_mel_statistics.copy()
    row[::3] = logits[: len(row[::3])]
    expected = Trees((model / "trees.ubj").read_bytes(), len(row)).logits(row[None])[0]
    found = zoo.load(str(model)).scores(TrackFeatures.from_sound(sound)).track
    np.testing.assert_allclose(np.diff(found), np.diff(expected), atol=1e-4)


def test_damaged_trees_are_refused_or_run(trained):
    """A wrong index must lead nowhere."""
    card = read_card(trained)
    content, n_features = card.weights(), len(card.data["features"])
    rng, n_run = np.random.default_rng(0), 0
    for _ in range(150):
        damaged = bytearray(content)
        if rng.random() < 0.1:
            del damaged[int(rng.integers(1, len(damaged))) :]
        for _ in range(int(rng.integers(1, 4))):
            damaged[int(rng.integers(len(damaged)))] = int(rng.integers(256))
        with suppress(ValueError):  # where only a number changed, they are still trees
            said = Trees(bytes(damaged), n_features).logits(np.zeros((1, n_features), np.float32))
            assert np.isfinite(said).all()
            n_run += 1
    assert n_run


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("left_children", 0),  # a way down without end
        ("left_children", 10**6),
        ("right_children", -7),
        ("split_indices", 410),
        ("split_indices", -1),
        ("parents", 10**6),
        ("split_type", 1),
        ("split_conditions", np.nan),
    ],
)
def test_trees_whose_parts_do_not_fit_are_refused(trained, monkeypatch, key, value):
    document = ubjson.parse(read_card(trained).weights())
    tree = document["learner"]["gradient_booster"]["model"]["trees"][0]
    tree[key] = tree[key].copy()
    tree[key][0] = value
    monkeypatch.setattr(ubjson, "parse", lambda content: document)
    with pytest.raises(ValueError):
        read_trees(b"", 410)


def test_a_name_that_is_no_text_is_learned_from(examples, tmp_path):
    odd = [replace(examples[0], track="a\udcff"), *examples[1:]]
    assert fit_boosted_trees(odd, Settings(tmp_path)).labels == labels_of(examples)


def test_two_artists_are_enough_and_one_is_too_few_to_set_aside(examples, tmp_path):
    two = [replace(e, artist=str(i % 2)) for i, e in enumerate(examples)]
    assert fit_boosted_trees(two, Settings(tmp_path)).labels == labels_of(examples)
    with pytest.raises(DataError, match="too little to set anything aside"):
        fit_boosted_trees([replace(e, artist="one") for e in examples], Settings(tmp_path))
