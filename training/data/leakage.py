"""Whether a model was trained on the tracks that it is measured on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from tagger.containers.formats import has_audio_extension
from tagger.models import zoo
from tagger.models.card import Card
from tagger.system.errors import DataError, ModelError
from tagger.training.data.datasets import as_in_card, read_arrays
from tagger.training.data.fingerprints import (
    N_BYTES,
    PARTS,
    Parts,
    is_among,
    same_recordings,
    unpacked,
    unpacked_parts,
)


def seen(
    card: Card,
    tracks: Iterable[str],
    fingerprints: Sequence[np.ndarray | None] = (),
    parts: Sequence[Parts] = (),
) -> tuple[str, ...]:
    """Return those of the tracks that the model, or one that it uses, had learned from.

    They are known by sound, whatever they are called. Only where a card lacks a set's
    fingerprints, or a track has none, its id decides: the path in the data folder, or the bare
    name, since the sets' own ids are such names and files are sorted anew. A bare name that
    several tracks have (`01`, `Intro`) says nothing.

    Parameters
    ----------
    fingerprints : sequence of np.ndarray or None
        As `fingerprints.fingerprint_of`, one a track; empty where only names are known.
    parts : sequence of Parts
        As `fingerprints.parts_of`, one a track, by which excerpts of what was learned from are
        known, too, if the model's folder has the parts of that.

    Raises
    ------
    ModelError
        Where the card's fingerprints are damaged.
    """
    tracks = list(tracks)
    asked = fingerprints or [None] * len(tracks)
    sets = [of_set for model in (card, *zoo.used_by(card)) for of_set in _sets(model)]
    known = np.concatenate([np.empty((0, N_BYTES), np.uint8), *(marks for _, marks in sets)])
    without_sound = _names([ids for ids, marks in sets if not len(marks)])
    all_names = _names([ids for ids, _ in sets])
    learned = [of for model in (card, *zoo.used_by(card)) for of in _parts(model)] if parts else []
    pairs = same_recordings([*learned, *parts])
    excerpts = {b - len(learned) for a, b in pairs if a < len(learned) <= b}
    found = []
    for i, (track, mark) in enumerate(zip(tracks, asked, strict=True)):
        has_sound = mark is not None and bool(mark.any())
        ids, bare = without_sound if has_sound else all_names
        id_ = as_in_card(track)
        named = id_ in ids or _bare(id_) in bare
        if i in excerpts or (mark is not None and is_among(mark, known)) or named:
            found.append(track)
    return tuple(found)


def _sets(model: Card) -> Iterator[tuple[frozenset[str], np.ndarray]]:
    """Ids and fingerprints of each set that a model learned from."""
    texts = {
        str(e.get("set")): e.get("fingerprints", "") for e in model.data.get("learned_from", [])
    }
    for name, ids in model.learned_from.items():
        try:
            yield ids, unpacked(texts.get(name, ""))
        except ValueError as error:
            raise ModelError(
                f"the fingerprints on its card are damaged: {error}", path=model.folder
            ) from error


def _parts(model: Card) -> list[Parts]:
    """Return the parts of each track that a model learned from, as far as its folder has them."""
    file = model.folder / PARTS
    if not file.is_file():
        return []
    try:
        return unpacked_parts(*read_arrays(file, ("words", "lengths", "pieces")))
    except (DataError, ValueError) as error:
        raise ModelError(f"the fingerprints beside it are damaged: {error}", path=file) from error


def _names(sets: Sequence[frozenset[str]]) -> tuple[frozenset[str], set[str]]:
    """Return the ids in some sets, and the bare names that only one of a set has."""
    counts = [Counter(map(_bare, ids)) for ids in sets]
    once = {
        name for of_set in counts for name, n in of_set.items() if n == 1 and not name.isdecimal()
    }
    return frozenset().union(*sets), once


def _bare(track: str) -> str:
    """Return what a track may be called elsewhere: of `blues/blues.00001.wav`, `blues.00001`."""
    path = Path(track)
    return path.stem if has_audio_extension(path) else path.name
