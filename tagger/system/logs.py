"""What gtag logs on stderr: warnings; with -vv what it uses; with GTAG_DEBUG=1 times of steps.

Written to a descriptor of its own, since stderr's own one leads nowhere while native code runs.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from tagger.system.screen import printable

_LOGGER = logging.getLogger("tagger")


def debugging() -> bool:
    """Tell whether the environment asks for the time of each step."""
    return os.environ.get("GTAG_DEBUG", "0") not in ("", "0")


def log_on_stderr(verbose: int = 0) -> None:
    """Show on stderr what is logged from now on.

    Parameters
    ----------
    verbose : int
        0 or 1: warnings; from 2 on information, too. While `debugging`, everything is shown.
    """
    for handler in [h for h in _LOGGER.handlers if isinstance(h, _OnStderr)]:
        _LOGGER.removeHandler(handler)
        handler.stream.close()
    level = logging.INFO if verbose > 1 else logging.WARNING
    handler = _OnStderr(logging.DEBUG if debugging() else level)
    _LOGGER.addHandler(handler)
    _LOGGER.setLevel(handler.level)


@contextmanager
def step(what: str, path: str) -> Iterator[None]:
    """Log how long a step takes for a file."""
    if not _LOGGER.isEnabledFor(logging.DEBUG):
        yield
        return
    started = time.perf_counter()
    try:
        yield
    finally:
        _LOGGER.debug("%s: %s in %.0f ms", path, what, 1000 * (time.perf_counter() - started))


class _OnStderr(logging.StreamHandler[TextIO]):
    def __init__(self, level: int) -> None:
        encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
        super().__init__(open(os.dup(2), "w", encoding=encoding, errors="backslashreplace"))  # noqa: SIM115
        self.setLevel(level)
        self._last = ""

    def filter(self, record: logging.LogRecord) -> bool:
        # What went wrong with a file is in its row; the traceback is for the log file.
        if self.level > logging.DEBUG:
            again = record.getMessage() == self._last  # as of a cache that is opened twice
            self._last = record.getMessage()
            if again or record.levelno >= logging.ERROR:
                return False
        return bool(super().filter(record))

    def format(self, record: logging.LogRecord) -> str:
        said = record.getMessage()
        if self.level > logging.DEBUG:
            return f"gtag: {printable(said)}"
        error = record.exc_info
        lines = logging.Formatter().formatException(error).splitlines() if error else []
        where = f"{record.relativeCreated / 1000:.3f} s, process {record.process}, {record.name}"
        return "\n".join(f"gtag: {where}: {printable(s)}" for s in [*said.splitlines(), *lines])

    def handleError(self, record: logging.LogRecord) -> None:
        """Drop what cannot be written: a message must not end the work that it is about."""
