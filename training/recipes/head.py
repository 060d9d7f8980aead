"""A linear head on a pretrained network's embedding: a person's own genres in a minute.

The network, trained on 200,000 songs, stays as it is; only multinomial logistic regression is
fitted, its regularisation chosen on artists set aside. Needs no TensorFlow.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from tagger.models.card import CARD
from tagger.models.head import EMBEDDING, NARROW, EmbeddingInputs
from tagger.models.linear import LinearWeights
from tagger.training.data.datasets import Example, labels_of, musicnn, targets
from tagger.training.recipes.fitting import Fitted, Settings
from tagger.training.recipes.on_features import fit_regression

# With some hundred tracks the embedding alone serves better: figures are in docs/experiments.md.
VARIANTS: dict[str, tuple[str, ...]] = {"embedding": (EMBEDDING,), "all": (EMBEDDING, NARROW)}


def fit(examples: Sequence[Example], settings: Settings) -> Fitted:
    """Embed each example by the backbone, then fit the head.

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
    rows = _rows(settings.bar(examples, unit="tracks"), inputs)
    labels = labels_of(examples)
    content, training = fit_regression(rows, targets(examples, labels), examples, settings.seed)
    network = musicnn().card
    card = {
        "kind": "head",
        "backbone": network.tag,
        "inputs": list(inputs),
        "training": training,
        "learned_from": network.data.get("learned_from", []),
    }
    # The head brings its backbone along: it works on when gtag's own one has been replaced.
    weights = {
        "head.npz": content,
        f"{network.name}/{CARD}": (network.folder / CARD).read_bytes(),
        f"{network.name}/{network.data['weights']['file']}": network.weights(),
    }
    linear = LinearWeights(content)
    return Fitted(labels, lambda asked: linear(_rows(asked, inputs)), card, weights)


def _rows(examples: Iterable[Example], inputs: tuple[str, ...]) -> np.ndarray:
    """Return the inputs of a head for each example [shape=(n_examples, n_inputs)]."""
    look = EmbeddingInputs([musicnn()], inputs)
    return np.stack([e.view(f"head {inputs}", lambda e: e.looked_at(look)) for e in examples])
