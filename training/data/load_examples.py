"""Brings together what is learned from, whatever shape it comes in.

A log-mel archive, a folder with a sub-folder of sound for each genre, a table of features, or a
person's own library.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tagger.containers.recognise import identify
from tagger.models.card import why_no_label
from tagger.system.errors import ConfigurationError, DataError, GtagError
from tagger.training.data.datasets import (
    NO_ARTISTS,
    Example,
    SoundFile,
    as_text,
    is_log_mel_archive,
    read_genre_folders,
    read_log_mel_archive,
)
from tagger.training.data.duplicates import without_duplicates
from tagger.training.data.feature_table import read_feature_table
from tagger.training.data.mirdata_sets import is_mirdata, read_mirdata
from tagger.training.data.own_library import (
    MIN_TRACKS,
    Spelling,
    artist_of,
    read_own_library,
)
from tagger.training.data.prepare import prepare
from tagger.training.data.resume import HEARD
from tagger.training.reporter import SILENT, Reporter


@dataclass(frozen=True)
class Sources:
    """Where to learn from.

    Attributes
    ----------
    data : sequence of Path
        Log-mel archives, folders with a sub-folder for each genre, tables of features, names of
        mirdata's sets. The first
        one is the reference set, which is measured on.
    from_tags : Path or None
        A library whose tags name the genres; then that is the reference set.
    min_tracks, spelling, heard_by_gtag
        Of that library's genres, as in `read_own_library`.
    cache : Path or None
        Archive that keeps the spectrograms of sound files; None: until the training is done.
    """

    data: Sequence[Path] = ()
    from_tags: Path | None = None
    min_tracks: int = MIN_TRACKS
    cache: Path | None = None
    spelling: Spelling = "own"
    heard_by_gtag: tuple[str, ...] = ()

    @property
    def folders_of_sound(self) -> list[Path]:
        own = [] if self.from_tags is None else [self.from_tags]
        return own + [
            p for p in self.data if is_mirdata(p) or (p.is_dir() and not is_log_mel_archive(p))
        ]


def load_examples(
    sources: Sources,
    work: Path,
    *,
    artists: bool = False,
    reporter: Reporter = SILENT,
) -> list[Example]:
    """Return all labelled tracks of all sources.

    Parameters
    ----------
    work : Path
        Folder for the spectrograms, where there is no cache.
    artists : bool
        The first set has to say who plays, which is checked before any of it is decoded.

    Raises
    ------
    ConfigurationError, DataError
    """
    if not sources.data and sources.from_tags is None:
        raise ConfigurationError(
            "there is nothing to learn from", hint="give --data or --from-tags"
        )
    if sources.cache and len(sources.folders_of_sound) > 1:
        raise ConfigurationError("--cache keeps one folder of sound, and here are more")

    def decode(files: list[SoundFile], folder: Path) -> list[Example]:
        store = sources.cache or work / f"{HEARD}{sources.folders_of_sound.index(folder)}"
        name = as_text(folder.resolve().name) or "library"
        return without_duplicates(prepare(files, store, source=name, reporter=reporter), reporter)

    given = [p.resolve() for p in (*sources.data, sources.from_tags) if p is not None]
    if len(set(given)) < len(given):
        twice = next(p for p in given if given.count(p) > 1)
        raise ConfigurationError("is given twice: it would be measured on itself", path=twice)
    examples: list[Example] = []
    if sources.from_tags is not None:
        library = sources.from_tags
        files = read_own_library(
            library,
            min_tracks=sources.min_tracks,
            spelling=sources.spelling,
            heard_by_gtag=sources.heard_by_gtag,
            reporter=reporter,
        )
        if len({genre for file in files for genre in (file.genre, *file.others)}) < 2:
            raise DataError(
                f"fewer than two genres have {sources.min_tracks} tracks: nothing to tell apart",
                path=library,
                hint="genres are taken from the tags; --min-tracks asks for fewer",
            )
        examples = decode(files, library)
    for source in sources.data:
        if source.is_file():
            more = read_feature_table(source)
        elif is_log_mel_archive(source):
            more = read_log_mel_archive(source)
        else:
            files = (
                read_mirdata(source)
                if is_mirdata(source)
                else with_artists(read_genre_folders(source))
            )
            if artists and not examples and len({f.artist for f in files} - {None}) < 2:
                raise DataError(NO_ARTISTS, path=source)
            more = decode(files, source)
        for genre in sorted({example.genre for example in more}):
            if why := why_no_label(genre):
                raise DataError(f"has the genre {genre[:40]!r}, and no label: {why}", path=source)
        examples += _told_apart(more, {e.source for e in examples})
    return examples


def _told_apart(examples: list[Example], taken: set[str]) -> list[Example]:
    """Return the same examples, their set renamed if another one has its name."""
    source = examples[0].source
    if source not in taken:
        return examples
    name = next(n for i in range(2, len(taken) + 3) if (n := f"{source}-{i}") not in taken)
    return [
        replace(e, source=name, artist=e.artist and name + e.artist.removeprefix(source))
        for e in examples
    ]


def with_artists(files: Sequence[SoundFile]) -> list[SoundFile]:
    """Add who plays, by the tags; else a folder within the genre's folder stands for an artist."""
    return [replace(file, artist=_artist(file)) for file in files]


def _artist(file: SoundFile) -> str | None:
    artist = None
    with contextlib.suppress(GtagError):  # decoding will say what is wrong with it
        format = identify(file.path)
        artist = None if format is None else artist_of(file.path, format)
    folder = os.path.dirname(file.track)  # noqa: PTH120 - the name may be bytes in disguise
    return artist or (f"folder {folder}" if os.sep in folder else None)
