"""Own genres beside the bundled model's: an independent sigmoid each, from a person's few tracks.

The bundled networks stay as they are; logistic regression on their components, and on what the
bundled model says, tells each genre from the person's other genres and from a shipped sample of
other music. Inputs are scaled and clipped as in the bundled model, so that no fold's own spread
counts. A genre with few tracks that the bundled model knows keeps its decision. No TensorFlow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from tagger.genres.vocabulary import lineage, same_name, vocabulary
from tagger.models import zoo
from tagger.models.card import CARD, Card
from tagger.models.head import EmbeddingInputs
from tagger.models.linear import read_arrays
from tagger.models.multi_label import (
    COMPANY,
    NEVER,
    OWN,
    OWN_BIAS,
    SILENCED_FROM,
    STYLES,
    STYLES_BIAS,
    SURE,
    MultiLabelWeights,
    silenced,
)
from tagger.models.prediction import log_softmax, logit, sigmoid
from tagger.training.data.company import Company, read_company
from tagger.training.data.datasets import Example, musicnn, yamnet
from tagger.training.recipes.fitting import Fitted, Settings
from tagger.training.recipes.multi_label import packed

STRENGTH = 1e-3  # of the data against the penalty
# How much a calibrated logit of the bundled model counts beside a component, and a track of the
# sample beside the person's own.
LOGITS, SAMPLED = 6.0, 1.0
# With fewer tracks a genre that the bundled model knows keeps its decision, whatever is measured.
FEW = 20
# A genre of the bundled model belongs to an own one that it finds in such a share of its tracks.
BELONGS = 0.15
WITHOUT_TRACKS = -SURE


@cache
def base() -> Card:
    """Return the card of the bundled model that own genres stand beside."""
    return zoo.find(zoo.DEFAULT)


@cache
def _weights() -> MultiLabelWeights:
    return base().load_weights(MultiLabelWeights)


@dataclass(frozen=True)
class Lesson:
    """The person's tracks, then the sample's, as rows of the same inputs.

    Attributes
    ----------
    n_own : int
        How many rows are the person's.
    rows : np.ndarray [shape=(n, n_inputs)]
        Components of the bundled model's inputs, and its calibrated logits.
    table : np.ndarray [shape=(n, n_labels)]
        1, 0, or NaN where it is left open whether a track has a genre.
    known : dict of int to int
        From a label that the bundled model knows to its own.
    kept : tuple of int
        Labels that keep its decision.
    silenced_from : np.ndarray [shape=(n_bundled, n_labels)]
    """

    labels: tuple[str, ...]
    n_own: int
    rows: np.ndarray
    table: np.ndarray
    company: Company = field(repr=False)
    known: dict[int, int]
    kept: tuple[int, ...]
    silenced_from: np.ndarray

    @property
    def is_own(self) -> np.ndarray:
        return np.arange(len(self.rows)) < self.n_own

    @property
    def outside(self) -> np.ndarray:
        """Tracks of the sample that surely have none of the genres [shape=(n,), dtype=bool]."""
        return ~self.is_own & (self.table == 0).all(axis=1)

    def bundled(self, j: int) -> np.ndarray:
        """Return the bundled model's logits for one of the labels that it knows [shape=(n,)]."""
        company = self.rows[:, -len(self.silenced_from) :]
        own = company[:, [self.known[j]]]
        return silenced(own, company, self.silenced_from[:, [j]])[:, 0]

    @property
    def weights(self) -> np.ndarray:
        return np.where(self.is_own, 1.0, SAMPLED)

    def fit(
        self, rows: np.ndarray, table: np.ndarray, weights: np.ndarray, seed: int = 0
    ) -> OwnWeights:
        """Learn each label; as `multi_label.Fit`."""
        from sklearn.linear_model import LogisticRegression

        n_bundled = len(self.silenced_from)
        coefficients = np.zeros((rows.shape[1], len(self.labels)))
        bias = np.full(len(self.labels), WITHOUT_TRACKS)
        scale = np.ones(rows.shape[1])
        scale[-n_bundled:] = LOGITS
        for j in range(len(self.labels)):
            known = ~np.isnan(table[:, j])
            truth = table[known, j]
            if j in self.kept:
                coefficients[rows.shape[1] - n_bundled + self.known[j], j], bias[j] = 1.0, 0.0
            elif truth.any() and not truth.all():
                found = LogisticRegression(C=STRENGTH, max_iter=1000).fit(
                    rows[known] * scale, truth, sample_weight=weights[known]
                )
                coefficients[:, j] = found.coef_[0] * scale
                bias[j] = found.intercept_[0]
        return OwnWeights(coefficients, bias, self.silenced_from)


@dataclass(frozen=True)
class OwnWeights:
    """The arrays of own genres, see `tagger.models.multi_label`; a function of rows to logits."""

    coefficients: np.ndarray
    bias: np.ndarray
    silenced_from: np.ndarray

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        company = rows[:, -len(self.silenced_from) :]
        return silenced(rows @ self.coefficients + self.bias, company, self.silenced_from)

    def file(self, columns: np.ndarray) -> bytes:
        """Return the weights file of a model: the bundled one's, and these."""
        arrays = read_arrays(base().weights())
        for name in (STYLES, STYLES_BIAS):
            arrays.pop(name, None)
        n_components, n_bundled = arrays["projection"].shape[1], len(self.silenced_from)
        own = np.zeros((n_components + n_bundled, len(self.bias)))
        own[columns] = self.coefficients[:-n_bundled]
        own[n_components:] = self.coefficients[-n_bundled:]
        return packed(
            arrays
            | {
                COMPANY: _calibration(),
                OWN: own,
                OWN_BIAS: self.bias,
                SILENCED_FROM: self.silenced_from,
            }
        )


def lesson(
    examples: Sequence[Example],
    bar: Callable[[Sequence[Example]], Iterable[Example]] = iter,
) -> Lesson:
    """Return what own genres are learned from.

    Parameters
    ----------
    bar : callable
        Shows progress along the examples.

    Raises
    ------
    DataError
        Where an archive does not keep what networks said of a track, and its sound is not there.
    """
    genres = [(example.genre, *example.others) for example in examples]
    labels = tuple(sorted({name for names in genres for name in names}))
    table = np.array([[_has(names, label) for label in labels] for names in genres])
    company = read_company(base())
    return lesson_of(labels, table, _rows(bar(examples), company.columns), company)


def lesson_of(
    labels: tuple[str, ...], table: np.ndarray, own: np.ndarray, company: Company
) -> Lesson:
    """Return what is learned from own tracks of known inputs, and a sample of other music.

    Parameters
    ----------
    table : np.ndarray [shape=(n_own, n_labels)]
    own : np.ndarray [shape=(n_own, n_inputs)]
    """
    logits = own[:, len(company.columns) :]
    related = _related(labels, table, logits)
    counts = (table == 1).sum(axis=0)
    keys = [same_name(label) for label in base().labels]
    known = {
        j: keys.index(same_name(label))
        for j, label in enumerate(labels)
        if same_name(label) in keys
    }
    belongs = np.array([[name in names for names in related] for name in base().labels])
    limits = logit(base().thresholds)[:, None]
    sample = np.array(
        [
            [np.nan if (of.genres | of.open) & names else 0.0 for names in related]
            for of in company.known
        ]
    )
    return Lesson(
        labels,
        len(own),
        np.concatenate([own, rows_of(company)]),
        np.concatenate([table, sample]),
        company,
        known,
        tuple(j for j in known if counts[j] < FEW),
        np.where(belongs, NEVER, limits),
    )


def fit(examples: Sequence[Example], settings: Settings) -> Fitted:
    """Learn the genres of these examples, and those beside them.

    Raises
    ------
    DataError
    """
    given = lesson(examples, lambda tracks: settings.bar(tracks, unit="track"))
    own = given.fit(given.rows, given.table, given.weights)

    def log_probabilities(asked: Sequence[Example]) -> np.ndarray:
        return log_softmax(own(_rows(asked, given.company.columns)))

    return Fitted(given.labels, log_probabilities, card(), weights(own, given.company))


def card() -> dict[str, Any]:
    """Return what the card says of the kind of model."""
    return {name: base().data[name] for name in ("kind", "backbone", "inputs", "learned_from")}


def weights(own: OwnWeights, company: Company) -> dict[str, bytes]:
    """Return the files of a model. It brings its networks along, and works when ours are new."""
    files = {"own.npz": own.file(company.columns)}
    for network in zoo.used_by(base()):
        files[f"{network.name}/{CARD}"] = (network.folder / CARD).read_bytes()
        files[f"{network.name}/{network.data['weights']['file']}"] = network.weights()
    return files


def _calibration() -> np.ndarray:
    """Return slopes and offsets of the bundled model's labels [shape=(2, n_bundled)]."""
    return np.array([(c.slope, c.offset) for c in base().calibrated_labels]).T


def rows_of(company: Company) -> np.ndarray:
    """Return the inputs for the sample's tracks [shape=(n, n_inputs)]."""
    slopes, offsets = _calibration()
    said = np.clip(company.logits * slopes + offsets, -SURE, SURE)
    return np.concatenate([company.components, said], axis=1)


def _rows(examples: Iterable[Example], columns: np.ndarray) -> np.ndarray:
    look = EmbeddingInputs([musicnn(), yamnet()], base().data["inputs"])

    def seen(example: Example) -> np.ndarray:
        components = _weights().components(example.looked_at(look)[None])
        slopes, offsets = _calibration()
        said = np.clip(_weights().logits(components) * slopes + offsets, -SURE, SURE)
        return np.concatenate([components[0, columns], said[0]])

    return np.stack([example.view("own", seen) for example in examples])


def _has(genres: Sequence[str], label: str) -> float:
    """Return 1 or 0; NaN for a genre above or below one that the track has."""
    if label in genres:
        return 1.0
    return np.nan if any(_kin(genre, label) for genre in genres) else 0.0


@cache
def _kin(one: str, other: str) -> bool:
    """Tell whether names mean the same, or one is above the other in the vocabulary."""
    lines = [{same_name(name) for name in lineage(genre)} for genre in (one, other)]
    return same_name(one) in lines[1] or same_name(other) in lines[0]


def _related(labels: Sequence[str], table: np.ndarray, logits: np.ndarray) -> list[frozenset[str]]:
    """Return for each label the genres that its tracks may have, by name or by what is heard."""
    names = {*base().labels, *vocabulary()}
    found = []
    for j, label in enumerate(labels):
        mine = table[:, j] == 1
        heard = sigmoid(logits[mine]).mean(axis=0) if mine.any() else np.zeros(len(base().labels))
        related = {name for name in names if _kin(name, label)}
        related |= {name for name, p in zip(base().labels, heard, strict=True) if p >= BELONGS}
        found.append(frozenset(related))
    return found
