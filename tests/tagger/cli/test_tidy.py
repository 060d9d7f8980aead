"""`gtag tidy`: a library's spellings are brought together, and taken back."""

from __future__ import annotations

import pytest
from mediafile import MediaFile

from tests.conftest import aged

SAID = {
    ".mp3": ("Hip Hop", ["Hip-Hop"]),
    ".flac": ("(17)", ["Rock"]),
    ".m4a": ("Rock/Pop", ["Rock", "Pop"]),
    ".ogg": ("hip hop", ["Hip-Hop"]),
    ".wma": ("Jazz", ["Jazz"]),
    ".opus": ("sea shanties", ["sea shanties"]),
}


@pytest.fixture
def library(make_audio, tmp_path):
    pieces = []
    for i, (suffix, (genre, _)) in enumerate(SAID.items()):
        piece = make_audio(suffix, name=f"m/{i}{suffix}")
        file = MediaFile(piece)
        file.genre, file.title = genre, "Title"
        file.save()
        pieces.append(aged(piece))
    return pieces


def test_changes_are_shown_written_and_taken_back(gtag, library, tmp_path):
    before = [piece.read_bytes() for piece in library]
    dry = gtag("tidy", tmp_path / "m")
    assert dry.status == 0 and "4 of 6 tracks would be written" in dry.out
    assert [line.split()[-1] for line in dry.out.splitlines() if "Hip-Hop" in line] == ["1", "1"]
    assert [piece.read_bytes() for piece in library] == before
    assert gtag("tidy", tmp_path / "m", "--write-tags", "--dry-run").status == 0
    assert [piece.read_bytes() for piece in library] == before

    ran = gtag("tidy", tmp_path / "m", "--write-tags")
    assert ran.status == 0 and "4 of 6 tracks written. gtag undo takes it back." in ran.out
    assert [MediaFile(piece).genres for piece in library] == [new for _, new in SAID.values()]
    assert {MediaFile(piece).title for piece in library} == {"Title"}
    assert "0 of 6" in gtag("tidy", tmp_path / "m", "--write-tags").out
    assert "4 restored" in gtag("undo", "-y").out
    assert [piece.read_bytes() for piece in library] == before


def test_a_genre_map_counts_and_a_broken_file_is_named(gtag, library, tmp_path):
    (tmp_path / "m" / "b.mp3").write_bytes(b"no sound")
    file = tmp_path / "map.toml"
    file.write_text('[aliases]\n"Shanty" = ["sea shanties"]\n')
    ran = gtag("tidy", tmp_path / "m", "--genre-map", file)
    assert ran.status == 1 and "5 of 7" in ran.out and "Shanty" in ran.out
    assert "b.mp3: unreadable" in ran.err


@pytest.mark.parametrize("command", ["tidy", "audit"])
def test_a_folder_that_is_left_alone_is_told(gtag, library, tmp_path, command):
    """Regression: there were 0 tracks, without a word why."""
    (tmp_path / "m" / ".nogtag").touch()
    assert "1 folder left alone, where a file .nogtag lies." in gtag(command, tmp_path / "m").out


def test_one_field_of_two_genres_becomes_two(gtag, make_audio):
    piece = make_audio(".flac")
    file = MediaFile(piece)
    file.genre = "Rock; Jazz"
    file.save()
    aged(piece)
    # Regression: it showed the same twice.
    assert "Rock; Jazz, each by itself" in gtag("tidy", piece, "--write-tags").out
    assert MediaFile(piece).genres == ["Rock", "Jazz"]


def test_what_changed_just_now_is_refused(gtag, make_audio):
    piece = make_audio(".flac")
    file = MediaFile(piece)
    file.genre = "rock"
    file.save()
    ran = gtag("tidy", piece, "--write-tags")
    assert ran.status == 1 and "refused" in ran.err and MediaFile(piece).genre == "rock"
    assert "Rock" not in ran.out and "0 of 1 tracks written." in ran.out
    dry = gtag("tidy", piece)  # regression: it did not show what would change
    assert dry.status == 1 and "too new to write" in dry.err
    assert dry.out.splitlines()[1].split() == ["rock", "Rock", "1"]
