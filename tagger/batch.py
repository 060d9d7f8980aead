"""The batch: classifies tracks, decides, writes where told to, and yields one TrackResult a track.

Workers only classify. The parent alone reads tags, decides and writes, so that there is never more
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

from loky import cpu_count

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

# For one track. Excerpts are bounded: a good file on a slow network takes a few seconds.
DEADLINE_S = 60.0


@dataclass(frozen=True)
class TrackResult:
    """What became of one track: one row of the report, its fields in the report's order.

    Attributes
    ----------
    genre : str
        The predicted genres; where none is probable enough, the most probable one.
    old_genre, new_genre : str
        What the tags say before and after; several genres are joined with ``; ``. After a dry
        run, what they would say.
    confidence, runner_up_confidence : float or None
        Calibrated probabilities; None where there is no prediction.
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

    A file that a cue sheet cuts into tracks is followed by those, with the status `heard`.

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
        Those run in a worker process, too, so that a crash does not end this process.
    deadline_s : float
        A worker that takes longer for one track is ended, and the track is unreadable.
    interrupts : Interrupts, optional
        Held while a file is written and while the consumer handles the result.
    cache : Cache, optional
        Earlier predictions; new ones are added.
    cluster : str, optional
        Address of a Dask scheduler: its workers classify, in place of processes of this machine.

    Raises
    ------
    ResourceError
        Memory or another resource is too short to go on; the tracks before are done.
    """
    interrupts = interrupts or Interrupts()
    cache = cache or Cache(None)
    results = _classified(iter(tracks), model, jobs, apart, deadline_s, cache, cluster)
    for track, classified, said, tags, verdict in _with_album(results, policy, cache):
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
        By default the one that all runs of a user share.
    command : sequence of str
        What `gtag undo --list` shows of the run.
    model, policy, jobs, apart, interrupts
        As in `scan`.

    Raises
    ------
    ConfigurationError
        The journal or the model cannot be used: nothing was done.
    ResourceError
        Memory or another resource is too short to go on; the tracks before are done.
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


class TagsOf:
    """The tags of a track, from the cache or read at their first use.

    Attributes
    ----------
    is_remembered : bool
        Whether `state` is from the cache.
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
        """Drop what the cache has."""
        self._known, self.is_remembered = None, False
        self.__dict__.pop("state", None)


def _with_album(
    results: Iterable[tuple[Track, Classified]], policy: Policy, cache: Cache
) -> Iterator[tuple[Track, Classified, Classified, TagsOf, Verdict | None]]:
    """Each track, its result also in the user's genre names, and the verdict of its album."""
    told = (
        (track, classified, _in_own_names(classified, policy), TagsOf(track, cache))
        for track, classified in results
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
    """Cache the prediction for a track, and what its tags say now."""
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
        with suppress(Exception):  # the result says that they cannot be read
            state = tags.state
    cache.note(track, known, classified.kept, state, tags.credits, stamp)


def _classified(
    tracks: Iterator[Track],
    model: str,
    jobs: int | None,
    apart: bool,
    deadline_s: float,
    cache: Cache,
    cluster: str | None,
) -> Iterator[tuple[Track, Classified]]:
    """Each track with its prediction: from the cache, or computed wherever `scan` was told to.

    Raises
    ------
    ResourceError
    """

    def recall(track: Track) -> Classified | None:
        known = cache.recall(track)
        # A cue sheet may have been laid beside the file since.
        return None if known is None or cue_sheet_of(track.path) else recalled(track, known)

    results: Iterable[tuple[Track, Classified | Lost]]
    if cluster is not None:
        results = _on_cluster(tracks, model, cluster, deadline_s, cache, recall)
    else:
        classify = partial(classify_track, model, remembered_in=cache.path)
        workers = jobs or cpu_count()
        first = list(islice(tracks, max(workers, 2)))
        tracks = chain(first, tracks)
        if not apart and (jobs == 1 or len(first) < 2):
            results = ((t, recall(t) or _without_messages(classify, t)) for t in tracks)
        else:
            workers = max(1, min(workers, len(first)))
            results = map_in_workers(
                classify, tracks, jobs=workers, deadline_s=deadline_s, ready=recall
            )
    for track, result in results:
        if isinstance(result, Lost):
            why = (
                f"decoding timed out after {result.deadline_s:g} s"
                if result.late
                else "the decoder crashed on it"
            )
            result = Classified(error=UnreadableError(why, path=track.path))
        if isinstance(result.error, ResourceError):
            log.error("cannot go on at %r:\n%s", track.path, result.traceback)
            raise result.error
        yield track, result


def _without_messages(classify: Callable[[Track], Classified], track: Track) -> Classified:
    with native_messages_hidden():
        return classify(track)


def _on_cluster(
    tracks: Iterator[Track],
    model: str,
    cluster: str,
    deadline_s: float,
    cache: Cache,
    recall: Callable[[Track], Classified | None],
) -> Iterator[tuple[Track, Classified | Lost]]:
    from tagger.cluster import map_on_cluster

    first = next(tracks, None)
    if first is None:
        return
    if Path(model).is_dir():
        model = os.path.abspath(model)  # noqa: PTH100 - a worker may run in any folder
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
        check=partial(_installation, model, os.path.abspath(first.path)),  # noqa: PTH100
        ready=recall,
    ):
        yield here.popleft(), result


def _installation(model: str, path: str) -> str:
    """What must be the same on all machines of a cluster: gtag, the model, and the files."""
    import importlib.metadata

    version = importlib.metadata.version("gtag-music")
    there = "" if os.path.lexists(path) else f" and no {path}"
    return f"gtag {version} with {fingerprint(classifier(model).card)}{there}"


def _in_own_names(classified: Classified, policy: Policy) -> Classified:
    """The same in the names of the policy's map; the cache has the model's own."""
    if not policy.genre_map:
        return classified
    prediction = classified.prediction
    return replace(
        classified,
        prediction=prediction and policy.genre_map.of(prediction, policy.detail),
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
    """Decide about one classified track, and write where there is something to write."""
    tags = tags or TagsOf(track)
    if classified.traceback:
        log.error("unexpected, while classifying %r:\n%s", track.path, classified.traceback)
    classified, told = _in_common(classified, policy)
    row = partial(_row, track.path, classified)
    if classified.prediction is None and not isinstance(classified.error, NothingToHearError):
        return row(Status.UNREADABLE, message=_message(classified.error))
    assert track.format is not None, "an unrecognised file has no prediction"
    try:
        refuse_untagged(track.format, track.path)
        decision = decide(classified.prediction, tags.state, policy, verdict)
        if decision.change is not None and tags.is_remembered and write is not None:
            tags.read_again()
            decision = decide(classified.prediction, tags.state, policy, verdict)
    except Exception as error:
        return row(_failure(error, Status.UNREADABLE), message=_message(error))

    reason = _message(classified.error) if classified.error else decision.reason + told
    # Where only places that few programs read have a genre, that one counts.
    row = partial(row, old=tags.state.genres or tags.state.user_genres, named=decision)
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
    """One prediction for a file that a cue sheet cuts into tracks, or why there is none."""
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
    best: tuple[str, float | None] = ("", None)
    second = best
    prediction = classified.prediction
    if prediction is not None:
        best, second = (*prediction.ranked(), second)[:2]
        if named is not None and named.genres and named.confidence is not None:
            if named.genres[0] == second[0]:  # by its album, against its own prediction
                second = best
            best = "; ".join(named.genres), named.confidence
    return TrackResult(
        path=path,
        status=status,
        genre=best[0],
        confidence=best[1],
        runner_up=second[0],
        runner_up_confidence=second[1],
        old_genre=before,
        new_genre=before if new is None else "; ".join(new),
        model="" if prediction is None else prediction.model,
        duration_s=classified.duration_s,
        message=message,
    )


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
