"""Cue sheets: what they say, which file they mean, and what a scan makes of them."""

from __future__ import annotations

import csv
import os
import sys
import unicodedata
from itertools import pairwise

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from mediafile import MediaFile

import tagger
from tagger.cli import cli
from tagger.deciding.decide import Policy, agreed
from tagger.library.cue_sheet import cue_sheet_of, parse_cue, unused_sheet
from tagger.models.prediction import Prediction, Style
from tagger.sound import demo
from tagger.sound.audio import read_excerpts
from tests.conftest import aged

SHEET = '''\ufeffREM GENRE "Rock"
PERFORMER "Somebody"
FILE "{file}" WAVE
  TRACK 01 AUDIO
    TITLE "The first"
    INDEX 01 00:00:00
  TRACK 02 AUDIO
    TITLE "Second, ""or so"""
    INDEX 00 00:13:00
    INDEX 01 00:14:37
  TRACK 03 AUDIO
    INDEX 01 00:28:00
'''


def test_a_sheet_says_where_tracks_begin():
    ((file, tracks),) = parse_cue(SHEET.format(file="C:\\rips\\album.wav").encode())
    assert file == "album.wav"
    assert [(t.number, t.begin_s, t.end_s) for t in tracks] == [
        (1, 0.0, 14 + 37 / 75),
        (2, 14 + 37 / 75, 28.0),
        (3, 28.0, None),
    ]
    assert tracks[0].title == "The first" and tracks[2].title == ""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1252"])
def test_a_sheet_of_any_usual_encoding_is_read(encoding):
    text = SHEET.format(file="Ätna.wav").lstrip("\ufeff")
    ((file, tracks),) = parse_cue(text.encode(encoding))
    assert file == "Ätna.wav" and len(tracks) == 3


def test_data_tracks_are_no_music():
    text = SHEET.format(file="a.wav").replace("TRACK 03 AUDIO", "TRACK 03 MODE1/2352")
    ((_, tracks),) = parse_cue(text.encode())
    assert [(t.number, t.end_s) for t in tracks] == [(1, 14 + 37 / 75), (2, 28.0)]


def test_tracks_that_do_not_follow_each_other_are_no_tracks():
    text = SHEET.format(file="a.wav").replace("00:28:00", "00:03:00")
    assert parse_cue(text.encode()) == [("a.wav", ())]


@given(st.binary(max_size=300) | st.text(alphabet='FILETRACKINDEX 0123456789:"\n', max_size=300))
def test_no_sheet_is_too_odd(content):
    for _, tracks in parse_cue(content if isinstance(content, bytes) else content.encode()):
        for a, b in pairwise(tracks):
            assert a.begin_s < b.begin_s


@pytest.mark.parametrize(
    ("named", "sheet", "there", "meant"),
    [
        ("album.flac", "x.cue", ["album.flac", "other.flac"], "album.flac"),
        ("album.wav", "x.cue", ["album.flac"], "album.flac"),  # encoded since
        ("CDImage.wav", "album.cue", ["album.ape"], "album.ape"),
        ("CDImage.wav", "album.flac.cue", ["album.flac", "song.flac"], "album.flac"),
        ("album.wav", "album.cue", ["album.wav", "album.flac"], "album.wav"),
    ],
)
def test_which_file_a_sheet_means(tmp_path, named, sheet, there, meant):
    for name in there:
        (tmp_path / name).touch()
    (tmp_path / sheet).write_text(SHEET.format(file=named), encoding="utf-8")
    found = {name for name in there if cue_sheet_of(str(tmp_path / name))}
    assert found == {meant}


@pytest.mark.parametrize(
    ("name", "encoding"),
    [
        ("Шостакович.flac", "cp1251"),
        ("王菲 天空.ape", "gbk"),
        ("椎名林檎.wav", "cp932"),
        ("Žofia.flac", "cp1250"),
        ("Ätna.flac", "cp1252"),
    ],
)
def test_a_sheet_in_an_old_encoding_finds_its_file(tmp_path, name, encoding):
    """Regression: only Windows-1252 was tried."""
    (tmp_path / name).touch()
    (tmp_path / "other.flac").touch()
    text = SHEET.format(file=name).lstrip("\ufeff").replace("The first", name)
    (tmp_path / "x.cue").write_bytes(text.encode(encoding))
    sheet = cue_sheet_of(str(tmp_path / name))
    assert sheet.tracks[0].title == name
    assert cue_sheet_of(str(tmp_path / "other.flac")) is None


@pytest.mark.skipif(sys.platform != "linux", reason="file names are Unicode there")
def test_a_sheet_finds_a_file_whose_name_is_in_the_same_old_encoding(tmp_path):
    name = os.fsdecode("Шостакович.flac".encode("cp1251"))
    (tmp_path / name).touch()
    text = SHEET.format(file="Шостакович.flac").lstrip("\ufeff")
    (tmp_path / "x.cue").write_bytes(text.encode("cp1251"))
    assert len(cue_sheet_of(str(tmp_path / name)).tracks) == 3


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_accents_and_case_of_a_name_do_not_matter(tmp_path, form):
    """Regression: a sheet from macOS or Windows did not find its file."""
    there = unicodedata.normalize("NFD" if form == "NFC" else "NFC", "Ménage à Trois.flac")
    (tmp_path / there).touch()
    named = unicodedata.normalize(form, "MÉNAGE À Trois.FLAC")
    (tmp_path / "x.cue").write_text(SHEET.format(file=named), encoding="utf-8")
    assert cue_sheet_of(str(tmp_path / there)) is not None
    (tmp_path / "x.cue").write_text(SHEET.format(file=named[:-4] + "wav"), encoding="utf-8")
    aged(tmp_path)
    assert cue_sheet_of(str(tmp_path / there)) is not None


def test_the_only_sheet_belongs_to_the_only_long_file(tmp_path):
    for name, size in (
        ("Side A.flac", 2_000_000),
        ("bonus.flac", 90_000),
        ("cover.jpg", 3_000_000),
    ):
        (tmp_path / name).write_bytes(bytes(size))
    sheet = tmp_path / "rip.cue"
    sheet.write_text(SHEET.format(file="CDImage.wav"), encoding="utf-8")
    found = cue_sheet_of(str(tmp_path / "Side A.flac"))
    assert found.guessed and len(found.tracks) == 3
    assert cue_sheet_of(str(tmp_path / "bonus.flac")) is None
    (tmp_path / "bonus.flac").write_bytes(bytes(2_000_000))
    aged(tmp_path)
    assert cue_sheet_of(str(tmp_path / "Side A.flac")) is None
    assert unused_sheet(str(tmp_path / "bonus.flac")) == (
        "rip.cue is not used: it names CDImage.wav, which is not here"
    )
    (tmp_path / "third.flac").touch()  # then it is an album track by track
    aged(tmp_path, by_s=7200)
    assert unused_sheet(str(tmp_path / "bonus.flac")) == ""


def test_a_sheet_that_is_not_used_is_said_to_be(make_audio, tmp_path):
    """Regression: it was ignored without a word. One that is only guessed has to fit."""
    piece = make_audio(".flac", duration_s=20.0)
    for text, told in (
        (SHEET.format(file="gone.wav"), "a.cue is not used: its tracks do not fit"),
        (
            SHEET.format(file=piece.name).replace("00:28:00", "00:01:00"),
            "a.cue is not used: its tracks do not begin one after the other",
        ),
        ("x" * 2_000_000, "a.cue is not used: it is too large for a sheet"),
    ):
        (tmp_path / "a.cue").write_text(text, encoding="utf-8")
        (result,) = tagger.scan(piece, min_confidence=0, jobs=1, cache=False)
        assert result.status == "would-write" and result.message.endswith(told), result.message
        (tmp_path / "a.cue").unlink()


def test_a_sheet_of_single_files_cuts_none(tmp_path):
    lines = ""
    for n in (1, 2):
        (tmp_path / f"{n}.wav").touch()
        lines += f'FILE "{n}.wav" WAVE\n TRACK {n:02} AUDIO\n  INDEX 01 00:00:00\n'
    (tmp_path / "album.cue").write_text(lines)
    assert cue_sheet_of(str(tmp_path / "1.wav")) is None


def test_a_sheet_that_changes_is_read_again(tmp_path):
    (tmp_path / "a.flac").touch()
    sheet = tmp_path / "a.cue"
    sheet.write_text(SHEET.format(file="a.flac"), encoding="utf-8")
    assert len(cue_sheet_of(str(tmp_path / "a.flac")).tracks) == 3
    sheet.unlink()
    aged(tmp_path)
    assert cue_sheet_of(str(tmp_path / "a.flac")) is None


def test_a_section_is_heard_as_if_it_were_a_file(tmp_path):
    rate, pieces = 22050, [demo.compose(s, 1, 40.0) for s in ("jazz", "metal", "disco")]
    for i, piece in enumerate(pieces):
        soundfile.write(tmp_path / f"{i}.flac", piece.T, demo.RATE)
    soundfile.write(tmp_path / "all.flac", np.concatenate(pieces, axis=-1).T, demo.RATE)
    alone = read_excerpts(tmp_path / "1.flac")
    section = read_excerpts(tmp_path / "all.flac", 40.0, 80.0)
    assert section.duration_s == pytest.approx(alone.duration_s, abs=1e-3)
    assert len(section.excerpts) == len(alone.excerpts) == 3
    for a, b in zip(alone.excerpts, section.excerpts, strict=True):
        assert a.start_s == pytest.approx(b.start_s, abs=1e-6)
        n = min(len(a.samples), len(b.samples))
        assert n > 12 * rate
        assert np.corrcoef(a.samples[:n], b.samples[:n])[0, 1] > 0.999
    last = read_excerpts(tmp_path / "all.flac", 95.0)
    assert last.duration_s == pytest.approx(25.0, abs=1e-3)


def album(folder, styles):
    """A long file of pieces of 15 s each, and its sheet."""
    pieces = [demo.compose(style, 1, 15.0) for style in styles]
    soundfile.write(folder / "album.flac", np.concatenate(pieces, axis=-1).T, demo.RATE)
    lines = ['FILE "album.wav" WAVE']
    for i in range(len(styles)):
        lines += [f"TRACK {i + 1:02} AUDIO", f'TITLE "No. {i + 1}"', f"INDEX 01 00:{15 * i:02}:00"]
    (folder / "album.cue").write_text("\n".join(lines))
    return aged(folder / "album.flac")


def rows(report):
    with open(report, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_tracks_of_a_cue_sheet_get_rows_of_their_own(tmp_path):
    file = album(tmp_path, ["metal", "classical", "metal"])
    before = file.read_bytes()
    report = tmp_path / "r.csv"
    arguments = ["scan", str(file), "--write-tags", "--min-confidence", "0"]
    arguments += ["--report", str(report), "--journal", str(tmp_path / "j")]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0, result.output
    whole, *parts = rows(report)
    assert [row["path"] for row in parts] == [
        str(tmp_path / "album.cue" / f"track000{n}") for n in (1, 2, 3)
    ]
    assert {row["status"] for row in parts} == {"cue-track"}
    assert [row["genre"] == parts[0]["genre"] for row in parts] == [True, False, True]
    assert parts[1]["message"].startswith("No. 2: ")
    assert float(parts[0]["duration_s"]) == pytest.approx(15.0, abs=0.05)
    assert float(whole["duration_s"]) == pytest.approx(45.0, abs=0.05)
    assert whole["status"] == "unsure"
    assert "3 tracks do not agree" in whole["message"] and "album.cue" in whole["message"]
    assert file.read_bytes() == before


def test_a_file_whose_tracks_agree_gets_their_genre(tmp_path):
    file = album(tmp_path, ["metal", "metal"])
    report = tmp_path / "r.csv"
    arguments = ["scan", str(file), "--write-tags", "--min-confidence", "0"]
    arguments += ["--report", str(report), "--journal", str(tmp_path / "j")]
    assert CliRunner().invoke(cli, arguments).exit_code == 0
    whole, first, second = rows(report)
    assert whole["status"] == "written"
    assert whole["genre"] == first["genre"] == second["genre"] == MediaFile(file).genre
    assert "its 2 tracks" in whole["message"]


LABELS = ("Jazz", "Rock")


def said(jazz, rock, *, house=0.0, non_music_reason=""):
    return Prediction(
        LABELS,
        np.array([jazz, rock]),
        "m-1",
        thresholds=np.array([0.5, 0.5]),
        independent=True,
        styles=(Style("Bebop", "Jazz", house, 0.5),),
        non_music_reason=non_music_reason,
    )


def test_tracks_agree_on_what_those_are_that_are_sure():
    together, told = agreed([said(0.9, 0.1, house=0.4), said(0.7, 0.2, house=0.8), None], Policy())
    assert told == "its 3 tracks: Jazz 2, unsure 1"
    assert together.probabilities == pytest.approx([0.8, 0.15])
    assert together.styles[0].probability == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("predictions", "told"),
    [
        ([said(0.9, 0.1), said(0.1, 0.9)], "its 2 tracks do not agree: Jazz 1, Rock 1"),
        ([said(0.9, 0.1), None, None], "its 3 tracks do not agree: Jazz 1, unsure 2"),
        ([said(0.9, 0.1, non_music_reason="noise"), None], "its 2 tracks do not agree: unsure 2"),
    ],
)
def test_tracks_that_do_not_agree(predictions, told):
    assert agreed(predictions, Policy()) == (None, told)
