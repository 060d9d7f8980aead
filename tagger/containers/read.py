"""Reads what a file's tags say of its genre, and who said it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from os import PathLike
from typing import Any, BinaryIO

from tagger.containers.blocks import (
    ALL_ROLES,
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
from tagger.containers.bounds import deadline
from tagger.containers.formats import Format
from tagger.containers.opened import Container, open_container
from tagger.system.errors import UnreadableError


@dataclass(frozen=True)
class TagState:
    """A file's genres and what gtag wrote beside them.

    Attributes
    ----------
    genres : tuple of str
        The container's own genre field, each genre once; numbered ones by name.
    hidden : tuple of (str, tuple of str)
        Other places that name a genre, such as ``("ID3v1", ("Blues",))``.
    gtag_genre : tuple of str
        What gtag wrote into the genre field, as it noted then.
    gtag_confidence : float or None
        From 0 to 1; None where there is none that makes sense.
    gtag_model : str or None
    moods : tuple of str
        Of all tags.
    gtag_mood : tuple of str
        What gtag wrote into the mood field, as it noted then.
    comments : tuple of str
        Of the main tag; of another one, where that says nothing at all.
    """

    genres: tuple[str, ...] = ()
    hidden: tuple[tuple[str, tuple[str, ...]], ...] = ()
    gtag_genre: tuple[str, ...] = ()
    gtag_confidence: float | None = None
    gtag_model: str | None = None
    moods: tuple[str, ...] = ()
    gtag_mood: tuple[str, ...] = ()
    comments: tuple[str, ...] = ()

    @property
    def user_moods(self) -> tuple[str, ...]:
        """Every mood that a person wrote."""
        return tuple(mood for mood in self.moods if mood not in self.gtag_mood)

    @property
    def user_genres(self) -> tuple[str, ...]:
        """Every genre, wherever it stands, that a person wrote: all but what gtag noted.

        Hidden ones may differ from it in case: ID3v1 has one spelling for each of its numbers.
        """
        noted = {genre.casefold() for genre in self.gtag_genre}
        hidden = (genre for _, genres in self.hidden for genre in genres)
        return distinct(
            (
                *(genre for genre in self.genres if genre not in self.gtag_genre),
                *(genre for genre in hidden if genre.casefold() not in noted),
            )
        )


def read_tags(path: str | PathLike[str], format: Format) -> TagState:
    """Read what a file says of its genre; an empty state for a container that has no tags.

    Raises
    ------
    UnreadableError
        The file cannot be read, or its tag is damaged.
    RefusedError
        It has more of something than gtag takes apart.
    """
    if not format.is_tagged:
        return TagState()
    try:
        with opened(path, format, ALL_ROLES) as container:
            pass
    except OSError as error:
        raise UnreadableError.of_system(error, path) from error
    main = container.main
    # Where another program added a tag that is now the main one, gtag's fields stand in another.
    noted = next((b for b in (main, *container.hidden) if b.values(GTAG_GENRE)), main)
    model = noted.values(GTAG_MODEL)
    return TagState(
        genres=main.values(GENRE),
        hidden=tuple((b.name, v) for b in container.hidden if (v := b.values(GENRE))),
        gtag_genre=noted.values(GTAG_GENRE),
        gtag_confidence=_confidence(noted.values(GTAG_CONFIDENCE)),
        gtag_model=model[0] if model else None,
        moods=distinct(v for b in container.blocks for v in b.values(MOOD)),
        gtag_mood=main.values(GTAG_MOOD),
        comments=_comments(container),
    )


def _comments(container: Container) -> tuple[str, ...]:
    if not container.main.is_bare:
        return container.main.values(COMMENT)
    told = (block.description().get(COMMENT) for block in container.hidden)
    return next(filter(None, told), ())


@contextmanager
def opened(
    path: str | PathLike[str], format: Format, roles: tuple[str, ...] = ROLES
) -> Iterator[Container]:
    """Open the tags of a file, for as long as this lasts: what shows to be damaged names the file.

    Raises as `read_tags` does, and OSError.
    """
    with readable(path), open(path, "rb") as file:
        yield open_container(file, format, roles)


def open_by_mutagen(path: str | PathLike[str], format: Format) -> Any:
    """Open a file with mutagen, once all is counted that it would read without end.

    Raises whatever either of them does.
    """
    with open(path, "rb") as file:
        open_container(file, format)
        file.seek(0)
        with deadline():
            return format.open_with_mutagen(file)


def open_or_explain(
    file: BinaryIO, format: Format, path: str | PathLike[str], roles: tuple[str, ...] = ROLES
) -> Container:
    """Call `open_container`; a damaged tag is an error that names the file."""
    with readable(path):
        return open_container(file, format, roles)


def readable(path: str | PathLike[str]) -> AbstractContextManager[None]:
    """Turn errors about a tag into one that says why the file's tags cannot be read."""
    return explained(
        UnreadableError, path, "its tags cannot be read", hint="another tag editor may mend them"
    )


def _confidence(values: tuple[str, ...]) -> float | None:
    try:
        number = float(values[0]) if values else math.nan
    except ValueError:
        return None
    return number if 0 <= number <= 1 else None
