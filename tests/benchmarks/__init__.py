"""Measurements of speed, for docs/performance.md; each module is run by hand."""

from __future__ import annotations

import os


def compile_into(folder: str) -> None:
    """Let processes that are started from now on keep compiled modules there, as pip leaves them.

    Without it, a worker in a checkout may compile all of gtag each time: a quarter of its start.
    """
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = folder
