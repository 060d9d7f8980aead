"""What an undo would do, file by file: finds the files of a run, reads them, changes nothing.

It must not know tags, nor how a file is brought back.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from tagger.errors import ConfigurationError
from tagger.journal import ChangeRecord, Journal, Lineage
from tagger.recovery import Standing, standing
from tagger.replace_file import Identity

CHANGED_SINCE = "somebody changed it since"


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
    """What became of one file; `message` is the reason, empty where all is well."""

    path: str
    status: UndoStatus
    message: str = ""


@dataclass(frozen=True)
class Step:
    """One file of a plan.

    Attributes
    ----------
    path : str
        Where the file lies now.
    change : ChangeRecord
        What is to be taken back.
    """

    path: str
    change: ChangeRecord


def plan_undo(
    journal: Journal, run: int | None = None, paths: Iterable[str | os.PathLike[str]] = ()
) -> tuple[list[Step], list[Undone]]:
    """Say what an undo would do.

    Parameters
    ----------
    journal : Journal
    run : int, optional
        By default the last scan that was not wholly taken back.
    paths : iterable of path-like, optional
        Only files that lie there (folders count with all below). Files of the run that are no
        longer where they were are looked for there by their content.

    Returns
    -------
    steps : list of Step
        What can be taken back.
    obstacles : list of Undone
        What cannot, and why.

    Raises
    ------
    ConfigurationError
        There is no such run, or it still goes on.
    """
    run = _run_to_undo(journal, run)
    lineage = journal.lineage()
    wanted = [os.path.realpath(path) for path in paths]
    steps: list[Step] = []
    strays: list[tuple[ChangeRecord, Undone]] = []
    elsewhere: list[ChangeRecord] = []
    for change in journal.changes(run):
        if change.undone or not (change.settled or _was_carried_out(change)):
            continue
        if wanted and not any(_lies_in(change.path, place) for place in wanted):
            if not os.path.lexists(change.path):
                elsewhere.append(change)
        elif (obstacle := _obstacle(journal, change, lineage)) is None:
            steps.append(Step(change.path, change))
        else:
            strays.append((change, obstacle))

    known = {step.path for step in steps} | {change.path for change, _ in strays}
    found, strangers = _found_again(
        wanted, elsewhere + [change for change, _ in strays], lineage, known
    )
    at_new_places = {step.change.id for step in found}
    obstacles = [obstacle for change, obstacle in strays if change.id not in at_new_places]
    return steps + found, obstacles + strangers


def holds_result(path: str | os.PathLike[str], change: ChangeRecord, lineage: Lineage) -> bool:
    """Tell whether a file holds what a change made of it, or what stands for that.

    Raises
    ------
    OSError
        It cannot be read.
    """
    return lineage.root(Identity.of(path).digest) == lineage.root(change.after.digest)


def _run_to_undo(journal: Journal, run: int | None) -> int:
    runs = journal.runs()
    if run is None:
        run = next((r.id for r in runs if r.kind == "scan" and r.in_force), None)
        if run is None:
            raise ConfigurationError("there is nothing to undo", path=journal.path)
    elif run not in {record.id for record in runs}:
        raise ConfigurationError(
            f"there is no run {run}", path=journal.path, hint="gtag undo --list names them"
        )
    if journal.is_live(run):
        raise ConfigurationError(
            f"run {run} still goes on", path=journal.path, hint="wait for its end, or press Ctrl-C"
        )
    return run


def _lies_in(path: str, place: str) -> bool:
    return path == place or path.startswith(place.rstrip(os.sep) + os.sep)


def _was_carried_out(change: ChangeRecord) -> bool:
    return standing(change.path, change.before, change.after) is not Standing.OLD


def _obstacle(journal: Journal, change: ChangeRecord, lineage: Lineage) -> Undone | None:
    try:
        if holds_result(change.path, change, lineage):
            return None
    except (FileNotFoundError, NotADirectoryError):
        message = "it is not there any more; where it was moved, name its new place"
        return Undone(change.path, UndoStatus.MISSING, message)
    except OSError as error:
        return Undone(change.path, UndoStatus.FAILED, f"cannot be read: {error.strerror}")
    later = journal.later_run(change)
    message = CHANGED_SINCE
    if later is not None and later != change.run:
        message = f"gtag changed it again since: undo run {later} first"
    return Undone(change.path, UndoStatus.REFUSED, message)


def _found_again(
    places: list[str], changes: list[ChangeRecord], lineage: Lineage, known: set[str]
) -> tuple[list[Step], list[Undone]]:
    """Look in places for the results of changes; also name files that are none of them."""
    found: list[Step] = []
    strangers: list[Undone] = []
    sizes = lineage.sizes | {change.after.size for change in changes}
    for place in places:
        for path in _files_in(place):
            if path in known:
                continue
            known.add(path)
            change = _change_of(path, changes, lineage) if _size(path) in sizes else None
            if change is not None:
                changes.remove(change)
                found.append(Step(path, change))
            elif path == place:
                message = "the run has nothing to take back in this file"
                strangers.append(Undone(path, UndoStatus.MISSING, message))
    return found, strangers


def _change_of(path: str, changes: list[ChangeRecord], lineage: Lineage) -> ChangeRecord | None:
    """The change whose result a file holds; of several, that of a file with the same name."""
    try:
        digest = lineage.root(Identity.of(path).digest)
    except OSError:
        return None
    fitting = [change for change in changes if lineage.root(change.after.digest) == digest]
    namesakes = [change for change in fitting if Path(change.path).name == Path(path).name]
    return next(iter(namesakes or fitting), None)


def _files_in(place: str) -> Iterator[str]:
    if not Path(place).is_dir():
        yield place
        return
    for folder, _, names in os.walk(place):
        yield from (str(Path(folder, name)) for name in sorted(names))


def _size(path: str) -> int | None:
    try:
        return Path(path).stat().st_size
    except OSError:
        return None
