"""Profiles: how players and taggers read genres.

A profile sets the ID3 version of tags that gtag adds, and whether several genres are written. An
existing tag keeps its version.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Profile:
    """How one program reads genres.

    Attributes
    ----------
    program : str
        Its usual name.
    id3_version : int
        Of a new ID3v2 tag: 3 or 4. Several genres are separate values in 2.4, and joined with
        ``; `` in 2.3.
    several : bool
        Whether it reads more than one genre of a file.
    """

    program: str = ""
    id3_version: int = 4
    several: bool = True


PROFILES = {
    "picard": Profile("MusicBrainz Picard"),
    "navidrome": Profile("Navidrome"),
    "plex": Profile("Plex"),
    "itunes": Profile("iTunes and Music", id3_version=3, several=False),
    "rekordbox": Profile("rekordbox", id3_version=3, several=False),
}
