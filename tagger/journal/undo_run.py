"""Takes back what a run did: every field of every file says again what it said before.

An undo is a run like any other, by the same careful write, and can be taken back itself.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial

from tagger.errors import GtagError, RefusedError, WriteFailedError
from tagger.exhausted import what_ran_out
from tagger.files.formats import FORMATS
from tagger.files.replace_file import replace_file
from tagger.journal.journal import ChangeRecord, Journal, Lineage, Run, RunRecord
from tagger.journal.undo_find import AMBIGUOUS, find_by_sound, folders_of, has_its_sound
from tagger.journal.undo_plan import (
    CHANGED_SINCE,
    Undone,
    UndoStatus,
    find_again,
    find_obstacle,
    holds_result,
    select_changes,
)
from tagger.tags.snapshot import obstacle, restore, same_fields, snapshot
from tagger.tags.verify import check_kept

__all__ = ["UndoStatus", "Undone", "list_runs", "undo_run"]

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
    force: bool = False,
    find: bool = False,
    watch: Callable[[Iterable[str]], Iterable[str]] = iter,
    command: Sequence[str] = (),
) -> Iterator[Undone]:
    """Take a run back; yields what became of each file.

    Parameters
    ----------
    journal : Journal
    run : int, optional
        By default the last scan that was not wholly taken back.
    paths : iterable of path-like, optional
        Only files that lie there (folders count with all below). Files of the run that are no
        longer where they were are looked for there by their content.
    dry_run : bool
        Write nothing, neither into files nor into the journal.
    force : bool
        Bring the old genre back also where the genre was changed since.
    find : bool
        Look for files that were moved or renamed by their sound: in `paths`, where there are some,
        else below the folders of the run.
    watch : function of paths
        Gets each path that the search looks at, and hands it on: it may show how far that is.
    command : sequence of str
        The command line, for the journal.

    Raises
    ------
    ConfigurationError
        There is no such run, it still goes on, or the journal cannot be written.
    """
    if not dry_run:
        journal.recover()
    places = [os.path.realpath(path) for path in paths]
    here, sought, damaged = select_changes(journal, run, places)
    yield from damaged
    lineage = journal.lineage()
    with ExitStack() as stack:
        this: Run | None = None

        def take_back(path: str, change: ChangeRecord) -> Undone:
            nonlocal this
            in_the_way = find_obstacle(
                journal, path, change, lineage, partial(_obstacle_of_fields, force=force)
            )
            if in_the_way is not None:
                return in_the_way
            if dry_run:
                return Undone(path, UndoStatus.WOULD_RESTORE)
            if this is None:  # a run that does nothing is none
                this = stack.enter_context(journal.start_run("undo", command))
            return _taken_back(path, change, this, lineage, force=force)

        strays: list[tuple[ChangeRecord, Undone]] = []
        newest = {change.path: change for change in reversed(here)}
        for change in here:
            if dry_run and newest[change.path] is not change:
                continue  # it shows only when the newer one is taken back
            result = take_back(change.path, change)
            if _may_have_moved(result, change, find=find, named=bool(places)):
                strays.append((change, result))
            else:
                yield result
        sought += [change for change, _ in strays]
        if find:
            of_run = {c.path for c in here}
            for number in {c.run for c in sought}:  # those that were taken back before, too
                of_run |= {c.path for c in journal.changes(number) if isinstance(c, ChangeRecord)}
            unmoved = of_run - {c.path for c, _ in strays}
            folders = places or folders_of(of_run)
            found_in = (
                find_by_sound(folders, sought, lineage, unmoved, watch=watch) if sought else []
            )
            told = set()
            for one in found_in:
                if one.change is None:
                    yield Undone(one.path, UndoStatus.REFUSED, AMBIGUOUS)
                    continue
                told.add(one.change.id)
                yield replace(take_back(one.path, one.change), moved_from=one.change.path)
            yield from (result for change, result in strays if change.id not in told)
            return
        for path, found in find_again(places, sought, lineage, {c.path for c in here}):
            if found is None:
                yield Undone(path, UndoStatus.MISSING, "the run has nothing to take back in it")
            else:
                yield take_back(path, found)
        yield from (result for change, result in strays if change in sought)


def _may_have_moved(result: Undone, change: ChangeRecord, *, find: bool, named: bool) -> bool:
    """Whether to look for a file elsewhere, since it does not stand where it stood."""
    if result.status is UndoStatus.REFUSED and find:  # something else may have taken its place
        return not has_its_sound(result.path, change)
    return (find or named) and result.status in (UndoStatus.MISSING, UndoStatus.REFUSED)


def _obstacle_of_fields(path: str, change: ChangeRecord, *, force: bool) -> str | None:
    format = _FORMATS.get(change.format)
    if format is None:
        return CHANGED_SINCE
    return obstacle(path, format, change.old, change.new, force=force)


def _taken_back(
    path: str, change: ChangeRecord, run: Run, lineage: Lineage, *, force: bool
) -> Undone:
    try:
        _take_back(path, change, run, lineage, force=force)
    except GtagError as error:
        refused = isinstance(error, RefusedError)
        message = error.message if error.hint is None else f"{error.message} ({error.hint})"
        return Undone(path, UndoStatus.REFUSED if refused else UndoStatus.FAILED, message)
    except MemoryError as error:
        lacking = what_ran_out(error)
        assert lacking is not None
        return Undone(path, UndoStatus.FAILED, f"{lacking.message} ({lacking.hint})")
    return Undone(path, UndoStatus.RESTORED)


def _take_back(path: str, change: ChangeRecord, run: Run, lineage: Lineage, *, force: bool) -> None:
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

    edited = False  # by somebody else, since

    def edit(copy: str) -> None:
        # Asked of the copy: nobody can change that between question and edit.
        nonlocal edited
        edited = not holds_result(copy, change, lineage)
        if edited:
            reason = obstacle(copy, format, change.old, change.new, force=force)
            if reason is not None:
                raise RefusedError(reason, path=path)
        pending.old = snapshot(copy, format)
        restore(copy, format, change.old, loosely=edited)

    def verify(original: str, copy: str) -> None:
        check_kept(original, copy, format)
        if not same_fields(copy, format, change.old, loosely=edited):
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
