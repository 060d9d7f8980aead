"""`gtag undo`: takes back what a run wrote, lists runs, and deletes old ones."""

from __future__ import annotations

import shlex
import sys
from collections import Counter
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

import click

from tagger.cli.click_options import Number
from tagger.cli.files import not_music
from tagger.cli.results import run_then
from tagger.system.errors import ExitStatus
from tagger.system.screen import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tagger.journal.journal import Journal
    from tagger.journal.rows import RunRecord
    from tagger.journal.undo import Undone, UndoStatus
    from tagger.system.interrupt import Interrupts


@click.command()
@click.argument("run_and_paths", nargs=-1, metavar="[RUN] [PATHS]...", type=click.Path())
@click.option("--list", "as_list", is_flag=True, help="List the runs; undo nothing.")
@click.option("--dry-run", is_flag=True, help="Show what would be taken back; write nothing.")
@click.option(
    "--force", is_flag=True, help="Restore the old genre also where it was changed since."
)
@click.option(
    "--find",
    is_flag=True,
    help="Look for files that were moved or renamed below the folders of that run, by their sound.",
)
@click.option(
    "--prune",
    is_flag=True,
    help="Delete runs that are older than --keep-days; they can no longer be taken back.",
)
@click.option(
    "--keep-days",
    type=Number(0),
    default=365,
    show_default=True,
    metavar="DAYS",
    help="With --prune: keep runs that are younger.",
)
@click.option(
    "--keep-mb",
    type=Number(0),
    metavar="MB",
    help="With --prune: delete more of the oldest runs until the journal is this small.",
)
@click.option("--journal", type=click.Path(), metavar="FILE", help="As given to that scan.")
@click.option("--trust", is_flag=True, help="Use a journal that belongs to another user.")
@click.option("--then", metavar="COMMAND", help="Let the shell run this when files were restored.")
@click.option("-y", "--yes", is_flag=True, help="Without RUN, in a terminal: do not ask.")
@click.option("-v", "--verbose", is_flag=True, help="List each file; with --list, each run.")
@click.option("-q", "--quiet", is_flag=True, help="Show errors only.")
def undo(
    run_and_paths: tuple[str, ...],
    *,
    as_list: bool,
    dry_run: bool,
    force: bool,
    find: bool,
    prune: bool,
    keep_days: float,
    keep_mb: float | None,
    journal: str | None,
    trust: bool,
    then: str | None,
    yes: bool,
    verbose: bool,
    quiet: bool,
) -> ExitStatus:
    """Take back what the last scan that wrote has changed, or what RUN did.

    RUN is a number that --list shows; without it the scan is named, and in a terminal confirmed.
    PATHS limit it to files and folders; files that were moved there are found by their content,
    with --find by their sound. Other fields that were edited since keep their values; a file whose
    genre or sound was changed since is left alone.
    """
    from tagger.journal.journal import Journal, default_journal_path
    from tagger.journal.undo import UndoStatus, run_to_undo, undo_run
    from tagger.system.interrupt import Interrupts

    if prune and (run_and_paths or as_list or dry_run or force or find):
        raise click.UsageError(
            "--prune works with --keep-days, --keep-mb, --journal and --trust only."
        )
    run, paths = None, run_and_paths
    if paths and paths[0].isdecimal():
        run, paths = int(paths[0]), paths[1:]
    file = not_music(journal, "--journal") if journal else default_journal_path()
    with Journal(file, trust=trust) as opened:
        if prune:
            gone = opened.prune(keep_days, None if keep_mb is None else round(keep_mb * 1e6))
            click.echo(
                f"deleted: runs {gone.runs}, changes {gone.changes};"
                f" {gone.bytes / 1e6:.1f} MB freed"
            )
            return ExitStatus.OK
        if as_list:
            runs = opened.runs()
            _print_runs(runs, all_of_them=verbose)
            damaged = [one.id for one in runs if one.damaged]
            for number in damaged:
                click.echo(f"gtag: run {number} is damaged in the journal", err=True)
            return ExitStatus.PROBLEMS if damaged else ExitStatus.OK
        if not dry_run:
            opened.recover()  # which tells what is in force
        chosen = run_to_undo(opened, run)
        if run is None:
            asks = not (yes or dry_run) and sys.stdin.isatty() and sys.stderr.isatty()
            if asks or not quiet:
                click.echo(f"gtag: {_named(opened, chosen)}", err=True)
            if asks and not click.confirm("Take that back?", default=True, err=True):
                click.echo("Nothing was done; gtag undo --list lists all runs.")
                return ExitStatus.OK
        with Interrupts() as interrupts:
            undone = undo_run(
                opened,
                chosen.id,
                paths,
                dry_run=dry_run,
                force=force,
                find=find,
                watch=partial(_watched, interrupts),
                command=sys.argv[1:],
            )
            with closing(undone):  # ends its run, also where it is interrupted
                counts, interrupted = _report(undone, interrupts, verbose=verbose, quiet=quiet)
        if interrupted:
            again = _command(sys.argv[1:], chosen.id if run is None else None)
            click.echo(f"gtag: interrupted; to go on: {again}", err=True)
            return ExitStatus.INTERRUPTED
        done = counts.keys() & {UndoStatus.RESTORED, UndoStatus.WOULD_RESTORE}
        older = opened.last_scan(but=chosen.id)
        if run is None and not paths and counts and not done and older is not None:
            click.echo(f"gtag: to take back the scan before it: gtag undo {older}", err=True)
    went_well = run_then(then, counts[UndoStatus.RESTORED])
    failed = any(status.is_problem for status in counts)
    return ExitStatus.OK if went_well and not failed else ExitStatus.PROBLEMS


def _named(journal: Journal, run: RunRecord) -> str:
    """Describe a run so that a person recognises it."""
    began = f", begun {run.started[:16].replace('T', ' ')} UTC" if run.started else ""
    changes = f"{run.in_force} file{'s' if run.in_force != 1 else ''} changed"
    folder = journal.folder_of(run.id)
    where = f" in {printable(folder)}" if folder else ", in several folders"
    return f"run {run.id}{began}: {changes}{where}"


def _command(arguments: Sequence[str], run: int | None) -> str:
    """Return a command line with the run that it did not name."""
    words = ["gtag", *arguments]
    if run is not None:
        words.insert(words.index("undo") + 1, str(run))
    return printable(shlex.join(words))


def _watched(interrupts: Interrupts, paths: Iterable[str]) -> Iterator[str]:
    """Show the progress of a long search. Nothing is written meanwhile, so Ctrl-C ends it."""
    from tqdm import tqdm

    bar = tqdm(
        paths,
        desc="looking for moved files",
        unit=" files",
        file=sys.stderr,
        disable=not sys.stderr.isatty(),
        delay=1.0,
        leave=False,
    )
    with closing(bar):
        for path in bar:
            if interrupts.count:
                raise KeyboardInterrupt
            yield path


def _report(
    undone: Iterator[Undone], interrupts: Interrupts, *, verbose: bool, quiet: bool
) -> tuple[Counter[UndoStatus], bool]:
    """Tell what becomes of each file; returns how many ended how, and whether Ctrl-C came."""
    counts: Counter[UndoStatus] = Counter()
    interrupted = False
    found = 0
    try:
        while True:
            with interrupts.held():
                one = next(undone, None)
                if one is None:
                    break
                counts[one.status] += 1
                found += one.moved_from is not None
                if one.status.is_problem or one.message:
                    click.echo(_line(one), err=True)
                elif verbose and not quiet:
                    click.echo(_line(one))
    except KeyboardInterrupt:
        interrupted = True
    if not quiet:
        nothing = "nothing restored" if interrupted else "nothing to do"
        summary = ", ".join(f"{n} {status}" for status, n in counts.items()) or nothing
        click.echo(f"{summary}; moved and found: {found}" if found else summary)
    return counts, interrupted


def _line(one: Undone) -> str:
    line = f"{printable(one.path)}: {one.status}"
    if one.moved_from is not None:
        line += f" (was {printable(one.moved_from)})"
    return f"{line}: {printable(one.message)}" if one.message else line


def _print_runs(runs: list[RunRecord], *, all_of_them: bool) -> None:
    from tagger.cli.console import Column, cell, console, plain_table

    shown = [run for run in runs if all_of_them or run.in_force or run.undone]
    if not shown:
        click.echo("No run changed anything yet." if runs else "No run yet.")
        return
    table = plain_table(
        Column("Run", justify="right", style="bold"),
        Column("Began (UTC)", no_wrap=True),
        Column("In force", justify="right"),
        Column("Undone", justify="right"),
        Column("Command", overflow="fold"),
    )
    for run in shown:
        row = [str(run.id), run.started[:19].replace("T", " "), str(run.in_force), str(run.undone)]
        command = " ".join(("gtag", *run.command))
        table.add_row(*row, cell(command if run.ended else f"{command} (not ended)"))
    console().print(table)
