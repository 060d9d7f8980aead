"""What undo needs: the raw old values of our fields in every tag, and how to put them back.

A snapshot is plain data for JSON. Restoring puts the old bytes back where they stood; what was
not ours is not touched, and a tag that was not there goes.
"""

from __future__ import annotations

import struct
from os import PathLike
from typing import Any

from tagger.errors import RefusedError
from tagger.formats import Format
from tagger.tags.blocks import (
    ROLES,
    Block,
    BrokenTagError,
    CannotKeepError,
    Entry,
    from_text,
    to_text,
)
from tagger.tags.containers import Container
from tagger.tags.read import open_or_explain

_DAMAGED = "what the journal says of its tags is damaged"
_LARGEST_AREA = 1 << 28  # of an ID3v2 tag with its padding, which has the largest
# What a shape of wrong values ends in: each kind of block knows its own alone.
_OF_A_DAMAGED_SHAPE = (TypeError, KeyError, ValueError, LookupError, OverflowError, struct.error)


def snapshot(path: str | PathLike[str], format: Format) -> dict[str, Any]:
    """The raw values of genre and GTAG fields in every tag, and which tags there are.

    Raises
    ------
    UnreadableError, OSError
    """
    with open(path, "rb") as file:
        container = open_or_explain(file, format, path)
        return {
            "format": format.name,
            "blocks": [_of_block(container, b) for b in container.blocks],
        }


def restore(path: str | PathLike[str], format: Format, old: dict[str, Any]) -> None:
    """Bring a file's fields to what they were when `old` was taken; edits the file itself.

    Raises
    ------
    RefusedError
        The file's tags are not those that the snapshot was taken from.
    UnreadableError, OSError
    """
    _check(old, path)
    try:
        with open(path, "r+b") as file:
            # From the last, since what is written moves all that follows it.
            for i in reversed(range(len(old["blocks"]))):
                container = open_or_explain(file, format, path)
                block = _counterparts(container.blocks, old["blocks"])[i]
                _restore_block(file, container, block, old["blocks"][i])
    except (CannotKeepError, BrokenTagError) as error:
        raise RefusedError(f"not restored: {error}", path=path) from error
    except _OF_A_DAMAGED_SHAPE as error:
        raise RefusedError(_DAMAGED, path=path) from error


def same_fields(path: str | PathLike[str], format: Format, old: dict[str, Any]) -> bool:
    """Whether every genre and GTAG field of a file is, to the byte, as in a snapshot."""
    _check(old, path)
    with open(path, "rb") as file:
        container = open_or_explain(file, format, path)
        try:
            blocks = _counterparts(container.blocks, old["blocks"])
        except CannotKeepError:
            return False
        now = [_of_block(container, block) for block in blocks]
    pairs = list(zip(now, old["blocks"], strict=True))
    return all(_comparable(b) == _comparable(o) for b, o in pairs) and all(
        b.get("carried") == o["carried"] for b, o in pairs if "carried" in o
    )


def _check(old: Any, path: str | PathLike[str]) -> None:
    """Refuse what no snapshot can be, whoever wrote it into the journal."""
    if not isinstance(old, dict) or not isinstance(old.get("blocks"), list):
        raise RefusedError(_DAMAGED, path=path)
    for block in old["blocks"]:
        if not (
            isinstance(block, dict)
            and isinstance(block.get("name"), str)
            and isinstance(block.get("exists"), bool)
            and isinstance(block.get("shape"), dict)
            and _is_area(block["shape"].get("area"))
            and isinstance(block.get("fields"), list)
            and block.get("carried") in (None, False, True)
            and all(map(_is_field, block["fields"]))
        ):
            raise RefusedError(_DAMAGED, path=path)


def _is_area(size: Any) -> bool:
    return size is None or (type(size) is int and 0 <= size <= _LARGEST_AREA)


def _is_field(field: Any) -> bool:
    if not isinstance(field, list) or len(field) != 3:
        return False
    place, role, raw = field
    try:
        from_text(raw)
    except (TypeError, ValueError):
        return False
    return type(place) is int and isinstance(role, str)


def _counterparts(blocks: list[Block], old: list[dict[str, Any]]) -> list[Block]:
    """The block for each that is remembered; an older gtag may not have known all kinds."""
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
    """Whether the main tag says, for the others, what they say; None where it has words of its own.

    False where it says nothing.
    """
    if container.main.is_bare:
        return False
    foreign = [e.raw for e in container.main.entries if e.role is None]
    return True if foreign == [e.raw for e in container.carried()] else None


def _comparable(block: dict[str, Any]) -> Any:
    version = block["shape"].get("version")
    return block["name"], block["exists"], version, [field[1:] for field in block["fields"]]


def _restore_block(file: Any, container: Container, block: Block, old: dict[str, Any]) -> None:
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
        if role not in ROLES:
            raise CannotKeepError("the journal holds fields that are none of gtag's")
        block.entries.insert(place, Entry(from_text(raw), role))
    block.store(file, old["shape"])
