"""Ensembles: weights chosen on other tracks, one card without weights of its own."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from tagger.models import zoo
from tagger.models.card import CARD, OUT_OF_FOLD
from tagger.system.errors import DataError, ModelError
from tagger.training.ensemble import best_weights, train_ensemble
from tagger.training.measure.calibrate import apply_temperature
from tagger.training.measure.out_of_fold import (
    OutOfFoldPredictions,
    calibrated,
    described,
    pack,
    unpack,
)
from tagger.training.publish import write_model

LABELS = ("Blues", "Jazz", "Rock")


def predictions(skill: float, seed: int, protocol: str = "artist") -> OutOfFoldPredictions:
    truth = np.arange(240) % 3
    rng = np.random.default_rng(seed)
    logits = rng.standard_normal((240, 3)) + skill * np.eye(3)[truth]
    folds = [f"artist-{i // 80}" for i in range(240)] if protocol == "artist" else ["only"] * 240
    tracks = tuple(map(str, range(240)))
    return OutOfFoldPredictions(
        LABELS, tracks, truth, np.log(apply_temperature(logits, 1.0)), folds
    )


@pytest.fixture
def members(tmp_path, monkeypatch):
    """Two measured models in the user's zoo. Nobody runs them: their weights are no networks."""
    monkeypatch.setattr(zoo, "user_folder", lambda: tmp_path / "zoo")
    for name, seed in (("one", 1), ("two", 2)):
        by_protocol = {"artist": predictions(1.5, seed)}
        write_model(
            tmp_path / "zoo" / name,
            {
                "name": name,
                "version": 3,
                "kind": "cnn",
                "labels": list(LABELS),
                "learned_from": [{"set": "s", "terms": "t", "tracks": [name, "both"]}],
                **described(by_protocol),
            },
            {"cnn.tflite": b"weights"},
            {OUT_OF_FOLD: pack(by_protocol)},
        )
    return ["one", "two"]


def test_the_better_member_weighs_more_and_useless_ones_nothing():
    everywhere = np.ones(240, dtype=bool)
    better = best_weights([predictions(2.5, 1), predictions(1.0, 2)], everywhere)
    assert better[0] > better[1] and better.sum() == pytest.approx(1)
    useless = best_weights([predictions(2.5, 1), predictions(0.0, 2)], everywhere)
    assert useless[0] >= 0.9


def test_outcomes_survive_the_file(tmp_path):
    before = {
        "artist": predictions(1.0, 0),
        "fault-filtered": predictions(1.0, 1, "fault-filtered"),
    }
    (tmp_path / "o.npz").write_bytes(pack(before))
    after = unpack(tmp_path / "o.npz", LABELS)
    assert list(after) == list(before)
    for protocol, expected in before.items():
        assert after[protocol].tracks == expected.tracks
        assert after[protocol].folds == expected.folds
        np.testing.assert_allclose(after[protocol].scores, expected.scores, atol=1e-5)


def test_the_track_that_set_the_threshold_is_named():
    """Regression: rounded up, a perfect model's threshold was 1.0, and it named nothing."""
    scores = np.log(np.tile([0.99996, 0.00002, 0.00002], (40, 1)))
    folds = [str(i % 2) for i in range(40)]
    tracks = tuple(map(str, range(40)))
    predictions = OutOfFoldPredictions(LABELS, tracks, np.zeros(40, dtype=int), scores, folds)
    [row] = described({"artist": predictions})["figures"]
    threshold = described({"artist": predictions})["decision"]["threshold"]
    assert (calibrated({"artist": predictions}, "artist").confidences >= threshold).all()
    assert row["coverage_at_80_percent_precision"] == 1.0


def test_an_ensemble_is_a_few_lines_in_a_card(members, tmp_path):
    card = train_ensemble(members, tmp_path / "zoo" / "both")
    assert card.kind == "ensemble" and card.uses == ("one-3", "two-3")
    assert sum(m["weight"] for m in card.data["members"]) == pytest.approx(1)
    assert card.learned_from["s"] == {"one", "two", "both"}
    [row] = card.figures
    single = max(zoo.find(m).figures[0]["accuracy"] for m in members)
    assert row["accuracy"] > single - 0.02
    assert "weights" not in card.data


def test_a_fold_has_no_say_in_its_own_weights(members, tmp_path):
    """Whatever is in a fold, the weights that it is measured with stay."""
    first, second = (unpack(zoo.find(m).folder / OUT_OF_FOLD, LABELS)["artist"] for m in members)
    inside = np.array(first.folds) == "artist-0"
    before = best_weights([first, second], ~inside)
    first.scores[inside] = np.log(1 / 3)
    np.testing.assert_array_equal(before, best_weights([first, second], ~inside))


def test_members_must_have_names_of_their_own_and_be_no_ensembles(members, tmp_path):
    """Regression: two versions of one model overwrote each other, and all seemed well."""
    other = tmp_path / "later"
    shutil.copytree(tmp_path / "zoo" / "two", other)
    (other / CARD).write_text((other / CARD).read_text().replace("version = 3", "version = 4"))
    with pytest.raises(DataError, match="the same name"):
        train_ensemble(["two", str(other)], tmp_path / "out")
    train_ensemble(members, tmp_path / "zoo" / "both")
    with pytest.raises(DataError, match="cannot be a member of another"):
        train_ensemble(["both", "one"], tmp_path / "out")


def test_members_that_were_not_measured_make_no_ensemble(members, tmp_path):
    (tmp_path / "zoo" / "two" / OUT_OF_FOLD).unlink()
    with pytest.raises(DataError):
        train_ensemble(members, tmp_path / "both")


def test_an_ensemble_of_another_version_of_its_member_is_refused(members, tmp_path):
    card = train_ensemble(members, tmp_path / "zoo" / "both")
    text = (card.folder / CARD).read_text().replace("one-3", "one-4")
    (card.folder / CARD).write_text(text)
    with pytest.raises(ModelError, match="needs one-4, not one-3"):
        zoo.load("both")


def test_members_that_do_not_come_with_gtag_come_along(members, tmp_path):
    """Regression: a member called cnn, in a folder of its own, was run as gtag's own cnn."""
    mine = tmp_path / "elsewhere"
    (tmp_path / "zoo" / "two").rename(mine)
    card = (mine / CARD).read_text().replace('name = "two"', 'name = "cnn"')
    (mine / CARD).write_text(card)
    train_ensemble(["one", str(mine)], tmp_path / "out")
    used = zoo.used_by(zoo.find(str(tmp_path / "out")))
    assert [card.folder for card in used] == [tmp_path / "out" / "one", tmp_path / "out" / "cnn"]
    with pytest.raises(DataError, match="the same name"):
        train_ensemble([str(mine), str(mine)], tmp_path / "out")
