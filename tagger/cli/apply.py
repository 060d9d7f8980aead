"""`gtag apply`: writes the genres that a person edited in a report."""

from __future__ import annotations

import sys
from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, TextIO

import click

from tagger.cli.results import Asked, each
from tagger.cli.scan import TELLING, WRITING, options_of_scan
from tagger.deciding.options import ScanOptions
from tagger.system.errors import ExitStatus
from tagger.system.screen import printable

if TYPE_CHECKING:
    from tagger.pipeline.road import TrackResult
    from tagger.reports.tally import Tally


@click.command(params=options_of_scan(*WRITING, *TELLING))
@click.argument("report", type=click.Path(), metavar="REPORT.csv")
def apply(report: str, **options: Any) -> ExitStatus:
    """Write the genres that you edited in a report.

    Shows each track of REPORT.csv, from gtag scan --report, whose new_genre is not its old_genre;
    --write-tags writes it. An empty new_genre changes nothing. Can be taken back with gtag undo.
    """
    from tagger.cli.listing import teller
    from tagger.cli.settings import scan_defaults
    from tagger.pipeline.scanning import care_of
    from tagger.pipeline.writing import writer_or_rehearsal
    from tagger.reports.tally import Tally
    from tagger.reviewing.apply import applied
    from tagger.reviewing.review import meant_instead
    from tagger.system.interrupt import Interrupts

    asked = Asked(options, lists=True)
    care = care_of(ScanOptions.of(scan_defaults() | options))
    tally, words = Tally(), Counter[str]()

    def note(result: TrackResult) -> None:
        change = result.decision.change if result.decision else None
        if result.decision and change:
            words.update({*(change.genres or ())} - {*result.decision.old_genres})

    with ExitStack() as stack:
        begun = writer_or_rehearsal(asked.writes, asked.journal, care, command=sys.argv[1:])
        write, rehearse = stack.enter_context(begun)
        interrupts = stack.enter_context(Interrupts())
        results = applied(report, write=write, rehearse=rehearse, interrupts=interrupts)
        tell = teller(asked.level, as_json=asked.as_json, say=click.echo)
        interrupted = not each(results, tally.add, note, tell)
    for word, n in words.items():
        if near := meant_instead(word):
            tracks = f"{n} track{'s' * (n != 1)}"
            told = f'"{word}", of {tracks}, is no genre that gtag knows: did you mean {near}?'
            click.echo(f"gtag: {printable(told)}", err=True)
    if asked.level > 0 and (tally.tracks or not interrupted):
        _sum_up(tally, asked.file, writes=asked.writes)
    rest = ": the rest of the files is as it was"
    return asked.ended(tally, interrupted=interrupted and rest)


def _sum_up(tally: Tally, file: TextIO, *, writes: bool) -> None:
    from tagger.cli.summary import print_summary

    if not tally.tracks:
        click.echo("No row has a new_genre that is not its old_genre.", file=file)
        return
    print_summary(tally, None, in_report=0, file=file)
    if not writes and tally.would_write:
        click.echo("\nNothing was written. --write-tags writes.", file=file)
