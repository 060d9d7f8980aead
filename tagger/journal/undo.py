"""Takes back what a run did: every field of every file says again what it said before.

An undo is a run like any other, by the same careful write, and can be taken back itself.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from enum import StrEnum

from tagger.containers.formats import FORMATS
from tagger.containers.snapshot import obstacle, restore, roles_of, same_fields, snapshot
from tagger.containers.verify import check_kept
from tagger.containers.write import refuse_unless
from tagger.journal.journal import Journal, Run
from tagger.journal.recovery import FileState, file_state
from tagger.journal.rows import ChangeRecord, DamagedChange, RunRecord
from tagger.journal.undo_find import find_by_content, find_by_sound, folders_of, has_its_sound
from tagger.storage.identity import Identity
from tagger.storage.replace_file import check_writable, replace_file
from tagger.system.errors import (
    ConfigurationError,
    GtagError,
    RefusedError,
    UnreadableError,
    WriteFailedError,
)
from tagger.system.exhausted import what_ran_out

_FORMATS = {format.name: format for format in FORMATS}

_CHANGED_SINCE = "somebody changed it since"
_DAMAGED = "its entry in the journal is damaged: it cannot be taken back"
_AMBIGUOUS = (
    "several moved files of the run have its sound, and said different things before:"
    " they cannot be told apart"
)


class UndoStatus(StrEnum):
    """What became of one file."""

    RESTORED = "restored"
    WOULD_RESTORE = "would-restore"
    REFUSED = "refused"  # somebody changed it since, or it must not be written
    MISSING = "missing"
    FAILED = "failed"

    @property
    def is_problem(self) -> bool:
        """Whether something is left to do."""
        return self not in (UndoStatus.RESTORED, UndoStatus.WOULD_RESTORE)


@dataclass(frozen=True)
class Undone:
    """What became of one file.

    `message` is the reason, or what went wrong behind a file that was restored; else empty.
    `moved_from` is where it stood when gtag wrote it, of a file that `--find` found elsewhere.
    """

    path: str
    status: UndoStatus
    message: str = ""
    moved_from: str | None = None


def undo_run(
    journal: Journal,
    run: int | None = None,
    paths: Iterable[str | os.PathLike[str]] = (),
    *,
    dry_run: bool = False,
    force: bool = False,
    find: bool = False,
    last: bool = False,
    watch: Callable[[Iterable[str]], Iterable[str]] = iter,
    command: Sequence[str] = (),
) -> Generator[Undone, None, None]:
    """Take a run back; yields what became of each file, once where all went well.

    Parameters
    ----------
    journal : Journal
    run : int, optional
        By default that of `run_to_undo`.
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
    last : bool
        Take back only the last change of each file, also of a run of this process that goes on.
    watch : function of paths
        Gets each path that the search looks at, and hands it on: it may show how far that is.
    command : sequence of str
        The command line, for the journal.

    Raises
    ------
    ConfigurationError
        There is no such run, it is still running, or the journal cannot be written.
    """
    if not dry_run:
        journal.recover()
    places = [os.path.realpath(path) for path in paths]
    here, sought, damaged = _select_changes(journal, run, places, live=last)
    yield from damaged
    with ExitStack() as stack:
        undo = _Undo(journal, stack, dry_run=dry_run, force=force, command=command)
        strays: list[tuple[ChangeRecord, Undone]] = []
        newest = {change.path: change for change in reversed(here)}
        restored: Undone | None = None  # of a file that the run changed again: told once
        for change, following in zip(here, [*here, None][1:], strict=True):
            if (dry_run or last) and newest[change.path] is not change:
                continue  # in a dry run, it shows only when the newer one is taken back
            result = undo.take_back(change.path, change)
            went_well = result.status is UndoStatus.RESTORED and not result.message
            if restored is not None and not went_well:
                yield restored
            restored = None
            once_more = not last and following is not None and following.path == change.path
            if _may_have_moved(result, change, find=find, named=bool(places)):
                strays.append((change, result))
            elif went_well and once_more:
                restored = result
            else:
                yield result
        sought += [change for change, _ in strays]
        of_run = {change.path for change in here}
        if not find:
            for path, found in find_by_content(places, sought, undo.lineage, of_run):
                if found is None:
                    yield Undone(path, UndoStatus.MISSING, "the run has nothing to take back in it")
                else:
                    yield undo.take_back(path, found)
            yield from (result for change, result in strays if change in sought)
            return
        for number in {c.run for c in sought}:  # those that were taken back before, too
            of_run |= {c.path for c in journal.changes(number) if isinstance(c, ChangeRecord)}
        unmoved = of_run - {change.path for change, _ in strays}
        folders = places or folders_of(of_run)
        told = set()
        for path, found in find_by_sound(folders, sought, undo.lineage, unmoved, watch=watch):
            if found is None:
                yield Undone(path, UndoStatus.REFUSED, _AMBIGUOUS)
                continue
            told.add(found.id)
            yield replace(undo.take_back(path, found), moved_from=found.path)
        yield from (result for change, result in strays if change.id not in told)


def _select_changes(
    journal: Journal, run: int | None, places: list[str], *, live: bool
) -> tuple[list[ChangeRecord], list[ChangeRecord], list[Undone]]:
    """Return the changes to take back: here, elsewhere (of files that are gone), and damaged ones.

    `places` are real paths; where there are some, only files that lay there are `here`.
    """
    here, elsewhere, damaged = [], [], []
    for change in journal.changes(run_to_undo(journal, run, live=live).id):
        if isinstance(change, DamagedChange):
            if not places or any(_lies_in(change.path or "", place) for place in places):
                shown = change.path or f"{journal.path}, entry {change.id}"
                damaged.append(Undone(shown, UndoStatus.FAILED, _DAMAGED))
            continue
        if change.undone or not (change.settled or _was_carried_out(change)):
            continue
        if not places or any(_lies_in(change.path, place) for place in places):
            here.append(change)
        elif not os.path.lexists(change.path):
            elsewhere.append(change)
    return _newest_of_each_file_first(here), elsewhere, damaged


def _newest_of_each_file_first(changes: list[ChangeRecord]) -> list[ChangeRecord]:
    """Keep the order, but take back a file's later changes before its earlier ones."""
    by_path: dict[str, list[ChangeRecord]] = {}
    for change in changes:
        by_path.setdefault(change.path, []).append(change)
    return [change for of_file in by_path.values() for change in reversed(of_file)]


def run_to_undo(journal: Journal, run: int | None = None, *, live: bool = False) -> RunRecord:
    """Return the run with a number; by default the last scan that wrote and was not wholly taken
    back.

    Raises
    ------
    ConfigurationError
        There is no such run, or it is still running.
    """
    if run is None and (run := journal.last_scan()) is None:
        raise ConfigurationError("there is nothing to undo", path=journal.path)
    record = next((record for record in journal.runs() if record.id == run), None)
    if record is None:
        raise ConfigurationError(
            f"there is no run {run}", path=journal.path, hint="gtag undo --list names them"
        )
    if not live and journal.is_live(run):
        raise ConfigurationError(
            f"run {run} is still running",
            path=journal.path,
            hint="wait for its end, or press Ctrl-C",
        )
    return record


def _in_words(error: Exception) -> str:
    """Format an error without its path, with what to do about it."""
    known = error if isinstance(error, GtagError) else what_ran_out(error)
    if known is None:
        return getattr(error, "strerror", None) or str(error)
    return known.message if known.hint is None else f"{known.message} ({known.hint})"


def _lies_in(path: str, place: str) -> bool:
    return path == place or path.startswith(place.rstrip(os.sep) + os.sep)


def _was_carried_out(change: ChangeRecord) -> bool:
    return file_state(change.path, change.before, change.after) is not FileState.OLD


def _may_have_moved(result: Undone, change: ChangeRecord, *, find: bool, named: bool) -> bool:
    """Tell whether to look for a file elsewhere, since it does not stand where it stood."""
    if result.status is UndoStatus.REFUSED and find:  # something else may have taken its place
        return not has_its_sound(result.path, change)
    return (find or named) and result.status in (UndoStatus.MISSING, UndoStatus.REFUSED)


class _Undo:
    """Takes changes back, in one run of the journal, which begins with the first of them.

    Parameters
    ----------
    journal : Journal
    stack : ExitStack
        Finishes the run at its end.
    dry_run, force, command
        As `undo_run` has them.
    """

    def __init__(
        self,
        journal: Journal,
        stack: ExitStack,
        *,
        dry_run: bool,
        force: bool,
        command: Sequence[str],
    ) -> None:
        self._journal, self._stack = journal, stack
        self._dry_run, self._force, self._command = dry_run, force, command
        self._run: Run | None = None
        self.lineage = journal.lineage()

    def take_back(self, path: str, change: ChangeRecord) -> Undone:
        """Take a change back in a file, which may have moved since, and say what became of it."""
        try:
            in_the_way = self._obstacle(path, change)
            if in_the_way is not None:
                return in_the_way
            if self._dry_run:
                return self._rehearsed(path, change)
        except MemoryError as error:
            return Undone(path, UndoStatus.FAILED, _in_words(error))
        if self._run is None:
            self._run = self._stack.enter_context(self._journal.start_run("undo", self._command))
        try:
            remark = self._write(self._run, path, change)
        except (GtagError, MemoryError) as error:
            refused = isinstance(error, RefusedError)
            status = UndoStatus.REFUSED if refused else UndoStatus.FAILED
            return Undone(path, status, _in_words(error))
        return Undone(path, UndoStatus.RESTORED, remark or "")

    def _rehearsed(self, path: str, change: ChangeRecord) -> Undone:
        try:
            check_writable(path, in_place=change.in_place, preserve_mtime=change.preserve_mtime)
        except RefusedError as error:
            return Undone(path, UndoStatus.REFUSED, _in_words(error))
        except OSError as error:
            return Undone(path, UndoStatus.FAILED, f"cannot be read: {_in_words(error)}")
        return Undone(path, UndoStatus.WOULD_RESTORE)

    def _obstacle(self, path: str, change: ChangeRecord) -> Undone | None:
        """Say why a change cannot be taken back in a file; None where nothing is in the way."""
        try:
            if self._seems_to_hold_result(path, change):
                if change.format in _FORMATS:  # a journal of somebody else's may name any file
                    refuse_unless(_FORMATS[change.format], path, path)
                return None
            later = self._journal.later_run(change)
            if later is not None and later != change.run:
                reason: str | None = (
                    f"gtag changed it again since: undo run {later} first (gtag undo {later})"
                )
            elif change.format not in _FORMATS:
                reason = _CHANGED_SINCE
            else:
                reason = obstacle(
                    path, _FORMATS[change.format], change.old, change.new, force=self._force
                )
        except (FileNotFoundError, NotADirectoryError):
            message = "it no longer exists; if it was moved, name its new place, or use --find"
            return Undone(path, UndoStatus.MISSING, message)
        except OSError as error:
            return Undone(path, UndoStatus.FAILED, f"cannot be read: {_in_words(error)}")
        except (RefusedError, UnreadableError) as error:
            return Undone(path, UndoStatus.REFUSED, f"{_CHANGED_SINCE}: {error.message}")
        return None if reason is None else Undone(path, UndoStatus.REFUSED, reason)

    def _seems_to_hold_result(self, path: str, change: ChangeRecord) -> bool:
        """Tell whether a file holds what a change made of it, or what stands for that.

        Of a file that is about to be copied, size and time suffice: the copy is hashed.
        """
        if not self._dry_run and not os.path.islink(path):  # noqa: PTH114 - as the journal has it
            now = os.stat(path)  # noqa: PTH116
            if (now.st_size, now.st_mtime_ns) == (change.after.size, change.after.mtime_ns):
                return stat.S_ISREG(now.st_mode)
        return self._is_result(Identity.of(path).digest, change)

    def _is_result(self, digest: str, change: ChangeRecord) -> bool:
        root = self.lineage.root
        return root(digest) == root(change.after.digest)

    def _write(self, run: Run, path: str, change: ChangeRecord) -> str | None:
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

        def after_copy(digest: str) -> None:
            # Asked of the copy: nobody can change that between question and edit.
            nonlocal edited
            edited = not self._is_result(digest, change)

        def edit(copy: str) -> None:
            refuse_unless(format, copy, path)
            if edited:
                reason = obstacle(copy, format, change.old, change.new, force=self._force)
                if reason is not None:
                    raise RefusedError(reason, path=path)
            # The change left the sound as it was.
            known = None if edited else change.old
            pending.old = snapshot(copy, format, roles_of(change.old), like=known, with_sound=False)
            restore(copy, format, change.old, loosely=edited)

        def verify(original: str, copy: str) -> str:
            with_sound = "sound" not in pending.old
            kept = check_kept(original, copy, format, roles_of(change.old), with_sound=with_sound)
            if with_sound:
                pending.old["sound"] = kept.sound
            if not same_fields(copy, format, change.old, loosely=edited):
                raise WriteFailedError("its fields would not read as before", path=path)
            return kept.digest

        return replace_file(
            path,
            edit,
            verify,
            before_copy=pending.before_copy,
            after_copy=after_copy,
            before_swap=pending.before_swap,
            after_swap=pending.after_swap,
            preserve_mtime=change.preserve_mtime,
            in_place=change.in_place,
        )
