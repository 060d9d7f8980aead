"""A person's own library as a data set: its tags say which genre a track has, and who plays.

Only genres that a person wrote count: learning from gtag's own guesses would confirm them.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Literal

from tagger.containers.credits import read_credits
from tagger.containers.formats import Format
from tagger.containers.read import read_tags
from tagger.genres.placeholders import Placeholders
from tagger.genres.vocabulary import LONGEST_NAME, canonical, same_name
from tagger.library.walk import Library
from tagger.models.card import why_no_label
from tagger.system.errors import GtagError
from tagger.training.data.datasets import SoundFile, as_text
from tagger.training.reporter import SILENT, Reporter

Spelling = Literal["own", "canonical"]
MIN_TRACKS = 8  # of a genre: fewer are neither learned well nor measured at all
# Guests: "X feat. Y" is X.
_GUESTS = re.compile(r"(?<=\S)\s+[(\[]?(feat|ft|featuring)\b.*", re.IGNORECASE | re.DOTALL)


def read_own_library(
    folder: Path,
    *,
    min_tracks: int = MIN_TRACKS,
    spelling: Spelling = "own",
    heard_by_gtag: Collection[str] = (),
    reporter: Reporter = SILENT,
) -> list[SoundFile]:
    """Return the tracks of a library that can be learned from, in library order.

    Where no tag names an artist, one who alone plays in the same folder stands for it, or else the
    album and the folder, which are one where they share a track.

    Parameters
    ----------
    min_tracks : int
        So many tracks a genre must have.
    spelling : {"own", "canonical"}
        Of names that mean the same, the person's most frequent spelling counts, or gtag's.
    heard_by_gtag : collection of str
        Genres that need no tracks to be learned from: they stay, however few there are.
    """
    files: list[SoundFile] = []
    artists: list[str | None] = []
    places: list[tuple[str, str]] = []
    without_genre, unusable = 0, Counter[str]()
    for track in reporter.bar(Library([str(folder)]), desc="reading tags", unit="tracks"):
        name = _within(track.path, folder)
        if track.format is None:
            reporter.leave_out(name, "not a sound format that gtag supports")
            continue
        try:
            genres = _genres(track.path, track.format)
        except GtagError as error:
            reporter.leave_out(name, error.message)
            continue
        if not genres:
            without_genre += 1
            continue
        unusable.update(genre for genre in genres if why_no_label(genre))
        genres = [genre for genre in genres if genre not in unusable]
        if not genres:
            continue
        credits = read_credits(track.path, track.format)
        files.append(SoundFile(track.path, name, genres[0], others=tuple(genres[1:])))
        artists.append(_artist_key(credits.artist) or None)
        place = _within(os.path.dirname(track.path), folder)  # noqa: PTH120 - maybe bytes
        places.append((place, _key(credits.album)))
    names = merged_spellings((g for file in files for g in (file.genre, *file.others)), spelling)
    files = [
        _with_genres(replace(file, artist=artist), (names[g] for g in (file.genre, *file.others)))
        for file, artist in zip(files, _filled(artists, places), strict=True)
    ]
    counts = Counter(genre for file in files for genre in (file.genre, *file.others))
    known = {same_name(genre) for genre in heard_by_gtag}
    rare = {
        genre: n
        for genre, n in sorted(counts.items())
        if n < min_tracks and same_name(genre) not in known
    }
    kept = [([g for g in (file.genre, *file.others) if g not in rare], file) for file in files]
    files = [_with_genres(file, genres) for genres, file in kept if genres]
    for genre, n in rare.items():
        reporter.tell(f"left out: {genre}: it has {n} of the {min_tracks} tracks that it needs")
    for genre, n in unusable.items():
        name = genre if len(genre) <= LONGEST_NAME else f"{genre[:LONGEST_NAME]}…"
        reporter.tell(f"left out: {name}, of {n} track{'s' * (n != 1)}: {why_no_label(genre)}")
    if without_genre:
        reporter.tell(f"left out: {without_genre} tracks without a genre that a person wrote")
    if unknown := artists.count(None):
        reporter.tell(
            f"{unknown} of {len(artists)} tracks name no artist: album or folder stands for one"
        )
    return files


def _with_genres(file: SoundFile, genres: Iterable[str]) -> SoundFile:
    first, *others = dict.fromkeys(genres)
    return replace(file, genre=first, others=tuple(others))


def _filled(artists: list[str | None], places: list[tuple[str, str]]) -> list[str]:
    """Return an artist for each track, or what stands for one."""
    in_folder: dict[str, set[str]] = {}
    for artist, (folder, _) in zip(artists, places, strict=True):
        in_folder.setdefault(folder, set()).update({artist} if artist else ())
    groups = joined(
        (f"folder {folder}", f"album {album}" if album else f"folder {folder}")
        for artist, (folder, album) in zip(artists, places, strict=True)
        if not artist
    )
    return [
        artist
        or (next(iter(in_folder[folder])) if len(in_folder[folder]) == 1 else "")
        or groups[f"folder {folder}"]
        for artist, (folder, _) in zip(artists, places, strict=True)
    ]


def joined(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return for each name the one that stands for all that pairs join it to.

    >>> joined([("a", "b"), ("c", "d"), ("b", "c")])
    {'a': 'a', 'b': 'a', 'c': 'a', 'd': 'a'}
    """
    above: dict[str, str] = {}

    def top(name: str) -> str:
        while above.setdefault(name, name) != name:
            above[name] = above[above[name]]
            name = above[name]
        return name

    for one, other in pairs:
        first, second = sorted((top(one), top(other)))
        above[second] = first
    return {name: top(name) for name in list(above)}


def merged_spellings(names: Iterable[str], spelling: Spelling = "own") -> dict[str, str]:
    """Return for each name of a genre the one that it is learned under.

    >>> sorted(merged_spellings(["Polka", "polka", "Polka", "heavy metal"], "canonical").items())
    [('Polka', 'Polka'), ('heavy metal', 'Metal'), ('polka', 'Polka')]
    >>> merged_spellings(["Rap", "hip hop", "Rap"])
    {'Rap': 'Rap', 'hip hop': 'Rap'}
    """
    counts = Counter(names)
    by_key: dict[str, str] = {}
    for name in sorted(counts, key=lambda n: (-counts[n], n)):
        theirs = canonical(name) if spelling == "canonical" else None
        by_key.setdefault(same_name(name), theirs or name)
    return {name: by_key[same_name(name)] for name in counts}


def artist_of(path: str, format: Format) -> str | None:
    """Return who plays, without guests and in one spelling; None where no tag says it."""
    return _artist_key(read_credits(path, format).artist) or None


def _artist_key(artist: str) -> str:
    """Return a key that is the same for an artist with and without guests.

    >>> _artist_key("Some  Body (feat. Else)"), _artist_key("Some body ft. Else"), _artist_key("Ft")
    ('some body', 'some body', 'ft')
    """
    return _key(_GUESTS.sub("", artist))


def _genres(path: str, format: Format) -> list[str]:
    """Return the genres that a person wrote, also those in one field that programs read as two."""
    texts = ";".join(map(as_text, read_tags(path, format).user_genres)).split(";")
    return list(dict.fromkeys(Placeholders().without(" ".join(text.split()) for text in texts)))


def _key(name: str) -> str:
    return " ".join(name.casefold().split())


def _within(path: str, folder: Path) -> str:
    return os.path.relpath(path, folder)
