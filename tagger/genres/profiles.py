"""Which ID3 version and how many genres players and taggers read.

A profile sets the version of new tags only; an existing tag keeps its own.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Profile:
    """What one program reads.

    Attributes
    ----------
    program : str
        Its name, for messages.
    id3_version : int
        Of new ID3v2 tags: 3 or 4. Several genres are values of their own in 2.4, and
        joined with ``; `` in 2.3, which has none.
    several : bool
        Whether it reads more than one genre of a file.
    shows_comments : bool
        Whether people read the comment in it rather than the genre.
    """

    program: str = ""
    id3_version: int = 4
    several: bool = True
    shows_comments: bool = False


PROFILES = {
    "picard": Profile("MusicBrainz Picard"),
    "navidrome": Profile("Navidrome"),
    "plex": Profile("Plex"),
    "itunes": Profile("iTunes and Music", id3_version=3, several=False),
    "rekordbox": Profile("rekordbox", id3_version=3, several=False, shows_comments=True),
}
