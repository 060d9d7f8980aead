"""`Prediction`, and the protocols of models. Depends on no file, tag or policy."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from tagger.models.card import DEFAULT_THRESHOLD
from tagger.one_thread import one_thread

if TYPE_CHECKING:
    from tagger.models.card import Card
    from tagger.models.track_features import TrackFeatures


@dataclass(frozen=True)
class Style:
    """A style within a genre, with its probability for a track.

    Attributes
    ----------
    name, genre : str
        As ``House`` and ``Electronic``.
    probability : float
        That the track has both.
    threshold : float
        Probability from which it is named by default.
    """

    name: str
    genre: str
    probability: float
    threshold: float


@dataclass(frozen=True)
class Prediction:
    """A model's output for one track.

    Attributes
    ----------
    labels : tuple of str
        The genres that the model knows.
    probabilities : np.ndarray [shape=(n_labels,)]
        Calibrated. They sum to 1 unless `independent`.
    model : str
        Name and version of the model, as written to `GTAG_MODEL`: ``cnn-2``.
    thresholds : np.ndarray [shape=(n_labels,)] or None
        Probability from which each genre is named by default; None: `DEFAULT_THRESHOLD`.
    independent : bool
        Whether the probabilities are independent: none of the genres may fit, or several.
    styles : tuple of Style
        Most probable first.
    chunk_probabilities : np.ndarray [shape=(n_chunks, n_labels)] or None
        The same for each chunk, if the model uses chunks.
    chunk_starts_s : np.ndarray [shape=(n_chunks,)] or None
        Start of each chunk in the track, in seconds.
    non_music_reason : str
        Why the track does not sound like music, in words; empty if it does.
    dropped : str
        A genre above its threshold that the user's genre map drops, with its probability.
    """

    labels: tuple[str, ...]
    probabilities: np.ndarray
    model: str
    thresholds: np.ndarray | None = None
    independent: bool = False
    styles: tuple[Style, ...] = ()
    chunk_probabilities: np.ndarray | None = None
    chunk_starts_s: np.ndarray | None = None
    non_music_reason: str = ""
    dropped: str = ""

    def threshold(self, genre: str) -> float:
        """The probability from which a genre is named by default."""
        if self.thresholds is None:
            return DEFAULT_THRESHOLD
        return float(self.thresholds[self.labels.index(genre)])

    def probability_of(self, name: str) -> float:
        """Of a genre, or of a style."""
        style = next((style for style in self.styles if style.name == name), None)
        if style is not None:
            return style.probability
        return float(self.probabilities[self.labels.index(name)])

    def style_of(self, genre: str) -> Style | None:
        """The most probable style of a genre, if it is above its threshold."""
        best = next((style for style in self.styles if style.genre == genre), None)
        return best if best is not None and best.probability >= best.threshold else None

    def ranked(self) -> list[tuple[str, float]]:
        """Genres and probabilities, the best first."""
        return self._ranked

    @cached_property
    def _ranked(self) -> list[tuple[str, float]]:
        order = np.argsort(-self.probabilities, kind="stable").tolist()
        probabilities = self.probabilities.tolist()
        return [(self.labels[i], probabilities[i]) for i in order]

    @property
    def genre(self) -> str:
        return self.ranked()[0][0]

    @property
    def confidence(self) -> float:
        return self.ranked()[0][1]

    @property
    def runner_up(self) -> str:
        """The second best; empty where there is but one."""
        return self.ranked()[1][0] if len(self.labels) > 1 else ""

    @property
    def runner_up_confidence(self) -> float:
        return self.ranked()[1][1] if len(self.labels) > 1 else 0.0


@dataclass(frozen=True)
class Scores:
    """A model's output for a track before calibration.

    Attributes
    ----------
    track : np.ndarray [shape=(n_labels,)]
        Log probabilities; logits where the model's labels are independent.
    chunks : np.ndarray [shape=(n_chunks, n_labels)] or None
        The same for each chunk, if the model uses chunks.
    chunk_starts_s : np.ndarray [shape=(n_chunks,)] or None
        Start of each chunk in the track, in seconds.
    styles : np.ndarray [shape=(n_styles,)] or None
        Log probabilities of the card's styles, given their genre.
    """

    track: np.ndarray
    chunks: np.ndarray | None = None
    chunk_starts_s: np.ndarray | None = None
    styles: np.ndarray | None = None


@runtime_checkable
class Embedder(Protocol):
    """A network whose embedding other models use."""

    card: Card

    @property
    def n_dimensions(self) -> int:
        """Of the embedding."""
        ...

    def embed(self, features: TrackFeatures) -> np.ndarray:
        """Embedding of each chunk of a track [shape=(n_chunks, n_dimensions)]."""
        ...

    def starts_s(self, features: TrackFeatures) -> np.ndarray:
        """Where each chunk starts in the track, in seconds [shape=(n_chunks,)]."""
        ...


class Classifier(Protocol):
    """A loaded model. The kinds differ in `scores` alone.

    Each is made from a card, with ModelError where its weights are damaged or do not fit it.
    """

    card: Card

    def scores(self, features: TrackFeatures) -> Scores:
        """The model's output for a track, not yet calibrated."""
        ...

    def calibrated(self, scores: np.ndarray) -> np.ndarray:
        """Calibrated probabilities [shape=(..., n_labels)], from `Scores.track`."""
        if self.card.independent:
            slopes, offsets = (
                np.array([getattr(label, name) for label in self.card.calibrated_labels])
                for name in ("slope", "offset")
            )
            return sigmoid(slopes * scores + offsets)
        return np.exp(log_softmax(scores / self.card.temperature))

    @one_thread()
    def predict(self, features: TrackFeatures) -> Prediction:
        """Predict the genres of a track, with calibrated probabilities.

        Parameters
        ----------
        features : TrackFeatures
            Computed on demand.
        """
        from tagger.models.detector import non_music_reason

        scores = self.scores(features)
        probabilities = self.calibrated(scores.track)
        return Prediction(
            labels=self.card.labels,
            probabilities=probabilities,
            model=self.card.tag,
            thresholds=self.card.thresholds,
            independent=self.card.independent,
            styles=self._styles(scores, probabilities),
            chunk_probabilities=None if scores.chunks is None else self.calibrated(scores.chunks),
            chunk_starts_s=scores.chunk_starts_s,
            non_music_reason=non_music_reason(features),
        )

    def _styles(self, scores: Scores, probabilities: np.ndarray) -> tuple[Style, ...]:
        if scores.styles is None:
            return ()
        styles = (
            Style(s.name, s.genre, float(np.exp(given) * probabilities[i]), s.threshold)
            for s, given in zip(self.card.styles, scores.styles, strict=True)
            for i in [self.card.labels.index(s.genre)]
        )
        return tuple(sorted(styles, key=lambda style: -style.probability))


def sigmoid(x: np.ndarray) -> np.ndarray:
    """Probability from a logit."""
    return 1 / (1 + np.exp(-np.clip(x, -60, 60)))


def logit(p: np.ndarray) -> np.ndarray:
    """Logit from a probability."""
    p = np.clip(p, 1e-12, 1 - 1e-12)
    return np.log(p) - np.log1p(-p)


def log_softmax(x: np.ndarray) -> np.ndarray:
    """Log probabilities from logits, along the last axis."""
    x = x.astype(np.float64)
    x = x - x.max(axis=-1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))
