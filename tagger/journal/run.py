"""A run of the journal: its changes on their way, and what becomes of unfinished ones."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from tagger.errors import ConfigurationError, WriteFailedError
from tagger.files.locks import HeldLock, take_lock
from tagger.files.replace_file import Identity
from tagger.journal.file import JournalFile
from tagger.journal.recovery import FileState, remove_temporaries, resolve_pending
from tagger.journal.rows import DamagedRowError, an_open_change

log = logging.getLogger(__name__)

# `copying`: named before its copy is made; `intent`: all is on the disk to swap it and to take it
# back; then `done`, or `aborted` where the file stands as it was.
State = Literal["copying", "intent", "done", "aborted"]


class Run:
    """A run that goes on. As a context manager it finishes at the end.

    Parameters
    ----------
    file : JournalFile
    kind : str
        "scan" or "undo".
    command : sequence of str
        The command line.
    model : str, optional

    Attributes
    ----------
    id : int
        What people name it by.

    Raises
    ------
    ConfigurationError
        The journal cannot be written.
    """

    def __init__(
        self, file: JournalFile, kind: str, command: Sequence[str], model: str | None = None
    ) -> None:
        self._file = file
        # Marked together with the next change: an intent without a mark is understood as well, and
        # each commit waits for the disk.
        self._done: list[tuple[State, int]] = []
        row = (kind, _now(), json.dumps(list(command)), model)
        with file.errors(ConfigurationError), file.transaction():
            self.id = file.insert("runs (kind, started, command, model)", row)
            # Locked before others can see the run, so that nobody takes it for a dead one.
            lock = take_lock(lock_file(file, self.id))
            assert lock is not None, "nobody else knows a run that is not committed"
            self._lock: HeldLock = lock

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
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
            The file. Journalled is where it really lies.
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
        return PendingChange(self._file, row, self._done)

    def finish(self) -> None:
        """Settle and mark everything.

        Raises
        ------
        WriteFailedError
            The journal could not be written. What was changed can be undone all the same: the
            next start finds out.
        """
        try:
            with self._file.errors(WriteFailedError):
                with self._file.transaction():
                    _mark(self._file, self._done)
                settle_run(self._file, self.id)
                with self._file.transaction():
                    self._file.database.execute(
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
        self, file: JournalFile, row: dict[str, Any], done: list[tuple[State, int]]
    ) -> None:
        self._file = file
        self._row = row
        self._done = done
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
        with self._file.errors(WriteFailedError), self._file.transaction():
            _mark(self._file, self._done)
            self._id = self._file.insert(f"changes ({', '.join(row)})", tuple(row.values()))
        self._done.clear()

    def before_swap(self, before: Identity, after: Identity, copy: str) -> None:
        """Journal the intent, durably. Raises as `before_copy` does."""
        with self._file.errors(WriteFailedError), self._file.transaction():
            self._file.database.execute(
                "UPDATE changes SET state = 'intent', old = ?, before = ?, after = ? WHERE id = ?",
                (json.dumps(self.old), identity_as_json(before), identity_as_json(after), self._id),
            )

    def after_swap(self) -> None:
        """Mark the intent as done, with the next change or at the end of the run."""
        self._done.append(("done", self._id))


def recover(file: JournalFile) -> None:
    """Settle what runs that died left open: mend it, mark it, remove its temporary files.

    Raises
    ------
    ConfigurationError
        The journal cannot be written.
    """
    with file.errors(ConfigurationError):
        open_runs = file.database.execute(
            "SELECT DISTINCT run FROM changes WHERE state IN ('copying', 'intent')"
            " AND typeof(run) = 'integer'"
        ).fetchall()
        for (run,) in open_runs:
            lock = take_lock(lock_file(file, run))
            if lock is None:
                continue  # that run lives
            try:
                settle_run(file, run)
            finally:
                lock.release()
        _remove_stale_locks(file)


def _remove_stale_locks(file: JournalFile) -> None:
    """Remove the lock files of runs that were killed when nothing was open."""
    name = re.compile(re.escape(f"{file.path.name}-run") + r"\d+\.lock")
    stale = [path for path in file.path.parent.iterdir() if name.fullmatch(path.name)]
    if not stale:
        return
    with file.transaction():  # a run takes its lock within one, so none can be just about to
        for path in stale:
            with suppress(OSError):  # somebody else removes it, or it is nobody's to remove
                lock = take_lock(path)
                if lock is not None:
                    lock.release()


def settle_run(file: JournalFile, run: int) -> None:
    """Find out what became of a run's open changes; what is out of reach stays open."""
    settled: list[tuple[State, int]] = []
    for row in file.database.execute(
        "SELECT id, state, path, copy, backup, before, after FROM changes"
        " WHERE run = ? AND state IN ('copying', 'intent')",
        (run,),
    ).fetchall():
        try:
            change = an_open_change(row)
        except DamagedRowError:
            # Nobody can say what it was about: it stays, an undo names it, and the work goes on.
            log.warning("entry %d of %s is damaged", row[0], file.path)
            continue
        found = FileState.OLD
        if change.before is not None and change.after is not None:
            try:
                found = resolve_pending(change.path, change.before, change.after, change.backup)
            except OSError:
                continue  # the backup stays for the next time
        if found is not FileState.OUT_OF_REACH and remove_temporaries(change.temporaries):
            # Of a file that somebody changed since, nobody can say whether gtag wrote it first:
            # it counts as written, and undo will refuse it by name.
            settled.append(("aborted" if found is FileState.OLD else "done", change.id))
    with file.transaction():
        _mark(file, settled)


def is_live(file: JournalFile, run: int) -> bool:
    """Tell whether a run's process still works on it."""
    path = lock_file(file, run)
    with file.errors(ConfigurationError):
        lock = take_lock(path) if path.exists() else None
        if lock is None:
            return path.exists()
        lock.release()
        return False


def lock_file(file: JournalFile, run: int) -> Path:
    """The file that a run's process holds locked while it lives."""
    return file.path.with_name(f"{file.path.name}-run{run}.lock")


def identity_as_json(identity: Identity) -> str:
    """An identity as it is journalled."""
    return json.dumps(asdict(identity))


def _mark(file: JournalFile, states: list[tuple[State, int]]) -> None:
    file.database.executemany("UPDATE changes SET state = ? WHERE id = ?", states)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
