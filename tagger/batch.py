"""The batch: classifies tracks, decides, writes if asked to, and yields one TrackResult a track.

Workers only classify. The parent alone reads tags, decides and writes, so that no two writes are
ever in progress at once.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import chain, islice, tee
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from tagger.albums import album_verdicts, in_albums, is_album
from tagger.cache import Cache, CachedPrediction, fingerprint
from tagger.classify import Classified, classifier, classify_track, from_cache
from tagger.decide import Decision, Policy, Status, Verdict, agreed, decide
from tagger.errors import (
    GtagError,
    NothingToHearError,
    RefusedError,
    ResourceError,
    UnreadableError,
)
from tagger.exhausted import what_ran_out
from tagger.files.cue_sheet import cue_sheet_of, unused_sheet
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
    """The result of one track: a row of the report, its fields in the report's order.

    Attributes
    ----------
    genre : str
        The predicted genres; where none is probable enough, the best guess.
    old_genre, new_genre : str
        The genres in the tags before and after, joined with ``; ``. After a dry run, what they
        would be.
    confidence, runner_up_confidence : float or None
        Calibrated probabilities; None without a prediction.
    message : str
        The reason for the status.
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
    write: Callable[[Track, Change], str | None] | None = None,
    rehearse: Callable[[Track, Change], None] | None = None,
    jobs: int | None = None,
    apart: bool = False,
    deadline_s: float = DEADLINE_S,
    interrupts: Interrupts | None = None,
    cache: Cache | None = None,
    cluster: str | None = None,
) -> Generator[TrackResult, None, None]:
    """Yield one TrackResult for each track, in their order.

    After a file that a cue sheet cuts into tracks come those tracks, with the status `heard`.

    Parameters
    ----------
    tracks : iterable of Track
        Read only as far ahead as the workers need.
    model : str
        A name of the zoo, or a model's folder.
    write : callable, optional
        Writes one change into one file. Without it nothing is written.
    rehearse : callable, optional
        Called instead in a dry run: raises what writing would.
    jobs : int, optional
        Worker processes; by default one a core. 1, and a single track, run in this process.
    apart : bool
        Those run in a worker process, too, whose crash does not end this one.
    deadline_s : float
        A worker that needs longer for one track is ended, and the track is unreadable.
    interrupts : Interrupts, optional
        Held while a file is written and while the consumer handles its result.
    cache : Cache, optional
        Where predictions are looked for and stored.
    cluster : str, optional
        Address of a Dask scheduler, whose workers classify instead of local processes.

    Raises
    ------
    ResourceError
        The machine is short of something and cannot go on; the tracks before are done.
    """
    interrupts = interrupts or Interrupts()
    cache = cache or Cache(None)
    results = _classified(iter(tracks), model, jobs, apart, deadline_s, cache, cluster)
    for track, classified, mapped, tags, verdict in _with_album(results, policy, cache):
        with interrupts.held():
            result = decide_and_write(track, mapped, policy, verdict, write, rehearse, tags)
            _store(cache, track, classified, tags, result)
            yield result
        for row in _parts(mapped, policy):
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
    """Scan a library with a journal; a dry run unless `writes`.

    Parameters
    ----------
    tracks : iterable of Track, optional
        Which of the library's tracks are scanned; by default all.
    journal : path-like, optional
        By default the one that all runs of a user share.
    command : sequence of str
        What `gtag undo --list` shows of the run.
    model, policy, jobs, apart, interrupts, cache, cluster
        As in `scan`.

    Raises
    ------
    ConfigurationError
        The journal or the model cannot be used: nothing was done.
    ResourceError
        As in `scan`.
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


def _with_album(
    results: Iterable[tuple[Track, Classified]], policy: Policy, cache: Cache
) -> Iterator[tuple[Track, Classified, Classified, TagsOf, Verdict | None]]:
    """Each track, its result, the same by the genre map, its tags and its album's verdict."""
    items = (
        (track, classified, _mapped(classified, policy), TagsOf(track, cache))
        for track, classified in results
    )
    if policy.album == "off":
        yield from ((*item, None) for item in items)
        return
    for album in in_albums(items, lambda item: item[0].path, lambda item: item[3].credits):
        verdicts: list[Verdict | None] = [None] * len(album)
        if is_album([credits for _, credits in album]):
            predictions = [mapped.prediction for (_, _, mapped, _), _ in album]
            verdicts = album_verdicts(predictions, policy)
        for (item, _), verdict in zip(album, verdicts, strict=True):
            yield (*item, verdict)


def _store(
    cache: Cache, track: Track, classified: Classified, tags: TagsOf, result: TrackResult
) -> None:
    """Store the result of a track and its tags in the cache."""
    silent = classified.error.message if isinstance(classified.error, NothingToHearError) else ""
    if not classified.sound or not (classified.prediction or silent):
        return
    written = result.status is Status.WRITTEN
    if tags.cached and not written and cache.note_use(track):
        return
    entry = CachedPrediction(classified.sound, classified.prediction, classified.duration_s, silent)
    stamp, state = track.stamp, None
    if written:
        with suppress(OSError):
            stamp = Stamp.of(os.stat(track.path))  # noqa: PTH116 - the name may be bytes
    else:
        with suppress(Exception):  # the result says that they cannot be read
            state = tags.state
    cache.note(track, entry, classified.kept, state, tags.credits, stamp=stamp)


def _classified(
    tracks: Iterator[Track],
    model: str,
    jobs: int | None,
    apart: bool,
    deadline_s: float,
    cache: Cache,
    cluster: str | None,
) -> Iterator[tuple[Track, Classified]]:
    """Each track with its result: from the cache, this process, workers or a cluster.

    Raises
    ------
    ResourceError
    """

    def cached(track: Track) -> Classified | None:
        found = cache.prediction_of(track)
        if found is None or cue_sheet_of(track.path) is not None:
            return None
        return from_cache(track, found)

    if cluster is not None:
        results = _on_cluster(tracks, model, cluster, deadline_s, cache.path, cached)
    else:
        classify = partial(classify_track, model, cache_file=cache.path)
        results = _on_this_machine(tracks, classify, jobs, apart, deadline_s, cached)
    for track, result in results:
        if isinstance(result, Lost):
            result = Classified(error=UnreadableError(result.reason, path=track.path))
        if isinstance(result.error, ResourceError):
            log.error("cannot go on at %r:\n%s", track.path, result.traceback)
            raise result.error
        yield track, result


def _on_this_machine(
    tracks: Iterator[Track],
    classify: Callable[[Track], Classified],
    jobs: int | None,
    apart: bool,
    deadline_s: float,
    cached: Callable[[Track], Classified | None],
) -> Iterator[tuple[Track, Classified | Lost]]:
    first = list(islice(tracks, 2))
    if apart or (jobs != 1 and len(first) > 1):
        from loky import cpu_count

        workers = jobs or cpu_count()
        first += islice(tracks, max(0, workers - len(first)))
        workers = max(1, min(workers, len(first)))
        yield from map_in_workers(
            classify, chain(first, tracks), jobs=workers, deadline_s=deadline_s, ready=cached
        )
        return
    for track in chain(first, tracks):
        classified = cached(track)
        if classified is None:
            with native_messages_hidden():
                classified = classify(track)
        yield track, classified


def _on_cluster(
    tracks: Iterator[Track],
    model: str,
    address: str,
    deadline_s: float,
    cache_file: Path | None,
    cached: Callable[[Track], Classified | None],
) -> Iterator[tuple[Track, Classified | Lost]]:
    from tagger.cluster import map_on_cluster

    first = next(tracks, None)
    if first is None:
        return
    if Path(model).is_dir():
        model = os.path.abspath(model)  # noqa: PTH100 - workers run in other folders
    sent, originals = tee(chain([first], tracks))
    results = map_on_cluster(
        partial(classify_track, model, cache_file=cache_file, elsewhere=True),
        (replace(track, path=os.path.abspath(track.path)) for track in sent),  # noqa: PTH100
        address=address,
        deadline_s=deadline_s,
        check=partial(_installation, model, os.path.abspath(first.path)),  # noqa: PTH100
        ready=cached,
    )
    for (_, result), track in zip(results, originals, strict=False):
        yield track, result


def _installation(model: str, path: str) -> str:
    """What must be equal on all machines of a cluster: gtag, the model, and the files they see."""
    import importlib.metadata

    version = importlib.metadata.version("gtag-music")
    there = "" if os.path.lexists(path) else f" and no {path}"
    return f"gtag {version} with {fingerprint(classifier(model).card)}{there}"


def _mapped(classified: Classified, policy: Policy) -> Classified:
    """The same as the policy reads it; the cache stores what the model said."""
    prediction = classified.prediction
    return replace(
        classified,
        prediction=prediction and policy.read(prediction),
        parts=tuple(_mapped(part, policy) for part in classified.parts),
    )


def decide_and_write(
    track: Track,
    classified: Classified,
    policy: Policy,
    verdict: Verdict | None = None,
    write: Callable[[Track, Change], str | None] | None = None,
    rehearse: Callable[[Track, Change], None] | None = None,
    tags: TagsOf | None = None,
) -> TrackResult:
    """Decide about one classified track, and write the change if there is one."""
    tags = tags or TagsOf(track)
    if classified.traceback:
        log.error("unexpected error at %r:\n%s", track.path, classified.traceback)
    classified, counts = _in_common(classified, policy)
    row = partial(_row, track.path, classified)
    if classified.prediction is None and not isinstance(classified.error, NothingToHearError):
        return row(Status.UNREADABLE, message=_message(classified.error))
    assert track.format is not None, "an unrecognised file is never classified"
    try:
        refuse_untagged(track.format, track.path)
        decision = decide(classified.prediction, tags.state, policy, verdict)
        if decision.change is not None and tags.cached and write is not None:
            tags.read_again()
            decision = decide(classified.prediction, tags.state, policy, verdict)
    except Exception as error:
        return row(_failure(error, Status.UNREADABLE), message=_message(error))

    reason = _message(classified.error) if classified.error else decision.reason + counts
    if classified.sheet is None and (unused := unused_sheet(track.path)):
        reason += f"; {unused}"
    # A file whose genre is only where few programs read it has a genre all the same.
    row = partial(row, old=tags.state.genres or tags.state.user_genres, named=decision)
    if decision.change is None:
        return row(decision.status, message=reason)
    try:
        if write is not None:
            reason = "; ".join(filter(None, (reason, write(track, decision.change))))
        elif rehearse is not None:
            rehearse(track, decision.change)
    except Exception as error:
        return row(_failure(error), message=_message(error))
    status = Status.WOULD_WRITE if write is None else Status.WRITTEN
    return row(status, new=decision.change.genres, message=reason)


def _in_common(classified: Classified, policy: Policy) -> tuple[Classified, str]:
    """One prediction for the tracks of a cue sheet, or why there is none; and their votes."""
    if classified.sheet is None:
        return classified, ""
    prediction, counts = agreed([part.prediction for part in classified.parts], policy)
    counts = f"{counts} ({Path(classified.sheet.path).name})"
    if prediction is None:
        return replace(classified, error=NothingToHearError(counts)), ""
    return replace(classified, prediction=prediction), f"; {counts}"


def _parts(classified: Classified, policy: Policy) -> Iterator[TrackResult]:
    """A row for each track of a cue sheet, under the path that MPD uses."""
    if classified.sheet is None:
        return
    for cue, part in zip(classified.sheet.tracks, classified.parts, strict=True):
        path = f"{classified.sheet.path}/track{cue.number:04}"
        if part.prediction is None and not isinstance(part.error, NothingToHearError):
            yield _row(path, part, Status.UNREADABLE, message=_message(part.error))
            continue
        decision = decide(part.prediction, TagState(), policy)
        message = f"named {'; '.join(decision.genres)}" if decision.change else decision.reason
        if part.error:
            message = _message(part.error)
        if cue.title:
            message = f"{cue.title}: {message}"
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
    prediction = classified.prediction
    best: tuple[str, float | None] = ("", None)
    second = best
    if prediction is not None:
        best, second = (*prediction.ranked(), second)[:2]
        if named is not None and named.genres and named.confidence is not None:
            # Named by its album, or in place of the genre above it.
            if best[0] not in named.genres and named.genres[0] == second[0]:
                second = best
            best = "; ".join(named.genres), named.confidence
    return TrackResult(
        path=path,
        status=status,
        genre=best[0],
        confidence=best[1],
        runner_up=second[0],
        runner_up_confidence=second[1],
        old_genre="; ".join(old),
        new_genre="; ".join(old if new is None else new),
        model=prediction.model if prediction else "",
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
