"""Whether another program still writes a file: a download, a rip, a copy from another machine.

Replacing such a file would lose what comes later: the other program goes on in the old one.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tagger.storage.attributes import mounts
from tagger.system.errors import RefusedError

if sys.platform == "linux":
    import fcntl

# Seconds without a change, after which a file counts as finished.
MIN_AGE_S = 60.0

# aria2 downloads into the file itself, and keeps its progress in a file beside it.
_ARIA2 = ".aria2"

# File systems on which Linux knows about every writer. On a network, others may write, and a lease
# is refused for reasons of the network's.
_LOCAL = {
    *("ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "bcachefs", "zfs", "tmpfs", "overlay"),
    *("vfat", "exfat", "ntfs3", "hfsplus", "jfs"),
}

# Those of them on which every change of the bytes shows in the time of the last change of any kind,
# also one through memory that a program has mapped.
_TELLING_CHANGES = {"ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs"}

# They count that time in steps of up to a second, and a second change in a step does not show.
_SETTLED_S = 2.0

# File systems in user space: Linux knows the writers on this machine, and no others.
_IN_USER_SPACE = {"fuse", "fuseblk"}


def check_at_rest(
    path: str | os.PathLike[str],
    *,
    min_age_s: float = MIN_AGE_S,
    is_own: Callable[[str], bool] = lambda path: False,
) -> None:
    """Refuse a file that changed just now, is being loaded, or is open for writing elsewhere.

    Parameters
    ----------
    path : path-like
        A link is followed.
    min_age_s : float
        A file that changed within so many seconds is refused; 0 refuses only what is open.
    is_own : function of a path
        Whether it was gtag that changed it last.

    Raises
    ------
    RefusedError
    OSError
        It cannot be read.
    """
    age_s = time.time() - Path(path).stat().st_mtime
    # Either way: the clocks of a network storage and of this machine may differ.
    if abs(age_s) < min_age_s and not is_own(os.fspath(path)):
        raise RefusedError(
            f"too new to write: it changed within the last {min_age_s:g} s, and another program may"
            " still write it",
            path=path,
            hint=f"try again when {min_age_s:g} s have passed, or with --min-age 0",
        )
    note = os.fspath(path) + _ARIA2
    if os.path.lexists(note):
        raise RefusedError(
            "its download has not finished",
            path=path,
            hint=f"{Path(note).name} lies beside it: remove that if the download was cancelled",
        )
    if is_open_for_writing(path):
        raise RefusedError(
            "another program has it open for writing",
            path=path,
            hint="scan again when that is done",
        )


def is_open_for_writing(path: str | os.PathLike[str]) -> bool:
    """Tell whether a process has a file open for writing; False where the system does not tell."""
    if sys.platform != "linux":
        return False
    with Lease(path) as lease:
        return lease.is_refused_for_a_writer and tells_of_writers(path)


class Lease:
    """Asks the system to let nobody open a file for writing while this lasts: they wait.

    Parameters
    ----------
    path : path-like
        Raises OSError where it cannot be opened.

    Attributes
    ----------
    is_refused_for_a_writer : bool
        Whether somebody has it open for writing.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self.is_refused_for_a_writer = False
        try:
            # Whoever opens it makes the system send a signal. By default that is one that ends the
            # process, this is one that does nothing.
            fcntl.fcntl(self._descriptor, fcntl.F_SETSIG, signal.SIGURG)
            fcntl.fcntl(self._descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        except OSError as error:
            self.is_refused_for_a_writer = error.errno == errno.EAGAIN

    def __enter__(self) -> Lease:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)  # which gives the lease back

    @property
    def holds(self) -> bool:
        """Whether the system gave it, and nobody has come to open the file for writing since."""
        try:
            return fcntl.fcntl(self._descriptor, fcntl.F_GETLEASE) == fcntl.F_RDLCK
        except OSError:
            return False


def shows_every_change(path: str | os.PathLike[str], seen: os.stat_result) -> bool:
    """Tell whether any change of a file's bytes since it was `seen` shows in `st_ctime_ns`.

    To be asked before the file is read: memory that somebody has mapped for writing by now may
    change without a trace.
    """
    if sys.platform != "linux" or abs(time.time() - seen.st_ctime) < _SETTLED_S:
        return False
    return _file_system(path) in _TELLING_CHANGES and not is_open_for_writing(path)


def is_watched_wholly(path: str | os.PathLike[str]) -> bool:
    """Tell whether the system knows of everybody who writes a file: it lies on a local disk of
    Linux.
    """
    return _file_system(path) in _LOCAL


def tells_of_writers(path: str | os.PathLike[str]) -> bool:
    """Tell whether the system knows at least of those who write a file on this machine."""
    kind = _file_system(path)
    return kind in _LOCAL or kind.partition(".")[0] in _IN_USER_SPACE


def _file_system(path: str | os.PathLike[str]) -> str:
    """Return the kind of file system that a file lies on, by Linux' table of mounts; or nothing."""
    real = os.path.realpath(path)
    found, kind = "", ""
    try:
        table = mounts()
    except OSError:  # another system
        return ""
    for place, kind_there in table:
        mounted = place.rstrip("/")
        if len(mounted) >= len(found) and (real + "/").startswith(mounted + "/"):
            found, kind = mounted, kind_there
    return kind
