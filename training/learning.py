"""How a model learned, as far as its folder tells: loss epoch by epoch, what features were worth.

Two tables beside the card that scanning does not need, `history.csv` and `importance.csv`. A
folder may come from a stranger: what is damaged or leads outside is done without. Must not know:
recipes, pictures.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tagger.errors import ModelError
from tagger.models.card import Card, inside

HISTORY, IMPORTANCE = "history.csv", "importance.csv"


@dataclass(frozen=True)
class Learning:
    """How a model learned.

    Attributes
    ----------
    history : sequence of dict
        `loss`, `accuracy`, `val_loss`, `val_accuracy`, as far as known, epoch by epoch.
    importance : sequence of (str, float, float)
        Feature, share of all gain, rise of the log loss when it is shuffled.
    """

    history: Sequence[Mapping[str, float]] = ()
    importance: Sequence[tuple[str, float, float]] = ()


def read_learning(card: Card) -> Learning:
    """What a model's folder tells."""
    try:
        history = [
            {name: float(value) for name, value in row.items() if value and name != "epoch"}
            for row in _rows(card, HISTORY)
        ]
    except (ValueError, TypeError):
        history = []
    try:
        importance = [
            (row["feature"], float(row["gain"]), float(row["permutation"]))
            for row in _rows(card, IMPORTANCE)
        ]
    except (ValueError, TypeError, KeyError):
        importance = []
    return Learning(history, importance)


def history_table(history: Sequence[Mapping[str, float]]) -> bytes:
    """The content of `history.csv`."""
    names = list(dict.fromkeys(name for epoch in history for name in epoch))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, ["epoch", *names], lineterminator="\n")
    writer.writeheader()
    for number, epoch in enumerate(history, 1):
        writer.writerow({"epoch": number} | {k: f"{v:.5f}" for k, v in epoch.items()})
    return text.getvalue().encode()


def _rows(card: Card, name: str) -> list[dict[str, str]]:
    try:
        text = inside(card.folder, name).read_text(encoding="utf-8")
        return list(csv.DictReader(io.StringIO(text)))
    except (OSError, UnicodeDecodeError, csv.Error, ModelError):
        return []
