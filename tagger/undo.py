"""Takes back what a run did: every field of every file says again what it said before.

An undo is a run like any other, by the same careful write, and can be taken back itself. It must
not know the terminal.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence

from tagger.errors import GtagError, RefusedError, WriteFailedError
from tagger.formats import FORMATS
from tagger.journal import Journal, Lineage, Run, RunRecord
from tagger.replace_file import replace_file
from tagger.tags.snapshot import restore, same_fields, snapshot
from tagger.tags.verify import check_kept
from tagger.undo_plan import CHANGED_SINCE, Step, Undone, UndoStatus, holds_result, plan_undo

__all__ = ["Step", "UndoStatus", "Undone", "list_runs", "plan_undo", "undo_run"]

_FORMATS = {format.name: format for format in FORMATS}


def list_runs(journal: Journal) -> list[RunRecord]:
    """All runs, the newest first."""
    return journal.runs()


def undo_run(
    journal: Journal,
    run: int | None = None,
    paths: Iterable[str | os.PathLike[str]] = (),
    *,
    dry_run: bool = False,
    command: Sequence[str] = (),
) -> Iterator[Undone]:
    """Take a run back; yields what became of each file.

    Parameters
    ----------
    journal, run, paths
        As for `plan_undo`.
    dry_run : bool
        Write nothing, neither into files nor into the journal.
    command : sequence of str
        The command line, for the journal.

    Raises
    ------
    ConfigurationError
        There is no such run, it still goes on, or the journal cannot be written.
    """
    if not dry_run:
        journal.recover()
    steps, obstacles = plan_undo(journal, run, paths)
    if dry_run:
        yield from (Undone(step.path, UndoStatus.WOULD_RESTORE) for step in steps)
    elif steps:
        lineage = journal.lineage()
        with journal.start_run("undo", command) as this:
            yield from (_undone(step, this, lineage) for step in steps)
    yield from obstacles


def _undone(step: Step, run: Run, lineage: Lineage) -> Undone:
    try:
        _take_back(step, run, lineage)
    except GtagError as error:
        refused = isinstance(error, RefusedError)
        message = error.message if error.hint is None else f"{error.message} ({error.hint})"
        return Undone(step.path, UndoStatus.REFUSED if refused else UndoStatus.FAILED, message)
    return Undone(step.path, UndoStatus.RESTORED)


def _take_back(step: Step, run: Run, lineage: Lineage) -> None:
    path, change = step.path, step.change
    format = _FORMATS.get(change.format)
    if format is None:
        raise RefusedError(f"this gtag does not know the container {change.format}", path=path)
    pending = run.change(
        path,
        format.name,
        new=change.old,
        preserve_mtime=change.preserve_mtime,
        in_place=change.in_place,
        undoes=change.id,
    )

    def edit(copy: str) -> None:
        # Asked of the copy: nobody can change that between question and edit.
        if not holds_result(copy, change, lineage):
            raise RefusedError(CHANGED_SINCE, path=path)
        pending.old = snapshot(copy, format)
        restore(copy, format, change.old)

    def verify(original: str, copy: str) -> None:
        check_kept(original, copy, format)
        if not same_fields(copy, format, change.old):
            raise WriteFailedError("its fields would not read as before", path=path)

    replace_file(
        path,
        edit,
        verify,
        before_copy=pending.before_copy,
        before_swap=pending.before_swap,
        after_swap=pending.after_swap,
        preserve_mtime=change.preserve_mtime,
        in_place=change.in_place,
    )
