"""Reads files that are small and named by people, without ever waiting: a pipe has no end."""

from __future__ import annotations

import errno
import os
import stat


def read_regular(path: str | os.PathLike[str]) -> bytes:
    """Read the whole content of a regular file.

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

    with open(path, "rb", opener=opener) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "is not a regular file", os.fspath(path))
        return file.read()
