"""`gtag apply`: what a spreadsheet made of a report ends in the tags, and can be taken back."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys

import mutagen
import pytest
from mediafile import MediaFile

from tagger.reports.csv_report import COLUMNS
from tests.conftest import aged
from tests.tagger.cli.conftest import rows

SURE_OF_ALL = ("--min-confidence", "0", "--album", "off", "--jobs", "1")


@pytest.fixture
def music(make_audio, tmp_path):
    for i, suffix in enumerate((".mp3", ".flac", ".m4a", ".ogg")):
        piece = make_audio(suffix, name=f"music/{i}{suffix}", seed=i)
    media = MediaFile(piece)
    media.genre = "Polka"
    media.save()
    aged(piece)
    return tmp_path / "music"


def saved(report, told, *, delimiter=";", encoding="cp1252"):
    """Save a report as a spreadsheet does."""
    with open(report, "w", encoding=encoding, newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, delimiter=delimiter)
        writer.writeheader()
        writer.writerows(told)


def states(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def genres(folder):
    return [MediaFile(path).genre for path in sorted(folder.iterdir())]


def is_gtags(path):
    return any("gtag_genre" in key.lower() for key in mutagen.File(path).tags.keys())  # noqa: SIM118


def test_edited_genres_are_shown_written_and_taken_back(gtag, music, tmp_path):
    report = tmp_path / "report.csv"
    gtag("scan", music, "--report", report, *SURE_OF_ALL)
    told, before = rows(report), states(music)
    assert [row["status"] for row in told] == [*["would-write"] * 3, "kept"]
    told[1]["new_genre"] = "trip hop; Teckno; Rap"
    told[2]["new_genre"] = ""
    told[3]["new_genre"] = "Ska"
    saved(report, told)

    ran = gtag("apply", report, "-v")
    assert ran.status == 0 and states(music) == before
    assert "no genre → Trip-Hop; Teckno; Rap" in ran.out and "Polka → Ska" in ran.out
    assert "2.m4a" not in ran.out and "Nothing was written" in ran.out
    assert '"Teckno", of 1 track, is no genre that gtag knows: did you mean Techno?' in ran.err

    ran = gtag("apply", report, "--write-tags")
    assert ran.status == 0, ran.err
    assert "3  written" in ran.out
    first, _, third, fourth = genres(music)
    assert (first, third, fourth) == (told[0]["genre"], None, "Ska")
    assert MediaFile(music / "1.flac").genres == ["Trip-Hop", "Teckno", "Rap"]
    # What was left as it was proposed stays gtag's own; what was edited is the person's.
    assert [is_gtags(path) for path in sorted(music.iterdir())[:2]] == [True, False]
    assert "3  unchanged" in gtag("apply", report, "--write-tags").out
    kept = gtag("scan", music, "-v", *SURE_OF_ALL).out
    assert kept.count("kept ") >= 2 and "unchanged " in kept

    assert gtag("undo").out == "3 restored\n"
    assert genres(music) == [None, None, None, "Polka"]


def test_what_an_album_proposed_is_gtags_too(gtag, music, tmp_path):
    report = tmp_path / "report.csv"
    gtag("scan", music, "--report", report, "--album", "one", "--min-confidence", 0, "--jobs", 1)
    assert "album's 4 tracks" in rows(report)[0]["message"]
    told = rows(report)
    for row in told:
        row["message"] = "words are for people"  # regression: the confidence was read out of them
    saved(report, told)
    assert gtag("apply", report, "--write-tags").status == 0
    tags = mutagen.File(music / "1.flac").tags
    assert tags["gtag_genre"] == tags["genre"] == [told[1]["named"]] == [told[1]["new_genre"]]
    assert tags["gtag_confidence"] == [told[1]["named_confidence"]]


def test_what_an_older_report_proposed_is_gtags_too(gtag, music, tmp_path):
    """Regression: without the columns `named` it was written as if a person had named it."""
    report = tmp_path / "report.csv"
    gtag("scan", music, "--report", report, *SURE_OF_ALL)
    told = rows(report)
    with open(report, "w", encoding="utf-8", newline="") as file:
        older = [column for column in COLUMNS if not column.startswith("named")]
        writer = csv.DictWriter(file, older, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(told)
    assert gtag("apply", report, "--write-tags").status == 0
    tags = mutagen.File(music / "1.flac").tags
    assert tags["gtag_genre"] == [told[1]["new_genre"]]
    assert tags["gtag_confidence"] == [told[1]["confidence"]]


def test_what_cannot_be_applied_is_said_and_the_rest_is_written(gtag, music, tmp_path):
    report = tmp_path / "report.csv"
    gtag("scan", music, "--report", report, *SURE_OF_ALL)
    told = rows(report)
    for row in told:
        row["new_genre"] = "Zouk"
    told.append(dict.fromkeys(COLUMNS, "") | {"path": "a.cue/track0001", "status": "cue-track"})
    told[-1]["new_genre"] = "Zouk"
    saved(report, told, delimiter=",", encoding="utf-8")
    (music / "0.mp3").unlink()
    (music / "1.flac").chmod(0o444)
    media = MediaFile(music / "3.ogg")
    media.genre = "Mazurka"
    media.save()
    aged(music / "3.ogg")
    ran = gtag("apply", report, "--write-tags")
    assert ran.status == 1
    said = ran.err.splitlines()
    assert f"{music / '0.mp3'}: unreadable: no longer exists" in said
    assert "read-only" in said[1]
    assert f"{music / '3.ogg'}: refused: somebody wrote Mazurka since the report was made" in said
    assert "only the row of the file itself" in said[3]
    assert genres(music) == [None, "Zouk", "Mazurka"]


def test_without_an_edit_there_is_nothing_to_do(gtag, make_audio, tmp_path):
    report = tmp_path / "report.csv"
    gtag("scan", make_audio(".flac"), "--report", report, "--min-confidence", 1, "--jobs", 1)
    ran = gtag("apply", report, "--write-tags")
    assert (ran.status, ran.out) == (0, "No row has a new_genre that is not its old_genre.\n")
    report.write_text("a,b\n")
    ran = gtag("apply", report)
    assert ran.status == 2 and "is not a report" in ran.err


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ("confidence", "line 6: confidence is 'spoiled', which is no number"),
        ("status", "line 6: status is 'spoiled', which is none"),
        (None, "line 6: has no cell for status"),
    ],
)
def test_a_mistake_in_a_late_row_is_told_before_anything_is_written(
    gtag, music, tmp_path, column, said
):
    """Regression: three files were written, then it was "not a report", with status 2."""
    report = tmp_path / "report.csv"
    gtag("scan", music, "--report", report, *SURE_OF_ALL)
    told, before = rows(report), states(music)
    told.insert(0, dict.fromkeys(COLUMNS, ""))  # a spreadsheet leaves such a row; regression
    saved(report, told)
    assert gtag("apply", report).status == 0
    if column:
        told[4][column] = "spoiled"
        saved(report, told)
    else:
        lines = report.read_text().splitlines()
        report.write_text("\n".join([*lines[:5], "alone"]))
    ran = gtag("apply", report, "--write-tags")
    assert ran.status == 2 and said in ran.err
    assert states(music) == before


def test_what_is_in_the_tags_stays_as_it_is_spelled(gtag, make_audio, tmp_path):
    """Regression: "hip hop" beside an added genre became Hip-Hop, a mark that is not seen six
    characters, and a cell with a separator alone took the genre away."""
    piece, report = make_audio(".flac", name="music/a.flac"), tmp_path / "report.csv"
    theirs = ["hip hop", "Sha\u200bnty", "\u202eFado"]
    media = MediaFile(piece)
    media.genres = theirs
    media.save()
    aged(piece)
    gtag("scan", piece, "--report", report, *SURE_OF_ALL, "--existing", "append")
    told = rows(report)
    assert told[0]["status"] == "would-write" and "\\u200b" in told[0]["new_genre"]
    assert gtag("apply", report, "--write-tags").status == 0
    assert MediaFile(piece).genres == [*theirs, told[0]["genre"]]
    assert is_gtags(piece)
    gtag("undo")
    for edited, genres in (
        (" ; ", theirs),
        ("Sha\\u200bnty; Zouk; hip hop", ["Sha\u200bnty", "Zouk", "hip hop"]),
        ("Ska; \\u202dZouk", ["Sha\u200bnty", "Zouk", "hip hop"]),
    ):
        told[0]["new_genre"] = edited
        saved(report, told, encoding="utf-8")
        ran = gtag("apply", report, "--write-tags")
        assert MediaFile(piece).genres == genres, edited
    assert ran.status == 1 and "characters that cannot be seen" in ran.err


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX pipes")
def test_a_pipe_is_no_report(gtag, tmp_path):
    """Regression: it waited for somebody to write into it."""
    os.mkfifo(tmp_path / "report.csv")
    for asked in (
        *(("apply",), ("scan", ".", "--resume-report", "--report")),
        *(("genres", "import"), ("genres", "--genre-map")),
    ):
        ran = gtag(*asked, tmp_path / "report.csv")
        assert ran.status == 2 and "is not a regular file" in ran.err


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_ctrl_c_says_what_was_written(make_audio, tmp_path):
    """Regression: it ended without a word about what stood in the files by then."""
    many = [make_audio(".flac", name=f"music/{i:03}.flac") for i in range(150)]
    report = tmp_path / "edited.csv"
    told = [dict.fromkeys(COLUMNS, "") for _ in many]
    for row, path in zip(told, many, strict=True):
        row |= {"path": str(path), "status": "unsure", "new_genre": "Jazz"}
    saved(report, told)
    command = [sys.executable, "-m", "tagger", "apply", str(report), "--write-tags", "-v"]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as process:
        assert process.stdout.readline().startswith("written")
        process.send_signal(signal.SIGINT)
        out, complaints = process.communicate()
    assert process.returncode == 130 and "interrupted" in complaints
    written = sum(genre == "Jazz" for genre in genres(tmp_path / "music"))
    assert 0 < written < len(many)
    assert f"{written}  written" in out
