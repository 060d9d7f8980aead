"""What a training says of its progress: a bar on a terminal, lines in a log."""

from __future__ import annotations

import re
import time

import pytest

from tagger.training import reporter
from tagger.training.reporter import Reporter, TerminalReporter


def test_a_log_gets_a_line_now_and_then_also_while_nothing_moves(capsys, monkeypatch):
    """Regression: nothing was said for minutes."""
    monkeypatch.setattr(reporter, "EVERY_S", 0.02)
    told = ""
    with TerminalReporter().bar(total=3, desc="artist-1", unit="rounds") as bar:
        bar.update(2)
        while told.count("\n") < 2:
            time.sleep(0.01)
            told += capsys.readouterr().err
    assert re.fullmatch(r"(artist-1: 2 of 3 rounds, 00:00 so far, .* to go\n)+", told)
    time.sleep(0.05)
    capsys.readouterr()  # those of before its end
    time.sleep(0.1)
    assert capsys.readouterr().err == ""


def test_what_is_quick_says_nothing_in_a_log(capsys):
    assert list(TerminalReporter().bar(range(3), unit="tracks")) == [0, 1, 2]
    assert capsys.readouterr().err == ""


def test_who_wants_the_result_only_hears_nothing(capsys, monkeypatch):
    monkeypatch.setattr(reporter, "EVERY_S", 0.001)
    for _ in Reporter().bar(range(3), unit="tracks"):
        time.sleep(0.005)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("desc", ["", "at most"])
def test_a_line_needs_no_total(capsys, monkeypatch, desc):
    monkeypatch.setattr(reporter, "EVERY_S", 0.01)
    told = ""
    with TerminalReporter().bar(desc=desc, unit="tracks"):
        while "\n" not in told:
            time.sleep(0.01)
            told += capsys.readouterr().err
    assert told.splitlines()[0].startswith(f"{desc}: 0 of ? tracks" if desc else "0 of ? tracks")
