"""New files that take the names of others: reports, playlists, notes, states of a training."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tagger.storage.durable_io import new_file, write_whole


def write_report(target: Path) -> None:
    with new_file(target) as file:
        file.write("new")


def write_note(target: Path) -> None:
    write_whole(target, b"new")


WRITERS = pytest.mark.parametrize("write", [write_report, write_note])


@pytest.fixture
def target(tmp_path):
    path = tmp_path / "report.csv"
    path.write_text("old")
    return path


def failing(monkeypatch, target: Path, *, times: int, takes_along: bool, does_it: bool = False):
    """As on a file system in user space, where the old report is open in a spreadsheet."""
    real, calls = os.replace, []

    def replace(*arguments, **options):
        calls.append(arguments)
        if does_it or len(calls) > times:
            real(*arguments, **options)
        if takes_along and len(calls) == 1:
            target.unlink()
        if len(calls) <= times:
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "replace", replace)


@WRITERS
def test_the_old_file_stays_where_the_new_one_cannot_have_its_name(target, write, monkeypatch):
    failing(monkeypatch, target, times=1, takes_along=False)
    with pytest.raises(OSError, match="Input/output"):
        write(target)
    assert target.read_text() == "old"


@WRITERS
def test_a_failure_that_took_the_old_file_along_leaves_the_new_one(target, write, monkeypatch):
    failing(monkeypatch, target, times=1, takes_along=True)
    write(target)
    assert target.read_text() == "new"
    assert [*target.parent.iterdir()] == [target]


@WRITERS
def test_what_was_done_and_called_failed_is_done(target, write, monkeypatch):
    failing(monkeypatch, target, times=1, takes_along=False, does_it=True)
    write(target)
    assert target.read_text() == "new"
    assert [*target.parent.iterdir()] == [target]


@WRITERS
def test_the_last_one_left_is_not_removed(target, write, monkeypatch):
    failing(monkeypatch, target, times=9, takes_along=True)
    with pytest.raises(OSError, match="Input/output"):
        write(target)
    (left,) = target.parent.iterdir()
    assert left.read_text() == "new"
