"""The log file: details for those who look for the reason of something.

Nothing of it reaches the terminal.
"""

from __future__ import annotations

import logging

from tagger.cli.files import cannot_open, not_music


def log_to(path: str | None) -> None:
    """Append what gtag logs to a file; without one, log nowhere."""
    logger = logging.getLogger("tagger")
    logger.propagate = False
    if path is None:
        logger.addHandler(logging.NullHandler())
        return
    try:
        handler = logging.FileHandler(
            not_music(path, "--log-file"), encoding="utf-8", errors="backslashreplace"
        )
    except OSError as error:
        raise cannot_open(path, error) from error
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
