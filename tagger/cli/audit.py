"""`gtag audit`: the tracks whose own genre a sure prediction disagrees with, worst first."""

from __future__ import annotations

import shlex
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click

from tagger.cli.results import Asked, each
from tagger.cli.scan import TELLING, WALKING, options_of_scan
from tagger.deciding.options import ScanOptions
from tagger.system.errors import ExitStatus
from tagger.system.exhausted import check_memory
from tagger.system.screen import printable

if TYPE_CHECKING:
    from tagger.pipeline.road import TrackResult


@click.command(
    params=[
        click.Argument(["paths"], nargs=-1, required=True, type=click.Path()),
        *options_of_scan(
            *("model", "min_confidence", "aim", "detail", "album", "placeholders"),
            *("no_default_placeholders", "genre_map", "jobs", *WALKING, "no_cache"),
        ),
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
        *options_of_scan(*TELLING),
    ]
)
def audit(
    paths: tuple[str, ...], *, report: str | None, html: str | None, **options: Any
) -> ExitStatus:
    """List the genres in your tags that the music does not sound like.

    Scans PATHS, and lists tracks whose own genre disagrees with a sure prediction, the least
    probable first. Punk agrees with Rock, House with Electronic; genres that the model does not
    know say nothing. Nothing is written.
    """
    check_memory()

    from tagger.cli.listing import teller
    from tagger.cli.outputs import page_of, report_of
    from tagger.cli.progress import Progress
    from tagger.cli.summary import print_left_alone
    from tagger.deciding.decide import Status
    from tagger.pipeline.scanning import Scanning
    from tagger.reports.csv_report import json_line
    from tagger.reports.tally import Tally
    from tagger.reviewing.review import disagreeing
    from tagger.system.interrupt import Interrupts

    asked = Asked(options, lists=False)
    scanning = Scanning(ScanOptions.of(options), writes=False, command=sys.argv[1:])
    library, tally = scanning.library(paths), Tally()
    found: list[TrackResult] = []
    with ExitStack() as stack:
        progress = Progress(shown=asked.level > 0, before="loading the model")
        stack.callback(progress.close)
        scanning.load(stack)
        rows = None
        if report:
            rows, _ = stack.enter_context(report_of(report, resumed=False, writes=False))
        page = stack.enter_context(page_of(html)) if html else None
        progress.expect(lambda: scanning.library(paths))
        interrupts = stack.enter_context(Interrupts())
        results = scanning.results(library, interrupts=interrupts, rehearses=False)

        def say(line: str, *, err: bool = False) -> None:
            progress.say(line, err=err or asked.as_json)

        tell = teller(asked.level, as_json=False, say=say)

        def note(result: TrackResult) -> None:
            if result.status is not Status.REFUSED:  # a container without tags
                tally.add(result)
                tell(result)
            if page:
                page.add(result)
            if result.own_confidence is not None:
                found.append(result)

        interrupted = not each(results, note, progress.step)
        found = disagreeing(found)
        if rows:
            for result in found:
                rows.add(result)
        if page:
            page.write(partial=interrupted)
    if asked.as_json:
        for result in found:
            click.echo(json_line(result))
    elif asked.level > 0:
        _print_table(found, tally.statuses[Status.KEPT], report)
        print_left_alone(library, asked.file)
    told = ": this is what was found until then"
    return asked.ended(tally, library.problems, interrupted=interrupted and told)


def _print_table(found: list[TrackResult], n_own: int, report: str | None) -> None:
    from tagger.cli.console import Column, cell, console, plain_table

    if found:
        table = plain_table(
            Column("Your genre", overflow="fold", max_width=18),
            Column("", justify="right"),
            Column("Sounds like", overflow="fold", max_width=18),
            Column("", justify="right"),
            Column("Track", overflow="fold"),
        )
        for result in found:
            assert result.own_confidence is not None
            table.add_row(
                cell(result.old_genre),
                f"{result.own_confidence:.2f}",
                cell(result.named, "bold"),
                f"{result.named_confidence or 0:.2f}",
                cell(result.path),
            )
        console().print(table)
        click.echo()
    click.echo(f"{len(found)} of {n_own} tracks with a genre of your own sound like another one.")
    if found:
        asking = "gtag review --disagree " + (shlex.quote(report) if report else "FILE.csv")
        first = "" if report else "With --report FILE.csv, "
        click.echo(f"Nothing was written. {first}{printable(asking)} asks about them.")
