"""A person's library as a data set: which genres, whose tracks, and a model without TensorFlow."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from mediafile import MediaFile

from tagger.containers.credits import read_credits
from tagger.containers.read import read_tags
from tagger.containers.recognise import identify
from tagger.containers.write import Change, write_change
from tagger.models import zoo
from tagger.training.data.own_library import merged_spellings, read_own_library
from tests.training.recorder import Recorder

ROOT = Path(__file__).resolve().parents[3]
STYLES = {"Zydeco": "disco", "Käsepop": "metal"}  # by what is played in the pieces


@pytest.fixture
def tagged(make_audio):
    def tag(name: str, genre: str | None, artist: str | None = None, **audio: object) -> Path:
        piece = make_audio(Path(name).suffix, name=f"library/{name}", **audio)
        media = MediaFile(piece)
        media.genre, media.artist = genre, artist
        media.save()
        return Path(piece)

    return tag


def test_genres_and_artists_come_from_the_tags(tagged, tmp_path):
    tagged("x/1.flac", "zydeco", "Somebody")
    tagged("x/2.mp3", "Zydeco", "SOMEBODY ")
    tagged("x/3.ogg", "Zydeco")
    tagged("y/4.m4a", "hip hop", "Else")
    tagged("y/5.opus", "Rap", "Else")
    tagged("y/6.wma", "Polka", "Else")
    tagged("y/7.wv", None, "Else")
    (tmp_path / "library" / "8.mp3").write_bytes(b"no music")
    recorder = Recorder()
    files = read_own_library(tmp_path / "library", min_tracks=2, reporter=recorder)
    assert [(f.track, f.genre, f.artist) for f in files] == [
        ("x/1.flac", "Zydeco", "somebody"),
        ("x/2.mp3", "Zydeco", "somebody"),
        ("x/3.ogg", "Zydeco", "somebody"),
        ("y/4.m4a", "Rap", "else"),
        ("y/5.opus", "Rap", "else"),
    ]
    assert set(recorder.left_out) == {"8.mp3"}
    assert recorder.lines == [
        "left out: Polka: it has 1 of the 2 tracks that it needs",
        "left out: 1 tracks without a genre that a person wrote",
        "1 of 6 tracks name no artist: album or folder stands for one",
    ]
    files = read_own_library(tmp_path / "library", min_tracks=2, spelling="canonical")
    assert [f.genre for f in files][-2:] == ["Hip-Hop", "Hip-Hop"]


def test_an_artist_with_guests_is_one_artist(tagged, tmp_path):
    """Regression: "X" and "X feat. Y" stood on both sides of a split."""
    artists = ["Some Body", "some body feat. Else", "Some Body (ft. Else)", "Featherweight"]
    for i, artist in enumerate(artists):
        tagged(f"{i}.flac", "AB"[i % 2], artist)
    files = read_own_library(tmp_path / "library", min_tracks=2)
    assert [f.artist for f in files] == ["some body", "some body", "some body", "featherweight"]


def test_albums_and_folders_join_tracks_whose_artist_is_unknown(tagged, tmp_path):
    """Regression: without artist tags each folder of an album was an artist of its own."""
    for name, album in [("cd1/a", "Live"), ("cd2/b", "Live"), ("cd2/c", None), ("x/d", None)]:
        media = MediaFile(tagged(f"{name}.flac", "A" if name < "cd2/c" else "B"))
        media.album = album
        media.save()
    recorder = Recorder()
    files = read_own_library(tmp_path / "library", min_tracks=2, reporter=recorder)
    one, two, three, four = (f.artist for f in files)
    assert one == two == three != four
    assert "4 of 4 tracks name no artist: album or folder stands for one" in recorder.lines


def test_all_genres_of_a_track_count(tagged, tmp_path):
    for i, genres in enumerate([["Rap", "Jazz"], ["Jazz"], ["Rap"], ["Polka", "Rap"]]):
        media = MediaFile(tagged(f"{i}.flac", None, "Somebody"))
        media.genres = genres
        media.save()
    files = read_own_library(tmp_path / "library", min_tracks=2)
    assert [(f.genre, f.others) for f in files] == [
        *[("Rap", ("Jazz",)), ("Jazz", ()), ("Rap", ()), ("Rap", ())]
    ]


def test_a_name_that_cannot_be_learned_is_said_and_a_field_of_two_genres_is_two(tagged, tmp_path):
    """Regression: both were "tracks without a genre that a person wrote"."""
    tagged("1.flac", "Zydeco; Polka;zydeco")
    tagged("2.flac", "Polka")
    tagged("3.flac", "\u202eEvil")
    tagged("4.flac", "\u202eEvil")
    tagged("5.flac", "x" * 300)
    recorder = Recorder()
    files = read_own_library(tmp_path / "library", min_tracks=1, reporter=recorder)
    assert [(f.genre, f.others) for f in files] == [("Zydeco", ("Polka",)), ("Polka", ())]
    assert recorder.lines[:2] == [
        "left out: \u202eEvil, of 2 tracks: it has characters that cannot be seen",
        f"left out: {'x' * 100}…, of 1 track: it is longer than 100 characters",
    ]


def test_a_genre_that_gtag_knows_needs_no_minimum(tagged, tmp_path):
    for i, genre in enumerate(["Rap", "Polka", "Polka", "Sleepy"]):
        tagged(f"{i}.flac", genre, f"artist {i}")
    files = read_own_library(tmp_path / "library", min_tracks=2)
    assert [f.genre for f in files] == ["Polka", "Polka"]
    files = read_own_library(tmp_path / "library", min_tracks=2, heard_by_gtag=["Hip-Hop"])
    assert [f.genre for f in files] == ["Rap", "Polka", "Polka"]


def test_what_gtag_wrote_is_not_learned_from(tagged, tmp_path):
    for i, genre in enumerate(["Rock", "Rock", "Pop", "Pop"]):
        piece = tagged(f"{i}.flac", None if genre == "Pop" else genre)
        if genre == "Pop":
            form = identify(piece)
            assert form is not None
            write_change(piece, form, Change(("Pop",), ("Pop",), 0.9, "cnn-1"))
    files = read_own_library(tmp_path / "library", min_tracks=2)
    assert [f.genre for f in files] == ["Rock", "Rock"]


def test_answers_of_a_review_are_labels(tagged, tmp_path):
    """What a review writes in the place of gtag's guess is the person's own word."""
    for i in range(4):
        piece = tagged(f"{i}.flac", None, f"artist {i}")
        form = identify(piece)
        assert form is not None
        write_change(piece, form, Change(("Pop",), ("Pop",), 0.4, "cnn-3"))
        write_change(piece, form, Change((("Sleepy", "Polka")[i % 2],)))  # as `Review.answer` does
    files = read_own_library(tmp_path / "library", min_tracks=2)
    assert [f.genre for f in files] == ["Sleepy", "Polka"] * 2


def test_spellings_that_differ_in_case_are_one_genre():
    names = ["Drum & bass", "Drum and Bass", "drum & bass", "Drum and Bass", "heavy metal", "Metal"]
    merged = merged_spellings(names, "canonical")
    assert {merged[n] for n in names[:4]} == {"Drum and Bass"}
    assert merged["heavy metal"] == merged["Metal"] == "Metal"
    assert merged_spellings(names)["Metal"] == "Metal"
    assert merged_spellings(["b", "B"]) == {"b": "B", "B": "B"}  # whatever comes first


@pytest.mark.parametrize(
    "suffix", [".mp3", ".flac", ".ogg", ".opus", ".m4a", ".wma", ".wv", ".aiff"]
)
def test_the_artist_in_every_kind_of_tag(make_audio, suffix):
    piece = make_audio(suffix)
    form = identify(piece)
    assert form is not None
    assert read_credits(piece, form).artist == ""
    media = MediaFile(piece)
    media.artist = "Sigur Rós"
    media.save()
    assert read_credits(piece, form).artist == "Sigur Rós"


def test_a_damaged_tag_names_no_artist(make_audio):
    piece = make_audio(".flac")
    form = identify(piece)
    assert form is not None
    piece.write_bytes(piece.read_bytes()[:50])
    assert read_credits(piece, form).artist == ""


def test_own_genres_without_tensorflow_from_tags_to_tags(tagged, make_audio, tmp_path):
    """The whole way: a library's tags, a model, and new files that get those names."""
    for genre, style in STYLES.items():
        for i in range(6):
            tagged(f"{genre}/{i}.flac", genre, f"{genre} {i // 2}", style=style, seed=i)
    broken = tagged("Zydeco/broken.wav", "Zydeco", "Nobody")
    form = identify(broken)
    assert form is not None and read_tags(broken, form).genres == ("Zydeco",)
    content = broken.read_bytes()  # the tag stands behind the sound: that is made noise of no kind
    data = content.index(b"data")
    broken.write_bytes(content[:data] + b"junk" + content[data + 4 :])
    odd = os.fsdecode(os.fsencode(tmp_path / "library") + b"/Zydeco/-\xff\x1b[2J.flac")
    tagged("Zydeco/7.flac", "Zydeco", "Zydeco 3", style="disco", seed=7).rename(odd)
    said = train_without_tensorflow(tmp_path, "--min-tracks", "6", status=1)
    assert "\x1b" not in said
    assert "left out: Zydeco/broken.wav: " in said
    assert "artist: " in said and "95 % interval" in said and "of 13 tracks" in said

    model = zoo.find(str(tmp_path / "data" / "gtag" / "models" / "my-genres"))
    assert model.kind == "multi-label" and model.labels == ("Käsepop", "Zydeco")
    assert [row["protocol"] for row in model.figures] == ["artist"]
    assert model.independent and (model.thresholds >= zoo.find("cnn").thresholds.min()).all()
    assert set(model.learned_from) > {"library"} and len(model.learned_from["library"]) == 13

    new = make_audio(".mp3", style="metal", seed=99, name="new.mp3")
    gtag(tmp_path, "scan", "--write-tags", "--min-confidence", "0", "--model", "my-genres", new)
    form = identify(new)
    assert form is not None
    tags = read_tags(new, form)
    assert tags.genres == ("Käsepop",) and tags.gtag_model == "my-genres-1"


def train_without_tensorflow(tmp_path: Path, *options: str, status: int = 0) -> str:
    library = tmp_path / "library"
    return gtag(tmp_path, "train", "--from-tags", library, *options, status=status)


def gtag(tmp_path: Path, *arguments: str | Path, status: int = 0) -> str:
    """Run gtag where nothing can be imported that only the extra [train] brings."""
    code = """
import sys
for name in ("tensorflow", "keras", "optuna", "xgboost"):
    sys.modules[name] = None
from tagger.cli import main
main()
"""
    ran = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=os.environ
        | {
            "PYTHONPATH": str(ROOT),
            "XDG_DATA_HOME": str(tmp_path / "data"),
            "XDG_STATE_HOME": str(tmp_path / "state"),
        },
        capture_output=True,
        text=True,
    )
    assert ran.returncode == status, ran.stderr
    return ran.stdout + ran.stderr
