"""Tags of every kind: blocks of entries, some of them ours.

An entry is kept as the bytes that stand in the file. Only entries with a role (the genre, and what
gtag says of it) are ever decoded or made anew.
"""

from __future__ import annotations

import base64
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from typing import Any, BinaryIO, ClassVar

from tagger.containers.bounds import BeyondBoundError
from tagger.containers.parts import BrokenTagError
from tagger.system.errors import GtagError, RefusedError

GENRE = "genre"
GTAG_GENRE = "GTAG_GENRE"
GTAG_CONFIDENCE = "GTAG_CONFIDENCE"
GTAG_MODEL = "GTAG_MODEL"
GTAG_ROLES = (GTAG_GENRE, GTAG_CONFIDENCE, GTAG_MODEL)
ROLES = (GENRE, *GTAG_ROLES)
MOOD = "MOOD"
GTAG_MOOD = "GTAG_MOOD"
MOOD_ROLES = (MOOD, GTAG_MOOD)
COMMENT = "COMMENT"
ALL_ROLES = (*ROLES, *MOOD_ROLES, COMMENT)

# What a tag says of a track besides the genre, by the names that Vorbis comments have for it
# ("TITLE", "TRACKNUMBER"), whatever the kind of tag.
Description = dict[str, tuple[str, ...]]
_OF_THE_TRACK = ("TITLE", "ARTIST", "ALBUM")

# Where a tag has no true multi-values (ID3v2.3, APEv1, INFO).
MULTI_VALUE_SEPARATOR = "; "


class CannotKeepError(Exception):
    """A tag cannot be rewritten without harm to what is not ours: the file is refused."""


@contextmanager
def explained(
    kind: type[GtagError],
    path: str | PathLike[str],
    what: str = "not written",
    *,
    hint: str | None = None,
) -> Iterator[None]:
    """Turn errors of this module into one of `kind` that names the file.

    What is beyond a bound is refused, whatever the kind.
    """
    try:
        yield
    except (BrokenTagError, CannotKeepError) as error:
        raise kind(f"{what}: {error}", path=path, hint=hint) from error
    except BeyondBoundError as error:
        raise RefusedError(
            f"its tags are neither read nor written: {error}",
            path=path,
            hint="another tag editor may take them out",
        ) from error


@dataclass(frozen=True)
class Entry:
    """One field of a tag.

    Attributes
    ----------
    raw : bytes
        All of it, as it stands in the file.
    role : str or None
        One of the container's roles, or None for a field that is not ours.
    values : tuple of str
        Decoded, for a field with a role.
    """

    raw: bytes
    role: str | None = None
    values: tuple[str, ...] = ()


class Block(ABC):
    """A tag in a file, or the place where one would be.

    Attributes
    ----------
    name : str
        Of the kind of tag, for people.
    exists : bool
        Whether the file has it.
    entries : list of Entry
        In the order of the file.
    roles : tuple of str
        What counts as ours; see `limit`.
    """

    name: ClassVar[str]
    # Whether mutagen reads the file only once the tag was written.
    mends_reading = False

    def __init__(self, entries: Iterable[Entry] = (), *, exists: bool) -> None:
        self.entries = list(entries)
        self.exists = exists
        self.roles: tuple[str, ...] = ALL_ROLES

    def limit(self, roles: tuple[str, ...]) -> None:
        """Take only the fields of these roles for ours: all others are to stay as they are."""
        self.roles = roles
        self.entries = [Entry(e.raw) if e.role not in roles else e for e in self.entries]

    def values(self, role: str) -> tuple[str, ...]:
        """Return all values of a role, each once, blank ones left out."""
        return distinct(v for e in self.entries if e.role == role for v in e.values)

    def set(self, role: str, values: tuple[str, ...]) -> None:
        """Replace all entries of a role, at the place of the first of them."""
        place = self.place_of(role)
        new = self.make(role, values) if values else []
        before, after = self.entries[:place], self.entries[place:]
        self.entries = [*before, *new, *(e for e in after if e.role != role)]

    def place_of(self, role: str) -> int:
        """Return where the first entry of a role stands, or a new one goes."""
        return next((i for i, e in enumerate(self.entries) if e.role == role), len(self.entries))

    def translated(self, role: str, raw: bytes, shape: Mapping[str, Any]) -> Entry:
        """Return an entry of a tag of that `shape`, as this tag would say it.

        Raises CannotKeepError where this tag cannot say it.
        """
        return Entry(raw, role)

    def foreign(self) -> list[bytes]:
        """Return everything in this tag that a write must leave as it is."""
        return [e.raw for e in self.entries if e.role is None]

    @property
    def is_bare(self) -> bool:
        """Whether it says nothing at all: programs then show what another tag says."""
        return not self.entries

    @property
    def wants_genre(self) -> bool:
        """Whether it is to say the genre where it is not the main tag."""
        return any(e.role in ROLES for e in self.entries)

    @property
    def describes(self) -> bool:
        """Whether the genre stands here, or would be looked for: beside the track's name."""
        told = self.description()
        return any(e.role == GENRE for e in self.entries) or any(n in told for n in _OF_THE_TRACK)

    def description(self) -> Description:
        """Return what it says besides the genre, as far as other kinds of tags can say it."""
        return {}

    def tell(self, description: Description) -> list[Entry]:
        """Return entries without a role that say `description`, in this tag's own way.

        The same description gives the same bytes in every version of gtag: undo knows by them
        what was carried over from another tag. It may learn to tell more.
        """
        return []

    def begin(self, id3_version: int) -> None:  # noqa: B027 - most kinds have one version
        """Choose the version of a tag that is about to be made: called before `prepare`."""

    def prepare(self) -> None:  # noqa: B027 - most kinds have nothing to do
        """Prepare for the first `set`: convert a tag that cannot be written as it is, or raise
        CannotKeepError.
        """

    def check(self, genres: Iterable[str]) -> None:
        """Raise CannotKeepError where it cannot say one of these genres: called after `prepare`."""
        for genre in genres:
            if "\0" in genre or not _is_text(genre):
                raise CannotKeepError(f"no tag can hold the genre {genre!r}")

    @abstractmethod
    def make(self, role: str, values: tuple[str, ...]) -> list[Entry]:
        """Make entries that say `values`, in this tag's own way."""

    def as_mutagen_reads(self, tags: Any, role: str) -> tuple[str, ...]:
        """Return the values of a role in mutagen's tags; raises KeyError where there are none."""
        return tuple(tags[role])

    @abstractmethod
    def store(self, file: BinaryIO, shape: Mapping[str, Any] | None = None) -> None:
        """Write the entries to the file that this block was read from, open for update.

        With the `shape` of an earlier state the surroundings (padding, sizes) become as they were
        then. Positions of other blocks of the file no longer hold afterwards. Raises
        CannotKeepError.
        """

    def remove(self, file: BinaryIO, shape: Mapping[str, Any]) -> None:
        """Take the whole tag away; `shape` is of the time before there was one."""
        raise CannotKeepError(f"its {self.name} cannot be removed: gtag never adds one")

    def shape(self) -> dict[str, Any]:
        """Return what a restored tag needs besides its entries: plain values, ready for JSON."""
        return {}


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:  # bytes of a name that were not UTF-8
        return False
    return True


def distinct(values: Iterable[str]) -> tuple[str, ...]:
    """Return each value that is not blank once, in order, without blanks around it."""
    return tuple(dict.fromkeys(v for v in map(str.strip, values) if v))


def split_joint(values: Iterable[str]) -> Iterator[str]:
    """Yield the values of a tag without true multi-values, one by one."""
    for value in values:
        yield from value.split(MULTI_VALUE_SEPARATOR)


def role_of(name: str, *, genre: str) -> str | None:
    """Return the role of the field with this name, where the genre stands in the field `genre`."""
    folded = name.upper()
    if folded == genre.upper():
        return GENRE
    return folded if folded in ALL_ROLES else None


def to_text(data: bytes) -> str:
    """Encode bytes for JSON."""
    return base64.b64encode(data).decode("ascii")


def from_text(text: str) -> bytes:
    """Return what `to_text` was given."""
    return base64.b64decode(text, validate=True)
