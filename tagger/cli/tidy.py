"""`gtag tidy`: brings the spellings of the genres in the tags together."""

from __future__ import annotations

import sys
from collections import Counter
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any

import click

from tagger.cli.files import not_music
from tagger.cli.scan import options_of_scan
from tagger.cli.then import run_then
from tagger.deciding.options import ScanOptions
from tagger.system.errors import ExitStatus
from tagger.system.screen import printable

if TYPE_CHECKING:
    from tagger.reports.tally import Tally


@click.command(
    params=[
        click.Argument(["paths"], nargs=-1, required=True, type=click.Path()),
        *options_of_scan(
            *("write_tags", "dry_run", "genre_map", "exclude", "no_default_excludes"),
            *("preserve_mtime", "in_place", "min_age", "write_incomplete", "journal", "trust"),
            *("then", "verbose"),
        ),
    ]
)
def tidy(
    paths: tuple[str, ...],
    *,
    write_tags: bool,
    dry_run: bool,
    verbose: int,
    then: str | None,
    **options: Any,
) -> ExitStatus:
    """Bring the spellings of genres together.

    Spells the genres in the tags of PATHS as gtag's vocabulary or the genre map does: classical as
    Classical, Hip Hop as Hip-Hop, Rock/Pop as Rock and Pop. Shows the changes; --write-tags writes
    them. Can be taken back with gtag undo.
    """
    from tagger.cli.listing import teller
    from tagger.cli.progress import Progress
    from tagger.deciding.decide import Status
    from tagger.deciding.genre_map import GenreMap, names_of_models, read_genre_map
    from tagger.pipeline.scanning import Scanning, care_of
    from tagger.pipeline.tidying import tidy as tidy_tracks
    from tagger.pipeline.writing import rehearsal, writer
    from tagger.reports.tally import Tally
    from tagger.system.interrupt import Interrupts

    writes, journal = write_tags and not dry_run, options["journal"]
    if writes and journal:
        not_music(journal, "--journal")
    said = ScanOptions.of(options)
    known = (name for genre, styles in names_of_models().items() for name in (genre, *styles))
    genre_map = read_genre_map(said.genre_map, known) if said.genre_map else GenreMap()
    scanning = Scanning(said, writes=writes, command=sys.argv[1:])
    library, care = scanning.library(paths), care_of(said)
    tally, changes, interrupted = Tally(), Counter[tuple[str, str]](), False
    with ExitStack() as stack:
        progress = Progress(shown=True)
        stack.callback(progress.close)
        progress.expect(lambda: scanning.library(paths))
        write = rehearse = None
        if writes:
            begun = writer(journal, care, command=sys.argv[1:], model=None, library=library)
            write = stack.enter_context(begun)
        else:
            rehearse = stack.enter_context(rehearsal(journal, care))
        interrupts = stack.enter_context(Interrupts())
        tell = teller(1 + verbose, as_json=False, say=progress.say)
        made = tidy_tracks(library, genre_map, write=write, rehearse=rehearse)
        results = stack.enter_context(closing(made))
        try:
            while True:
                with interrupts.held():
                    result = next(results, None)
                    if result is None:
                        break
                    tally.add(result)
                    changed = result.status is Status.WRITTEN
                    if result.decision and result.decision.change and (changed or not writes):
                        changes[result.old_genre, "; ".join(result.decision.genres)] += 1
                    if result.status is Status.KEPT:
                        told = f"{result.path}: {result.status}: {result.message}"
                        progress.say(f"gtag: {printable(told)}", err=True)
                    elif result.status is not Status.UNCHANGED:
                        tell(result)
                    progress.step()
        except KeyboardInterrupt:
            interrupted = True
    for problem in library.problems:
        click.echo(f"gtag: {printable(str(problem))}", err=True)
    _print_changes(changes, tally, writes=writes)
    if interrupted:
        click.echo("gtag: interrupted: the rest of the files is as it was", err=True)
        return ExitStatus.INTERRUPTED
    went_well = run_then(then, tally.wrote)
    problems = tally.problems or library.problems or not went_well
    return ExitStatus.PROBLEMS if problems else ExitStatus.OK


def _print_changes(changes: Counter[tuple[str, str]], tally: Tally, *, writes: bool) -> None:
    from rich.table import Column

    from tagger.cli.console import cell, console, plain_table

    if changes:
        table = plain_table(
            Column("Genre", overflow="fold"),
            Column("Becomes", style="bold", overflow="fold"),
            Column("Tracks", justify="right"),
        )
        for (old, new), n in changes.most_common():
            table.add_row(cell(old), cell(new), str(n))
        console().print(table)
        click.echo()
    n, of = tally.wrote if writes else tally.would_write, f"{tally.tracks} tracks"
    if writes:
        click.echo(f"{n} of {of} written." + (" gtag undo takes it back." if n else ""))
    else:
        click.echo(f"{n} of {of} would be written. Nothing was: --write-tags writes.")
