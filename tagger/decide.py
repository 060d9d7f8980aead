"""Prediction, existing tags and policy in; what to do with the file out, with the reason in words.

The whole judgement about a person's library stands here, in one function without side effects.
It must not know files, containers or models: only what was heard and what the tags say.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from tagger.genres import canonical
from tagger.placeholders import Placeholders
from tagger.tags.write import Change

if TYPE_CHECKING:
    from tagger.models.prediction import Prediction
    from tagger.tags.read import TagState

Existing = Literal["keep", "replace", "append"]


class Status(StrEnum):
    """What became of a file: the `status` column of the report."""

    WRITTEN = "written"
    WOULD_WRITE = "would-write"
    UNCHANGED = "unchanged"
    KEPT = "kept"
    UNSURE = "unsure"
    UNREADABLE = "unreadable"
    REFUSED = "refused"
    FAILED = "failed"

    @property
    def is_problem(self) -> bool:
        """Whether a command that met it ends with exit status 1."""
        return self in (Status.UNREADABLE, Status.REFUSED, Status.FAILED)


@dataclass(frozen=True)
class Policy:
    """How far gtag may go.

    Attributes
    ----------
    min_confidence : float
        Below this probability a file is left alone, and above 0 also what sounds like no music.
    existing : {"keep", "replace", "append"}
        What happens to a genre that a person wrote.
    placeholders : Placeholders
        Words that are no genre, and so no person's.
    """

    min_confidence: float
    existing: Existing = "keep"
    placeholders: Placeholders = field(default_factory=Placeholders)


@dataclass(frozen=True)
class Decision:
    """What to do with one file: `change` is there only for the status `would-write`."""

    status: Status
    reason: str
    change: Change | None = None


def decide(prediction: Prediction | None, tags: TagState, policy: Policy) -> Decision:
    """Decide what to do with one file.

    A genre that a person wrote is looked at first: where it is kept, it does not matter how
    sure the model is.

    Parameters
    ----------
    prediction : Prediction or None
        None where there was nothing to hear: such a file is never written.
    """
    if prediction is None:
        return Decision(Status.UNSURE, "nothing to hear")
    genre, persons = prediction.genre, policy.placeholders.without(tags.persons)
    if persons and policy.existing == "keep":
        return Decision(Status.KEPT, f"a person wrote {_listed(persons)}")
    guesses = (
        f"{genre} {prediction.confidence:.2f} or {prediction.runner_up} "
        f"{prediction.runner_up_confidence:.2f}"
    )
    if prediction.doubt and policy.min_confidence > 0:
        return Decision(Status.UNSURE, f"{prediction.doubt}; if it is: {guesses}")
    if prediction.confidence < policy.min_confidence:
        return Decision(Status.UNSURE, f"{guesses}; {policy.min_confidence:.2f} is asked for")
    if policy.existing == "append" and _key(genre) in map(_key, persons):
        return Decision(Status.KEPT, f"a person wrote {genre} already")

    appended_to = persons if policy.existing == "append" else ()
    genres = (*appended_to, genre)
    if (
        set(tags.genres) == set(genres)
        and not (policy.existing == "replace" and persons)
        and tags.gtag_genre == (genre,)
        and tags.gtag_model == prediction.model
    ):
        return Decision(Status.UNCHANGED, f"{prediction.model} wrote {genre} before")
    return Decision(
        Status.WOULD_WRITE,
        _why_written(tags, persons, appended=bool(appended_to)),
        Change(
            genres=genres,
            gtag_genre=(genre,),
            confidence=prediction.confidence,
            model=prediction.model,
        ),
    )


def _why_written(tags: TagState, persons: tuple[str, ...], *, appended: bool) -> str:
    if persons:
        verb = "added to" if appended else "in place of"
        return f"{verb} {_listed(persons)}"
    if tags.persons:
        return f"{_listed(tags.persons)} says no genre"
    if tags.genres and tags.gtag_genre:
        return f"{tags.gtag_model or 'gtag'} said {_listed(tags.gtag_genre)}"
    return "had no genre"


def _key(genre: str) -> str:
    return canonical(genre) or genre.casefold()


def _listed(genres: tuple[str, ...]) -> str:
    return "; ".join(genres)
