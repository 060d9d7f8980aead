"""The music that own genres are told from: a sample of what the bundled model learned from.

Of each track principal components of the model's inputs, what the model said of it when it had not
learned from its artist, and what is known of its genres. No sound, and none can be made of it.
Written by `tagger.training.bundled`. The reference set is left out, so that trials on it are fair.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import compress

import numpy as np

from tagger.models.card import Card
from tagger.training.data.datasets import read_arrays
from tagger.training.data.partial_labels import Known

FILE = "company.npz"


@dataclass(frozen=True)
class Company:
    """The sample.

    Attributes
    ----------
    columns : np.ndarray [shape=(n_columns,), dtype=int]
        Which of the model's components there are.
    components : np.ndarray [shape=(n, n_columns)]
    logits : np.ndarray [shape=(n, n_labels)]
        The model's, not calibrated, from fits that had not learned from the track's artist.
    artists : tuple of str
        A key for each track's artist.
    known : tuple of Known
    """

    columns: np.ndarray
    components: np.ndarray
    logits: np.ndarray
    artists: tuple[str, ...]
    known: tuple[Known, ...]

    def only(self, chosen: np.ndarray) -> Company:
        """Return some of the tracks, by a mask [shape=(n,), dtype=bool]."""
        return Company(
            self.columns,
            self.components[chosen],
            self.logits[chosen],
            tuple(compress(self.artists, chosen)),
            tuple(compress(self.known, chosen)),
        )


def read_company(card: Card) -> Company:
    """Return the sample beside a bundled model.

    Raises
    ------
    DataError
        Where it is missing or damaged.
    """
    names = ("columns", "components", "logits", "artists", "genres", "known")
    columns, components, logits, artists, genres, known = read_arrays(card.folder / FILE, names)
    return Company(
        columns.astype(int),
        components.astype(np.float64),
        logits.astype(np.float64),
        tuple(map(str, artists)),
        tuple(
            Known(frozenset(genres[row == 1].tolist()), frozenset(genres[row == 2].tolist()))
            for row in known
        ),
    )
