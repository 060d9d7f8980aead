"""The standard streams, made safe to use: closed, full, or of a terminal with few characters."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import Any, TextIO

STDOUT = "the standard output"


def make_streams_usable() -> None:
    """Let every stream be written to; to be called before any file is opened."""
    # The next files to be opened would get the numbers of closed streams, and native libraries
    # would print into music files.
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115
    sys.stdout = _usable(sys.stdout, STDOUT)
    sys.stderr = _usable(sys.stderr, None)


def give_up_stdout() -> None:
    """Drop what cannot be written, so that Python does not try again when the process ends."""
    sys.stdout = _usable(None, STDOUT)


def _usable(stream: TextIO | None, name: str | None) -> Any:
    if isinstance(stream, _Stream):
        return stream
    if stream is None:
        stream = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    if isinstance(stream, io.TextIOWrapper):
        # A character that the terminal cannot show is escaped and raises nothing.
        stream.reconfigure(errors="backslashreplace")
    return _Stream(stream, name)


class _Stream:
    """A text stream whose errors name it.

    Parameters
    ----------
    stream : text file
    name : str, optional
        The file name of its errors. None: what cannot be written is dropped, since a message must
        not end the work that it is about.
    """

    def __init__(self, stream: TextIO, name: str | None) -> None:
        self._stream = stream
        self._name = name

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError as error:
            self._failed(error)
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            self._failed(error)

    def _failed(self, error: OSError) -> None:
        if self._name is not None:
            raise OSError(error.errno or errno.EIO, error.strerror, self._name) from error
