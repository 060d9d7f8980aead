"""The genres that research sets state, and those that they leave open.

A set seldom says of a track which of all genres it has: what AllMusic files under Pop/Rock may be
Disco or not. So a track has genres that are known, genres that are left open, and no others. The
sets are told apart by the columns of their `tracks.csv`; one of any other kind has a `genre`, and
none but that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tagger.genres import canonical, vocabulary

ROCK_AND_POP = frozenset({"Pop", "Rock", "Metal", "Disco"})

# AllMusic's genres as ours. Those that are missing here say nothing of how music sounds (Holiday,
# Children's, Comedy/Spoken, Religious), or are no genre of ours (Avant-Garde, Easy Listening).
ALLMUSIC = {
    **{name: name for name in ("Jazz", "Electronic", "R&B", "Vocal", "Country", "Blues", "Latin")},
    **{name: name for name in ("Folk", "New Age", "Reggae", "Classical")},
    **{"Rap": "Hip-Hop", "International": "World", "Stage & Screen": "Soundtrack"},
}
# What a genre of AllMusic leaves open, beside those that it names.
OPEN_IN_ALLMUSIC = {
    "Pop/Rock": {*ROCK_AND_POP, "Folk"},
    "R&B": {"Disco", "Pop"},
    "Electronic": {"Disco", "Pop"},
    "Latin": {"Pop", "Folk", "World"},
    "International": {"Pop", "Folk", "Latin"},
    "Vocal": {"Pop", "Folk", "Latin", "World", "Jazz"},
    "Stage & Screen": {"Classical", "Vocal"},
    "Avant-Garde": {"Classical", "Soundtrack", "Vocal"},
    "Easy Listening": {"Classical", "Soundtrack", "Vocal"},
    "New Age": {"Classical", "Soundtrack", "Vocal"},
    "Holiday": {*ROCK_AND_POP, "R&B", "Country", "Folk"},
    "Religious": {*ROCK_AND_POP, "R&B", "Country", "Folk"},
    "Children's": {*ROCK_AND_POP, "R&B", "Country", "Folk"},
    "Comedy/Spoken": {*ROCK_AND_POP, "R&B", "Country", "Folk"},
}
OPEN_IN_EMOTIFY = {
    "classical": {"Soundtrack", "New Age", "World", "Folk", "Vocal"},
    "pop": {"Electronic", "Folk", "R&B", "Country", "World", "Vocal"},
    "rock": {"Electronic", "Folk"},
    "electronic": {"New Age", "Pop", "Disco", "World", "Soundtrack"},
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
    """What a row of a set's `tracks.csv` says."""
    genre = canonical(row.get("genre") or "") or row.get("genre") or ""
    named = {genre} if genre else set[str]()
    if "allmusic_genres" in row:
        return _allmusic(row["allmusic_genres"], named)
    if "family" in row:
        return _electronic(row["family"], row["style"])
    if "kind" in row and not genre:  # noise or a voice
        return Known(frozenset())
    if "id3_genre" in row:
        return _emotify(row["label"], row["id3_genre"])
    return Known(frozenset(named))


def _allmusic(text: str, named: set[str]) -> Known:
    listed = [name for name in text.split("; ") if name]
    if not listed and not named:
        return Known(frozenset(), frozenset(vocabulary()))
    genres = {ALLMUSIC[name] for name in listed if name in ALLMUSIC} | named
    left_open = set().union(*(OPEN_IN_ALLMUSIC.get(name, set()) for name in listed))
    if named & ROCK_AND_POP:  # one of them is said, so the others are not
        left_open -= ROCK_AND_POP
    return Known(frozenset(genres), frozenset(left_open - genres))


def _emotify(label: str, id3_genre: str) -> Known:
    genres = {canonical(label) or label}
    left_open = set(OPEN_IN_EMOTIFY.get(label, set()))
    if id3_genre in ID3_IN_EMOTIFY:
        genres.add(ID3_IN_EMOTIFY[id3_genre])
    if id3_genre == "Hard Rock":
        left_open.add("Metal")
    if label == "pop" and "Rock" in id3_genre:
        left_open.add("Rock")
    if label == "rock" and id3_genre == "Electro Rock":
        left_open.add("Pop")
    return Known(frozenset(genres), frozenset(left_open - genres))


def _electronic(family: str, style: str) -> Known:
    left_open = {"New Age", "World", "R&B", "Soundtrack"} | ALSO.get(style, set())
    if not family:
        return Known(frozenset(), frozenset(vocabulary()))
    if style in RAP:
        return Known(frozenset({"Hip-Hop"}), frozenset({"Electronic", "R&B", "Reggae"}))
    if style in NOT_ELECTRONIC:
        genre = NOT_ELECTRONIC[style]
        more = {"Electronic", "Hip-Hop", "Pop", "Disco", "R&B"} - {genre}
        return Known(frozenset({genre}), frozenset(more))
    if style in UNSURE:
        return Known(frozenset(), frozenset(left_open | {"Electronic"}))
    genres = {"Electronic"} | ({"New Age"} if style == "New Age" else set())
    return Known(frozenset(genres), frozenset(left_open - genres), FAMILIES.get(family, ""))
