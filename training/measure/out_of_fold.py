"""Out-of-fold predictions, and what follows from them: calibration, threshold and figures.

A single model and an ensemble are measured by the same functions.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from tagger.models import zoo
from tagger.models.prediction import sigmoid
from tagger.system.errors import DataError
from tagger.training.measure import calibrate
from tagger.training.measure.metrics import (
    Measured,
    accuracy_by_coverage,
    calibration_error,
    coverage_at_precision,
    figures,
    rounded,
    threshold_for_precision,
)

CALIBRATION_PROTOCOL = "artist"
FALLBACK_PROTOCOL = "track-random"  # where artists are unknown
PRECISION = 0.8  # of what is named by default, on tracks and artists not learned from


@dataclass(frozen=True)
class OutOfFoldPredictions:
    """Log probabilities for tracks that were not learned from, fold by fold.

    Attributes
    ----------
    truth : np.ndarray [shape=(n,), dtype=int]
    scores : np.ndarray [shape=(n, n_labels)]
        Log probabilities, not calibrated.
    folds : list of str
        For each track, the split that it was measured in.
    history : list of dict
        Of the first split, where its training went by epochs: loss and accuracy on what was
        learned from, and on what was measured.
    independent : bool
        Whether `scores` are log odds of independent genres, already calibrated fold by fold.
    importance : dict of str to float
        Of the first split: by how much the log loss on what was measured rises when a feature is
        shuffled.
    """

    labels: tuple[str, ...]
    tracks: tuple[str, ...]
    truth: np.ndarray
    scores: np.ndarray
    folds: list[str]
    history: list[dict[str, float]] = field(default_factory=list)
    importance: dict[str, float] = field(default_factory=dict)
    independent: bool = False

    def measured(self, probabilities: np.ndarray) -> Measured:
        return Measured(self.labels, self.truth, probabilities, self.tracks)


def calibrated(by_protocol: Mapping[str, OutOfFoldPredictions], protocol: str) -> Measured:
    """Return out-of-fold predictions with calibrated probabilities.

    Each fold on the others, or the single fold of `fault-filtered` on the other tracks of the
    artist folds. Segments have a calibration of their own, and a single fold has nothing to find it
    by: they stay as they are.
    """
    own = by_protocol[protocol]
    if own.independent:
        return own.measured(sigmoid(own.scores))
    if len(set(own.folds)) > 1:
        return own.measured(calibrate.cross_fitted(own.scores, own.truth, own.folds))
    elsewhere = by_protocol.get(CALIBRATION_PROTOCOL) if protocol == "fault-filtered" else None
    if elsewhere is None:
        return own.measured(np.exp(own.scores))
    other = ~np.isin(elsewhere.tracks, own.tracks)
    temperature = calibrate.fit_temperature(elsewhere.scores[other], elsewhere.truth[other])
    return own.measured(calibrate.apply_temperature(own.scores, temperature))


def pack(by_protocol: Mapping[str, OutOfFoldPredictions]) -> bytes:
    """Predictions by protocol as the content of an `.npz` file, for ensembles to be made from."""
    arrays: dict[str, Any] = {}
    for protocol, predictions in by_protocol.items():
        arrays[f"{protocol}/tracks"] = np.array(predictions.tracks)
        arrays[f"{protocol}/truth"] = predictions.truth
        arrays[f"{protocol}/folds"] = np.array(predictions.folds)
        arrays[f"{protocol}/scores"] = predictions.scores.astype(np.float32)
        arrays[f"{protocol}/independent"] = np.array(predictions.independent)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def unpack(file: Path, labels: tuple[str, ...]) -> dict[str, OutOfFoldPredictions]:
    """Return what `pack` was given, from a model's folder.

    Raises
    ------
    DataError
        Where the file is missing or damaged.
    """
    try:
        with np.load(file, allow_pickle=False) as kept:
            arrays = {name: kept[name] for name in kept.files}
    except (OSError, ValueError, EOFError, BadZipFile) as error:
        raise DataError(
            f"cannot be read: {error}",
            path=file,
            hint="train the model with --protocol artist --protocol fault-filtered",
        ) from error
    protocols = [name.removesuffix("/scores") for name in arrays if name.endswith("/scores")]
    return {
        p: OutOfFoldPredictions(
            labels,
            tuple(map(str, arrays[f"{p}/tracks"])),
            arrays[f"{p}/truth"],
            arrays[f"{p}/scores"].astype(np.float64),
            list(map(str, arrays[f"{p}/folds"])),
            independent=bool(arrays.get(f"{p}/independent", False)),
        )
        for p in protocols
    }


def calibration(
    predictions: OutOfFoldPredictions, measured: Measured, protocol: str
) -> dict[str, Any]:
    """Return the card's `calibration` and `decision`."""
    coverage = {}
    threshold, share, accuracy = accuracy_by_coverage(measured)
    for percent in range(10, 101, 10):
        i = int(np.ceil(percent / 100 * len(share))) - 1
        coverage[str(percent)] = [round(float(threshold[i]), 4), round(float(accuracy[i]), 4)]
    uncalibrated = predictions.measured(np.exp(predictions.scores))
    fitted = {
        "method": "temperature",
        "temperature": round(calibrate.fit_temperature(predictions.scores, predictions.truth), 4),
        "fitted_on": f"out-of-fold predictions, protocol {protocol}",
        "ece_before": round(calibration_error(uncalibrated.bins), 4),
        "ece_after": round(calibration_error(measured.bins), 4),
        # The reliability diagram: mean confidence, share that is right, number of tracks.
        "reliability": [[round(b.confidence, 4), round(b.accuracy, 4), b.n] for b in measured.bins],
        # Coverage in per cent: lowest confidence among the covered, their accuracy.
        "threshold_and_accuracy_by_coverage": coverage,
    }
    decision = {
        # Down: rounded up, it would shut out the very track that it was set by.
        "threshold": max(
            math.floor(1e4 * threshold_for_precision(measured, PRECISION, surely=True)) / 1e4,
            float(zoo.find(zoo.DEFAULT).thresholds.min()),
        ),
        "why": f"where out-of-fold precision surely reaches {PRECISION:.0%}, by the lower bound of "
        "its interval; never below the lowest threshold of the bundled model",
    }
    return {"calibration": fitted, "decision": decision}


def card_figures(measured: Measured) -> dict[str, Any]:
    """Return a row of the card's `figures`."""
    row = rounded(figures(measured))
    for precision in (0.8, 0.9):
        key = f"coverage_at_{precision * 100:.0f}_percent_precision"
        row[key] = round(coverage_at_precision(measured, precision), 4)
    return row


def described(
    by_protocol: Mapping[str, OutOfFoldPredictions], about: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the card's `calibration`, `decision` and `figures`.

    Parameters
    ----------
    by_protocol : mapping
        By protocol. `artist`, or else `track-random`, calibrates and sets the default threshold.
    about : mapping, optional
        What each row of the figures also says.
    """
    reference = by_protocol.get(CALIBRATION_PROTOCOL) or by_protocol.get(FALLBACK_PROTOCOL)
    card: dict[str, Any] = {}
    rows = []
    for protocol, predictions in by_protocol.items():
        measured = calibrated(by_protocol, protocol)
        rows.append({"protocol": protocol, **(about or {}), **card_figures(measured)})
        if predictions is reference:
            card |= calibration(predictions, measured, protocol)
    return card | {"figures": rows}
