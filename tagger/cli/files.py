"""The files that commands write beside the tags: no wrong argument may overwrite music."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

from tagger.system.errors import ConfigurationError, GtagError
from tagger.system.logs import log_on_stderr


def not_music(path: str, option: str) -> str:
    """Check a path that is about to be made or overwritten: no track is overwritten.

    `gtag scan --report song.mp3` is a mistake.
    """
    from tagger.containers.formats import has_audio_extension
    from tagger.containers.recognise import identify

    try:
        is_music = has_audio_extension(path) or (os.path.lexists(path) and identify(path))
    except GtagError:
        is_music = False
    if is_music:
        raise ConfigurationError(
            f"{option} would overwrite a music file", path=path, hint="nothing was done"
        )
    return path


def replaceable(path: str, option: str) -> str:
    """Check, as `not_music` does, a file that is replaced as a whole, which a device cannot be."""
    if os.path.lexists(path) and not os.path.isfile(path):  # noqa: PTH113
        raise ConfigurationError(f"{option} needs a regular file", path=path)
    return not_music(path, option)


@contextmanager
def opening(path: str) -> Iterator[None]:
    """Around what opens a file or folder for writing: names it where that fails."""
    try:
        yield
    except OSError as error:
        message, hint = f"cannot be written: {error.strerror or error}", None
        if isinstance(error, FileExistsError):
            message = "is a file, not a folder"
        elif isinstance(error, FileNotFoundError):
            hint = "make its folder first"
        raise ConfigurationError(message, path=path, hint=hint) from error


def log_to(path: str | None, verbose: int = 0) -> None:
    """Log on stderr as `log_on_stderr` does, and append everything to a file, if one is given."""
    log_on_stderr(verbose)
    if path is None:
        return
    with opening(path):
        handler = logging.FileHandler(
            not_music(path, "--log-file"), encoding="utf-8", errors="backslashreplace"
        )
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger = logging.getLogger("tagger")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
