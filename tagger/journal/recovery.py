"""Finds out what became of a write that was cut off, mends a torn file, and cleans up behind it.

A crash, a power cut or a second Ctrl-C leaves an intent in the journal that was never marked done.
A swapped file is whole, and its content tells which state it is in. A file that was written in
place may be torn; then its old content is in a backup beside it. Disks are attached anew under
other numbers, files are renamed, and one of several names is deleted. So a backup is removed only
when a whole file was found; until then it stays, with the intent, for the next time.
"""

# Strings, not Paths: whole folders are looked at.
# ruff: noqa: PTH116, PTH118, PTH120, PTH208

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from itertools import zip_longest
from pathlib import Path

from tagger.containers.recognise import identify
from tagger.journal.rows import OpenChange
from tagger.storage.durable_io import overwrite, sync_folder
from tagger.storage.identity import Identity
from tagger.storage.replace_file import TEMPORARY_PREFIX
from tagger.storage.swap import clear_up
from tagger.system.errors import GtagError
from tagger.system.screen import printable

_PIECE = 1 << 12  # bytes that are compared at once: what a file system writes together


class FileState(Enum):
    """Which state of a file stands after an intent."""

    OLD = "old"
    NEW = "new"
    OTHER = "other"  # somebody changed or moved it since, or a write into the file itself was torn
    OUT_OF_REACH = "out of reach"  # its folder is not there, or the file cannot be read


@dataclass(frozen=True)
class Settled:
    """What became of a change that was cut off.

    Attributes
    ----------
    state : FileState or None
        None where it cannot be known yet: the change stays open.
    warning : str
        What somebody should know of a change that stays open, and do; may be empty.
    """

    state: FileState | None
    warning: str = ""


def file_state(path: str, before: Identity, after: Identity) -> FileState:
    """Compare a file with both its states. Reads the file, changes nothing."""
    try:
        now = Identity.of(path)
    except FileNotFoundError:
        folder = os.path.dirname(path)
        is_there = _device(folder) == before.device and _is_inhabited(folder)
        return FileState.OTHER if is_there else FileState.OUT_OF_REACH
    except OSError:
        return FileState.OUT_OF_REACH
    return _compared(now, before, after)


def _compared(now: Identity, before: Identity, after: Identity) -> FileState:
    if now.same_content(after):
        return FileState.NEW
    return FileState.OLD if now.same_content(before) else FileState.OTHER


def _device(folder: str) -> int | None:
    try:
        return os.stat(folder).st_dev
    except OSError:
        return None


def _is_inhabited(folder: str) -> bool:
    """Tell whether a folder holds anything: the mount point of a missing disk is usually empty."""
    try:
        return bool(os.listdir(folder))
    except OSError:
        return False


def settle(change: OpenChange, places: Callable[[], Iterable[str]]) -> Settled:
    """Find out what became of a change, mend its file, and remove its temporary files.

    Parameters
    ----------
    change : OpenChange
    places : function
        Folders where other names of the file may be, asked for where none is in its own folder.
    """
    try:
        return _settle(change, places)
    except (OSError, GtagError, MemoryError):  # next time
        return Settled(None)


def _settle(change: OpenChange, places: Callable[[], Iterable[str]]) -> Settled:
    if change.before is None or change.after is None:
        is_there = _is_inhabited(os.path.dirname(change.path))
        return Settled(FileState.OLD if is_there and _removed(change.copy) else None)
    if change.backup is None:
        is_there = _is_deleted(change.path, change.copy)
        if is_there and identify(change.copy) is None:  # a journal of somebody else's
            return Settled(None)
        is_clear = clear_up(Path(change.copy), Path(change.path), change.before, change.after)
        found = file_state(change.path, change.before, change.after)
        is_known = found is not FileState.OUT_OF_REACH or is_there
        return Settled(found if is_clear and is_known else None)
    torn = _WrittenInPlace(change, change.before, change.after, change.backup)
    try:
        settled = torn.settle(places)
    except (OSError, GtagError) as error:
        why = getattr(error, "strerror", None) or getattr(error, "message", "")
        return torn.unknown(f"what became of it cannot be read or mended ({why})")
    if settled.state is not None and not (_removed(change.backup) and _removed(change.copy)):
        return Settled(None)
    return settled


def _is_deleted(path: str, *temporaries: str) -> bool:
    """Tell whether a file is gone, not its disk: what was beside it is there."""
    return not os.path.lexists(path) and any(map(os.path.lexists, temporaries))


class _WrittenInPlace:
    """A change of a file with several names, whose bytes were to be written into itself."""

    def __init__(self, change: OpenChange, before: Identity, after: Identity, backup: str) -> None:
        self._change, self._before, self._after, self._backup = change, before, after, backup

    def settle(self, places: Callable[[], Iterable[str]]) -> Settled:
        """Find out what became of it, and mend it; removes nothing. Raises OSError, GtagError."""
        path, folder = self._change.path, os.path.dirname(self._change.path)
        at_its_name = _status(path)
        found = file_state(path, self._before, self._after) if at_its_name else FileState.OTHER
        if not os.path.lexists(self._backup):
            return self._without_backup(found)
        whole = found in (FileState.OLD, FileState.NEW)
        if whole and at_its_name is not None and self._is_it(at_its_name):
            return Settled(found)
        if not self._is_backup_whole:
            # The file was not touched before its backup was on the disk. Yet a disk may fail.
            if whole:
                return Settled(found)
            return self.unknown(
                "it holds neither its old content nor the new, as little as its backup does",
                "If the file plays well, remove the backup",
            )
        states = [found] if whole else []
        was_met = False
        for name, status in _files_in(folder):
            state = self._mended(name, status)
            if state is not None:
                states.insert(0 if self._is_it(status) else len(states), state)
            was_met |= self._is_it(status)
        if not was_met:
            for name, status in _names_of(self._before.inode, places()):
                if self._is_it(status) and (state := self._mended(name, status)) is not None:
                    states.insert(0, state)
        if states:
            return Settled(states[0])
        return self.unknown("neither a whole file was found nor the torn one")

    def unknown(self, why: str, do: str = "") -> Settled:
        """Leave it as it is, and say what can be done."""
        path, backup = printable(self._change.path), printable(self._backup)
        # Nobody should copy it over something else because a stranger's journal says so.
        by_hand = ", or copy the backup to it" if _is_music_or_gone(self._change.path) else ""
        do = do or (
            f"Its old content is there: put the file back under its name{by_hand}."
            " Then the next gtag undo, or scan that writes, mends it and removes the backup"
        )
        return Settled(
            None,
            f"{path}: a write into the file itself was cut off, and {why}."
            f" The backup {backup} stays. {do}",
        )

    def _without_backup(self, found: FileState) -> Settled:
        """Resolve a write without a backup: not made yet, or removed behind a whole file."""
        path, folder = self._change.path, os.path.dirname(self._change.path)
        if found in (FileState.OLD, FileState.NEW):
            return Settled(found)
        if _device(folder) == self._before.device and _is_inhabited(folder):
            return Settled(FileState.OTHER)
        if _is_deleted(path, self._change.copy):
            return Settled(FileState.OTHER)
        for name, status in _files_in(folder):
            if self._is_it(status):
                return Settled(_compared(Identity.of(name), self._before, self._after))
        if _is_inhabited(folder):
            return Settled(None)
        return Settled(
            None,
            f"{printable(path)}: a write into the file itself was cut off, and its folder is not"
            " there, or empty. Attach its disk: then the next gtag undo, or scan that writes, mends"
            " the file where that is torn",
        )

    def _is_it(self, status: os.stat_result) -> bool:
        """Tell whether a file is the one that was written, whatever number its disk has by now."""
        beside = _device(os.path.dirname(self._change.path))
        return (status.st_dev, status.st_ino) == (beside, self._before.inode)

    @cached_property
    def _is_backup_whole(self) -> bool:
        status = _status(self._backup)
        return (
            status is not None
            and Identity.of(self._backup).same_content(self._before)
            and self._is_container(self._backup)
        )

    @cached_property
    def _is_copy_whole(self) -> bool:
        copy = self._change.copy
        return (
            _status(copy) is not None
            and Identity.of(copy).same_content(self._after)
            and self._is_container(copy)
        )

    def _is_container(self, path: str) -> bool:
        format = identify(path)
        return format is not None and format.name == self._change.format

    def _mended(self, path: str, status: os.stat_result) -> FileState | None:
        """Return the state of a file, mended where it is torn; None for any other file."""
        if status.st_size in (self._before.size, self._after.size):
            state = _compared(Identity.of(path), self._before, self._after)
            if state is not FileState.OTHER:
                return state
        if not self._is_torn(path, status):
            return None
        overwrite(Path(self._backup), Path(path))
        return FileState.OLD

    def _is_torn(self, path: str, status: os.stat_result) -> bool:
        is_it = self._is_it(status)
        if self._is_copy_whole:
            # Numbers of files are given again: an edit of somebody's, or a new file, is no mixture.
            # On a new disk all numbers are new; but a file that is still being copied is shorter.
            is_possible = is_it or status.st_size >= min(self._before.size, self._after.size)
            return is_possible and _is_mixture(path, self._backup, self._change.copy, zeros=is_it)
        return is_it and status.st_nlink > 1 and identify(path) is not None


def _is_mixture(path: str, old: str, new: str, *, zeros: bool) -> bool:
    """Tell whether each byte of a file is that of one of two others, or zero (a lost block)."""
    with open(path, "rb") as torn, open(old, "rb") as before, open(new, "rb") as after:
        while piece := torn.read(_PIECE):
            olds, news = before.read(_PIECE), after.read(_PIECE)
            if piece in (olds, news):
                continue
            if len(piece) > max(len(olds), len(news)):
                return False
            blank = bytes(_PIECE) if zeros else b""
            for byte, *others in zip_longest(piece, olds, news, blank):
                if byte is not None and byte not in others:
                    return False
    return True


def _is_music_or_gone(path: str) -> bool:
    if not os.path.lexists(path):
        return True
    with suppress(OSError, GtagError):
        return _status(path) is not None and identify(path) is not None
    return False


def _status(path: str) -> os.stat_result | None:
    """Return the status of a regular file; None where there is none, also for a link."""
    try:
        status = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status if stat.S_ISREG(status.st_mode) else None


def _files_in(folder: str) -> Iterator[tuple[str, os.stat_result]]:
    """Yield the files of a folder but for gtag's own temporary ones."""
    try:
        names = sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return
    for name in names:
        path = os.path.join(folder, name)
        status = None if name.startswith(TEMPORARY_PREFIX) else _status(path)
        if status is not None:
            yield path, status


def _names_of(inode: int, places: Iterable[str]) -> Iterator[tuple[str, os.stat_result]]:
    """Index the files below folders by their number."""
    waiting = [*places]
    while waiting:
        with suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                elif entry.inode() == inode and not entry.name.startswith(TEMPORARY_PREFIX):
                    status = _status(entry.path)
                    if status is not None:
                        yield entry.path, status


def _removed(temporary: str) -> bool:
    """Remove a temporary file; False where it may still be there."""
    path = Path(temporary)
    if not path.parent.is_dir():
        return False
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return False
    with suppress(OSError):
        sync_folder(path.parent)
    return True
