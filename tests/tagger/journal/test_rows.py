"""A journal that is sound SQLite, with nonsense in its rows."""

from __future__ import annotations

import json
import random
import sqlite3
from contextlib import closing
from typing import Any

import pytest

from tagger.containers.recognise import identify
from tagger.containers.snapshot import restore, same_fields, snapshot
from tagger.containers.write import Change, write_change
from tagger.journal.journal import Journal
from tagger.journal.rows import ChangeRecord, DamagedChange
from tagger.journal.undo import UndoStatus, undo_run
from tagger.system.errors import GtagError
from tests.tagger.specimens import EVERY_CONTAINER, specimen, tag_as_people_do

JAZZ = Change(("Jazz",), ("Jazz",), 0.91, "cnn-1")
METAL = Change(("Metal",), ("Metal",), 0.91, "cnn-1")
ROWS = 3000

_VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 7, 1 << 62, 1.5, float("nan"), float("inf"), "", "x", "genre", "é\x00",
    "AAA=", [], [[]], {}, {"path": 1}, [1, "genre", 2], [0, "title", "AAA="],
)  # fmt: skip
_RAW = (
    None, 0, -5, 2.5, b"", b"\xff\xfe", b"/a\0b", b"relative", "", "null", "true", "{}", "[]",
    '"x"', "[" * 5000, "1" * 5000, "NaN", "{", "/text", 1 << 62,
)  # fmt: skip


@pytest.fixture
def journal(tmp_path):
    with Journal(tmp_path / "state" / "journal.sqlite") as journal:
        journal._database.execute("PRAGMA synchronous = OFF")
        yield journal


@pytest.fixture
def album(make_audio):
    return [make_audio(".flac", duration_s=1.0, name=f"album/{n}.flac", seed=n) for n in range(3)]


def scan(journal, paths, change=JAZZ):
    with journal.start_run("scan", ["scan"], change.model) as run:
        for path in paths:
            write_change(path, identify(path), change, journal=run)
    return run.id


def spoilt(chance, value):
    """The same JSON value with something in it changed, gone or of another type."""
    if chance.random() < 0.15 or not isinstance(value, dict | list) or not value:
        return chance.choice(_VALUES)
    value = dict(value) if isinstance(value, dict) else list(value)
    key = chance.choice(list(value)) if isinstance(value, dict) else chance.randrange(len(value))
    if chance.random() < 0.2:
        del value[key]
    else:
        value[key] = spoilt(chance, value[key])
    return value


def spoilt_column(chance, value):
    if isinstance(value, str) and chance.random() < 0.6:
        try:
            return json.dumps(spoilt(chance, json.loads(value)))
        except (ValueError, RecursionError):
            pass
    if isinstance(value, str | bytes) and chance.random() < 0.3:
        return value[: chance.randrange(len(value) + 1)]
    return chance.choice(_RAW)


def spoil(journal, rows, seed=0):
    """Add altered copies of the journal's rows, past every constraint that can be left out."""
    chance = random.Random(seed)
    with closing(sqlite3.connect(journal.path)) as database, database:
        database.execute("PRAGMA foreign_keys = OFF")
        database.execute("PRAGMA ignore_check_constraints = ON")
        for table, share in (("runs", 0.02), ("changes", 1.0)):
            cursor = database.execute(f"SELECT * FROM {table}")
            names = [column[0] for column in cursor.description][1:]
            templates = [row[1:] for row in cursor]
            statement = (
                f"INSERT OR IGNORE INTO {table} ({', '.join(names)})"
                f" VALUES ({', '.join('?' * len(names))})"
            )
            for _ in range(int(rows * share)):
                row = list(chance.choice(templates))
                if table == "changes":
                    row[1] = chance.choice(["intent", "intent", "done", "copying"])
                for _ in range(chance.choice([1, 1, 1, 2, 5])):
                    at = chance.randrange(len(row))
                    row[at] = spoilt_column(chance, row[at])
                database.execute(statement, row)
        database.execute(  # text that is no text
            "UPDATE changes SET old = CAST(x'ff80' AS TEXT) WHERE id % 97 = 0 AND id > 10"
        )


def test_arbitrary_rows_raise_nothing_untyped_and_stop_nothing(journal, album):
    number = scan(journal, album[:2])
    spoil(journal, ROWS)
    count = journal._database.execute("SELECT COUNT(*) FROM changes").fetchone()[0]
    assert count > 0.7 * ROWS
    assert any(run.damaged for run in journal.runs())
    kinds = {type(change) for run in journal.runs() for change in journal.changes(run.id)}
    assert kinds == {ChangeRecord, DamagedChange}
    for run in journal.runs():
        list(undo_run(journal, run.id, dry_run=True))
    journal.recover()
    journal.lineage()
    for path in album:
        journal.wrote_last(path)
    scan(journal, album[2:])  # a bad row never stops a scan
    assert identify(album[2]) is not None
    results = list(undo_run(journal, number))
    assert {o.path for o in results if o.status is UndoStatus.RESTORED} == {*map(str, album[:2])}
    assert any("damaged" in o.message for o in results)


@pytest.mark.parametrize("column", ["before", "after"])
@pytest.mark.parametrize("value", ["{}", "null", "[]", "", '{"size": "1"}', None, 7])
def test_a_damaged_intent_does_not_stop_the_next_scan(journal, album, column, value):
    number = scan(journal, album[:2])
    journal._database.execute(
        f"UPDATE changes SET state = 'intent', {column} = ? WHERE id = 1", (value,)
    )
    scan(journal, album[2:])
    results = list(undo_run(journal, number))
    assert [(o.path, o.status) for o in results] == [
        (str(album[0]), UndoStatus.FAILED),
        (str(album[1]), UndoStatus.RESTORED),
    ]
    assert "damaged" in results[0].message


@pytest.mark.parametrize("name", EVERY_CONTAINER)
def test_arbitrary_old_values_are_refused_or_restored_in_every_container(name, request, tmp_path):
    path, format = specimen(name, request, tmp_path / "music")
    tag_as_people_do(path, format)
    old = snapshot(path, format)
    write_change(path, format, JAZZ)
    written = path.read_bytes()
    chance = random.Random(name)
    refused = 0
    for _ in range(60):
        path.write_bytes(written)
        forged = spoilt(chance, old)
        try:
            restore(path, format, forged)
            same_fields(path, format, forged)
        except GtagError:
            refused += 1
    assert refused > 10
    path.write_bytes(written)
    restore(path, format, old)
    assert same_fields(path, format, old)
