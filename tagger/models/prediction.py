"""`Prediction`, a model's answer for a track. Depends on no model, file, tag or policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np

from tagger.genres.vocabulary import lineage, same_name
from tagger.models.card import DEFAULT_THRESHOLD, Aims, no_aims, threshold_at


@dataclass(frozen=True)
class Style:
    """A style within a genre, or a genre below another one, with its probability for a track.

    Attributes
    ----------
    name, genre : str
        As ``House`` and ``Electronic``, or ``Punk`` and ``Rock``.
    probability : float
        That the track has both.
    threshold : float
        Probability from which it is named by default.
    aims : Aims
        Other thresholds, as on the model's card.
    """

    name: str
    genre: str
    probability: float
    threshold: float
    aims: Aims = ()


@dataclass(frozen=True)
class Mood:
    """The most probable mood of a track.

    Attributes
    ----------
    confidence : float
        Calibrated probability, from 0 to 1.
    threshold : float
        Probability from which it is written.
    """

    name: str
    confidence: float
    threshold: float

    @property
    def is_sure(self) -> bool:
        """Tell whether it is probable enough to be written."""
        return self.confidence >= self.threshold


@dataclass(frozen=True, eq=False)  # one is itself: answers can be cached for it
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
        Those that are no labels, most probable first. `styles_of` has a genre's, labels too.
    chunk_probabilities : np.ndarray [shape=(n_chunks, n_labels)] or None
        The same for each chunk, if the model uses chunks.
    chunk_starts_s : np.ndarray [shape=(n_chunks,)] or None
        Start of each chunk in the track, in seconds.
    non_music_reason : str
        Why the track does not sound like music, in words; empty if it does.
    dropped : str
        A genre above its threshold that the user's genre map drops, with its probability.
    aims : tuple of Aims
        Other thresholds of each genre, as on the model's card; empty where it has none.
    parents : mapping of str to str, or None
        From a label to the label above it, as ``Punk`` to ``Rock``. None: as in the vocabulary.
    mood : Mood or None
        None where there is no sound to tell it by.
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
    aims: tuple[Aims, ...] = ()
    parents: Mapping[str, str] | None = None
    mood: Mood | None = None

    def threshold(self, genre: str) -> float:
        """Return the probability from which a genre is named by default."""
        return self._thresholds[genre]

    @property
    def lowest_threshold(self) -> float:
        """The least probability from which any genre is named by default."""
        return min(self._thresholds.values())

    @cached_property
    def _thresholds(self) -> dict[str, float]:
        if self.thresholds is None:
            return dict.fromkeys(self.labels, DEFAULT_THRESHOLD)
        return dict(zip(self.labels, self.thresholds.tolist(), strict=True))

    def probability_of(self, name: str) -> float:
        """Return the probability of a genre, or of a style."""
        style = next((style for style in self.styles if style.name == name), None)
        if style is not None:
            return style.probability
        return float(self.probabilities[self.labels.index(name)])

    @property
    def tree(self) -> Mapping[str, str]:
        """From each label below another one to that one."""
        return _tree_of(self.labels) if self.parents is None else self.parents

    def above(self, name: str) -> tuple[str, ...]:
        """Return what is above a genre or style among the labels, the topmost first.

        Of ``House`` it is ``("Electronic",)``, of a genre at the top nothing.
        """
        above: list[str] = []
        if name not in self.labels:
            above += [style.genre for style in self.styles if style.name == name][:1]
            name = above[-1] if above else name
        tree = self.tree
        while (parent := tree.get(name)) is not None:
            above.append(name := parent)
        return tuple(reversed(above))

    def genres_below(self, genre: str) -> list[Style]:
        """Labels below a genre, the most probable first.

        None where probabilities are not independent: each label then excludes the one above it.
        """
        tree = self.tree
        if not self.independent or genre not in tree.values():
            return []
        below = [
            Style(
                label,
                genre,
                float(self.probabilities[i]),
                self.threshold(label),
                self.aims[i] if self.aims else (),
            )
            for i, label in enumerate(self.labels)
            if tree.get(label) == genre
        ]
        return sorted(below, key=lambda style: -style.probability)

    def styles_of(self, genre: str) -> list[Style]:
        """Everything below a genre, styles and labels, the most probable first."""
        below = [style for style in self.styles if style.genre == genre]
        return sorted(below + self.genres_below(genre), key=lambda style: -style.probability)

    def style_of(
        self, genre: str, *, genres_only: bool = False, at_least: float = 0.0
    ) -> Style | None:
        """Return the most probable of what is below a genre and above its threshold.

        Of the styles that exclude each other only the most probable one can be that.

        Parameters
        ----------
        genres_only : bool
            Look at labels only.
        at_least : float
            A label has to be that probable, too.
        """
        style = next((s for s in self.styles if s.genre == genre), None)
        below = [s for s in self.genres_below(genre) if s.probability >= at_least]
        if style is not None and not genres_only:
            below.append(style)
        sure = (s for s in below if s.probability >= s.threshold)
        return max(sure, key=lambda s: s.probability, default=None)

    def aimed(self, share: float) -> Prediction:
        """Return the same with the thresholds above which a share of what is named is right.

        Raises
        ------
        ConfigurationError
            The model was not measured for it.
        """
        if not self.aims:
            raise no_aims(self.model)
        return replace(
            self,
            thresholds=np.array([threshold_at(aims, share) for aims in self.aims]),
            styles=tuple(
                replace(s, threshold=threshold_at(s.aims, share)) if s.aims else s
                for s in self.styles
            ),
        )

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


@lru_cache(maxsize=32)
def _tree_of(labels: tuple[str, ...]) -> dict[str, str]:
    """Map labels to the nearest label above them in the vocabulary."""
    by_key = {same_name(label): label for label in labels}
    tree: dict[str, str] = {}
    for label in labels:
        keys = map(same_name, lineage(label)[1:])
        if above := next((by_key[key] for key in keys if key in by_key), None):
            tree[label] = above
    return tree


def mean_of(predictions: Sequence[Prediction]) -> Prediction:
    """Mean of one model's predictions for several tracks, taken for music."""
    of_styles = [{s.name: s.probability for s in reversed(p.styles)} for p in predictions]
    styles = [
        replace(style, probability=sum(p[style.name] for p in of_styles) / len(predictions))
        for style in predictions[0].styles
    ]
    return replace(
        predictions[0],
        probabilities=np.mean([p.probabilities for p in predictions], axis=0),
        styles=tuple(sorted(styles, key=lambda style: -style.probability)),
        chunk_probabilities=None,
        chunk_starts_s=None,
        non_music_reason="",
        mood=None,
    )


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
