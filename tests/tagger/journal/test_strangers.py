"""What a journal that somebody else made can do to files: nothing but to genres."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path

import pytest

from tagger.journal.journal import Journal
from tagger.journal.undo import UndoStatus, undo_run
from tagger.storage.identity import Identity

BACKUP = b"fLaC" + b"what a stranger wants there" * 100
SCRIPT = b"echo forged"
NAME = ".gtag-0123456789abcdef"


@pytest.fixture
def victim(tmp_path):
    path = tmp_path / "home" / "notes.txt"
    path.parent.mkdir()
    path.write_bytes(b"my notes " * 300)
    return path


def forged(journal: Path, path: bytes, copy: bytes, backup: bytes | None, **row) -> Path:
    """A journal with one row, past everything that gtag checks when it writes one."""
    digest = sha256(BACKUP).hexdigest()
    real = Path(os.fsdecode(path)).resolve()
    status = (real if real.exists() else real.parent).stat()
    before = asdict(Identity(status.st_dev, status.st_ino, len(BACKUP), 0, digest))
    after = before | {"size": len(SCRIPT), "digest": sha256(SCRIPT).hexdigest()}
    row = {
        "run": 1, "state": "intent", "path": path, "copy": copy, "backup": backup,
        "format": "FLAC", "preserve_mtime": 0, "in_place": 1, "old": "{}", "new": "{}",
        "before": json.dumps(before), "after": json.dumps(after), **row,
    }  # fmt: skip
    Journal(journal).close()
    with closing(sqlite3.connect(journal)) as database, database:
        database.execute("INSERT INTO runs VALUES (1, 'scan', '2026-01-01', NULL, '[]', NULL)")
        marks = ", ".join("?" * len(row))
        database.execute(
            f"INSERT INTO changes ({', '.join(row)}) VALUES ({marks})", tuple(row.values())
        )
    return journal


def content(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("linked", [False, True])
@pytest.mark.parametrize("state", ["intent", "copying"])
@pytest.mark.parametrize(
    ("path", "copy", "backup"),
    [
        # Any file as the backup; and one in another folder.
        ("home/notes.txt", f"home/{NAME}.txt", "theirs/song.flac"),
        ("home/notes.txt", f"home/{NAME}.txt", f"theirs/{NAME}.txt"),
        # As gtag names it, beside a file that is no music.
        ("home/notes.txt", f"home/{NAME}.txt", f"home/{NAME}.txt"),
        # Paths that lead elsewhere.
        ("theirs/../home/notes.txt", f"theirs/../home/{NAME}.txt", f"theirs/../home/{NAME}.txt"),
        ("home/./notes.txt", f"home/{NAME}.txt", f"home/{NAME}.txt"),
        ("theirs/link.txt", f"theirs/{NAME}.txt", f"theirs/{NAME}.txt"),
        ("theirs/folder/notes.txt", f"theirs/folder/{NAME}.txt", f"theirs/folder/{NAME}.txt"),
        ("home/notes.txt", f"home/{NAME}.txt", f"home/{NAME}.flac"),
        # Any file as what a crash left behind.
        ("home/new.flac", "home/notes.txt", None),
        ("home/new.flac", f"home/{NAME}.flac/../notes.txt", None),
        ("home/notes.txt", f"theirs/{NAME}.txt", None),
        # A file that is put under a name which nothing has.
        ("home/.profile", f"home/{NAME}", None),
    ],
)
def test_a_forged_intent_overwrites_and_removes_nothing(
    tmp_path, victim, path, copy, backup, state, linked, caplog
):
    """Regression: it wrote over any file, removed any `.gtag-…`, and said "nothing to do"."""
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "link.txt").symlink_to(victim)
    (theirs / "folder").symlink_to(victim.parent)
    for name in {backup, f"theirs/{NAME}.txt"} - {None}:
        if ".." not in name and not (tmp_path / name).exists():
            (tmp_path / name).write_bytes(BACKUP)
    (victim.parent / NAME).write_bytes(SCRIPT)
    if linked:
        os.link(victim, victim.with_name("second name"))
    before = content(tmp_path)

    def at(name):
        return None if name is None else os.fsencode(f"{tmp_path}/{name}")

    journal = forged(tmp_path / "stranger.db", at(path), at(copy), at(backup), state=state)
    with Journal(journal) as opened:
        results = list(undo_run(opened, 1))
        opened.recover()
    assert not any(o.status is UndoStatus.RESTORED for o in results)
    after = content(tmp_path)
    for database in (str(journal), f"{journal}-journal"):
        before.pop(database, None), after.pop(database, None)
    # A file that is named as gtag's own, beside the file that the row is of, may go.
    mine = {name for name in before if Path(name).name.startswith(".gtag-")}
    assert {n: c for n, c in after.items() if n not in mine} == {
        n: c for n, c in before.items() if n not in mine
    }
    assert victim.read_bytes() == b"my notes " * 300
    assert "copy the backup" not in caplog.text, "nor should anybody do it by hand"


def test_relative_paths_are_damaged_rows(tmp_path, victim, monkeypatch, caplog):
    monkeypatch.chdir(victim.parent)
    backup = victim.with_name(f"{NAME}.txt")
    backup.write_bytes(BACKUP)
    name = os.fsencode(backup.name)
    with Journal(forged(tmp_path / "j.db", b"notes.txt", name, name)) as journal:
        (result,) = undo_run(journal, 1)
    assert "damaged" in result.message and "damaged" in caplog.text
    assert victim.read_bytes() == b"my notes " * 300 and backup.read_bytes() == BACKUP


def test_a_forged_change_puts_no_tag_into_what_is_no_music(tmp_path, victim):
    """A stranger who knows what a file says can name it as a result of gtag's."""
    known = asdict(Identity.of(victim))
    block = {
        "name": "id3v2", "exists": True, "shape": {"version": 4, "flags": 0}, "carried": None,
        "fields": [[0, "genre", "VENPTgAAAAcAAANGb3JnZWQA"]],
    }  # fmt: skip
    journal = forged(
        *(tmp_path / "j.db", os.fsencode(victim)),
        *(os.fsencode(victim.with_name(f"{NAME}.txt")), None),
        state="done",
        format="MP3",
        before=json.dumps(known | {"digest": "0" * 64}),
        after=json.dumps(known),
        old=json.dumps({"format": "MP3", "blocks": [block]}),
    )
    with Journal(journal) as opened:
        for dry_run in (True, False):
            (result,) = undo_run(opened, 1, dry_run=dry_run)
            assert result.status is UndoStatus.REFUSED
            assert "no container" in result.message
    assert victim.read_bytes() == b"my notes " * 300


def test_a_row_that_names_a_pipe_does_not_wait_for_ever(tmp_path, victim):
    pipe = victim.with_name("pipe.flac")
    os.mkfifo(pipe)
    beside = os.fsencode(pipe.with_name(f"{NAME}.flac"))
    for state, backup in (("done", None), ("intent", None), ("intent", beside)):
        number = tmp_path / f"{state}{backup is None}.db"
        with Journal(forged(number, os.fsencode(pipe), beside, backup, state=state)) as journal:
            (result,) = undo_run(journal, 1)
            assert result.status is UndoStatus.FAILED
            assert "not a regular file" in result.message
