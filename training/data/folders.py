"""Output folders: refused where they hold something else."""

from __future__ import annotations

from collections.abc import Set
from pathlib import Path

from tagger.system.errors import ConfigurationError


def check_folder(folder: Path, what: str, signs: Set[str]) -> None:
    """See that a folder may be written, best before anything takes long.

    Parameters
    ----------
    what : str
        What it is to hold, in a word.
    signs : set of str
        Files by which a folder that holds one already, to be replaced, is known.

    Raises
    ------
    ConfigurationError
        Where something else stands there.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigurationError(f"is a file, and a {what} is a folder", path=folder)
    there = {entry.name for entry in folder.iterdir()} if folder.exists() else set()
    if there and not signs <= there:
        raise ConfigurationError(
            f"is neither empty nor a {what}",
            path=folder,
            hint=f"choose another folder for the {what}",
        )
