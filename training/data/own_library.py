"""A person's own library as a data set: its tags say which genre a track has, and who plays.

Only what a person wrote counts; learning from one's own guesses would prove them right. Must not
know: sound, models.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from tqdm import tqdm

from tagger.errors import DataError, GtagError
from tagger.files.formats import Format
from tagger.files.library import Library
from tagger.genres import canonical
from tagger.placeholders import Placeholders
from tagger.tags.credits import read_credits
from tagger.tags.read import read_tags
from tagger.training.data.datasets import SoundFile, as_text

MIN_TRACKS = 8  # of a genre: fewer are neither learned well nor measured at all


@dataclass(frozen=True)
class OwnLibrary:
    """The tracks of a library that can be learned from.

    Attributes
    ----------
    files : list of SoundFile
        In library order, each with an artist: where no tag names one, its folder stands for it,
        since an album seldom leaves its folder.
    unreadable : dict of str to str
        Tracks whose tags cannot be read, and why.
    rare : dict of str to int
        Genres with too few tracks, and how many they have.
    without_genre : int
        Tracks in which no person wrote a genre.
    """

    files: list[SoundFile]
    unreadable: dict[str, str]
    rare: dict[str, int]
    without_genre: int


def read_own_library(
    folder: Path, *, min_tracks: int = MIN_TRACKS, progress: bool = False
) -> OwnLibrary:
    """Take a library's genres from its tags.

    Of several genres the first counts. Names that gtag knows become canonical; others stay as
    the person wrote them, in the most frequent of spellings that differ in case alone.

    Raises
    ------
    DataError
        Where fewer than two genres have `min_tracks` tracks.
    """
    files: list[SoundFile] = []
    unreadable: dict[str, str] = {}
    without_genre = 0
    bar = tqdm(
        Library([str(folder)]),
        desc="reading tags",
        unit="track",
        disable=None if progress else True,
    )
    for track in bar:
        if track.format is None:
            unreadable[_within(track.path, folder)] = "not a sound format that gtag supports"
            continue
        try:
            genre = _first_genre(track.path, track.format)
        except GtagError as error:
            unreadable[_within(track.path, folder)] = error.message
            continue
        if genre is None:
            without_genre += 1
            continue
        files.append(
            SoundFile(
                path=track.path,
                track=_within(track.path, folder),
                genre=genre,
                artist=artist_of(track.path, track.format)
                or f"folder {_within(os.path.dirname(track.path), folder)}",  # noqa: PTH120
            )
        )
    names = merged_spellings(file.genre for file in files)
    files = [replace(file, genre=names[file.genre]) for file in files]
    counts = Counter(file.genre for file in files)
    rare = {genre: n for genre, n in sorted(counts.items()) if n < min_tracks}
    files = [file for file in files if file.genre not in rare]
    if len({file.genre for file in files}) < 2:
        raise DataError(
            f"fewer than two genres have {min_tracks} tracks: nothing to tell apart",
            path=folder,
            hint="genres are taken from the tags; --min-tracks asks for fewer",
        )
    return OwnLibrary(files, unreadable, rare, without_genre)


def merged_spellings(names: Iterable[str]) -> dict[str, str]:
    """For each name of a genre the one that it is learned under.

    >>> sorted(merged_spellings(["Polka", "polka", "Polka", "heavy metal"]).items())
    [('Polka', 'Polka'), ('heavy metal', 'Metal'), ('polka', 'Polka')]
    """
    counts = Counter(names)
    by_key: dict[str, str] = {}
    for name in sorted(counts, key=lambda n: (-counts[n], n)):
        by_key.setdefault(_key(name), name)
    return {name: canonical(name) or by_key[_key(name)] for name in counts}


def artist_of(path: str, format: Format) -> str | None:
    """Who plays, in one spelling; None where no tag says it."""
    artist = read_credits(path, format).artist
    return _key(artist) if artist else None


def _first_genre(path: str, format: Format) -> str | None:
    user_genres = Placeholders().without(read_tags(path, format).user_genres)
    return " ".join(as_text(user_genres[0]).split()) if user_genres else None


def _key(name: str) -> str:
    return " ".join(name.casefold().split())


def _within(path: str, folder: Path) -> str:
    return os.path.relpath(path, folder)
