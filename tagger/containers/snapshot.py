"""Remembers the raw values of our fields in every tag, and puts them back for undo.

A snapshot is plain data for JSON. Restoring puts the old bytes back where they stood; what was
not ours is not touched, and a tag that was not there goes.
"""

from __future__ import annotations

import struct
from contextlib import suppress
from os import PathLike
from typing import Any

from tagger.containers.blocks import (
    ALL_ROLES,
    COMMENT,
    GENRE,
    MULTI_VALUE_SEPARATOR,
    ROLES,
    Block,
    CannotKeepError,
    Entry,
    explained,
    from_text,
    to_text,
)
from tagger.containers.formats import Format
from tagger.containers.opened import Container
from tagger.containers.parts import digest_of
from tagger.containers.read import open_or_explain, opened
from tagger.system.errors import RefusedError

_DAMAGED = "its tags in the journal are damaged"
_GENRE_CHANGED = "its genre was changed since"
_LARGEST_AREA = 1 << 28  # of an ID3v2 tag with its padding, which has the largest
_BEGINNING = 1 << 16  # bytes by which another sound is told without reading all of it
# What a shape of wrong values ends in: each kind of block knows its own alone.
_OF_A_DAMAGED_SHAPE = (TypeError, KeyError, ValueError, LookupError, OverflowError, struct.error)


def snapshot(
    path: str | PathLike[str],
    format: Format,
    roles: tuple[str, ...] = ROLES,
    *,
    like: Any = None,
    with_sound: bool = True,
) -> dict[str, Any]:
    """Return the raw values of some fields in every tag, which tags there are, and the sound.

    Parameters
    ----------
    like : dict, optional
        A snapshot of the same sound, which is then not read again. What is no snapshot counts not.
    with_sound : bool
        Else `sound` is left out where it would have to be read: for who reads it anyway.

    Raises
    ------
    UnreadableError, RefusedError, OSError
    """
    with opened(path, format, roles) as container:
        begins = _sound(container, _BEGINNING)
        noted = like if isinstance(like, dict) else {}
        known = noted.get("sound") if begins == noted.get("sound_begins") else None
        if not isinstance(known, str):
            known = _sound(container) if with_sound else None
        return {
            "format": format.name,
            **({} if roles == ROLES else {"roles": list(roles)}),
            **({} if known is None else {"sound": known}),
            "sound_begins": begins,
            "blocks": [_of_block(container, b) for b in container.blocks],
        }


def sound_of(path: str | PathLike[str], format: Format) -> str:
    """Return the SHA-256 of a file's sound, as a snapshot's `sound`. Raises as `snapshot` does."""
    with opened(path, format) as container:
        return _sound(container)


def sound_begins(path: str | PathLike[str], format: Format) -> str:
    """Return the SHA-256 of its first bytes, as a snapshot's `sound_begins`; raises as that."""
    with opened(path, format) as container:
        return _sound(container, _BEGINNING)


def obstacle(
    path: str | PathLike[str], format: Format, old: Any, new: Any, *, force: bool = False
) -> str | None:
    """Say why gtag's fields cannot be taken back in a file that was changed since; None: they can.

    Parameters
    ----------
    old : Any
        The snapshot from before gtag's change.
    new : Any
        What gtag left there: values by role, or the snapshot that an undo brought back.
    force : bool
        Take them back whatever they say now.

    Raises
    ------
    RefusedError
        `old` is not a snapshot.
    UnreadableError, OSError
    """
    _check(old, path)
    roles = roles_of(old)
    with opened(path, format, roles) as container:
        if "sound" not in old:
            return "somebody changed it since"
        if _sound(container) != old["sound"]:
            return "somebody changed its sound since"
        said = container.main.values(GENRE)
        hidden = {g.casefold() for b in container.hidden for g in b.values(GENRE)}
        values = {role: list(container.main.values(role)) for role in roles}
    if force:
        return None
    if isinstance(new, dict) and "blocks" in new:
        return None if same_fields(path, format, new, loosely=True) else _GENRE_CHANGED
    left = new if isinstance(new, dict) else {}
    # Other versions of a tag, and other programs, keep several values as one.
    changed = {
        role
        for role in roles
        if not isinstance(left.get(role), list)
        or not all(isinstance(value, str) for value in left[role])
        or MULTI_VALUE_SEPARATOR.join(left[role]) != MULTI_VALUE_SEPARATOR.join(values[role])
    }
    if hidden <= {genre.casefold() for genre in said} and changed.isdisjoint(ROLES):
        what = "comment" if COMMENT in changed else "mood"
        return f"its {what} was changed since" if changed else None
    wrote = left.get(GENRE)
    if not isinstance(wrote, list):
        return _GENRE_CHANGED
    now = MULTI_VALUE_SEPARATOR.join(
        dict.fromkeys((*said, *sorted(hidden - {s.casefold() for s in said})))
    )
    ours = MULTI_VALUE_SEPARATOR.join(map(str, wrote))
    return f"{_GENRE_CHANGED}: gtag wrote {ours}, it says {now or 'none'} now"


def restore(
    path: str | PathLike[str], format: Format, old: dict[str, Any], *, loosely: bool = False
) -> None:
    """Bring a file's fields to what they were when `old` was taken; edits the file itself.

    Where `loosely`, somebody has edited other fields since: all of those stay.

    Raises
    ------
    RefusedError
        The file's tags are not those that the snapshot was taken from.
    UnreadableError, OSError
    """
    _check(old, path)
    if loosely:  # what was carried over may be what they edited
        blocks = [{**block, "carried": None} for block in old["blocks"]]
        old = {**old, "blocks": blocks}
    try:
        with explained(RefusedError, path, "not restored"), open(path, "r+b") as file:
            # From the last, since what is written moves all that follows it.
            for i in reversed(range(len(old["blocks"]))):
                container = open_or_explain(file, format, path, roles_of(old))
                block = _counterparts(container.blocks, old["blocks"])[i]
                _restore_block(file, container, block, old["blocks"][i], loosely=loosely)
    except _OF_A_DAMAGED_SHAPE as error:
        raise RefusedError(_DAMAGED, path=path) from error


def same_fields(
    path: str | PathLike[str], format: Format, old: dict[str, Any], *, loosely: bool = False
) -> bool:
    """Tell whether every genre and GTAG field of a file is, to the byte, as in a snapshot.

    Where `loosely`, the tags may be others than they were, but for these fields.
    """
    _check(old, path)
    with opened(path, format, roles_of(old)) as container:
        try:
            blocks = _counterparts(container.blocks, old["blocks"])
            if loosely:
                return all(
                    _ours(block) == _as_told_by(block, o)
                    for block, o in zip(blocks, old["blocks"], strict=True)
                )
        except CannotKeepError:
            return False
        now = [_of_block(container, block) for block in blocks]
    pairs = list(zip(now, old["blocks"], strict=True))
    return all(_comparable(b) == _comparable(o) for b, o in pairs) and all(
        b.get("carried") == o["carried"] for b, o in pairs if "carried" in o
    )


def roles_of(old: Any) -> tuple[str, ...]:
    """Return the roles of the fields that a snapshot has; gtag's own for what is no snapshot."""
    roles = old.get("roles") if isinstance(old, dict) else None
    return tuple(roles) if isinstance(roles, list) else ROLES


def _check(old: Any, path: str | PathLike[str]) -> None:
    """Refuse what is not a snapshot, whoever wrote it into the journal."""
    match old:
        case {"blocks": list(blocks)} if all(map(_is_block, blocks)):
            roles = old.get("roles", [])
            if isinstance(roles, list) and all(role in ALL_ROLES for role in roles):
                return
    raise RefusedError(_DAMAGED, path=path)


def _is_block(block: Any) -> bool:
    match block:
        case {"name": str(), "exists": bool(), "shape": dict(shape), "fields": list(fields)}:
            known = block.get("carried") in (None, False, True)
            return known and _is_area(shape.get("area")) and all(map(_is_field, fields))
    return False


def _is_area(size: Any) -> bool:
    return size is None or (type(size) is int and 0 <= size <= _LARGEST_AREA)


def _is_field(field: Any) -> bool:
    match field:
        case [int(place), str(), str(raw)] if not isinstance(place, bool):
            with suppress(ValueError):
                from_text(raw)
                return True
    return False


def _counterparts(blocks: list[Block], old: list[dict[str, Any]]) -> list[Block]:
    """Return the block for each that is remembered; an older gtag may not have known all kinds."""
    counterparts, rest = [], iter(blocks)
    for name in (b["name"] for b in old):
        block = next((b for b in rest if b.name == name), None)
        if block is None:
            raise CannotKeepError("it no longer has the tags that it had")
        counterparts.append(block)
    return counterparts


def _of_block(container: Container, block: Block) -> dict[str, Any]:
    return {
        **({"carried": _carries(container)} if block is container.main else {}),
        "name": block.name,
        "exists": block.exists,
        "shape": block.shape(),
        "fields": [
            [i, e.role, to_text(e.raw)] for i, e in enumerate(block.entries) if e.role is not None
        ],
    }


def _carries(container: Container) -> bool | None:
    """Tell whether the main tag says what the others do; None where it has words of its own.

    False where it says nothing.
    """
    if container.main.is_bare:
        return False
    foreign = [e.raw for e in container.main.entries if e.role is None]
    return True if foreign == [e.raw for e in container.carried()] else None


def _ours(block: Block) -> list[tuple[str, bytes]]:
    return sorted((e.role, e.raw) for e in block.entries if e.role is not None)


def _as_told_by(block: Block, old: dict[str, Any]) -> list[tuple[str, bytes]]:
    """Return the genre and GTAG fields of a snapshot, as `block` would hold them."""
    fields = ((role, from_text(raw)) for _, role, raw in old["fields"])
    return sorted((role, block.translated(role, raw, old["shape"]).raw) for role, raw in fields)


def _sound(container: Container, most: int | None = None) -> str:
    return digest_of(container.sound(), most)


def _comparable(block: dict[str, Any]) -> Any:
    version = block["shape"].get("version")
    return block["name"], block["exists"], version, [field[1:] for field in block["fields"]]


def _restore_block(
    file: Any, container: Container, block: Block, old: dict[str, Any], *, loosely: bool
) -> None:
    foreign = [e for e in block.entries if e.role is None]
    carried = container.carried() if block is container.main else []
    if old.get("carried") is False:
        told = {e.raw for e in carried}
        foreign = [e for e in foreign if e.raw not in told]
    elif old.get("carried") and not foreign:
        foreign = carried
    if not old["exists"]:
        block.entries = foreign
        if block.exists and not foreign:
            block.remove(file, old["shape"])
        elif block.exists:  # somebody else has used the tag since
            block.store(file)
        return
    block.entries = foreign
    for place, role, raw in old["fields"]:
        if role not in block.roles:
            raise CannotKeepError("the journal holds fields that are none of gtag's")
        entry = Entry(from_text(raw), role)
        if loosely:
            entry = block.translated(role, entry.raw, old["shape"])
        block.entries.insert(place, entry)
    # Flags and sizes of then are not those of a tag that somebody has saved since.
    block.store(file, None if loosely else old["shape"])
