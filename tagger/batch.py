"""The batch: listens to tracks, decides, writes where told to, and yields one Outcome a track.

Workers only listen. The parent alone reads tags, decides and writes, so that there is never more
than one write under way. It must not know the terminal, options or forms of reports.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from tagger.albums import album_verdicts, in_albums, is_album
from tagger.decide import Decision, Policy, Status, Verdict, agreed, decide
from tagger.errors import (
    GtagError,
    NothingToHearError,
    RefusedError,
    ResourceError,
    UnreadableError,
)
from tagger.exhausted import what_ran_out
from tagger.interrupt import Interrupts
from tagger.listen import Listened, classifier, listen
from tagger.native_messages import native_messages_hidden
from tagger.tags.credits import Credits, read_credits
from tagger.tags.read import TagState, read_tags
from tagger.tags.write import refuse_untagged
from tagger.workers import Lost, map_in_workers
from tagger.writing import Care, rehearsal, writer

if TYPE_CHECKING:
    from tagger.library import Library, Track
    from tagger.tags.write import Change

log = logging.getLogger(__name__)

# For one track. Excerpts are bounded: a healthy file on a slow network takes a few seconds.
DEADLINE_S = 60.0


@dataclass(frozen=True)
class Outcome:
    """What became of one track: one row of the report, its fields in the report's order.

    Attributes
    ----------
    genre : str
        What the model names; where it is too unsure to name anything, its best guess.
    old_genre, new_genre : str
        What the tags say before and after; several genres are joined with ``; ``. After a dry
        run, what they would say.
    confidence, runner_up_confidence : float or None
        Calibrated probabilities; None where nothing was heard.
    message : str
        The reason for the status, in words.
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


def scan(
    tracks: Iterable[Track],
    *,
    model: str,
    policy: Policy,
    write: Callable[[Track, Change], None] | None = None,
    rehearse: Callable[[Track], None] | None = None,
    jobs: int | None = None,
    deadline_s: float = DEADLINE_S,
    interrupts: Interrupts | None = None,
) -> Generator[Outcome, None, None]:
    """Yield one Outcome for each track, in their order.

    Behind a file that a cue sheet cuts into tracks come those, with the status `heard`.

    Parameters
    ----------
    tracks : iterable of Track
        Read only as far ahead as the workers need.
    model : str
        A name of the zoo, or a model's folder.
    write : callable, optional
        Writes one change into one file. Without it nothing is written.
    rehearse : callable, optional
        Called in its place where nothing is written: raises what writing would.
    jobs : int, optional
        Worker processes; by default one a core. 1, and a single track, run in this process.
    deadline_s : float
        A worker that listens longer to one track is ended, and the track is unreadable.
    interrupts : Interrupts, optional
        Held while a file is written and while the consumer of the outcome deals with it.

    Raises
    ------
    ResourceError
        The machine has too little of something to go on; the tracks before are settled.
    """
    interrupts = interrupts or Interrupts()
    heard = _usable(_listened(iter(tracks), model, jobs, deadline_s))
    for track, listened, verdict in _with_album(heard, policy):
        with interrupts.held():
            yield settled(track, listened, policy, verdict, write, rehearse)
        for row in _parts(listened, policy):
            with interrupts.held():
                yield row


def scan_library(
    library: Library,
    tracks: Iterable[Track] | None = None,
    *,
    model: str,
    policy: Policy,
    care: Care,
    writes: bool,
    journal: str | PathLike[str] | None = None,
    command: Sequence[str] = (),
    jobs: int | None = None,
    interrupts: Interrupts | None = None,
) -> Generator[Outcome, None, None]:
    """A whole run over a library, with its journal; dry unless `writes`. See `scan`.

    Parameters
    ----------
    library : Library
    tracks : iterable of Track, optional
        Those of the library's tracks that are scanned; by default all.
    care : Care
    writes : bool
    journal : path-like, optional
        By default the one that all of a person's runs share.
    command : sequence of str
        What `gtag undo --list` shows of the run.

    Raises
    ------
    ConfigurationError
        The journal or the model cannot be used: nothing was done.
    ResourceError
        The machine has too little of something to go on; the tracks before are settled.
    """
    write = rehearse = None
    with ExitStack() as stack:
        if writes:
            with native_messages_hidden():
                tag = classifier(model).card.tag
            write = stack.enter_context(
                writer(journal, care, command=command, model=tag, library=library)
            )
        else:
            rehearse = stack.enter_context(rehearsal(journal, care))
        yield from scan(
            library if tracks is None else tracks,
            model=model,
            policy=policy,
            write=write,
            rehearse=rehearse,
            jobs=jobs,
            interrupts=interrupts,
        )


def _usable(
    heard: Iterable[tuple[Track, Listened]],
) -> Iterator[tuple[Track, Listened]]:
    """The same, up to where the machine has too little of something to go on."""
    for track, listened in heard:
        if isinstance(listened.error, ResourceError):
            log.error("cannot go on at %r:\n%s", track.path, listened.traceback)
            raise listened.error
        yield track, listened


def _with_album(
    heard: Iterable[tuple[Track, Listened]], policy: Policy
) -> Iterator[tuple[Track, Listened, Verdict | None]]:
    """Each track, and what its album says of it: known when the album has been heard."""
    if policy.album == "off":
        yield from ((track, listened, None) for track, listened in heard)
        return
    albums = in_albums(heard, lambda item: item[0].path, lambda item: _credits(item[0]))
    for album in albums:
        verdicts: list[Verdict | None] = [None] * len(album)
        if is_album([credits for _, credits in album]):
            verdicts = album_verdicts([listened.prediction for (_, listened), _ in album], policy)
        for ((track, listened), _), verdict in zip(album, verdicts, strict=True):
            yield track, listened, verdict


def _credits(track: Track) -> Credits:
    return Credits() if track.format is None else read_credits(track.path, track.format)


def _listened(
    tracks: Iterator[Track], model: str, jobs: int | None, deadline_s: float
) -> Iterator[tuple[Track, Listened]]:
    workers = jobs or _cores()
    first = list(islice(tracks, max(workers, 2)))
    tracks = chain(first, tracks)
    if jobs == 1 or len(first) < 2:
        for track in tracks:
            with native_messages_hidden():
                listened = listen(model, track)
            yield track, listened
        return
    workers = min(workers, len(first))
    for track, result in map_in_workers(
        partial(listen, model), tracks, jobs=workers, deadline_s=deadline_s
    ):
        yield track, _lost(track, result) if isinstance(result, Lost) else result


def _cores() -> int:
    from loky import cpu_count

    return int(cpu_count())


def _lost(track: Track, lost: Lost) -> Listened:
    message = (
        f"the decoder did not come back within {lost.deadline_s:g} s"
        if lost.late
        else "the decoder crashed on it"
    )
    return Listened(error=UnreadableError(message, path=track.path))


def settled(
    track: Track,
    listened: Listened,
    policy: Policy,
    verdict: Verdict | None = None,
    write: Callable[[Track, Change], None] | None = None,
    rehearse: Callable[[Track], None] | None = None,
) -> Outcome:
    """Decide about one track that was listened to, and write where there is something to write."""
    if listened.traceback:
        log.error("unexpected, while listening to %r:\n%s", track.path, listened.traceback)
    listened, told = _in_common(listened, policy)
    row = partial(_row, track.path, listened)
    if listened.prediction is None and not isinstance(listened.error, NothingToHearError):
        return row(Status.UNREADABLE, message=_message(listened.error))
    assert track.format is not None, "nothing was heard of an unrecognised file"
    try:
        refuse_untagged(track.format, track.path)
        tags = read_tags(track.path, track.format)
    except Exception as error:
        return row(_failure(error, Status.UNREADABLE), message=_message(error))

    decision = decide(listened.prediction, tags, policy, verdict)
    reason = _message(listened.error) if listened.error else decision.reason + told
    row = partial(row, old=_before(tags), named=decision)
    if decision.change is None:
        return row(decision.status, message=reason)
    new = decision.change.genres
    try:
        if write is not None:
            write(track, decision.change)
        elif rehearse is not None:
            rehearse(track)
    except Exception as error:
        return row(_failure(error), message=_message(error))
    return row(Status.WOULD_WRITE if write is None else Status.WRITTEN, new=new, message=reason)


def _in_common(listened: Listened, policy: Policy) -> tuple[Listened, str]:
    """Of a file that a cue sheet cuts into tracks, one prediction, or why there is none."""
    if listened.sheet is None:
        return listened, ""
    prediction, told = agreed([part.prediction for part in listened.parts], policy)
    sheet = Path(listened.sheet.path).name
    if prediction is None:
        return replace(listened, error=NothingToHearError(f"{told} ({sheet})")), ""
    return replace(listened, prediction=prediction), f"; {told} ({sheet})"


def _parts(listened: Listened, policy: Policy) -> Iterator[Outcome]:
    """A row for each track that a cue sheet names, under the name that MPD gives it."""
    if listened.sheet is None:
        return
    for cue, part in zip(listened.sheet.tracks, listened.parts, strict=True):
        path = f"{listened.sheet.path}/track{cue.number:04}"
        if part.prediction is None and not isinstance(part.error, NothingToHearError):
            yield _row(path, part, Status.UNREADABLE, message=_message(part.error))
            continue
        decision = decide(part.prediction, TagState(), policy)
        named = f"named {'; '.join(decision.genres)}" if decision.change else decision.reason
        said = _message(part.error) if part.error else named
        message = f"{cue.title}: {said}" if cue.title else said
        yield _row(path, part, Status.HEARD, message=message, named=decision)


def _row(
    path: str,
    listened: Listened,
    status: Status,
    *,
    message: str,
    old: tuple[str, ...] = (),
    new: tuple[str, ...] | None = None,
    named: Decision | None = None,
) -> Outcome:
    before = "; ".join(old)
    outcome = Outcome(
        path=path,
        status=status,
        old_genre=before,
        new_genre=before if new is None else "; ".join(new),
        duration_s=listened.duration_s,
        message=message,
    )
    if listened.prediction is None:
        return outcome
    best, second = (*listened.prediction.ranked(), ("", None))[:2]
    if named is not None and named.genres and named.confidence is not None:
        if named.genres[0] == second[0]:  # by its album, against what it sounds like alone
            second = best
        best = "; ".join(named.genres), named.confidence
    return replace(
        outcome,
        genre=best[0],
        confidence=best[1],
        runner_up=second[0],
        runner_up_confidence=second[1],
        model=listened.prediction.model,
    )


def _before(tags: TagState) -> tuple[str, ...]:
    # A file whose genre stands only in a place that few programs read has one all the same.
    return tags.genres or tags.persons


def _failure(error: Exception, otherwise: Status = Status.FAILED) -> Status:
    if isinstance(error, RefusedError):
        return Status.REFUSED
    if isinstance(error, UnreadableError):
        return Status.UNREADABLE
    return otherwise


def _message(error: Exception | None) -> str:
    """An error in words, without the path: that has a column of its own."""
    if isinstance(error, GtagError):
        return error.message if error.hint is None else f"{error.message} ({error.hint})"
    log.error("unexpected: %r", error, exc_info=error)
    lacking = what_ran_out(error) if error else None
    if lacking is not None:
        return f"{lacking.message} ({lacking.hint})"
    return f"{type(error).__name__}: {error}"
