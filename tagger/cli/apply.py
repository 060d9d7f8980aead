"""`gtag apply`: writes the genres that a person edited in a report."""

from __future__ import annotations

import sys
from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, TextIO

import click

from tagger.cli.files import log_to, not_music
from tagger.cli.results import each, ended, level_of
from tagger.cli.scan import TELLING, WRITING, options_of_scan
from tagger.deciding.options import ScanOptions
from tagger.system.errors import ExitStatus
from tagger.system.screen import printable

if TYPE_CHECKING:
    from tagger.pipeline.road import TrackResult
    from tagger.reports.tally import Tally


@click.command(params=options_of_scan(*WRITING, *TELLING))
@click.argument("report", type=click.Path(), metavar="REPORT.csv")
def apply(
    report: str,
    *,
    write_tags: bool,
    dry_run: bool,
    as_json: bool,
    then: str | None,
    verbose: int,
    quiet: int,
    log_file: str | None,
    **options: Any,
) -> ExitStatus:
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

    log_to(log_file, verbose)
    level = level_of(verbose, quiet, lists=not as_json)
    writes, journal = write_tags and not dry_run, options["journal"]
    if writes and journal:
        not_music(journal, "--journal")
    care = care_of(ScanOptions.of(scan_defaults() | options))
    tally, words = Tally(), Counter[str]()

    def note(result: TrackResult) -> None:
        change = result.decision.change if result.decision else None
        if result.decision and change:
            words.update({*(change.genres or ())} - {*result.decision.old_genres})

    with ExitStack() as stack:
        begun = writer_or_rehearsal(writes, journal, care, command=sys.argv[1:])
        write, rehearse = stack.enter_context(begun)
        interrupts = stack.enter_context(Interrupts())
        results = applied(report, write=write, rehearse=rehearse, interrupts=interrupts)
        tell = teller(level, as_json=as_json, say=click.echo)
        interrupted = not each(results, tally.add, note, tell)
    for word, n in words.items():
        if near := meant_instead(word):
            tracks = f"{n} track{'s' * (n != 1)}"
            told = f'"{word}", of {tracks}, is no genre that gtag knows: did you mean {near}?'
            click.echo(f"gtag: {printable(told)}", err=True)
    if level > 0 and (tally.tracks or not interrupted):
        _sum_up(tally, sys.stderr if as_json else sys.stdout, writes=writes)
    return ended(
        tally.problems,
        interrupted=interrupted and ": the rest of the files is as it was",
        then=then,
        n_written=tally.wrote,
    )


def _sum_up(tally: Tally, file: TextIO, *, writes: bool) -> None:
    from tagger.cli.summary import print_summary

    if not tally.tracks:
        click.echo("No row has a new_genre that is not its old_genre.", file=file)
        return
    print_summary(tally, None, in_report=0, file=file)
    if not writes and tally.would_write:
        click.echo("\nNothing was written. --write-tags writes.", file=file)
