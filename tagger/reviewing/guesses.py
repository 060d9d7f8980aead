"""What the model says of a track that is asked about: its guesses, and which one Enter takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tagger.deciding.decide import is_doubted
from tagger.models.prediction import Prediction
from tagger.pipeline.classify import classifier, classify_track
from tagger.pipeline.road import read
from tagger.pipeline.scanning import Scanning
from tagger.reviewing.review import Question
from tagger.sound.native_messages import native_messages_hidden

MOST = 5
# A less probable guess is named, but not accepted by one key.
_WORTH_A_KEY = 0.1


@dataclass(frozen=True)
class Guesses:
    """The best guesses about a track.

    Attributes
    ----------
    named : sequence of (str, float)
        Genres with their probabilities, the best first.
    accepted : str
        The one that Enter takes; empty where none is worth it: no music, or none is probable.
    prediction : Prediction or None
        None: the track cannot be read, or is silent.
    """

    named: Sequence[tuple[str, float]]
    accepted: str
    prediction: Prediction | None


def names_of_model(scanning: Scanning) -> list[str]:
    """Return the genres that a scan names: the model's, in the words of the genre map."""
    labels = classifier(scanning.model).card.labels
    return list(dict.fromkeys(filter(None, map(scanning.policy.genre_map, labels))))


def guesses(question: Question, scanning: Scanning, *, over_time: bool = False) -> Guesses:
    """Classify a track anew, since a report has but two guesses; else return those.

    Parameters
    ----------
    over_time : bool
        As `classify_track` takes it.
    """
    with native_messages_hidden():
        classified = classify_track(scanning.model, question.track, over_time=over_time)
    result, policy = question.result, scanning.policy
    prediction = read(classified, policy).prediction
    reported = (
        (result.genre, result.confidence),
        (result.runner_up, result.runner_up_confidence),
    )
    named = prediction.ranked()[:MOST] if prediction else []
    named = named or [(genre, p) for genre, p in reported if genre and p is not None]
    music = prediction is None or not is_doubted(prediction, policy)
    worth = music and bool(named) and named[0][1] >= _WORTH_A_KEY
    return Guesses(named, named[0][0] if worth else "", prediction)
