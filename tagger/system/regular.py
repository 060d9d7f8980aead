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


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a regular file for reading.

    Raises
    ------
    OSError
        As `open` does; and where it is a pipe, a device or a socket.
    ValueError
        The path holds a NUL.
    """

    def opener(name: str, flags: int) -> int:
        # A pipe that nobody writes into would be waited for here already.
        return os.open(name, flags | getattr(os, "O_NONBLOCK", 0))

    file = open(path, "rb", opener=opener)  # noqa: SIM115 - the caller's
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "is not a regular file", os.fspath(path))
    return file
