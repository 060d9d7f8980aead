"""What commands do with the results of many tracks: one loop through them, and one way to end."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any, Literal

import click

from tagger.cli.files import log_to, not_music
from tagger.system.errors import ExitStatus, GtagError
from tagger.system.screen import printable

if TYPE_CHECKING:
    from tagger.pipeline.road import TrackResult
    from tagger.reports.tally import Tally


class Asked:
    """What a command was asked for by the options of `cli.scan` that are in WRITING and TELLING.

    Parameters
    ----------
    options : dict
        The command's parameters.
    lists : bool
        Whether the command lists tracks in a terminal without being asked to.

    Attributes
    ----------
    level : int
        What is shown: 0 errors, 1 the summary too, 2 each track too, 3 the reasons too.
    file : text file
        Where the summary goes: stdout, unless that is for JSON.
    """

    def __init__(self, options: dict[str, Any], *, lists: bool) -> None:
        log_to(options["log_file"], options["verbose"])
        self.journal: str | None = options.get("journal")
        self.writes: bool = options.get("write_tags", False) and not options["dry_run"]
        if self.writes and self.journal:
            not_music(self.journal, "--journal")
        self.as_json: bool = options["as_json"]
        lists = lists and sys.stdout.isatty() and not self.as_json
        self.level: int = 1 + lists + options["verbose"] - options["quiet"]
        self.file = sys.stderr if self.as_json else sys.stdout
        self._then: str | None = options.get("then")

    def ended(
        self,
        tally: Tally,
        problems: Sequence[GtagError] = (),
        *,
        interrupted: str | Literal[False] = False,
    ) -> ExitStatus:
        """Tell what went wrong beside tracks, let `--then` run, and return the exit status.

        Parameters
        ----------
        interrupted : str or False
            Where Ctrl-C ended the command: what to say of it. Nothing runs behind it then.
        """
        for problem in problems:
            complain(problem)
        if interrupted is not False:
            click.echo(f"gtag: interrupted{interrupted}", err=True)
            return ExitStatus.INTERRUPTED
        went_well = run_then(self._then, tally.wrote)
        return ExitStatus.PROBLEMS if tally.problems or problems or not went_well else ExitStatus.OK


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


def complain(error: GtagError) -> None:
    """Print on stderr what went wrong."""
    click.echo(f"gtag: {printable(str(error))}", err=True)


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
