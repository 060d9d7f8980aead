"""What commands do with the results of many tracks: one loop through them, and one way to end."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Literal

import click

from tagger.system.errors import ExitStatus, GtagError
from tagger.system.screen import printable

if TYPE_CHECKING:
    from tagger.pipeline.road import TrackResult


def level_of(verbose: int, quiet: int, *, lists: bool) -> int:
    """Return what is shown: 0 errors, 1 the summary too, 2 each track too, 3 the reasons too.

    Parameters
    ----------
    lists : bool
        Whether the command lists tracks in a terminal without being asked to.
    """
    return (2 if lists and sys.stdout.isatty() else 1) + verbose - quiet


def each(
    results: Generator[TrackResult, None, None], *takers: Callable[[TrackResult], object]
) -> bool:
    """Give each result to all of these, in this order; False where Ctrl-C ended it.

    The results hold Ctrl-C back while one is under way, so that what was written is told.
    """
    with closing(results):
        try:
            for result in results:
                for take in takers:
                    take(result)
        except KeyboardInterrupt:
            return False
    return True


def ended(
    n_failed: int,
    problems: Sequence[GtagError] = (),
    *,
    interrupted: str | Literal[False] = False,
    then: str | None = None,
    n_written: int = 0,
) -> ExitStatus:
    """Print what went wrong beside tracks, let `then` run, and return the exit status.

    Parameters
    ----------
    n_failed, n_written : int
        Tracks that went wrong, and files that were written.
    problems : sequence of GtagError
    interrupted : str or False
        Where Ctrl-C ended the command: what to say of it. Nothing runs behind it then.
    then : str, optional
        As `run_then`.
    """
    for problem in problems:
        click.echo(f"gtag: {printable(str(problem))}", err=True)
    if interrupted is not False:
        click.echo(f"gtag: interrupted{interrupted}", err=True)
        return ExitStatus.INTERRUPTED
    went_well = run_then(then, n_written)
    return ExitStatus.PROBLEMS if n_failed or problems or not went_well else ExitStatus.OK


def run_then(command: str | None, n_written: int) -> bool:
    """Let the shell run what `--then` says where files were written; tell whether all went well.

    What it prints goes to stderr: stdout is for data.
    """
    if not command or not n_written:
        return True
    sys.stdout.flush()
    ran = subprocess.run(command, shell=True, stdout=2, stdin=subprocess.DEVNULL, check=False)
    if ran.returncode:
        told = f"gtag: --then ended with status {ran.returncode}: {command}"
        click.echo(printable(told), err=True)
    return ran.returncode == 0
