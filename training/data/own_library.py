"""A person's own library as a data set: its tags say which genre a track has, and who plays.

Only genres that a person wrote count: learning from gtag's own guesses would confirm them.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from tagger.containers.credits import read_credits
from tagger.containers.formats import Format
from tagger.containers.read import read_tags
from tagger.genres.placeholders import Placeholders
from tagger.genres.vocabulary import canonical
from tagger.library.walk import Library
from tagger.models.card import why_no_label
from tagger.system.errors import DataError, GtagError
from tagger.training.data.datasets import SoundFile, as_text
from tagger.training.reporter import SILENT, Reporter

MIN_TRACKS = 8  # of a genre: fewer are neither learned well nor measured at all


def read_own_library(
    folder: Path, *, min_tracks: int = MIN_TRACKS, reporter: Reporter = SILENT
) -> list[SoundFile]:
    """The tracks of a library that can be learned from, in library order.

    Of several genres the first counts. Names that gtag knows become canonical; others stay as
    the person wrote them, in the most frequent of spellings that differ in case alone. Where no
    tag names an artist, the folder stands for it, since an album seldom leaves its folder.

    Raises
    ------
    DataError
        Where fewer than two genres have `min_tracks` tracks.
    """
    files: list[SoundFile] = []
    without_genre = 0
    for track in reporter.bar(Library([str(folder)]), desc="reading tags", unit="tracks"):
        name = _within(track.path, folder)
        if track.format is None:
            reporter.leave_out(name, "not a sound format that gtag supports")
            continue
        try:
            genre = _first_genre(track.path, track.format)
        except GtagError as error:
            reporter.leave_out(name, error.message)
            continue
        if genre is None:
            without_genre += 1
            continue
        files.append(
            SoundFile(
                path=track.path,
                track=name,
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
    for genre, n in rare.items():
        reporter.tell(f"left out: {genre}: it has {n} of the {min_tracks} tracks that it needs")
    if without_genre:
        reporter.tell(f"left out: {without_genre} tracks without a genre that a person wrote")
    return files


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
    names = (" ".join(as_text(genre).split()) for genre in user_genres)
    return next((name for name in names if not why_no_label(name)), None)


def _key(name: str) -> str:
    return " ".join(name.casefold().split())


def _within(path: str, folder: Path) -> str:
    return os.path.relpath(path, folder)
