"""Own genres beside the bundled ones: silent about other music, and never surer than they may be.

The trials on real clips are those of a collector: three genres of nine clips each, then other
music. The clips are among those that the bundled model learned from, so that figures on tracks that
nobody learned from are the learning curve's, which the sample beside the model gives.
"""

from __future__ import annotations

import csv
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from mediafile import MediaFile

from tagger.deciding.decide import Policy, named_genres
from tagger.models import zoo
from tagger.models.card import OUT_OF_FOLD
from tagger.models.track_features import TrackFeatures
from tagger.sound.audio import read_excerpts
from tagger.system.errors import ConfigurationError, DataError
from tagger.training import own_genres
from tagger.training.bundled import learning_curve
from tagger.training.data.company import read_company
from tagger.training.data.datasets import read_arrays
from tagger.training.data.load_examples import Sources
from tagger.training.multi_label import NOT_NAMED, fold_of
from tagger.training.own_genres import FOREIGN, OUTSIDE, judge
from tagger.training.recipes import own
from tagger.training.run import train_model
from tests.training.recorder import Recorder


def drawn(genres: list[str], size: int, names: list[str]) -> tuple[own.Lesson, np.ndarray]:
    """Some tracks of the sample as a person's own, and their folds."""
    company = read_company(own.base())
    truth = np.array([[float(g in known.genres) for g in genres] for known in company.known])
    chosen = learning_curve._drawn(truth, np.ones(len(truth), dtype=bool), size, 0)
    rest = company.only(truth.sum(axis=1) == 0)
    lesson = own.lesson_of(tuple(names), truth[chosen], own.rows_of(company)[chosen], rest)
    return lesson, fold_of([company.artists[i] for i in chosen], folds=3)


def test_the_sample_that_ships_is_of_the_model_that_ships():
    """After another training of the bundled models it has to be written anew."""
    company = read_company(own.base())
    logits, _ = read_arrays(own.base().folder / OUT_OF_FOLD, ("logits", "targets"))
    there = {row.tobytes() for row in logits.astype(np.float16)}
    assert all(row.tobytes() in there for row in company.logits.astype(np.float16))
    assert len(company.known) > 2000 and "Folk" not in own.base().labels
    assert {"Folk", "Comedy", "Jazz"} <= {g for known in company.known for g in known.genres}


def test_names_that_gtag_does_not_know_are_learned_and_other_music_is_not_named():
    lesson, folds = drawn(["Classical", "Hip-Hop", "Metal"], 15, ["Loud", "Salon", "Street"])
    judged = judge(lesson, folds)
    named, of = judged.report.shares[FOREIGN]
    assert of > 300 and named <= OUTSIDE * of
    right, n = judged.report.shares[own_genres.RIGHT]
    assert n > 15 and right >= 0.9 * n
    lowest = own.base().thresholds.min()
    assert all(lowest <= f.threshold < 1 for f in judged.figures)


def test_too_few_tracks_are_named_only_if_asked_for():
    lesson, folds = drawn(["Classical", "Metal"], 4, ["Loud", "Salon"])
    judged = judge(lesson, folds)
    assert all(f.threshold == NOT_NAMED for f in judged.figures)
    recorder = Recorder()
    own_genres._tell(lesson, judged, "artist", recorder)
    assert recorder.lines == [
        "WARNING: too few tracks to know when these are right: Loud, Salon. A scan names them only "
        "with --min-confidence"
    ]


def test_a_genre_with_few_tracks_keeps_the_bundled_decision_under_its_own_name():
    lesson, folds = drawn(["Hip-Hop", "Metal"], 8, ["Rap", "Doomy"])
    assert lesson.known == {0: own.base().labels.index("Hip-Hop")} and lesson.kept == (0,)
    rap = judge(lesson, folds).figures[0]
    bundled = own.base().calibrated_labels[lesson.known[0]]
    assert (rap.label, rap.threshold, rap.aims) == ("Rap", bundled.threshold, bundled.aims)
    fitted = lesson.fit(lesson.rows, lesson.table, lesson.weights)
    company = lesson.rows[:, -len(own.base().labels) :]
    said = company[:, lesson.known[0]]
    logits = fitted(lesson.rows)[:, 0]
    kept = logits == said
    assert kept.mean() > 0.9, "but where another genre is sure, and surer"
    assert (company[~kept].max(axis=1) >= said[~kept]).all()


def test_where_a_bundled_genre_is_sure_an_own_one_is_silent():
    """Rap is not written where the bundled model hears Disco; Hip-Hop does not silence it."""
    lesson, _ = drawn(["Hip-Hop", "Metal"], 40, ["Rap", "Loud"])
    assert lesson.known and not lesson.kept
    fitted = lesson.fit(lesson.rows, lesson.table, lesson.weights)
    disco, hip_hop = (own.base().labels.index(g) for g in ("Disco", "Hip-Hop"))
    assert fitted.silenced_from[disco, 0] < 2 < fitted.silenced_from[hip_hop, 0]
    row = lesson.rows[lesson.table[:, 0] == 1][:1].copy()
    company = row[:, -len(own.base().labels) :]
    company[:] = -4.0
    company[0, hip_hop] = 5.0
    eager = replace(fitted, bias=fitted.bias + 2 - fitted(row)[0])
    assert eager(row)[0, 0] == pytest.approx(2)
    company[0, disco] = 4.0
    assert eager(row)[0, 0] <= -4


def test_no_feature_and_no_fold_makes_a_logit_run_away():
    """Regression: a feature with a spread of 7e-9 in a fold gave logits of 1e7."""
    lesson, _ = drawn(["Classical", "Metal"], 10, ["Loud", "Salon"])
    still = lesson.rows.copy()
    still[: lesson.n_own, 3] = 1.0 + 7e-9 * np.random.default_rng(0).normal(size=lesson.n_own)
    fitted = lesson.fit(still, lesson.table, lesson.weights)
    loud = still[:5].copy()
    loud[:, 3] = lesson.rows[:, 3].max()
    assert np.abs(fitted(loud)).max() < 50


def test_more_tracks_make_it_better():
    sizes = learning_curve.curve(read_company(own.base()), (10, 50), 1)
    (few, n), (many, _) = (sizes[size]["best guess right"] for size in (10, 50))
    assert n > 200 and many >= few > 0.7 * n
    foreign, of = sizes[50]["named, of other music"]
    assert of > 300 and foreign <= OUTSIDE * of


def test_other_protocols_are_for_evaluate(tmp_path):
    sources = Sources([tmp_path])
    with pytest.raises(ConfigurationError, match="measured under one protocol"):
        train_model("own", sources, tmp_path / "m", protocols=["segment-random"], name="mine")


def test_who_plays_is_asked_only_where_artists_are_kept_apart(tmp_path):
    """Regression: a set without artists was refused under track-random, too."""
    for genre in ("jazz", "rock"):
        (tmp_path / "set" / genre).mkdir(parents=True)
        (tmp_path / "set" / genre / "a.wav").write_bytes(b"noise")
    for protocol, why in (("artist", "the artist of each track"), ("track-random", "no file with")):
        with pytest.raises(DataError, match=why):
            train_model("own", [tmp_path / "set"], tmp_path / "m", protocols=[protocol])


GENRES = {"blues": "Porch", "classical": "Salon", "jazz": "Smoky"}
OTHERS = ("country", "disco", "pop", "hiphop")


@pytest.fixture(scope="module")
def trained(shared_data, tmp_path_factory):
    """A model of three own genres, from nine clips each; and the clips that are left."""
    folder = tmp_path_factory.mktemp("own")
    artists = {
        row["track"]: row["artist_group"]
        for row in csv.DictReader((shared_data / "gtzan/tracks.csv").open(encoding="utf-8"))
    }
    left: dict[str, list[Path]] = {}
    for genre, name in GENRES.items():
        clips = sorted((shared_data / "gtzan/audio" / genre).iterdir())
        clips = clips[::2] + clips[1::2]
        left[name] = clips[9:]
        for clip in clips[:9]:
            copy = folder / "library" / clip.name
            copy.parent.mkdir(exist_ok=True)
            shutil.copyfile(clip, copy)
            media = MediaFile(copy)
            media.genre, media.artist = name, artists[clip.stem]
            media.save()
    sources = Sources(from_tags=folder / "library")
    card = train_model("own", sources, folder / "mine", otherwise="track-random", name="mine")
    return card, left


def names_of(model, clips: list[Path]) -> list[list[str]]:
    features = (TrackFeatures.from_sound(read_excerpts(clip)) for clip in clips)
    return [[name for name, _ in named_genres(model.predict(f), Policy())] for f in features]


@pytest.mark.shared_data
def test_three_genres_of_real_clips_do_not_name_other_music(trained, shared_data):
    """Regression: of 20 clips of country, disco, pop and rap all 20 would have been written."""
    card, _ = trained
    model = zoo.load_card(card)
    clips = [
        clip
        for genre in OTHERS
        for clip in sorted((shared_data / "gtzan/audio" / genre).iterdir())[:5]
    ]
    assert sum(map(bool, names_of(model, clips))) <= 3
    shares = {row["of"]: row for row in card.data["shares"]}
    assert shares[FOREIGN]["n"] > 400 and shares[FOREIGN]["high"] <= OUTSIDE


@pytest.mark.shared_data
def test_three_genres_of_real_clips_are_named_on_others_of_theirs(trained):
    card, left = trained
    model = zoo.load_card(card)
    assert card.labels == ("Porch", "Salon", "Smoky") and card.kind == "multi-label"
    said = {name: names_of(model, clips) for name, clips in left.items()}
    right = sum(names == [genre] for genre, each in said.items() for names in each)
    named = sum(bool(names) for each in said.values() for names in each)
    assert right >= 0.9 * named and right >= 0.7 * sum(map(len, said.values()))
    # It brings its networks along.
    assert {used.folder.parent for used in zoo.used_by(card)} == {card.folder}
