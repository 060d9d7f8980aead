"""`gtag audit`: genres of a person's that the music does not sound like."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import mutagen
import pytest
from mediafile import MediaFile

from tests.conftest import aged
from tests.tagger.cli.conftest import rows
from tests.tagger.cli.test_review import Terminal
from tests.tagger.models.made import model_saying

SAID = {"Classical": 0.01, "Jazz": 0.04, "Metal": 0.9, "Rock": 0.95}


@pytest.fixture
def library(make_audio, tmp_path):
    """Tracks with these genres, and a model that says Metal of all."""
    model = model_saying(tmp_path / "model", SAID)
    for i, genre in enumerate(("Jazz", "Classical", "Rock", "Polka", "Classic; Bebop", "")):
        suffix = (".mp3", ".flac", ".m4a", ".ogg", ".opus", ".wma")[i]
        piece = make_audio(suffix, name=f"m/{i}/{i}{suffix}", seed=i)
        if genre:
            file = MediaFile(piece)
            file.genres = genre.split("; ")
            file.save()
            aged(piece)
    return tmp_path / "m", ("--model", model, "--jobs", "1")


def test_it_lists_what_disagrees_worst_first_and_writes_nothing(gtag, library, tmp_path):
    music, options = library
    before = {file: file.read_bytes() for file in music.rglob("*.*")}
    report, page = tmp_path / "a.csv", tmp_path / "a.html"
    ran = gtag("audit", music, *options, "--report", report, "--html", page)
    assert ran.status == 0, ran.err
    assert "3 of 5 tracks with a genre of your own sound like another one." in ran.out
    # Regression: it named the command without the report, which asks about nothing.
    assert f"gtag review --disagree {report} asks about them." in ran.out
    found = [(row["old_genre"], row["own_confidence"], row["genre"]) for row in rows(report)]
    assert found == [
        ("Classical", "0.0100", "Metal"),
        ("Jazz", "0.0400", "Metal"),
        ("Classic; Bebop", "0.0400", "Metal"),
    ]
    assert "A second opinion" in page.read_text(encoding="utf-8")
    assert {file: file.read_bytes() for file in music.rglob("*.*")} == before
    lines = [json.loads(line) for line in gtag("audit", music, *options, "--json").out.splitlines()]
    assert [line["own_confidence"] for line in lines] == pytest.approx([0.01, 0.04, 0.04])


def test_what_a_write_would_refuse_is_no_matter(gtag, library, tmp_path):
    """Regression: the page of an audit told that new files are too new to write."""
    music, options = library
    for file in music.rglob("*.*"):
        os.utime(file)
    page = tmp_path / "a.html"
    ran = gtag("audit", music, *options, "--html", page)
    assert ran.status == 0 and "too new" not in page.read_text(encoding="utf-8")


def test_a_scan_says_the_same_in_its_last_column(gtag, library, tmp_path):
    music, options = library
    assert gtag("scan", music, *options, "--report", tmp_path / "s.csv").status == 0
    said = {Path(row["path"]).suffix: row["own_confidence"] for row in rows(tmp_path / "s.csv")}
    assert said == {
        **{".mp3": "0.0400", ".flac": "0.0100", ".opus": "0.0400"},
        **{".m4a": "", ".ogg": "", ".wma": ""},
    }


def test_settings_of_scan_hold_but_its_files_stay(gtag, library, tmp_path):
    music, (_, model, *_) = library
    config = tmp_path / "config" / "gtag" / "config.toml"
    config.parent.mkdir(parents=True)
    kept = tmp_path / "scan.csv"
    kept.write_text("of a scan")
    config.write_text(
        f'[scan]\nmodel = "{model}"\nreport = "{kept}"\nexisting = "replace"\nexclude = ["*.mp3"]\n'
    )
    ran = gtag("audit", music)
    assert ran.status == 0 and "2 of 4 tracks" in ran.out
    assert kept.read_text() == "of a scan"


def test_what_cannot_be_read_is_named(gtag, library):
    music, options = library
    (music / "b.mp3").write_bytes(b"no sound")
    ran = gtag("audit", music, *options)
    assert ran.status == 1 and "b.mp3: unreadable: not a sound format" in ran.err
    assert "3 of 5" in ran.out


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX terminals")
def test_review_walks_through_them(gtag, library, tmp_path):
    music, options = library
    report = tmp_path / "a.csv"
    assert gtag("audit", music, *options, "--report", report).status == 0
    terminal = Terminal("--disagree", *options[:2], report, folder=tmp_path)
    terminal.wait_for("1 of 3")
    terminal.wait_for("a person wrote Classical (0.01)")
    terminal.wait_for("keep yours")
    terminal.press("2")
    terminal.wait_for("written: Metal")
    terminal.wait_for("2 of 3")
    terminal.press("s")
    terminal.wait_for("3 of 3")
    terminal.press("q")
    assert terminal.end() == 0
    assert [MediaFile(file).genre for file in sorted(music.rglob("*.*"))[:2]] == ["Jazz", "Metal"]
    again = Terminal("--disagree", *options[:2], report, folder=tmp_path)
    again.wait_for("3 of 3")  # one was answered, one is to stay
    again.press("s")
    again.wait_for("0 answered, 1 kept; 1 kept before")
    assert again.end() == 0
    last = Terminal("--disagree", *options[:2], report, folder=tmp_path)
    assert last.end() == 0 and b"2 kept before" in last.shown
    assert gtag("undo", "-y").status == 0
    assert mutagen.File(music / "1" / "1.flac").tags["genre"] == ["Classical"]


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX terminals")
def test_review_scans_first_and_goes_on(library, tmp_path):
    music, options = library
    terminal = Terminal("--disagree", *options, music, folder=tmp_path)
    terminal.wait_for("1 of 3")
    terminal.press("q")
    assert terminal.end() == 0
    again = Terminal("--disagree", *options, folder=tmp_path)
    again.wait_for("1 of 3")
    again.press("q")
    assert again.end() == 0
