"""What commands write beside the tags: opened so that no slip of the hand costs a song."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

from tagger.errors import ConfigurationError, GtagError


def not_music(path: str, option: str) -> str:
    """The path of a file that is about to be made or written over, unless it is a track.

    `gtag scan --report song.mp3` is a wrong order of arguments, not a wish.
    """
    from tagger.files.formats import has_audio_extension, identify

    try:
        is_music = has_audio_extension(path) or (os.path.lexists(path) and identify(path))
    except GtagError:
        is_music = False
    if is_music:
        raise ConfigurationError(
            f"{option} would write over a music file", path=path, hint="nothing was done"
        )
    return path


def replaceable(path: str, option: str) -> str:
    """The same, of what is written beside it first and then takes its name: only files can be."""
    if os.path.lexists(path) and not os.path.isfile(path):  # noqa: PTH113
        raise ConfigurationError(f"{option} needs a regular file", path=path)
    return not_music(path, option)


@contextmanager
def opening(path: str) -> Iterator[None]:
    """Around what opens a file or folder for writing: names it where that fails."""
    try:
        yield
    except OSError as error:
        message = f"cannot be written: {error.strerror or error}"
        raise ConfigurationError(message, path=path) from error


def log_to(path: str | None) -> None:
    """Append what gtag logs to a file; without one, log nowhere, nor ever to the terminal."""
    logger = logging.getLogger("tagger")
    logger.propagate = False
    if path is None:
        logger.addHandler(logging.NullHandler())
        return
    with opening(path):
        handler = logging.FileHandler(
            not_music(path, "--log-file"), encoding="utf-8", errors="backslashreplace"
        )
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
