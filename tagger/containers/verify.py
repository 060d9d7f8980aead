"""Proves that a written copy is as planned: our fields are there, all else is as it was.

What must not change is compared as raw bytes: every other field of every tag, and everything in
the file that is no tag, the packets of sound above all. What must be there is read twice: by gtag,
and by mutagen, which did not write it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from os import PathLike
from typing import Any, BinaryIO, cast

from tagger.containers.apev2 import Apev2
from tagger.containers.blocks import (
    COMMENT,
    GENRE,
    MOOD,
    MULTI_VALUE_SEPARATOR,
    ROLES,
    Block,
    explained,
)
from tagger.containers.bounds import deadline
from tagger.containers.formats import APE, Format
from tagger.containers.opened import Container, open_container
from tagger.containers.parts import HashedFile, hashing, same_bytes
from tagger.system.errors import RefusedError, WriteFailedError

Fields = dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class Kept:
    """What was met while all of a copy was read.

    Attributes
    ----------
    digest : str
        SHA-256 of the copy.
    sound : str
        SHA-256 of its sound, as a snapshot's `sound`; empty where it was not asked for.
    """

    digest: str
    sound: str


def check_written(
    original: str | PathLike[str],
    copy: str | PathLike[str],
    format: Format,
    planned: Fields,
    *,
    with_sound: bool = True,
) -> Kept:
    """Check that `copy` says what was planned, and that nothing else in it is changed.

    Parameters
    ----------
    planned : dict
        Values by role, of the main tag.

    Raises
    ------
    WriteFailedError
        It is not so: the copy must not be used.
    """
    with both_open(original, copy, format, tuple(planned)) as (old, new, file):
        kept = _check_kept(original, old, new, file, with_sound=with_sound)
        tags = read_by_mutagen(copy, format, new.main)
        _check_planned(original, format, new, planned, tags)
        check_seen(original, format, old, new, tags, tuple(planned))
    return kept


def check_kept(
    original: str | PathLike[str],
    copy: str | PathLike[str],
    format: Format,
    roles: tuple[str, ...] = ROLES,
    *,
    with_sound: bool = True,
) -> Kept:
    """Check that all but genre and GTAG fields is in `copy` as in `original`.

    Raises
    ------
    WriteFailedError
        It is not: the copy must not be used.
    """
    with both_open(original, copy, format, roles) as (old, new, file):
        return _check_kept(original, old, new, file, with_sound=with_sound)


def _check_kept(
    original: str | PathLike[str],
    old: Container,
    new: Container,
    file: HashedFile,
    *,
    with_sound: bool,
) -> Kept:
    if [b.name for b in old.blocks] != [b.name for b in new.blocks]:
        raise WriteFailedError("not written: a tag was lost or added", path=original)
    for before, after in zip(old.blocks, new.blocks, strict=True):
        if before.foreign() != after.foreign() and not _is_carried(old, new, before, after):
            raise WriteFailedError(
                f"not written: another field of its {before.name} would change", path=original
            )
    file.begin()
    digest = hashlib.sha256()
    sound = hashing(old.sound(), digest) if with_sound else old.sound()
    if not (same_bytes(old.beside(), new.beside()) and same_bytes(sound, new.sound())):
        raise WriteFailedError("not written: its sound would change", path=original)
    return Kept(file.digest(), digest.hexdigest() if with_sound else "")


@contextmanager
def both_open(
    original: str | PathLike[str],
    copy: str | PathLike[str],
    format: Format,
    roles: tuple[str, ...] = ROLES,
) -> Iterator[tuple[Container, Container, HashedFile]]:
    """Take the tags of a file and of its copy apart; damage is a WriteFailedError.

    Yields both, and the copy's file.
    """
    with (
        explained(WriteFailedError, original),
        open(original, "rb") as old,
        open(copy, "rb") as new,
    ):
        hashed = HashedFile(new)
        copied = open_container(cast("BinaryIO", hashed), format, roles)
        yield open_container(old, format, roles), copied, hashed


def _is_carried(old: Container, new: Container, before: Block, after: Block) -> bool:
    """Tell whether all that one of two main tags says more stands in hidden tags, too.

    A write carries it over into a tag that said nothing, and undo takes it away again.
    """
    if before is not old.main or after is not new.main:
        return False
    if before.is_bare:
        bare, told, source = before, after, new
    else:
        bare, told, source = after, before, old
    carried = {e.raw for e in source.carried()}
    return bare.is_bare and bare.foreign() == [r for r in told.foreign() if r not in carried]


def _check_planned(
    original: str | PathLike[str], format: Format, new: Container, planned: Fields, tags: Any
) -> None:
    """Check that a copy says what was planned, also in mutagen's `tags`, and no hidden genre
    anything else.
    """
    problem = None
    if any(new.main.values(role) != values for role, values in planned.items()):
        problem = "the tags do not read back as planned"
    allowed = {genre.casefold() for genre in planned.get(GENRE, ())}
    for block in new.hidden:
        if not {genre.casefold() for genre in block.values(GENRE)} <= allowed:
            problem = f"its {block.name} would name another genre"
    if problem is None and _as_mutagen_reads(tags, new.main, planned) != planned:
        refuse_if_mutagen_cannot_read(original, format, new.main)
        problem = "mutagen does not read the tags as planned"
    if problem is not None:
        raise WriteFailedError(f"not written: {problem}", path=original)


def check_seen(
    original: str | PathLike[str],
    format: Format,
    old: Container,
    new: Container,
    tags: Any,
    roles: tuple[str, ...] = ROLES,
) -> None:
    """Check that programs see in a copy every other field that they see in `original`.

    That is more than `check_kept`, which looks at the fields one by one: a tag that begins to say
    something hides what the tags behind it say.

    Parameters
    ----------
    tags : Any
        The copy's, as `read_by_mutagen` returns them.

    Raises
    ------
    WriteFailedError
    """
    if old.main.is_bare:
        told, now = old.description(), new.main.description()
        told = {n: v for n, v in told.items() if new.main.tell({n: v})}
        kept = all(
            MULTI_VALUE_SEPARATOR.join(now.get(n, ())) == MULTI_VALUE_SEPARATOR.join(v)
            for n, v in told.items()
        )
    else:
        seen = _others(read_by_mutagen(original, format, old.main), format, roles)
        now_seen = _others(tags, format, roles)
        kept = all(key in now_seen and now_seen[key] == seen[key] for key in seen)
    if not kept:
        raise WriteFailedError(
            "not written: programs would no longer see its other fields", path=original
        )


def read_by_mutagen(path: str | PathLike[str], format: Format, main: Block) -> Any:
    """Return the main tag as mutagen reads it; None where there is none or it cannot."""
    try:
        return _mutagen_tags(path, format, main)
    except Exception:  # whatever mutagen fails at
        return None


def _as_mutagen_reads(tags: Any, main: Block, roles: Iterable[str]) -> Fields | None:
    fields: Fields = dict.fromkeys(roles, ())
    try:
        for role in roles:
            with suppress(KeyError):  # a field that is not there
                fields[role] = main.as_mutagen_reads(tags, role)
    except Exception:  # whatever mutagen fails at: it does not read what was planned
        return None
    return fields


def refuse_if_mutagen_cannot_read(path: str | PathLike[str], format: Format, main: Block) -> None:
    """Raise RefusedError where mutagen could not check what gtag writes."""
    try:
        _mutagen_tags(path, format, main)
    except Exception as error:
        raise RefusedError(
            "not written: mutagen cannot read it, so the write could not be verified", path=path
        ) from error


def _others(tags: Any, format: Format, roles: tuple[str, ...]) -> dict[str, Any]:
    """Return every field of mutagen's tags but those of the roles and gtag's."""
    fields: dict[str, Any] = {}
    if isinstance(tags, list):  # of pairs: Vorbis comments and ASF attributes
        for key, value in tags:
            fields.setdefault(key.lower() if format.family == "vorbis" else key, []).append(value)
    elif tags is not None:
        fields = dict(tags)
    ours = [_GTAG, *(pattern for role, pattern in _OURS.items() if role in roles)]
    return {k: v for k, v in fields.items() if not any(each.match(k) for each in ours)}


_GTAG = re.compile(r"(TXXX:|----:com\.apple\.iTunes:)?GTAG[_/]", re.IGNORECASE)
_OURS = {
    COMMENT: re.compile(r"COMM::|COMMENT$|\xa9cmt$|WM/Comments$", re.IGNORECASE),
    GENRE: re.compile(r"(----:.*:)?GENRE$|TCON$|\xa9gen$|gnre$|WM/Genre(ID)?$", re.IGNORECASE),
    MOOD: re.compile(r"(TXXX:|----:com\.apple\.iTunes:)?MOOD$|TMOO$|WM/Mood$", re.IGNORECASE),
}


def _mutagen_tags(path: str | PathLike[str], format: Format, main: Block) -> Any:
    by = APE if isinstance(main, Apev2) else format
    with open(path, "rb") as file, deadline():  # not by name: mutagen would open it for itself
        return by.open_with_mutagen(file).tags
