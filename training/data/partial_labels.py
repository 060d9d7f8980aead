"""The genres that research sets state, and those that they leave open.

A set seldom says of a track which of all genres it has: a clip of GTZAN's "rock" may be Punk or
not. So a track has genres that are known, genres that are left open, and no others. The sets are
told apart by the columns of their `tracks.csv`: songs judged by hand have `judged`; a set of any
other kind has a `genre`, and none but that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tagger.genres.vocabulary import canonical, vocabulary

# Words of the judges that the vocabulary spells otherwise.
JUDGED = {"New-Age": "New Age", "Spoken": "Comedy"}
# What a set's only genre leaves open: its tracks may have these as well.
OPEN_BESIDE = {
    "Blues": {"R&B", "Soul", "Rock", "Folk"},
    "Country": {"Folk", "Gospel"},
    "Disco": {"Soul", "Funk", "R&B", "Pop", "Electronic"},
    "Hip-Hop": {"R&B", "Funk", "Soul"},
    "Jazz": {"Vocal", "Latin", "Blues", "Easy"},
    "Metal": {"Rock", "Punk"},
    "Pop": {"R&B", "Soul", "Electronic", "Vocal"},
    "Reggae": {"World"},
    "Rock": {"Indie", "Punk", "Folk", "Pop"},
}
OPEN_IN_EMOTIFY = {
    "classical": {"Soundtrack", "New Age", "World", "Folk", "Vocal", "Gospel"},
    "pop": {"Electronic", "Folk", "R&B", "Country", "World", "Vocal", "Indie", "Soul", "Rock"}
    | {"Gospel", "Latin"},
    "rock": {"Electronic", "Folk", "Indie", "Punk", "Metal", "Pop"},
    "electronic": {"New Age", "Pop", "Disco", "World", "Soundtrack", "Latin", "Funk"},
}
ID3_IN_EMOTIFY = {"World": "World", "Ambient": "New Age", "New Age": "New Age"}

# Families of the guide to electronic music, as styles of ours.
FAMILIES = {
    **{name: name for name in ("Trance", "House", "Breakbeat", "Downtempo", "Hardcore", "Techno")},
    "Jungle": "Drum and Bass",
}
RAP = frozenset(
    {"Abstract Hip Hop", "Hip Hop", "Gangsta", "East Coast", "West Coast", "G-Funk"}
    | {"Dirty South", "Crunk", "Turntablism", "Progressive Hop"}
)
# Styles of that guide that are as much of another genre, or more.
NOT_ELECTRONIC = {"New Jack Swing": "R&B", "Nu Soul": "R&B", "Disco": "Disco"}
UNSURE = frozenset(
    {"Musique Concrete", "Sound Collage", "Minimalism", "Classical", "Psychedelia"}
    | {"French Pop", "Jpop"}
)
ALSO = {
    style: genres
    for styles, genres in (
        ("Electro Funk, Freestyle, Miami Bass, Florida, Rio Funk, Ghetto Tech, Electro, Hip",
         {"Hip-Hop", "Disco", "Pop"}),
        ("Jpop, Synthpop, French Pop, Eurobeat, Eurodance, New Wave, Synthtron, Italo, Nu Italo, "
         "Hi NRG, Disco House, Vocal, French, Funky, Classic, Garage, Happy, Stupid, Brit, Anthem",
         {"Pop", "Disco"}),
        ("Indistrial Rock, Metalcore, Goth, Coldwave, Industrial, Electro Industrial, Darkwave, "
         "Buttrock Goa, Power Electronics, Noizecore", {"Rock", "Metal"}),
        ("Acid Jazz, Nu Jazz, Jazzstep", {"Jazz"}),
        ("Latin, Tribal, Worldbeat", {"Latin"}),
        ("Ragga, Dub", {"Reggae"}),
        ("Classical, Minimalism, Musique Concrete, Ambient, Dark Ambient, Ethereal", {"Classical"}),
    )
    for style in styles.split(", ")
}  # fmt: skip


@dataclass(frozen=True)
class Known:
    """What is known of a track's genres.

    Attributes
    ----------
    genres : frozenset of str
        That it has. Of the vocabulary, or, from other people's sets, any names.
    open : frozenset of str
        That it may have or not. Every other one it does not have.
    style : str
        That it has, or empty.
    """

    genres: frozenset[str]
    open: frozenset[str] = frozenset()
    style: str = ""


def known_genres(row: Mapping[str, str]) -> Known:
    """Return what a row of a set's `tracks.csv` says."""
    if row.get("judged"):
        return _judged(row["judged"])
    if "family" in row:
        return _electronic(row["family"], row["style"])
    if "id3_genre" in row:
        return _emotify(row["label"], row["id3_genre"])
    genre = canonical(row.get("genre") or "") or row.get("genre") or ""
    if not genre:  # noise or a voice
        return Known(frozenset())
    return Known(frozenset({genre}), frozenset(OPEN_BESIDE.get(genre, ())))


def _judged(text: str) -> Known:
    # What the judges did not name, they would not accept.
    return Known(frozenset(JUDGED.get(name, name) for name in text.split("; ") if name))


def _emotify(label: str, id3_genre: str) -> Known:
    genres = {canonical(label) or label}
    left_open = set(OPEN_IN_EMOTIFY.get(label, set()))
    if id3_genre in ID3_IN_EMOTIFY:
        genres.add(ID3_IN_EMOTIFY[id3_genre])
    return Known(frozenset(genres), frozenset(left_open - genres))


def _electronic(family: str, style: str) -> Known:
    left_open = {"New Age", "World", "R&B", "Soundtrack", "Funk", "Soul", "Vocal", "Indie"}
    left_open |= ALSO.get(style, set())
    if not family:
        return Known(frozenset(), frozenset(vocabulary()))
    if style in RAP:
        return Known(frozenset({"Hip-Hop"}), frozenset({"Electronic", "R&B", "Reggae"}))
    if style in NOT_ELECTRONIC:
        genre = NOT_ELECTRONIC[style]
        more = {"Electronic", "Hip-Hop", "Pop", "Disco", "R&B", "Soul", "Funk"} - {genre}
        return Known(frozenset({genre}), frozenset(more))
    if style in UNSURE:
        return Known(frozenset(), frozenset(left_open | {"Electronic"}))
    genres = {"Electronic"} | ({"New Age"} if style == "New Age" else set())
    return Known(frozenset(genres), frozenset(left_open - genres), FAMILIES.get(family, ""))
