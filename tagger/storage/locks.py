"""Locks that a process holds while it lives and that end with it, however it ends."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


class HeldLock:
    """A lock file that this process holds until `release`, which removes it."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor

    def release(self) -> None:
        """Let others take it."""
        if sys.platform == "win32":  # where an open file cannot be removed
            os.close(self._descriptor)
            with suppress(OSError):
                self._path.unlink()
        else:
            with suppress(OSError):  # who takes it next removes it
                self._path.unlink()
            os.close(self._descriptor)


def take_lock(path: Path) -> HeldLock | None:
    """Make and lock a file; None when a living process holds it.

    Raises
    ------
    OSError
        Files cannot be made or locked there.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if _locked(descriptor) and os.path.samestat(os.fstat(descriptor), path.stat()):
            return HeldLock(path, descriptor)
    except FileNotFoundError:
        pass  # released and removed by its holder between the two calls
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def _locked(descriptor: int) -> bool:
    if sys.platform == "win32":
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
