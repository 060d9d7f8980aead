"""Models with a probability of its own for each genre, on small weights made on the spot."""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tagger.models import zoo
from tagger.models.card import read_card, threshold_at
from tagger.models.multi_label import CLIP, MultiLabelWeights
from tagger.models.registry import bundled_folder
from tagger.models.track_features import TrackFeatures
from tagger.sound import demo
from tagger.sound.audio import Excerpt, Sound
from tagger.sound.log_mel_statistics import LOG_MEL_FEATURES, NARROW_BANDS, below_seven_khz
from tagger.sound.spectrogram import N_MELS, LogMel
from tagger.system.errors import ConfigurationError, ModelError
from tagger.training.publish import write_model
from tagger.training.recipes.multi_label import packed

LABELS = ["Jazz", "Polka", "Zydeco"]
N = len(LOG_MEL_FEATURES)


COMPONENTS = 6


def arrays(n_inputs: int = N, n_labels: int = 3, networks: int = 2, units: int = 4) -> dict:
    rng = np.random.default_rng(0)
    exact = {
        "mean": rng.normal(0, 3, n_inputs).astype(np.float32),
        "scale": rng.uniform(0.5, 9, n_inputs).astype(np.float32),
    }
    rough = {
        "projection": rng.normal(0, 0.1, (n_inputs, COMPONENTS)),
        "hidden": rng.normal(0, 0.1, (networks, COMPONENTS, units)),
        "hidden_bias": rng.normal(size=(networks, units)),
        "output": rng.normal(size=(networks, units, n_labels)),
        "output_bias": rng.normal(size=(networks, n_labels)),
    }
    # As they are kept, so that nothing is lost on the way.
    return exact | {name: array.astype(np.float16) for name, array in rough.items()}


def card(**more: object) -> dict:
    return {
        "name": "many",
        "version": 3,
        "kind": "multi-label",
        "labels": LABELS,
        "backbone": "musicnn-1",
        "inputs": ["narrow-log-mel-statistics"],
        "label": [
            {"name": n, "slope": 2.0, "offset": -1.0, "threshold": t}
            for n, t in zip(LABELS, (0.5, 0.6, 0.7), strict=True)
        ],
        **more,
    }


def features(seed: int = 0) -> TrackFeatures:
    db = np.random.default_rng(seed).uniform(-60, 0, (N_MELS, 300)).astype(np.float32)
    return TrackFeatures.from_log_mel(LogMel((db,), (0.0,), 0.0))


def sound() -> TrackFeatures:
    samples = demo.compose("jazz", 0, 8.0)
    return TrackFeatures.from_sound(Sound((Excerpt(samples, 0.0),), 8.0))


def logits(weights: dict, row: np.ndarray) -> np.ndarray:
    loaded = MultiLabelWeights(packed(weights))
    return loaded.logits(loaded.components(row[None]))[0]


def test_it_says_what_numpy_says(tmp_path):
    weights = arrays()
    model = zoo.load_card(write_model(tmp_path / "many", card(), {"w.npz": packed(weights)}))
    said = model.predict(features())
    weights = {name: array.astype(np.float64) for name, array in weights.items()}
    row = features().narrow_statistics.astype(np.float64)
    standard = (row - weights["mean"]) / weights["scale"]
    assert (np.abs(standard) > CLIP).any() and (np.abs(standard) < CLIP).any()
    row = np.clip(standard, -CLIP, CLIP) @ weights["projection"]
    each = [
        np.maximum(row @ weights["hidden"][i] + weights["hidden_bias"][i], 0) @ weights["output"][i]
        + weights["output_bias"][i]
        for i in range(2)
    ]
    expected = 1 / (1 + np.exp(-(2.0 * np.mean(each, axis=0) - 1.0)))
    np.testing.assert_allclose(said.probabilities, expected, rtol=1e-4)
    assert said.independent and said.model == "many-3"
    assert [said.threshold(name) for name in LABELS] == [0.5, 0.6, 0.7]
    assert said.styles == () and said.chunk_probabilities is None


def test_it_asks_each_network_that_its_card_names(tmp_path):
    """Any choice of inputs, in the card's order; what is not asked for is not computed."""
    musicnn, yamnet = zoo.load_backbone("musicnn"), zoo.load_backbone("yamnet")
    views = {
        "embedding-mean": lambda f: musicnn.embed(f).mean(axis=0),
        "embedding-std": lambda f: musicnn.embed(f).std(axis=0),
        "yamnet-embedding": lambda f: yamnet.embed(f).mean(axis=0),
        "yamnet-logits": lambda f: yamnet.outputs(f.yamnet_patches.patches)["tags"].mean(axis=0),
        "narrow-log-mel-statistics": lambda f: f.narrow_statistics,
    }
    expected = {name: view(sound()) for name, view in views.items()}
    both = ["musicnn-1", "yamnet-1"]
    for backbone, inputs in (
        (both, list(views)),
        (both, ["yamnet-logits", "embedding-mean"]),
        ("yamnet-1", ["yamnet-embedding", "narrow-log-mel-statistics"]),
        ("yamnet-1", ["yamnet-logits"]),
        ("musicnn-1", ["embedding-std"]),
    ):
        row = np.concatenate([expected[name] for name in inputs])
        weights = arrays(n_inputs=len(row))
        made = card(backbone=backbone, inputs=inputs)
        model = zoo.load_card(write_model(tmp_path / "many", made, {"w.npz": packed(weights)}))
        heard = sound()
        np.testing.assert_allclose(
            model.scores(heard).track,
            logits(weights, row),
            rtol=1e-4,
            atol=1e-4,
        )
        assert set(heard.embedded) == {backbone} if isinstance(backbone, str) else set(both)
        kept = TrackFeatures.from_kept(heard.kept())
        np.testing.assert_array_equal(model.scores(kept).track, model.scores(heard).track)


def test_inputs_of_a_network_that_the_card_does_not_name_are_refused(tmp_path):
    made = card(inputs=["yamnet-logits"])
    folder = write_model(tmp_path / "many", made, {"w.npz": packed(arrays(521))})
    with pytest.raises(ModelError, match="yamnet must be among the backbones"):
        zoo.load_card(folder)


def test_styles_share_their_genres_probability(tmp_path):
    weights = {**arrays(), "styles": np.zeros((COMPONENTS, 2)), "styles_bias": np.log([0.75, 0.25])}
    style = [{"name": n, "genre": "Polka", "threshold": 0.4} for n in ("Slow", "Fast")]
    folder = tmp_path / "many"
    model = zoo.load_card(write_model(folder, card(style=style), {"w.npz": packed(weights)}))
    said = model.predict(features())
    polka = float(said.probabilities[1])
    assert [s.name for s in said.styles] == ["Slow", "Fast"]
    assert said.styles[0].probability == pytest.approx(0.75 * polka, rel=1e-3)
    assert (said.style_of("Polka") is not None) == (said.styles[0].probability >= 0.4)
    assert said.style_of("Jazz") is None


def test_what_sounds_above_seven_khz_changes_nothing(tmp_path):
    folder = tmp_path / "many"
    model = zoo.load_card(write_model(folder, card(), {"w.npz": packed(arrays())}))
    db = np.random.default_rng(1).uniform(-60, 0, (N_MELS, 300)).astype(np.float32)
    cut = db.copy()
    cut[NARROW_BANDS:] = -80
    wide, narrow = (
        model.scores(TrackFeatures.from_log_mel(LogMel((x,), (0.0,), 0.0))) for x in (db, cut)
    )
    np.testing.assert_array_equal(wide.track, narrow.track)
    assert below_seven_khz([db])[0].max() == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"output": np.zeros((2, 4, 2))}, "do not fit"),
        ({"hidden": np.zeros((2, COMPONENTS + 1, 4))}, "do not fit"),
        ({"scale": np.zeros(N)}, "do not fit"),
        ({"mean": None}, "no array"),
        ({"hidden_bias": np.full((2, 4), np.nan)}, "finite"),
        ({"hidden": None}, "no array"),
        ({"styles": np.zeros((COMPONENTS, 3)), "styles_bias": np.zeros(3)}, "do not fit the card"),
    ],
)
def test_damaged_weights_are_refused(tmp_path, changes, message):
    weights = {k: v for k, v in {**arrays(), **changes}.items() if v is not None}
    made = write_model(tmp_path / "many", card(), {"w.npz": packed(weights)})
    with pytest.raises(ModelError, match=message):
        zoo.load_card(made)


@pytest.mark.parametrize(
    "broken",
    [
        {"label": [{"name": "Jazz", "slope": 1.0, "offset": 0.0, "threshold": 0.5}]},
        {"label": "x"},
        {"label": [{"name": n, "slope": "a", "offset": 0, "threshold": 0.5} for n in LABELS]},
        {"label": [{"name": n, "slope": 1.0, "offset": 0.0, "threshold": 2} for n in LABELS]},
        {"style": [{"name": "Slow", "genre": "Waltz", "threshold": 0.5}]},
        {"style": [{"name": 3, "genre": "Jazz", "threshold": 0.5}]},
        {"backbone": None},
        {"backbone": []},
        {"backbone": ["musicnn-1", "musicnn-1"]},
        {"backbone": ["musicnn-1", 3]},
        {"backbone": ["../musicnn-1"]},
    ],
)
def test_cards_that_make_no_sense_are_refused(tmp_path, broken):
    data = {k: v for k, v in card(**broken).items() if v is not None}
    with pytest.raises(ModelError, match="not a valid card"):
        write_model(tmp_path / "many", data, {"w.npz": packed(arrays())})


def test_a_pickle_in_the_weights_is_not_executed(tmp_path):
    content = io.BytesIO()
    np.savez(content, mean=np.array([print], dtype=object))
    with pytest.raises(ValueError, match="pickle"):
        MultiLabelWeights(content.getvalue())


@pytest.mark.parametrize("name", ["musicnn", "yamnet"])
def test_a_part_of_other_models_is_refused_as_a_model(name):
    with pytest.raises(ModelError, match="part of other models"):
        zoo.load(name)
    assert name not in [c.name for c in zoo.available()]


@pytest.mark.parametrize("name", ["cnn", "fast", "trees", "ensemble"])
def test_the_bundled_models_know_the_same_genres(name):
    folder = Path(bundled_folder()) / name
    made = read_card(folder)
    assert made.independent and made.labels == zoo.find("cnn").labels
    assert "Electronic" in made.labels and len(made.labels) >= 12
    assert all(0 < label.threshold <= 1 for label in made.calibrated_labels)
    assert {"Punk", "Soul", "Latin"} <= set(made.labels) and made.aims


@pytest.mark.parametrize(
    "aims",
    [
        [],
        0.9,
        [0.9, 0.5],
        [[0.9]],
        [[0.9, 0.5, 0.1]],
        [[0.9, "0.5"]],
        [[0.9, float("nan")]],
        [[1.1, 0.5]],
        [[0.8, -0.1]],
        [[0.9, 0.5], [0.8, 0.6]],
        [[0.8, 0.5], [0.8, 0.6]],
        [[0.8, 0.5], [0.9, 0.4]],
    ],
)
def test_aims_that_make_no_sense_are_refused(tmp_path, aims):
    for table in ("label", "style"):
        made = card(style=[{"name": "Bebop", "genre": "Jazz", "threshold": 0.5}])
        for entry in made[table]:
            entry["aims"] = aims
        with pytest.raises(ModelError, match=r"is not a valid card: .*aims"):
            write_model(tmp_path / table, made, {"w.npz": packed(arrays())})


def test_all_labels_have_aims_or_none_has(tmp_path):
    made = card()
    made["label"][0]["aims"] = [[0.9, 0.5]]
    with pytest.raises(ModelError, match="either all calibrated labels have aims, or none"):
        write_model(tmp_path / "many", made, {"w.npz": packed(arrays())})


@pytest.mark.parametrize("written", [None, [[0.7, 0.31], [0.9, 0.63], [0.98, 1]]])
def test_aims_of_a_card_are_those_of_its_predictions(tmp_path, written):
    made = card()
    for entry in made["label"]:
        entry |= {} if written is None else {"aims": written}
    folder = write_model(tmp_path / "many", made, {"w.npz": packed(arrays())}).folder
    model = zoo.load(str(folder))
    said = model.predict(features())
    if written is None:
        assert said.aims == model.card.aims == ()
        with pytest.raises(ConfigurationError, match="many-3 was not measured for --aim"):
            said.aimed(0.9)
        return
    assert said.aims == model.card.aims == (((0.7, 0.31), (0.9, 0.63), (0.98, 1.0)),) * 3
    assert [said.aimed(0.8).threshold(name) for name in LABELS] == pytest.approx([0.47] * 3)
    assert said.aimed(0.99).threshold("Polka") == math.inf
    assert said.threshold("Polka") == 0.6  # as before, without an aim


@st.composite
def measured(draw):
    shares = sorted(draw(st.sets(st.floats(0.5, 0.99), min_size=1, max_size=6)))
    thresholds = sorted(
        draw(st.lists(st.floats(0, 1.2), min_size=len(shares), max_size=len(shares)))
    )
    return tuple(zip(shares, thresholds, strict=True))


@settings(suppress_health_check=[HealthCheck.too_slow])  # on a machine that is busy
@given(measured(), st.floats(0.5, 0.99), st.floats(0.5, 0.99))
def test_a_higher_aim_never_has_a_lower_threshold(aims, one, other):
    low, high = sorted((one, other))
    assert threshold_at(aims, low) <= threshold_at(aims, high) + 1e-12
    for share, threshold in aims:
        assert threshold_at(aims, share) == (
            math.inf if threshold >= 1 else pytest.approx(threshold)
        )
    ends = aims[0][1], aims[-1][1]
    assert all(
        t == math.inf or ends[0] - 1e-12 <= t <= ends[1] + 1e-12
        for t in (threshold_at(aims, low), threshold_at(aims, high))
    )
