"""Reads a track's artist, album and title, as its tags say them.

Training keeps tracks of one artist together by them, and a scan the tracks of an album. Only read,
never written.
"""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from typing import Any

from tagger.containers.formats import Format
from tagger.containers.read import open_by_mutagen

# The fields of each family of tags: artist, album, album artist, compilation, title. mutagen gives
# ID3's older names as these.
_FIELDS = {
    "id3": ("TPE1", "TALB", "TPE2", "TCMP", "TIT2"),
    "vorbis": ("artist", "album", "albumartist", "compilation", "title"),
    "mp4": ("\xa9ART", "\xa9alb", "aART", "cpil", "\xa9nam"),
    "asf": ("Author", "WM/AlbumTitle", "WM/AlbumArtist", "WM/IsCompilation", "Title"),
    "ape": ("Artist", "Album", "Album Artist", "Compilation", "Title"),
}


@dataclass(frozen=True)
class Credits:
    """The first value of each field; empty where there is none or the tag cannot be read.

    Attributes
    ----------
    compilation : bool
        Whether the file says that it is part of one.
    """

    artist: str = ""
    album: str = ""
    album_artist: str = ""
    compilation: bool = False
    title: str = ""


def read_credits(path: str | PathLike[str], format: Format) -> Credits:
    """Return a file's credits; empty ones where its tags cannot be read."""
    try:
        tags = open_by_mutagen(path, format).tags
        said = [_first(tags, field) for field in _FIELDS[format.family]]
    except Exception:  # hostile bytes: nothing depends on it
        return Credits()
    artist, album, album_artist, compilation, title = said
    flag = compilation.casefold() in ("1", "true", "yes")
    return Credits(artist, album, album_artist, flag, title)


def _first(tags: Any, field: str) -> str:
    values = [] if tags is None else tags.get(field, [])
    # A frame of ID3 is iterable; a value of APEv2 or ASF is an object that str() reads.
    values = [values] if isinstance(values, bool) else values
    first = next((str(value).strip() for value in values), "")
    return first.encode("utf-8", "replace").decode()
