"""The inputs of multi-label models for each track of some sets: embedding, statistics, movement.

Computed from sound where there is some, as in a scan. An embedding that an archive keeps is taken
as it is; where there is only a spectrogram, it is estimated: the network is given patches that are
interpolated from the spectrogram, and ridge regression, fitted to tracks of which both are known,
corrects its output to what the sound would give (R² 0.74 on tracks left out).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from itertools import compress
from pathlib import Path

import numpy as np

from tagger.errors import DataError, GtagError
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
from tagger.training.data.datasets import (
    as_in_card,
    as_text,
    backbone,
    read_arrays,
    read_embeddings,
    read_tracks,
    to_decibels,
)
from tagger.training.data.fingerprints import fingerprint
from tagger.training.data.partial_labels import Known, known_genres
from tagger.training.reporter import SILENT, Reporter
from tagger.workers import Lost, map_in_workers

RIDGE = 30.0
DEADLINE_S = 120.0
# Ratio of a band's power in both front ends, for noise: windows of 512 and of 2,048 samples,
# filters whose bins are 31 and 11 Hz apart.
POWER_RATIO = 0.0862
# Mean power of a frame, all bands together, of music at the level that patches are brought to.
LEVEL_DB = 30.0


@dataclass(frozen=True)
class Views:
    """The inputs from one track; NaN where they are not known.

    Attributes
    ----------
    embedding : np.ndarray [shape=(n_dimensions,)]
    estimate : np.ndarray [shape=(n_dimensions,)]
        The network's output for patches interpolated from the spectrogram.
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
    """A track to compute views of.

    Attributes
    ----------
    artist : str
        Tracks of one artist must not be split.
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
    """All tracks with their views, row by row.

    Attributes
    ----------
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
        arrays = {k: v[chosen] for k, v in vars(self).items() if k != "items"}
        return Tracks(tuple(compress(self.items, chosen)), **arrays)


def read_items(folder: Path) -> list[Item]:
    """The tracks of a set: `tracks.csv`, and `logmel.npz`, sound below `audio/`, or both.

    Raises
    ------
    DataError
    """
    source = as_text(folder.resolve().name)
    sounds = {f.stem: str(f) for f in sorted((folder / "audio").rglob("*")) if f.is_file()}
    mels = _mels(folder / "logmel.npz")
    embeddings = read_embeddings(folder)
    items = []
    for row in read_tracks(folder, ("track",)):
        track = row["track"]
        mel, ref_db = mels.get(track, (None, float("nan")))
        embedding = embeddings.get(track)
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
                mel=mel,
                ref_db=ref_db,
                embedding=None if embedding is None else embedding.astype(np.float64),
            )
        )
    if not items:
        raise DataError("has no track with a spectrogram or sound", path=folder)
    return items


def _mels(file: Path) -> dict[str, tuple[np.ndarray, float]]:
    """Spectrogram and its maximum in decibels, by track; empty where there is no such file."""
    if not file.is_file():
        return {}
    columns = read_arrays(file, ("names", "idx", "n_frames", "ref_db"))
    rows = zip(*columns, strict=True)
    return {str(track): (mel[:, : int(n)], float(ref_db)) for track, mel, n, ref_db in rows}


def compute_views(
    folders: Sequence[Path],
    work: Path,
    *,
    jobs: int,
    reporter: Reporter = SILENT,
) -> Tracks:
    """Compute the views of every track of some sets; those of a set are kept in `work`."""
    items: list[Item] = []
    views: list[Views] = []
    for folder in folders:
        of_set = read_items(folder)
        file = work / f"views-{of_set[0].source}.npz"
        seen = _kept(file)
        if seen.keys() != {item.track for item in of_set}:
            seen = {}
            results = map_in_workers(view, of_set, jobs=jobs, deadline_s=DEADLINE_S)
            for item, result in reporter.bar(
                results, desc="listening", unit="track", total=len(of_set)
            ):
                if isinstance(result, Views):
                    seen[item.track] = result
                else:
                    reason = result.reason if isinstance(result, Lost) else result
                    reporter.leave_out(item.track, reason)
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
    """The views of a track, or why there are none; runs in the workers."""
    nothing = np.full(backbone().n_dimensions, np.nan)
    try:
        if item.sound:
            features = TrackFeatures.from_sound(read_excerpts(item.sound))
            embedding, estimate = backbone().embed(features).mean(axis=0), nothing
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
    """The network's output for patches that are interpolated from a spectrogram.

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
    return backbone().outputs(cut)["embedding"].mean(axis=0)


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


_FIELDS = tuple(field.name for field in fields(Views))


def _keep(file: Path, seen: dict[str, Views]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    arrays = {name: np.stack([getattr(v, name) for v in seen.values()]) for name in _FIELDS}
    fresh = file.with_suffix(".fresh.npz")
    np.savez(fresh, tracks=np.array([as_in_card(t) for t in seen]), **arrays)  # type: ignore[arg-type]
    fresh.replace(file)


def _kept(file: Path) -> dict[str, Views]:
    try:
        tracks, *arrays = read_arrays(file, ("tracks", *_FIELDS))
    except DataError:
        return {}
    return {str(t): Views(*(a[i] for a in arrays)) for i, t in enumerate(tracks)}
