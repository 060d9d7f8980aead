"""Protocols: which tracks are learned from and which are measured on.

Music leaks: pieces of one recording, one album or one artist on both sides of a split make a model
look far better than it is. So each protocol says what it keeps apart. Sets after the first are
learned from whole, unless they have parts of their own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from tagger.sound.spectrogram import COLUMN_S
from tagger.system.errors import DataError
from tagger.training.data.datasets import NO_ARTISTS, Example
from tagger.training.reporter import Reporter

Result = TypeVar("Result")

FOLDS = 3  # where a set has none of its own
SEGMENT_COLUMNS = 64  # 3 s: ten to a clip of 30 s, as the field's tutorials cut it
TESTED_SEGMENTS = 0.2  # of all


@dataclass(frozen=True)
class Split:
    """One division of examples, by position."""

    name: str
    train: tuple[int, ...]
    test: tuple[int, ...]


def _own(examples: Sequence[Example]) -> list[int]:
    """Return the positions of the first set's examples."""
    return [i for i, e in enumerate(examples) if e.source == examples[0].source]


def fault_filtered(
    examples: Sequence[Example], seed: int = 0, n_folds: int | None = None
) -> list[Split]:
    """Learn from the first set's fault-filtered `train` part, measure on its `valid` part.

    Of other sets, the `train` part is learned from where there is one, else the whole.
    """
    divided = {e.source for e in examples if e.split}
    test = [i for i in _own(examples) if examples[i].split == "valid"]
    # What a divided set keeps out of its `train` part (faulty, repeated, examined) stays out.
    train = tuple(
        i for i, e in enumerate(examples) if e.split == "train" or e.source not in divided
    )
    tested = _measurable(examples, train, test)
    if not tested:
        raise DataError(
            "the protocol fault-filtered needs a set whose tracks.csv has fault_filtered_split"
        )
    return [Split("fault-filtered", train, tested)]


def artist(examples: Sequence[Example], seed: int = 0, n_folds: int | None = None) -> list[Split]:
    """Keep each artist on one side: measure on each fold, learn from the others.

    The first set's own artist folds, where it has some and no number of folds is asked for; else
    folds are drawn over its artists.
    Tracks of that set without a fold (unknown artist) are on neither side; a genre that only one
    fold has is learned from, but cannot be measured.
    """
    folds = {i: examples[i].fold for i in _own(examples) if examples[i].fold}
    if n_folds or len(set(folds.values())) < 2:
        known = [i for i in _own(examples) if examples[i].artist is not None]
        artists = [examples[i].artist for i in known]
        if len(set(artists)) < 2:
            raise DataError(NO_ARTISTS)
        genres = [examples[i].genre for i in known]
        folds = _folds(known, genres, artists, seed, n_folds or FOLDS)
    problem = "the protocol artist needs a genre with more than one artist"
    return _splits("artist", examples, folds, problem)


def _splits(
    protocol: str, examples: Sequence[Example], folds: Mapping[int, str], problem: str
) -> list[Split]:
    """Return a split for each fold; other sets, which have no folds, are learned from whole."""
    splits = []
    for number, fold in enumerate(sorted(set(folds.values())), 1):
        train = tuple(
            i
            for i, e in enumerate(examples)
            if folds.get(i, fold) != fold or e.source != examples[0].source
        )
        test = _measurable(examples, train, [i for i in folds if folds[i] == fold])
        if test:
            splits.append(Split(f"{protocol}-{number}", train, test))
    if not splits:
        raise DataError(problem)
    return splits


def track_random(
    examples: Sequence[Example], seed: int = 0, n_folds: int | None = None
) -> list[Split]:
    """Tracks at random, whoever plays: an artist's other tracks give the genre away.

    A recording's segments stay together.
    """
    own = _own(examples)
    recordings = [examples[i].recording or examples[i].track for i in own]
    genres = [examples[i].genre for i in own]
    folds = _folds(own, genres, recordings, seed, n_folds or FOLDS)
    problem = "the protocol track-random needs two genres with more than one track"
    return _splits("track-random", examples, folds, problem)


def segment_random(
    examples: Sequence[Example], seed: int = 0, n_folds: int | None = None
) -> list[Split]:
    """Segments at random, whatever track they are cut from: nearly each has a twin in training.

    `examples` are segments, as `units` cuts them.
    """
    drawn = np.random.default_rng(seed).permutation(_own(examples))
    tested = {int(i) for i in drawn[: max(1, round(TESTED_SEGMENTS * len(drawn)))]}
    train = tuple(i for i in range(len(examples)) if i not in tested)
    test = _measurable(examples, train, sorted(tested))
    if not test:
        raise DataError("the protocol segment-random needs two genres with more than one segment")
    return [Split("segment-random", train, test)]


def _measurable(
    examples: Sequence[Example], train: Sequence[int], test: Sequence[int]
) -> tuple[int, ...]:
    """Return those of a test part whose genre was learned; none where there was nothing to tell
    apart.
    """
    known = {examples[i].genre for i in train}
    return tuple(i for i in test if examples[i].genre in known and len(known) > 1)


def or_otherwise(
    measure: Callable[[str], Result], protocol: str, otherwise: str, reporter: Reporter
) -> tuple[str, Result]:
    """Measure under a protocol, or under another one, if any, where the data does not allow it."""
    try:
        return protocol, measure(protocol)
    except DataError as error:
        if otherwise in ("", protocol):
            raise
        reporter.tell(f"{error.message}: measured under {otherwise} instead, which flatters")
        return otherwise, measure(otherwise)


# Why tracks are not measured, under protocols that should measure all of them.
NOT_MEASURED = {
    "artist": "nobody knows who plays, or nobody else plays that genre",
    "track-random": "their genre has no other track",
}
PROTOCOLS: dict[str, Callable[..., list[Split]]] = {
    "segment-random": segment_random,
    "track-random": track_random,
    "artist": artist,
    "fault-filtered": fault_filtered,
}


def units(protocol: str, examples: Sequence[Example]) -> list[Example]:
    """Return what a protocol splits: segments of 3 s for `segment-random`, else the tracks
    themselves.
    """
    if protocol != "segment-random":
        return list(examples)
    return [segment for example in examples for segment in _segments(example)]


def _segments(example: Example) -> list[Example]:
    if example.mel is None:
        raise DataError(
            "the protocol segment-random cuts spectrograms, and a table of features has none"
        )
    starts = range(0, max(1, example.mel.shape[1] - SEGMENT_COLUMNS + 1), SEGMENT_COLUMNS)
    return [
        replace(
            example,
            track=f"{example.track} at {start * COLUMN_S:.0f} s",
            mel=example.mel[:, start : start + SEGMENT_COLUMNS],
            excerpt_columns=(),
            kept={},  # of the whole track, and a segment says less
        )
        for start in starts
    ]


def set_aside(examples: Sequence[Example], seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Within what is learned from: positions to learn from and to choose by, artists apart.

    For choices that a recipe makes itself (regularisation, rounds, epochs). Only the first set is
    set aside; where nobody knows who plays, each track counts as an artist of its own.
    """
    own = _own(examples)
    groups = [e.artist or f"track {e.recording or e.track}" for e in (examples[i] for i in own)]
    drawn = _folds(own, [examples[i].genre for i in own], groups, seed)
    everything = np.arange(len(examples))
    fold_of = np.array([drawn.get(i, "") for i in range(len(examples))])
    return [
        (everything[fold_of != fold], everything[fold_of == fold])
        for fold in sorted(set(drawn.values()))
    ]


def known_folds(
    examples: Sequence[Example], target: np.ndarray, seed: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Set aside, of genres that are learned; nothing where there is nothing to choose by."""
    try:
        folds = set_aside(examples, seed)
    except DataError:  # a single artist: any choice is as good
        return []
    known = [(learn, aside[np.isin(target[aside], target[learn])]) for learn, aside in folds]
    return [(a, b) for a, b in known if len(b) and len(np.unique(target[a])) > 1]


def set_apart(examples: Sequence[Example]) -> str:
    """Return what `set_aside` keeps apart: artists, or tracks where nobody knows who plays."""
    return "artists" if any(examples[i].artist for i in _own(examples)) else "tracks"


def _folds(
    positions: Sequence[int],
    genres: Sequence[str],
    groups: Sequence[object],
    seed: int,
    folds: int = FOLDS,
) -> dict[int, str]:
    """Return the fold of each position: genres spread evenly, groups kept together."""
    import warnings

    from sklearn.model_selection import StratifiedGroupKFold

    numbers = {group: n for n, group in enumerate(dict.fromkeys(groups))}
    folds = min(folds, len(numbers), max(Counter(genres).values()))
    if folds < 2:
        raise DataError("there is too little to set anything aside")
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    drawn: dict[int, str] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of genres with fewer tracks than folds
        parts = splitter.split(positions, genres, [numbers[group] for group in groups])
        for number, (_, test) in enumerate(parts, 1):
            drawn |= {positions[i]: str(number) for i in test}
    return drawn
