"""Data sets: where labelled tracks come from, in one shape for every recipe.

A log-mel archive is a folder with `tracks.csv` (one row a track: `track`, `genre`, perhaps
`artist_group`, `fault_filtered_split`, `artist_fold`) and `logmel.npz` (`names`, `idx` uint8
[track, band, column], perhaps `n_frames`, and `excerpt_columns` where a track's excerpts stand one
after the other).
"""

from __future__ import annotations

import csv
import os
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from zipfile import BadZipFile

import numpy as np

from tagger.genres.vocabulary import canonical
from tagger.library.walk import Library
from tagger.models import zoo
from tagger.models.track_features import TrackFeatures
from tagger.sound.spectrogram import N_MELS, TOP_DB, LogMel
from tagger.system.errors import DataError

if TYPE_CHECKING:
    from tagger.models.head import EmbeddingInputs
    from tagger.models.networks import Backbone

View = TypeVar("View")

NO_ARTISTS = (
    "the protocol artist needs the artist of each track: artist_fold or artist_group in "
    "tracks.csv, or artist tags"
)

# The pretrained network of heads, and the second one, of the bundled models.
BACKBONE_TAG, YAMNET_TAG = "musicnn-1", "yamnet-1"
EMBEDDING = f"mean {BACKBONE_TAG}"
# What an archive may keep of each track, in which file, and its name among a track's features.
KEPT_FILE = "views.npz"
KEPT = {
    "musicnn": EMBEDDING,
    "musicnn_spread": f"spread {BACKBONE_TAG}",
    "yamnet": f"mean {YAMNET_TAG}",
    "yamnet_logits": f"logits {YAMNET_TAG}",
    "yamnet_scores": f"scores {YAMNET_TAG}",
    "narrow_statistics": "narrow_statistics",
}

# What numpy raises of damaged .npz files.
NPZ_ERRORS = (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error)


@dataclass(frozen=True)
class Features:
    """Descriptors of one track that a table brought along: names, and values [shape=(n,)]."""

    names: tuple[str, ...]
    values: np.ndarray


@dataclass(frozen=True)
class Example:
    """One labelled track.

    Attributes
    ----------
    track : str
        Its id, unique within its set.
    genre : str
        Its label; canonical where it is one of ours.
    others : tuple of str
        Further genres that it has, for a model of independent labels.
    source : str
        The set it comes from.
    recording : str
        Where it is one of a recording's segments, that recording's id within its set.
    artist : str or None
        Group of tracks that must not be split, unique over all sets; None where unknown.
    split, fold : str
        The set's own fault-filtered part and artist fold; empty where it has none.
    mel : np.ndarray [shape=(N_MELS, n_columns), dtype=uint8] or None
        Log-mel spectrogram, 0 for `TOP_DB` below the track's maximum, 255 for the maximum.
    excerpt_columns : tuple of int
        How many of the columns each excerpt has, one after the other; empty: it is one piece.
    features : Features or None
        From a table, where the set is one.
    kept : dict of str to np.ndarray
        What a scan computed of its sound, by the names of `TrackFeatures.kept`.
    """

    track: str
    genre: str
    source: str
    artist: str | None = None
    recording: str = ""
    split: str = ""
    fold: str = ""
    mel: np.ndarray | None = field(default=None, repr=False, compare=False)
    excerpt_columns: tuple[int, ...] = ()
    features: Features | None = field(default=None, repr=False, compare=False)
    kept: dict[str, np.ndarray] = field(default_factory=dict, repr=False, compare=False)
    others: tuple[str, ...] = ()
    _views: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def spectrogram(self) -> np.ndarray:
        """Return `mel`, where it is required.

        Raises
        ------
        DataError
            Where there is none.
        """
        if self.mel is None:
            raise DataError(
                f"track {self.track} of {self.source} has no spectrogram",
                hint="this needs log-mel archives or folders of sound, no table of features",
            )
        return self.mel

    def log_mel(self) -> LogMel:
        db = to_decibels(self.spectrogram())
        excerpts = np.split(db, np.cumsum(self.excerpt_columns)[:-1], axis=1)
        starts_s = (0.0,) * len(excerpts)
        return LogMel(excerpts=tuple(excerpts), starts_s=starts_s, ref_db=float("nan"))

    def track_features(self) -> TrackFeatures:
        """Return the input of a model: the spectrogram, and what is known of the sound."""
        features = TrackFeatures.from_log_mel(self.log_mel())
        features.take(self.kept)
        return features

    def looked_at(self, look: EmbeddingInputs) -> np.ndarray:
        """Return what networks say, and statistics, as inputs of a model.

        Raises
        ------
        DataError
            Where an archive does not keep what networks said, and the sound is not there.
        """
        try:
            return look(self.track_features())
        except DataError as error:
            raise DataError(
                f"there is no embedding of {self.track} of {self.source}",
                hint="give folders of sound, or archives with views.npz",
            ) from error

    def view(self, name: str, compute: Callable[[Example], View]) -> View:
        """Return what a recipe computes from this track, once."""
        if name not in self._views:
            self._views[name] = compute(self)
        kept: View = self._views[name]
        return kept


@cache
def musicnn() -> Backbone:
    """Return the pretrained network of heads, loaded once a process."""
    from tagger.models.networks import Backbone

    return Backbone(zoo.find("musicnn"))


@cache
def yamnet() -> Backbone:
    """Return the second pretrained network, loaded once a process."""
    from tagger.models.networks import Backbone

    return Backbone(zoo.find("yamnet"))


def to_decibels(mel: np.ndarray) -> np.ndarray:
    """Decibels relative to the track's maximum, from an archive's bytes."""
    return mel.astype(np.float32) * np.float32(TOP_DB / 255) - np.float32(TOP_DB)


def read_rows(file: Path, columns: Sequence[str], hint: str) -> list[dict[str, str]]:
    """Return the rows of a CSV file, each with at least these columns.

    Raises
    ------
    DataError
        Where it cannot be read, or has no such rows.
    """
    try:
        with file.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as lines:
            rows = list(csv.DictReader(lines))
    except (OSError, csv.Error) as error:
        raise DataError(f"cannot be read: {error}", path=file, hint=hint) from error
    if not rows or not set(columns) <= rows[0].keys():
        named = " and ".join(columns)
        raise DataError(f"has no rows with the columns {named}", path=file, hint=hint)
    return rows


def read_tracks(folder: Path, columns: Sequence[str] = ("track", "genre")) -> list[dict[str, str]]:
    """Return the rows of a folder's `tracks.csv`; errors as `read_rows`."""
    hint = "a data folder holds tracks.csv and logmel.npz"
    return read_rows(folder / "tracks.csv", columns, hint)


def read_arrays(file: Path, names: Sequence[str], optional: Sequence[str] = ()) -> tuple[Any, ...]:
    """Arrays of an `.npz` file; None for optional ones that it lacks.

    Raises
    ------
    DataError
        Where it is missing or damaged.
    """
    try:
        with np.load(file, allow_pickle=False) as kept:
            there = [name for name in optional if name in kept.files]
            arrays = {name: kept[name] for name in (*names, *there)}
    except NPZ_ERRORS as error:
        raise DataError(f"cannot be read: {error}", path=file) from error
    return tuple(arrays.get(name) for name in (*names, *optional))


def groups_of(row: Mapping[str, str], source: str) -> dict[str, Any]:
    """Return what a row of `tracks.csv` says of artist, split and fold, as fields of `Example`."""
    artist = row.get("artist_group")
    return {
        "artist": f"{source}:{artist}" if artist else None,
        "split": row.get("fault_filtered_split") or "",
        "fold": row.get("artist_fold") or "",
    }


def as_text(name: str) -> str:
    """Return a name as cards and tags can hold it: what is no text becomes a question mark."""
    return name.encode("utf-8", "replace").decode()


def genre_of(name: str) -> str:
    """Return a genre as it is learned: canonical where gtag knows it, else as it is written."""
    return canonical(name) or as_text(name)


def as_in_card(track: str) -> str:
    """Return a track's id as a card holds it: bytes of a name that are no text, as escapes."""
    return track.encode("utf-8", "backslashreplace").decode()


def is_log_mel_archive(folder: Path) -> bool:
    return (folder / "tracks.csv").is_file() and (folder / "logmel.npz").is_file()


def read_kept(folder: Path) -> dict[str, dict[str, np.ndarray]]:
    """Return what an archive keeps of each track, by the names of `TrackFeatures.kept`.

    Raises
    ------
    DataError
        Where the file is damaged.
    """
    file = folder / KEPT_FILE
    if not file.is_file():
        return {}
    tracks, *columns = read_arrays(file, ("names",), tuple(KEPT))
    known = {name: c for name, c in zip(KEPT.values(), columns, strict=True) if c is not None}
    if any(column.shape[:1] != tracks.shape for column in known.values()):
        raise DataError("holds no views: its parts do not fit together", path=file)
    return {
        str(track): {name: column[i].astype(np.float32) for name, column in known.items()}
        for i, track in enumerate(tracks)
    }


def read_log_mel_archive(folder: Path) -> list[Example]:
    """Return the labelled tracks of a log-mel archive, in the order of its `tracks.csv`.

    Tracks without a genre or without a spectrogram are left out.

    Raises
    ------
    DataError
        Where the archive is missing, damaged or of another front end.
    """
    rows = read_tracks(folder)
    file = folder / "logmel.npz"
    names, mels, n_frames, excerpts = read_arrays(
        file, ("names", "idx"), ("n_frames", "excerpt_columns")
    )
    if mels.ndim != 3 or mels.shape[1] != N_MELS or mels.dtype != np.uint8:
        raise DataError(
            f"holds {mels.dtype} of shape {mels.shape}, not uint8 [track, {N_MELS}, column]",
            path=file,
        )
    n = len(names)
    if (
        len(mels) != n
        or not mels.shape[2]
        or (n_frames is not None and (n_frames.shape != (n,) or n_frames.min(initial=1) < 1))
        or (excerpts is not None and (excerpts.ndim != 2 or len(excerpts) != n))
    ):
        raise DataError("is not a log-mel archive: its parts do not fit together", path=file)
    position = {str(name): i for i, name in enumerate(names)}
    kept = read_kept(folder)
    source = as_text(folder.resolve().name)
    examples = []
    for row in rows:
        i = position.get(row["track"])
        if i is None or not row["genre"]:
            continue
        width = mels.shape[2] if n_frames is None else min(int(n_frames[i]), mels.shape[2])
        columns = () if excerpts is None else tuple(int(n) for n in excerpts[i] if n > 0)
        examples.append(
            Example(
                track=row["track"],
                genre=genre_of(row["genre"]),
                source=source,
                mel=mels[i, :, :width],
                excerpt_columns=columns if sum(columns) == width else (),
                kept=kept.get(row["track"], {}),
                **groups_of(row, source),
            )
        )
    if not examples:
        raise DataError("has no track with both a genre and a spectrogram", path=folder)
    return examples


def labels_of(examples: Iterable[Example]) -> tuple[str, ...]:
    """Return the genres of a set of examples, sorted."""
    return tuple(sorted({example.genre for example in examples}))


def targets(examples: Sequence[Example], labels: Sequence[str]) -> np.ndarray:
    """Return the index of each example's genre among the labels [shape=(n_examples,)]."""
    index = {label: i for i, label in enumerate(labels)}
    return np.array([index[example.genre] for example in examples], dtype=np.int64)


@dataclass(frozen=True)
class SoundFile:
    """A labelled file of sound.

    Attributes
    ----------
    track : str
        Its path within the data folder.
    artist : str or None
        Who plays; None where unknown.
    others : tuple of str
        Further genres.
    """

    path: str
    track: str
    genre: str
    artist: str | None = None
    others: tuple[str, ...] = ()


def read_genre_folders(folder: Path) -> list[SoundFile]:
    """Return the tracks of a folder with a sub-folder per genre, in library order.

    Raises
    ------
    DataError
        Where it has no such sub-folders, or no tracks in them.
    """
    try:
        genres = sorted(entry for entry in folder.iterdir() if entry.is_dir())
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", path=folder) from error
    files = [
        SoundFile(
            path=track.path,
            track=os.path.relpath(track.path, folder),
            genre=genre_of(genre.name),
        )
        for genre in genres
        for track in Library([str(genre)])
    ]
    if not files:
        raise DataError(
            "is not a data set",
            path=folder,
            hint="give a folder with tracks.csv and logmel.npz, or with a sub-folder of music "
            "for each genre",
        )
    return files
