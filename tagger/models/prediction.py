"""Prediction, and the protocol of whatever makes one.

Must not know: files, tags, thresholds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from tagger.models.card import Card
    from tagger.models.heard import Heard


@dataclass(frozen=True)
class Prediction:
    """What a model says about one track.

    Attributes
    ----------
    labels : tuple of str
        The genres that the model knows.
    probabilities : np.ndarray [shape=(n_labels,)]
        Calibrated; sums to 1.
    model : str
        Name and version of the model, as written to `GTAG_MODEL`: ``cnn-1``.
    chunk_probabilities : np.ndarray [shape=(n_chunks, n_labels)] or None
        The same chunk by chunk, where the model looks at chunks.
    chunk_starts_s : np.ndarray [shape=(n_chunks,)] or None
        Where each chunk starts in the track, in seconds.
    """

    labels: tuple[str, ...]
    probabilities: np.ndarray
    model: str
    chunk_probabilities: np.ndarray | None = None
    chunk_starts_s: np.ndarray | None = None

    def ranked(self) -> list[tuple[str, float]]:
        """Genres and probabilities, the best first."""
        order = np.argsort(-self.probabilities, kind="stable")
        return [(self.labels[i], float(self.probabilities[i])) for i in order]

    @property
    def genre(self) -> str:
        return self.ranked()[0][0]

    @property
    def confidence(self) -> float:
        return self.ranked()[0][1]

    @property
    def runner_up(self) -> str:
        return self.ranked()[1][0]

    @property
    def runner_up_confidence(self) -> float:
        return self.ranked()[1][1]


class Classifier(Protocol):
    """A model ready to be asked."""

    @property
    def card(self) -> Card: ...

    def predict(self, heard: Heard) -> Prediction:
        """Say what genre a track has.

        Parameters
        ----------
        heard : Heard
            What was heard of the track: log-mel spectrogram, descriptors, computed on demand.
        """
        ...
