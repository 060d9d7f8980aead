"""Copies files and brings bytes and names durably to the disk."""

from __future__ import annotations

import ctypes
import errno
import hashlib
import os
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TextIO

if sys.platform == "linux":
    import fcntl

_FICLONE = 0x40049409  # of Linux: <linux/fs.h>
_COPY_BYTES = 1 << 18  # more do not stay in the processor's cache
_PUNCH_HOLE = 0x1 | 0x2  # of Linux: <linux/falloc.h>; the size is kept
_HOLE_BYTES = 1 << 16  # blocks of file systems are smaller
_ZEROS = bytes(_HOLE_BYTES)

# What systems answer that cannot sync a folder, or let nobody open one for it.
_FOLDER_SYNC_UNSUPPORTED = {errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES, errno.EISDIR}


def copy_content(source: Path, destination: Path) -> str:
    """Copy a file's bytes into a new file (never an existing one) of mode 0600.

    Returns
    -------
    str
        SHA-256 of the copy, in hexadecimal.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    digest = hashlib.sha256()
    with open(source, "rb") as reader, open(os.open(destination, flags, 0o600), "r+b") as writer:
        if _cloned(reader.fileno(), writer.fileno()):
            return hashlib.file_digest(writer, "sha256").hexdigest()
        while piece := reader.read(_COPY_BYTES):
            digest.update(piece)
            writer.write(piece)
    return digest.hexdigest()


def _cloned(source: int, destination: int) -> bool:
    """Let a new file share the blocks of another, where the file system can (btrfs, XFS)."""
    if sys.platform == "linux":
        with suppress(OSError):
            fcntl.ioctl(destination, _FICLONE, source)
            return True
    return False


def dig_holes(path: Path) -> None:
    """Give blocks of zeros back to the disk, as in a sparse file, where the system can."""
    fallocate = _fallocate()
    if fallocate is None:
        return
    with open(path, "r+b", buffering=0) as file:
        for start in range(0, os.fstat(file.fileno()).st_size, _HOLE_BYTES):
            piece = file.read(_HOLE_BYTES)
            if len(piece) == _HOLE_BYTES and piece == _ZEROS:
                offset, size = ctypes.c_int64(start), ctypes.c_int64(_HOLE_BYTES)
                if fallocate(file.fileno(), _PUNCH_HOLE, offset, size) != 0:
                    return


def is_sparse(status: os.stat_result) -> bool:
    """Tell whether a file takes less room on the disk than it has bytes."""
    blocks = getattr(status, "st_blocks", None)  # of 512 bytes
    return blocks is not None and blocks * 512 <= status.st_size - _HOLE_BYTES


@cache
def _fallocate() -> Callable[..., int] | None:
    """Return the system's call, which Python has no name for; None where there is none."""
    if sys.platform != "linux":
        return None
    found: Callable[..., int] | None = getattr(ctypes.CDLL(None), "fallocate64", None)
    return found


def overwrite(source: Path, target: Path) -> None:
    """Write a file's bytes into another that exists and stays itself, and sync that."""
    with open(source, "rb") as reader, open(target, "r+b") as writer:
        shutil.copyfileobj(reader, writer, 1 << 20)
        writer.truncate()
        writer.flush()
        os.fsync(writer.fileno())


def write_whole(file: Path, content: bytes) -> None:
    """Write a file that has its name only when all of it is there; not synced."""
    fresh = file.with_name(file.name + ".fresh")
    fresh.write_bytes(content)
    take_name(fresh, file)


def take_name(fresh: Path, file: Path) -> None:
    """Give a finished file the name of another, which is gone then.

    Where that fails, and took the other one along, the name is free: once more, then. libfuse does
    so to a file that is open somewhere.

    Raises
    ------
    OSError
        What stands under both names is as it was, or `fresh` is all that is left: it stays.
    """
    try:
        fresh.replace(file)
    except FileNotFoundError:
        raise
    except OSError:
        names = {path.name for path in file.parent.iterdir()}
        if fresh.name in names and file.name not in names:
            fresh.replace(file)
        elif fresh.name in names:  # else it was done all the same
            raise


@contextmanager
def new_file(target: Path) -> Iterator[TextIO]:
    """Yield a UTF-8 text that takes a name when all of it is written; what had the name is gone
    then.

    Where something goes wrong it goes away, and what had the name stays. Not synced.
    """
    fresh = target.with_name(f".{secrets.token_hex(8)}.tmp")
    existed = target.exists()
    try:
        with open(fresh, "x", encoding="utf-8", newline="") as file:
            yield file
        take_name(fresh, target)
    except BaseException:
        with suppress(OSError):
            if not existed or target in target.parent.iterdir():  # else it is all that is left
                fresh.unlink(missing_ok=True)
        raise


def sync_file(path: Path) -> None:
    """Wait until a file's bytes and attributes are on the disk."""
    with open(path, "r+b") as file:
        os.fsync(file.fileno())


def sync_folder(path: Path) -> None:
    """Wait until a folder's names are on the disk, where the system can do that."""
    if os.name == "nt":
        return
    try:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _FOLDER_SYNC_UNSUPPORTED:
            raise
