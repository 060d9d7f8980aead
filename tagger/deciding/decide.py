"""Decides what to do with a file, and why, from its prediction, its tags and the policy.

All rules about a user's library are here, in one function without side effects. It depends on
neither files, containers nor models.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import lru_cache, partial
from itertools import takewhile
from math import isinf
from typing import TYPE_CHECKING

from tagger.containers.write import Change
from tagger.deciding.genre_map import GenreMap
from tagger.deciding.options import Album, Detail, Existing
from tagger.deciding.second_opinion import disputed
from tagger.genres.placeholders import Placeholders
from tagger.genres.profiles import PROFILES, Profile
from tagger.models.prediction import mean_of
from tagger.system.errors import ConfigurationError

if TYPE_CHECKING:
    from tagger.containers.read import TagState
    from tagger.models.prediction import Mood, Prediction

# At the end of a comment.
_GTAGS_COMMENT = re.compile(r"\s*\[gtag: [^\]]*\]\s*$")
# Where the best of independent genres is less probable, the track has none of them.
NONE_BELOW = 0.5


class Status(StrEnum):
    """What became of a file: the `status` column of the report."""

    WRITTEN = "written"
    WOULD_WRITE = "would-write"
    UNCHANGED = "unchanged"
    KEPT = "kept"
    UNSURE = "unsure"
    CUE_TRACK = "cue-track"  # a part of a file, whose tags are the file's
    UNREADABLE = "unreadable"
    REFUSED = "refused"
    FAILED = "failed"

    @classmethod
    def _missing_(cls, value: object) -> Status | None:
        return cls.CUE_TRACK if value == "heard" else None  # as reports called it before

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
    aim : float or None
        The share of what is named that has to be right, for which each genre of the model has a
        threshold.
    detail : {"genre", "style", "both"}
        Whether a genre's style is named instead, or after it, where one is probable enough.
    album : {"off", "vote", "one"}
        Whether tracks of an album get the genre that most of them have, or all of them one.
    genre_map : GenreMap
        Which names mean the same. Predictions are in its names already, see `read`.
    profile : Profile
        The program that reads the tags.
    mood : bool
        Whether the mood is written, too. One that a person wrote is always kept.
    comment : bool
        Whether the end of the comment says gtag's genre, too.

    Raises
    ------
    ConfigurationError
        More genres are to be written than the profile's program reads.
    """

    min_confidence: float | None = None
    existing: Existing = "keep"
    placeholders: Placeholders = field(default_factory=Placeholders)
    aim: float | None = None
    genres: int = 1
    detail: Detail = "genre"
    album: Album = "off"
    genre_map: GenreMap = field(default_factory=GenreMap)
    profile: Profile = field(default_factory=Profile)
    mood: bool = False
    comment: bool = False

    def __post_init__(self) -> None:
        if self.comment and not self.profile.shows_comments:
            programs = ", ".join(name for name, p in PROFILES.items() if p.shows_comments)
            raise ConfigurationError(
                "the genre goes into the comment only for programs that people read it in",
                hint=f"add --profile {programs}, or leave out --comment",
            )
        several = self.genres > 1 or self.existing == "append" or self.detail == "both"
        if several and not self.profile.several:
            raise ConfigurationError(
                f"{self.profile.program} reads only one genre of a file",
                hint="leave out --profile, or --genres, --existing append and --detail both",
            )

    def read(self, prediction: Prediction) -> Prediction:
        """Return a model's prediction with the thresholds of the aim, in the names of the genre
        map.

        Raises
        ------
        ConfigurationError
            The model was not measured for an aim.
        """
        if self.aim is not None:
            prediction = prediction.aimed(self.aim)
        return self.genre_map.of(prediction, self.detail)

    def threshold(self, prediction: Prediction, genre: str) -> float:
        """Return how probable a genre must be to be written."""
        own = self.min_confidence
        return prediction.threshold(genre) if own is None else own


@dataclass(frozen=True)
class Verdict:
    """The genre of a track by its album, which replaces its own prediction.

    Attributes
    ----------
    genre : str or None
        A genre or a style; `decide` adds what is above it where both are named. None: no genre is
        probable enough.
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
        Of the genre only for the status `would-write`; of the mood for any.
    genres : tuple of str
        What is named, by the track's album where that decided: genres or styles, most probable
        first; a genre stands before its style.
    confidence : float or None
        Of the first; where its style is named after it, of the style.
    old_genres : tuple of str
        What the tags say.
    own_confidence : float or None
        How probable a person's genre is where a sure prediction disagrees with it; else None.
    mood : Mood or None
        Of the track, where it is asked for and can be told.
    old_mood : str
        What the tags say, where the mood is asked for.
    """

    status: Status
    reason: str
    change: Change | None = None
    genres: tuple[str, ...] = ()
    confidence: float | None = None
    old_genres: tuple[str, ...] = ()
    own_confidence: float | None = None
    mood: Mood | None = None
    old_mood: str = ""


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
    >>> from tagger.containers.read import TagState
    >>> jazz = Prediction(("Jazz", "Rock"), np.array([0.9, 0.1]), "my-model-1")
    >>> print(decide(jazz, TagState(), Policy()).status)
    would-write
    >>> print(decide(jazz, TagState(genres=("Bebop",)), Policy()).reason)
    a person wrote Bebop
    """
    decision = _of_genre(prediction, tags, policy, album)
    if policy.comment and decision.status in (Status.WOULD_WRITE, Status.UNCHANGED):
        decision = _with_comment(decision, tags, policy)
    return _with_mood(decision, prediction, tags, policy) if policy.mood else decision


def _with_comment(decision: Decision, tags: TagState, policy: Policy) -> Decision:
    """Let the end of the comment say what is gtag's in the genre field."""
    if len(tags.comments) > 1:
        return decision  # which of them would be seen is not known
    old = "".join(tags.comments)
    new = f"{_GTAGS_COMMENT.sub('', old)} [gtag: {_listed(decision.genres)}]".strip()
    if new == old:
        return decision
    change = decision.change or Change(None, id3_version=policy.profile.id3_version)
    return replace(decision, change=replace(change, comment=new))


def _with_mood(
    decision: Decision, prediction: Prediction | None, tags: TagState, policy: Policy
) -> Decision:
    """Add the mood to what was decided, where it is sure and no person wrote one."""
    mood = None if prediction is None or is_doubted(prediction, policy) else prediction.mood
    decision = replace(decision, mood=mood, old_mood=_listed(tags.moods))
    if mood is None or tags.user_moods or not mood.is_sure:
        return decision
    if tags.moods == tags.gtag_mood == (mood.name,):
        return decision
    change = decision.change
    if change is None:
        # In a tag that is made for the mood, the genre of the hidden ones would be missed.
        hidden = tuple(genre for _, genres in tags.hidden for genre in genres)
        genres = None if tags.genres or not hidden else hidden
        change = Change(genres, id3_version=policy.profile.id3_version)
    reason = f"{decision.reason}; mood {mood.name} {mood.confidence:.2f}"
    return replace(decision, change=replace(change, mood=mood.name), reason=reason)


def _of_genre(
    prediction: Prediction | None, tags: TagState, policy: Policy, album: Verdict | None
) -> Decision:
    """Decide about the genre alone."""
    # A file whose genre is only where few programs read it has a genre all the same.
    decision = partial(Decision, old_genres=tags.genres or tags.user_genres)
    if prediction is None:
        return decision(Status.UNSURE, "no sound to classify")
    confidences, confidence = names_of(prediction, policy, album)
    names = tuple(confidences)
    user_genres = policy.placeholders.without(tags.user_genres)
    decision = partial(decision, genres=names, confidence=confidence)
    if user_genres and policy.existing not in ("replace", "append"):  # whatever else: keep
        reason, own = f"a person wrote {_listed(user_genres)}", None
        if not is_doubted(prediction, policy):
            own = disputed(prediction, names, user_genres, policy.genre_map)
        if own is not None:
            reason += f" ({own:.2f}); it sounds like {_listed(names)} {confidence:.2f}"
        return decision(Status.KEPT, reason, own_confidence=own)
    guesses = (
        f"{prediction.genre} {prediction.confidence:.2f} or {prediction.runner_up} "
        f"{prediction.runner_up_confidence:.2f}"
    )
    if is_doubted(prediction, policy):
        return decision(Status.UNSURE, f"{prediction.non_music_reason}; if it is music: {guesses}")
    if not names:
        if album is not None:
            reason = f"{guesses}; {album.reason}"
        elif prediction.dropped:
            reason = f"the genre map drops {prediction.dropped}; {guesses}"
        elif prediction.independent and prediction.confidence < NONE_BELOW:
            reason = f"sounds like none of the genres of {prediction.model}; {guesses}"
        else:
            needed = policy.threshold(prediction, prediction.genre)
            reason = f"{guesses}; the threshold is {needed:.2f}"
            if isinf(needed):
                reason = f"{guesses}; {prediction.model} reaches no such aim for {prediction.genre}"
        return decision(Status.UNSURE, reason)
    if policy.existing == "append":
        key = policy.genre_map.key
        written = {*map(key, user_genres)}
        new_names = tuple(name for name in names if key(name) not in written)
        if user_genres and not new_names:
            return decision(Status.KEPT, f"a person wrote {_listed(names)} already")
        names = new_names

    by_album = f"; {album.genre} {album.confidence:.2f}, {album.reason}" if album else ""
    appended_to = user_genres if policy.existing == "append" else ()
    genres = (*appended_to, *names)
    if (
        set(tags.genres) == set(genres)
        and not (policy.existing == "replace" and user_genres)
        and set(tags.gtag_genre) == set(names)
        and tags.gtag_model == prediction.model
    ):
        before = f"{prediction.model} wrote {_listed(names)} before"
        return decision(Status.UNCHANGED, before + by_album)
    return decision(
        Status.WOULD_WRITE,
        _why_written(tags, user_genres, appended=bool(appended_to)) + by_album,
        Change(
            genres=genres,
            gtag_genre=names,
            confidence=confidences[names[0]],
            model=prediction.model,
            id3_version=policy.profile.id3_version,
        ),
    )


def agreed(
    predictions: Sequence[Prediction | None], policy: Policy
) -> tuple[Prediction | None, str]:
    """Return one prediction for the tracks of one file, which has one genre field for all of them.

    They agree where the confident predictions, at least half of them, name one genre first.

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
    by_genre = replace(policy, detail="genre")
    votes = Counter(named_genres(p, by_genre)[0][0] for p in sure)
    counted = [f"{genre} {n}" for genre, n in votes.most_common()]
    if len(sure) < len(predictions):
        counted.append(f"unsure {len(predictions) - len(sure)}")
    tracks, counts = f"its {len(predictions)} tracks", ", ".join(counted)
    if len(votes) != 1 or 2 * len(sure) < len(predictions):
        return None, f"{tracks} do not agree: {counts}"
    return mean_of(sure), f"{tracks}: {counts}"


def is_doubted(prediction: Prediction, policy: Policy) -> bool:
    """Tell whether it is probably not music; with a minimum confidence of 0 it is named anyway."""
    return bool(prediction.non_music_reason) and policy.min_confidence != 0


@lru_cache(maxsize=256)  # asked by the album, for the decision and for the row
def named_genres(prediction: Prediction, policy: Policy) -> tuple[tuple[str, float], ...]:
    """Return the genres to write with their probabilities; none if the best is not probable enough.

    A genre below another one, as Punk below Rock, stands before it where it is above its threshold:
    the more probable guess of Rock does not hide it. Where styles are named, too, what is below a
    genre takes its place.
    """
    lowest = prediction.lowest_threshold if policy.min_confidence is None else 0.0
    sure = {
        genre: probability
        for genre, probability in takewhile(lambda each: each[1] >= lowest, prediction.ranked())
        if probability >= policy.threshold(prediction, genre)
    }
    first = _first(prediction, policy, sure)
    named: dict[str, float] = {}
    for genre in dict.fromkeys((first, *sure)) if first else ():
        name, probability = _lowest(prediction, policy, genre)
        named.setdefault(name, probability)  # a genre map may give a style another genre's name
        if policy.detail == "genre" and genre in sure and len(named) < policy.genres:
            named.setdefault(genre, sure[genre])
        if len(named) == policy.genres:
            break
    return tuple(named.items())


def names_of(
    prediction: Prediction, policy: Policy, album: Verdict | None = None
) -> tuple[dict[str, float], float | None]:
    """Return all names to write with their probabilities, and the confidence in them.

    Those of `named_genres` or of the album's verdict; where both are named, what is above them,
    too.
    """
    named = named_genres(prediction, policy)
    if album is not None:
        named = () if album.genre is None else ((album.genre, album.confidence),)
    names = _with_what_is_above(prediction, named) if policy.detail == "both" else dict(named)
    return names, named[0][1] if named else None


def _first(prediction: Prediction, policy: Policy, sure: Mapping[str, float]) -> str | None:
    """Return the best genre, if it or one below it is above its threshold; else a sure one above
    it.

    Without independent probabilities a genre is less probable than the best, and never surer.
    """
    best = prediction.genre
    if best in sure or _is_sure_below(prediction, policy, best):
        return best
    above = prediction.above(best) if prediction.independent else ()
    return next((genre for genre in reversed(above) if genre in sure), None)


def _is_sure_below(prediction: Prediction, policy: Policy, genre: str) -> bool:
    at_least = policy.min_confidence or 0.0
    return prediction.style_of(genre, genres_only=True, at_least=at_least) is not None


def _lowest(prediction: Prediction, policy: Policy, genre: str) -> tuple[str, float]:
    """Return a genre, or the lowest of what is sure below it, with its probability."""
    name, probability = genre, next(p for label, p in prediction.ranked() if label == genre)
    while below := prediction.style_of(
        name, genres_only=policy.detail == "genre", at_least=policy.min_confidence or 0.0
    ):
        above, name, probability = name, below.name, below.probability
        if prediction.tree.get(name) != above:  # a style, with nothing below it
            break
    return name, probability


def _with_what_is_above(
    prediction: Prediction, named: Sequence[tuple[str, float]]
) -> dict[str, float]:
    """Return each name after those above it, which are as sure as it is."""
    all_names: dict[str, float] = {}
    for name, probability in named:
        for each in (*prediction.above(name), name):
            all_names.setdefault(each, probability)
    return all_names


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
