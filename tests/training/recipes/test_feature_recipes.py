"""Recipes on descriptors: each learns, ships in a safe form, and is the same twice."""

from __future__ import annotations

import csv
import sys
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from tagger.models import zoo
from tagger.models.track_features import TrackFeatures
from tagger.sound.descriptors import FEATURES
from tagger.system.errors import ConfigurationError, DataError
from tagger.training import recipes
from tagger.training.data import feature_table
from tagger.training.data.datasets import read_log_mel_archive, targets
from tagger.training.data.feature_table import (
    feature_names,
    learning_table,
    read_feature_table,
    scannable,
)
from tagger.training.measure.evaluate import evaluate_model
from tagger.training.measure.out_of_fold import calibrated
from tagger.training.measure.training_history import read_history
from tagger.training.publish import write_model
from tagger.training.recipes import estimators, on_features
from tagger.training.recipes.estimators import Regression, SupportVectors
from tagger.training.recipes.fitting import Settings
from tagger.training.report.report import learning_pictures
from tagger.training.run import measure, train_model
from tests.training.archives import write_archive
from tests.training.recorder import Recorder

PUBLISHED = [
    *("logistic", "random-forest", "dense"),
    pytest.param("feature-cnn", marks=pytest.mark.slow),
]


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return write_archive(tmp_path_factory.mktemp("sets") / "hills")


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(on_features, "Forest", partial(estimators.Forest, num_parallel_tree=20))
    monkeypatch.setattr(feature_table, "FOREST_TREES", 30)
    monkeypatch.setattr(on_features, "EPOCHS", 20)
    network = partial(estimators.FeatureNetwork, batch=6)
    monkeypatch.setattr(on_features, "FeatureNetwork", network)
    monkeypatch.setitem(estimators.LAYERS, "shallow", (16,))
    monkeypatch.setitem(estimators.LAYERS, "deep", (32, 16))
    monkeypatch.setattr(estimators, "CHANNELS", (4,))


@pytest.fixture
def table(tmp_path):
    """A CSV in the layout of features_30s.csv, with a tracks.csv beside it."""
    rng = np.random.default_rng(0)
    names = ["chroma_stft_mean", "harmony_mean", "tempo", "mfcc1_mean", "mfcc1_var"]
    with (
        (tmp_path / "features.csv").open("w", newline="") as features,
        (tmp_path / "tracks.csv").open("w", newline="") as tracks,
    ):
        rows, about = csv.writer(features), csv.writer(tracks)
        rows.writerow(["filename", "length", *names, "label"])
        about.writerow(["track", "genre", "artist_group", "artist_fold", "fault_filtered_split"])
        for g, genre in enumerate(["hiphop", "jazz"]):
            for i in range(12):
                values = rng.normal(3 * g, 1, len(names)) * [1, 1e-5, 100, 50, 1e4]
                rows.writerow([f"{genre}.{i:05d}.wav", 661794, *values, genre])
                about.writerow([f"{genre}.{i:05d}", genre, i // 2, 1 + i // 2 % 3, "train"])
    return tmp_path / "features.csv"


@pytest.mark.parametrize("recipe", PUBLISHED)
def test_a_recipe_makes_a_model_that_says_what_was_measured(archive, tmp_path, recipe):
    output = tmp_path / recipe
    options = {"variant": "deep"} if recipe == "dense" else {}
    card = train_model(recipe, [archive], output, protocols=["fault-filtered"], **options)
    assert card.figures[0]["accuracy"] > 0.6
    model = zoo.load(str(output))
    examples = read_log_mel_archive(archive)
    fitted = recipes.find(recipe)(examples, Settings(tmp_path / "again", **options))
    said = np.array([model.scores(TrackFeatures.from_log_mel(e.log_mel())).track for e in examples])
    # The same seed and the same data: the published model is the one that is fitted here.
    np.testing.assert_allclose(said, fitted.log_probabilities(examples), atol=1e-4)
    # Its report has what the features are worth, and what they have to do with each other.
    history = read_history(card)
    worth = history.importance
    assert {name for name, _, _ in worth} == set(feature_names(examples))
    assert max(rise for _, _, rise in worth) > 0
    gains = [gain for _, gain, _ in worth]
    assert sum(gains) == pytest.approx(1, abs=1e-3) or recipe != "random-forest"
    assert np.isnan(gains).all() or recipe == "random-forest"
    assert {"importance.png", "correlation.png"} <= {*learning_pictures(history)}
    for name, content in fitted.weights.items():
        if name.endswith(".tflite"):
            continue  # holds names that TensorFlow counts up; what it computes is compared above
        assert (output / name).read_bytes() == content


def test_convolutions_over_features_say_what_was_fitted(archive, tmp_path):
    examples = read_log_mel_archive(archive)
    fitted = recipes.find("feature-cnn")(examples, Settings(tmp_path / "work"))
    card = {"name": "cnn", "version": 1, "labels": list(fitted.labels)} | fitted.card
    write_model(tmp_path / "model", card, fitted.weights)
    model = zoo.load(str(tmp_path / "model"))
    said = np.array([model.scores(TrackFeatures.from_log_mel(e.log_mel())).track for e in examples])
    np.testing.assert_allclose(said, fitted.log_probabilities(examples), atol=1e-4)
    guesses = [fitted.labels[g] for g in said.argmax(axis=1)]
    assert np.mean([g == e.genre for g, e in zip(guesses, examples, strict=True)]) > 0.6


def test_svm_learns_but_is_not_published(archive, tmp_path):
    examples = read_log_mel_archive(archive)
    predictions = measure(on_features.fit_svm, examples, "artist", Settings(tmp_path / "w"))
    assert calibrated({"artist": predictions}, "artist").right.mean() > 0.7
    with pytest.raises(ConfigurationError, match="for benchmarks only"):
        train_model("svm", [archive], tmp_path / "svm")
    assert not (tmp_path / "svm").exists()


@pytest.mark.parametrize("protocol", ["segment-random", "track-random", "fault-filtered"])
def test_every_protocol_measures(archive, tmp_path, protocol):
    examples = read_log_mel_archive(archive)
    predictions = measure(on_features.fit_logistic, examples, protocol, Settings(tmp_path / "w"))
    assert calibrated({protocol: predictions}, protocol).right.mean() > 0.6
    assert (
        len(predictions.tracks)
        == {
            "segment-random": round(0.2 * 3 * 24),
            "track-random": 24,
            "fault-filtered": 6,
        }[protocol]
    )


def test_what_was_measured_is_not_measured_again(archive, tmp_path, monkeypatch):
    examples = read_log_mel_archive(archive)
    settings = Settings(tmp_path / "w", resume=True)
    calls = []

    def fit(part, settings):
        calls.append(settings.description)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return on_features.fit_logistic(part, settings)

    with pytest.raises(KeyboardInterrupt):
        measure(fit, examples, "artist", settings)
    resumed = measure(fit, examples, "artist", settings)
    assert calls == ["artist-1", "artist-2", "artist-2"]
    whole = measure(on_features.fit_logistic, examples, "artist", Settings(tmp_path / "other"))
    np.testing.assert_array_equal(resumed.scores, whole.scores)


SLOW_TO_TUNE = [pytest.param(r, marks=pytest.mark.slow) for r in ("random-forest", "dense")]


@pytest.mark.parametrize("recipe", ["svm", *SLOW_TO_TUNE])
def test_tuning_begins_with_the_recipes_own_choice_and_is_the_same_twice(archive, tmp_path, recipe):
    examples = read_log_mel_archive(archive)
    epochs = 2 if recipe == "dense" else None
    fit = recipes.find(recipe)

    def said(trials: int) -> np.ndarray:
        settings = Settings(tmp_path, tune=trials, epochs=epochs, seed=5)
        return fit(examples, settings).log_probabilities(examples)

    np.testing.assert_array_equal(said(0), said(1))
    np.testing.assert_array_equal(said(3), said(3))


def test_a_choice_of_features(archive, tmp_path):
    examples = read_log_mel_archive(archive)
    chosen = on_features.fit_logistic(examples, Settings(tmp_path, select=7))
    assert len(chosen.features) == 7
    assert list(chosen.features) == [n for n in feature_names(examples) if n in chosen.features]
    mfcc = on_features.fit_logistic(examples, Settings(tmp_path, variant="mfcc"))
    assert mfcc.features and all("mfcc" in name for name in mfcc.features)


def test_altered_copies_stay_with_their_artist(archive, tmp_path):
    examples = read_log_mel_archive(archive)
    labels = ("Blues", "Jazz", "Rock")
    plain = learning_table(examples, Settings(tmp_path))
    more = learning_table(examples, Settings(tmp_path, augment=True))
    copies = feature_table.COPIES
    assert len(more.rows) == len(plain.rows) * (1 + copies) == len(more.examples)
    np.testing.assert_array_equal(more.rows[: len(plain.rows)], plain.rows)
    np.testing.assert_array_equal(more.target, targets(more.examples, labels))
    assert more.examples[len(plain.rows)] is examples[0]
    assert not np.allclose(more.rows[len(plain.rows)], plain.rows[0], atol=1e-3)
    again = learning_table(examples, Settings(tmp_path, augment=True))
    np.testing.assert_array_equal(more.rows, again.rows)


def test_a_table_brings_features_artists_and_splits(table):
    examples = read_feature_table(table)
    assert len(examples) == 24
    assert examples[0].track == "hiphop.00000" and examples[0].genre == "Hip-Hop"
    assert examples[3].artist == f"{table.parent.name}:1" and examples[3].fold == "2"
    assert examples[0].split == "train"
    assert feature_names(examples)[1] == "harmony_mean"


def test_segments_of_a_table_are_known_as_such(tmp_path):
    """Regression: under track-random a recording's segments were on both sides."""
    names = ("blues.00000.0", "blues.00000.1", "blues.00001", "jazz.7", "jazz.8")
    lines = [f"{name}.wav,{i},{name.split('.')[0]}" for i, name in enumerate(names)]
    (tmp_path / "features_3_sec.csv").write_text("\n".join(["filename,tempo,label", *lines]))
    examples = read_feature_table(tmp_path / "features_3_sec.csv")
    assert [e.recording for e in examples] == ["blues.00000", "blues.00000", "", "", ""]


@pytest.mark.parametrize("recipe", ["svm", "random-forest"])
def test_there_may_be_nothing_to_tune_by(archive, tmp_path, recipe):
    """Regression: one artist a genre ended in a traceback."""
    examples = [replace(e, artist=e.genre) for e in read_log_mel_archive(archive)]
    with pytest.raises(DataError, match="nothing to tune by"):
        recipes.find(recipe)(examples, Settings(tmp_path, tune=2))


@pytest.mark.parametrize("recipe", ["logistic", "random-forest", "boosted-trees"])
def test_a_model_from_a_table_runs_on_sound(table, tmp_path, recipe):
    recorder = Recorder()
    card = train_model(recipe, [table], tmp_path / "m", protocols=["artist"], reporter=recorder)
    assert card.figures[0]["accuracy"] > 0.8
    assert card.data["features"] == ["chroma_stft_mean", "tempo", "mfcc1_mean", "mfcc1_var"]
    assert recorder.lines == ["left out: features that a scan does not compute: harmony_mean"]
    described = np.zeros(len(FEATURES), dtype=np.float32)
    features = TrackFeatures(lambda: pytest.fail("no need of the spectrogram"), lambda: described)
    scores = zoo.load(str(tmp_path / "m")).scores(features)
    assert card.labels == ("Hip-Hop", "Jazz") and scores.track.argmax() == 0


def test_a_model_is_measured_on_a_table_that_has_what_it_looks_at(table, tmp_path):
    train_model("boosted-trees", [table], tmp_path / "trees")
    hills = write_archive(tmp_path / "hills", genres=("hiphop", "jazz"))
    train_model("logistic", [hills], tmp_path / "of-spectrograms")
    evaluation = evaluate_model(zoo.load(str(tmp_path / "trees")), table)
    assert evaluation.measured.right.mean() > 0.9
    assert len(evaluation.seen_in_training) == 24
    together = set(evaluation.learning.correlation.names)
    assert together == {"chroma_stft_mean", "tempo", "mfcc1_mean", "mfcc1_var"}
    with pytest.raises(DataError, match=r"the table lacks mel_.* needs"):
        evaluate_model(zoo.load(str(tmp_path / "of-spectrograms")), table)
    with pytest.raises(DataError, match=r"fast-\d+ cannot be measured on it: .* needs the audio"):
        evaluate_model(zoo.load("fast"), table)
    # Beside an archive of the same tracks the table is found, and both kinds can be measured.
    with pytest.raises(DataError, match="needs the audio itself"):
        evaluate_model(zoo.load(str(tmp_path / "trees")), hills)
    (hills / feature_table.TABLE).write_bytes(table.read_bytes())
    assert len(evaluate_model(zoo.load(str(tmp_path / "trees")), hills).measured.tracks) == 16
    assert len(evaluate_model(zoo.load("fast"), hills).measured.tracks) == 16


def test_what_no_scan_computes_is_learned_from_in_benchmarks_only(table, tmp_path):
    examples, settings = read_feature_table(table), Settings(tmp_path)
    assert "harmony_mean" in learning_table(examples, settings).names
    kept = scannable(examples)
    assert "harmony_mean" not in learning_table(kept, settings).names


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "has no rows"),
        ("a,b\n1,2\n", "has no rows with the columns filename and label"),
        ("filename,x,label\na.wav,much,jazz\n", "line 2 .* not a number"),
        ("filename,x,label\na.wav,1,jazz\nb.wav,nan,jazz\n", "line 3 .* not a finite number"),
        ("filename,x,label\na.wav,1,jazz,7\n", "has no rows with the columns"),
        ("filename,x,label\na.wav,1\n", "line 2 has no label"),
        ("filename,x,label\na.wav,1,jazz\n,1,jazz\n", "line 3 has no filename"),
    ],
)
def test_a_table_that_makes_no_sense_is_named(tmp_path, content, reason):
    file = tmp_path / "features.csv"
    file.write_text(content)
    with pytest.raises(DataError, match=reason) as caught:
        read_feature_table(file)
    assert caught.value.path == str(file)


def test_a_table_saved_by_a_spreadsheet_begins_with_a_mark(tmp_path):
    file = tmp_path / "features.csv"
    file.write_text("\ufefffilename,x,label\na.wav,1,jazz\n", encoding="utf-8")
    assert read_feature_table(file)[0].track == "a"


@pytest.mark.parametrize("recipe", ["logistic", "boosted-trees"])
def test_a_table_without_features_is_refused(tmp_path, recipe):
    file = tmp_path / "features.csv"
    file.write_text("filename,label\na.wav,jazz\nb.wav,rock\n")
    with pytest.raises(DataError, match="no feature to learn from"):
        train_model(recipe, [file], tmp_path / "m")


@pytest.mark.parametrize(
    ("recipe", "options", "package"),
    [
        ("chunk-cnn", {}, "Keras"),
        ("dense", {}, "Keras"),
        ("feature-cnn", {}, "Keras"),
        ("transfer", {"weights": "none"}, "Keras"),
        ("random-forest", {}, "XGBoost"),
        ("svm", {"tune": 3}, "Optuna"),
    ],
)
def test_a_package_that_is_not_there_is_noticed_before_anything_is_heard(
    tmp_path, monkeypatch, recipe, options, package
):
    monkeypatch.setitem(sys.modules, package.lower(), None)
    who = "--tune" if "tune" in options else f"the recipe {recipe}"
    with pytest.raises(ConfigurationError, match=f"{who} needs {package}"):
        recipes.find(recipe, Settings(tmp_path, **options))


@pytest.mark.parametrize(
    ("recipe", "options"),
    [
        ("chunk-cnn", {}),
        ("transfer", {"weights": "none"}),
        ("head", {}),
        ("logistic", {"augment": True}),
    ],
)
def test_a_recipe_on_spectrograms_says_that_tables_have_none(table, tmp_path, recipe, options):
    examples = read_feature_table(table)
    with pytest.raises(DataError, match=r"has no spectrogram|there is no embedding"):
        recipes.find(recipe)(examples, Settings(tmp_path, epochs=1, **options))


@pytest.mark.parametrize(
    ("recipe", "options", "reason"),
    [
        ("nonsense", {}, "there is no recipe"),
        ("head", {"tune": 3}, "does not support --tune"),
        ("logistic", {"epochs": 3}, "does not support --epochs"),
        ("chunk-cnn", {"select": 3}, "does not support --select"),
        ("dense", {"variant": "huge"}, "has no variant 'huge'"),
        ("chunk-cnn", {"variant": "huge"}, "has no variant 'huge'"),
        ("dense", {"weights": "none"}, "does not support --weights"),
    ],
)
def test_options_that_a_recipe_does_not_know_are_refused_at_once(tmp_path, recipe, options, reason):
    with pytest.raises(ConfigurationError, match=reason):
        train_model(recipe, [tmp_path / "not even there"], tmp_path / "m", **options)


@pytest.mark.parametrize(
    "estimator",
    [
        estimators.Regression(),
        estimators.SupportVectors(),
        estimators.Forest(num_parallel_tree=10),
        estimators.BoostedTrees(),
        estimators.FeatureNetwork(learning_rate=0.01, batch=4, epochs=20),
    ],
    ids=lambda e: type(e).__name__,
)
def test_an_estimator_goes_where_scikit_learn_takes_one(estimator):
    from sklearn.base import clone
    from sklearn.model_selection import cross_val_score

    rng = np.random.default_rng(0)
    genres = np.repeat(["Blues", "Rock"], 20)  # also of two classes, and by name
    rows = rng.normal(0, 1, (40, 6)) + 4 * (genres == "Rock")[:, None]
    copy = clone(estimator)
    assert copy.get_params() == estimator.get_params()
    assert cross_val_score(copy, rows, genres, cv=2).min() > 0.9
    probabilities = copy.fit(rows, genres).predict_proba(rows)
    assert copy.classes_.tolist() == ["Blues", "Rock"] and probabilities.shape == (40, 2)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)


def test_regression_agrees_with_scikit_learn_of_two_and_of_three_classes():
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    rng = np.random.default_rng(0)
    for n_classes, twice in ((2, 2.0), (3, 1.0)):  # two columns share the penalty of one
        target = np.arange(45) % n_classes
        rows = rng.normal(target[:, None], 1, (45, 5))
        standard = StandardScaler().fit_transform(rows)
        expected = LogisticRegression(C=twice * 0.1, tol=1e-8).fit(standard, target)
        found = estimators.Regression(0.1).fit(rows, target).predict_proba(rows)
        np.testing.assert_allclose(found, expected.predict_proba(standard), atol=1e-4)


def test_a_recipe_is_found_by_its_old_name(archive, tmp_path):
    recorder = Recorder()
    assert recipes.current_name("cnn", recorder) == "chunk-cnn"
    assert recorder.lines == ["the recipe cnn is called chunk-cnn now"]
    with pytest.raises(ConfigurationError, match="the recipe chunk-cnn does not support --select"):
        train_model("cnn", [archive], tmp_path / "m", select=3)


@pytest.mark.parametrize("make", [Regression, SupportVectors])
def test_no_feature_without_spread_runs_away(make):
    """Regression: one with a spread of 7e-9 in a fold gave logits of 1e7 on other tracks."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(60, 5))
    genres = np.array(["Jazz", "Polka"])[(rows[:, 0] > 0).astype(int)]
    rows[:, 4] = 1.0 + 7e-9 * rng.normal(size=60)
    fitted = make().fit(rows, genres)
    other = rng.normal(size=(60, 5))  # where that feature is as wide as the others
    said = fitted.predict_log_proba(other)
    assert said.min() > -50
    right = np.array(["Jazz", "Polka"])[(other[:, 0] > 0).astype(int)] == fitted.predict(other)
    assert right.mean() > 0.8
