"""From files of sound to a log-mel archive: in parallel, resumable, each file decoded once.

The features of a file are written at once, as a part of their own; at the end the parts become an
archive that `data.datasets` reads like any other. A file is not decoded again while its size and
time of change stay.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tagger.models.embeddings import embedding_spread, mean_embedding
from tagger.models.track_features import TrackFeatures
from tagger.pipeline.workers import Lost, map_in_workers
from tagger.sound.audio import read_excerpts
from tagger.sound.patches import patch_front_end
from tagger.sound.spectrogram import N_MELS, TOP_DB, front_end
from tagger.storage.durable_io import take_name, write_whole
from tagger.system.errors import ConfigurationError, DataError, GtagError, NothingToHearError
from tagger.training.data.datasets import (
    BACKBONE_TAG,
    EMBEDDING,
    KEPT,
    KEPT_FILE,
    Example,
    SoundFile,
    is_log_mel_archive,
    musicnn,
    read_arrays,
    read_log_mel_archive,
    read_tracks,
    yamnet,
)
from tagger.training.reporter import SILENT, Reporter

DEADLINE_S = 60.0  # for one file
PARTS = "parts"
_OF_PARTS = re.compile(r"[0-9a-f]{32}\.npz(\.fresh)?|all\.npy")
_HALF_MADE = {PARTS, "logmel.npz", "logmel.npz.fresh", "tracks.csv.fresh", KEPT_FILE}
OURS = "heard_as"  # a column that only archives made here have: the state of the file


@dataclass(frozen=True)
class Silent:
    """The result for a file that is silent."""

    why: str


def prepare(
    files: Sequence[SoundFile],
    store: Path,
    *,
    source: str,
    reporter: Reporter = SILENT,
) -> list[Example]:
    """Decode all files, in one process a core, and keep their spectrograms and embeddings.

    Parameters
    ----------
    store : Path
        Folder of the archive. What it holds of these files is not computed again; what it holds
        of others is removed.
    source : str
        Name of the set.

    Returns
    -------
    list of Example
        In the order of `files`.

    Raises
    ------
    ConfigurationError
        Where `store` holds something else.
    DataError
        Where no file has sound that can be decoded.
    """
    from loky import cpu_count

    _check(store)
    parts = store / PARTS
    parts.mkdir(parents=True, exist_ok=True)
    known = _known(store)
    keys = {file.track: _key(file) for file in files}
    there = {key for key in keys.values() if key in known or _is_whole(_part(parts, key))}
    missing = [file for file in files if keys[file.track] not in there]
    done = len(files) - len(missing)
    with reporter.bar(total=len(files), initial=done, desc="listening", unit="tracks") as bar:
        for file, result in map_in_workers(
            extract, missing, jobs=cpu_count(), deadline_s=DEADLINE_S
        ):
            bar.update()
            if isinstance(result, Example):
                _keep(_part(parts, keys[file.track]), result)
                there.add(keys[file.track])
            elif isinstance(result, Silent):
                reporter.tell(f"left out: {file.track}: {result.why}")
            else:
                reporter.leave_out(
                    file.track, result.reason if isinstance(result, Lost) else result
                )
    files = [file for file in files if keys[file.track] in there]
    if not files:
        raise DataError("has no file with sound that could be decoded", path=source)
    table, listed = _table(files, keys), store / "tracks.csv"
    if any(parts.iterdir()) or not listed.is_file() or listed.read_bytes() != table:
        _pack(store, files, keys, known, table)
        known.clear()  # not in memory twice
        known = _known(store)
    shutil.rmtree(parts)
    return [
        replace(
            known[keys[file.track]],
            track=file.track,
            genre=file.genre,
            source=source,
            artist=f"{source}:{file.artist}" if file.artist else None,
            others=file.others,
        )
        for file in files
    ]


def extract(file: SoundFile) -> Example | Silent | str:
    """Return a file with its features, or why there are none; runs in the workers."""
    try:
        features = TrackFeatures.from_sound(read_excerpts(file.path))
        mel = features.log_mel
        mean_embedding(musicnn(), features)
        embedding_spread(musicnn(), features)
        mean_embedding(yamnet(), features)
        assert features.narrow_statistics.size
        known = features.kept()
    except NothingToHearError as error:
        return Silent(error.message)
    except GtagError as error:
        return error.message
    except Exception as error:  # of a decoder: the other files go on
        return f"{type(error).__name__}: {error}"
    db = np.concatenate(mel.excerpts, axis=1)
    return Example(
        file.track,
        file.genre,
        source="",
        mel=np.rint((db + TOP_DB) * (255 / TOP_DB)).astype(np.uint8),
        excerpt_columns=tuple(excerpt.shape[1] for excerpt in mel.excerpts),
        kept={name: known[name].astype(np.float32) for name in KEPT.values()},
    )


def _key(file: SoundFile) -> str:
    try:
        status = os.stat(file.path)  # noqa: PTH116 - the name may be bytes in disguise
        state = [status.st_size, status.st_mtime_ns]
    except OSError:
        state = []  # decoding it will say what is wrong
    # Without the first, which the tag stands for: archives of before stay good.
    kept = list(KEPT)[1:]
    text = json.dumps([file.track, state, front_end(), patch_front_end(), BACKBONE_TAG, *kept])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _check(store: Path) -> None:
    """Refuse a folder that is neither empty nor an archive made here, be it half made."""
    if not store.exists() or not any(store.iterdir()):
        return
    parts = store / PARTS
    half_made = parts.is_dir() and all(_OF_PARTS.fullmatch(p.name) for p in parts.iterdir())
    if is_log_mel_archive(store):
        ours = OURS in read_tracks(store)[0] and (half_made or not parts.exists())
    else:
        ours = half_made and {p.name for p in store.iterdir()} <= _HALF_MADE
    if not ours:
        raise ConfigurationError(
            "is not an archive made by gtag train",
            path=store,
            hint="choose a new folder for --cache",
        )


def _known(store: Path) -> dict[str, Example]:
    """Return what an archive made here holds, by the key of the file."""
    if not is_log_mel_archive(store):
        return {}
    try:
        examples = {e.track: e for e in read_log_mel_archive(store) if EMBEDDING in e.kept}
    except DataError:
        return {}  # damaged: decoded anew
    keys = {row["track"]: row.get(OURS) for row in read_tracks(store)}
    return {key: examples[track] for track, key in keys.items() if key and track in examples}


def _part(parts: Path, key: str) -> Path:
    return parts / f"{key}.npz"


def _keep(part: Path, features: Example) -> None:
    content = io.BytesIO()
    np.savez(
        content,
        mel=features.spectrogram(),
        excerpt_columns=features.excerpt_columns,
        **{column: features.kept[name] for column, name in KEPT.items()},  # type: ignore[arg-type]
    )
    write_whole(part, content.getvalue())


def _is_whole(part: Path) -> bool:
    """Tell whether it is there, and no power cut emptied it."""
    if not part.exists():
        return False
    try:
        return all(array.size for array in read_arrays(part, ("excerpt_columns", *KEPT)))
    except DataError:
        return False


def _read_part(part: Path, file: SoundFile) -> Example:
    mel, columns, *arrays = read_arrays(part, ("mel", "excerpt_columns", *KEPT))
    columns, kept = tuple(map(int, columns)), dict(zip(KEPT.values(), arrays, strict=True))
    return Example(file.track, file.genre, "", mel=mel, excerpt_columns=columns, kept=kept)


def _table(files: Sequence[SoundFile], keys: dict[str, str]) -> bytes:
    """Return the archive's `tracks.csv`."""
    table = io.StringIO(newline="")
    # A name may hold any kind of line break.
    writer = csv.writer(table, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerow(["track", "genre", "artist_group", OURS])
    writer.writerows([f.track, f.genre, f.artist or "", keys[f.track]] for f in files)
    return table.getvalue().encode("utf-8", "surrogateescape")


def _pack(
    store: Path,
    files: Sequence[SoundFile],
    keys: dict[str, str],
    known: dict[str, Example],
    table: bytes,
) -> None:
    """Write the archive, by way of a file as large as all spectrograms: memory may not be."""

    def features(file: SoundFile) -> Example:
        key = keys[file.track]
        return known[key] if key in known else _read_part(_part(store / PARTS, key), file)

    columns = [features(file).excerpt_columns for file in files]
    excerpts = np.zeros((len(files), max(map(len, columns))), dtype=np.uint16)
    for i, counts in enumerate(columns):
        excerpts[i, : len(counts)] = counts
    n_frames = excerpts.sum(axis=1, dtype=np.int64)
    mels = np.lib.format.open_memmap(
        store / PARTS / "all.npy", "w+", np.uint8, (len(files), N_MELS, int(n_frames.max()))
    )
    for i, file in enumerate(files):
        mels[i, :, : n_frames[i]] = features(file).spectrogram()
    fresh = store / "logmel.npz.fresh"
    with fresh.open("wb") as archive:
        np.savez_compressed(
            archive,
            names=np.array([file.track for file in files]),
            idx=mels,
            n_frames=n_frames,
            excerpt_columns=excerpts,
        )
    embeddings = io.BytesIO()
    np.savez_compressed(
        embeddings,
        names=np.array([file.track for file in files]),
        **{c: np.stack([features(file).kept[name] for file in files]) for c, name in KEPT.items()},  # type: ignore[arg-type]
    )
    write_whole(store / KEPT_FILE, embeddings.getvalue())
    take_name(fresh, store / "logmel.npz")
    write_whole(store / "tracks.csv", table)
