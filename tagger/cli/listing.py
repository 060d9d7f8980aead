"""One line for each track while a scan goes on: the prediction, and what becomes of the tags."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, TextIO

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from tagger.cli.console import console
from tagger.deciding.decide import Status
from tagger.reports.csv_report import json_line
from tagger.system.screen import printable

if TYPE_CHECKING:
    from tagger.pipeline.road import TrackResult

_STYLES = {
    Status.WRITTEN: "green",
    Status.WOULD_WRITE: "cyan",
    Status.UNSURE: "yellow",
    Status.UNREADABLE: "red",
    Status.REFUSED: "red",
    Status.FAILED: "red",
}
# Columns, as wide as the longest status and as what bundled models say.
_STATUS, _HEARD, _TAGS, _GAP = 11, 15, 21, 2
_LEAST_FOR_CELL, _LEAST_FOR_PATH = 4, 12


def teller(level: int, *, as_json: bool, say: Callable[..., None]) -> Callable[[TrackResult], None]:
    """Return a function that prints each result where the options of a command want it.

    Parameters
    ----------
    level : int
        Below 2 only problems are printed, which go to stderr; at 2 each track too; above 2 the
        reasons too.
    as_json : bool
        Print JSON on stdout, and the lines on stderr.
    say : function
        As `click.echo`.
    """
    listing = Listing(sys.stderr if as_json else sys.stdout, reasons=level > 2)
    problems = Listing(sys.stderr)

    def tell(result: TrackResult) -> None:
        if as_json:
            say(json_line(result))
        if result.status.is_problem:
            say(problems.line(result), err=True)
        elif level > 1:
            say(listing.line(result), err=as_json)

    return tell


class Listing:
    """Makes the lines of a scan.

    Parameters
    ----------
    file : text file
        Where they will be printed. In a terminal a line fits its width, and the path is cut off
        at its beginning; elsewhere nothing is cut.
    reasons : bool
        Put the reason below each track. Below a track that went wrong it stands always, but of
        several with the same reason only below the first.
    """

    def __init__(self, file: TextIO, *, reasons: bool = False) -> None:
        self._console = console(file)
        self._width = console(file, widest=None).width if file.isatty() else None
        self._reasons = reasons
        self._told = ""  # the last reason why something went wrong
        unicode = self._console.encoding.lower().startswith("utf")
        self._arrow, self._cut = ("→", "…") if unicode else ("->", "~")

    def line(self, result: TrackResult) -> str:
        """Format the line of a track, or two with the reason."""
        status, style = result.status, _STYLES.get(result.status, "")
        reason = result.message if self._reasons else ""
        room = _STATUS + _GAP
        line = Text().append(_padded(status, _STATUS), style)
        line.append(" " * _GAP)
        if status.is_problem:
            path, said = printable(result.path), printable(result.message)
            if self._width is None:
                return f"{path}: {status}: {said}"
            if result.confidence is None and not (result.decision and result.decision.change):
                line.append(f"{path}: {said}")  # whole: it says what to do
                return self._rendered(line)
            reason = "" if result.message == self._told else result.message
            self._told = result.message
        if status in (Status.UNSURE, Status.CUE_TRACK):
            cells = [(_two_guesses(result), _HEARD + _GAP + _TAGS)]
        else:
            cells = [(_guess(result), _HEARD), (self._tags(result), _TAGS)]
        for i, (text, width) in enumerate(cells):
            behind = sum(_GAP + later for _, later in cells[i + 1 :]) + _GAP + _LEAST_FOR_PATH
            shown = self._cut_end(text, room + behind)
            line.append(_padded(shown, width) + " " * _GAP)
            room += max(width, cell_len(shown)) + _GAP
        line.append(self._cut_start(printable(result.path), room))
        if reason:
            line.append(f"\n{' ' * (_STATUS + _GAP)}{printable(reason)}", "dim")
        return self._rendered(line)

    def _tags(self, result: TrackResult) -> str:
        old = printable(result.old_genre) or "no genre"
        new = printable(result.new_genre) or "no genre"
        change = result.decision.change if result.decision else None
        if result.status.is_problem and change and change.genres is not None:
            new = printable("; ".join(change.genres))  # if it could be written
        return f"{old} stays" if old == new else f"{old} {self._arrow} {new}"

    def _cut_end(self, text: str, others: int) -> str:
        """Cut a cell at its end to leave so much room for the others."""
        if self._width is None:
            return text
        # The last column stays free: some terminals begin a new line when it is filled.
        width = max(_LEAST_FOR_CELL, self._width - others - 1)
        if cell_len(text) <= width:
            return text
        return set_cell_size(text, width - 1).rstrip() + self._cut

    def _cut_start(self, text: str, before: int) -> str:
        """Cut a path at its start to what fits after so much."""
        if self._width is None:
            return text
        width = max(_LEAST_FOR_PATH, self._width - before - 1)
        if cell_len(text) <= width:
            return text
        end = text[-width:]
        while cell_len(end) > width - 1:
            end = end[1:]
        return self._cut + end

    def _rendered(self, text: Text) -> str:
        with self._console.capture() as captured:
            self._console.print(text, end="", soft_wrap=True)
        return captured.get()


def _padded(text: str, width: int) -> str:
    return set_cell_size(text, width) if cell_len(text) < width else text


def _guess(result: TrackResult) -> str:
    if result.confidence is None:
        return ""
    return f"{printable(result.genre)} {result.confidence:.2f}"


def _two_guesses(result: TrackResult) -> str:
    if result.confidence is None or result.runner_up_confidence is None:
        return printable(result.message)
    second = f"{printable(result.runner_up)} {result.runner_up_confidence:.2f}"
    return f"{_guess(result)} or {second}"
