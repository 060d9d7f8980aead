"""Makes the k-th system call of this process on files in a folder fail, as a dying disk would.

Counted are the calls that Python code makes through `open` and `os`: opening, reading, writing,
flushing, syncing, truncating, closing, renaming and setting attributes. Removing is never made to
fail: a file that cannot be removed stays, and is the journal's to clean up. SQLite and native
decoders read past this; the journal has tests of its own.
"""

from __future__ import annotations

import builtins
import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tagger.storage import swap

# The functions of `os` that take a path or a descriptor first and can fail on a dying disk.
_ON_PATHS = (
    "open", "replace", "rename", "stat", "chmod", "chown", "utime", "truncate",
    "listxattr", "getxattr", "setxattr", "removexattr",
)  # fmt: skip
_RENAMING = ("replace", "rename", "renameat2")
_ON_DESCRIPTORS = ("read", "write", "fsync", "ftruncate", "copy_file_range", "posix_fallocate")
_OF_FILES = ("read", "readinto", "readline", "write", "flush", "seek", "truncate", "close")


class Faults:
    """Counts calls; makes one of them fail, or all from one on.

    Parameters
    ----------
    folder : Path
        Only calls on files below it count.
    at : int
        Which call fails, from 0.
    code : int
        With which `errno`; ENOMEM raises MemoryError.
    lasting : bool
        Whether all later calls of the same name fail as well, as they do on a full disk.
    late : bool
        Whether a renaming is carried out all the same, as on a network whose answer is lost.
    """

    def __init__(
        self, folder: Path, at: int, code: int, *, lasting: bool = False, late: bool = False
    ) -> None:
        self.late = late
        self.folder = str(folder)
        self.calls: list[str] = []
        self._at = at
        self._code = code
        self._lasting = lasting

    @property
    def struck(self) -> str | None:
        """The name of the call that failed, None where there were not so many."""
        return self.calls[self._at] if self._at < len(self.calls) else None

    def meet(self, name: str) -> None:
        """Count a call, and fail where it is its turn."""
        self.calls.append(name)
        number = len(self.calls) - 1
        if number == self._at or (self._lasting and number > self._at and name == self.struck):
            if self._code == errno.ENOMEM:  # as Python says where there is no room to read into
                raise MemoryError
            raise OSError(self._code, os.strerror(self._code))

    def concerns(self, thing: object) -> bool:
        """Tell whether a path or an open descriptor belongs to the folder."""
        if isinstance(thing, int):
            try:
                thing = Path(f"/proc/self/fd/{thing}").readlink()
            except OSError:
                return False
        return isinstance(thing, str | os.PathLike) and os.fspath(thing).startswith(self.folder)


class _FaultyFile:
    """A file object whose methods may fail; everything else is the real file's."""

    def __init__(self, file: Any, faults: Faults) -> None:
        self._file = file
        self._faults = faults

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._file, name)
        if name not in _OF_FILES:
            return real

        def method(*arguments: Any) -> Any:
            try:
                self._faults.meet(name)
            except (OSError, MemoryError):
                if name == "close":  # whatever it answers, the descriptor is gone
                    real()
                raise
            return real(*arguments)

        return method

    def __enter__(self) -> _FaultyFile:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._file)


@contextmanager
def injected(faults: Faults) -> Iterator[Faults]:
    """Let the faults happen inside."""
    real_open = builtins.open

    def faulty_open(file: Any, *arguments: Any, **options: Any) -> Any:
        if not faults.concerns(file):
            return real_open(file, *arguments, **options)
        if not isinstance(file, int):
            faults.meet("open")
        return _FaultyFile(real_open(file, *arguments, **options), faults)

    def faulty(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(thing: Any, *arguments: Any, **options: Any) -> Any:
            if not faults.concerns(thing):
                return real(thing, *arguments, **options)
            if faults.late and name in _RENAMING:
                done = real(thing, *arguments, **options)
                faults.meet(name)
                return done
            faults.meet(name)
            return real(thing, *arguments, **options)

        return call

    patches = [patch.object(builtins, "open", faulty_open)]
    for name in _ON_PATHS + _ON_DESCRIPTORS:
        if hasattr(os, name):
            patches.append(patch.object(os, name, faulty(name, getattr(os, name))))
    # The one call that gtag makes past `os`.
    patches.append(patch.object(swap, "_rename", faulty("renameat2", swap._rename)))
    for one in patches:
        one.start()
    try:
        yield faults
    finally:
        for one in reversed(patches):
            one.stop()
