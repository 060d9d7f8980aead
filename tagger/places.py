"""Where gtag keeps what is its own on each platform: models, journal, cache, settings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from platformdirs.api import PlatformDirsABC


def data_folder() -> Path:
    """The folder for what a person wants to keep: their own models."""
    return _folders().user_data_path


def state_folder() -> Path:
    """The folder for what gtag itself notes: the journal."""
    return _folders().user_state_path


def cache_folder() -> Path:
    """The folder for what gtag can make anew."""
    return _folders().user_cache_path


def config_folder() -> Path:
    """The folder for what a person sets: config.toml."""
    return _folders().user_config_path


def _folders() -> PlatformDirsABC:
    from platformdirs import PlatformDirs

    # Without it, Windows puts a folder of the application's author, "gtag", around "gtag".
    return PlatformDirs("gtag", appauthor=False)
