"""Protocols: which tracks are learned from and which are measured on.

Music leaks: pieces of one artist, one album or one recording on both sides of a split make a
model look far better than it is. Must not know: models, sound.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tagger.errors import DataError
from training.datasets import Example


@dataclass(frozen=True)
class Split:
    """One division of examples, by position.

    Attributes
    ----------
    name : str
    train, test : tuple of int
    """

    name: str
    train: tuple[int, ...]
    test: tuple[int, ...]


def fault_filtered(examples: Sequence[Example]) -> list[Split]:
    """Learn from the set's fault-filtered `train` part, measure on its `valid` part.

    Sets without such parts are learned from whole.
    """
    test = tuple(i for i, e in enumerate(examples) if e.split == "valid")
    train = tuple(i for i, e in enumerate(examples) if e.split != "valid")
    if not test or len(train) == 0:
        raise DataError(
            "the protocol fault-filtered needs a set whose tracks.csv has fault_filtered_split"
        )
    return [Split("fault-filtered", train, test)]


def artist(examples: Sequence[Example]) -> list[Split]:
    """The set's own artist folds: measure on each, learn from the others.

    Tracks of that set without a fold (unknown artist) are on neither side; sets without folds
    are learned from whole.
    """
    folds = sorted({e.fold for e in examples if e.fold})
    if len(folds) < 2:
        raise DataError("the protocol artist needs a set whose tracks.csv has artist_fold")
    folded = {e.source for e in examples if e.fold}
    splits = []
    for fold in folds:
        test = tuple(i for i, e in enumerate(examples) if e.fold == fold)
        train = tuple(
            i
            for i, e in enumerate(examples)
            if (e.fold and e.fold != fold) or e.source not in folded
        )
        splits.append(Split(f"artist-{fold}", train, test))
    return splits


PROTOCOLS = {"artist": artist, "fault-filtered": fault_filtered}
