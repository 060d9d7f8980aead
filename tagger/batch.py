"""The batch: listens to tracks, decides, writes where told to, and yields one TrackResult a track.

Workers only listen. The parent alone reads tags, decides and writes, so that there is never more
than one write under way.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import chain, islice
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from tagger.albums import album_verdicts, in_albums, is_album
from tagger.cache import Cache, Known, fingerprint
from tagger.classify import Classified, classifier, classify_track, recalled
from tagger.decide import Decision, Policy, Status, Verdict, agreed, decide
from tagger.errors import (
    GtagError,
    NothingToHearError,
    RefusedError,
    ResourceError,
    UnreadableError,
)
from tagger.exhausted import what_ran_out
from tagger.files.cue_sheet import cue_sheet_of
from tagger.files.library import Stamp
from tagger.interrupt import Interrupts
from tagger.sound.native_messages import native_messages_hidden
from tagger.tags.credits import Credits, read_credits
from tagger.tags.read import TagState, read_tags
from tagger.tags.write import refuse_untagged
from tagger.workers import Lost, map_in_workers
from tagger.writing import Care, rehearsal, writer

if TYPE_CHECKING:
    from tagger.files.library import Library, Track
    from tagger.tags.write import Change

log = logging.getLogger(__name__)

# For one track. Excerpts are bounded: a healthy file on a slow network takes a few seconds.
DEADLINE_S = 60.0


@dataclass(frozen=True)
class TrackResult:
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
    apart: bool = False,
    deadline_s: float = DEADLINE_S,
    interrupts: Interrupts | None = None,
    cache: Cache | None = None,
    cluster: str | None = None,
) -> Generator[TrackResult, None, None]:
    """Yield one TrackResult for each track, in their order.

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
    apart : bool
        Those run in a worker process, too: none can take this one along.
    deadline_s : float
        A worker that listens longer to one track is ended, and the track is unreadable.
    interrupts : Interrupts, optional
        Held while a file is written and while the consumer of the outcome deals with it.
    cache : Cache, optional
        What was heard before, and where to note what is heard now.
    cluster : str, optional
        Address of a Dask scheduler: its workers listen, in place of processes of this machine.

    Raises
    ------
    ResourceError
        The machine has too little of something to go on; the tracks before are settled.
    """
    interrupts = interrupts or Interrupts()
    cache = cache or Cache(None)
    heard = _usable(_listened(iter(tracks), model, jobs, apart, deadline_s, cache, cluster))
    for track, classified, said, tags, verdict in _with_album(heard, policy, cache):
        with interrupts.held():
            result = decide_and_write(track, said, policy, verdict, write, rehearse, tags)
            _note(cache, track, classified, tags, result)
            yield result
        for row in _parts(said, policy):
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
    apart: bool = False,
    interrupts: Interrupts | None = None,
    cache: Cache | None = None,
    cluster: str | None = None,
) -> Generator[TrackResult, None, None]:
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
    model, policy, jobs, apart, interrupts
        As in `scan`.

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
            apart=apart,
            interrupts=interrupts,
            cache=cache,
            cluster=cluster,
        )


def _usable(
    heard: Iterable[tuple[Track, Classified]],
) -> Iterator[tuple[Track, Classified]]:
    """The same, up to where the machine has too little of something to go on."""
    for track, classified in heard:
        if isinstance(classified.error, ResourceError):
            log.error("cannot go on at %r:\n%s", track.path, classified.traceback)
            raise classified.error
        yield track, classified


class TagsOf:
    """What the tags of a track say: as the cache has it, or read when it is asked for.

    Attributes
    ----------
    is_remembered : bool
        Whether `state` is what the cache has.
    """

    def __init__(self, track: Track, cache: Cache | None = None) -> None:
        self._track = track
        self._known = cache.tags_of(track) if cache else None
        self.is_remembered = self._known is not None

    @cached_property
    def state(self) -> TagState:
        """Raises UnreadableError where they cannot be read."""
        assert self._track.format is not None, "an unrecognised file has no tags"
        return self._known[0] if self._known else read_tags(self._track.path, self._track.format)

    @cached_property
    def credits(self) -> Credits:
        if self._known:
            return self._known[1]
        format = self._track.format
        return Credits() if format is None else read_credits(self._track.path, format)

    def read_again(self) -> None:
        """Go by what the file says now."""
        self._known, self.is_remembered = None, False
        self.__dict__.pop("state", None)


def _with_album(
    heard: Iterable[tuple[Track, Classified]], policy: Policy, cache: Cache
) -> Iterator[tuple[Track, Classified, Classified, TagsOf, Verdict | None]]:
    """Each track, the same in own names, and what its album says of it, once that was heard."""
    told = (
        (track, classified, _in_own_names(classified, policy), TagsOf(track, cache))
        for track, classified in heard
    )
    if policy.album == "off":
        yield from ((*item, None) for item in told)
        return
    for album in in_albums(told, lambda item: item[0].path, lambda item: item[3].credits):
        verdicts: list[Verdict | None] = [None] * len(album)
        if is_album([credits for _, credits in album]):
            predictions = [said.prediction for (_, _, said, _), _ in album]
            verdicts = album_verdicts(predictions, policy)
        for (item, _), verdict in zip(album, verdicts, strict=True):
            yield (*item, verdict)


def _note(
    cache: Cache, track: Track, classified: Classified, tags: TagsOf, result: TrackResult
) -> None:
    """Remember what was heard of a track, and what its tags say now."""
    nothing = classified.error.message if isinstance(classified.error, NothingToHearError) else ""
    if not classified.sound or not (classified.prediction or nothing):
        return
    written = result.status is Status.WRITTEN
    if tags.is_remembered and not written and cache.note_use(track):
        return
    known = Known(classified.sound, classified.prediction, classified.duration_s, nothing)
    stamp, state = track.stamp, None
    if written:
        with suppress(OSError):
            stamp = Stamp.of(os.stat(track.path))  # noqa: PTH116 - the name may be bytes
    else:
        with suppress(Exception):  # that they cannot be read, the outcome says
            state = tags.state
    cache.note(track, known, classified.kept, state, tags.credits, stamp=stamp)


def _recall(cache: Cache, track: Track) -> Classified | None:
    known = cache.recall(track)
    if known is None or cue_sheet_of(track.path) is not None:
        return None
    return recalled(track, known)


def _listened(
    tracks: Iterator[Track],
    model: str,
    jobs: int | None,
    apart: bool,
    deadline_s: float,
    cache: Cache,
    cluster: str | None,
) -> Iterator[tuple[Track, Classified]]:
    recall = partial(_recall, cache)
    if cluster is not None:
        yield from _listened_elsewhere(tracks, model, cluster, deadline_s, cache, recall)
        return
    classify = partial(classify_track, model, remembered_in=cache.path)
    workers = jobs or _cores()
    first = list(islice(tracks, max(workers, 2)))
    tracks = chain(first, tracks)
    if not apart and (jobs == 1 or len(first) < 2):
        for track in tracks:
            classified = recall(track)
            if classified is None:
                with native_messages_hidden():
                    classified = classify(track)
            yield track, classified
        return
    workers = max(1, min(workers, len(first)))
    for track, result in map_in_workers(
        classify, tracks, jobs=workers, deadline_s=deadline_s, ready=recall
    ):
        yield track, _lost(track, result) if isinstance(result, Lost) else result


def _listened_elsewhere(
    tracks: Iterator[Track],
    model: str,
    cluster: str,
    deadline_s: float,
    cache: Cache,
    recall: Callable[[Track], Classified | None],
) -> Iterator[tuple[Track, Classified]]:
    from tagger.cluster import map_on_cluster

    first = next(tracks, None)
    if first is None:
        return
    if Path(model).is_dir():
        model = os.path.abspath(model)  # noqa: PTH100 - where a worker runs, nobody knows
    here: deque[Track] = deque()

    def there() -> Iterator[Track]:
        for track in chain([first], tracks):
            here.append(track)
            yield replace(track, path=os.path.abspath(track.path))  # noqa: PTH100

    for _, result in map_on_cluster(
        partial(classify_track, model, remembered_in=cache.path, elsewhere=True),
        there(),
        address=cluster,
        deadline_s=deadline_s,
        check=partial(_what_listens, model, os.path.abspath(first.path)),  # noqa: PTH100
        ready=recall,
    ):
        track = here.popleft()
        yield track, _lost(track, result) if isinstance(result, Lost) else result


def _what_listens(model: str, path: str) -> str:
    """What must be the same on all machines of a cluster: gtag, model, and that files are seen."""
    import importlib.metadata

    version = importlib.metadata.version("gtag-music")
    there = "" if os.path.lexists(path) else f" and no {path}"
    return f"gtag {version} with {fingerprint(classifier(model).card)}{there}"


def _cores() -> int:
    from loky import cpu_count

    return int(cpu_count())


def _lost(track: Track, lost: Lost) -> Classified:
    message = (
        f"decoding timed out after {lost.deadline_s:g} s"
        if lost.late
        else "the decoder crashed on it"
    )
    return Classified(error=UnreadableError(message, path=track.path))


def _in_own_names(classified: Classified, policy: Policy) -> Classified:
    """The same in the names of the policy's map; the cache keeps what the model said."""
    if not policy.genre_map:
        return classified
    said = classified.prediction
    return replace(
        classified,
        prediction=said and policy.genre_map.of(said, policy.detail),
        parts=tuple(_in_own_names(part, policy) for part in classified.parts),
    )


def decide_and_write(
    track: Track,
    classified: Classified,
    policy: Policy,
    verdict: Verdict | None = None,
    write: Callable[[Track, Change], None] | None = None,
    rehearse: Callable[[Track], None] | None = None,
    tags: TagsOf | None = None,
) -> TrackResult:
    """Decide about one track that was listened to, and write where there is something to write."""
    tags = tags or TagsOf(track)
    if classified.traceback:
        log.error("unexpected, while listening to %r:\n%s", track.path, classified.traceback)
    classified, told = _in_common(classified, policy)
    row = partial(_row, track.path, classified)
    if classified.prediction is None and not isinstance(classified.error, NothingToHearError):
        return row(Status.UNREADABLE, message=_message(classified.error))
    assert track.format is not None, "nothing was heard of an unrecognised file"
    try:
        refuse_untagged(track.format, track.path)
        decision = decide(classified.prediction, tags.state, policy, verdict)
        if decision.change is not None and tags.is_remembered and write is not None:
            tags.read_again()
            decision = decide(classified.prediction, tags.state, policy, verdict)
    except Exception as error:
        return row(_failure(error, Status.UNREADABLE), message=_message(error))

    reason = _message(classified.error) if classified.error else decision.reason + told
    row = partial(row, old=_before(tags.state), named=decision)
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


def _in_common(classified: Classified, policy: Policy) -> tuple[Classified, str]:
    """Of a file that a cue sheet cuts into tracks, one prediction, or why there is none."""
    if classified.sheet is None:
        return classified, ""
    prediction, told = agreed([part.prediction for part in classified.parts], policy)
    sheet = Path(classified.sheet.path).name
    if prediction is None:
        return replace(classified, error=NothingToHearError(f"{told} ({sheet})")), ""
    return replace(classified, prediction=prediction), f"; {told} ({sheet})"


def _parts(classified: Classified, policy: Policy) -> Iterator[TrackResult]:
    """A row for each track that a cue sheet names, under the name that MPD gives it."""
    if classified.sheet is None:
        return
    for cue, part in zip(classified.sheet.tracks, classified.parts, strict=True):
        path = f"{classified.sheet.path}/track{cue.number:04}"
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
    classified: Classified,
    status: Status,
    *,
    message: str,
    old: tuple[str, ...] = (),
    new: tuple[str, ...] | None = None,
    named: Decision | None = None,
) -> TrackResult:
    before = "; ".join(old)
    result = TrackResult(
        path=path,
        status=status,
        old_genre=before,
        new_genre=before if new is None else "; ".join(new),
        duration_s=classified.duration_s,
        message=message,
    )
    if classified.prediction is None:
        return result
    best, second = (*classified.prediction.ranked(), ("", None))[:2]
    if named is not None and named.genres and named.confidence is not None:
        if named.genres[0] == second[0]:  # by its album, against what it sounds like alone
            second = best
        best = "; ".join(named.genres), named.confidence
    return replace(
        result,
        genre=best[0],
        confidence=best[1],
        runner_up=second[0],
        runner_up_confidence=second[1],
        model=classified.prediction.model,
    )


def _before(tags: TagState) -> tuple[str, ...]:
    # A file whose genre stands only in a place that few programs read has one all the same.
    return tags.genres or tags.user_genres


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
