"""`beet gtag` on a real library: real files, real `beet` commands."""

from __future__ import annotations

import os
import subprocess
import sys

import mutagen
import pytest
from mediafile import MediaFile

import tagger
from tests.conftest import aged

pytest.importorskip("beets")

CONFIG = """\
directory: {folder}/library
plugins: [gtag]
import: {{autotag: no, quiet: yes, write: {write}}}
gtag: {{min_confidence: 0, jobs: 1, auto: {auto}{more}}}
"""


class Beets:
    """A library of its own in a folder."""

    def __init__(self, folder):
        self.folder, self.config = folder, folder / "beets" / "config.yaml"
        self.config.parent.mkdir()
        self.configure()

    def configure(self, *, auto="no", write="yes", more=""):
        text = CONFIG.format(folder=self.folder, auto=auto, write=write, more=more)
        self.config.write_text(text, encoding="utf-8")

    def __call__(self, *arguments, status=0):
        state, data = str(self.folder / "state"), str(self.folder / "data")
        mine = {"BEETSDIR": str(self.config.parent), "XDG_STATE_HOME": state, "XDG_DATA_HOME": data}
        told = subprocess.run(
            [sys.executable, "-m", "beets", *map(str, arguments)],
            capture_output=True,
            text=True,
            env={**os.environ, **mine},
            cwd=self.folder,
        )
        assert told.returncode == status, told.stderr
        return told.stdout + told.stderr

    def items(self, form="$title|$genres|$gtag_confidence", *query):
        return dict(line.split("|", 1) for line in self("ls", "-f", form, *query).splitlines())

    def files(self):
        return {MediaFile(p).title: p for p in sorted((self.folder / "library").rglob("*.*"))}


@pytest.fixture
def beet(make_audio, tmp_path):
    """Three tracks of an album, one of them with a person's genre, one with a placeholder."""
    for i, (suffix, genre) in enumerate([(".mp3", None), (".flac", "Polka"), (".m4a", "Unknown")]):
        piece = make_audio(suffix, name=f"in/{i}{suffix}", duration_s=2.0, seed=i)
        media = MediaFile(piece)
        media.title, media.album, media.artist, media.genre = f"{i}", "Album", "[b]<&'", genre
        media.save()
        aged(piece)
    return Beets(tmp_path)


def test_sets_genres_in_library_and_files_and_keeps_what_people_wrote(beet, monkeypatch):
    beet("import", "in")
    before = {title: path.read_bytes() for title, path in beet.files().items()}
    shown = beet("gtag", "--pretend")
    assert "1 kept, 2 would-write" in shown and "Unknown -> " in shown
    assert {t: p.read_bytes() for t, p in beet.files().items()} == before
    assert beet.items("$title|$genres") == {"0": "", "1": "Polka", "2": "Unknown"}

    assert "1 kept, 2 written" in beet("gtag")
    items = beet.items()
    assert items["1"].startswith("Polka|")
    for title in ("0", "2"):
        genre, confidence = items[title].split("|")
        file = beet.files()[title]
        assert MediaFile(file).genres == [genre]
        said = tagger.read(file)
        assert (said.gtag_genre, said.gtag_confidence) == ((genre,), float(confidence))
    assert beet.files()["1"].read_bytes() == before["1"]
    assert set(beet.items("$title|", "gtag_confidence:0..1")) == {"0", "2"}
    # Library and files agree: beets has nothing to read or to write, and gtag neither.
    assert "genres" not in beet("update", "--pretend") + beet("write", "--pretend")
    assert "1 kept, 2 unchanged" in beet("gtag")

    # Another genre by hand is a person's from now on, also where gtag wrote one before.
    beet("modify", "--yes", "title:0", "genres=Ska")
    assert "2 kept, 1 unchanged" in beet("gtag")
    # A query narrows it down; force replaces.
    assert "gtag: 1 written" in beet("gtag", "--force", "title:1")
    assert beet.items()["1"].split("|")[0] == MediaFile(beet.files()["1"]).genre != "Polka"
    monkeypatch.setenv("XDG_STATE_HOME", str(beet.folder / "state"))
    assert [file.status for file in tagger.undo()] == ["restored"]
    assert MediaFile(beet.files()["1"]).genre == "Polka"


def test_moods_are_set_where_they_are_asked_for_and_none_is_there(make_audio, tmp_path):
    for name in "ab":
        make_audio(".flac", name=f"in/{name}.flac", style="classical", seed=2, duration_s=6.0)
        media = MediaFile(tmp_path / "in" / f"{name}.flac")
        media.title = name
        media.save()
    beet = Beets(tmp_path)
    beet("import", "in")
    beet("modify", "--yes", "--nowrite", "title:b", "mood=Wistful")
    beet("gtag")
    assert beet.items("$title|$mood", "title:a") == {"a": "$mood"}
    beet.configure(more=", mood: yes")
    assert "mood Calm" in beet("gtag", "--pretend")
    assert "2 unchanged" in beet("gtag")
    assert beet.items("$title|$mood") == {"a": "Calm", "b": "Wistful"}
    assert "mood Calm" not in beet("gtag")
    assert mutagen.File(beet.files()["a"])["mood"] == ["Calm"]
    assert "mood" not in beet("update", "--pretend")


def test_an_import_sets_genres_and_leaves_the_originals_alone(beet):
    beet.configure(auto="yes")
    originals = {path: path.read_bytes() for path in sorted((beet.folder / "in").iterdir())}
    beet("import", "in")
    assert {path: path.read_bytes() for path in originals} == originals
    items = beet.items("$title|$genres")
    assert items["1"] == "Polka" and all(items.values()) and items["2"] != "Unknown"
    assert all(MediaFile(beet.files()[title]).genre == items[title] for title in items)
    albums = beet("ls", "--album", "--format", "$genres").split("\n")
    assert items["0"] != items["2"] or albums[0] == items["0"]


def test_files_are_left_alone_where_beets_is_not_to_write(beet):
    beet.configure(auto="yes", write="no")
    beet("import", "in")
    items = beet.items("$title|$genres")
    assert items["0"] and not MediaFile(beet.files()["0"]).genre
    assert "1 kept, 2 would-write" in beet("gtag")
    assert "1 written" in beet("gtag", "--write", "title:0")
    assert MediaFile(beet.files()["0"]).genre == items["0"]


def test_what_goes_wrong_is_said(beet):
    beet("import", "in")
    beet.files()["0"].unlink()
    said = beet("gtag")
    assert "not there" in said and "1 missing, 1 kept, 1 written" in said
    beet.configure(more=", model: nothing-of-the-kind")
    assert "there is no model" in beet("gtag", status=1)
    assert "no track matches" in beet("gtag", "title:nothing")


WRONG_SETTINGS = {
    ", album: Vote": "album has to be off, vote or one, not 'Vote'",
    ", detail: 3": "detail has to be genre, style or both, not 3",
    ", aim: 80": "aim has to be from 0.5 to 0.99, not 80",
    ", aim: 0.9": "an aim and a minimum confidence exclude each other",
    ", count: 0": "genres has to be from 1 to 1000, not 0",
    ', force: "no"': "force has to be true or false, not 'no'",
    ", jobs: 0": "jobs has to be from 1",
}


def test_a_wrong_setting_ends_the_command_and_changes_nothing(beet):
    """Regression: `force: "no"` replaced people's genres."""
    beet("import", "in")
    before = {title: path.read_bytes() for title, path in beet.files().items()}
    for more, said in WRONG_SETTINGS.items():
        beet.configure(more=more.replace(", jobs: 0", ""))
        if "jobs" in more:
            text = beet.config.read_text(encoding="utf-8").replace("jobs: 1", "jobs: 0")
            beet.config.write_text(text, encoding="utf-8")
        assert said in beet("gtag", status=1)
        assert {t: p.read_bytes() for t, p in beet.files().items()} == before
