"""The errors that gtag raises on purpose, and the exit statuses of every command.

Each error names the file it is about and says what to do. `tagger.cli` prints it, `pipeline.road`
turns it into a row of the report.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from enum import IntEnum
from os import PathLike, fspath
from pathlib import Path
from typing import Self

from tagger.system.suggest import did_you_mean


class ExitStatus(IntEnum):
    """Exit status of every command."""

    OK = 0
    PROBLEMS = 1  # finished, but a file was unreadable, refused or failed
    USAGE = 2  # wrong usage or configuration: nothing was done
    INTERRUPTED = 130


class GtagError(Exception):
    """Something that a person can understand and act on.

    Parameters
    ----------
    message : str
        What is wrong, without the path, in one line.
    path : path-like, optional
        The file or folder it is about.
    hint : str, optional
        What to do about it.
    """

    exit_status = ExitStatus.PROBLEMS

    def __init__(
        self, message: str, *, path: str | PathLike[str] | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message, path, hint)
        self.message = message
        self.path = None if path is None else fspath(path)
        self.hint = hint

    @classmethod
    def of_system(cls, error: OSError | ValueError, path: str | PathLike[str]) -> Self:
        """Return the error for a path that the system cannot read, with what to do about it."""
        message = getattr(error, "strerror", None) or str(error)
        return cls(message, path=path, hint=_what_to_do(error, fspath(path)))

    def __reduce__(self) -> tuple[object, ...]:
        # Errors travel from worker processes to the parent.
        return _rebuild, (type(self), self.message, self.path, self.hint)

    def __str__(self) -> str:
        text = self.message if self.path is None else f"{self.path}: {self.message}"
        return text if self.hint is None else f"{text} ({self.hint})"


def _rebuild(kind: type[GtagError], message: str, path: str | None, hint: str | None) -> GtagError:
    return kind(message, path=path, hint=hint)


class ConfigurationError(GtagError):
    """Options, files or a model that gtag was told to use cannot be used: nothing was done."""

    exit_status = ExitStatus.USAGE


class ResourceError(ConfigurationError):
    """Memory, open files or threads ran out: no file is to blame."""


class ClusterError(GtagError):
    """The scheduler or all workers of a cluster are lost; what is done stays done."""


class ModelError(ConfigurationError):
    """A model is missing, damaged or not to be trusted."""


class DataError(ConfigurationError):
    """A data set for training or evaluation cannot be used."""


class UnreadableError(GtagError):
    """The sound or the tags of a file cannot be read: report status `unreadable`."""


class NothingToHearError(GtagError):
    """A file is silent or too short to be classified: report status `unsure`."""


class RefusedError(GtagError):
    """A file that is not safe to write is left alone: report status `refused`."""


class WriteFailedError(GtagError):
    """Writing went wrong; the original is as it was: report status `failed`."""


_GONE_NETWORK = {
    getattr(errno, name)
    for name in ("ESTALE", "ENOTCONN", "EHOSTDOWN", "EHOSTUNREACH", "ENETUNREACH", "ETIMEDOUT")
    if hasattr(errno, name)
}


def _what_to_do(error: OSError | ValueError, path: str) -> str | None:
    if not isinstance(error, OSError):
        return None
    if isinstance(error, FileNotFoundError):
        return _instead_of(path)
    if isinstance(error, PermissionError):
        return "change its permissions, or run gtag as somebody who may read it"
    if error.errno in _GONE_NETWORK:
        return "the network folder does not answer: connect it again"
    return {
        errno.EIO: "the disk or the connection fails: copy it elsewhere, and check the disk",
        errno.ENOTDIR: "a part of the path is a file, not a folder",
        errno.ELOOP: "a link that leads to itself",
        errno.EMFILE: "too many files are open: close programs, or raise ulimit -n",
    }.get(error.errno or 0)


def _instead_of(path: str) -> str:
    """Suggest what may have been meant by a path that is not there."""
    missing = Path(path)
    if missing.is_symlink():
        return f"it is a link to {os.fsdecode(missing.readlink())}, which is not there"
    while missing.parent != missing and not os.path.lexists(missing.parent):
        missing = missing.parent
    names: list[str] = []
    with suppress(OSError):
        names = [entry.name for entry in missing.parent.iterdir()]
    folder = "" if str(missing.parent) == "." else f"{missing.parent}{os.sep}"
    near = did_you_mean(missing.name, names, shown_in=folder)
    return near or "check the spelling; a name with spaces needs quotes"
