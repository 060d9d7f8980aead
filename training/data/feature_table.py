"""Descriptors of labelled tracks as a table: from a CSV file, or from log-mel spectrograms.

The CSV's layout is that of the field's `features_30s.csv`: `filename`, `label`, and a column a
feature. A `tracks.csv` beside it adds artists and splits.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tagger.models.track_features import TrackFeatures
from tagger.sound.descriptors import FEATURES
from tagger.sound.log_mel_statistics import LOG_MEL_FEATURES, describe_log_mel
from tagger.system.errors import DataError
from tagger.training.data.augment import altered
from tagger.training.data.datasets import (
    Example,
    Features,
    as_text,
    genre_of,
    groups_of,
    labels_of,
    read_rows,
    read_tracks,
    targets,
    to_decibels,
)
from tagger.training.reporter import SILENT, Reporter

if TYPE_CHECKING:
    from tagger.training.recipes.fitting import Settings

TABLE = "features_30s.csv"  # what a table is called beside an archive of the same tracks
NOT_FEATURES = {"filename", "length", "label"}
# Tables of segments call the third of a track `blues.00000.2.wav`.
_SEGMENT = re.compile(r"(.*\.\d+)\.\d+", re.DOTALL)
MFCC = "mfcc"  # the variant with these features only
COPIES = 4  # altered ones of each track, where there are any
FOREST_TREES = 500


def read_feature_table(file: Path) -> list[Example]:
    """Return the rows of a table of features, in their order.

    Raises
    ------
    DataError
        Where it has another layout, or a value that is no number.
    """
    hint = "a table of features looks like features_30s.csv"
    rows = read_rows(file, ("filename", "label"), hint)
    columns = rows[0].keys()
    if None in columns:  # a row with more cells than there are columns
        raise DataError("has no rows with the columns of its first line", path=file, hint=hint)
    names = tuple(name for name in columns if name not in NOT_FEATURES)
    known = {}
    if (file.parent / "tracks.csv").is_file():
        known = {row["track"]: row for row in read_tracks(file.parent)}
    source = as_text(file.resolve().parent.name)
    examples = []
    for number, row in enumerate(rows, 2):
        try:
            values = np.array([float(row[name]) for name in names], dtype=np.float64)
        except (TypeError, ValueError) as error:
            message = f"line {number} holds something that is not a number: {error}"
            raise DataError(message, path=file) from error
        if not np.isfinite(values).all():
            message = f"line {number} holds something that is not a finite number"
            raise DataError(message, path=file)
        for column in ("filename", "label"):
            if not row[column]:
                raise DataError(f"line {number} has no {column}", path=file)
        track = row["filename"].removesuffix(".wav")
        segment = _SEGMENT.fullmatch(track)
        about = known.get(track) or (known.get(segment[1]) if segment else None) or {}
        examples.append(
            Example(
                track=track,
                genre=genre_of(row["label"]),
                source=source,
                recording=segment[1] if segment else "",
                **groups_of(about, source),
                features=Features(names, values),
            )
        )
    return examples


def features_of_row(row: Example, archived: Example | None = None) -> TrackFeatures:
    """Return a row of a table in the form that models take.

    Parameters
    ----------
    row : Example
        With features; those that it lacks are NaN.
    archived : Example, optional
        The same track with its spectrogram, where there is an archive, too.
    """
    assert row.features is not None
    known = dict(zip(row.features.names, row.features.values, strict=True))

    def named(names: Sequence[str]) -> np.ndarray:
        return np.array([known.get(name, np.nan) for name in names], dtype=np.float32)

    if archived is not None:
        features = TrackFeatures(archived.log_mel, lambda: named(FEATURES))
        features.take(archived.kept)
        return features
    return TrackFeatures(row.log_mel, lambda: named(FEATURES), lambda: named(LOG_MEL_FEATURES))


def scannable(examples: Sequence[Example], reporter: Reporter = SILENT) -> list[Example]:
    """Return the same examples without features that no scan could compute."""
    computable = {*FEATURES, *LOG_MEL_FEATURES}
    dropped: dict[str, None] = {}
    kept = []
    for example in examples:
        if example.features is not None:
            names = example.features.names
            columns = [i for i, name in enumerate(names) if name in computable]
            dropped |= dict.fromkeys(name for name in names if name not in computable)
            values = example.features.values[columns]
            fewer = Features(tuple(names[i] for i in columns), values)
            example = replace(example, features=fewer)
        kept.append(example)
    if dropped:
        reporter.tell(f"left out: features that a scan does not compute: {', '.join(dropped)}")
    return kept


@dataclass(frozen=True)
class Table:
    """Rows to learn from.

    Attributes
    ----------
    names : tuple of str
        Of the columns.
    rows : np.ndarray [shape=(n, n_names), dtype=float64]
    target : np.ndarray [shape=(n,), dtype=int]
    examples : tuple of Example
        Whose row it is; one with altered copies stands here more than once.
    """

    names: tuple[str, ...]
    rows: np.ndarray
    target: np.ndarray
    examples: tuple[Example, ...]


def feature_rows(examples: Sequence[Example], names: Sequence[str] | None = None) -> np.ndarray:
    """Return features of examples by name, or all [shape=(n_examples, n_names), dtype=float64]."""
    available = feature_names(examples)
    rows = []
    for example in examples:
        if example.features is None:
            rows.append(example.view("log-mel statistics", _statistics))
        elif example.features.names == available:
            rows.append(example.features.values)
        else:
            raise DataError(f"track {example.track} of {example.source} has other features")
    chosen = [available.index(name) for name in names or available]
    return np.stack(rows).astype(np.float64)[:, chosen]


def feature_names(examples: Sequence[Example]) -> tuple[str, ...]:
    """Return the names of examples' features: their table's, or statistics of spectrograms."""
    kinds = {e.features.names if e.features else LOG_MEL_FEATURES for e in examples}
    if len(kinds) > 1:
        raise DataError("tables of different features cannot be learned from together")
    names = next(iter(kinds))
    if not names:
        raise DataError("the table has no feature to learn from")
    return names


def learning_table(examples: Sequence[Example], settings: Settings) -> Table:
    """Return what a recipe on descriptors learns from.

    Parameters
    ----------
    settings : Settings
        `variant` ``mfcc`` takes these features only; `select` keeps so many, those that a random
        forest relies on most; `augment` adds `COPIES` altered copies of each track, for which they
        need its spectrogram.
    """
    everything, seed = feature_names(examples), settings.seed
    names = tuple(name for name in everything if settings.variant != MFCC or MFCC in name)
    if not names:
        raise DataError("there is none of the features that this variant uses")
    rows = feature_rows(examples, names)
    everyone = list(examples)
    if settings.augment:
        columns = [everything.index(name) for name in names]
        copies = [_altered_statistics(example, seed)[:, columns] for example in examples]
        rows = np.concatenate([rows, *copies])
        everyone += [example for example in examples for _ in range(COPIES)]
    target = targets(everyone, labels_of(examples))
    if 0 < settings.select < len(names):
        best = most_important(rows, target, settings.select, seed)
        names, rows = tuple(names[i] for i in best), rows[:, best]
    return Table(names, rows, target, tuple(everyone))


def _statistics(example: Example) -> np.ndarray:
    return describe_log_mel(example.log_mel().excerpts)


def random_of(example: Example, seed: int) -> np.random.Generator:
    """Random numbers of a track's own: they do not depend on which others there are."""
    return np.random.default_rng([seed, *example.track.encode("utf-8", "surrogateescape")])


def _altered_statistics(example: Example, seed: int) -> np.ndarray:
    rng = random_of(example, seed)
    db = to_decibels(example.spectrogram())
    return np.stack([describe_log_mel([altered(db, rng)]) for _ in range(COPIES)])


def most_important(
    rows: np.ndarray, target: np.ndarray, k: int, seed: int, weight: np.ndarray | None = None
) -> np.ndarray:
    """Columns of the k features that a random forest relies on most, in their order."""
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(FOREST_TREES, max_features="sqrt", random_state=seed)
    forest.fit(rows, target, sample_weight=weight)
    return np.sort(np.argsort(-forest.feature_importances_, kind="stable")[:k])
