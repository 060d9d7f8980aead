"""Making the bundled models: from tracks to folders that scan loads, all with the same genres."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from tagger.models import zoo
from tagger.models.card import OUT_OF_FOLD, read_card
from tagger.models.multi_label import MultiLabelWeights
from tagger.models.track_features import TrackFeatures
from tagger.sound.log_mel_statistics import LOG_MEL_FEATURES
from tagger.sound.spectrogram import N_MELS, LogMel
from tagger.training import multi_label
from tagger.training.bundled import make
from tagger.training.data.company import FILE, read_company
from tagger.training.recipes import multi_label as networks
from tagger.training.recipes import multi_label_trees as trees
from tests.training.recorder import Recorder
from tests.training.test_multi_label import tracks

WIDTHS = {
    **{"embedding": 200, "spread": 200, "yamnet": 1024, "yamnet_logits": 521},
    "narrow": len(LOG_MEL_FEATURES),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    small = tracks(estimated=6)
    wide = {
        name: np.concatenate([getattr(small, name), np.zeros((len(small.items), n - 12))], axis=1)
        for name, n in WIDTHS.items()
    }
    recorder = Recorder()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(make, "DRAWS", 1)  # one draw divides the tracks as several do
        patch.setattr(multi_label, "fold_of", partial(multi_label.fold_of, folds=2))
        patch.setattr(networks, "EPOCHS", 20)
        patch.setattr(networks, "NETWORKS", 1)
        patch.setattr(trees, "ROUNDS", 30)
        work = tmp_path_factory.mktemp("zoo") / "work"
        models = make.make(replace(small, **wide), work, recorder)
    return work, models, recorder.lines


def features() -> TrackFeatures:
    rng = np.random.default_rng(0)
    db = rng.uniform(-60, 0, (N_MELS, 300)).astype(np.float32)
    heard = TrackFeatures.from_log_mel(LogMel((db,), (0.0,), 0.0))
    heard.take(
        {
            "mean musicnn-1": rng.normal(size=200),
            "spread musicnn-1": rng.random(200),
            "mean yamnet-1": rng.random(1024),
            "logits yamnet-1": rng.normal(size=521),
        }
    )
    return heard


def test_every_model_is_there_and_answers(made):
    work, models, _ = made
    assert set(models) == {"cnn", "fast", "trees", "ensemble"}
    for name in ("cnn", "fast", "trees"):
        said = zoo.load_card(read_card(work / name)).predict(features())
        assert said.labels == ("Electronic", "Jazz", "Rock") and said.independent
        assert ((said.probabilities >= 0) & (said.probabilities <= 1)).all()


def test_the_cards_say_what_was_learned_and_measured(made):
    work, models, said = made
    card = read_card(work / "cnn")
    assert card.figures[0]["protocol"] == "artist"
    assert card.figures[0]["n"] == 114, "an embedding that is estimated is not measured on"
    assert card.figures[0]["accuracy"] > 0.8
    assert {row["name"] for row in card.data["label"]} == set(card.labels)
    assert "Polka" not in card.labels and "Folk" in card.data["tried"]
    assert {len(ids) for ids in card.learned_from.values()} == {120, 24}
    assert [style.name for style in card.styles] == ["House", "Techno"]
    assert (work / "cnn" / OUT_OF_FOLD).is_file()
    assert any(line.startswith("left out: Folk") for line in said)
    assert any(line.startswith("ensemble: right, of songs") for line in said)
    measured = models["cnn"][1]
    # Not those whose best guess is left open about them.
    assert 100 < len(measured.tracks) <= 114 and measured.right.mean() > 0.8


def test_the_ensemble_is_measured_on_what_a_scan_joins(made):
    """Its members' probabilities were calibrated by folds, and once more when they were joined."""
    work, _, _ = made
    card = read_card(work / "ensemble")
    joined = []
    for member in card.data["members"]:
        name = member["model"].rpartition("-")[0]
        labels = read_card(work / name).data["label"]
        slopes, offsets = np.array([[label["slope"], label["offset"]] for label in labels]).T
        logits = np.load(work / name / OUT_OF_FOLD)["logits"]
        joined.append(member["weight"] * (logits * slopes + offsets))
    measured = np.load(work / "ensemble" / OUT_OF_FOLD)["logits"]
    np.testing.assert_allclose(measured, sum(joined), rtol=1e-2, atol=1e-2)


def test_the_sample_for_own_genres_is_music_of_other_sets_than_the_reference(made):
    work, _, _ = made
    card = read_card(work / "cnn")
    weights = card.load_weights(MultiLabelWeights)
    small = tracks(estimated=6)
    items = tuple(
        replace(item, source="songs" if i < 60 else "others", artist=f"a{i // 6}")
        for i, item in enumerate(small.items)
    )
    small = replace(small, items=items)
    kinds = list(WIDTHS.values())
    rows = np.random.default_rng(0).normal(size=(len(items), sum(kinds)))
    logits = np.random.default_rng(1).normal(size=(len(items), 3))
    (work / "cnn" / FILE).write_bytes(make.packed_company(small, weights, rows, kinds, logits))
    company = read_company(card)
    chosen = [i for i, item in enumerate(items) if i >= 60 and not item.kind]
    assert [known.genres for known in company.known] == [items[i].known.genres for i in chosen]
    assert [known.open for known in company.known] == [items[i].known.open for i in chosen]
    np.testing.assert_allclose(company.logits, logits[chosen], atol=1e-2)
    components = weights.components(rows[chosen])[:, company.columns]
    np.testing.assert_allclose(company.components, components, rtol=1e-2, atol=1e-2)
    assert len(set(company.artists)) == len({items[i].artist for i in chosen})
