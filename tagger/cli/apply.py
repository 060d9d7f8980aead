"""`gtag apply`: writes the genres that a person edited in a report."""

from __future__ import annotations

import sys
from collections import Counter
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any

import click

from tagger.cli.files import not_music
from tagger.cli.scan import options_of_scan
from tagger.deciding.options import ScanOptions
from tagger.system.errors import ExitStatus
from tagger.system.screen import printable

if TYPE_CHECKING:
    from tagger.reports.tally import Tally


@click.command(
    params=options_of_scan(
        *("write_tags", "dry_run", "preserve_mtime", "in_place", "min_age", "write_incomplete"),
        *("journal", "trust", "verbose", "quiet"),
    )
)
@click.argument("report", type=click.Path(), metavar="REPORT.csv")
def apply(
    report: str, *, write_tags: bool, dry_run: bool, verbose: int, quiet: int, **options: Any
) -> ExitStatus:
    """Write the genres that you edited in a report.

    Shows each track of REPORT.csv, from gtag scan --report, whose new_genre is not its old_genre;
    --write-tags writes it. An empty new_genre changes nothing. Can be taken back with gtag undo.
    """
    from tagger.cli.listing import teller
    from tagger.cli.settings import scan_defaults
    from tagger.pipeline.scanning import care_of
    from tagger.pipeline.writing import rehearsal, writer
    from tagger.reports.tally import Tally
    from tagger.reviewing.apply import applied
    from tagger.reviewing.review import meant_instead
    from tagger.system.interrupt import Interrupts

    journal = options["journal"]
    level = (2 if sys.stdout.isatty() else 1) + verbose - quiet
    writes = write_tags and not dry_run
    if writes and journal:
        not_music(journal, "--journal")
    care = care_of(ScanOptions.of(scan_defaults() | options))
    tally, words, interrupted = Tally(), Counter[str](), False
    tell = teller(level, as_json=False, say=click.echo)
    with ExitStack() as stack:
        write = rehearse = None
        if writes:
            write = stack.enter_context(writer(journal, care, command=sys.argv[1:], model=None))
        else:
            rehearse = stack.enter_context(rehearsal(journal, care))
        interrupts = stack.enter_context(Interrupts())
        results = stack.enter_context(closing(applied(report, write=write, rehearse=rehearse)))
        try:
            while True:
                with interrupts.held():
                    result = next(results, None)
                    if result is None:
                        break
                    tally.add(result)
                    if result.decision:
                        words.update({*result.decision.genres} - {*result.decision.old_genres})
                    tell(result)
        except KeyboardInterrupt:
            interrupted = True
    for word, n in words.items():
        if near := meant_instead(word):
            tracks = f"{n} track{'s' * (n != 1)}"
            told = f'"{word}", of {tracks}, is no genre that gtag knows: did you mean {near}?'
            click.echo(f"gtag: {printable(told)}", err=True)
    if level > 0 and (tally.tracks or not interrupted):
        _sum_up(tally, writes=writes)
    if interrupted:
        click.echo("gtag: interrupted: the rest of the files is as it was", err=True)
        return ExitStatus.INTERRUPTED
    return ExitStatus.PROBLEMS if tally.problems else ExitStatus.OK


def _sum_up(tally: Tally, *, writes: bool) -> None:
    from tagger.cli.summary import print_summary

    if not tally.tracks:
        click.echo("No row has a new_genre that is not its old_genre.")
        return
    print_summary(tally, None, in_report=0, file=sys.stdout)
    if not writes and tally.would_write:
        click.echo("\nNothing was written. --write-tags writes.")
