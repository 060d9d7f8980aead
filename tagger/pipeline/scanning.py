"""A scan by its options, for every command that scans, and for the Python API."""

from __future__ import annotations

import logging
import os
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

from tagger.deciding.albums import in_albums, is_album
from tagger.deciding.decide import Policy
from tagger.deciding.genre_map import GenreMap, genre_map_for
from tagger.deciding.options import ScanOptions
from tagger.genres.placeholders import DEFAULT_PLACEHOLDERS, Placeholders
from tagger.genres.profiles import PROFILES, Profile
from tagger.library.walk import Library, Track
from tagger.models import zoo
from tagger.models.card import no_aims
from tagger.pipeline.batch import track_results
from tagger.pipeline.cache import Cache, default_cache_path
from tagger.pipeline.classify import Classified, classifier
from tagger.pipeline.road import TagsOf, TrackResult
from tagger.pipeline.writing import Care, writer_or_rehearsal
from tagger.sound.native_messages import native_messages_hidden
from tagger.system.logs import step
from tagger.system.places import if_there_is_one

if TYPE_CHECKING:
    from tagger.models.card import Card
    from tagger.system.interrupt import Interrupts

log = logging.getLogger(__name__)


def policy_of(options: ScanOptions, card: Card) -> Policy:
    """Return the policy for a model.

    Raises
    ------
    ConfigurationError
        The genre map cannot be used, options contradict each other, or the model was not measured
        for an aim.
    """
    if options.aim is not None and not card.aims:
        raise no_aims(card.tag)
    ignored = () if options.no_default_placeholders else DEFAULT_PLACEHOLDERS
    file, detail = options.genre_map, options.detail
    return Policy(
        options.min_confidence,
        options.existing,
        Placeholders((*ignored, *options.placeholders)),
        aim=options.aim,
        genres=options.genres,
        mood=options.mood,
        comment=options.comment,
        detail=detail,
        album=options.album,
        profile=PROFILES[options.profile] if options.profile else Profile(),
        genre_map=genre_map_for(file, card, detail) if file else GenreMap(),
    )


def care_of(options: ScanOptions) -> Care:
    """Return how careful the writes are."""
    return Care(
        options.min_age,
        not options.write_incomplete,
        options.preserve_mtime,
        options.in_place,
        options.trust,
    )


class Scanning:
    """What the options say of a scan; it can begin once `load` has loaded the model.

    Parameters
    ----------
    options : ScanOptions
    writes : bool
        Whether tags are written.
    command : sequence of str
        What `gtag undo --list` shows of the run.
    """

    policy: Policy

    def __init__(self, options: ScanOptions, *, writes: bool, command: Sequence[str]) -> None:
        self._options = options
        self._writes = writes
        self._command = command
        self.model: str = options.model or zoo.DEFAULT
        self.care = care_of(options)
        self.cache = Cache(None)

    def load(self, stack: ExitStack) -> None:
        """Load the model, and open the cache until the stack is closed.

        Raises
        ------
        ConfigurationError
            The model or the policy cannot be used.
        """
        with native_messages_hidden(), step("loaded", f"the model {self.model}"):
            card = classifier(self.model).card
        log.info("the model is %s from %s", card.tag, card.folder)
        self.policy = policy_of(self._options, card)
        file = None if self._options.no_cache else if_there_is_one(default_cache_path)
        log.info("the cache is %s", file or "not used")
        self.cache = stack.enter_context(Cache(file, card))

    def library(self, paths: Sequence[str], *, limit: int | None = None) -> Library:
        return Library(
            paths,
            limit=limit,
            exclude=self._options.exclude,
            default_excludes=not self._options.no_default_excludes,
            format_of=lambda path, stamp: self.cache.format_of(path, stamp),  # once it is open
        )

    def album_of(self, track: Track) -> list[Track]:
        """Return the tracks of a track's folder that are decided together with it, with itself."""
        if self.policy.album == "off":
            return [track]
        folder = os.path.dirname(track.path)  # noqa: PTH120 - paths stay as they were given
        names = sorted(os.listdir(folder or os.curdir))  # noqa: PTH208
        files = [os.path.join(folder, name) for name in names]  # noqa: PTH118
        tracks = self.library([file for file in files if os.path.isfile(file)])  # noqa: PTH113
        albums = in_albums(tracks, lambda t: t.path, lambda t: TagsOf(t, self.cache).credits)
        for album in albums:
            if any(other.path == track.path for other, _ in album):
                whole = is_album([credits for _, credits in album])
                return [other for other, _ in album] if whole else [track]
        return [track]  # it was met under another name

    def results(
        self,
        library: Library,
        tracks: Iterable[Track] | None = None,
        *,
        interrupts: Interrupts | None = None,
        apart: bool = False,
        cluster: str | None = None,
        known: Mapping[str, Classified] | None = None,
        rehearses: bool = True,
    ) -> Generator[TrackResult, None, None]:
        """Scan a library, or those of its tracks that are given; see `batch.track_results`.

        Parameters
        ----------
        rehearses : bool
            Whether a dry run tells what a write would refuse.

        Raises
        ------
        ConfigurationError
            The journal cannot be used: nothing was done.
        ResourceError
            As `tagger.pipeline.batch.track_results`.
        """
        begun = writer_or_rehearsal(
            *(self._writes, self._options.journal, self.care),
            command=self._command,
            model=classifier(self.model).card.tag,
            library=library,
        )
        with begun as (write, rehearse):
            yield from track_results(
                library if tracks is None else tracks,
                model=self.model,
                policy=self.policy,
                write=write,
                rehearse=rehearse if rehearses else None,
                jobs=self._options.jobs,
                apart=apart,
                interrupts=interrupts,
                cache=self.cache,
                cluster=cluster,
                known=known,
            )
