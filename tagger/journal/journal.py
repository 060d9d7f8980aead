"""What was there before: every write's intent, old values and end, in one SQLite file, for undo.

The intent is on the disk before a file is swapped, with all that is needed to take the write back.
The old values are kept as JSON, whatever they mean.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sqlite3
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from tagger.journal.recovery import FileState, settle
from tagger.journal.rows import (
    ChangeRecord,
    DamagedChange,
    DamagedRowError,
    Kind,
    RunRecord,
    a_change,
    a_path,
    a_run,
    an_identity,
    an_open_change,
    or_none,
)
from tagger.storage.at_rest import is_watched_wholly
from tagger.storage.identity import Identity
from tagger.storage.locks import take_lock
from tagger.system.errors import ConfigurationError, GtagError, WriteFailedError
from tagger.system.places import state_folder
from tagger.system.screen import printable

log = logging.getLogger(__name__)

# `copying`: named before its copy is made; `intent`: all is on the disk to swap it and to take it
# back; then `done`, or `aborted` where the file stands as it was.
State = Literal["copying", "intent", "done", "aborted"]

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


def default_journal_path() -> Path:
    """Return the journal in the platform's folder for state, the same for every run of a person."""
    return state_folder() / "journal.sqlite"


@dataclass(frozen=True)
class Pruned:
    """What was forgotten: runs, the changes that they had made, and bytes."""

    runs: int
    changes: int
    bytes: int


@dataclass(frozen=True)
class Lineage:
    """Which contents stand for each other because an undo made one for the other.

    An undo brings back what every field said, not every byte (there may be more padding), so its
    result stands for the content before the change that it took back.

    Attributes
    ----------
    parents : dict
        From the digest of an undo's result towards that of the content that it stands for.
    sizes : set of int
        Of the results, in bytes.
    """

    parents: dict[str, str]
    sizes: set[int]

    def root(self, digest: str) -> str:
        """Return the same digest for all contents that stand for each other."""
        while digest in self.parents:
            digest = self.parents[digest]
        return digest


class Journal:
    """The journal in a file, made where there is none.

    Parameters
    ----------
    file : path-like, optional
        By default `default_journal_path`.
    trust : bool
        Use it also where it belongs to another user than this one or root.

    Raises
    ------
    ConfigurationError
        The file cannot be used: damaged, foreign, another user's, from a newer gtag, or on a place
        that cannot be written or locked. Nothing that needs a journal may be done then. Every
        method raises it where the file cannot be read or written any more.
    """

    def __init__(self, file: str | os.PathLike[str] | None = None, *, trust: bool = False) -> None:
        # Absolute, so that SQLite takes no name for a special one (":memory:").
        self.path = Path(file or default_journal_path()).absolute()
        self._said: set[str] = set()
        self._opened: os.stat_result | None = None
        with self._errors():
            if not self.path.exists():
                self.path.parent.mkdir(parents=True, exist_ok=True)
                # Readable by its owner alone: it names a person's files.
                with suppress(FileExistsError):
                    os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
            elif not trust:
                self._refuse_another_users()
            # Never opened and closed beside SQLite: that would end the locks of this process.
            self._database = sqlite3.connect(
                os.fsencode(self.path), timeout=_BUSY_S, isolation_level=None
            )
        # Text that is not UTF-8 must not end the reading of all other rows.
        self._database.text_factory = lambda text: text.decode("utf-8", "surrogateescape")
        try:
            with self._errors():
                self._prepare()
        except BaseException:
            self.close()
            raise

    def _refuse_another_users(self) -> None:
        """Refuse another user's journal: it says which files are written, and with what."""
        if sys.platform == "win32":  # files have no such owner
            return
        owner = self.path.stat().st_uid
        if owner not in (os.geteuid(), 0):
            raise ConfigurationError(
                f"the journal belongs to another user (number {owner})",
                path=self.path,
                hint="it says what is written into which files; if that is right, add --trust",
            )

    def _prepare(self) -> None:
        self._database.execute("PRAGMA synchronous = FULL")
        self._database.execute("PRAGMA foreign_keys = ON")
        self._database.execute("PRAGMA trusted_schema = OFF")
        if self._pragma("application_id") == 0 and self._pragma("schema_version") == 0:
            with self._transaction():
                # Another gtag may have been faster.
                if self._pragma("schema_version") == 0:
                    for statement in _SCHEMA.split(";"):
                        self._database.execute(statement)
                    self._database.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
                    self._database.execute(f"PRAGMA user_version = {_VERSION}")
        if self._pragma("application_id") != _APPLICATION_ID:
            raise ConfigurationError(
                "not a journal of gtag", path=self.path, hint="name another with --journal"
            )
        if self._pragma("user_version") > _VERSION:
            raise ConfigurationError(
                "the journal was written by a newer gtag", path=self.path, hint="update gtag"
            )
        if (verdict := self._pragma("quick_check(1)")) != "ok":
            raise sqlite3.DatabaseError(verdict)
        # WAL waits for the disk once a commit, and not five times. It needs memory shared between
        # processes, which network folders lack.
        mode = "WAL" if is_watched_wholly(self.path) else "TRUNCATE"
        with suppress(sqlite3.OperationalError):  # another gtag uses it just now: as it is, then
            self._database.execute(f"PRAGMA journal_mode = {mode}")
        self._opened = self.path.stat()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _pragma(self, name: str) -> Any:
        return self._database.execute(f"PRAGMA {name}").fetchone()[0]

    def _insert(self, table: str, row: Mapping[str, object]) -> int:
        """Insert a row and return its number; `table` and the columns are constants of the code."""
        marks = ", ".join("?" * len(row))
        statement = f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})"
        number = self._database.execute(statement, tuple(row.values())).lastrowid
        assert number is not None
        return number

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Run the body as one transaction: all of it is on the disk at the end, or nothing."""
        if self._opened is not None and not os.path.samestat(self.path.stat(), self._opened):
            raise OSError("another file has its name since")  # SQLite would write into the old one
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._database.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                self._database.execute("ROLLBACK")
            raise

    @contextmanager
    def _errors(self, kind: type[GtagError] = ConfigurationError) -> Iterator[None]:
        """Turn whatever goes wrong with the file into an error of this kind."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise kind(
                f"the journal cannot be used: {error}",
                path=self.path,
                hint="nothing is written without one; name another with --journal",
            ) from error

    def _mark(self, states: list[tuple[State, int]]) -> None:
        self._database.executemany("UPDATE changes SET state = ? WHERE id = ?", states)

    def start_run(self, kind: Kind, command: Sequence[str], model: str | None = None) -> Run:
        """Begin a run, after clearing up behind runs that were cut off."""
        self.recover()
        return Run(self, kind, command, model)

    def is_live(self, run: int) -> bool:
        """Tell whether a run's process still works on it."""
        path = self._lock_file(run)
        with self._errors():
            lock = take_lock(path) if path.exists() else None
            if lock is None:
                return path.exists()
            lock.release()
            return False

    def _lock_file(self, run: int) -> Path:
        """Return the file that a run's process holds locked while it lives."""
        return self.path.with_name(f"{self.path.name}-run{run}.lock")

    def recover(self) -> None:
        """Clear up behind runs that were cut off: mend, mark, remove their temporary files."""
        with self._errors():
            open_runs = self._database.execute(
                "SELECT DISTINCT run FROM changes WHERE state IN ('copying', 'intent')"
                " AND typeof(run) = 'integer'"
            ).fetchall()
            for (run,) in open_runs:
                lock = take_lock(self._lock_file(run))
                if lock is None:
                    continue  # that run lives
                try:
                    self._settle(run)
                finally:
                    lock.release()
            self._remove_stale_locks()

    def _settle(self, run: int) -> None:
        """Find out what became of a run's open changes; what cannot be known stays open."""
        rows = self._database.execute(
            "SELECT id, state, path, format, copy, backup, before, after FROM changes"
            " WHERE run = ? AND state IN ('copying', 'intent')",
            (run,),
        ).fetchall()
        changes = []  # all are checked before the first file is touched
        for row in rows:
            try:
                changes.append(an_open_change(row))
            except DamagedRowError:
                # It stays open, and an undo names it.
                self._warn(f"entry {row[0]} of {printable(str(self.path))} is damaged")
        settled: list[tuple[State, int]] = []
        for change in changes:
            found = settle(change, lambda: filter(None, [self.folder_of(run)]))
            if found.warning:
                self._warn(found.warning)
            if found.state is not None:
                # Whether gtag wrote a file before somebody changed it cannot be known: it counts as
                # done, so that an undo refuses it by name.
                settled.append(("aborted" if found.state is FileState.OLD else "done", change.id))
        with self._transaction():
            self._mark(settled)

    def folder_of(self, run: int) -> str | None:
        """Return the folder below which all files were that a run changed; None for the root."""
        with self._errors():
            rows = self._database.execute(
                "SELECT path FROM changes WHERE run = ? AND state IN ('intent', 'done')", (run,)
            )
            paths = [path for (value,) in rows if (path := or_none(a_path, value)) is not None]
        with suppress(ValueError):  # none; on Windows, on different drives
            common = Path(os.path.commonpath([Path(path).parent for path in paths]))
            return None if common.parent == common else str(common)
        return None

    def _warn(self, message: str) -> None:
        """Say what somebody should know, each thing once."""
        if message not in self._said:
            self._said.add(message)
            log.warning("%s", message)

    def _remove_stale_locks(self) -> None:
        """Remove the lock files of runs that were killed when nothing was open."""
        name = re.compile(re.escape(f"{self.path.name}-run") + r"\d+\.lock")
        stale = [path for path in self.path.parent.iterdir() if name.fullmatch(path.name)]
        if not stale:
            return
        with self._transaction():  # a run takes its lock within one, so none can be just about to
            for path in stale:
                with suppress(OSError):  # somebody else removes it, or nobody may
                    lock = take_lock(path)
                    if lock is not None:
                        lock.release()

    def runs(self) -> list[RunRecord]:
        """Return all runs, the newest first."""
        with self._errors():
            files = (
                "SELECT COUNT(DISTINCT path) FROM changes"
                " WHERE run = runs.id AND state IN ('intent', 'done')"
            )
            in_force = f"{files} AND id NOT IN (SELECT value FROM json_each(:undone))"
            rows = self._database.execute(
                f"SELECT id, kind, started, ended, command, model, ({files}), ({in_force})"
                " FROM runs ORDER BY id DESC",
                {"undone": json.dumps([*self._undone()])},
            )
            return [a_run(row, stand, all_files - stand) for *row, all_files, stand in rows]

    def last_scan(self, *, but: int | None = None) -> int | None:
        """Return the scan that a change in force is of, the newest one; None where nothing is in
        force.

        Of two scans that went on at once, that may be the one which began first: taken back in this
        order, no change is in the way of an older one.

        Parameters
        ----------
        but : int, optional
            A run to pass over.
        """
        with self._errors():
            undone = self._undone()
            for change, run in self._database.execute(
                "SELECT changes.id, run FROM changes JOIN runs ON runs.id = run"
                " WHERE kind IS NOT 'undo' AND state IN ('intent', 'done') ORDER BY changes.id DESC"
            ):
                if change not in undone and run != but:
                    return int(run)
        return None

    def changes(self, run: int) -> list[ChangeRecord | DamagedChange]:
        """Return the changes that a run made, or may have made, in their order."""
        with self._errors():
            undone = self._undone()
            rows = self._database.execute(
                "SELECT id, path, state, format, preserve_mtime, in_place, old, new, before, after"
                " FROM changes WHERE run = ? AND state IN ('intent', 'done') ORDER BY id",
                (run,),
            )
            return [a_change(row, run, row[0] in undone) for row in rows]

    def prune(self, older_than_days: float, largest_bytes: int | None = None) -> Pruned:
        """Forget the oldest runs, which can then no longer be taken back.

        A run stays while a backup of its lies there that may have to mend a torn file.

        Parameters
        ----------
        older_than_days : float
            Runs that began earlier.
        largest_bytes : int, optional
            Further runs, from the oldest on, until the rest takes no more than this.
        """
        self.recover()
        before = self._bytes()
        cutoff = (datetime.now(UTC) - timedelta(days=older_than_days)).isoformat()
        runs = changes = 0
        with self._errors(), self._dangling():
            rows = self._database.execute("SELECT id, started FROM runs ORDER BY id").fetchall()
            for run, started in rows:
                is_old = isinstance(started, str) and started < cutoff
                is_too_much = largest_bytes is not None and self._bytes() > largest_bytes
                if not (is_old or is_too_much) or self.is_live(run):
                    break
                if self._needs_backup(run):
                    continue
                with self._transaction():
                    gone = self._database.execute("DELETE FROM changes WHERE run = ?", (run,))
                    self._database.execute("DELETE FROM runs WHERE id = ?", (run,))
                runs, changes = runs + 1, changes + gone.rowcount
            if runs:
                self._database.execute("VACUUM")
        return Pruned(runs, changes, before - self._bytes())

    def _needs_backup(self, run: int) -> bool:
        """Tell whether a file of the run may be torn that its backup, which is there, can mend."""
        rows = self._database.execute(
            "SELECT backup FROM changes WHERE run = ? AND state = 'intent'", (run,)
        )
        backups = [or_none(a_path, value) for (value,) in rows]
        return any(backup is not None and os.path.lexists(backup) for backup in backups)

    @contextmanager
    def _dangling(self) -> Iterator[None]:
        """Let an undo outlive what it took back: it can still be taken back itself."""
        self._database.execute("PRAGMA foreign_keys = OFF")
        try:
            yield
        finally:
            self._database.execute("PRAGMA foreign_keys = ON")

    def _bytes(self) -> int:
        """Return the bytes used."""
        pages = self._pragma("page_count") - self._pragma("freelist_count")
        return int(pages * self._pragma("page_size"))

    def later_run(self, change: ChangeRecord) -> int | None:
        """Return the newest run that changed the same file after this change and was not undone."""
        with self._errors():
            undone = self._undone()
            for later, run in self._database.execute(
                "SELECT id, run FROM changes WHERE path = ? AND id > ? AND state = 'done'"
                " AND undoes IS NULL AND typeof(run) = 'integer' ORDER BY id DESC",
                (os.fsencode(change.path), change.id),
            ):
                if later not in undone:
                    return int(run)
            return None

    def wrote_last(self, path: str | os.PathLike[str]) -> bool:
        """Tell whether a file stands as gtag's last write left it, as far as size and time tell."""
        real = os.path.realpath(path)
        with self._errors():
            row = self._database.execute(
                "SELECT after FROM changes WHERE path = ? AND state IN ('intent', 'done')"
                " ORDER BY id DESC LIMIT 1",
                (os.fsencode(real),),
            ).fetchone()
        after = None if row is None else or_none(an_identity, row[0])
        if after is None:
            return False
        now = Path(real).stat()
        return (after.size, after.mtime_ns) == (now.st_size, now.st_mtime_ns)

    def cut_off(self) -> int:
        """Count the writes that were cut off: the next run finds out what became of them.

        The whole file is checked for damage, which is a ConfigurationError.
        """
        with self._errors():
            if (verdict := self._pragma("integrity_check(1)")) != "ok":
                raise ConfigurationError(f"is damaged: {verdict}", path=self.path)
            counts = self._database.execute(
                "SELECT run, COUNT(*) FROM changes WHERE state IN ('copying', 'intent')"
                " GROUP BY run"
            ).fetchall()
        return sum(n for run, n in counts if not self.is_live(run))

    def lineage(self) -> Lineage:
        """Return which contents stand for each other."""
        lineage = Lineage({}, set())
        with self._errors():
            for text, original in self._database.execute(
                "SELECT undo.after, change.before FROM changes AS undo"
                " JOIN changes AS change ON undo.undoes = change.id"
                " WHERE undo.state = 'done' ORDER BY undo.id"
            ):
                result, before = or_none(an_identity, text), or_none(an_identity, original)
                if result is None or before is None:
                    continue
                lineage.sizes.add(result.size)
                ours, theirs = lineage.root(result.digest), lineage.root(before.digest)
                if ours != theirs:
                    lineage.parents[ours] = theirs
        return lineage

    def _undone(self) -> set[int]:
        """Return the changes that an undo took back which was not taken back itself."""
        undone: set[int] = set()
        for change, undoes in self._database.execute(
            "SELECT id, undoes FROM changes WHERE typeof(undoes) = 'integer' AND state = 'done'"
            " ORDER BY id DESC"
        ):
            if change not in undone:
                undone.add(undoes)
        return undone


class Run:
    """A run that goes on. As a context manager it finishes at the end.

    Parameters
    ----------
    journal : Journal
    kind : str
        "scan" or "undo".
    command : sequence of str
        The command line.
    model : str, optional

    Attributes
    ----------
    id : int
        Its number, for `gtag undo`.

    Raises
    ------
    ConfigurationError
        The journal cannot be written.
    """

    def __init__(
        self, journal: Journal, kind: Kind, command: Sequence[str], model: str | None = None
    ) -> None:
        self._journal = journal
        # Marked together with the next change: an intent without a mark is understood as well, and
        # each commit waits for the disk.
        self._done: list[tuple[State, int]] = []
        row = {"kind": kind, "started": _now(), "command": json.dumps(list(command))}
        with journal._errors(), journal._transaction():
            self.id = journal._insert("runs", row | {"model": model})
            # Locked before others can see the run, which would take it for a dead one.
            lock = take_lock(journal._lock_file(self.id))
            assert lock is not None, "no other process knows a run that is not committed"
            self._lock = lock

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        self.finish()

    def change(
        self,
        path: str | os.PathLike[str],
        format_name: str,
        *,
        new: Any = None,
        preserve_mtime: bool = False,
        in_place: bool = False,
        undoes: int | None = None,
    ) -> PendingChange:
        """Announce a change; nothing is journalled before its hooks are called.

        Parameters
        ----------
        path : path-like
            The file. Its real path is journalled.
        format_name : str
        new : Any
            JSON-able: what is planned.
        preserve_mtime, in_place : bool
            As given to `replace_file`; undo does likewise.
        undoes : int, optional
            The change that this one takes back.
        """
        row = {
            "run": self.id,
            "path": os.fsencode(os.path.realpath(path)),
            "format": format_name,
            "new": json.dumps(new),
            "preserve_mtime": preserve_mtime,
            "in_place": in_place,
            "undoes": undoes,
        }
        return PendingChange(self._journal, row, self._done)

    def finish(self) -> None:
        """Settle and mark everything.

        Raises
        ------
        WriteFailedError
            The journal could not be written. What was changed can be undone all the same: the
            next start finds out.
        """
        journal = self._journal
        try:
            with journal._errors(WriteFailedError):
                with journal._transaction():
                    journal._mark(self._done)
                journal._settle(self.id)
                with journal._transaction():
                    journal._database.execute(
                        "UPDATE runs SET ended = ? WHERE id = ?", (_now(), self.id)
                    )
        finally:
            self._lock.release()


class PendingChange:
    """One change on its way: its methods are the hooks of `replace_file`.

    Attributes
    ----------
    old : Any
        JSON-able: the raw values before. To be set before `before_swap`.
    """

    def __init__(
        self, journal: Journal, row: dict[str, Any], done: list[tuple[State, int]]
    ) -> None:
        self._journal, self._row, self._done = journal, row, done
        self._id = 0
        self.old: Any = None

    def before_copy(self, copy: str, backup: str | None) -> None:
        """Name the files that a crash may leave behind.

        Raises
        ------
        WriteFailedError
            The journal cannot be written: the file must not be either.
        """
        row = self._row | {
            "state": "copying",
            "copy": os.fsencode(copy),
            "backup": None if backup is None else os.fsencode(backup),
        }
        with self._journal._errors(WriteFailedError), self._journal._transaction():
            self._journal._mark(self._done)
            self._id = self._journal._insert("changes", row)
        self._done.clear()

    def before_swap(self, before: Identity, after: Identity, copy: str) -> None:
        """Journal the intent, durably. Raises as `before_copy` does."""
        values = [json.dumps(value) for value in (self.old, asdict(before), asdict(after))]
        with self._journal._errors(WriteFailedError), self._journal._transaction():
            self._journal._database.execute(
                "UPDATE changes SET state = 'intent', old = ?, before = ?, after = ? WHERE id = ?",
                (*values, self._id),
            )

    def after_swap(self) -> None:
        """Mark the intent as done, with the next change or at the end of the run."""
        self._done.append(("done", self._id))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
