"""A scan by the options of `gtag scan`, for all commands that scan or say what a scan would do."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click

from tagger.batch import TrackResult, scan_library
from tagger.cache import Cache, default_cache_path
from tagger.classify import classifier
from tagger.cli.files import not_music, tell_warnings_of_journal
from tagger.cli.settings import command_of
from tagger.decide import Policy
from tagger.files.library import Library, Track
from tagger.genre_map import GenreMap, genre_map_for
from tagger.models import zoo
from tagger.placeholders import DEFAULT_PLACEHOLDERS, Placeholders
from tagger.profiles import PROFILES, Profile
from tagger.sound.native_messages import native_messages_hidden
from tagger.writing import Care

if TYPE_CHECKING:
    from tagger.interrupt import Interrupts
    from tagger.models.card import Card


def scan_defaults() -> dict[str, Any]:
    """The options of `gtag scan` as settings and gtag's defaults have them."""
    root = click.get_current_context().find_root()
    return command_of("scan").make_context("scan", ["."], parent=root).params


def policy_of(options: Mapping[str, Any], card: Card) -> Policy:
    """The policy for a model.

    Raises
    ------
    ConfigurationError
        The genre map cannot be used, or options contradict each other.
    """
    ignored = () if options["no_default_placeholders"] else DEFAULT_PLACEHOLDERS
    file, detail = options["genre_map"], options["detail"]
    return Policy(
        options["min_confidence"],
        options["existing"],
        Placeholders((*ignored, *options["placeholders"])),
        genres=options["genres"],
        detail=detail,
        album=options["album"],
        profile=PROFILES[options["profile"]] if options["profile"] else Profile(),
        genre_map=genre_map_for(file, card, detail) if file else GenreMap(),
    )


class Scanning:
    """What the options say of a scan; it can begin once `load` has loaded the model.

    Parameters
    ----------
    options : mapping from str to object
        Of `gtag scan`, by the names of its parameters.
    writes : bool
        Whether tags are written.

    Raises
    ------
    ConfigurationError
        The journal would replace a music file.
    """

    policy: Policy

    def __init__(self, options: Mapping[str, Any], *, writes: bool) -> None:
        tell_warnings_of_journal()
        if writes and options["journal"]:
            not_music(options["journal"], "--journal")
        self._options = options
        self._writes = writes
        self.model: str = options["model"] or zoo.DEFAULT
        self.care = Care(
            options["min_age"],
            not options["write_incomplete"],
            options["preserve_mtime"],
            options["in_place"],
            options["trust"],
        )
        self.cache = Cache(None)

    def load(self, stack: ExitStack) -> None:
        """Load the model, and open the cache until the stack is closed.

        Raises
        ------
        ConfigurationError
            The model or the policy cannot be used.
        """
        with native_messages_hidden():
            card = classifier(self.model).card
        self.policy = policy_of(self._options, card)
        file = None if self._options["no_cache"] else default_cache_path()
        self.cache = stack.enter_context(Cache(file, card))

    def library(self, paths: Sequence[str]) -> Library:
        return Library(
            paths,
            exclude=self._options["exclude"],
            default_excludes=not self._options["no_default_excludes"],
            format_of=lambda path, stamp: self.cache.format_of(path, stamp),  # once it is open
        )

    def results(
        self,
        library: Library,
        tracks: Iterable[Track] | None = None,
        *,
        interrupts: Interrupts,
        apart: bool = False,
        cluster: str | None = None,
    ) -> Generator[TrackResult, None, None]:
        """As `tagger.batch.scan_library`."""
        return scan_library(
            library,
            tracks,
            model=self.model,
            policy=self.policy,
            care=self.care,
            writes=self._writes,
            journal=self._options["journal"],
            command=sys.argv[1:],
            jobs=self._options["jobs"],
            apart=apart,
            interrupts=interrupts,
            cache=self.cache,
            cluster=cluster,
        )
