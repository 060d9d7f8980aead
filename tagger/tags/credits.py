"""Who plays what, and on which album, as a file's tags say it.

Training keeps tracks of one artist together by it, and a scan the tracks of an album. Only read,
never written: none of this is gtag's.
"""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from typing import Any

from tagger.files.formats import Format

# The fields of each family of tags, and for ID3 the older names that mutagen translates.
_FIELDS = {
    "title": {
        **{"id3": "TIT2", "vorbis": "title", "mp4": "\xa9nam", "asf": "Title", "ape": "Title"}
    },
    "artist": {
        **{"id3": "TPE1", "vorbis": "artist", "mp4": "\xa9ART", "asf": "Author", "ape": "Artist"}
    },
    "album": {
        **{"id3": "TALB", "vorbis": "album", "mp4": "\xa9alb", "asf": "WM/AlbumTitle"},
        "ape": "Album",
    },
    "album_artist": {
        **{"id3": "TPE2", "vorbis": "albumartist", "mp4": "aART", "asf": "WM/AlbumArtist"},
        "ape": "Album Artist",
    },
    "compilation": {
        **{"id3": "TCMP", "vorbis": "compilation", "mp4": "cpil", "asf": "WM/IsCompilation"},
        "ape": "Compilation",
    },
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
    """Who plays what, and on which album."""
    try:
        tags = format.open_with_mutagen(path).tags
        said = {name: _first(tags, fields[format.family]) for name, fields in _FIELDS.items()}
    except Exception:  # hostile bytes: this is good to know, but no more than that
        return Credits()
    flag = said.pop("compilation").casefold()
    return Credits(**said, compilation=flag in ("1", "true", "yes"))


def _first(tags: Any, field: str) -> str:
    values = [] if tags is None else tags.get(field, [])
    # A frame of ID3 is iterable, a value of APEv2 or ASF an object that is text at heart.
    values = [values] if isinstance(values, bool) else values
    first = next((str(value).strip() for value in values), "")
    return first.encode("utf-8", "replace").decode()
