"""Files that cannot be learned from: named on stderr, and remembered for the exit status."""

from __future__ import annotations

import click

from tagger.errors import ExitStatus


class LeftOut:
    """To be called with each file that cannot be read or heard, and why."""

    def __init__(self) -> None:
        self._any = False

    def __call__(self, track: str, reason: str) -> None:
        from tagger.screen import printable

        self._any = True
        click.echo(f"left out: {printable(track)}: {printable(reason)}", err=True)

    @property
    def status(self) -> ExitStatus:
        """Of a command that did all else."""
        return ExitStatus.PROBLEMS if self._any else ExitStatus.OK
