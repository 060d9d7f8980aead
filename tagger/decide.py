"""Decides what to do with a file, and why, from its prediction, its tags and the policy.

All rules about a user's library are here, in one function without side effects. It depends on
neither files, containers nor models.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from tagger.errors import ConfigurationError
from tagger.genre_map import GenreMap
from tagger.options import Album, Detail, Existing
from tagger.placeholders import Placeholders
from tagger.profiles import Profile
from tagger.tags.write import Change

if TYPE_CHECKING:
    from tagger.models.prediction import Prediction
    from tagger.tags.read import TagState

# Where the best of independent genres is less probable, the track has none of them.
NONE_BELOW = 0.5


class Status(StrEnum):
    """What became of a file: the `status` column of the report."""

    WRITTEN = "written"
    WOULD_WRITE = "would-write"
    UNCHANGED = "unchanged"
    KEPT = "kept"
    UNSURE = "unsure"
    HEARD = "heard"  # a part of a file, whose tags are the file's
    UNREADABLE = "unreadable"
    REFUSED = "refused"
    FAILED = "failed"

    @property
    def is_problem(self) -> bool:
        """Whether a command that met it ends with exit status 1."""
        return self in (Status.UNREADABLE, Status.REFUSED, Status.FAILED)


@dataclass(frozen=True)
class Policy:
    """What gtag writes.

    Attributes
    ----------
    min_confidence : float or None
        Below this probability a file is left alone; above 0, what is not music is, too. None: the
        model's own threshold for each genre.
    existing : {"keep", "replace", "append"}
        What happens to a genre that a person wrote.
    placeholders : Placeholders
        Words that do not count as a genre.
    genres : int
        The most genres that are named.
    detail : {"genre", "style"}
        Whether a genre's style is named instead, where one is probable enough.
    album : {"off", "vote", "one"}
        Whether tracks of an album get the genre that most of them have, or all of them one.
    genre_map : GenreMap
        Which names mean the same. Predictions are in its names already, see `GenreMap.of`.
    profile : Profile
        The program that reads the tags.

    Raises
    ------
    ConfigurationError
        More genres are to be written than the profile's program reads.
    """

    min_confidence: float | None = None
    existing: Existing = "keep"
    placeholders: Placeholders = field(default_factory=Placeholders)
    genres: int = 1
    detail: Detail = "genre"
    album: Album = "off"
    genre_map: GenreMap = field(default_factory=GenreMap)
    profile: Profile = field(default_factory=Profile)

    def __post_init__(self) -> None:
        if not self.profile.several and (self.genres > 1 or self.existing == "append"):
            raise ConfigurationError(
                f"{self.profile.program} reads only one genre of a file",
                hint="leave out --profile, or both --genres and --existing append",
            )

    def threshold(self, prediction: Prediction, genre: str) -> float:
        """How probable a genre must be."""
        own = self.min_confidence
        return prediction.threshold(genre) if own is None else own


@dataclass(frozen=True)
class Verdict:
    """The genre of a track by its album, which replaces its own prediction.

    Attributes
    ----------
    genre : str or None
        A genre or a style. None: no genre is probable enough.
    confidence : float
        Mean over the album.
    reason : str
    """

    genre: str | None
    confidence: float
    reason: str


@dataclass(frozen=True)
class Decision:
    """What to do with one file.

    Attributes
    ----------
    status : Status
    reason : str
    change : Change or None
        Only for the status `would-write`.
    genres : tuple of str
        The predicted genres or styles, most probable first.
    confidence : float or None
        Of the first.
    """

    status: Status
    reason: str
    change: Change | None = None
    genres: tuple[str, ...] = ()
    confidence: float | None = None


def decide(
    prediction: Prediction | None, tags: TagState, policy: Policy, album: Verdict | None = None
) -> Decision:
    """Decide what to do with one file.

    A genre that a person wrote comes first: where it is kept, the model's confidence does not
    matter.

    Parameters
    ----------
    prediction : Prediction or None
        None for a silent file, which is never written.
    album : Verdict, optional
        Replaces the predicted genres; what is not music stays unsure.

    Examples
    --------
    >>> import numpy as np
    >>> from tagger.models.prediction import Prediction
    >>> from tagger.tags.read import TagState
    >>> jazz = Prediction(("Jazz", "Rock"), np.array([0.9, 0.1]), "my-model-1")
    >>> print(decide(jazz, TagState(), Policy()).status)
    would-write
    >>> print(decide(jazz, TagState(genres=("Bebop",)), Policy()).reason)
    a person wrote Bebop
    """
    if prediction is None:
        return Decision(Status.UNSURE, "no sound to classify")
    named = named_genres(prediction, policy)
    if album is not None:
        named = [] if album.genre is None else [(album.genre, album.confidence)]
    names = tuple(name for name, _ in named)
    user_genres = policy.placeholders.without(tags.user_genres)
    decision = partial(Decision, genres=names, confidence=named[0][1] if named else None)
    if user_genres and policy.existing not in ("replace", "append"):  # whatever else: keep
        return decision(Status.KEPT, f"a person wrote {_listed(user_genres)}")
    guesses = (
        f"{prediction.genre} {prediction.confidence:.2f} or {prediction.runner_up} "
        f"{prediction.runner_up_confidence:.2f}"
    )
    if is_doubted(prediction, policy):
        return decision(Status.UNSURE, f"{prediction.non_music_reason}; if it is music: {guesses}")
    if not named:
        if album is not None:
            reason = f"{guesses}; {album.reason}"
        elif prediction.dropped:
            reason = f"the genre map drops {prediction.dropped}; {guesses}"
        elif prediction.independent and prediction.confidence < NONE_BELOW:
            reason = f"sounds like none of the genres of {prediction.model}; {guesses}"
        else:
            needed = policy.threshold(prediction, prediction.genre)
            reason = f"{guesses}; the threshold is {needed:.2f}"
        return decision(Status.UNSURE, reason)
    if policy.existing == "append":
        key = policy.genre_map.key
        written = {*map(key, user_genres)}
        new_names = tuple(name for name in names if key(name) not in written)
        if user_genres and not new_names:
            return decision(Status.KEPT, f"a person wrote {_listed(names)} already")
        names = new_names

    appended_to = user_genres if policy.existing == "append" else ()
    genres = (*appended_to, *names)
    if (
        set(tags.genres) == set(genres)
        and not (policy.existing == "replace" and user_genres)
        and set(tags.gtag_genre) == set(names)
        and tags.gtag_model == prediction.model
    ):
        return decision(Status.UNCHANGED, f"{prediction.model} wrote {_listed(names)} before")
    return decision(
        Status.WOULD_WRITE,
        _why_written(tags, user_genres, appended=bool(appended_to))
        + (f"; {album.reason}" if album else ""),
        Change(
            genres=genres,
            gtag_genre=names,
            confidence=dict(named)[names[0]],
            model=prediction.model,
            id3_version=policy.profile.id3_version,
        ),
    )


def agreed(
    predictions: Sequence[Prediction | None], policy: Policy
) -> tuple[Prediction | None, str]:
    """One prediction for the tracks of one file, which has one genre field for all of them.

    They agree where the confident predictions, at least half of them, have one best genre.

    Parameters
    ----------
    predictions : sequence of Prediction or None
        Of each track; None for silence.

    Returns
    -------
    Prediction or None
        The mean of the confident ones. None: they do not agree.
    str
        How many tracks have each genre.
    """
    sure = [p for p in predictions if p and not is_doubted(p, policy) and named_genres(p, policy)]
    votes = Counter(p.genre for p in sure)
    counted = [f"{genre} {n}" for genre, n in votes.most_common()]
    if len(sure) < len(predictions):
        counted.append(f"unsure {len(predictions) - len(sure)}")
    tracks, counts = f"its {len(predictions)} tracks", ", ".join(counted)
    if len(votes) != 1 or 2 * len(sure) < len(predictions):
        return None, f"{tracks} do not agree: {counts}"
    styles = [
        replace(style, probability=sum(p.probability_of(style.name) for p in sure) / len(sure))
        for style in sure[0].styles
    ]
    mean = replace(
        sure[0],
        probabilities=np.mean([p.probabilities for p in sure], axis=0),
        styles=tuple(sorted(styles, key=lambda style: -style.probability)),
        chunk_probabilities=None,
        chunk_starts_s=None,
        non_music_reason="",
    )
    return mean, f"{tracks}: {counts}"


def is_doubted(prediction: Prediction, policy: Policy) -> bool:
    """Whether it is probably not music; with a minimum confidence of 0 it is named anyway."""
    return bool(prediction.non_music_reason) and policy.min_confidence != 0


def named_genres(prediction: Prediction, policy: Policy) -> list[tuple[str, float]]:
    """The genres to write with their probabilities; none if the best is not probable enough."""
    named: dict[str, float] = {}
    for genre, probability in prediction.ranked():
        if probability < policy.threshold(prediction, genre):
            if not named:
                return []
            continue
        style = prediction.style_of(genre) if policy.detail == "style" else None
        name, probable = (style.name, style.probability) if style else (genre, probability)
        named.setdefault(name, probable)  # a genre map may give a style the name of another genre
        if len(named) == policy.genres:
            break
    return list(named.items())


def _why_written(tags: TagState, user_genres: tuple[str, ...], *, appended: bool) -> str:
    if user_genres:
        verb = "added to" if appended else "in place of"
        return f"{verb} {_listed(user_genres)}"
    if tags.user_genres:
        return f"{_listed(tags.user_genres)} is a placeholder"
    if tags.genres and tags.gtag_genre:
        return f"{tags.gtag_model or 'gtag'} wrote {_listed(tags.gtag_genre)}"
    return "had no genre"


def _listed(genres: tuple[str, ...]) -> str:
    return "; ".join(genres)
