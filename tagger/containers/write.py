"""Writes a genre, gtag's confidence and the model's name: the only writer of new values;
`snapshot` puts old ones back.

The main tag gets the genre and the GTAG fields; where it said nothing so far, also what the others
say. A hidden tag that players read (an MP3's APE tag, a WAV's INFO list, an ID3v1 tag, whatever
names a genre) gets the same genre, so that no player shows another.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from os import PathLike
from typing import Any, Protocol

from tagger.containers.blocks import (
    COMMENT,
    GENRE,
    GTAG_CONFIDENCE,
    GTAG_GENRE,
    GTAG_MODEL,
    GTAG_MOOD,
    MOOD,
    ROLES,
    distinct,
    explained,
)
from tagger.containers.formats import Format
from tagger.containers.read import open_or_explain
from tagger.containers.recognise import identify_open
from tagger.containers.snapshot import snapshot
from tagger.containers.verify import (
    Fields,
    check_written,
    refuse_if_mutagen_cannot_read,
)
from tagger.storage.identity import Identity
from tagger.storage.replace_file import check_writable, replace_file
from tagger.system.errors import RefusedError, UnreadableError


@dataclass(frozen=True)
class Change:
    """What is to stand in a file's tags.

    Attributes
    ----------
    genres : tuple of str or None
        All of the genre field, a person's genres included where those stay. None: it stays, with
        all that gtag noted of it.
    gtag_genre : tuple of str
        Those of them that gtag says. Empty: a person says them all.
    confidence : float or None
        From 0 to 1; None where a person says it.
    model : str or None
        Name and version, as ``cnn-1``.
    id3_version : int
        Of an ID3v2 tag that has to be made: 3 or 4. One that is there keeps its own.
    mood : str or None
        None: the mood stays.
    comment : str or None
        All of the comment. None: it stays.
    """

    genres: tuple[str, ...] | None
    gtag_genre: tuple[str, ...] = ()
    confidence: float | None = None
    model: str | None = None
    id3_version: int = 4
    mood: str | None = None
    comment: str | None = None

    def fields(self) -> Fields:
        """Return the values of the main tag, by the roles that are written."""
        fields: Fields = {}
        if self.genres is not None:
            fields |= {
                GENRE: distinct(self.genres),
                GTAG_GENRE: distinct(self.gtag_genre),
                GTAG_CONFIDENCE: () if self.confidence is None else (f"{self.confidence:.4f}",),
                GTAG_MODEL: () if self.model is None else distinct([self.model]),
            }
        if self.mood is not None:
            fields |= {MOOD: (self.mood,), GTAG_MOOD: (self.mood,)}
        if self.comment is not None:
            fields[COMMENT] = distinct([self.comment])
        return fields

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles of the fields that are written."""
        return tuple(self.fields())


class PendingChange(Protocol):
    """A change on its way into the journal: see `tagger.journal.journal`."""

    old: Any

    def before_copy(self, copy: str, backup: str | None) -> None: ...

    def before_swap(self, before: Identity, after: Identity, copy: str) -> None: ...

    def after_swap(self) -> None: ...


class JournalHook(Protocol):
    """Where changes are announced: a run of the journal."""

    def change(
        self,
        path: str | PathLike[str],
        format_name: str,
        *,
        new: Any = None,
        preserve_mtime: bool = False,
        in_place: bool = False,
    ) -> PendingChange: ...


def write_change(
    path: str | PathLike[str],
    format: Format,
    change: Change,
    *,
    journal: JournalHook | None = None,
    preserve_mtime: bool = False,
    in_place: bool = False,
) -> str | None:
    """Write a change into a file, by way of a verified copy; returns what `replace_file` does.

    Raises
    ------
    RefusedError
        The file is better left alone: a fragmented MP4, a damaged header, a hard link, …
    WriteFailedError
        It did not work, or did not turn out as planned: the file is as it was.
    UnreadableError
        Its tags cannot be read.
    """
    planned = change.fields()
    pending = None
    if journal is not None:
        pending = journal.change(
            path,
            format.name,
            new={role: list(values) for role, values in planned.items()},
            preserve_mtime=preserve_mtime,
            in_place=in_place,
        )

    def edit(copy: str) -> None:
        refuse_unless(format, copy, path)  # of the very bytes that are edited
        if pending is not None:
            pending.old = snapshot(copy, format, change.roles, with_sound=False)
        apply_change(copy, format, change)

    def verify(original: str, copy: str) -> str:
        kept = check_written(original, copy, format, planned, with_sound=pending is not None)
        if pending is not None:
            pending.old["sound"] = kept.sound
        return kept.digest

    return replace_file(
        path,
        edit,
        verify,
        before_copy=pending.before_copy if pending else None,
        before_swap=pending.before_swap if pending else None,
        after_swap=pending.after_swap if pending else None,
        preserve_mtime=preserve_mtime,
        in_place=in_place,
    )


def refuse_unless(format: Format, copy: str | PathLike[str], path: str | PathLike[str]) -> None:
    """See that a copy holds what the original was taken for: nothing else may be written into.

    Raises
    ------
    RefusedError
    """
    refuse_untagged(format, path)
    with open(copy, "rb") as file:
        found = identify_open(file, os.fspath(path))
    if found != format:
        what = "no container that gtag writes" if found is None else found.name
        raise RefusedError(f"not written: its content is {what}, not {format.name}", path=path)


def refuse_untagged(format: Format, path: str | PathLike[str]) -> None:
    """Raise RefusedError for a container whose tags gtag cannot write."""
    if not format.is_tagged:
        raise RefusedError(
            f"this container ({format.name}) holds no tags that gtag can write", path=path
        )


def check_change(
    path: str | PathLike[str],
    format: Format,
    change: Change | None = None,
    *,
    preserve_mtime: bool = False,
    in_place: bool = False,
) -> None:
    """Raise what `write_change` would, as far as that shows without writing.

    Without a change, what would be raised whatever the genre.
    """
    roles = change.roles if change else ROLES
    genres = change.fields().get(GENRE, ()) if change else ()
    try:
        check_writable(path, in_place=in_place, preserve_mtime=preserve_mtime)
        refuse_unless(format, path, path)
        with explained(RefusedError, path), open(path, "rb") as file:
            container = open_or_explain(file, format, path, roles)
            for block in container.blocks:
                asks = GENRE in roles and container.asks_for_genre(block)
                if block is container.main or asks:
                    if change:
                        block.begin(change.id3_version)
                    block.prepare()
                    block.check(genres)
            if not container.main.mends_reading:
                refuse_if_mutagen_cannot_read(path, format, container.main)
    except OSError as error:
        raise UnreadableError.of_system(error, path) from error


def apply_change(path: str | PathLike[str], format: Format, change: Change) -> None:
    """Edit the file itself; nothing is copied or verified. Raises as `write_change` does."""
    planned = change.fields()
    with explained(RefusedError, path), open(path, "r+b") as file:
        container = open_or_explain(file, format, path, change.roles)
        main = container.blocks.index(container.main)
        asks = container.asks_for_genre if GENRE in planned else lambda _: False
        asking = [i for i, b in enumerate(container.blocks) if asks(b)]
        # From the last, since what is written moves all that follows it.
        for n, i in enumerate(sorted({main, *asking}, reverse=True)):
            if n:
                container = open_or_explain(file, format, path, change.roles)
            block = container.blocks[i]
            block.begin(change.id3_version)
            block.prepare()
            block.check(planned.get(GENRE, ()))
            if i == main and block.is_bare:
                block.entries = container.carried()
            for role in planned:  # what gtag noted stands in the main tag alone
                block.set(role, planned[role] if i == main or role == GENRE else ())
            block.store(file)
