"""Applies a report: writes the `new_genre` of its rows, which a person may have edited."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from dataclasses import replace

from tagger.containers.write import Change
from tagger.deciding.decide import Decision, Policy, Status
from tagger.library.walk import Track
from tagger.pipeline.classify import Classified
from tagger.pipeline.road import TrackResult, failed, finished
from tagger.reports.csv_report import escaped, read_report, unescaped
from tagger.reviewing.review import as_genres, found_again, refuse_no_names
from tagger.system.interrupt import Interrupts

_OF_GTAG = (Status.WRITTEN, Status.WOULD_WRITE)
_AS_IN_ROW = (
    *("genre", "confidence", "runner_up", "runner_up_confidence", "model", "duration_s"),
    *("own_confidence", "named", "named_confidence"),
)


def applied(
    report: str | os.PathLike[str],
    *,
    write: Callable[[Track, Change], str | None] | None = None,
    rehearse: Callable[[Track, Change], None] | None = None,
    interrupts: Interrupts | None = None,
) -> Generator[TrackResult, None, None]:
    """Yield a result for each row of a report whose `new_genre` is not its `old_genre`.

    An empty `new_genre` writes nothing. What stands there as gtag proposed it is written as gtag's
    own genre, everything else as the person's. A genre that somebody wrote into the file since is
    refused.

    Parameters
    ----------
    report : path-like
    write, rehearse, interrupts : optional
        As `tagger.pipeline.batch.track_results` takes them.

    Raises
    ------
    ConfigurationError
        It is not a report.
    """
    report, interrupts = os.fspath(report), interrupts or Interrupts()
    for _ in read_report(report):  # a mistake in it is told before anything is written
        pass
    for row in read_report(report):
        if row.new_genre == row.old_genre or not as_genres(row.new_genre):
            continue
        with interrupts.held():
            track, decision = _decided(row)
            made = finished(track, Classified(), decision, Policy(), write=write, rehearse=rehearse)
            yield replace(made, **{name: getattr(row, name) for name in _AS_IN_ROW})


def _decided(row: TrackResult) -> tuple[Track, Decision]:
    if row.status is Status.CUE_TRACK:
        reason = "is a part of a file: only the row of the file itself can be applied"
        return Track(row.path, None), Decision(Status.REFUSED, reason)
    try:
        track, tags = found_again(row.path)
        change = _change(row, tags.genres or tags.user_genres)
        genres = change.genres or ()
        refuse_no_names(tuple(g for g in genres if g not in tags.genres), track.path)
    except Exception as error:
        return Track(row.path, None), failed(error)
    now = tags.genres or tags.user_genres
    if tags.genres == genres:
        return track, Decision(Status.UNCHANGED, "its tags say so already", old_genres=now)
    theirs = "; ".join(tags.user_genres)
    if theirs and escaped(theirs) not in (row.old_genre, row.new_genre):
        reason = f"somebody wrote {theirs} since the report was made"
        return track, Decision(Status.REFUSED, reason, old_genres=now)
    reason = "as gtag proposed" if change.model else "as the report was edited"
    return track, Decision(Status.WOULD_WRITE, reason, change, old_genres=now)


def _genres(shown: str, there: tuple[str, ...]) -> tuple[str, ...]:
    """Return the genres of a cell; those that are in the tags stay exactly as they are there."""
    before, kept = escaped("; ".join(there)), there[:0]
    if there and f"{shown}; ".startswith(f"{before}; "):
        kept, shown = there, shown[len(before) :]
    exact = {escaped(name): name for name in there}
    names = (exact.get(name, unescaped(name)) for name in as_genres(shown, exact))
    return tuple(dict.fromkeys((*kept, *names)))


def _change(row: TrackResult, there: tuple[str, ...]) -> Change:
    """Return what a row says: gtag's own where it is what the scan named."""
    genres = _genres(row.new_genre, there)
    before = _genres(row.old_genre, there)
    added = genres[len(before) :] if genres[: len(before)] == before else genres
    named, confidence = row.named, row.named_confidence
    if not named:  # an older report has no such column
        named, confidence = row.genre, row.confidence
    if row.status in _OF_GTAG and row.model and added == _genres(named, there):
        return Change(genres, added, confidence, row.model)
    return Change(genres)
