"""`gtag audit`: the tracks whose own genre a sure prediction disagrees with, worst first."""

from __future__ import annotations

import sys
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any

import click

from tagger.cli.scan import options_of_scan
from tagger.deciding.options import ScanOptions
from tagger.system.errors import ExitStatus
from tagger.system.exhausted import check_memory
from tagger.system.screen import printable

if TYPE_CHECKING:
    from tagger.pipeline.road import TrackResult

_SHARED = (
    *("model", "min_confidence", "aim", "detail", "album", "placeholders"),
    *("no_default_placeholders", "genre_map", "jobs", "exclude", "no_default_excludes", "no_cache"),
)


@click.command(
    params=[
        click.Argument(["paths"], nargs=-1, required=True, type=click.Path()),
        *options_of_scan(*_SHARED),
        click.Option(
            ["--report"],
            type=click.Path(),
            metavar="FILE.csv",
            help="One row for each track that is listed, for gtag review --disagree.",
        ),
        click.Option(
            ["--html"],
            type=click.Path(),
            metavar="FILE",
            help="The page of gtag scan, which lists them, too.",
        ),
        click.Option(["--json", "as_json"], is_flag=True, help="One JSON object a line on stdout."),
    ]
)
def audit(
    paths: tuple[str, ...], *, report: str | None, html: str | None, as_json: bool, **options: Any
) -> ExitStatus:
    """List the genres in your tags that the music does not sound like.

    Scans PATHS, and lists tracks whose own genre disagrees with a sure prediction, the least
    probable first. Punk agrees with Rock, House with Electronic; genres that the model does not
    know say nothing. Nothing is written.
    """
    check_memory()

    from tagger.cli.outputs import page_of, report_of
    from tagger.cli.progress import Progress
    from tagger.deciding.decide import Status
    from tagger.pipeline.scanning import Scanning
    from tagger.reports.csv_report import json_line
    from tagger.reviewing.review import disagreeing
    from tagger.system.interrupt import Interrupts

    scanning = Scanning(ScanOptions.of(options), writes=False, command=sys.argv[1:])
    library, interrupted, problems = scanning.library(paths), False, 0
    found: list[TrackResult] = []
    with ExitStack() as stack:
        progress = Progress(shown=True, before="loading the model")
        stack.callback(progress.close)
        scanning.load(stack)
        rows = None
        if report:
            rows, _ = stack.enter_context(report_of(report, resumed=False, writes=False))
        page = stack.enter_context(page_of(html)) if html else None
        progress.expect(lambda: scanning.library(paths))
        interrupts = stack.enter_context(Interrupts())
        results = stack.enter_context(closing(scanning.results(library, interrupts=interrupts)))
        n_own = 0
        try:
            for result in results:
                n_own += result.status is Status.KEPT
                problems += result.status is Status.UNREADABLE
                if result.status is Status.UNREADABLE:
                    progress.say(f"gtag: {printable(f'{result.path}: {result.message}')}", err=True)
                if page:
                    page.add(result)
                if result.own_confidence is not None:
                    found.append(result)
                if result.status is not Status.CUE_TRACK:
                    progress.step()
        except KeyboardInterrupt:
            interrupted = True
        found = disagreeing(found)
        if rows:
            for result in found:
                rows.add(result)
        if page:
            page.write(partial=interrupted)
    for problem in library.problems:
        click.echo(f"gtag: {printable(str(problem))}", err=True)
    if as_json:
        for result in found:
            click.echo(json_line(result))
    else:
        _print_table(found, n_own)
    if interrupted:
        click.echo("gtag: interrupted: this is what was found until then", err=True)
        return ExitStatus.INTERRUPTED
    return ExitStatus.PROBLEMS if problems or library.problems else ExitStatus.OK


def _print_table(found: list[TrackResult], n_own: int) -> None:
    from rich.table import Column

    from tagger.cli.console import cell, console, plain_table

    if found:
        table = plain_table(
            Column("Your genre", overflow="fold", max_width=18),
            Column("", justify="right"),
            Column("Sounds like", overflow="fold", max_width=18),
            Column("", justify="right"),
            Column("Track", overflow="fold"),
        )
        for result in found:
            assert result.decision is not None and result.own_confidence is not None
            table.add_row(
                cell(result.old_genre),
                f"{result.own_confidence:.2f}",
                cell("; ".join(result.decision.genres), "bold"),
                f"{result.decision.confidence or 0:.2f}",
                cell(result.path),
            )
        console().print(table)
        click.echo()
    click.echo(f"{len(found)} of {n_own} tracks with a genre of your own sound like another one.")
    if found:
        click.echo("Nothing was written. gtag review --disagree asks about them.")
