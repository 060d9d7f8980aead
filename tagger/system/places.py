"""Where gtag keeps what is its own on each platform: models, journal, cache, settings."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tagger.system.errors import ConfigurationError


def data_folder() -> Path:
    """Return the folder for what a person wants to keep: their own models.

    Raises
    ------
    ConfigurationError
        There is no home, as for the other folders.
    """
    return _folder("data")


def state_folder() -> Path:
    """Return the folder for what gtag itself notes: the journal."""
    return _folder("state")


def cache_folder() -> Path:
    """Return the folder for what gtag can make anew."""
    return _folder("cache")


def config_folder() -> Path:
    """Return the folder for what a person sets: config.toml."""
    return _folder("config")


def if_there_is_one(folder: Callable[[], Path]) -> Path | None:
    """Return a folder that is useful but not needed; None without a home."""
    try:
        return folder()
    except ConfigurationError:
        return None


def home() -> Path | None:
    """Return the person's own folder; None where nothing names one."""
    try:
        return Path.home()
    except RuntimeError:
        return None


def _folder(kind: str) -> Path:
    from platformdirs import PlatformDirs

    folder = None
    with suppress(RuntimeError):  # where nobody knows the home; older versions leave a ~
        # Without it, Windows puts a folder of the application's author, "gtag", around "gtag".
        folder = Path(getattr(PlatformDirs("gtag", appauthor=False), f"user_{kind}_dir"))
    if folder is None or folder.parts[0].startswith("~"):
        raise ConfigurationError(
            "you have no home folder, and so gtag has no place for its own files",
            hint=f"set HOME or XDG_{kind.upper()}_HOME to a folder",
        )
    return folder
