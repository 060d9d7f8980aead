"""A linear head on a pretrained network's embedding: a person's own genres in a minute.

What the network learned from 200,000 songs is kept; only multinomial logistic regression is learned
anew, its regularisation chosen on artists set aside. Needs no TensorFlow.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from tqdm import tqdm

from tagger.errors import DataError
from tagger.models import zoo
from tagger.models.card import CARD
from tagger.models.head import EMBEDDING, NARROW, EmbeddingInputs
from tagger.models.linear import LinearWeights
from tagger.models.prediction import Embedder
from tagger.training.data.datasets import Example, labels_of, targets
from tagger.training.recipes import Settings
from tagger.training.recipes.logistic import Regression, fit_regression

BACKBONE = "musicnn"
# With some hundred tracks the embedding alone serves better: figures are in docs/experiments.md.
VARIANTS: dict[str, tuple[str, ...]] = {"embedding": (EMBEDDING,), "all": (EMBEDDING, NARROW)}


@dataclass(frozen=True)
class FittedHead:
    """A head in the form that `gtag scan` runs.

    Attributes
    ----------
    labels : tuple of str
    inputs : tuple of str
        Of `tagger.models.head.INPUTS`.
    regression : Regression
    """

    labels: tuple[str, ...]
    inputs: tuple[str, ...]
    regression: Regression

    def log_probabilities(self, examples: Sequence[Example]) -> np.ndarray:
        return LinearWeights(self.regression.weights)(_rows(examples, self.inputs))

    def export(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        """The head brings its backbone along: it works on when gtag's own one has been replaced."""
        backbone = _backbone().card
        card = {
            "kind": "head",
            "backbone": backbone.tag,
            "inputs": list(self.inputs),
            "training": self.regression.training,
            "learned_from": backbone.data.get("learned_from", []),
        }
        return card, {
            "head.npz": self.regression.weights,
            f"{backbone.name}/{CARD}": (backbone.folder / CARD).read_bytes(),
            f"{backbone.name}/{backbone.data['weights']['file']}": backbone.weights(),
        }


def fit(examples: Sequence[Example], settings: Settings) -> FittedHead:
    """Ask the backbone about each example, then learn the head.

    Parameters
    ----------
    examples : sequence of Example
        With spectrograms.
    settings : Settings
        `variant` is ``embedding`` (its mean over the track) or ``all`` (also statistics of the
        log-mel spectrogram below 7.4 kHz).

    Raises
    ------
    DataError
        Where an archive keeps no embedding of a track, and its sound is not there.
    """
    inputs = VARIANTS[settings.variant or "embedding"]
    bar = tqdm(
        examples,
        desc=settings.description or "head",
        unit="track",
        disable=None if settings.progress else True,
    )
    rows = _rows(bar, inputs)
    labels = labels_of(examples)
    regression = fit_regression(rows, targets(examples, labels), examples, seed=settings.seed)
    return FittedHead(labels, inputs, regression)


def _rows(examples: Iterable[Example], inputs: tuple[str, ...]) -> np.ndarray:
    """What a head sees of each example [shape=(n_examples, n_inputs)]."""

    def seen(example: Example) -> np.ndarray:
        try:
            return EmbeddingInputs(_backbone(), inputs)(example.track_features())
        except DataError as error:
            raise DataError(
                f"nothing keeps the embedding of {example.track} of {example.source}",
                hint="give folders of sound, or archives with musicnn.npz",
            ) from error

    return np.stack([example.view(f"head {inputs}", seen) for example in examples])


@cache
def _backbone() -> Embedder:
    return zoo.load_backbone(BACKBONE)
