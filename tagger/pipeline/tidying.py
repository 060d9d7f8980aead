"""Tidies the genres of a library: from tags to tags, without listening."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable

from tagger.containers.read import read_tags
from tagger.containers.recognise import supported_format
from tagger.containers.write import Change
from tagger.deciding.decide import Policy
from tagger.deciding.genre_map import GenreMap
from tagger.deciding.tidy import decide_tidy
from tagger.library.walk import Track
from tagger.pipeline.classify import Classified
from tagger.pipeline.road import TrackResult, failed, finished
from tagger.system.interrupt import Interrupts


def tidy(
    tracks: Iterable[Track],
    genre_map: GenreMap,
    *,
    write: Callable[[Track, Change], str | None] | None = None,
    rehearse: Callable[[Track, Change], None] | None = None,
    interrupts: Interrupts | None = None,
) -> Generator[TrackResult, None, None]:
    """Yield one result for each track, in their order.

    Parameters
    ----------
    write, rehearse, interrupts : optional
        As `tagger.pipeline.batch.track_results` takes them.
    """
    interrupts = interrupts or Interrupts()
    for track in tracks:
        with interrupts.held():
            try:
                format = track.format or supported_format(track.path)
                decision = decide_tidy(read_tags(track.path, format), genre_map)
            except Exception as error:
                decision = failed(error)
            yield finished(track, Classified(), decision, Policy(), write=write, rehearse=rehearse)
