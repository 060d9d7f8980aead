"""The table at the end of a scan: what was heard, and what became of the files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TextIO

from rich.table import Table
from rich.text import Text

from tagger.cli.console import bar, console
from tagger.decide import Status
from tagger.reports.tally import MEANING, Tally
from tagger.screen import printable

if TYPE_CHECKING:
    from rich.console import Console

_BAR = 24


def print_summary(
    tally: Tally,
    *,
    others: int,
    left_out: Mapping[str, int],
    in_report: int,
    file: TextIO,
) -> None:
    """Print the tables, at most 80 columns wide.

    Parameters
    ----------
    tally : Tally
    others : int
        Files that are no tracks.
    left_out : mapping from str to int
        How many files and folders were left out by default, by glob.
    in_report : int
        Tracks that the report held already.
    """
    screen = console(file)
    if tally.genres:
        screen.print(_genres(tally, screen))
        screen.print()
    if not tally.tracks:
        screen.print("No tracks here.")
    screen.print(_statuses(tally, others, left_out, in_report))


def _genres(tally: Tally, screen: Console) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("Genre", style="bold")
    table.add_column("Tracks", justify="right")
    table.add_column("Mean confidence", justify="right")
    table.add_column("")
    most = max(tally.genres.values())
    for genre, count in tally.genres.most_common():
        table.add_row(
            Text(printable(genre)),
            str(count),
            f"{tally.mean_confidence(genre):.2f}",
            Text(bar(screen, count / most, _BAR), style="cyan"),
        )
    return table


def _statuses(tally: Tally, others: int, left_out: Mapping[str, int], in_report: int) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(justify="right")
    table.add_column()
    table.add_column(style="dim")
    for status in Status:
        if count := tally.statuses[status]:
            style = "red" if status.is_problem else "green" if status is Status.WRITTEN else ""
            table.add_row(str(count), Text(status, style=style), MEANING[status])
    if in_report:
        table.add_row(str(in_report), Text("done before"), "their rows stood in the report")
    if others:
        table.add_row(str(others), Text("other files"), "no music")
    if left_out:
        names = Text(f"{', '.join(sorted(left_out))}: see --no-default-excludes")
        table.add_row(str(sum(left_out.values())), Text("left out"), names)
    return table
