"""Who plays, as a file's tags say it. Training keeps tracks of one artist together by it.

Only read, never written: this is none of gtag's fields.
"""

from __future__ import annotations

from os import PathLike

from tagger.formats import Format

# The field of each family of tags, and for ID3 the older names that mutagen translates.
_FIELDS = {"id3": "TPE1", "vorbis": "artist", "mp4": "\xa9ART", "asf": "Author", "ape": "Artist"}


def read_artist(path: str | PathLike[str], format: Format) -> str | None:
    """The first artist that a file names; None where there is none or the tag cannot be read."""
    try:
        tags = format.open_with_mutagen(path).tags
        values = [] if tags is None else tags.get(_FIELDS[format.family], [])
        # A frame of ID3 is iterable, a value of APEv2 or ASF an object that is text at heart.
        first = next((str(value).strip() for value in values), "")
    except Exception:  # hostile bytes: who plays is good to know, but no more than that
        return None
    return first.encode("utf-8", "replace").decode() or None
