"""Small archives of spectrograms and embeddings in which genres can really be told apart."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

GENRES = ("blues", "jazz", "rock")


def write_archive(
    folder: Path,
    *,
    tracks_per_genre: int = 8,
    columns: int = 200,
    seed: int = 0,
    genres: Sequence[str] = GENRES,
) -> Path:
    """Each genre is noise with a hill at its own height of the mel axis."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    names, mels, rows = [], [], []
    bands = np.arange(128)[:, None]
    for height, genre in zip(np.linspace(30, 100, len(genres)), genres, strict=True):
        for i in range(tracks_per_genre):
            hill = 120 * np.exp(-(((bands - height) / 12.0) ** 2))
            mel = 100 + hill + rng.normal(0, 12, (128, columns))
            names.append(f"{genre}.{i:05d}")
            mels.append(np.clip(mel, 0, 255).astype(np.uint8))
            rows.append(
                {
                    "track": names[-1],
                    "genre": genre,
                    "artist_group": str(i // 2),
                    "fault_filtered_split": "valid" if i < tracks_per_genre // 3 else "train",
                    "artist_fold": str(1 + (i // 2) % 2),
                }
            )
    with (folder / "tracks.csv").open("w", newline="", encoding="utf-8") as lines:
        writer = csv.DictWriter(lines, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    np.savez_compressed(
        folder / "logmel.npz",
        names=np.array(names),
        idx=np.stack(mels),
        n_frames=np.full(len(names), columns),
    )
    ways = np.random.default_rng(1).normal(size=(len(genres), 200))
    embeddings = np.repeat(ways, tracks_per_genre, axis=0) + rng.normal(0, 1.5, (len(names), 200))
    rest = {
        name: rng.normal(size=(len(names), n))
        for name, n in (("musicnn_spread", 200), ("yamnet", 1024), ("yamnet_logits", 521))
    }
    np.savez(folder / "views.npz", names=np.array(names), musicnn=embeddings, **rest)  # type: ignore[arg-type]
    return folder
