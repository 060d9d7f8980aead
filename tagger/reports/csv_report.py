"""The report: one CSV row for each track, as it comes; and the same row as one line of JSON."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TextIO, cast

from tagger.batch import TrackResult
from tagger.decide import Status
from tagger.errors import ConfigurationError, WriteFailedError

COLUMNS = tuple(field.name for field in fields(TrackResult))

_DECIMALS = {"confidence": 4, "runner_up_confidence": 4, "duration_s": 2}
# A spreadsheet would run what starts like this.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
# A terminal would act on these; a line break in a name would break lines for simple programs.
_NO_REPORT = "is no report of gtag scan"
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class CsvReport:
    """Writes outcomes as RFC 4180 rows, each on disk before the next track is settled.

    Parameters
    ----------
    file : text file
        As `open_report` or `resume_report` opens it.
    resumed : bool
        It has its head and some rows already.
    """

    def __init__(self, file: TextIO, *, resumed: bool = False) -> None:
        self._file = file
        self._writer = csv.writer(file)
        if not resumed:
            self._write(COLUMNS)

    def add(self, result: TrackResult) -> None:
        self._write([_cell(name, getattr(result, name)) for name in COLUMNS])

    def _write(self, row: list[str] | tuple[str, ...]) -> None:
        try:
            self._writer.writerow(row)
            self._file.flush()
        except OSError as error:
            with suppress(OSError):  # what waits in it could not be written later either
                self._file.close()
            raise WriteFailedError(
                f"the report cannot be written: {error.strerror}", path=self._file.name
            ) from error


def open_report(path: str) -> TextIO:
    """Open a report for writing: UTF-8, whatever the names in it.

    Bytes of a name that are not UTF-8 come out as ``\\udcXX``, where XX is the byte.
    """
    return _opened(path, "w")


def _opened(path: str, mode: str) -> TextIO:
    return cast(TextIO, open(path, mode, encoding="utf-8", errors="backslashreplace", newline=""))


def resume_report(path: str) -> tuple[TextIO, Done]:
    """Open a report to go on with it, and say what it holds.

    A row that was cut off, by a crash, is taken away.

    Raises
    ------
    ConfigurationError
        It is no report.
    OSError
        It cannot be read or written.
    """
    content = Path(path).read_bytes()
    if not content:
        return open_report(path), Done()
    whole = content[: content.rfind(b"\r\n") + 2] if b"\r\n" in content else b""
    try:
        rows = list(csv.reader(io.StringIO(whole.decode(), newline="")))
    except (UnicodeDecodeError, csv.Error):
        rows = []
    if not rows or any(len(row) != len(COLUMNS) for row in rows) or rows[0] != list(COLUMNS):
        raise ConfigurationError(
            "is not a report that can be resumed", path=path, hint="name another --report"
        )
    os.truncate(path, len(whole))
    return _opened(path, "a"), Done(rows[1:])


def read_report(path: str) -> Iterator[TrackResult]:
    """The rows of a report, as far as a report tells what was: a path may have been escaped.

    Raises
    ------
    ConfigurationError
        It cannot be read, or is no report.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            if not set(COLUMNS) <= set(rows.fieldnames or ()):
                raise ConfigurationError(_NO_REPORT, path=path)
            for row in rows:
                yield _outcome(row)
    except OSError as error:
        raise ConfigurationError.of_system(error, path) from error
    except (UnicodeDecodeError, csv.Error, ValueError, TypeError) as error:
        raise ConfigurationError(_NO_REPORT, path=path) from error


def _outcome(row: dict[str, str]) -> TrackResult:
    values: dict[str, Any] = {name: _without_apostrophe(row[name]) for name in COLUMNS}
    values["path"] = row["path"]  # see `possible_paths`
    values["status"] = Status(row["status"])
    values |= {name: float(row[name]) if row[name] else None for name in _DECIMALS}
    return TrackResult(**values)


def possible_paths(shown: str) -> list[str]:
    """What a path may have been that a report shows: an escape may also have stood in the name.

    >>> possible_paths("'-a\\\\u000a.mp3")
    ["'-a\\\\u000a.mp3", "'-a\\n.mp3", '-a\\\\u000a.mp3', '-a\\n.mp3']
    """
    kept = dict.fromkeys((shown, _without_apostrophe(shown)))
    return list(dict.fromkeys(text for path in kept for text in (path, _unescaped(path))))


def _without_apostrophe(shown: str) -> str:
    begins = _unescaped(shown[1:]).startswith(_FORMULA_STARTS)
    return shown[1:] if shown.startswith("'") and begins else shown


def _unescaped(shown: str) -> str:
    def character(found: re.Match[str]) -> str:
        c = chr(int(found[1], 16))
        return c if _CONTROL.match(c) or "\udc80" <= c <= "\udcff" else found[0]

    return re.sub(r"\\u([0-9a-f]{4})", character, shown)


class Done:
    """The tracks that a report holds.

    Parameters
    ----------
    rows : list of rows, optional
        Without the head. None: a new report.

    Attributes
    ----------
    statuses : frozenset of str
        That its rows have.
    resumed : bool
        Whether it is gone on with.
    """

    def __init__(self, rows: list[list[str]] | None = None) -> None:
        path, status = COLUMNS.index("path"), COLUMNS.index("status")
        self._paths = {row[path] for row in rows or ()}
        self.statuses = frozenset(row[status] for row in rows or ())
        self.resumed = rows is not None

    def __contains__(self, path: str) -> bool:
        shown = _cell("path", path).encode("utf-8", "backslashreplace").decode()
        return shown in self._paths

    def __len__(self) -> int:
        return len(self._paths)


def json_line(result: TrackResult) -> str:
    """One outcome as a JSON object in pure ASCII, without the line's end.

    Every value is as it is: nothing is defused. Numbers are rounded as in the report, and null
    where unknown. Bytes of a name that are not UTF-8 are escaped as ``\\udcXX``: Python's
    ``os.fsencode(json.loads(line)["path"])`` gives back the very name.
    """
    values: dict[str, Any] = asdict(result)
    for name, decimals in _DECIMALS.items():
        if values[name] is not None:
            values[name] = round(values[name], decimals)
    return json.dumps(values)


def _cell(name: str, value: str | float | None) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.{_DECIMALS[name]}f}"
    shown = _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", value)
    return f"'{shown}" if value.startswith(_FORMULA_STARTS) else shown
