"""`gtag scan --mood`: a real model hears calm pieces, and what becomes of the tags."""

from __future__ import annotations

import json

import mediafile
import mutagen
import pytest

from tagger.containers.read import read_tags
from tagger.containers.recognise import identify
from tests.conftest import aged
from tests.tagger.cli.conftest import rows
from tests.tagger.models.made import model_saying

CALM = {"style": "classical", "seed": 2, "duration_s": 6.0}


@pytest.fixture
def unsure(tmp_path):
    """A model that is sure of no genre, so that moods stand alone."""
    return model_saying(tmp_path / "model", {"Jazz": 0.6, "Rock": 0.4}, threshold=0.9)


def moods(path):
    return read_tags(path, identify(path)).moods


def test_it_is_written_where_it_is_sure_and_nobody_wrote_one(gtag, make_audio, tmp_path, unsure):
    pieces = [make_audio(s, name=f"m/{s[1:]}{s}", **CALM) for s in (".flac", ".m4a", ".mp3")]
    own = mutagen.File(pieces[0])
    own.tags["mood"] = ["Wistful"]
    own.save()
    genre = mediafile.MediaFile(pieces[1])
    genre.genre = "Polka"
    genre.save()
    before = [aged(piece).read_bytes() for piece in pieces]
    options = ("--model", unsure, "--jobs", "1", "--mood")
    report = tmp_path / "r.csv"

    dry = gtag("scan", tmp_path / "m", *options, "--report", report)
    assert dry.status == 0 and "2  mood    Calm" in dry.out
    assert "Nothing was written. --write-tags writes." in dry.out
    assert [piece.read_bytes() for piece in pieces] == before
    assert [(r["status"], r["mood"], r["old_mood"], r["new_mood"]) for r in rows(report)] == [
        ("unsure", "Calm", "Wistful", "Wistful"),
        ("kept", "Calm", "", "Calm"),
        ("unsure", "Calm", "", "Calm"),
    ]

    assert gtag("scan", tmp_path / "m", *options, "--write-tags", "--report", report).status == 0
    assert [moods(piece) for piece in pieces] == [("Wistful",), ("Calm",), ("Calm",)]
    assert mediafile.MediaFile(pieces[1]).genre == "Polka"
    assert [r["status"] for r in rows(report)] == ["unsure", "kept", "unsure"]
    assert pieces[0].read_bytes() == before[0]
    assert all(float(row["mood_confidence"]) > 0.7 for row in rows(report))
    written = [piece.read_bytes() for piece in pieces]
    again = gtag("scan", tmp_path / "m", *options, "--write-tags")  # from the cache
    assert again.status == 0 and "mood" not in again.out
    assert [piece.read_bytes() for piece in pieces] == written

    assert "2 restored" in gtag("undo", "-y").out
    assert [piece.read_bytes() for piece in pieces] == before


def test_a_cached_prediction_has_its_mood(gtag, make_audio, tmp_path):
    piece = make_audio(".flac", **CALM)
    first = json.loads(gtag("scan", piece, "--json", "--mood", "--jobs", "1").out)
    again = json.loads(gtag("scan", piece, "--json", "--mood", "--jobs", "1").out)
    assert first == again and again["mood"] == "Calm"
    without = json.loads(gtag("scan", piece, "--json", "--jobs", "1").out)
    assert (without["mood"], without["mood_confidence"], without["new_mood"]) == ("", None, "")


def test_show_says_it(gtag, make_audio):
    piece = make_audio(".flac", **CALM)
    assert "Mood: Calm 1.00, written from 0.71 on" in gtag("show", piece).out


def test_it_is_no_model_of_genres(gtag):
    assert "moods" not in gtag("models").out
    ran = gtag("scan", ".", "--model", "moods")
    assert ran.status == 2 and "predicts no genre" in ran.err
