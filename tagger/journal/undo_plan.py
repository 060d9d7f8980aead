"""What an undo has to do: finds the files of a run, and whether they can be taken back.

It reads files and changes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from tagger.errors import ConfigurationError, GtagError
from tagger.files.replace_file import Identity
from tagger.journal.journal import ChangeRecord, DamagedChange, Journal, Lineage
from tagger.journal.recovery import FileState, file_state

CHANGED_SINCE = "somebody changed it since"
DAMAGED = "what the journal says of it is damaged: it cannot be taken back"


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
    """What became of one file; `message` is the reason, empty where all is well.

    `moved_from` is where it stood when gtag wrote it, of a file that `--find` found elsewhere.
    """

    path: str
    status: UndoStatus
    message: str = ""
    moved_from: str | None = None


def select_changes(
    journal: Journal, run: int | None, places: list[str]
) -> tuple[list[ChangeRecord], list[ChangeRecord], list[Undone]]:
    """Choose what is to be taken back, by what the journal says.

    Parameters
    ----------
    journal : Journal
    run : int, optional
        By default the last scan that was not wholly taken back.
    places : list of str
        Real paths. Where there are some, only changes of files that lie there.

    Returns
    -------
    here : list of ChangeRecord
    elsewhere : list of ChangeRecord
        Of files that lay elsewhere, and are not there any more.
    damaged : list of Undone
        Of which the journal says what makes no sense.

    Raises
    ------
    ConfigurationError
        There is no such run, or it still goes on.
    """
    here, elsewhere, damaged = [], [], []
    for change in journal.changes(_run_to_undo(journal, run)):
        if isinstance(change, DamagedChange):
            if not places or any(_lies_in(change.path or "", place) for place in places):
                shown = change.path or f"{journal.path}, entry {change.id}"
                damaged.append(Undone(shown, UndoStatus.FAILED, DAMAGED))
            continue
        if change.undone or not (change.settled or _was_carried_out(change)):
            continue
        if not places or any(_lies_in(change.path, place) for place in places):
            here.append(change)
        elif not os.path.lexists(change.path):
            elsewhere.append(change)
    return _newest_of_each_file_first(here), elsewhere, damaged


def _newest_of_each_file_first(changes: list[ChangeRecord]) -> list[ChangeRecord]:
    """In their order, but where a run changed a file again, that is to be taken back before."""
    by_path: dict[str, list[ChangeRecord]] = {}
    for change in changes:
        by_path.setdefault(change.path, []).append(change)
    return [change for of_file in by_path.values() for change in reversed(of_file)]


def find_obstacle(
    journal: Journal,
    path: str,
    change: ChangeRecord,
    lineage: Lineage,
    of_fields: Callable[[str, ChangeRecord], str | None],
) -> Undone | None:
    """Say why a change cannot be taken back in a file; None where nothing is in the way.

    `of_fields` says why not in a file that somebody edited since.
    """
    try:
        if holds_result(path, change, lineage):
            return None
    except (FileNotFoundError, NotADirectoryError):
        message = "it no longer exists; where it was moved, name its new place, or --find it"
        return Undone(path, UndoStatus.MISSING, message)
    except OSError as error:
        return Undone(path, UndoStatus.FAILED, f"cannot be read: {error.strerror}")
    later = journal.later_run(change)
    if later is not None and later != change.run:
        message = f"gtag changed it again since: undo run {later} first"
        return Undone(path, UndoStatus.REFUSED, message)
    try:
        reason = of_fields(path, change)
    except OSError as error:
        return Undone(path, UndoStatus.FAILED, f"cannot be read: {error.strerror}")
    except GtagError as error:
        return Undone(path, UndoStatus.REFUSED, f"{CHANGED_SINCE}: {error.message}")
    return None if reason is None else Undone(path, UndoStatus.REFUSED, reason)


def holds_result(path: str | os.PathLike[str], change: ChangeRecord, lineage: Lineage) -> bool:
    """Tell whether a file holds what a change made of it, or what stands for that.

    Raises
    ------
    OSError
        It cannot be read.
    """
    return lineage.root(Identity.of(path).digest) == lineage.root(change.after.digest)


def find_again(
    places: list[str], changes: list[ChangeRecord], lineage: Lineage, known: set[str]
) -> Iterator[tuple[str, ChangeRecord | None]]:
    """Look in places for files that hold the results of changes.

    Parameters
    ----------
    places : list of str
        Files, and folders with all below.
    changes : list of ChangeRecord
        What is looked for. Those that are found are taken out of it.
    lineage : Lineage
    known : set of str
        Paths to pass over.

    Yields
    ------
    path : str
    change : ChangeRecord or None
        None for a file that was named itself but holds none of the results.
    """
    sizes = lineage.sizes | {change.after.size for change in changes}
    passed = set(known)
    for place in places:
        for path in _files_in(place):
            if path in passed:
                continue
            passed.add(path)
            change = _change_of(path, changes, lineage) if _size(path) in sizes else None
            if change is not None:
                changes.remove(change)
            if change is not None or path == place:
                yield path, change


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
    return file_state(change.path, change.before, change.after) is not FileState.OLD


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
