"""The lines of a scan: they fit the terminal, whatever genres and files are called."""

from __future__ import annotations

import io

import pytest
from rich.cells import cell_len
from rich.text import Text

from tagger.cli.listing import Listing
from tagger.deciding.decide import Status
from tagger.pipeline.road import TrackResult


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.fixture
def listing(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm-256color")
    return Listing(Terminal())


def plain(line):
    return Text.from_ansi(line).plain


NAMES = ["a.mp3", "music/" * 30 + "the end.mp3", "日本語の名前" * 12 + ".mp3", "\x1b[2J" * 9]
GENRES = [
    "",
    "Rock",
    "Progressive Psychedelic Space Rock from the Seventies; Krautrock",
    "ロック" * 9,
]


@pytest.mark.parametrize("path", NAMES)
@pytest.mark.parametrize("genre", GENRES)
@pytest.mark.parametrize("status", [s for s in Status if not s.is_problem])
def test_a_line_fits_80_columns_and_ends_with_the_files_name(listing, path, genre, status):
    for confidence in (0.5, None):
        second = None if confidence is None else 0.25
        result = TrackResult(
            path, status, genre, confidence, genre, second, genre, genre, message="why it is " * 20
        )
        line = plain(listing.line(result))
        assert cell_len(line) < 80
        assert "\n" not in line and "\x1b" not in line
        assert line.startswith(status)
        assert line.rstrip()[-4:] == path[-4:].replace("\x1b", "x1b")[-4:]


def test_what_went_wrong_is_said_whole(listing):
    result = TrackResult("music/" * 30 + "a.mp3", Status.REFUSED, message="the reason is long " * 9)
    assert result.path in plain(listing.line(result))
    assert result.message in plain(listing.line(result))


def test_elsewhere_nothing_is_cut_or_coloured():
    listing = Listing(io.StringIO())
    path = "music/" * 30 + "a.mp3"
    line = listing.line(TrackResult(path, Status.UNSURE, "Jazz", 0.4, "Pop", 0.3))
    assert line == f"unsure       {'Jazz 0.40 or Pop 0.30':38}  {path}"
    line = listing.line(TrackResult(path, Status.FAILED, message="no space left"))
    assert line == f"{path}: failed: no space left"
