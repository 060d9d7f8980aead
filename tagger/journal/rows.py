"""Parses the rows of the journal: each becomes a record, or is marked as damaged.

A journal outlives versions, disks and people who edit it. SQLite checks that its pages are whole,
not that the values in them make sense.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from tagger.storage.identity import Identity
from tagger.storage.replace_file import is_temporary_of

Kind = Literal["scan", "undo"]

T = TypeVar("T")

_DIGEST = re.compile("[0-9a-f]{64}")
_MOST = 1 << 63  # what SQLite and the system's calls can hold


class DamagedRowError(ValueError):
    """A value of a row is not what gtag writes there."""


@dataclass(frozen=True)
class RunRecord:
    """One run, as journalled.

    Attributes
    ----------
    started, ended : str
        UTC, ISO 8601; `ended` is None while it goes on, and when it was cut off.
    command : tuple of str
        The command line.
    in_force : int
        How many files hold a change of the run that was not taken back.
    undone : int
        In how many files all were.
    damaged : bool
        Its row is damaged; the other attributes are empty. Its changes may be whole.
    """

    id: int
    kind: Kind
    started: str
    ended: str | None
    command: tuple[str, ...]
    model: str | None
    in_force: int
    undone: int
    damaged: bool = False


@dataclass(frozen=True)
class ChangeRecord:
    """One change, as journalled.

    Attributes
    ----------
    path : str
        Absolute, links resolved.
    settled : bool
        False while it is not known whether the file was swapped: compare it with both identities.
    old, new : Any
        JSON-able: the raw values before, and what was planned.
    before, after : Identity
        The file's two states.
    undone : bool
        An undo took it back, and nothing took that undo back.
    """

    id: int
    run: int
    path: str
    settled: bool
    format: str
    preserve_mtime: bool
    in_place: bool
    old: Any
    new: Any
    before: Identity
    after: Identity
    undone: bool


@dataclass(frozen=True)
class DamagedChange:
    """A change whose row is damaged; `path` is None where that cannot be read either."""

    id: int
    run: int
    path: str | None


@dataclass(frozen=True)
class OpenChange:
    """A change that was cut off.

    Attributes
    ----------
    format : str
        The name of the container.
    copy : str
        The edited copy, which a crash may have left behind.
    backup : str or None
        The old content, beside a file that was to be written in place; None for any other, and
        where the backup cannot have been made yet.
    before, after : Identity or None
        None where the file was not to be swapped yet.
    """

    id: int
    path: str
    format: str
    copy: str
    backup: str | None
    before: Identity | None
    after: Identity | None


def a_run(row: Sequence[Any], in_force: int, undone: int) -> RunRecord:
    """Parse `id, kind, started, ended, command, model`."""
    number, kind, started, ended, command, model = row
    try:
        return RunRecord(
            id=number,
            kind=_kind(kind),
            started=_time(started),
            ended=None if ended is None else _time(ended),
            command=tuple(_typed(str, word) for word in _typed(list, _json(command))),
            model=None if model is None else _typed(str, model),
            in_force=in_force,
            undone=undone,
        )
    except DamagedRowError:
        told: Kind = "undo" if kind == "undo" else "scan"
        return RunRecord(number, told, "", None, (), None, in_force, undone, damaged=True)


def a_change(row: Sequence[Any], run: int, undone: bool) -> ChangeRecord | DamagedChange:
    """Parse `id, path, state, format, preserve_mtime, in_place, old, new, before, after`."""
    number, path, state, format_name, preserve_mtime, in_place, old, new, before, after = row
    try:
        return ChangeRecord(
            id=number,
            run=run,
            path=a_path(path),
            settled=state == "done",
            format=_typed(str, format_name),
            preserve_mtime=_truth(preserve_mtime),
            in_place=_truth(in_place),
            old=_json(old),
            new=_json(new),
            before=an_identity(before),
            after=an_identity(after),
            undone=undone,
        )
    except DamagedRowError:
        return DamagedChange(number, run, or_none(a_path, path))


def an_open_change(row: Sequence[Any]) -> OpenChange:
    """Parse `id, state, path, format, copy, backup, before, after`; raises DamagedRowError."""
    number, state, path, format_name, copy, backup, before, after = row
    intended = state == "intent"
    change = OpenChange(
        id=number,
        path=a_path(path),
        format=_typed(str, format_name),
        copy=a_path(copy),
        backup=a_path(backup) if intended and backup is not None else None,
        before=an_identity(before) if intended else None,
        after=an_identity(after) if intended else None,
    )
    # A journal that somebody else made may name any file to be removed, or copied from.
    for temporary in (change.copy, change.backup):
        if temporary is not None and not is_temporary_of(temporary, change.path):
            raise DamagedRowError
    return change


def an_identity(text: Any) -> Identity:
    """Parse an identity from JSON; raises DamagedRowError."""
    values = _json(text)
    names = [field.name for field in fields(Identity)]
    if not isinstance(values, dict) or sorted(values) != sorted(names):
        raise DamagedRowError
    *numbers, digest = (values[name] for name in names)
    if not all(type(n) is int and -_MOST <= n < _MOST * 2 for n in numbers):
        raise DamagedRowError
    if not _DIGEST.fullmatch(_typed(str, digest)):
        raise DamagedRowError
    return Identity(**values)


def or_none(parse: Callable[[Any], T], value: Any) -> T | None:
    """Return a parsed value; None where it is damaged."""
    try:
        return parse(value)
    except DamagedRowError:
        return None


def a_path(value: Any) -> str:
    """Parse a path from bytes; raises DamagedRowError."""
    if not isinstance(value, bytes) or b"\0" in value:
        raise DamagedRowError
    path = os.fsdecode(value)
    # Else it would depend on where gtag is called, or on links; gtag notes real paths alone.
    if not Path(path).is_absolute() or os.path.normpath(path) != path:
        raise DamagedRowError
    return path


def _json(value: Any) -> Any:
    try:
        return json.loads(_typed(str, value))
    except (ValueError, RecursionError) as error:
        raise DamagedRowError from error


def _typed(kind: type[T], value: Any) -> T:
    if not isinstance(value, kind):
        raise DamagedRowError
    return value


def _truth(value: Any) -> bool:
    if value not in (0, 1):
        raise DamagedRowError
    return bool(value)


def _kind(value: Any) -> Kind:
    if value not in get_args(Kind):
        raise DamagedRowError
    return value


def _time(value: Any) -> str:
    try:
        datetime.fromisoformat(_typed(str, value))
    except ValueError as error:
        raise DamagedRowError from error
    return str(value)
