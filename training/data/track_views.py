"""What multi-label models see of each track of some sets: an embedding, statistics, movement.

From sound where there is some, as in a scan. Of what an archive keeps, the embedding is taken as
it is; where there is but a spectrogram, it is estimated: the network hears patches that are
interpolated from the spectrogram, and ridge regression, learned on tracks of which both are known,
makes its answer the one that it would give to the sound (R² 0.74 on tracks left out).
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np

from tagger.errors import DataError, GtagError
from tagger.models import zoo
from tagger.models.track_features import TrackFeatures
from tagger.sound.audio import read_excerpts
from tagger.sound.no_music import movement
from tagger.sound.patches import (
    COMPRESSION,
    PATCH_FRAMES,
    PATCH_HOP,
    PATCH_MELS,
    PATCH_RATE,
    WHOLE_PATCHES,
)
from tagger.sound.spectrogram import COLUMN_S, LogMel, mel_frequencies
from tagger.training.data.datasets import NPZ_ERRORS, as_in_card, as_text, to_decibels
from tagger.training.data.fingerprints import fingerprint
from tagger.training.data.partial_labels import Known, known_genres
from tagger.workers import Lost, map_in_workers

BACKBONE = "musicnn"
RIDGE = 30.0
DEADLINE_S = 120.0
# What a band of power says in the one front end and in the other, for noise: windows of 512 and of
# 2,048 samples, filters whose bins are 31 and 11 Hz apart.
POWER_RATIO = 0.0862
# Mean power of a frame, all bands together, of music at the level that patches are brought to.
LEVEL_DB = 30.0


@dataclass(frozen=True)
class Views:
    """What is seen of one track; NaN where it is not known.

    Attributes
    ----------
    embedding : np.ndarray [shape=(n_dimensions,)]
    estimate : np.ndarray [shape=(n_dimensions,)]
        What the network says of patches interpolated from the spectrogram.
    narrow : np.ndarray [shape=(n_statistics,)]
    movement : np.ndarray [shape=(3,)]
    fingerprint : np.ndarray [shape=(N_BYTES,), dtype=uint8]
    """

    embedding: np.ndarray
    estimate: np.ndarray
    narrow: np.ndarray
    movement: np.ndarray
    fingerprint: np.ndarray


@dataclass(frozen=True)
class Item:
    """A track to look at.

    Attributes
    ----------
    track, source : str
    artist : str
        Tracks of one artist must not be split.
    known : Known
    kind : str
        Empty for music, else what it is: ``noise`` or ``voice``.
    sound : str
        Path of its sound; empty where there is none.
    mel : np.ndarray or None
        From an archive, as `Example.mel`.
    ref_db : float
        The spectrogram's maximum in absolute decibels.
    embedding : np.ndarray or None
        That the archive keeps.
    """

    track: str
    source: str
    artist: str
    known: Known
    kind: str = ""
    sound: str = ""
    mel: np.ndarray | None = field(default=None, repr=False)
    ref_db: float = float("nan")
    embedding: np.ndarray | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Tracks:
    """All tracks with what is seen of them, row by row.

    Attributes
    ----------
    items : tuple of Item
    embedding : np.ndarray [shape=(n, n_dimensions)]
    estimated : np.ndarray [shape=(n,), dtype=bool]
        Where the embedding is estimated: learned from, never measured on.
    narrow : np.ndarray [shape=(n, n_statistics)]
    movement : np.ndarray [shape=(n, 3)]
    fingerprint : np.ndarray [shape=(n, N_BYTES), dtype=uint8]
    """

    items: tuple[Item, ...]
    embedding: np.ndarray
    estimated: np.ndarray
    narrow: np.ndarray
    movement: np.ndarray
    fingerprint: np.ndarray

    def only(self, chosen: np.ndarray) -> Tracks:
        """Some of the tracks, by a mask [shape=(n,), dtype=bool]."""
        return Tracks(
            tuple(item for item, kept in zip(self.items, chosen, strict=True) if kept),
            self.embedding[chosen],
            self.estimated[chosen],
            self.narrow[chosen],
            self.movement[chosen],
            self.fingerprint[chosen],
        )


def read_items(folder: Path) -> list[Item]:
    """The tracks of a set: `tracks.csv`, and `logmel.npz`, sound below `audio/`, or both.

    Raises
    ------
    DataError
    """
    source = as_text(folder.resolve().name)
    try:
        with (folder / "tracks.csv").open(newline="", encoding="utf-8") as lines:
            rows = list(csv.DictReader(lines))
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"cannot be read: {error}", path=folder / "tracks.csv") from error
    sounds = {f.stem: str(f) for f in sorted((folder / "audio").rglob("*")) if f.is_file()}
    mels = _arrays(folder / "logmel.npz", ("idx", "n_frames", "ref_db"))
    embeddings = _arrays(folder / "musicnn.npz", ("penultimate",))
    items = []
    for row in rows:
        track = row["track"]
        mel = mels.get(track)
        kept = embeddings.get(track)
        if track not in sounds and mel is None:
            continue
        items.append(
            Item(
                track=track,
                source=source,
                artist=f"{source}:{row.get('artist_group') or track}",
                known=known_genres(row),
                kind=row.get("kind") or "",
                sound=sounds.get(track, ""),
                mel=None if mel is None else mel["idx"][:, : int(mel["n_frames"])],
                ref_db=float("nan") if mel is None else float(mel["ref_db"]),
                embedding=None if kept is None else kept["penultimate"].astype(np.float64),
            )
        )
    if not items:
        raise DataError("has no track with a spectrogram or sound", path=folder)
    return items


def _arrays(file: Path, names: Sequence[str]) -> dict[str, dict[str, np.ndarray]]:
    """Rows of an archive by the tracks' names; nothing where there is no such file."""
    if not file.is_file():
        return {}
    try:
        with np.load(file, allow_pickle=False) as kept:
            tracks, arrays = kept["names"], {name: kept[name] for name in names}
    except NPZ_ERRORS as error:
        raise DataError(f"cannot be read: {error}", path=file) from error
    return {
        str(track): {name: rows[i] for name, rows in arrays.items()}
        for i, track in enumerate(tracks)
    }


def look_at(
    folders: Sequence[Path],
    work: Path,
    *,
    jobs: int,
    step: Callable[[int, int], object] = lambda done, n: None,
    left_out: Callable[[str, str], None] = lambda track, reason: None,
) -> Tracks:
    """See every track of some sets; what is seen of a set is kept in `work`, and not seen again.

    Parameters
    ----------
    step : callable
        Told how many of how many tracks of a set are done.
    left_out : callable
        Told of each track that cannot be heard, and why.
    """
    items: list[Item] = []
    views: list[Views] = []
    for folder in folders:
        of_set = read_items(folder)
        file = work / f"views-{of_set[0].source}.npz"
        seen = _kept(file)
        if seen.keys() != {item.track for item in of_set}:
            seen = {}
            for item, result in map_in_workers(view, of_set, jobs=jobs, deadline_s=DEADLINE_S):
                if isinstance(result, Views):
                    seen[item.track] = result
                else:
                    reason = result.reason if isinstance(result, Lost) else result
                    left_out(item.track, reason)
                step(len(seen), len(of_set))
            _keep(file, seen)
        items += [item for item in of_set if item.track in seen]
        views += [seen[item.track] for item in of_set if item.track in seen]
    embedding = np.stack([v.embedding for v in views])
    unknown = np.isnan(embedding).any(axis=1)
    embedding[unknown] = _estimated(np.stack([v.estimate for v in views]), embedding, unknown)
    return Tracks(
        tuple(items),
        embedding,
        unknown,
        np.stack([v.narrow for v in views]).astype(np.float64),
        np.stack([v.movement for v in views]),
        np.stack([v.fingerprint for v in views]),
    )


def view(item: Item) -> Views | str:
    """What is seen of a track, or why nothing is; runs in the workers."""
    backbone = _backbone()
    nothing = np.full(backbone.n_dimensions, np.nan)
    try:
        if item.sound:
            features = TrackFeatures.from_sound(read_excerpts(item.sound))
            embedding, estimate = backbone.embed(features).mean(axis=0), nothing
            if item.mel is not None:
                estimate = estimated_by_network(item)
        else:
            assert item.mel is not None
            features = TrackFeatures.from_log_mel(
                LogMel((to_decibels(item.mel),), (0.0,), item.ref_db)
            )
            embedding = nothing if item.embedding is None else item.embedding
            estimate = estimated_by_network(item, as_it_is=item.embedding is not None)
        mel = features.log_mel
        moves, mark = movement(mel), fingerprint(mel.excerpts)
        return Views(embedding, estimate, features.narrow_statistics, moves, mark)
    except GtagError as error:
        return error.message


def estimated_by_network(item: Item, *, as_it_is: bool = False) -> np.ndarray:
    """What the network says of patches that are interpolated from a spectrogram.

    Parameters
    ----------
    as_it_is : bool
        At the track's own level, where the embedding that is known is of that.
    """
    assert item.mel is not None
    db = to_decibels(item.mel)
    if as_it_is:
        db = db + item.ref_db
    else:
        db = db + (LEVEL_DB - 10 * np.log10((10 ** (db / 10)).sum(axis=0).mean()))
    frames = interpolated_frames(db)
    if len(frames) < PATCH_FRAMES:
        frames = np.resize(frames, (PATCH_FRAMES, PATCH_MELS))
    n = max(1, min(WHOLE_PATCHES, len(frames) // PATCH_FRAMES))
    starts = np.linspace(0, len(frames) - PATCH_FRAMES, n).astype(int)
    cut = np.stack([frames[start : start + PATCH_FRAMES] for start in starts])
    return _backbone().outputs(cut)["embedding"].mean(axis=0)


def interpolated_frames(db: np.ndarray) -> np.ndarray:
    """Frames of the one front end from a spectrogram of the other.

    Parameters
    ----------
    db : np.ndarray [shape=(N_MELS, n_columns)] absolute decibels

    Returns
    -------
    np.ndarray [shape=(n_frames, PATCH_MELS), dtype=float32]
    """
    from scipy.ndimage import map_coordinates

    columns = np.arange(0, (db.shape[1] - 1) * COLUMN_S, PATCH_HOP / PATCH_RATE) / COLUMN_S
    wanted = mel_frequencies(PATCH_MELS, PATCH_RATE)
    bands = np.interp(wanted, mel_frequencies(), np.arange(len(db)))
    places = np.meshgrid(bands, columns, indexing="ij")
    fine = map_coordinates(db.astype(np.float64), places, order=1, mode="nearest")
    return np.log10(COMPRESSION * POWER_RATIO * 10 ** (fine / 10) + 1).T.astype(np.float32)


def _estimated(estimates: np.ndarray, embedding: np.ndarray, unknown: np.ndarray) -> np.ndarray:
    """Embeddings for the tracks of which none is known."""
    if not unknown.any():
        return np.empty((0, embedding.shape[1]))
    from sklearn.linear_model import Ridge

    pairs = ~unknown & ~np.isnan(estimates).any(axis=1)
    if pairs.sum() < 2:
        raise DataError("no track has both a spectrogram and an embedding to estimate others by")
    mean, scale = estimates[pairs].mean(axis=0), estimates[pairs].std(axis=0) + 1e-6
    ridge = Ridge(alpha=RIDGE).fit((estimates[pairs] - mean) / scale, embedding[pairs])
    return np.asarray(ridge.predict((estimates[unknown] - mean) / scale))


@cache
def _backbone():  # type: ignore[no-untyped-def]
    return zoo.load_backbone(BACKBONE)


_FIELDS = ("embedding", "estimate", "narrow", "movement", "fingerprint")


def _keep(file: Path, seen: dict[str, Views]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    arrays = {name: np.stack([getattr(v, name) for v in seen.values()]) for name in _FIELDS}
    fresh = file.with_suffix(".fresh.npz")
    np.savez(fresh, tracks=np.array([as_in_card(t) for t in seen]), **arrays)  # type: ignore[arg-type]
    fresh.replace(file)


def _kept(file: Path) -> dict[str, Views]:
    try:
        with np.load(file, allow_pickle=False) as kept:
            tracks, arrays = kept["tracks"], [kept[name] for name in _FIELDS]
    except NPZ_ERRORS:
        return {}
    return {str(t): Views(*(a[i] for a in arrays)) for i, t in enumerate(tracks)}
