"""Proves that a written copy is as planned: our fields are there, all else is as it was.

What must not change is compared as raw bytes: every other field of every tag, and everything in
the file that is no tag, the packets of sound above all. What must be there is read twice: by gtag,
and by mutagen, which had no part in writing it.
"""

from __future__ import annotations

import hashlib
from os import PathLike
from typing import Any

from tagger.errors import RefusedError, WriteFailedError
from tagger.formats import Format
from tagger.tags.blocks import (
    GENRE,
    JOINT,
    ROLES,
    BrokenTagError,
    CannotKeepError,
)
from tagger.tags.containers import Container, open_container
from tagger.tags.read import open_or_explain

Fields = dict[str, tuple[str, ...]]


def content_hash(path: str | PathLike[str], format: Format) -> str:
    """SHA-256 of all in a file that is no tag: the same before and after any change of tags.

    Raises
    ------
    UnreadableError, OSError
    """
    with open(path, "rb") as file:
        return _digest(open_or_explain(file, format, path))


def check_kept(original: str | PathLike[str], copy: str | PathLike[str], format: Format) -> None:
    """Check that all but genre and GTAG fields is in `copy` as in `original`.

    Raises
    ------
    WriteFailedError
        It is not: the copy must not be used.
    """
    try:
        with open(original, "rb") as old_file, open(copy, "rb") as new_file:
            old, new = open_container(old_file, format), open_container(new_file, format)
            if [b.name for b in old.blocks] != [b.name for b in new.blocks]:
                raise WriteFailedError("not written: a tag was lost or added", path=original)
            for before, after in zip(old.blocks, new.blocks, strict=True):
                if before.foreign() != after.foreign():
                    raise WriteFailedError(
                        f"not written: another field of its {before.name} would change",
                        path=original,
                    )
            if _digest(old) != _digest(new):
                raise WriteFailedError("not written: its sound would change", path=original)
    except (BrokenTagError, CannotKeepError) as error:
        raise WriteFailedError(f"not written: {error}", path=original) from error


def check_planned(
    original: str | PathLike[str], copy: str | PathLike[str], format: Format, planned: Fields
) -> None:
    """Check that `copy` says what was planned, and no hidden genre anything else.

    Parameters
    ----------
    planned : dict
        Values by role, of the main tag.

    Raises
    ------
    WriteFailedError
    """
    problem = None
    with open(copy, "rb") as file:
        try:
            container = open_container(file, format)
        except BrokenTagError as error:
            raise WriteFailedError(f"not written: {error}", path=original) from error
        for role, values in planned.items():
            if container.main.values(role) != values:
                problem = "the tags do not read back as planned"
        allowed = {genre.casefold() for genre in planned[GENRE]}
        for block in container.hidden:
            if not {genre.casefold() for genre in block.values(GENRE)} <= allowed:
                problem = f"its {block.name} would contradict"
        if problem is None and _as_mutagen_reads(copy, format) != planned:
            _refuse_if_mutagen_cannot_read(original, format)
            problem = "mutagen does not read the tags as planned"
    if problem is not None:
        raise WriteFailedError(f"not written: {problem}", path=original)


def _digest(container: Container) -> str:
    digest = hashlib.sha256()
    for piece in container.content():
        digest.update(piece)
    return digest.hexdigest()


def _as_mutagen_reads(path: str | PathLike[str], format: Format) -> Fields | None:
    try:
        tags = _mutagen_tags(path, format)
        return {role: _READERS[format.family](tags, role) for role in ROLES}
    except Exception:  # whatever it stumbles over: it does not read what was planned
        return None


def _refuse_if_mutagen_cannot_read(path: str | PathLike[str], format: Format) -> None:
    try:
        _mutagen_tags(path, format)
    except Exception as error:
        raise RefusedError(
            "not written: mutagen cannot read it, so nobody could check what gtag writes", path=path
        ) from error


def _mutagen_tags(path: str | PathLike[str], format: Format) -> Any:
    with open(path, "rb") as file:  # not by name: mutagen would open it for itself
        return format.open_with_mutagen(file).tags


def _id3(tags: Any, role: str) -> tuple[str, ...]:
    values = tags["TCON"].genres if role == GENRE else tags[f"TXXX:{role}"].text
    if tags.version < (2, 4, 0):
        values = [v for value in values for v in value.split(JOINT)]
    return tuple(values)


def _mp4(tags: Any, role: str) -> tuple[str, ...]:
    if role == GENRE:
        return tuple(tags["\xa9gen"])
    return tuple(bytes(v).decode() for v in tags[f"----:com.apple.iTunes:{role}"])


def _asf(tags: Any, role: str) -> tuple[str, ...]:
    key = "WM/Genre" if role == GENRE else role.replace("_", "/", 1)
    return tuple(str(value) for value in tags[key])


def _vorbis(tags: Any, role: str) -> tuple[str, ...]:
    return tuple(tags[role])  # keys in either case; "genre" is the role's own name


def _ape(tags: Any, role: str) -> tuple[str, ...]:
    values = list(tags[role])
    return tuple(values[0].split(JOINT) if len(values) == 1 else values)  # joined in APEv1


_READERS = {"id3": _id3, "mp4": _mp4, "asf": _asf, "vorbis": _vorbis, "ape": _ape}
