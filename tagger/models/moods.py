"""The mood of a track: a linear model on what YAMNet says of it, whichever model names the genre.

YAMNet listens to every track anyway, to tell music from noise: a mood needs no other network.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from tagger.models.card import Card, read_card
from tagger.models.embeddings import mean_embedding, mean_logits
from tagger.models.linear import LinearWeights
from tagger.models.not_music import yamnet, yamnet_card
from tagger.models.prediction import Mood
from tagger.models.registry import bundled_folder
from tagger.models.track_features import TrackFeatures
from tagger.system.errors import ModelError

NAME, KIND = "moods", "moods"


def mood_of(features: TrackFeatures) -> Mood | None:
    """Return a track's mood; None of an archive's spectrogram, of which YAMNet can say nothing."""
    tag = yamnet_card().tag
    if not features.has_sound and not (tag in features.embeddings and tag in features.logits):
        return None
    said = probabilities(moods_card(), features)
    best = int(said.argmax())
    return a_mood(moods_card().labels[best], float(said[best]))


def probabilities(card: Card, features: TrackFeatures) -> np.ndarray:
    """Return the probability of each mood, which sum to 1 [shape=(n_moods,)].

    Raises
    ------
    ModelError
        The model is damaged.
    """
    tag = yamnet_card().tag
    embedding = features.embeddings.get(tag)
    if embedding is None:
        embedding = mean_embedding(yamnet(), features)
    logits = features.logits[tag] if tag in features.logits else mean_logits(yamnet(), features)
    row = np.concatenate([embedding, logits])
    weights = _weights(card.folder)
    card.need_outputs(weights.n_labels)
    if weights.n_inputs != len(row):
        raise ModelError("the weights do not fit YAMNet", path=card.folder)
    return np.asarray(np.exp(weights(row, temperature=card.temperature)))


def a_mood(name: str, confidence: float) -> Mood:
    """Return a mood with the threshold of the card; a name that it has not is never sure."""
    return Mood(name, confidence, thresholds().get(name, 2.0))


@cache
def moods_card() -> Card:
    """Return the card of the model of moods."""
    return read_card(bundled_folder() / NAME)


@cache
def thresholds() -> dict[str, float]:
    """Return the probability from which each mood is written."""
    return {str(table["name"]): float(table["threshold"]) for table in moods_card().data["mood"]}


@cache
def _weights(folder: Path) -> LinearWeights:
    return read_card(folder).load_weights(LinearWeights)
