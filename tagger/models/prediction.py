"""Prediction, and the protocol of whatever makes one.

Must not know: files, tags, thresholds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from tagger import no_music

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
    doubt : str
        What speaks against music at all, in words; a model must choose a genre all the same.
    """

    labels: tuple[str, ...]
    probabilities: np.ndarray
    model: str
    chunk_probabilities: np.ndarray | None = None
    chunk_starts_s: np.ndarray | None = None
    doubt: str = ""

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


@dataclass(frozen=True)
class Scores:
    """What a model says of a track before calibration.

    Attributes
    ----------
    track : np.ndarray [shape=(n_labels,)] log probabilities
    chunks : np.ndarray [shape=(n_chunks, n_labels)] or None
        Log probabilities chunk by chunk, where the model looks at chunks.
    """

    track: np.ndarray
    chunks: np.ndarray | None = None


class Classifier(Protocol):
    """A model ready to be asked. Its kinds differ in `scores` alone."""

    card: Card

    def scores(self, heard: Heard) -> Scores:
        """What the model says of a track, not yet calibrated."""
        ...

    def calibrated(self, scores: Scores) -> np.ndarray:
        """Probabilities that mean what they say [shape=(n_labels,)]."""
        return np.exp(log_softmax(scores.track / self.card.temperature))

    def predict(self, heard: Heard) -> Prediction:
        """Say what genre a track has, with a confidence that means what it says.

        Parameters
        ----------
        heard : Heard
            The track's log-mel spectrogram and what follows from it, computed on demand.
        """
        scores = self.scores(heard)
        by_chunk = scores.chunks is not None
        return Prediction(
            labels=self.card.labels,
            probabilities=self.calibrated(scores),
            model=self.card.tag,
            chunk_probabilities=None if scores.chunks is None else np.exp(scores.chunks),
            chunk_starts_s=heard.chunks[1] if by_chunk else None,
            doubt=no_music.doubt(heard.log_mel),
        )


def log_softmax(x: np.ndarray) -> np.ndarray:
    """Log probabilities from logits, along the last axis."""
    x = x.astype(np.float64)
    x = x - x.max(axis=-1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))
