"""The report: one CSV row for each track, as it comes; and the same row as one line of JSON.

It must not know how outcomes come about.
"""

from __future__ import annotations

import csv
import json
from dataclasses import asdict, fields
from typing import Any, TextIO

from tagger.scan import Outcome

COLUMNS = tuple(field.name for field in fields(Outcome))

_DECIMALS = {"confidence": 4, "runner_up_confidence": 4, "duration_s": 2}
# A spreadsheet would run what starts like this.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


class CsvReport:
    """Writes outcomes as RFC 4180 rows, each on disk before the next track is settled.

    Parameters
    ----------
    file : text file
        As `open_report` opens it.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._writer = csv.writer(file)
        self._write(COLUMNS)

    def add(self, outcome: Outcome) -> None:
        values = asdict(outcome)
        self._write([_cell(name, values[name]) for name in COLUMNS])

    def _write(self, row: list[str] | tuple[str, ...]) -> None:
        self._writer.writerow(row)
        self._file.flush()


def open_report(path: str) -> TextIO:
    """Open a report for writing: UTF-8, whatever the names in it.

    Bytes of a name that are not UTF-8 come out as ``\\udcXX``, where XX is the byte.
    """
    return open(path, "w", encoding="utf-8", errors="backslashreplace", newline="")


def json_line(outcome: Outcome) -> str:
    """One outcome as a JSON object in pure ASCII, without the line's end.

    Every value is as it is: nothing is defused. Numbers are rounded as in the report, and null
    where unknown. Bytes of a name that are not UTF-8 are escaped as ``\\udcXX``: Python's
    ``os.fsencode(json.loads(line)["path"])`` gives back the very name.
    """
    values: dict[str, Any] = asdict(outcome)
    for name, decimals in _DECIMALS.items():
        if values[name] is not None:
            values[name] = round(values[name], decimals)
    return json.dumps(values)


def _cell(name: str, value: str | float | None) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.{_DECIMALS[name]}f}"
    return f"'{value}" if value.startswith(_FORMULA_STARTS) else str(value)
