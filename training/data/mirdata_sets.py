"""Data sets by the loaders of mirdata: `--data mirdata:gtzan_genre`.

The set lies where mirdata keeps it (`~/mir_datasets/NAME`); mirdata downloads it, not gtag.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tagger.system.errors import ConfigurationError, DataError
from tagger.system.extras import need
from tagger.system.suggest import did_you_mean
from tagger.training.data.datasets import SoundFile, genre_of

PREFIX = "mirdata:"
GENRES = ("genre", "genres", "style")  # what the loaders call it
ARTISTS = ("artist", "artist_name", "performer")


def is_mirdata(source: Path) -> bool:
    """Tell whether a source is the name of a set of mirdata's."""
    return str(source).startswith(PREFIX)


def read_mirdata(source: Path) -> list[SoundFile]:
    """Return the tracks of a set that have a genre and a file of sound.

    Raises
    ------
    ConfigurationError
        Where mirdata is not installed or knows no such set.
    DataError
        Where the set is not there, or has no genres.
    """
    need("--data mirdata:NAME", "mirdata")
    import mirdata

    name = str(source).removeprefix(PREFIX)
    there = mirdata.list_datasets()
    if name not in there:
        hint = " ".join(
            filter(None, (did_you_mean(name, there), "mirdata.list_datasets() has all of them"))
        )
        raise ConfigurationError(f"mirdata has no data set {name!r}", hint=hint)
    download = f"python -c 'import mirdata; mirdata.initialize(\"{name}\").download()'"
    try:
        tracks = mirdata.initialize(name).load_tracks()
    except OSError as error:
        raise DataError(f"the data set {name} is not there: {error}", hint=download) from error
    files = [
        SoundFile(path=path, track=str(track), genre=genre_of(genre), artist=_said(about, ARTISTS))
        for track, about in tracks.items()
        if (path := _said(about, ("audio_path",)))
        and (genre := _said(about, GENRES))
        and os.path.exists(path)  # noqa: PTH110
    ]
    if not files:
        raise DataError(f"of {name} no track has both a genre and its sound here", hint=download)
    return files


def _said(track: Any, names: tuple[str, ...]) -> str | None:
    """Return the first of a track's fields that says something; of a list its first entry."""
    for name in names:
        try:
            value = getattr(track, name, None)
        except (OSError, KeyError):  # read from a file when it is asked for
            continue
        if isinstance(value, list | tuple):
            value = value[0] if value else None
        if value:
            return str(value)
    return None
