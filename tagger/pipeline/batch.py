"""The batch: takes many tracks down the road, and yields one TrackResult for each.

Workers only classify. The parent alone reads tags, decides and writes, so that no two writes are
ever in progress at once.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import chain, islice, tee
from pathlib import Path
from typing import TYPE_CHECKING

from tagger.deciding.albums import album_verdicts, in_albums, is_album
from tagger.deciding.decide import Policy, Verdict
from tagger.library.cue_sheet import cue_sheet_of
from tagger.library.walk import Stamp, is_as_met
from tagger.pipeline.cache import Cache, CachedPrediction
from tagger.pipeline.classify import (
    Classified,
    classifier,
    classify_track,
    from_cache,
    why_unusable,
)
from tagger.pipeline.cluster import Unanswered, Work, map_on_cluster
from tagger.pipeline.road import TagsOf, TrackResult, cue_tracks, decided, finished, read
from tagger.pipeline.versions import installation
from tagger.pipeline.workers import Lost, map_in_workers
from tagger.sound.native_messages import native_messages_hidden
from tagger.system.errors import ModelError, NothingToHearError, ResourceError, UnreadableError
from tagger.system.interrupt import Interrupts

if TYPE_CHECKING:
    from tagger.containers.write import Change
    from tagger.library.walk import Track

log = logging.getLogger(__name__)

# For one track. Excerpts are bounded: a healthy file on a slow network takes a few seconds.
DEADLINE_S = 60.0


def track_results(
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
    known: Mapping[str, Classified] | None = None,
) -> Generator[TrackResult, None, None]:
    """Yield one TrackResult for each track, in their order.

    After a file that a cue sheet cuts into tracks come those tracks, with the status `cue-track`.

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
    known : mapping of str to Classified, optional
        By path: tracks that are classified already.

    Raises
    ------
    ResourceError
        The machine is short of something and cannot go on; the tracks before are done.
    ModelError
        A worker cannot load the model; likewise.
    """
    interrupts = interrupts or Interrupts()
    cache = cache or Cache(None)
    results = _classified(iter(tracks), model, jobs, apart, deadline_s, cache, cluster, known or {})
    for track, classified, mapped, tags, verdict in _with_album(results, policy, cache):
        with interrupts.held():
            decision = decided(track, mapped, tags, policy, verdict, writes=write is not None)
            result = finished(track, mapped, decision, policy, write=write, rehearse=rehearse)
            _store(cache, track, classified, tags, result)
            yield result
        for row in cue_tracks(mapped, policy):
            with interrupts.held():
                yield row


def _with_album(
    results: Iterable[tuple[Track, Classified]], policy: Policy, cache: Cache
) -> Iterator[tuple[Track, Classified, Classified, TagsOf, Verdict | None]]:
    """Yield each track, its result, the same by the genre map, its tags and its album's verdict."""
    items = (
        (track, classified, read(classified, policy), TagsOf(track, cache))
        for track, classified in results
    )
    if policy.album == "off":
        yield from ((*item, None) for item in items)
        return
    for album in in_albums(items, lambda item: item[0].path, lambda item: item[3].credits):
        verdicts: list[Verdict | None] = [None] * len(album)
        if is_album([credits for _, credits in album]):
            # A file of many tracks is no track of an album.
            predictions = [None if m.sheet else m.prediction for (_, _, m, _), _ in album]
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
    written = result.wrote
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
    known: Mapping[str, Classified],
) -> Iterator[tuple[Track, Classified]]:
    """Yield each track with its result: from the cache, this process, workers or a cluster.

    Raises
    ------
    ResourceError
    """

    def cached(track: Track) -> Classified | None:
        if track.path in known:
            return known[track.path]
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
        if isinstance(result, Lost | Unanswered):
            result = Classified(error=UnreadableError(result.reason, path=track.path))
        if isinstance(result.error, ModelError | ResourceError):  # no track is to blame
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
) -> Iterator[tuple[Track, Classified | Lost | Unanswered]]:
    first = next(tracks, None)
    if first is None:
        return
    if Path(model).is_dir():
        model = os.path.abspath(model)  # noqa: PTH100 - workers run in other folders
    sent, originals = tee(chain([first], tracks))
    results = map_on_cluster(
        Work(
            partial(classify_track, model, cache_file=cache_file, elsewhere=True),
            partial(installation, model),
            probe=_placed(first),
            sees=is_as_met,
            why_unusable=partial(why_unusable, card=classifier(model).card),
        ),
        map(_placed, sent),
        address=address,
        deadline_s=deadline_s,
        ready=cached,
    )
    for (_, result), track in zip(results, originals, strict=False):
        yield track, result


def _placed(track: Track) -> Track:
    """Return the same by a path that means the same on other machines."""
    return replace(track, path=os.path.abspath(track.path))  # noqa: PTH100
