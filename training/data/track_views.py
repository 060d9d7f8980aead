"""The inputs of multi-label models for each track of some sets: what networks say, statistics.

Computed from sound where there is some, as in a scan. Where there is none, what a scan computed is
taken from the set's `views.npz`. Where there is only a spectrogram, what networks say is estimated:
musicnn is given patches that are interpolated from the spectrogram, and ridge regression, fitted to
tracks of which both are known, makes of its output what the sound would give (R² 0.74 for musicnn's
own embedding, on tracks left out).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from itertools import compress
from pathlib import Path

import numpy as np

from tagger.models.embeddings import embedding_spread, mean_embedding, mean_logits, mean_scores
from tagger.models.not_music import doubted, music_score
from tagger.models.track_features import TrackFeatures
from tagger.pipeline.workers import Lost, map_in_workers
from tagger.sound.audio import read_excerpts
from tagger.sound.patches import (
    COMPRESSION,
    PATCH_FRAMES,
    PATCH_HOP,
    PATCH_MELS,
    PATCH_RATE,
    WHOLE_PATCHES,
)
from tagger.sound.spectrogram import COLUMN_S, LogMel, mel_frequencies
from tagger.storage.durable_io import take_name
from tagger.system.errors import DataError, GtagError
from tagger.training.data.datasets import (
    as_in_card,
    as_text,
    musicnn,
    read_arrays,
    read_tracks,
    to_decibels,
    yamnet,
)
from tagger.training.data.fingerprints import N_BYTES, fingerprint
from tagger.training.data.partial_labels import Known, known_genres
from tagger.training.reporter import SILENT, Reporter

RIDGE = 30.0
DEADLINE_S = 120.0
# Ratio of a band's power in both front ends, for noise: windows of 512 and of 2,048 samples,
# filters whose bins are 31 and 11 Hz apart.
POWER_RATIO = 0.0862
# Mean power of a frame, all bands together, of music at the level that patches are brought to.
LEVEL_DB = 30.0


# What networks say: estimated where there is only a spectrogram.
_SAID = ("embedding", "spread", "yamnet", "yamnet_logits")
# The names in `views.npz`.
_IN_FILE = {
    "embedding": "musicnn",
    "spread": "musicnn_spread",
    "yamnet": "yamnet",
    "yamnet_logits": "yamnet_logits",
    "music": "yamnet_scores",
    "narrow": "narrow_statistics",
    "highest_hz": "highest_hz",
}


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
    views : dict of str to np.ndarray
        As in `Tracks`, from the set's `views.npz`; empty where it has none of the track.
    """

    track: str
    source: str
    artist: str
    known: Known
    kind: str = ""
    sound: str = ""
    mel: np.ndarray | None = field(default=None, repr=False)
    ref_db: float = float("nan")
    views: dict[str, np.ndarray] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Tracks:
    """All tracks with their views, row by row; NaN where one is not known.

    Attributes
    ----------
    estimated : np.ndarray [shape=(n,), dtype=bool]
        Where what networks say is estimated: learned from, never measured on.
    embedding, spread : np.ndarray [shape=(n, n_dimensions)]
        Mean and standard deviation of musicnn's embedding over a track's patches.
    yamnet, yamnet_logits : np.ndarray [shape=(n, 1024)], [shape=(n, 521)]
        Means over YAMNet's patches.
    music : np.ndarray [shape=(n,)]
        As `not_music.music_score` of YAMNet's mean scores.
    estimate : np.ndarray [shape=(n, n_dimensions)]
        What musicnn says of patches interpolated from the spectrogram.
    narrow : np.ndarray [shape=(n, n_statistics)]
    highest_hz, liveliness : np.ndarray [shape=(n,)]
    fingerprint : np.ndarray [shape=(n, N_BYTES), dtype=uint8]
        Zeros where there is neither sound nor spectrogram.
    """

    items: tuple[Item, ...]
    estimated: np.ndarray
    embedding: np.ndarray
    spread: np.ndarray
    yamnet: np.ndarray
    yamnet_logits: np.ndarray
    music: np.ndarray
    estimate: np.ndarray
    narrow: np.ndarray
    highest_hz: np.ndarray
    liveliness: np.ndarray
    fingerprint: np.ndarray

    @property
    def doubted(self) -> np.ndarray:
        """Which a scan would not take for music [shape=(n,), dtype=bool]."""
        return doubted(self.highest_hz, self.liveliness, self.music)

    def only(self, chosen: np.ndarray) -> Tracks:
        """Return some of the tracks, by a mask [shape=(n,), dtype=bool]."""
        arrays = {k: v[chosen] for k, v in vars(self).items() if k != "items"}
        return Tracks(tuple(compress(self.items, chosen)), **arrays)


VIEWS = tuple(field.name for field in fields(Tracks) if field.name not in ("items", "estimated"))


def read_items(folder: Path) -> list[Item]:
    """Return the tracks of a set: `tracks.csv`, and sound below `audio/`, `views.npz` or
    `logmel.npz`.

    Raises
    ------
    DataError
    """
    source = as_text(folder.resolve().name)
    sounds = {f.stem: str(f) for f in sorted((folder / "audio").rglob("*")) if f.is_file()}
    mels = _mels(folder / "logmel.npz")
    views = _views_of(folder / "views.npz")
    items = []
    for row in read_tracks(folder, ("track",)):
        track = row["track"]
        mel, ref_db = mels.get(track, (None, float("nan")))
        if track not in sounds and track not in views and mel is None:
            continue
        own = f"{source}:{row.get('artist_group') or track}"
        items.append(
            Item(
                track=track,
                source=source,
                # A key is the same in all sets.
                artist=f"artist:{row['artist_key']}" if row.get("artist_key") else own,
                known=known_genres(row),
                kind=row.get("kind") or "",
                sound=sounds.get(track, ""),
                mel=mel,
                ref_db=ref_db,
                views=views.get(track, {}),
            )
        )
    if not items:
        raise DataError("has no track with a spectrogram, sound or views", path=folder)
    return items


def _views_of(file: Path) -> dict[str, dict[str, np.ndarray]]:
    """Return what a scan computed of each track; empty where there is no such file."""
    if not file.is_file():
        return {}
    names, *columns = read_arrays(file, ("names", *_IN_FILE.values()))
    if any(len(column) != len(names) for column in columns):
        raise DataError("its parts do not fit together", path=file)
    arrays = dict(zip(_IN_FILE, columns, strict=True))
    arrays["music"] = music_score(arrays["music"])
    rows = zip(*(column.astype(np.float64) for column in arrays.values()), strict=True)
    return {
        str(track): dict(zip(_IN_FILE, row, strict=True))
        for track, row in zip(names, rows, strict=True)
    }


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
    views: list[dict[str, np.ndarray]] = []
    for folder in folders:
        of_set = read_items(folder)
        file = work / f"views-{of_set[0].source}.npz"
        seen = _kept(file)
        if seen.keys() != {item.track for item in of_set}:
            seen = {}
            results = map_in_workers(view, of_set, jobs=jobs, deadline_s=DEADLINE_S)
            for item, result in reporter.bar(
                results, desc="listening", unit="tracks", total=len(of_set)
            ):
                if isinstance(result, dict):
                    seen[item.track] = result
                else:
                    reason = result.reason if isinstance(result, Lost) else result
                    reporter.leave_out(item.track, reason)
            _keep(file, seen)
        items += [item for item in of_set if item.track in seen]
        views += [seen[item.track] for item in of_set if item.track in seen]
    columns = {name: np.stack([v[name] for v in views]) for name in VIEWS}
    estimates = columns["estimate"]
    unknown = np.isnan(columns["embedding"]).any(axis=1)
    for name in _SAID:
        columns[name][unknown] = _estimated(estimates, columns[name], unknown)
    return Tracks(tuple(items), unknown, **columns)


def view(item: Item) -> dict[str, np.ndarray] | str:
    """Return the views of a track, or why there are none; runs in the workers."""
    known: dict[str, np.ndarray] = {
        "embedding": np.full(musicnn().n_dimensions, np.nan),
        "spread": np.full(musicnn().n_dimensions, np.nan),
        "yamnet": np.full(yamnet().n_dimensions, np.nan),
        "yamnet_logits": np.full(len(yamnet().card.labels), np.nan),
        "estimate": np.full(musicnn().n_dimensions, np.nan),
        "music": np.array(np.nan),
        "liveliness": np.array(np.nan),
        "fingerprint": np.zeros(N_BYTES, np.uint8),
    }
    try:
        if item.sound:
            features = TrackFeatures.from_sound(read_excerpts(item.sound))
            known |= _computed(features) | {
                "embedding": mean_embedding(musicnn(), features),
                "spread": embedding_spread(musicnn(), features),
                "yamnet": mean_embedding(yamnet(), features),
                "yamnet_logits": mean_logits(yamnet(), features),
                "music": music_score(mean_scores(yamnet(), features)),
            }
        elif item.mel is not None:
            mel = LogMel((to_decibels(item.mel),), (0.0,), item.ref_db)
            known |= _computed(TrackFeatures.from_log_mel(mel)) | item.views
        else:
            known |= item.views
        if item.mel is not None:
            known["estimate"] = estimated_by_network(item.mel)
    except GtagError as error:
        return error.message
    return known


def _computed(features: TrackFeatures) -> dict[str, np.ndarray]:
    """Return the views that are computed from the spectrogram."""
    return {
        "narrow": features.narrow_statistics.astype(np.float64),
        "highest_hz": np.array(features.highest_hz),
        "liveliness": np.array(features.liveliness),
        "fingerprint": fingerprint(features.log_mel.excerpts),
    }


def estimated_by_network(mel: np.ndarray) -> np.ndarray:
    """Return what musicnn says of patches that are interpolated from an archive's spectrogram."""
    db = to_decibels(mel)
    db = db + (LEVEL_DB - 10 * np.log10((10 ** (db / 10)).sum(axis=0).mean()))
    frames = interpolated_frames(db)
    if len(frames) < PATCH_FRAMES:
        frames = np.resize(frames, (PATCH_FRAMES, PATCH_MELS))
    n = max(1, min(WHOLE_PATCHES, len(frames) // PATCH_FRAMES))
    starts = np.linspace(0, len(frames) - PATCH_FRAMES, n).astype(int)
    cut = np.stack([frames[start : start + PATCH_FRAMES] for start in starts])
    return musicnn().outputs(cut)["embedding"].mean(axis=0)


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


def _estimated(estimates: np.ndarray, said: np.ndarray, unknown: np.ndarray) -> np.ndarray:
    """Return what a network says, for the tracks of which it is not known."""
    if not unknown.any():
        return np.empty((0, said.shape[1]))
    from sklearn.linear_model import Ridge

    pairs = ~unknown & ~np.isnan(estimates).any(axis=1)
    if pairs.sum() < 2:
        raise DataError("no track has both a spectrogram and sound or views to estimate others by")
    mean, scale = estimates[pairs].mean(axis=0), estimates[pairs].std(axis=0) + 1e-6
    ridge = Ridge(alpha=RIDGE).fit((estimates[pairs] - mean) / scale, said[pairs])
    return np.asarray(ridge.predict((estimates[unknown] - mean) / scale))


def _keep(file: Path, seen: dict[str, dict[str, np.ndarray]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    arrays = {name: np.stack([v[name] for v in seen.values()]) for name in VIEWS}
    fresh = file.with_suffix(".fresh.npz")
    np.savez(fresh, tracks=np.array([as_in_card(t) for t in seen]), **arrays)  # type: ignore[arg-type]
    take_name(fresh, file)


def _kept(file: Path) -> dict[str, dict[str, np.ndarray]]:
    try:
        tracks, *arrays = read_arrays(file, ("tracks", *VIEWS))
    except DataError:
        return {}
    rows = zip(*arrays, strict=True)
    return {str(t): dict(zip(VIEWS, r, strict=True)) for t, r in zip(tracks, rows, strict=True)}
