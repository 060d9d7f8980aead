"""Reads files that people name, without ever waiting: a pipe has no end."""

from __future__ import annotations

import errno
import os
import stat
from typing import BinaryIO


def read_regular(path: str | os.PathLike[str]) -> bytes:
    """Read the whole content of a regular file; raises as `open_regular` does."""
    with open_regular(path) as file:
        return file.read()


def open_regular(path: str | os.PathLike[str], *, follow: bool = True) -> BinaryIO:
    """Open a regular file for reading.

    Parameters
    ----------
    follow : bool
        Whether it may be a link.

    Raises
    ------
    OSError
        As `open` does; and where it is a pipe, a device, a socket, or a link that may be none.
    ValueError
        The path holds a NUL.
    """

    def opener(name: str, flags: int) -> int:
        # A pipe that nobody writes into would be waited for here already.
        flags |= getattr(os, "O_NONBLOCK", 0) | (0 if follow else getattr(os, "O_NOFOLLOW", 0))
        return os.open(name, flags)

    if not follow and os.path.islink(path):  # noqa: PTH114 - where the system has no O_NOFOLLOW
        raise OSError(errno.ELOOP, "is a link", os.fspath(path))

    file = open(path, "rb", opener=opener)  # noqa: SIM115 - the caller's
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "is not a regular file", os.fspath(path))
    return file
