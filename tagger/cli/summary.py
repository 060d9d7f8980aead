"""The tables at the end of a scan: genres, and what became of the files."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from rich.table import Column

from tagger.cli.console import bar, cell, console, plain_table
from tagger.deciding.decide import Status
from tagger.reports.tally import MEANING, Tally

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from tagger.library.walk import Library

_BAR = 24


def print_summary(tally: Tally, library: Library | None, *, in_report: int, file: TextIO) -> None:
    """Print the tables, at most 80 columns wide.

    Parameters
    ----------
    library : Library or None
        Walked through: it has counted what is not a track. None: nothing was walked through, and
        what was named is not told.
    in_report : int
        Tracks that the report held already.
    """
    screen = console(file)
    if tally.genres and library is not None:
        screen.print(_genres(tally, screen))
        screen.print()
    if not tally.tracks:
        screen.print("No tracks here.")
    screen.print(_statuses(tally, library, in_report))


def print_left_alone(library: Library, file: TextIO) -> None:
    """Print how many folders a file .nogtag closed, for commands without a table of statuses."""
    if n := library.left_alone:
        print(f"{n} folder{'s' * (n != 1)} left alone, where a file .nogtag lies.", file=file)


def _genres(tally: Tally, screen: Console) -> Table:
    table = plain_table(
        Column("Genre", style="bold"),
        Column("Tracks", justify="right"),
        Column("Mean confidence", justify="right"),
        "",
    )
    most = max(tally.genres.values())
    for genre, count in tally.genres.most_common():
        table.add_row(
            cell(genre),
            str(count),
            f"{tally.mean_confidence(genre):.2f}",
            cell(bar(screen, count / most, _BAR), "cyan"),
        )
    return table


def _statuses(tally: Tally, library: Library | None, in_report: int) -> Table:
    table = plain_table(Column(justify="right"), "", Column(style="dim"), header=False)
    for status in Status:
        if count := tally.statuses[status]:
            style = "red" if status.is_problem else "green" if status is Status.WRITTEN else ""
            table.add_row(str(count), cell(status, style), MEANING[status])
    for mood, count in tally.moods.most_common():
        table.add_row(str(count), "mood", cell(mood))
    if in_report:
        table.add_row(str(in_report), "done before", "already in the report")
    if library is None:
        return table
    if library.others:
        table.add_row(str(library.others), "other files", "not music")
    if left_out := library.left_out:
        names = cell(f"{', '.join(sorted(left_out))}: see --no-default-excludes")
        table.add_row(str(sum(left_out.values())), "left out", names)
    if library.left_alone:
        table.add_row(str(library.left_alone), "left alone", "where a file .nogtag lies")
    return table
