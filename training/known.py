"""Whether a model knew tracks before: what a figure on them is worth depends on it.

Must not know: how anything is trained or measured.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from tagger.formats import has_audio_extension
from tagger.models import zoo
from tagger.models.card import Card
from tagger.training.datasets import as_in_card


def seen(card: Card, tracks: Iterable[str]) -> tuple[str, ...]:
    """Those of the tracks that the model, or one that it uses, had learned from, by their ids.

    The id of a sound file is its path in the data folder; its bare name counts as well, since
    the sets' own ids are such names, and files are sorted anew. A bare name that several tracks
    have (`01`, `Intro`) says nothing.
    """
    models = (card, *zoo.used_by(card))
    sets = [tracks_of_set for model in models for tracks_of_set in model.learned_from.values()]
    learned = frozenset().union(*sets)
    once = {
        name
        for tracks_of_set in sets
        for name, n in Counter(map(_bare, tracks_of_set)).items()
        if n == 1 and not name.isdecimal()
    }
    ids = {track: as_in_card(track) for track in tracks}
    return tuple(t for t, id_ in ids.items() if id_ in learned or _bare(id_) in once)


def _bare(track: str) -> str:
    """What a track may be called elsewhere: of `blues/blues.00001.wav`, `blues.00001`."""
    path = Path(track)
    return path.stem if has_audio_extension(path) else path.name
