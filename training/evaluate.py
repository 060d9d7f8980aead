"""Measures a finished model on a folder of labelled music. No training.

The folder is a log-mel archive, or has a sub-folder of sound files for each genre.
Must not know: how the model was trained, beyond what its card says.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from tagger.errors import DataError, GtagError
from tagger.models.card import Card
from tagger.models.heard import Heard
from tagger.models.prediction import Classifier
from training.datasets import (
    SoundFile,
    is_log_mel_archive,
    read_genre_folders,
    read_log_mel_archive,
)
from training.metrics import Measured, confusion_matrix, figures, per_genre


@dataclass(frozen=True)
class Evaluation:
    """What a model made of a folder.

    Attributes
    ----------
    measured : Measured
    seen_in_training : tuple of str
        Measured tracks that the model had learned from, by its card.
    left_out : dict of str to str
        Tracks that could not be measured, and why.
    """

    measured: Measured
    seen_in_training: tuple[str, ...]
    left_out: dict[str, str] = field(default_factory=dict)

    def metrics(self) -> dict[str, Any]:
        """What `metrics.json` says."""
        return {
            **figures(self.measured),
            "seen_in_training": len(self.seen_in_training),
            "labels": list(self.measured.labels),
            "per_genre": per_genre(self.measured),
            "confusion": confusion_matrix(self.measured).tolist(),
            "left_out": self.left_out,
        }


def evaluate_model(model: Classifier, folder: Path, *, progress: bool = False) -> Evaluation:
    """Ask a model about every labelled track of a folder.

    Raises
    ------
    DataError
        Where the folder is no data set, or none of it can be measured.
    """
    labels = model.card.labels
    truth, rows, tracks = [], [], []
    left_out: dict[str, str] = {}
    for item in tqdm(_tracks(folder), unit="track", disable=None if progress else True):
        if item.genre not in labels:
            left_out[item.track] = f"the model does not know the genre {item.genre}"
            continue
        try:
            probabilities = model.predict(item.heard()).probabilities
        except GtagError as error:
            left_out[item.track] = error.message
            continue
        truth.append(labels.index(item.genre))
        rows.append(probabilities)
        tracks.append(item.track)
    if not rows:
        raise DataError("holds no track that this model could be measured on", path=folder)
    measured = Measured(labels, np.array(truth), np.stack(rows), tuple(tracks))
    return Evaluation(measured, seen(model.card, tracks), left_out)


@dataclass(frozen=True)
class _Track:
    track: str
    genre: str
    sound: SoundFile | None
    archived: Heard | None

    def heard(self) -> Heard:
        from tagger.audio import read_excerpts

        if self.archived is not None:
            return self.archived
        assert self.sound is not None
        return Heard.from_sound(read_excerpts(self.sound.path))


def _tracks(folder: Path) -> Iterator[_Track]:
    if is_log_mel_archive(folder):
        for example in read_log_mel_archive(folder):
            yield _Track(example.track, example.genre, None, Heard.from_log_mel(example.log_mel()))
    else:
        for file in read_genre_folders(folder):
            yield _Track(file.track, file.genre, file, None)


def seen(card: Card, tracks: list[str]) -> tuple[str, ...]:
    """Those of the tracks that the model had learned from, by their ids.

    The id of a sound file is its path in the data folder; its bare name counts as well, since
    the sets' own ids are such names.
    """
    learned = {track for tracks_of_set in card.learned_from.values() for track in tracks_of_set}
    return tuple(t for t in tracks if t in learned or Path(t).stem in learned)


def write_report(evaluation: Evaluation, folder: Path) -> None:
    """Write `metrics.json` into a folder, made if it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(evaluation.metrics(), indent=2, ensure_ascii=False)
    (folder / "metrics.json").write_text(text + "\n", encoding="utf-8")
