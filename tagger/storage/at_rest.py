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
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        # Whoever opens it while the lease is held makes the system send a signal. By default that
        # is one that ends the process, this is one that does nothing.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        # A lease for reading is given only while nobody has the file open for writing.
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        return error.errno == errno.EAGAIN and tells_of_writers(path)
    finally:
        os.close(descriptor)  # which gives the lease back
    return False


def is_watched_wholly(path: str | os.PathLike[str]) -> bool:
    """Tell whether the system knows of everybody who writes a file: it lies on a local disk of
    Linux.
    """
    try:
        return _file_system(path) in _LOCAL
    except OSError:  # another system
        return False


def tells_of_writers(path: str | os.PathLike[str]) -> bool:
    """Tell whether the system knows at least of those who write a file on this machine."""
    try:
        kind = _file_system(path)
    except OSError:
        return False
    return kind in _LOCAL or kind.partition(".")[0] in _IN_USER_SPACE


def _file_system(path: str | os.PathLike[str]) -> str:
    """Return the kind of file system that a file lies on, by Linux' table of mounts."""
    real = os.path.realpath(path)
    found, kind = "", ""
    for place, kind_there in mounts():
        mounted = place.rstrip("/")
        if len(mounted) >= len(found) and (real + "/").startswith(mounted + "/"):
            found, kind = mounted, kind_there
    return kind
