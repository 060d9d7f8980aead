"""Measures a finished model on a folder of labelled music. No training.

The folder is a log-mel archive, or has a sub-folder of sound files for each genre, or is a library
whose tags name the genres; a table of features will do for a model that uses nothing else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tagger.genres.vocabulary import lineage, same_name
from tagger.models.classifier import Classifier
from tagger.models.feature_columns import FeatureColumns
from tagger.models.track_features import TrackFeatures
from tagger.sound.native_messages import native_messages_hidden
from tagger.system.errors import DataError, GtagError, NothingToHearError
from tagger.training.data.datasets import (
    is_log_mel_archive,
    read_genre_folders,
    read_log_mel_archive,
)
from tagger.training.data.feature_table import TABLE, features_of_row, read_feature_table
from tagger.training.data.fingerprints import Parts, fingerprint_of, parts_of
from tagger.training.data.leakage import seen
from tagger.training.data.mirdata_sets import is_mirdata, read_mirdata
from tagger.training.data.own_library import read_own_library
from tagger.training.measure.metrics import (
    Measured,
    accuracy_by_coverage,
    confusion_matrix,
    coverage_at_precision,
    figures,
    per_genre,
)
from tagger.training.measure.training_history import TrainingHistory, correlation, read_history
from tagger.training.reporter import SILENT, Reporter

WORST = 25  # mistakes that are named
NAMED_ARTISTS = 10


@dataclass(frozen=True)
class Evaluation:
    """The result of a model on a folder.

    Attributes
    ----------
    seen_in_training : tuple of str
        Measured tracks that the model had learned from, by its card.
    model : str
        What was measured: name and version of a model.
    data : str
        Name of the folder.
    threshold : float
        The model's own: what is less sure is not named.
    left_out : dict of str to str
        Tracks that could not be measured, and why.
    unreadable : tuple of str
        Those of them that are damaged: not silent, and not of another genre.
    learning : TrainingHistory
        How the model learned.
    curve : sequence of dict
        Accuracy against training size, as `learning_curve` returns it.
    warning, remark : str
        What to say before the figures, prominently or not.
    """

    measured: Measured
    seen_in_training: tuple[str, ...]
    model: str
    data: str
    threshold: float
    left_out: dict[str, str] = field(default_factory=dict)
    unreadable: tuple[str, ...] = ()
    learning: TrainingHistory = field(default_factory=TrainingHistory)
    curve: Sequence[dict[str, Any]] = ()
    warning: str = ""
    remark: str = ""

    def metrics(self) -> dict[str, Any]:
        """Return the content of `metrics.json`."""
        confidence, share, accuracy = accuracy_by_coverage(self.measured)
        named = int((confidence >= self.threshold).sum())
        return {
            **figures(self.measured),
            "seen_in_training": len(self.seen_in_training),
            "warning": self.warning,
            "model": self.model,
            "data": self.data,
            "labels": list(self.measured.labels),
            "threshold": self.threshold,
            "named": float(share[named - 1]) if named else 0.0,
            "accuracy_of_named": float(accuracy[named - 1]) if named else None,
            "coverage_at_80_percent_precision": coverage_at_precision(self.measured, 0.8),
            "coverage_at_90_percent_precision": coverage_at_precision(self.measured, 0.9),
            "per_genre": per_genre(self.measured),
            "confusion": confusion_matrix(self.measured).tolist(),
            "reliability": [asdict(b) for b in self.measured.bins],
            "worst_mistakes": worst_mistakes(self.measured),
            **({"learning_curve": self.curve} if self.curve else {}),
            "seen_tracks": list(self.seen_in_training),
            "left_out": self.left_out,
        }


def worst_mistakes(measured: Measured, n: int = WORST) -> list[dict[str, Any]]:
    """Return the most confident wrong guesses."""
    wrong = np.flatnonzero(~measured.right)
    wrong = wrong[np.argsort(-measured.confidences[wrong], kind="stable")][:n]
    return [
        {
            "track": measured.tracks[i],
            "genre": measured.labels[measured.truth[i]],
            "guess": measured.labels[measured.guesses[i]],
            "confidence": float(measured.confidences[i]),
            "confidence_in_genre": float(measured.probabilities[i, measured.truth[i]]),
        }
        for i in wrong
    ]


def evaluate_model(
    model: Classifier, data: Path, *, from_tags: bool = False, reporter: Reporter = SILENT
) -> Evaluation:
    """Classify every labelled track of a folder, or of a table of features.

    Parameters
    ----------
    from_tags : bool
        The folder is a library, and its tags are the truth. Of a track's genres the best guess
        counts if it is one of them, else the first that the model knows.

    Raises
    ------
    DataError
        Where the folder is not a data set, lacks features that the model needs, or none of it can
        be measured.
    """
    labels = model.card.labels
    truth, rows, tracks, fingerprints, descriptors, unreadable = [], [], [], [], [], []
    parts: list[Parts] = []
    left_out: dict[str, str] = {}
    files = read_own_library(data, min_tracks=1, reporter=reporter) if from_tags else []
    artists = {file.track: file.artist for file in files}
    meant = {f.track: [known_label(g, labels) for g in (f.genre, *f.others)] for f in files}
    of_library = (
        (
            file.track,
            next((genre for genre in meant[file.track] if genre in labels), file.genre),
            partial(_features_of_sound, file.path),
        )
        for file in files
    )
    for track, genre, compute in reporter.bar(
        of_library if from_tags else _tracks(data), unit="tracks"
    ):
        if genre not in labels:
            left_out[track] = f"the model does not know the genre {genre}"
            continue
        try:
            with native_messages_hidden():
                features = compute()
                named = _named_features(model, features)
                probabilities = model.calibrated(model.scores(features).track)
        except GtagError as error:
            left_out[track] = error.message
            if not isinstance(error, NothingToHearError):
                unreadable.append(track)
            continue
        guess = labels[int(probabilities.argmax())]
        truth.append(labels.index(guess if guess in meant.get(track, ()) else genre))
        rows.append(probabilities)
        tracks.append(track)
        fingerprints.append(fingerprint_of(features))
        parts.append(parts_of(features))
        if named is not None:
            descriptors.append(named)
    if not rows:
        reason = Counter(left_out.values()).most_common(1)[0][0] if left_out else "it is empty"
        raise DataError(f"{model.card.tag} cannot be measured on it: {reason}", path=data)
    known = seen(model.card, tracks, fingerprints, parts)
    learning = read_history(model.card)
    if descriptors:
        told = correlation(model.card.data["features"], np.stack(descriptors), learning.importance)
        learning = replace(learning, correlation=told)
    return Evaluation(
        Measured(labels, np.array(truth), np.stack(rows), tuple(tracks)),
        known,
        model.card.tag,
        data.resolve().name,
        model.card.threshold,
        left_out,
        tuple(unreadable),
        learning,
        warning=" ".join(
            filter(
                None,
                (
                    warning(model.card.tag, len(known), len(tracks)),
                    warning_of_artists(model.card.tag, tracks, known, artists),
                ),
            )
        ),
        remark="The model's card names none of these tracks among those that it learned from. "
        "Other recordings by the same artists would flatter the figures all the same.",
    )


def warning(model: str, known: int, n: int) -> str:
    """Return the warning where a model had learned from some of the tracks; else empty."""
    if not known:
        return ""
    return (
        f"SEEN IN TRAINING: {model} learned from {known} of these {n} tracks. The figures say how "
        "well it remembers, not how well it classifies new music."
    )


def warning_of_artists(
    model: str, tracks: Sequence[str], known: Sequence[str], artists: Mapping[str, str | None]
) -> str:
    """Return the warning where a model had learned from others of an artist's tracks."""
    learned = {artists[track] for track in known if artists.get(track)}
    others = [t for t in tracks if t not in {*known} and artists.get(t) in learned]
    if not others:
        return ""
    named = sorted({str(artists[track]) for track in others})
    more = f" and {len(named) - NAMED_ARTISTS} more" if len(named) > NAMED_ARTISTS else ""
    return (
        f"ARTISTS KNOWN: {len(others)} more of these tracks are by artists that {model} learned "
        f"from: {', '.join(named[:NAMED_ARTISTS])}{more}."
    )


def known_label(genre: str, labels: Sequence[str]) -> str:
    """Return the label that a genre means, or the nearest genre above it; else the genre.

    >>> known_label("heavy metal", ["Metal", "Rock"]), known_label("Bebop", ["Jazz", "Rock"])
    ('Metal', 'Jazz')
    """
    by_name = {same_name(label): label for label in labels}
    keys = map(same_name, lineage(genre))
    return next((by_name[key] for key in keys if key in by_name), genre)


def _named_features(model: Classifier, features: TrackFeatures) -> np.ndarray | None:
    """Return the features that a model uses, where they have names.

    Raises
    ------
    DataError
        Where a table lacks one of them.
    """
    columns = getattr(model, "columns", None)
    if not isinstance(columns, FeatureColumns):
        return None
    names, values = model.card.data["features"], columns(features)
    missing = [name for name, value in zip(names, values, strict=True) if np.isnan(value)]
    if missing:
        raise DataError(f"the table lacks {missing[0]}, which {model.card.tag} needs")
    return values


def _tracks(data: Path) -> Iterator[tuple[str, str, Callable[[], TrackFeatures]]]:
    """Name, genre, and what computes the features of each track."""
    if data.is_file():
        for row in read_feature_table(data):
            yield row.track, row.genre, partial(features_of_row, row)
    elif is_log_mel_archive(data):
        table = read_feature_table(data / TABLE) if (data / TABLE).is_file() else []
        rows = {row.track: row for row in table}
        for example in read_log_mel_archive(data):
            found = rows.get(example.track)
            compute = partial(features_of_row, found, example) if found else example.track_features
            yield example.track, example.genre, compute
    else:
        for file in read_mirdata(data) if is_mirdata(data) else read_genre_folders(data):
            yield file.track, file.genre, partial(_features_of_sound, file.path)


def _features_of_sound(path: str) -> TrackFeatures:
    from tagger.sound.audio import read_excerpts

    return TrackFeatures.from_sound(read_excerpts(path))
