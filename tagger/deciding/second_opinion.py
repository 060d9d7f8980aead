"""A second opinion on the genres that a person wrote: where a sure prediction disagrees with them.

Names that are above or below each other agree: Punk with Rock, House with Electronic. Names that
the model does not know say nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING

from tagger.genres.vocabulary import lineage, names_in

if TYPE_CHECKING:
    from tagger.deciding.genre_map import GenreMap
    from tagger.models.prediction import Prediction

# A person's genre that is more probable than this is no blunder; docs/experiments.md has the table.
MOST_OWN = 0.05


def disputed(
    prediction: Prediction, named: Iterable[str], genres: Iterable[str], genre_map: GenreMap
) -> float | None:
    """Return how probable a person's genres are where a prediction names others; else None.

    Parameters
    ----------
    named : iterable of str
        What is named, by the track's album where that decided. Nothing disagrees with nothing.
    genres : iterable of str
        What the person wrote.
    genre_map : GenreMap
        The prediction is in its names already.

    Returns
    -------
    float or None
        Probability of the most probable of their genres, or of what is above or below it.
    """
    written = [_line(name, genre_map) for each in genres for name in names_in(each)]
    names, lines = {own[0] for own in written}, {key for own in written for key in own}

    def agrees(name: str) -> bool:
        # The first of a line is the name itself.
        line = _line(name, genre_map)
        return line[0] in lines or not names.isdisjoint(
            (*line, *map(genre_map.key, prediction.above(name)))
        )

    named = tuple(named)
    if not named or any(map(agrees, named)):  # as nearly always
        return None
    known_names = (*prediction.labels, *(style.name for style in prediction.styles))
    if lines.isdisjoint(_keys(known_names, genre_map)):  # no model knows Polka
        return None
    known = dict(zip(prediction.labels, map(float, prediction.probabilities), strict=True))
    known |= {style.name: style.probability for style in prediction.styles}
    for name, probability in sorted(known.items(), key=lambda item: -item[1]):
        if agrees(name):
            return probability if probability <= MOST_OWN else None
    return None


@lru_cache(maxsize=16)
def _keys(names: tuple[str, ...], genre_map: GenreMap) -> frozenset[str]:
    """Return the keys of all these names and of what is above them."""
    return frozenset(key for name in names for key in _line(name, genre_map))


@lru_cache(maxsize=1024)
def _line(name: str, genre_map: GenreMap) -> list[str]:
    """Return the keys of a name and of all that is above it in the vocabulary."""
    return [genre_map.key(above) for above in lineage(name)]
