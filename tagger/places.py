"""Where gtag keeps what is its own on each platform: models, journal, cache, settings."""

from __future__ import annotations

from pathlib import Path


def data_folder() -> Path:
    """The folder for what a person wants to keep: their own models."""
    from platformdirs import user_data_path

    # Without it, Windows puts a folder of the application's author, "gtag", around "gtag".
    return user_data_path("gtag", appauthor=False)


def state_folder() -> Path:
    """The folder for what gtag itself notes: the journal."""
    from platformdirs import user_state_path

    return user_state_path("gtag", appauthor=False)


def cache_folder() -> Path:
    """The folder for what gtag can make anew."""
    from platformdirs import user_cache_path

    return user_cache_path("gtag", appauthor=False)


def config_folder() -> Path:
    """The folder for what a person sets: config.toml."""
    from platformdirs import user_config_path

    return user_config_path("gtag", appauthor=False)
