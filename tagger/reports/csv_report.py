"""The report: one CSV row for each track, as it comes; and the same row as one line of JSON."""

from __future__ import annotations

import codecs
import csv
import io
import json
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from typing import Any, BinaryIO, TextIO, cast

from tagger.deciding.decide import Status
from tagger.pipeline.road import TrackResult
from tagger.system.errors import ConfigurationError, WriteFailedError
from tagger.system.regular import open_regular, read_regular

# Their order and names are those of the fields of `TrackResult` (pipeline/road.py).
COLUMNS = tuple(field.name for field in fields(TrackResult) if field.compare)
_FIRST_COLUMNS = COLUMNS[: COLUMNS.index("message") + 1]  # all that older reports have

_DECIMALS = {
    **{"confidence": 4, "runner_up_confidence": 4, "duration_s": 2},
    **{"own_confidence": 4, "mood_confidence": 4, "named_confidence": 4},
}
# A spreadsheet would run what starts like this.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_NO_REPORT = "is not a report of gtag scan"
# A terminal would act on these, a line break would confuse simple programs, and marks that are not
# seen or turn the direction of reading make a name look like another one.
_CONTROL = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]"
)


class CsvReport:
    """Writes results as RFC 4180 rows, each flushed before the next track.

    Parameters
    ----------
    file : text file
        As `open_report` or `resume_report` opens it.
    columns : sequence of str
        Those of a header that it has already; empty: it has none.
    """

    def __init__(self, file: TextIO, *, columns: Sequence[str] = ()) -> None:
        self._file = file
        self._writer = csv.writer(file)
        self._columns = columns or COLUMNS
        if not columns:
            self._write(COLUMNS)

    def add(self, result: TrackResult) -> None:
        self._write([_cell(name, getattr(result, name)) for name in self._columns])

    def _write(self, row: Sequence[str]) -> None:
        try:
            self._writer.writerow(row)
            self._file.flush()
        except OSError as error:
            with suppress(OSError):  # its buffer cannot be written later either
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
    """Open a report to append to it, and read what it holds.

    A last row that a crash cut off is removed.

    Raises
    ------
    ConfigurationError
        It is not a report.
    OSError
        It cannot be read or written.
    """
    content = read_regular(path)
    if not content:
        return open_report(path), Done()
    whole = content[: content.rfind(b"\r\n") + 2] if b"\r\n" in content else b""
    try:
        rows = list(csv.reader(io.StringIO(whole.decode(), newline="")))
    except (UnicodeDecodeError, csv.Error):
        rows = []
    columns = tuple(rows[0]) if rows else ()
    known = columns == COLUMNS[: len(columns)] and len(columns) >= len(_FIRST_COLUMNS)
    if not known or any(len(row) != len(columns) for row in rows):
        raise ConfigurationError(
            "is not a report that can be resumed",
            path=path,
            hint="name another --report, also where a spreadsheet saved this one",
        )
    os.truncate(path, len(whole))
    return _opened(path, "a"), Done(rows[1:], columns)


def read_report(path: str) -> Iterator[TrackResult]:
    """Return the rows of a report, their paths as they stand there (see `possible_paths`).

    A spreadsheet may have saved it: with semicolons or tabs, in Windows-1252 or UTF-16.

    Raises
    ------
    ConfigurationError
        It cannot be read, or is not a report.
    """
    try:
        with (
            open_regular(path) as content,
            io.TextIOWrapper(content, _encoding(content), newline="") as file,
        ):
            head = file.readline()
            delimiter = next((d for d in ",;\t" if f"path{d}status" in head.replace('"', "")), ",")
            file.seek(0)
            rows = csv.DictReader(file, delimiter=delimiter)
            names = [name for name in COLUMNS if name in (rows.fieldnames or ())]
            lacking = [name for name in _FIRST_COLUMNS if name not in names]
            if lacking:
                why = f"{_NO_REPORT}: it has no column {lacking[0]}" if names else _NO_REPORT
                raise ConfigurationError(why, path=path)
            for row in rows:
                if any(row.values()):  # a spreadsheet leaves empty ones
                    yield _result(row, names)
    except OSError as error:
        raise ConfigurationError.of_system(error, path) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(_NO_REPORT, path=path) from error
    except (csv.Error, ValueError) as error:
        raise ConfigurationError(f"line {rows.line_num}: {error}", path=path) from error


def _result(row: Mapping[str, str | None], names: Iterable[str]) -> TrackResult:
    """Return a row; raises ValueError where it is none."""
    cells = {name: cell for name in names if (cell := row[name]) is not None}
    if lacking := [name for name in names if name not in cells]:
        raise ValueError(f"has no cell for {lacking[0]}")
    values: dict[str, Any] = {name: _without_apostrophe(cell) for name, cell in cells.items()}
    values["path"] = cells["path"]
    try:
        values["status"] = Status(cells["status"])
    except ValueError:
        raise ValueError(f"status is {cells['status'][:40]!r}, which is none") from None
    for name in values.keys() & _DECIMALS.keys():
        try:
            values[name] = _number(cells[name])
        except ValueError:
            raise ValueError(f"{name} is {cells[name][:40]!r}, which is no number") from None
    return TrackResult(**values)


def _encoding(file: BinaryIO) -> str:
    """UTF-8 as gtag writes it, or what a spreadsheet made of it: UTF-16, or Windows-1252."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    encoding = "utf-16" if file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else ""
    file.seek(0)
    try:
        while not encoding and (block := file.read(1 << 20)):
            decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        encoding = "cp1252"
    file.seek(0)
    return encoding or "utf-8-sig"


def _number(shown: str) -> float | None:
    """Parse a number, whether its decimals follow a point or, by a spreadsheet, a comma."""
    number = float(shown.replace(",", ".")) if shown else None
    if number is not None and not math.isfinite(number):
        raise ValueError(shown)
    return number


def possible_paths(shown: str) -> list[str]:
    """Return all paths that a report may show like this: what looks escaped may be the name itself.

    >>> possible_paths("'-a\\\\u000a.mp3")
    ["'-a\\\\u000a.mp3", "'-a\\n.mp3", '-a\\\\u000a.mp3', '-a\\n.mp3']
    """
    kept = dict.fromkeys((shown, _without_apostrophe(shown)))
    return list(dict.fromkeys(text for path in kept for text in (path, unescaped(path))))


def _without_apostrophe(shown: str) -> str:
    if shown.startswith("'") and unescaped(shown[1:]).startswith(_FORMULA_STARTS):
        return shown[1:]
    return shown


def unescaped(shown: str) -> str:
    def character(found: re.Match[str]) -> str:
        c = chr(int(found[1], 16))
        return c if _CONTROL.match(c) or "\udc80" <= c <= "\udcff" else found[0]

    return re.sub(r"\\u([0-9a-f]{4})", character, shown)


class Done:
    """The tracks that a report holds.

    Parameters
    ----------
    rows : list of rows, optional
        Without the header.
    columns : tuple of str
        The header; empty: a new report.

    Attributes
    ----------
    statuses : frozenset of str
    """

    def __init__(self, rows: list[list[str]] | None = None, columns: tuple[str, ...] = ()) -> None:
        path, status = COLUMNS.index("path"), COLUMNS.index("status")
        self._paths = {escaped(row[path]) for row in rows or ()}
        self.statuses = frozenset(row[status] for row in rows or ())
        self.columns = columns

    def __contains__(self, path: str) -> bool:
        shown = _cell("path", path).encode("utf-8", "backslashreplace").decode()
        return shown in self._paths

    def __len__(self) -> int:
        return len(self._paths)


def json_line(result: TrackResult) -> str:
    """Return a result as a JSON object in ASCII, without a line end.

    Unlike in the report, texts are not changed. Numbers are rounded as there. Bytes of a name that
    are not UTF-8 are escaped as ``\\udcXX``: Python's ``os.fsencode(json.loads(line)["path"])``
    returns the name.
    """
    values = {name: getattr(result, name) for name in COLUMNS}
    for name, decimals in _DECIMALS.items():
        if values[name] is not None:
            values[name] = round(values[name], decimals)
    return json.dumps(values)


def _cell(name: str, value: str | float | None) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.{_DECIMALS[name]}f}"
    shown = escaped(value)
    return f"'{shown}" if value.startswith(_FORMULA_STARTS) else shown


def escaped(value: str) -> str:
    """Return a text as it stands in a cell, but for the apostrophe that defuses a formula."""
    if value.isprintable():  # as nearly all are: nothing to look for
        return value
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", value)
