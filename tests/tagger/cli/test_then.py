"""`--then COMMAND` runs behind a run that wrote, and only then."""

from __future__ import annotations

import sys

import pytest
from mediafile import MediaFile

from tests.conftest import aged


@pytest.fixture
def piece(make_audio):
    made = make_audio(".flac")
    file = MediaFile(made)
    file.genre = "hip hop"
    file.save()
    return aged(made)


@pytest.fixture
def noted(tmp_path):
    """A command that leaves a line in a file, and the file."""
    file = tmp_path / "noted"
    code = f"open({str(file)!r}, 'a').write('ran\\n'); print('told')"
    return file, f'"{sys.executable}" -c "{code}"'


def test_after_a_write_it_runs_once_and_tells_on_stderr(gtag, piece, noted):
    file, command = noted
    assert gtag("tidy", piece, "--then", command).status == 0 and not file.exists()
    ran = gtag("tidy", piece, "--write-tags", "--then", command)
    assert ran.status == 0 and file.read_text() == "ran\n"
    assert "told" in ran.err and "told" not in ran.out
    assert gtag("tidy", piece, "--write-tags", "--then", command).status == 0
    assert file.read_text() == "ran\n", "nothing was written"


def test_after_a_scan_too(gtag, make_audio, noted):
    file, command = noted
    options = ("--jobs", "1", "--min-confidence", "0", "--then", command)
    piece = make_audio(".flac")
    assert gtag("scan", piece, *options).status == 0 and not file.exists()
    assert gtag("scan", piece, *options, "--write-tags").status == 0
    assert file.read_text() == "ran\n"


def test_one_that_fails_is_told(gtag, piece):
    ran = gtag("tidy", piece, "--write-tags", "--then", "exit 3")
    assert ran.status == 1 and "--then ended with status 3: exit 3" in ran.err
    assert MediaFile(piece).genre == "Hip-Hop"
