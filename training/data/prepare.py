"""From files of sound to a log-mel archive: in parallel, resumable, each file heard once.

What is heard of a file is kept at once, as a part of its own; at the end the parts become an
archive that `training.datasets` reads like any other. A file counts as known while its size and
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
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from tqdm import tqdm

from tagger.errors import ConfigurationError, DataError, GtagError, NothingToHearError
from tagger.files.durable_io import write_whole
from tagger.models import zoo
from tagger.models.prediction import Embedder
from tagger.models.track_features import TrackFeatures
from tagger.sound.audio import read_excerpts
from tagger.sound.patches import patch_front_end
from tagger.sound.spectrogram import N_MELS, TOP_DB, front_end
from tagger.training.data.datasets import (
    EMBEDDINGS,
    NPZ_ERRORS,
    Example,
    SoundFile,
    is_log_mel_archive,
    read_embeddings,
    read_tracks,
)
from tagger.workers import Lost, map_in_workers

DEADLINE_S = 60.0  # for one file
PARTS = "parts"
_OF_PARTS = re.compile(r"[0-9a-f]{32}\.npz(\.fresh)?|all\.npy")
BACKBONE = "musicnn"
(EMBEDDING_FILE, BACKBONE_TAG), *_ = EMBEDDINGS.items()
_HALF_MADE = {PARTS, "logmel.npz", "logmel.npz.fresh", "tracks.csv.fresh", EMBEDDING_FILE}
OURS = "heard_as"  # a column that only archives made here have


@dataclass(frozen=True)
class HeardFile:
    """What is kept of a file.

    Attributes
    ----------
    mel : np.ndarray [shape=(N_MELS, n_columns), dtype=uint8]
        Excerpt after excerpt, as `Example.mel`.
    excerpt_columns : tuple of int
    embedding : np.ndarray [shape=(n_dimensions,)]
        Of the pretrained network, in mean over the track.
    """

    mel: np.ndarray
    excerpt_columns: tuple[int, ...]
    embedding: np.ndarray


@dataclass(frozen=True)
class Silent:
    """Instead of what is heard, where there is nothing to hear."""

    why: str


def prepare(
    files: Sequence[SoundFile],
    store: Path,
    *,
    source: str,
    jobs: int | None = None,
    progress: bool = False,
    say: Callable[[str], None] = lambda line: None,
    left_out: Callable[[str, str], None] = lambda track, reason: None,
) -> list[Example]:
    """Hear all files and keep what was heard.

    Parameters
    ----------
    files : sequence of SoundFile
    store : Path
        Folder of the archive. What it holds of these files is not computed again; what it holds
        of others is forgotten.
    source : str
        Name of the set.
    jobs : int, optional
        Worker processes; by default one a core.
    say : callable
        Told of files that are silent.
    left_out : callable
        Told of each file that cannot be heard, and why.

    Returns
    -------
    list of Example
        In the order of `files`.

    Raises
    ------
    ConfigurationError
        Where `store` holds something else.
    DataError
        Where nothing can be heard of any file.
    """
    _check(store)
    parts = store / PARTS
    parts.mkdir(parents=True, exist_ok=True)
    known = _known(store)
    keys = {file.track: _key(file) for file in files}
    there = {key for key in keys.values() if key in known or _is_whole(_part(parts, key))}
    missing = [file for file in files if keys[file.track] not in there]
    bar = tqdm(
        total=len(files),
        initial=len(files) - len(missing),
        desc="listening",
        unit="track",
        disable=None if progress else True,
    )
    with bar:
        for file, result in map_in_workers(
            hear, missing, jobs=jobs or _cores(), deadline_s=DEADLINE_S
        ):
            bar.update()
            if isinstance(result, HeardFile):
                _keep(_part(parts, keys[file.track]), result)
                there.add(keys[file.track])
            elif isinstance(result, Silent):
                say(f"left out: {file.track}: {result.why}")
            else:
                left_out(file.track, result.reason if isinstance(result, Lost) else result)
    files = [file for file in files if keys[file.track] in there]
    if not files:
        raise DataError("nothing could be heard of any file of it", path=source)
    table = _table(files, keys)
    if any(parts.iterdir()) or not _is_there(store / "tracks.csv", table):
        _pack(store, files, keys, known, table)
        known.clear()  # not in memory twice
        known = _known(store)
    shutil.rmtree(parts)
    return [
        Example(
            track=file.track,
            genre=file.genre,
            source=source,
            artist=f"{source}:{file.artist}" if file.artist else None,
            mel=known[keys[file.track]].mel,
            excerpt_columns=known[keys[file.track]].excerpt_columns,
            embeddings={BACKBONE_TAG: known[keys[file.track]].embedding},
        )
        for file in files
    ]


def hear(file: SoundFile) -> HeardFile | Silent | str:
    """What is kept of a file, or why nothing is; runs in the workers."""
    try:
        features = TrackFeatures.from_sound(read_excerpts(file.path))
        mel, embedding = features.log_mel, _backbone().embed(features).mean(axis=0)
    except NothingToHearError as error:
        return Silent(error.message)
    except GtagError as error:
        return error.message
    except Exception as error:  # a decoder's: it must not take the others along
        return f"{type(error).__name__}: {error}"
    db = np.concatenate(mel.excerpts, axis=1)
    return HeardFile(
        np.rint((db + TOP_DB) * (255 / TOP_DB)).astype(np.uint8),
        tuple(excerpt.shape[1] for excerpt in mel.excerpts),
        embedding.astype(np.float32),
    )


@cache
def _backbone() -> Embedder:
    return zoo.load_backbone(BACKBONE)


def _cores() -> int:
    from loky import cpu_count

    return int(cpu_count())


def _key(file: SoundFile) -> str:
    try:
        status = os.stat(file.path)  # noqa: PTH116 - the name may be bytes in disguise
        state = [status.st_size, status.st_mtime_ns]
    except OSError:
        state = []  # hearing it will say what is wrong
    text = json.dumps([file.track, state, front_end(), patch_front_end(), BACKBONE_TAG])
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


def _known(store: Path) -> dict[str, HeardFile]:
    """What an archive made here holds, by the state of the file that was heard."""
    if not is_log_mel_archive(store):
        return {}
    try:
        with np.load(store / "logmel.npz", allow_pickle=False) as archive:
            names, mels = archive["names"], archive["idx"]
            excerpts = archive["excerpt_columns"]
        embeddings = read_embeddings(store)
    except (*NPZ_ERRORS, DataError):
        return {}  # damaged: heard anew
    position = {str(name): i for i, name in enumerate(names)}
    known = {}
    for row in read_tracks(store):
        i = position.get(row["track"])
        embedding = embeddings.get(row["track"], {}).get(BACKBONE_TAG)
        if i is not None and row.get(OURS) and embedding is not None:
            columns = tuple(int(n) for n in excerpts[i] if n > 0)
            known[row[OURS]] = HeardFile(mels[i, :, : sum(columns)], columns, embedding)
    return known


def _part(parts: Path, key: str) -> Path:
    return parts / f"{key}.npz"


def _keep(part: Path, features: HeardFile) -> None:
    content = io.BytesIO()
    np.savez(
        content,
        mel=features.mel,
        excerpt_columns=features.excerpt_columns,
        embedding=features.embedding,
    )
    write_whole(part, content.getvalue())


def _is_whole(part: Path) -> bool:
    """Whether it is there, and no power cut emptied it."""
    if not part.exists():
        return False
    try:
        with np.load(part, allow_pickle=False) as kept:
            return bool(kept["excerpt_columns"].size and kept["embedding"].size)
    except NPZ_ERRORS:
        return False


def _read_part(part: Path) -> HeardFile:
    with np.load(part, allow_pickle=False) as kept:
        columns = tuple(int(n) for n in kept["excerpt_columns"])
        return HeardFile(kept["mel"], columns, kept["embedding"])


def _table(files: Sequence[SoundFile], keys: dict[str, str]) -> bytes:
    """The archive's `tracks.csv`."""
    table = io.StringIO(newline="")
    # A name may hold any kind of line break.
    writer = csv.writer(table, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerow(["track", "genre", "artist_group", OURS])
    writer.writerows([f.track, f.genre, f.artist or "", keys[f.track]] for f in files)
    return table.getvalue().encode("utf-8", "surrogateescape")


def _is_there(file: Path, content: bytes) -> bool:
    return file.is_file() and file.read_bytes() == content


def _pack(
    store: Path,
    files: Sequence[SoundFile],
    keys: dict[str, str],
    known: dict[str, HeardFile],
    table: bytes,
) -> None:
    """Write the archive, by way of a file as large as all spectrograms: memory may not be."""

    def features(file: SoundFile) -> HeardFile:
        key = keys[file.track]
        return known[key] if key in known else _read_part(_part(store / PARTS, key))

    columns = [features(file).excerpt_columns for file in files]
    excerpts = np.zeros((len(files), max(map(len, columns))), dtype=np.uint16)
    for i, counts in enumerate(columns):
        excerpts[i, : len(counts)] = counts
    n_frames = excerpts.sum(axis=1, dtype=np.int64)
    mels = np.lib.format.open_memmap(
        store / PARTS / "all.npy", "w+", np.uint8, (len(files), N_MELS, int(n_frames.max()))
    )
    for i, file in enumerate(files):
        mels[i, :, : n_frames[i]] = features(file).mel
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
        penultimate=np.stack([features(file).embedding for file in files]),
    )
    write_whole(store / EMBEDDING_FILE, embeddings.getvalue())
    fresh.replace(store / "logmel.npz")
    write_whole(store / "tracks.csv", table)
