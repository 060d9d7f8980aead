"""Finds out what became of a write that was cut off, and cleans up behind it.

A crash, a power cut or a second Ctrl-C leaves an intent in the journal that was never marked done.
The file's content tells which state it is in.
"""

from __future__ import annotations

from contextlib import suppress
from enum import Enum
from pathlib import Path

from tagger.files.durable_io import overwrite, sync_folder
from tagger.files.identity import Identity
from tagger.files.replace_file import TEMPORARY_PREFIX


class FileState(Enum):
    """Which state of a file stands after an intent."""

    OLD = "old"
    NEW = "new"
    OTHER = "other"  # somebody changed or moved it since, or a write into the file itself was torn
    OUT_OF_REACH = "out of reach"  # its folder is not there, or the file cannot be read


def file_state(path: str, before: Identity, after: Identity) -> FileState:
    """Compare a file with both its states. Reads the file, changes nothing."""
    try:
        now = Identity.of(path)
    except FileNotFoundError:
        return FileState.OTHER if Path(path).parent.is_dir() else FileState.OUT_OF_REACH
    except OSError:
        return FileState.OUT_OF_REACH
    if now.same_content(after):
        return FileState.NEW
    return FileState.OLD if now.same_content(before) else FileState.OTHER


def resolve_pending(path: str, before: Identity, after: Identity, backup: str | None) -> FileState:
    """The state of a file, after mending one that was torn while written in place.

    Parameters
    ----------
    path : str
    before, after : Identity
        As journalled with the intent.
    backup : str, optional
        The file's old content, for one that was written in place.

    Raises
    ------
    OSError
        The backup could not be written back; it is still there.
    """
    found = file_state(path, before, after)
    if found is not FileState.OTHER or backup is None or not Path(path).is_file():
        return found
    try:
        saved, now = Identity.of(backup), Path(path).stat()
    except FileNotFoundError:
        return found
    # An incomplete backup means that the file itself was not touched yet. Another inode means that
    # somebody put a new file there.
    if saved.same_content(before) and (now.st_dev, now.st_ino) == (before.device, before.inode):
        overwrite(Path(backup), Path(path))
        return FileState.OLD
    return found


def remove_temporaries(paths: list[str]) -> bool:
    """Remove gtag's own temporary files; False where one may still be there."""
    for path in map(Path, paths):
        if not path.name.startswith(TEMPORARY_PREFIX) or not path.parent.is_dir():
            return False
        try:
            path.unlink(missing_ok=True)
        except OSError:
            return False
        with suppress(OSError):
            sync_folder(path.parent)
    return True
