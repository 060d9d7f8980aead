"""What players and taggers read of a genre, where it is not all that a tag can say.

A tag that is there keeps its version, whatever the profile: it only chooses for tags that gtag
makes, and how many genres are written. Depends on nothing else of gtag.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Profile:
    """What one program reads.

    Attributes
    ----------
    program : str
        As people call it.
    id3_version : int
        Of an ID3v2 tag that is made: 3 or 4. Several genres are values of their own in 2.4, and
        joined with ``; `` in 2.3, which has none.
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
