"""The journal's SQLite file: made, checked and opened, its failures turned into gtag's errors."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tagger.errors import ConfigurationError, GtagError

# "gtag" in ASCII, and the version of the schema below.
_APPLICATION_ID = 0x67746167
_VERSION = 1

# Two scans may share a journal; each holds it for a few milliseconds a file.
_BUSY_S = 30.0

_SCHEMA = """
CREATE TABLE runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL CHECK (kind IN ('scan', 'undo')),
    started TEXT NOT NULL,
    ended TEXT,
    command TEXT NOT NULL,
    model TEXT
);
CREATE TABLE changes (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run INTEGER NOT NULL REFERENCES runs,
    state TEXT NOT NULL CHECK (state IN ('copying', 'intent', 'done', 'aborted')),
    path BLOB NOT NULL,
    copy BLOB NOT NULL,
    backup BLOB,
    format TEXT NOT NULL,
    preserve_mtime INTEGER NOT NULL,
    in_place INTEGER NOT NULL,
    old TEXT,
    new TEXT,
    before TEXT,
    after TEXT,
    undoes INTEGER REFERENCES changes
);
CREATE INDEX changes_of_run ON changes (run);
CREATE INDEX changes_of_path ON changes (path);
CREATE INDEX undone_changes ON changes (undoes) WHERE undoes IS NOT NULL;
CREATE INDEX unsettled_changes ON changes (run) WHERE state IN ('copying', 'intent');
"""


class JournalFile:
    """An open journal file.

    Parameters
    ----------
    path : Path
        Absolute, so that SQLite takes no name for a special one (":memory:").

    Raises
    ------
    ConfigurationError
        It is damaged, foreign, from a newer gtag, or on a place that cannot be written or locked.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self.errors(ConfigurationError):
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                # It names a person's files: nobody else's business.
                with suppress(FileExistsError):
                    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
            # Never opened and closed beside SQLite: that would end the locks of this process.
            self.database = sqlite3.connect(
                os.fsencode(path), timeout=_BUSY_S, isolation_level=None
            )
        # Text that is no text must not end the reading of all other rows.
        self.database.text_factory = lambda text: text.decode("utf-8", "surrogateescape")
        try:
            with self.errors(ConfigurationError):
                self._prepare()
        except BaseException:
            self.database.close()
            raise

    def _prepare(self) -> None:
        # Not WAL: that needs memory shared between processes, which network folders lack.
        self.database.execute("PRAGMA journal_mode = TRUNCATE")
        self.database.execute("PRAGMA synchronous = FULL")
        self.database.execute("PRAGMA foreign_keys = ON")
        self.database.execute("PRAGMA trusted_schema = OFF")
        if self._number("application_id") == 0 and self._number("schema_version") == 0:
            with self.transaction():
                # Another gtag may have been faster.
                if self._number("schema_version") == 0:
                    for statement in _SCHEMA.split(";"):
                        self.database.execute(statement)
                    self.database.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
                    self.database.execute(f"PRAGMA user_version = {_VERSION}")
        if self._number("application_id") != _APPLICATION_ID:
            raise ConfigurationError(
                "not a journal of gtag", path=self.path, hint="name another with --journal"
            )
        if self._number("user_version") > _VERSION:
            raise ConfigurationError(
                "the journal was written by a newer gtag", path=self.path, hint="update gtag"
            )
        (verdict,) = self.database.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)

    def _number(self, pragma: str) -> int:
        return int(self.database.execute(f"PRAGMA {pragma}").fetchone()[0])

    def insert(self, table: str, values: tuple[object, ...]) -> int:
        """Insert a row; `table` is a table and its columns, as constants of the code."""
        marks = ", ".join("?" * len(values))
        row = self.database.execute(f"INSERT INTO {table} VALUES ({marks})", values).lastrowid
        assert row is not None
        return row

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it on the disk at the end, or nothing."""
        self.database.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.database.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                self.database.execute("ROLLBACK")
            raise

    @contextmanager
    def errors(self, kind: type[GtagError]) -> Iterator[None]:
        """Turn whatever goes wrong with the file into an error of this kind."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise kind(
                f"the journal cannot be used: {error}",
                path=self.path,
                hint="nothing is written without one; name another with --journal",
            ) from error
