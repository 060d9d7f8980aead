"""Whether a model knew tracks before: what a figure on them is worth depends on it.

Must not know: how anything is trained or measured.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from tagger.formats import has_audio_extension
from tagger.models import zoo
from tagger.models.card import Card
from training import recipes
from training.datasets import Example, as_in_card


def seen(card: Card, tracks: Iterable[str]) -> tuple[str, ...]:
    """Those of the tracks that the model, or one that it uses, had learned from, by their ids.

    The id of a sound file is its path in the data folder; its bare name counts as well, since
    the sets' own ids are such names.
    """
    learned = {
        name
        for model in (card, *zoo.used_by(card))
        for tracks_of_set in model.learned_from.values()
        for track in tracks_of_set
        for name in _names(track)
    }
    return tuple(track for track in tracks if learned & _names(as_in_card(track)))


def _names(track: str) -> set[str]:
    """What a track may be called elsewhere: of `blues/blues.00001.wav`, `blues.00001`, too."""
    path = Path(track)
    return {track, path.stem if has_audio_extension(path) else path.name}


def known_beforehand(recipe: str, examples: Sequence[Example]) -> str:
    """A warning where the model that a recipe builds on has learned from these tracks already.

    The module of such a recipe names that model in `BACKBONE`.
    """
    module = sys.modules[recipes.RECIPES[recipe].function.partition(":")[0]]
    backbone = getattr(module, "BACKBONE", None)
    if backbone is None:
        return ""
    card = zoo.find(backbone)
    n = len(seen(card, [example.track for example in examples]))
    known = f"{card.tag} had learned from {n} of these {len(examples)} tracks before: no honest "
    return known + "figure" if n else ""
