"""Questions and answers, without a terminal."""

from __future__ import annotations

import os
from contextlib import contextmanager

import pytest
from mediafile import MediaFile

from tagger.containers.read import TagState, read_tags
from tagger.containers.recognise import identify
from tagger.containers.write import Change, write_change
from tagger.deciding.decide import Status
from tagger.journal.journal import Journal
from tagger.journal.undo import undo_run
from tagger.pipeline.road import TrackResult
from tagger.pipeline.writing import Care, writer
from tagger.reports.csv_report import CsvReport, open_report
from tagger.reviewing.review import Review
from tagger.system.errors import GtagError
from tagger.training.data.own_library import read_own_library
from tests.conftest import aged


@pytest.fixture(autouse=True)
def own_state(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@contextmanager
def reviewed(tmp_path, *paths, status=Status.UNSURE):
    report = tmp_path / "report.csv"
    if not report.exists():
        with open_report(str(report)) as file:
            rows = CsvReport(file)
            for path in paths:
                rows.add(TrackResult(str(path), status))
    with writer(None, Care(), command=["review"], model=None) as write:
        yield Review(report, write)


@pytest.mark.parametrize("suffix", [".mp3", ".flac", ".m4a", ".ogg", ".wma", ".wv", ".wav"])
def test_an_answer_is_the_persons_word(make_audio, tmp_path, suffix):
    piece = make_audio(suffix)
    write_change(piece, identify(piece), Change(("Rock",), ("Rock",), 0.4, "cnn-1"))
    aged(piece)
    with reviewed(tmp_path, piece) as review:
        question = review.question(0)
        assert not question.answered
        review.answer(question, ("Zouk", "Hip-Hop"))
        assert review.question(0).answered
    state = read_tags(piece, identify(piece))
    assert state == TagState(genres=("Zouk", "Hip-Hop"), hidden=state.hidden)
    assert set(state.user_genres) == {"Zouk", "Hip-Hop"}
    assert MediaFile(piece).genres[0].startswith("Zouk")


def test_answers_are_taken_back_one_after_the_other(make_audio, tmp_path):
    piece = make_audio(".mp3")
    before = piece.read_bytes()
    with reviewed(tmp_path, piece) as review:
        for genre in ("Zouk", "Fado"):
            review.answer(review.question(0), (genre,))
        review.take_back(review.question(0))
        assert MediaFile(piece).genre == "Zouk"
        review.take_back(review.question(0))
        assert piece.read_bytes() == before and not review.answered_now
        with pytest.raises(GtagError, match="to take back"):
            review.take_back(review.question(0))
        review.answer(review.question(0), ("Polka",))
    with Journal() as journal:
        assert [one.status for one in undo_run(journal)] == ["restored"]
    assert piece.read_bytes() == before


def test_what_is_no_name_of_a_genre_is_refused(make_audio, tmp_path):
    piece = make_audio(".flac")
    with reviewed(tmp_path, piece) as review:
        for name in ("a\x1b[31m", "x" * 101):
            with pytest.raises(GtagError, match="cannot be a genre"):
                review.answer(review.question(0), (name,))
    assert MediaFile(piece).genre is None


def test_answers_are_what_a_model_of_ones_own_learns_from(make_audio, tmp_path):
    pieces = [make_audio(".flac", name=f"m/{i}/{i}.flac", seed=i) for i in range(4)]
    with reviewed(tmp_path, *pieces) as review:
        for i, genre in enumerate(("Zouk", "Zouk", "Fado", "Fado")):
            review.answer(review.question(i), (genre,))
    library = read_own_library(tmp_path / "m", min_tracks=2)
    assert [file.genre for file in library] == ["Zouk", "Zouk", "Fado", "Fado"]


def test_only_unsure_tracks_are_asked_about(make_audio, tmp_path):
    with reviewed(tmp_path, make_audio(".flac"), status=Status.WRITTEN) as review:
        assert len(review) == 0


def test_an_album_is_what_stands_together(make_audio, tmp_path):
    pieces = [make_audio(".flac", name=f"m/{i // 3}/{i}.flac") for i in range(6)]
    for i, album in enumerate(("Blue", "Blue", "Red", "", "", "")):
        media = MediaFile(pieces[i])
        media.album = album
        media.genre = "Polka" if i == 4 else None
        media.save()
        aged(pieces[i])
    with reviewed(tmp_path, *pieces) as review:
        albums = [[q.number for q in review.album(review.question(i))] for i in range(6)]
    assert albums == [[0, 1], [0, 1], [2], [3, 5], [3, 4, 5], [3, 5]]


@pytest.mark.parametrize(
    "name", ["=a.flac", "caf\udce9.flac", "a\nb.flac", "\x1b[2J.flac", "a\\u000a.flac", "'-.flac"]
)
def test_odd_names_are_found_again(make_audio, tmp_path, monkeypatch, name):
    make_audio(".flac", name=name)
    monkeypatch.chdir(tmp_path)
    with reviewed(tmp_path, name) as review:
        assert os.fspath(review.question(0).track.path) == name


def test_what_cannot_be_asked_about_says_why(make_audio, tmp_path, monkeypatch):
    make_audio(".flac", name="a\nb.flac")
    make_audio(".flac", name="a\\u000ab.flac")
    make_audio(".mkv", name="film.mkv", container="matroska", codec="flac")
    monkeypatch.chdir(tmp_path)
    names = ("a\nb.flac", "gone.flac", "film.mkv", tmp_path / "gone.flac")
    with reviewed(tmp_path, *names) as review:
        said = []
        for i in range(len(names)):
            with pytest.raises(GtagError) as error:
                review.question(i)
            said.append(str(error.value))
    assert "could be one of several" in said[0]
    assert "no longer exists" in said[1] and "folder that was scanned" in said[1]
    assert "holds no tags" in said[2]
    assert "folder that was scanned" not in said[3]


def test_what_was_gone_back_to_is_not_remembered_as_skipped(make_audio, tmp_path):
    """Regression: skipped, gone back to, and left, it was not asked about again."""
    piece = make_audio(".flac")
    with reviewed(tmp_path, piece) as review:
        review.skip(0)
        review.ask_again(0)
        assert review.is_open()
    with reviewed(tmp_path, piece) as review:
        assert review.skipped == set()


def test_what_was_skipped_is_remembered_until_the_end_or_a_new_report(make_audio, tmp_path):
    pieces = [make_audio(".flac", name=f"{i}\udce9.flac") for i in range(2)]
    with reviewed(tmp_path, *pieces) as review:
        review.skip(0)
    with reviewed(tmp_path) as review:
        assert review.skipped == {0}
        review.finish()
    with reviewed(tmp_path) as review:
        assert review.skipped == set()
        review.skip(1)
    aged(tmp_path / "report.csv", by_s=-10)  # written after that
    with reviewed(tmp_path) as review:
        assert review.skipped == set()
    (note,) = (tmp_path / "state" / "gtag").glob("review-*.json")
    note.write_bytes(b"{damaged")
    aged(note, by_s=-20)
    with reviewed(tmp_path) as review:
        assert review.skipped == set()
