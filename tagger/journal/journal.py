"""What was there before: every write's intent, old values and end, in one SQLite file, for undo.

The intent is on the disk before a file is swapped, with all that is needed to take the write back.
The old values are kept as JSON, whatever they mean.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType

from tagger.errors import ConfigurationError
from tagger.journal.file import JournalFile
from tagger.journal.rows import (
    ChangeRecord,
    DamagedChange,
    Kind,
    RunRecord,
    a_change,
    a_run,
    an_identity,
    or_none,
)
from tagger.journal.run import PendingChange, Run, is_live, recover
from tagger.places import state_folder

__all__ = [
    "ChangeRecord",
    "DamagedChange",
    "Journal",
    "PendingChange",
    "Run",
    "RunRecord",
    "default_journal_path",
]


def default_journal_path() -> Path:
    """The journal in the platform's folder for state, the same for every run of a person."""
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
        """The same digest for all contents that stand for each other."""
        while digest in self.parents:
            digest = self.parents[digest]
        return digest


class Journal:
    """The journal in a file, made where there is none.

    Parameters
    ----------
    file : path-like, optional
        By default `default_journal_path`.

    Raises
    ------
    ConfigurationError
        The file cannot be used: damaged, foreign, from a newer gtag, or on a place that cannot be
        written or locked. Nothing that needs a journal must be done then.
    """

    def __init__(self, file: str | os.PathLike[str] | None = None) -> None:
        self._file = JournalFile(Path(file or default_journal_path()).absolute())
        self._database = self._file.database

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def path(self) -> Path:
        """Where it lies."""
        return self._file.path

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def recover(self) -> None:
        """Clear up behind runs that were cut off: mend, mark, remove their temporary files.

        Raises
        ------
        ConfigurationError
            The journal cannot be written.
        """
        recover(self._file)

    def start_run(self, kind: Kind, command: Sequence[str], model: str | None = None) -> Run:
        """Begin a run, after clearing up behind runs that were cut off.

        Raises
        ------
        ConfigurationError
            The journal cannot be written.
        """
        self.recover()
        return Run(self._file, kind, command, model)

    def is_live(self, run: int) -> bool:
        """Tell whether a run's process still works on it."""
        return is_live(self._file, run)

    def runs(self) -> list[RunRecord]:
        """All runs, the newest first."""
        with self._file.errors(ConfigurationError):
            undone = self._undone()
            undone_in = Counter(
                run
                for change, run in self._database.execute(
                    "SELECT id, run FROM changes WHERE id IN (SELECT undoes FROM changes)"
                )
                if change in undone
            )
            rows = self._database.execute(
                "SELECT id, kind, started, ended, command, model, (SELECT COUNT(*) FROM changes"
                " WHERE run = runs.id AND state IN ('intent', 'done')) FROM runs ORDER BY id DESC"
            )
            return [
                a_run(row, changes - undone_in[row[0]], undone_in[row[0]]) for *row, changes in rows
            ]

    def changes(self, run: int) -> list[ChangeRecord | DamagedChange]:
        """The changes that a run made, or may have made, in their order."""
        with self._file.errors(ConfigurationError):
            undone = self._undone()
            rows = self._database.execute(
                "SELECT id, path, state, format, preserve_mtime, in_place, old, new, before, after"
                " FROM changes WHERE run = ? AND state IN ('intent', 'done') ORDER BY id",
                (run,),
            )
            return [a_change(row, run, row[0] in undone) for row in rows]

    def prune(self, older_than_days: float, largest_bytes: int | None = None) -> Pruned:
        """Forget the oldest runs, which can then no longer be taken back.

        Parameters
        ----------
        older_than_days : float
            Runs that began earlier.
        largest_bytes : int, optional
            Further runs, from the oldest on, until the rest takes no more than this.

        Raises
        ------
        ConfigurationError
            The journal cannot be written.
        """
        self.recover()
        before = self._bytes()
        cutoff = (datetime.now(UTC) - timedelta(days=older_than_days)).isoformat()
        runs = changes = 0
        with self._file.errors(ConfigurationError), self._dangling():
            rows = self._database.execute("SELECT id, started FROM runs ORDER BY id").fetchall()
            for run, started in rows:
                is_old = isinstance(started, str) and started < cutoff
                is_too_much = largest_bytes is not None and self._bytes() > largest_bytes
                if not (is_old or is_too_much) or self.is_live(run):
                    break
                with self._file.transaction():
                    gone = self._database.execute("DELETE FROM changes WHERE run = ?", (run,))
                    self._database.execute("DELETE FROM runs WHERE id = ?", (run,))
                runs, changes = runs + 1, changes + gone.rowcount
            if runs:
                self._database.execute("VACUUM")
        return Pruned(runs, changes, before - self._bytes())

    @contextmanager
    def _dangling(self) -> Iterator[None]:
        """Let an undo outlive what it took back: it can still be taken back itself."""
        self._database.execute("PRAGMA foreign_keys = OFF")
        try:
            yield
        finally:
            self._database.execute("PRAGMA foreign_keys = ON")

    def _bytes(self) -> int:
        """What its rows take."""
        pages, free, size = (
            self._database.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    def later_run(self, change: ChangeRecord) -> int | None:
        """The newest run that changed the same file after this change and was not undone."""
        with self._file.errors(ConfigurationError):
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
        """Whether a file stands as gtag's last write left it, as far as size and time tell."""
        real = os.path.realpath(path)
        with self._file.errors(ConfigurationError):
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
        """How many writes have an end that nobody saw: the next run finds out what became of them.

        Raises
        ------
        ConfigurationError
            The journal is damaged.
        """
        with self._file.errors(ConfigurationError):
            (verdict,) = self._database.execute("PRAGMA integrity_check(1)").fetchone()
            if verdict != "ok":
                raise ConfigurationError(f"is damaged: {verdict}", path=self.path)
            counts = Counter(
                run
                for (run,) in self._database.execute(
                    "SELECT run FROM changes WHERE state IN ('copying', 'intent')"
                )
            )
        return sum(n for run, n in counts.items() if not self.is_live(run))

    def lineage(self) -> Lineage:
        """Which contents stand for each other."""
        parents: dict[str, str] = {}
        sizes: set[int] = set()
        lineage = Lineage(parents, sizes)
        with self._file.errors(ConfigurationError):
            for text, original in self._database.execute(
                "SELECT undo.after, change.before FROM changes AS undo"
                " JOIN changes AS change ON undo.undoes = change.id"
                " WHERE undo.state = 'done' ORDER BY undo.id"
            ):
                result, before = or_none(an_identity, text), or_none(an_identity, original)
                if result is None or before is None:
                    continue
                sizes.add(result.size)
                ours, theirs = lineage.root(result.digest), lineage.root(before.digest)
                if ours != theirs:
                    parents[ours] = theirs
        return lineage

    def _undone(self) -> set[int]:
        """Changes that an undo took back which was not taken back itself."""
        undone: set[int] = set()
        for change, undoes in self._database.execute(
            "SELECT id, undoes FROM changes WHERE undoes IS NOT NULL AND state = 'done'"
            " ORDER BY id DESC"
        ):
            if change not in undone:
                undone.add(undoes)
        return undone
