"""`gtag tidy`: brings the spellings of the genres in the tags together."""

from __future__ import annotations

import sys
from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, TextIO

import click

from tagger.cli.results import Asked, each
from tagger.cli.scan import TELLING, WALKING, WRITING, options_of_scan
from tagger.deciding.options import ScanOptions
from tagger.system.errors import ExitStatus
from tagger.system.screen import printable

if TYPE_CHECKING:
    from tagger.pipeline.road import TrackResult
    from tagger.reports.tally import Tally


@click.command(
    params=[
        click.Argument(["paths"], nargs=-1, required=True, type=click.Path()),
        *options_of_scan(*WRITING, "genre_map", *WALKING, *TELLING),
    ]
)
def tidy(paths: tuple[str, ...], **options: Any) -> ExitStatus:
    """Bring the spellings of genres together.

    Spells the genres in the tags of PATHS as gtag's vocabulary or the genre map does: classical as
    Classical, Hip Hop as Hip-Hop, Rock/Pop as Rock and Pop. Shows the changes; --write-tags writes
    them. Can be taken back with gtag undo.
    """
    from tagger.cli.listing import teller
    from tagger.cli.progress import Progress
    from tagger.cli.summary import print_left_alone
    from tagger.deciding.decide import Status
    from tagger.deciding.genre_map import GenreMap, names_of_models, read_genre_map
    from tagger.pipeline.scanning import Scanning, care_of
    from tagger.pipeline.tidying import tidy as tidy_tracks
    from tagger.pipeline.writing import writer_or_rehearsal
    from tagger.reports.tally import Tally
    from tagger.system.interrupt import Interrupts

    asked = Asked(options, lists=False)
    said = ScanOptions.of(options)
    known = (name for genre, styles in names_of_models().items() for name in (genre, *styles))
    genre_map = read_genre_map(said.genre_map, known) if said.genre_map else GenreMap()
    scanning = Scanning(said, writes=asked.writes, command=sys.argv[1:])
    library, care = scanning.library(paths), care_of(said)
    tally, changes = Tally(), Counter[tuple[str, str]]()
    with ExitStack() as stack:
        progress = Progress(shown=asked.level > 0)
        stack.callback(progress.close)
        progress.expect(lambda: scanning.library(paths))
        write, rehearse = stack.enter_context(
            writer_or_rehearsal(
                *(asked.writes, asked.journal, care), command=sys.argv[1:], library=library
            )
        )
        interrupts = stack.enter_context(Interrupts())
        results = tidy_tracks(
            library, genre_map, write=write, rehearse=rehearse, interrupts=interrupts
        )
        tell = teller(asked.level, as_json=asked.as_json, say=progress.say)

        def note(result: TrackResult) -> None:
            change = result.decision.change if result.decision else None
            if change and change.genres and (result.wrote or not asked.writes):
                changes[result.old_genre, "; ".join(change.genres)] += 1
            if result.status is Status.KEPT and 0 < asked.level < 3:  # a person has to look into it
                told = f"gtag: {result.path}: {result.status}: {result.message}"
                progress.say(printable(told), err=True)

        interrupted = not each(results, tally.add, note, tell, progress.step)
    if asked.level > 0:
        _print_changes(changes, tally, asked.file, writes=asked.writes)
        print_left_alone(library, asked.file)
    rest = ": the rest of the files is as it was"
    return asked.ended(tally, library.problems, interrupted=interrupted and rest)


def _print_changes(
    changes: Counter[tuple[str, str]], tally: Tally, file: TextIO, *, writes: bool
) -> None:
    from tagger.cli.console import Column, cell, console, plain_table

    if changes:
        table = plain_table(
            Column("Genre", overflow="fold"),
            Column("Becomes", style="bold", overflow="fold"),
            Column("Tracks", justify="right"),
        )
        for (old, new), n in changes.most_common():
            shown = f"{new}, each by itself" if old == new else new  # of one field that said both
            table.add_row(cell(old), cell(shown), str(n))
        console(file).print(table)
        click.echo(file=file)
    n, done = tally.would_write, "would be written. Nothing was: --write-tags writes."
    if writes:
        n, done = tally.wrote, f"written.{' gtag undo takes it back.' if tally.wrote else ''}"
    click.echo(f"{n} of {tally.tracks} tracks {done}", file=file)
