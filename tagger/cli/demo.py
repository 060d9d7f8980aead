"""`gtag demo`: composes a few synthetic pieces, and scans them."""

from __future__ import annotations

import os
import time

import click

from tagger.cli.files import opening
from tagger.storage.at_rest import MIN_AGE_S
from tagger.system.errors import ExitStatus
from tagger.system.screen import printable


@click.command()
@click.argument("folder", metavar="[DIR]", default="gtag-demo", type=click.Path())
def demo(folder: str) -> ExitStatus:
    """Compose and scan a few short pieces.

    They are composed by rule: they show how gtag works, not how accurate it is.
    """
    from tagger.cli.scan import scan
    from tagger.sound.demo import make_demo

    with opening(folder):
        paths = make_demo(folder)
    # A scan refuses files that changed just now.
    then = time.time() - 2 * MIN_AGE_S
    for path in paths:
        os.utime(path, (then, then))
    click.echo(f"Composed {len(paths)} synthetic pieces in {printable(folder)}. Their genres mean")
    click.echo("little; try gtag on your own music next.\n")
    status: ExitStatus = scan.main(
        ["--verbose", "--", folder], prog_name="gtag scan", standalone_mode=False
    )
    return status
