"""`gtag demo`: composes a few synthetic pieces, and scans them."""

from __future__ import annotations

import os
import time

import click

from tagger.errors import ExitStatus
from tagger.files.at_rest import MIN_AGE_S
from tagger.screen import printable


@click.command()
@click.argument("folder", metavar="[DIR]", default="gtag-demo", type=click.Path())
def demo(folder: str) -> ExitStatus:
    """Compose a few short pieces into DIR (gtag-demo), encode them, and scan them.

    They are made by rule, not recorded: something to try gtag on, and no proof of anything.
    """
    from tagger.cli.scan import scan
    from tagger.demo import make_demo

    paths = make_demo(folder)
    # They are finished, and said to be: a scan leaves alone what changed just now.
    then = time.time() - 2 * MIN_AGE_S
    for path in paths:
        os.utime(path, (then, then))
    click.echo(f"Composed {len(paths)} synthetic pieces in {printable(folder)}. No one plays here,")
    click.echo("so what a model hears in them proves nothing; try your own music next.\n")
    status: ExitStatus = scan.main(
        ["--verbose", "--", folder], prog_name="gtag scan", standalone_mode=False
    )
    return status
