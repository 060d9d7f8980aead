"""The ten genres of the bundled models, and the names that people use for them.

Knows names only: nothing of tags, models or files.
"""

from __future__ import annotations

CANONICAL = (
    "Blues",
    "Classical",
    "Country",
    "Disco",
    "Hip-Hop",
    "Jazz",
    "Metal",
    "Pop",
    "Reggae",
    "Rock",
)

# Keys as `_key` leaves them. Only names that mean the genre itself: a sub-genre such as
# "bluegrass" says more than its parent, and is no mistake of a person's to be corrected.
_ALIASES = {
    "hiphop": "Hip-Hop",
    "hiphoprap": "Hip-Hop",
    "rap": "Hip-Hop",
    "raphiphop": "Hip-Hop",
    "classic": "Classical",
    "classicalmusic": "Classical",
    "heavymetal": "Metal",
    "popmusic": "Pop",
    "rockmusic": "Rock",
    "jazzmusic": "Jazz",
    "countrymusic": "Country",
    "reggaemusic": "Reggae",
}
_BY_KEY = {name.casefold().replace("-", ""): name for name in CANONICAL} | _ALIASES


def _key(name: str) -> str:
    return "".join(c for c in name.casefold() if c.isalnum())


def canonical(name: str) -> str | None:
    """The canonical name of a genre, or None where it is none of ours.

    >>> canonical("hip hop"), canonical("Hip-Hop/Rap"), canonical("Polka")
    ('Hip-Hop', 'Hip-Hop', None)
    """
    return _BY_KEY.get(_key(name))
