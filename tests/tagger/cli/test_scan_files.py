"""What a scan writes beside the tags: its page and its playlists."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from mediafile import MediaFile

from tests.tagger.cli.conftest import rows
from tests.tagger.reports.test_playlists import found
from tests.tagger.reports.test_scan_page import rows_of


def test_the_page_of_a_scan(gtag, make_audio, tmp_path):
    folder = make_audio(".flac", name="music/<b> & \u202ex.flac").parent
    (folder / "broken.mp3").write_bytes(b"")
    page, report = tmp_path / "page.html", tmp_path / "report.csv"
    page.write_text("an older one")
    options = ("--report", report, "--html", page, "--jobs", 1)
    assert gtag("scan", folder, *options).status == 1
    told = rows_of(page.read_text(encoding="utf-8"))
    assert [row[1] for row in told] == [row["status"] for row in rows(report)]
    assert [row[8] for row in told] == [row["message"] for row in rows(report)]
    # What the report held already is on the next page, too.
    shutil.copy2(folder / "<b> & \u202ex.flac", folder / "new.flac")
    assert gtag("scan", folder, *options, "--resume-report").status == 0
    assert len(rows_of(page.read_text(encoding="utf-8"))) == 3
    assert sorted(os.listdir(tmp_path)) == ["music", "page.html", "report.csv"]  # noqa: PTH208


def test_what_cannot_be_a_page_is_2(gtag, make_audio, tmp_path):
    piece = make_audio(".flac")
    for target in (tmp_path, tmp_path / "nowhere" / "page.html", Path(os.devnull)):
        ran = gtag("scan", piece, "--html", target)
        assert ran.status == 2 and "Traceback" not in ran.err and str(target) in ran.err


def test_a_page_stays_where_the_next_scan_cannot_begin(gtag, make_audio, tmp_path):
    page = tmp_path / "page.html"
    page.write_text("an older one")
    piece = make_audio(".flac")
    assert gtag("scan", piece, "--html", page, "--report", tmp_path).status == 2
    assert page.read_text() == "an older one"


def test_the_playlists_of_a_scan(gtag, make_audio, tmp_path):
    folder = make_audio(".flac", name="music/a.flac").parent
    make_audio(".mp3", name="music/b\nc.mp3")
    lists = tmp_path / "lists"
    options = ("--min-confidence", 0, "--jobs", 1, "--playlists", lists)
    ran = gtag("scan", folder, *options)
    assert ran.status == 0 and "playlists in" in ran.out and "1 tracks in none" in ran.out
    (file,) = lists.iterdir()
    assert found(file) == [folder / "a.flac"]  # as the tags would say
    assert gtag("scan", folder, "--write-tags", *options).status == 0
    assert file.stem == MediaFile(folder / "a.flac").genre
    file.write_text("mine")
    ran = gtag("scan", folder, *options)
    assert ran.status == 1 and "not made by gtag" in ran.err and file.read_text() == "mine"
    ran = gtag("scan", folder, "--playlists", folder / "a.flac")
    assert ran.status == 2 and "Traceback" not in ran.err


def test_what_a_report_held_stands_in_them_too(gtag, make_audio, tmp_path):
    folder = make_audio(".flac", name="music/a.flac").parent
    make_audio(".flac", name="music/b.flac")
    lists, report = tmp_path / "lists", tmp_path / "report.csv"
    options = ("--min-confidence", 0, "--jobs", 1, "--playlists", lists, "--report", report)
    assert gtag("scan", folder, *options, "--limit", 1).status == 0
    assert gtag("scan", folder, *options, "--resume-report").status == 0
    (file,) = lists.iterdir()
    assert found(file) == [folder / "a.flac", folder / "b.flac"]


@pytest.mark.skipif(sys.platform == "win32", reason="there are no limits for files there")
@pytest.mark.parametrize("option", ["--html", "--playlists", "--report"])
def test_a_full_disk_is_named_after_the_summary(make_audio, tmp_path, option):
    """Regression: it named no file, and there was no summary."""
    piece, target = make_audio(".flac", duration_s=1.0), tmp_path / "out"
    small = 10 if option == "--report" else 1000
    code = (
        "import resource, sys, tagger.cli\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({small}, {small}))\n"
        "tagger.cli.main()\n"
    )
    if option == "--playlists":
        media = MediaFile(piece)
        media.genre, media.title = "Polka", "x" * 2000
        media.save()
    arguments = ["scan", piece, "--jobs", "1", "--no-cache", option, target]
    ran = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1, ran.stderr
    assert f"gtag: {target}" in ran.stderr and "cannot be written: File too large" in ran.stderr
    assert "bug" not in ran.stderr and "Traceback" not in ran.stderr
    assert ran.stderr.count("File too large") == 1
    assert (
        option == "--report"
        or "kept" in ran.stdout
        or "would-write" in ran.stdout
        or "unsure" in ran.stdout
    )
