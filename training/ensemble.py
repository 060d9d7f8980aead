"""Makes an ensemble of trained models: chooses its weights, calibrates it, writes its card.

The members' out-of-fold predictions are all it needs; nothing is trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from tagger.models import zoo
from tagger.models.card import CARD, OUT_OF_FOLD, Card
from tagger.models.registry import bundled_folder
from tagger.system.errors import DataError
from tagger.training.data.fingerprints import PARTS
from tagger.training.measure.calibrate import apply_temperature, fit_temperature
from tagger.training.measure.out_of_fold import (
    CALIBRATION_PROTOCOL,
    OutOfFoldPredictions,
    described,
    pack,
    unpack,
)
from tagger.training.publish import check_output, with_cost, write_model

STEPS = 20  # weights are tried in steps of one twentieth


def train_ensemble(
    members: Sequence[str],
    output: Path,
    *,
    name: str = "ensemble",
    version: int = 1,
) -> Card:
    """Write the folder of an ensemble; members that do not come with gtag are put into it.

    Parameters
    ----------
    members : sequence of str
        Models that were measured under the same protocols, by name or folder.

    Raises
    ------
    DataError
        Where the members do not fit together or were not measured.
    """
    check_output(output)
    cards = [zoo.find(member) for member in members]
    if len({card.name for card in cards}) < len(cards):
        raise DataError("two members have the same name; train with --name")
    if any(card.kind == "ensemble" for card in cards):
        raise DataError("an ensemble cannot be a member of another; name its members instead")
    if any(card.independent for card in cards):
        raise DataError(
            "models whose genres are independent, such as the bundled ones, cannot be members",
            hint="gtag's own ensemble of them is called ensemble",
        )
    if len({card.labels for card in cards}) > 1 or len(cards) < 2:
        raise DataError("an ensemble needs two or more models with the same labels")
    measured = [unpack(card.folder / OUT_OF_FOLD, card.labels) for card in cards]
    protocols = [p for p in measured[0] if all(p in by_protocol for by_protocol in measured)]
    if CALIBRATION_PROTOCOL not in protocols:
        raise DataError(f"the members were not all measured under {CALIBRATION_PROTOCOL}")
    parts = {p: [by_protocol[p] for by_protocol in measured] for p in protocols}
    for by_protocol in parts.values():
        if len({predictions.tracks for predictions in by_protocol}) > 1:
            raise DataError("the members were not measured on the same tracks")

    reference = parts[CALIBRATION_PROTOCOL]
    weights = best_weights(reference, np.ones(len(reference[0].tracks), dtype=bool))
    joint = {p: _joint(by_protocol, reference) for p, by_protocol in parts.items()}
    learned: dict[str, dict[str, Any]] = {}
    for card in cards:
        for entry in card.data.get("learned_from", []):
            of_set = learned.setdefault(entry["set"], {**entry, "tracks": []})
            if of_set.get("fingerprints") != entry.get("fingerprints"):
                # Members that learned from different parts: the card of each has its own.
                of_set.pop("fingerprints", None)
            of_set["tracks"] = sorted({*of_set["tracks"], *entry["tracks"]})
    about = {"weights": "chosen on other tracks than those measured"}
    doubts = dict.fromkeys(str(row["note"]) for c in cards for row in c.figures if row.get("note"))
    if doubts:
        about["note"] = "; ".join(doubts)
    data = {
        "name": name,
        "version": version,
        "kind": "ensemble",
        "labels": list(cards[0].labels),
        "members": [
            {"model": card.tag, "weight": round(float(weight), 4)}
            for card, weight in zip(cards, weights, strict=True)
        ],
        **described(joint, about),
        "learned_from": list(learned.values()),
    }
    extras = {OUT_OF_FOLD: pack(joint)}
    for card in cards:
        extras |= _copied(card)
    written = write_model(output, data, {}, extras)
    costs = [card.data.get("cost", {}).get("milliseconds_a_track") for card in cards]
    return written if None in costs else with_cost(written, sum(costs))


def _copied(card: Card) -> dict[str, bytes]:
    """Return the files of a model and of those that it uses, below a folder of its name; none if
    bundled.

    A name alone would be looked up in the zoo, where another model may have it.
    """
    if card.folder.parent == bundled_folder():
        return {}
    files = {CARD: (card.folder / CARD).read_bytes()}
    if "weights" in card.data:
        files[card.data["weights"]["file"]] = card.weights()
    if (card.folder / PARTS).is_file():
        files[PARTS] = (card.folder / PARTS).read_bytes()
    for used in zoo.used_by(card):
        files |= _copied(used)
    return {f"{card.name}/{file}": content for file, content in files.items()}


def best_weights(by_protocol: Sequence[OutOfFoldPredictions], inside: np.ndarray) -> np.ndarray:
    """Return the weights with the lowest log loss, after calibration.

    Parameters
    ----------
    by_protocol : sequence of OutOfFoldPredictions
        One for each member, of the same tracks.
    inside : np.ndarray [shape=(n,), dtype=bool]
        The tracks to choose on.

    Returns
    -------
    np.ndarray [shape=(n_members,), sum=1]
    """
    truth = by_protocol[0].truth[inside]
    scores = np.stack([predictions.scores[inside] for predictions in by_protocol])

    def surprise(weights: np.ndarray) -> float:
        mixed = np.tensordot(weights, scores, axes=1)
        probabilities = apply_temperature(mixed, fit_temperature(mixed, truth))
        return -float(np.log(probabilities[np.arange(len(truth)), truth]).mean())

    grid = product(range(STEPS + 1), repeat=len(by_protocol) - 1)
    choices = [np.array([*c, STEPS - sum(c)]) / STEPS for c in grid if sum(c) <= STEPS]
    return min(choices, key=surprise)


def _joint(
    by_protocol: Sequence[OutOfFoldPredictions], reference: Sequence[OutOfFoldPredictions]
) -> OutOfFoldPredictions:
    """Return the ensemble's predictions, each fold with weights chosen on the reference's other
    tracks.
    """
    first = by_protocol[0]
    scores = np.zeros_like(first.scores)
    folds = np.array(first.folds)
    for fold in np.unique(folds):
        inside = folds == fold
        elsewhere = ~np.isin(reference[0].tracks, np.array(first.tracks)[inside])
        weights = best_weights(reference, elsewhere)
        mixed = np.tensordot(weights, np.stack([o.scores[inside] for o in by_protocol]), axes=1)
        scores[inside] = np.log(apply_temperature(mixed, 1.0))
    return OutOfFoldPredictions(first.labels, first.tracks, first.truth, scores, first.folds)
