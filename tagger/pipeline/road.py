"""The road of every track: Track → Classified → Decision → TrackResult, one function a step.

`pipeline.classify` takes the first step, in a worker process or in this one: from a `Track` to
`Classified`. Here are those after it: `read` (in the policy's names), `decided` and `finished`.
Scan, watch, show, review, the Python API and beets all go this way; `pipeline.batch` does with
many tracks, and lets albums decide between the steps.

The fields of a `TrackResult` are the report's columns.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from tagger.containers.credits import Credits, read_credits
from tagger.containers.read import TagState, read_tags
from tagger.containers.write import Change, refuse_untagged
from tagger.deciding.decide import Decision, Policy, Status, Verdict, agreed, decide, names_of
from tagger.library.cue_sheet import unused_sheet
from tagger.library.walk import Track
from tagger.system.errors import GtagError, NothingToHearError, RefusedError, UnreadableError
from tagger.system.exhausted import what_ran_out

if TYPE_CHECKING:
    from tagger.models.prediction import Prediction
    from tagger.pipeline.cache import Cache
    from tagger.pipeline.classify import Classified

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrackResult:
    """The result of one track: a row of the report, its fields in the report's order.

    Attributes
    ----------
    genre : str
        What the track's own prediction names, whatever its album decided; where none is probable
        enough, the best guess.
    old_genre, new_genre : str
        The genres in the tags before and after, joined with ``; ``. After a dry run, what they
        would be.
    confidence, runner_up_confidence : float or None
        Calibrated probabilities; None without a prediction.
    message : str
        The reason for the status, and what the album decided.
    own_confidence : float or None
        How probable a person's genre is where a sure prediction disagrees with it; else None.
    mood : str
        The most probable one, where it was asked for.
    mood_confidence : float or None
    old_mood, new_mood : str
        The moods in the tags before and after, as for genres.
    named : str
        What gtag names, by the track's album where that decided, whether it is written or not.
    named_confidence : float or None
        In the first of them.
    wrote : bool
        No column: whether the file was written, be it for its mood alone.
    decision : Decision or None
        No column: what was decided, with its change. None in a result that was read from a report.
    """

    path: str
    status: Status
    genre: str = ""
    confidence: float | None = None
    runner_up: str = ""
    runner_up_confidence: float | None = None
    old_genre: str = ""
    new_genre: str = ""
    model: str = ""
    duration_s: float | None = None
    message: str = ""
    own_confidence: float | None = None
    mood: str = ""
    mood_confidence: float | None = None
    old_mood: str = ""
    new_mood: str = ""
    named: str = ""
    named_confidence: float | None = None
    wrote: bool = field(default=False, repr=False, compare=False)
    decision: Decision | None = field(default=None, repr=False, compare=False)


class TagsOf:
    """The tags of a track: from the cache, or read when first needed.

    Attributes
    ----------
    cached : (TagState, Credits) or None
    """

    def __init__(self, track: Track, cache: Cache | None = None) -> None:
        self._track = track
        self.cached = cache.tags_of(track) if cache else None

    @cached_property
    def state(self) -> TagState:
        """Raises UnreadableError where they cannot be read."""
        assert self._track.format is not None, "an unrecognised file has no tags"
        return self.cached[0] if self.cached else read_tags(self._track.path, self._track.format)

    @cached_property
    def credits(self) -> Credits:
        if self.cached:
            return self.cached[1]
        format = self._track.format
        return Credits() if format is None else read_credits(self._track.path, format)

    def read_again(self) -> None:
        """Ignore the cache: read `state` from the file."""
        self.cached = None
        self.__dict__.pop("state", None)


def read(classified: Classified, policy: Policy) -> Classified:
    """Return what was classified as the policy reads it: its names, its thresholds.

    The tracks of a cue sheet get one prediction in common, or an error that says how they differ.
    """
    if classified.sheet is None:
        said = classified.prediction
        mapped = said and policy.read(said)
        return classified if mapped is said else replace(classified, prediction=mapped)
    parts = tuple(read(part, policy) for part in classified.parts)
    prediction, counts = agreed([part.prediction for part in parts], policy)
    counts = f"{counts} ({Path(classified.sheet.path).name})"
    if prediction is None:
        return replace(classified, parts=parts, error=NothingToHearError(counts))
    return replace(classified, parts=parts, prediction=prediction, remark=counts)


def decided(
    track: Track,
    classified: Classified,
    tags: TagsOf | None,
    policy: Policy,
    verdict: Verdict | None = None,
    *,
    writes: bool = False,
) -> Decision:
    """Decide about a track; what cannot be read or is refused is a decision, too.

    Parameters
    ----------
    classified : Classified
        As `read` returns it.
    tags : TagsOf or None
        None: as if the file had none, and could get some.
    verdict : Verdict, optional
        What its album decided.
    writes : bool
        Whether a change will be written: then it is decided by the file, not by cached tags.
    """
    error = classified.error
    if classified.traceback:
        log.error("unexpected error at %r:\n%s", track.path, classified.traceback)
    if classified.prediction is None and not isinstance(error, NothingToHearError):
        return Decision(Status.UNREADABLE, _message(error))
    try:
        if tags is not None:
            assert track.format is not None, "an unrecognised file is never classified"
            refuse_untagged(track.format, track.path)
        state = TagState() if tags is None else tags.state
        decision = decide(classified.prediction, state, policy, verdict)
        if writes and decision.change is not None and tags is not None and tags.cached:
            tags.read_again()
            decision = decide(classified.prediction, tags.state, policy, verdict)
    except Exception as failure:
        return failed(failure)
    reasons = [_message(error)] if error else [decision.reason, classified.remark]
    if tags is not None and classified.sheet is None:
        reasons.append(unused_sheet(track.path))
    reason = "; ".join(filter(None, reasons))
    return decision if reason == decision.reason else replace(decision, reason=reason)


def failed(error: Exception) -> Decision:
    """Return the decision about a track that cannot be decided about."""
    return Decision(_failure(error, Status.UNREADABLE), _message(error))


def finished(
    track: Track,
    classified: Classified,
    decision: Decision,
    policy: Policy,
    *,
    write: Callable[[Track, Change], str | None] | None = None,
    rehearse: Callable[[Track, Change], None] | None = None,
) -> TrackResult:
    """Write a decision's change, if there is one, and return the result: a row of the report.

    Parameters
    ----------
    write, rehearse : callable, optional
        As `tagger.pipeline.batch.track_results` takes them.
    """
    status, reason, change = decision.status, decision.reason, decision.change
    new, new_mood, wrote = decision.old_genres, decision.old_mood, False
    if change is not None:
        try:
            if write is not None:
                reason = "; ".join(filter(None, (reason, write(track, change))))
                status = Status.WRITTEN if status is Status.WOULD_WRITE else status
                wrote = True
            elif rehearse is not None:
                rehearse(track, change)
            new = new if change.genres is None else change.genres
            new_mood = change.mood or new_mood
        except Exception as failure:
            status, reason = _failure(failure, Status.FAILED), _message(failure)
    prediction, mood = classified.prediction, decision.mood
    return TrackResult(
        track.path,
        status,
        *(_guesses(prediction, policy) if prediction else ("", None, "", None)),
        old_genre="; ".join(decision.old_genres),
        new_genre="; ".join(new),
        model=prediction.model if prediction else "",
        duration_s=classified.duration_s,
        message=reason,
        own_confidence=decision.own_confidence,
        mood=mood.name if mood else "",
        mood_confidence=mood.confidence if mood else None,
        old_mood=decision.old_mood,
        new_mood=new_mood,
        named="; ".join(decision.genres),
        named_confidence=decision.confidence if decision.genres else None,
        wrote=wrote,
        decision=decision,
    )


def cue_tracks(classified: Classified, policy: Policy) -> Iterator[TrackResult]:
    """Yield a result for each track of a cue sheet, under the path that MPD uses."""
    if classified.sheet is None:
        return
    for cue, part in zip(classified.sheet.tracks, classified.parts, strict=True):
        track = Track(f"{classified.sheet.path}/track{cue.number:04}", None)
        decision = decided(track, part, None, policy)
        if decision.status is not Status.UNREADABLE:
            names = decision.status is Status.WOULD_WRITE
            named = f"named {'; '.join(decision.genres)}" if names else decision.reason
            reason = f"{cue.title}: {named}" if cue.title else named
            decision = replace(decision, status=Status.CUE_TRACK, reason=reason, change=None)
        yield finished(track, part, decision, policy)


def _guesses(prediction: Prediction, policy: Policy) -> tuple[str, float | None, str, float | None]:
    """Return the track's own best guess and the next one, whatever its album decided."""
    best, second = (*prediction.ranked(), ("", None))[:2]
    named, confidence = names_of(prediction, policy)
    if not named:
        return *best, *second
    if best[0] not in named and next(iter(named)) == second[0]:  # in place of the genre above it
        second = best
    return "; ".join(named), confidence, *second


def _failure(error: Exception, otherwise: Status) -> Status:
    if isinstance(error, RefusedError):
        return Status.REFUSED
    return Status.UNREADABLE if isinstance(error, UnreadableError) else otherwise


def _message(error: Exception | None) -> str:
    """Format an error without the path, which has a column of its own."""
    if isinstance(error, GtagError):
        return error.message if error.hint is None else f"{error.message} ({error.hint})"
    log.error("unexpected: %r", error, exc_info=error)
    lacking = what_ran_out(error) if error else None
    if lacking is not None:
        return f"{lacking.message} ({lacking.hint})"
    return f"{type(error).__name__}: {error}"
