"""One road: by whatever door a track comes in, the same is decided, for the same reason."""

from __future__ import annotations

import csv
import json
import re
import signal
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import astuple, replace

import numpy as np
import pytest
from mediafile import MediaFile

import tagger
from tagger.deciding.decide import Policy, Status
from tagger.deciding.options import ScanOptions
from tagger.library.walk import Library
from tagger.models.prediction import Prediction
from tagger.pipeline.batch import track_results
from tagger.pipeline.classify import Classified
from tagger.pipeline.scanning import Scanning
from tagger.reports.csv_report import COLUMNS, CsvReport, open_report, read_report
from tagger.reviewing.guesses import guesses
from tagger.reviewing.review import Review
from tests.conftest import aged
from tests.tagger.models.made import model_saying

# The threshold of a model that says Rock 0.90 and Jazz 0.20, and what is decided.
SURE = (0.5, "would-write", "Rock", "had no genre")
UNSURE = (0.95, "unsure", "", "Rock 0.90 or Jazz 0.20; the threshold is 0.95")


@pytest.fixture
def piece(make_audio):
    return make_audio(".flac", style="disco", duration_s=8.0, name="one/piece.flac")


def made(tmp_path, threshold=0.5):
    return model_saying(tmp_path / "model", {"Rock": 0.9, "Jazz": 0.2}, threshold=threshold)


def as_said(row):
    """Status, genre, confidence, what would be written, and why."""
    row = row if isinstance(row, dict) else dict(zip(COLUMNS, astuple(row), strict=False))
    confidence = round(float(row["confidence"]), 2)
    return row["status"], row["genre"], confidence, row["new_genre"], row["message"]


def by_scan(gtag, piece, model):
    ran = gtag("scan", "--json", "--jobs", "1", piece, "--model", model)
    assert ran.status == 0, ran.err
    return as_said(json.loads(ran.out))


def by_watch(piece, model):
    watching = subprocess.Popen(
        [
            *(sys.executable, "-m", "tagger", "watch", str(piece.parent), "--json"),
            *("--scan-first", "--jobs", "1", "--model", str(model)),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        return as_said(json.loads(watching.stdout.readline()))
    finally:
        watching.send_signal(signal.SIGTERM)
        watching.communicate()


def by_show(gtag, piece, model):
    out = gtag("show", piece, "--model", model).out
    genre, confidence = re.search(r"^  ([A-Z]\S+) +(\d\.\d\d)", out, re.M).groups()
    doing, reason = re.search(r"^A scan would ([^:]+): (.*)$", out, re.M).groups()
    new = doing.removeprefix("write ") if doing.startswith("write ") else ""
    status = "would-write" if new else {"leave it alone": "unsure"}[doing]
    return status, genre, float(confidence), new, reason


def by_beets(tmp_path, piece, model):
    from tests.beetsplug.test_gtag import Beets

    beet = Beets(tmp_path)
    text = beet.config.read_text(encoding="utf-8").replace("min_confidence: 0, ", "")
    beet.config.write_text(text.replace("gtag: {", f"gtag: {{model: '{model}', "), encoding="utf-8")
    beet("import", piece.parent)
    return beet("-v", "gtag", "--pretend")


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize(("threshold", "status", "new", "reason"), [SURE, UNSURE])
def test_every_door_leads_to_the_same_decision(
    gtag,
    piece,
    tmp_path,
    threshold,
    status,
    new,
    reason,
):
    model = made(tmp_path, threshold)
    expected = (status, "Rock", 0.9, new, reason)
    assert by_scan(gtag, piece, model) == expected
    assert by_show(gtag, piece, model) == expected
    assert by_watch(piece, model) == expected
    (row,) = tagger.scan(piece, model=model, jobs=1, cache=False)
    assert as_said(row) == expected
    assert row.decision.genres == (("Rock",) if new else ())
    song = tagger.load_model(model).classify(piece)
    assert (song.genre, round(song.confidence, 2), song.sure) == ("Rock", 0.9, bool(new))
    assert song.reason == ("" if new else reason)
    if new:
        assert as_said(tagger.write(piece, song, min_age_s=0))[1:] == expected[1:]


@pytest.mark.parametrize(("threshold", "status", "new", "reason"), [SURE, UNSURE])
def test_beets_goes_the_same_way(piece, tmp_path, threshold, status, new, reason):
    pytest.importorskip("beets")
    said = by_beets(tmp_path, piece, made(tmp_path, threshold))
    assert f"1 {status}" in said
    assert f"{status}: {'Rock 0.90' if new else reason}" in said


def test_a_review_asks_about_what_the_scan_said(gtag, piece, tmp_path, monkeypatch):
    model, report = made(tmp_path, 0.95), tmp_path / "report.csv"
    assert gtag("scan", "--report", report, piece, "--model", model, "--jobs", "1").status == 0
    question = Review(report, lambda track, change: None).question(0)
    assert as_said(question.result) == ("unsure", "Rock", 0.9, "", UNSURE[-1])
    scanning = Scanning(ScanOptions(model=str(model)), writes=False, command=())
    with ExitStack() as stack:
        scanning.load(stack)
        named = guesses(question, scanning).named
    assert [(name, round(p, 2)) for name, p in named] == [("Rock", 0.9), ("Jazz", 0.2)]


def last_line(gtag, piece, *options):
    ran = gtag("show", piece, *options)
    assert ran.status == 0, ran.err
    return ran.out.splitlines()[-1]


def test_show_knows_what_a_scan_leaves_out_or_refuses(gtag, piece, tmp_path):
    model = ("--model", made(tmp_path))
    settings = tmp_path / "config" / "gtag" / "config.toml"
    settings.parent.mkdir(parents=True)
    assert last_line(gtag, piece, *model) == "A scan would write Rock: had no genre"
    settings.write_text('[scan]\nexclude = ["piece.*"]\n')
    assert last_line(gtag, piece, *model) == "A scan leaves it out: --exclude matches it"
    settings.unlink()
    (piece.parent / ".nogtag").touch()
    said = f"A scan leaves it out: the folder {piece.parent} holds a file .nogtag"
    assert last_line(gtag, piece, *model) == said
    (piece.parent / ".nogtag").unlink()
    piece.touch()
    assert "A scan would not write it: too new to write" in last_line(gtag, piece, *model)
    settings.write_text("[scan]\nmin-age = 0\n")
    assert last_line(gtag, piece, *model) == "A scan would write Rock: had no genre"
    settings.write_text('[scan]\nmin-age = 0\ngenre-map = "map.toml"\n')
    (settings.parent / "map.toml").write_text("[rename]\nRock = 'Guitars'\n")
    assert last_line(gtag, piece, *model) == "A scan would write Guitars: had no genre"
    piece.write_bytes(b"")
    ran = gtag("show", piece, *model)
    (row,) = tagger.scan(piece, model=model[1], jobs=1)
    assert ran.status == 1 and row.message == "empty file" and row.message in ran.err


def test_show_decides_by_the_album_as_a_scan_of_its_folder(gtag, make_audio, tmp_path):
    model = ("--model", made(tmp_path))
    for i in range(3):
        piece = make_audio(".flac", seed=i, duration_s=6.0, name=f"album/{i}.flac")
    settings = tmp_path / "config" / "gtag" / "config.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text('[scan]\nalbum = "one"\njobs = 1\n')
    reason = "had no genre; Rock 0.90, the highest mean of the album's 3 tracks"
    assert last_line(gtag, piece, *model) == f"A scan of its folder would write Rock: {reason}"
    ran = gtag("scan", "--json", piece.parent, *model)
    assert json.loads(ran.out.splitlines()[-1])["message"] == reason
    settings.write_text('[scan]\nalbum = "off"\n')
    assert last_line(gtag, piece, *model) == "A scan would write Rock: had no genre"


def said(rock, pop):
    return Classified(
        Prediction(("Rock", "Pop"), np.array([rock, pop]), "made-1", independent=True)
    )


@pytest.mark.parametrize("album", ["vote", "one"])
def test_a_row_keeps_the_tracks_own_prediction(make_audio, tmp_path, album):
    """Regression: the row had the album's mean as the track's guess, below its runner-up."""
    own = [(0.9, 0.1), (0.8, 0.2), (0.9, 0.1), (0.4, 0.45)]
    known = {}
    for i, probabilities in enumerate(own):
        piece = make_audio(".flac", seed=i, duration_s=2.0, name=f"album/{i}.flac")
        media = MediaFile(piece)
        media.artist = media.album = "One"
        media.save()
        aged(piece)
        known[str(piece)] = said(*probabilities)

    def rows(which):
        tracks = Library([str(tmp_path / "album")])
        policy = Policy(album=which)
        return list(track_results(tracks, model="none", policy=policy, jobs=1, known=known))

    together = rows(album)
    for alone, row in zip(rows("off"), together, strict=True):
        for column in ("genre", "confidence", "runner_up", "runner_up_confidence"):
            assert getattr(row, column) == getattr(alone, column)
        assert row.runner_up_confidence <= row.confidence
    odd = together[-1]
    assert (odd.genre, odd.confidence, odd.new_genre) == ("Pop", 0.45, "Rock")
    assert odd.message.startswith("had no genre; Rock 0.75, ") and "album's 4 tracks" in odd.message
    assert odd.decision.genres == ("Rock",)
    assert odd.decision.confidence == odd.decision.change.confidence == pytest.approx(0.75)


def test_a_report_with_the_old_name_of_a_cue_track_is_read(gtag, piece, tmp_path):
    report = tmp_path / "report.csv"
    (row,) = tagger.scan(piece, model=made(tmp_path), jobs=1)
    with open_report(str(report)) as file:
        CsvReport(file).add(replace(row, path="x.cue/track0001", status=Status.CUE_TRACK))
    report.write_bytes(report.read_bytes().replace(b"cue-track", b"heard"))
    assert [row.status for row in read_report(str(report))] == [Status.CUE_TRACK]
    options = ("--report", report, "--resume-report", "--html", tmp_path / "page.html")
    ran = gtag("scan", piece, "--model", tmp_path / "model", "--jobs", "1", *options)
    assert ran.status == 0, ran.err
    with open(report, encoding="utf-8", newline="") as stream:
        assert [r["status"] for r in csv.DictReader(stream)] == ["heard", "would-write"]
