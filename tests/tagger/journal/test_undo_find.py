"""`gtag undo --find`: files that were moved or renamed are found by their sound."""

from __future__ import annotations

import json
import os
import shutil

import mutagen
import pytest
from mutagen.flac import FLAC
from mutagen.id3 import APIC, TIT2

import tagger.journal.undo_find
from tagger.journal.journal import Journal
from tagger.journal.undo import UndoStatus, undo_run
from tagger.journal.undo_find import folders_of
from tests.tagger.journal.test_undo import genres, scan, undo


@pytest.fixture
def journal(tmp_path):
    with Journal(tmp_path / "state" / "journal.sqlite") as journal:
        yield journal


@pytest.fixture
def library(tmp_path):
    return tmp_path / "library"


@pytest.fixture
def song(make_audio):
    """Songs of the library, each with a sound of its own."""

    def song(name, suffix=".mp3", seed=0):
        return make_audio(suffix, duration_s=1.0, name=f"library/{name}{suffix}", seed=seed)

    return song


@pytest.mark.parametrize("suffix", [".mp3", ".flac", ".m4a", ".ogg", ".wav", ".wma"])
def test_moved_and_edited_files_are_found_by_their_sound(journal, song, library, suffix):
    paths = [song(f"album/{n}", suffix, seed=n) for n in range(3)]
    number = scan(journal, paths)
    (library / "album").rename(library / "renamed")
    moved = [library / "renamed" / path.name for path in paths]
    edited = mutagen.File(moved[1])
    if suffix in (".mp3", ".wav"):
        edited.tags.add(TIT2(encoding=3, text=["Corrected"]))
        edited.tags.add(APIC(encoding=0, mime="image/png", type=3, desc="", data=bytes(200_000)))
    else:
        edited["\xa9nam" if suffix == ".m4a" else "Title"] = ["Corrected" * 1000]
    edited.save()
    new_name = moved[0].rename(library / f"other name{suffix}")
    shutil.copyfile(song("elsewhere/9", suffix, seed=9), moved[2])  # other sound in its place
    theirs = moved[2].read_bytes()

    hint = list(undo_run(journal, number, dry_run=True))
    assert [o.status for o in hint] == ["missing"] * 3
    assert "--find" in hint[0].message
    for status, dry_run in (("would-restore", True), ("restored", False)):
        result = list(undo_run(journal, number, find=True, dry_run=dry_run))
        assert [(o.path, o.status, o.moved_from) for o in result] == [
            (str(new_name), status, str(paths[0])),
            (str(moved[1]), status, str(paths[1])),
            (str(paths[2]), "missing", None),
        ]
    assert moved[2].read_bytes() == theirs
    assert genres([new_name, moved[1]]) == [None, None]


def test_files_that_changed_places_are_told_apart(journal, song, library):
    first, second = song("a", seed=1), song("b", seed=2)
    scan(journal, [first, second])
    first.rename(library / "c.mp3")
    second.rename(first)
    (library / "c.mp3").rename(second)
    assert undo(journal, find=True) == [(str(first), "restored"), (str(second), "restored")]
    assert genres([first, second]) == [None, None]


def test_of_copies_those_are_taken_back_that_say_what_gtag_wrote(journal, song, library):
    path = song("deep/a")
    (library / "untagged.mp3").write_bytes(path.read_bytes())
    scan(journal, [path])
    for name in ("1.mp3", "2.mp3"):
        shutil.copyfile(path, library / "deep" / name)
    (library / "untagged.mp3").rename(library / "deep" / "0.mp3")
    path.unlink()
    result = list(undo_run(journal, find=True))
    assert [(o.path, o.status, o.moved_from) for o in result] == [
        (str(library / "deep" / name), "restored", str(path)) for name in ("1.mp3", "2.mp3")
    ]
    assert genres([library / "deep" / "1.mp3", library / "deep" / "2.mp3"]) == [None, None]


def test_one_whose_genre_was_changed_is_named_at_its_new_place(journal, song, library):
    path = song("a")
    scan(journal, [path])
    moved = path.rename(library / "b.mp3")
    file = mutagen.File(moved)
    file["TCON"].text = ["Folk"]
    file.save()
    (result,) = undo_run(journal, find=True)
    assert (result.path, result.status) == (str(moved), UndoStatus.REFUSED)
    assert "it says Folk now" in result.message


def test_files_that_nobody_can_tell_apart_are_left_alone(journal, song, library):
    """Both hold the same bytes after the run, but said different things before."""
    paths = [song("a", ".flac"), song("b", ".flac")]
    for path, genre in zip(paths, ("Rock", "Folk"), strict=True):
        file = FLAC(path)
        file["genre"] = genre
        file.save()
    number = scan(journal, paths)
    one, two = library / "1.flac", library / "2.flac"
    paths[0].rename(one)
    paths[1].rename(two)
    result = list(undo_run(journal, number, find=True))
    assert [(o.path, o.status) for o in result[:2]] == [
        (str(one), "refused"),
        (str(two), "refused"),
    ]
    assert all("cannot be told apart" in o.message for o in result[:2])
    one.rename(paths[0])  # then there is one left
    assert undo(journal, number, find=True) == [(str(paths[0]), "restored"), (str(two), "restored")]
    assert genres([paths[0], two]) == ["['Rock']", "['Folk']"]


def test_what_cannot_be_one_of_them_is_not_hashed(journal, song, library, monkeypatch):
    path = song("a")
    others = [song(f"other {n}", seed=n) for n in (1, 2)]
    (library / "huge.mp3").touch()
    os.truncate(library / "huge.mp3", 1 << 40)
    (library / "notes.txt").write_bytes(path.read_bytes()[:100])
    (library / "link.mp3").symlink_to(others[0])
    number = scan(journal, [path])
    moved = path.rename(library / "z.mp3")
    hashed = []
    real = tagger.journal.undo_find.sound_of
    undo_find = tagger.journal.undo_find
    monkeypatch.setattr(undo_find, "sound_of", lambda p, f: hashed.append(p) or real(p, f))
    assert undo(journal, number, find=True) == [(str(moved), "restored")]
    assert hashed == [str(moved)]


def test_what_an_older_gtag_wrote_is_found_by_its_bytes(journal, song, library):
    path = song("a")
    scan(journal, [path])
    (old,) = journal._database.execute("SELECT old FROM changes").fetchone()
    old = {key: value for key, value in json.loads(old).items() if not key.startswith("sound")}
    journal._database.execute("UPDATE changes SET old = ?", (json.dumps(old),))
    moved = path.rename(library / "b.mp3")
    assert undo(journal, find=True) == [(str(moved), "restored")]


def test_the_places_that_are_named_are_looked_through(journal, song, library, tmp_path):
    path = song("a")
    scan(journal, [path])
    (tmp_path / "far").mkdir()
    moved = path.rename(tmp_path / "far" / "b.mp3")
    assert undo(journal, find=True) == [(str(path), "missing")]
    file = mutagen.File(moved)
    file.tags.add(TIT2(encoding=3, text=["Corrected"]))
    file.save()
    assert undo(journal, None, [tmp_path / "far"], find=True) == [(str(moved), "restored")]


def test_the_folders_of_a_run(tmp_path):
    for name in ("m/a", "m/b/c"):
        (tmp_path / name).mkdir(parents=True)
    m = tmp_path / "m"
    assert folders_of([]) == []
    assert folders_of([f"{m}/a/1.mp3"]) == [f"{m}/a"]
    assert folders_of([f"{m}/a/1.mp3", f"{m}/b/c/1.mp3"]) == [f"{m}"]
    assert folders_of([f"{m}/gone/deep/1.mp3"]) == [f"{m}"]
    assert folders_of([f"{m}/a/1.mp3", "/no such folder/1.mp3"]) == [f"{m}/a"]


def test_one_is_found_after_the_others_were_taken_back(journal, song, library):
    """Regression: it was looked for in its own old folder alone, where a copy was taken for it."""
    path, copy = song("jazz/a"), library / "jazz" / "copy.mp3"
    shutil.copy(path, copy)
    number = scan(journal, [path, copy, song("rock/b", seed=1)])
    (library / "moved").mkdir()
    moved = path.rename(library / "moved" / "renamed.mp3")
    assert sorted(o.status for o in undo_run(journal, number)) == [
        "missing",
        "restored",
        "restored",
    ]
    (result,) = undo_run(journal, number, find=True)
    assert (result.path, result.status) == (str(moved), "restored")
    assert genres([moved, copy]) == [None, None]
