"""How a model learned: loss epoch by epoch, importance and correlation of features.

Tables beside the card that scanning does not need: `history.csv`, `importance.csv` and
`correlation.csv`. A folder may come from a stranger: what is damaged or leads outside is
ignored.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tagger.models.card import CORRELATION, HISTORY, IMPORTANCE, Card, inside
from tagger.system.errors import ModelError

CURVES = ("loss", "accuracy", "val_loss", "val_accuracy")
LARGEST = 1e6  # number in a table
CORRELATED = 30  # features at most


@dataclass(frozen=True)
class Correlation:
    """The correlation of features.

    Attributes
    ----------
    matrix : np.ndarray [shape=(n_names, n_names)]
        Pearson's r over the tracks.
    """

    names: tuple[str, ...]
    matrix: np.ndarray


@dataclass(frozen=True)
class TrainingHistory:
    """How a model learned.

    Attributes
    ----------
    history : sequence of dict
        `loss`, `accuracy`, `val_loss`, `val_accuracy`, as far as known, epoch by epoch.
    importance : sequence of (str, float, float)
        Feature, share of all gain, rise of the log loss when it is shuffled; NaN where unknown.
        The most important one first.
    """

    history: Sequence[Mapping[str, float]] = ()
    importance: Sequence[tuple[str, float, float]] = ()
    correlation: Correlation | None = None


def read_history(card: Card) -> TrainingHistory:
    """Return what a model's folder tells."""
    try:
        history = [
            {name: _number(row[name]) for name in CURVES if row.get(name)}
            for row in _rows(card, HISTORY)
        ]
    except (ValueError, TypeError):
        history = []
    try:
        importance = [
            (row["feature"], _worth_of(row["gain"]), _worth_of(row["permutation"]))
            for row in _rows(card, IMPORTANCE)
        ]
    except (ValueError, TypeError, KeyError):
        importance = []
    return TrainingHistory(history if any(history) else [], importance, _read_correlation(card))


def _number(text: str) -> float:
    """Return a number that can be drawn."""
    value = float(text)
    if not abs(value) <= LARGEST:
        raise ValueError("a number out of range")
    return value


def _worth_of(text: str) -> float:
    return _number(text) if text else float("nan")


def history_table(history: Sequence[Mapping[str, float]]) -> bytes:
    """Return the content of `history.csv`."""
    names = list(dict.fromkeys(name for epoch in history for name in epoch))
    rows = (
        [number, *(f"{epoch[name]:.5f}" if name in epoch else "" for name in names)]
        for number, epoch in enumerate(history, 1)
    )
    return _table(["epoch", *names], rows)


def importance(
    names: Sequence[str], rises: Mapping[str, float], gain: Mapping[str, float]
) -> list[tuple[str, float, float]]:
    """Return the importance of features that have one, as `TrainingHistory.importance`."""
    unknown = float("nan")
    rows = [(name, gain.get(name, unknown), rises.get(name, unknown)) for name in names]
    return sorted((row for row in rows if not np.isnan(row[1:]).all()), key=_worth, reverse=True)


def _worth(row: tuple[str, float, float]) -> float:
    """Return the sort key of features: gain, or else permutation."""
    _, gain, rise = row
    return rise if np.isnan(gain) else gain


def importance_table(rows: Sequence[tuple[str, float, float]]) -> bytes:
    """Return the content of `importance.csv`: a cell is empty where nothing is known."""
    cells = (
        [name, *("" if np.isnan(value) else f"{value:.6f}" for value in values)]
        for name, *values in rows
    )
    return _table(["feature", "gain", "permutation"], cells)


def correlation(
    names: Sequence[str],
    values: np.ndarray,
    importance: Sequence[tuple[str, float, float]] = (),
) -> Correlation | None:
    """Return the correlation of features, of many the most important ones; None where there are not
    two.

    Parameters
    ----------
    values : np.ndarray [shape=(n_tracks, n_names)]
        Those that are the same for all tracks are left out.
    importance : as `TrainingHistory.importance`
    """
    worth = {row[0]: _worth(row) for row in importance}
    varied = [int(i) for i in np.flatnonzero(np.ptp(values, axis=0) > 0)]
    chosen = sorted(varied, key=lambda i: -worth.get(names[i], -np.inf))[:CORRELATED]
    if len(chosen) < 2:
        return None
    matrix = np.corrcoef(values[:, chosen], rowvar=False)
    return Correlation(tuple(names[i] for i in chosen), matrix)


def correlation_table(found: Correlation) -> bytes:
    """Return the content of `correlation.csv`."""
    rows = zip(found.names, found.matrix, strict=True)
    return _table(
        ["feature", *found.names], ([name, *(f"{r:.3f}" for r in row)] for name, row in rows)
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([head, *rows])
    return text.getvalue().encode()


def _read_correlation(card: Card) -> Correlation | None:
    rows = _rows(card, CORRELATION)
    names = tuple(row.get("feature", "") for row in rows)
    try:
        matrix = np.array([[float(row[name]) for name in names] for row in rows])
    except (ValueError, TypeError, KeyError):
        return None
    usable = len(names) > 1 and bool((np.abs(matrix) <= 1).all())
    return Correlation(names, matrix) if usable else None


def _rows(card: Card, name: str) -> list[dict[str, str]]:
    try:
        text = inside(card.folder, name).read_text(encoding="utf-8")
        return list(csv.DictReader(io.StringIO(text)))
    except (OSError, UnicodeDecodeError, csv.Error, ModelError):
        return []
