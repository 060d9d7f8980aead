"""`gtag evaluate`: finished models, ensembles, and recipes under several protocols."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import tomli_w

from tagger.cli.evaluate import PROTOCOLS
from tagger.models import zoo
from tagger.models.card import CARD, read_card
from tagger.training.measure import splits
from tagger.training.recipes import estimators, on_features
from tagger.training.run import train_model
from tests.training.archives import write_archive


@pytest.fixture(scope="module")
def archive(tmp_path_factory) -> Path:
    """Three genres, under ids that no model learned from."""
    return write_archive(tmp_path_factory.mktemp("sets") / "hills", columns=130)


@pytest.fixture(scope="module")
def trees(archive, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "trees"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(estimators, "ROUNDS", 6)
        patch.setattr(on_features, "WINDOWS", 1)
        train_model("boosted-trees", [archive], folder, name="hill-trees")
    return folder


@pytest.fixture(scope="module")
def both(trees, archive, tmp_path_factory) -> Path:
    """Lines and trees, averaged."""
    folder = tmp_path_factory.mktemp("models") / "both"
    shutil.copytree(trees, folder / "hill-trees")
    train_model("logistic", [archive], folder / "hill-lines", name="hill-lines")
    card = {
        "name": "both",
        "version": 1,
        "kind": "ensemble",
        "labels": list(read_card(trees).labels),
        "members": [
            {"model": "hill-trees-1", "weight": 3.0},
            {"model": "hill-lines-1", "weight": 1.0},
        ],
    }
    (folder / CARD).write_text(tomli_w.dumps(card))
    return folder


def test_the_trees_are_measured_and_said_to_have_seen_it_all(gtag, archive, trees, tmp_path):
    ran = gtag("evaluate", "--model", trees, "--data", archive, "--report", tmp_path / "report")
    assert ran.status == 0
    told = json.loads((tmp_path / "report" / "metrics.json").read_text())
    assert told["n"] == told["seen_in_training"] == 24 and told["accuracy"] > 0.8
    assert f"accuracy {told['accuracy']:.1%} of 24 tracks" in ran.out
    assert "SEEN IN TRAINING: hill-trees-1 learned from 24 of these 24 tracks" in ran.err
    names = {path.name for path in (tmp_path / "report").iterdir()}
    # What only trees have: what their features are worth, and how they go together.
    assert {"report.html", "importance.png", "correlation.png"} <= names


def test_without_a_report_the_figures_are_printed(gtag, archive, trees, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ran = gtag("evaluate", "--model", trees, "--data", archive)
    assert "accuracy" in ran.out and "report in" not in ran.out
    ran = gtag("evaluate", "--recipe", "logistic", "--protocol", "artist", "--data", archive)
    assert ran.status == 0 and "logistic" in ran.out
    assert not list(tmp_path.iterdir())
    ran = gtag("evaluate", "--recipe", "logistic", "--data", archive, "--resume")
    assert ran.status == 2 and "--resume goes on beside the --report" in ran.err
    ran = gtag("evaluate", "--recipe", "logistic", "--data", archive, "--learning-curve")
    assert ran.status == 2 and "--learning-curve is drawn in a --report" in ran.err
    ran = gtag("evaluate", "--model", trees, "--data", archive, "--no-augment")
    assert ran.status == 2 and "the other options are for --recipe" in ran.err


def test_cnn_trees_and_ensemble_side_by_side(gtag, archive, trees, both, tmp_path):
    report = tmp_path / "report"
    ran = gtag(
        *("evaluate", "--model", "cnn", "--model", trees, "--model", both),
        *("--data", archive, "--report", report),
    )
    assert ran.status == 0
    assert max(map(len, ran.out.splitlines()[-6:-1])) <= 80
    rows = json.loads((report / "metrics.json").read_text())["rows"]
    assert [row["name"] for row in rows] == [zoo.find("cnn").tag, "hill-trees-1", "both-1"]
    # The ensemble's own card names no tracks, but one of its members' does.
    assert "SEEN IN TRAINING: both-1 learned from 24 of these 24 tracks" in ran.err
    for row in rows:
        own = json.loads((report / row["name"] / "metrics.json").read_text())
        assert own["accuracy"] == pytest.approx(row["figures"]["accuracy"], abs=1e-4)
    assert (report / "comparison.png").exists() and (report / "both-1" / "report.html").exists()


def test_many_tracks_that_are_left_out_alike_are_counted(gtag, tmp_path):
    """Regression: hundreds of lines, and nobody saw the warning above them."""
    archive = write_archive(tmp_path / "set", genres=("blues", "polka"))
    ran = gtag("evaluate", "--model", "cnn", "--data", archive)
    assert "left out: 8 tracks: the model does not know the genre polka" in ran.err
    assert ran.err.count("left out") == 1


def test_a_folder_of_sound_with_a_broken_and_a_silent_file(gtag, make_audio, tmp_path):
    make_audio(".flac", name="data/jazz/a.flac")
    make_audio(".flac", name="data/polka/b.flac")
    (tmp_path / "data" / "jazz" / "<b>broken.wav").write_bytes(b"RIFF\x00\x00\x00\x00WAVEfmt ")
    ran = gtag(
        "evaluate", "--model", "cnn", "--data", tmp_path / "data", "--report", tmp_path / "r"
    )
    assert ran.status == 1  # finished, but a file was unreadable
    told = json.loads((tmp_path / "r" / "metrics.json").read_text())
    assert told["n"] == 1
    assert sorted(told["left_out"]) == ["jazz/<b>broken.wav", "polka/b.flac"]
    assert "left out: jazz/<b>broken.wav" in ran.err
    page = (tmp_path / "r" / "report.html").read_text(encoding="utf-8")
    assert "<b>broken" not in page and "&lt;b&gt;broken.wav" in page


def test_a_recipe_under_protocols(gtag, tmp_path):
    archive = write_archive(tmp_path / "hills", columns=130, tracks_per_genre=6)
    ran = gtag(
        *("evaluate", "--recipe", "head", "--variant", "embedding"),
        *("--protocol", "track-random", "--protocol", "artist"),
        *("--data", archive, "--report", tmp_path / "report"),
    )
    assert ran.status == 0
    assert max(map(len, ran.out.splitlines()[:3])) <= 80
    told = json.loads((tmp_path / "report" / "metrics.json").read_text())
    assert [row["protocol"] for row in told["rows"]] == ["track-random", "artist"]
    assert told["meaning"] in ran.out
    assert (tmp_path / "report" / "artist" / "report.html").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--model", "cnn", "--recipe", "head"),
        ("--model", "cnn", "--protocol", "artist"),
        ("--model", "cnn", "--epochs", "3"),
        ("--model", "cnn", "--data", "."),
        ("--model", "cnn", "--from-tags", "."),
        ("--model", "cnn", "--learning-curve"),
        ("--recipe", "nonsense"),
        ("--recipe", "head", "--epochs", "3"),
        ("--recipe", "head", "--variant", "nonsense"),
    ],
)
def test_what_does_not_go_together_is_wrong_usage(gtag, tmp_path, arguments):
    ran = gtag("evaluate", *arguments, "--data", tmp_path, "--report", tmp_path / "report")
    assert ran.status == 2 and "Traceback" not in ran.err
    assert not (tmp_path / "report").exists()


def test_the_protocols_are_those_that_there_are():
    assert (*splits.PROTOCOLS, "all") == PROTOCOLS


def tagged(file: Path, genre: str, artist: str) -> Path:
    from mediafile import MediaFile

    media = MediaFile(str(file))
    media.genre, media.artist = genre, artist
    media.save()
    return file


def test_a_tagged_library_is_the_truth(gtag, make_audio, tmp_path):
    library = tmp_path / "library"
    for i in range(3):
        for genre, style in (("Bebop", "jazz"), ("heavy metal", "metal"), ("Polka", "disco")):
            file = make_audio(".flac", name=f"library/{style}{i}.flac", style=style, seed=i)
            tagged(file, genre, f"{style} band {i}")
    data = [make_audio(".flac", name=f"set/{s}/{i}.flac", style=s, seed=9 + i)
            for s in ("jazz", "metal") for i in range(3)]  # fmt: skip
    model = tmp_path / "m"
    train_model("logistic", [data[0].parents[1]], model, name="two")
    report = tmp_path / "report"
    ran = gtag("evaluate", "--model", model, "--from-tags", library, "--report", report)
    assert ran.status == 0, ran.err
    told = json.loads((report / "metrics.json").read_text())
    assert {genre: row["n"] for genre, row in told["per_genre"].items()} == {"Jazz": 3, "Metal": 3}
    assert told["accuracy"] == 1
    assert {*told["left_out"].values()} == {"the model does not know the genre Polka"}

    # Regression: with one genre alone there was "nothing to tell apart", and a track was left out
    # where the model does not know the first of its genres, though it knows the second.
    for file in library.iterdir():
        tagged(file, "Polka; Bebop", "somebody") if "jazz" in file.name else file.unlink()
    ran = gtag("evaluate", "--model", model, "--from-tags", library)
    assert ran.status == 0 and "accuracy 100.0% of 3 tracks" in ran.out
    for file in library.iterdir():
        file.unlink()
    ran = gtag("evaluate", "--model", model, "--from-tags", library)
    assert ran.status == 2 and "cannot be measured on it: it is empty" in ran.err


def test_artists_that_a_model_learned_from_are_named(gtag, make_audio, tmp_path):
    for i in range(4):
        for style in ("jazz", "metal"):
            file = make_audio(".flac", name=f"mine/{style}{i}.flac", style=style, seed=i)
            tagged(file, style, f"{style} band {i}")
    mine, model = tmp_path / "mine", tmp_path / "m"
    ran = gtag("train", "--from-tags", mine, "--min-tracks", "2", "--recipe", "logistic",
               "--name", "m", "--output", model)  # fmt: skip
    assert ran.status == 0, ran.err
    for style, artist in (("jazz", "Jazz Band 0"), ("metal", "somebody else")):
        file = make_audio(".flac", name=f"mine/new {style}.flac", style=style, seed=77)
        tagged(file, style, artist)
    ran = gtag("evaluate", "--model", model, "--from-tags", mine)
    assert "SEEN IN TRAINING: m-1 learned from 8 of these 10 tracks" in ran.err
    assert "1 more of these tracks are by artists that m-1 learned from: jazz band 0." in ran.err


def test_a_recipe_on_a_library_in_so_many_folds_with_its_learning_curve(gtag, tmp_path):
    archive = write_archive(tmp_path / "hills", columns=130, tracks_per_genre=8)
    report = tmp_path / "report"
    ran = gtag(
        *("evaluate", "--recipe", "logistic", "--protocol", "track-random", "--folds", "4"),
        *("--learning-curve", "--data", archive, "--report", report),
    )
    assert ran.status == 0, ran.err
    told = json.loads((report / "track-random" / "metrics.json").read_text())
    rows = told["learning_curve"]
    assert [row["tracks"] for row in rows] == [6, 9, 18]
    assert all(len(row["accuracy"]) == 4 for row in rows)
    assert sum(rows[-1]["accuracy"]) / 4 == pytest.approx(told["accuracy"])
    picture = report / "track-random" / "learning_curve.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
