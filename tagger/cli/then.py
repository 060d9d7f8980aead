"""`--then COMMAND`: what runs behind a run that wrote, such as a media server's scan."""

from __future__ import annotations

import subprocess
import sys

import click

from tagger.system.screen import printable

THEN = click.Option(
    ["--then"],
    metavar="COMMAND",
    help="Let the shell run this when files were written: a scan of your media server, say.",
)


def run_then(command: str | None, n_written: int) -> bool:
    """Run a command where files were written; tell whether all went well.

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
