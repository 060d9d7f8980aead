"""The errors that gtag raises on purpose, and the exit statuses of every command.

Each error names the file it is about and says what to do. It must not know how it is shown:
`tagger.cli` prints it, `tagger.scan` turns it into a row of the report.
"""

from __future__ import annotations

from enum import IntEnum
from os import PathLike, fspath

INSTALL_TRAIN = "pip install 'gtag-music[train]', or '.[train]' in the folder of gtag's source"


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


class ModelError(ConfigurationError):
    """A model is missing, damaged or not to be trusted."""


class DataError(ConfigurationError):
    """A data set for training or evaluation cannot be used."""


class UnreadableError(GtagError):
    """The sound or the tags of a file cannot be read: report status `unreadable`."""


class NothingToHearError(GtagError):
    """A file is silent or too short for an honest guess: report status `unsure`."""


class RefusedError(GtagError):
    """A file that could be written is left alone for its own good: report status `refused`."""


class WriteFailedError(GtagError):
    """Writing went wrong; the original is as it was: report status `failed`."""
