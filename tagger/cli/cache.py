"""`gtag cache`: what scans store, and deleting it."""

from __future__ import annotations

import click

from tagger.cli.click_options import Whole
from tagger.cli.names import Group, help_alone
from tagger.system.errors import ExitStatus

_UNUSED_DAYS = 365


@click.group(cls=Group, invoke_without_command=True)
@click.pass_context
def cache(context: click.Context) -> ExitStatus:
    """Show or clear the cache of predictions.

    A scan stores its predictions, so that the next one need not decode the same audio again.
    """
    return help_alone(context) if context.invoked_subcommand is None else ExitStatus.OK


@cache.command()
def info() -> ExitStatus:
    """Show where the cache is, and what it holds."""
    from tagger.pipeline.cache import Cache, default_cache_path
    from tagger.system.screen import printable

    path = default_cache_path()
    click.echo(printable(str(path)))
    with Cache(path) as cache:
        held = cache.info() if path.exists() else {}
    if not held:
        click.echo("nothing yet: the first scan creates it")
        return ExitStatus.OK
    for name, words in (
        ("files", "files"),
        ("predictions", "predictions, one for each sound and model"),
        ("features", "sounds that other models can classify without decoding"),
    ):
        click.echo(f"{held[name]:>10,}  {words}")
    click.echo(f"{held['bytes'] / 1e6:>10,.1f}  MB")
    return ExitStatus.OK


@cache.command()
@click.option(
    "--unused-for",
    "days",
    type=Whole(0),
    default=_UNUSED_DAYS,
    show_default=True,
    metavar="DAYS",
    help="Also forget files that no scan has found for so long.",
)
def prune(*, days: int) -> ExitStatus:
    """Delete entries of files that are gone.

    A disk or network folder that is not connected looks as if its files were gone.
    """
    from tagger.pipeline.cache import Cache, default_cache_path

    path = default_cache_path()
    if not path.exists():
        click.echo("There is no cache.")
        return ExitStatus.OK
    with Cache(path) as cache:
        gone = cache.prune(days)
    click.echo(f"{gone:,} {'file' if gone == 1 else 'files'} forgotten.")
    return ExitStatus.OK


@cache.command()
def clear() -> ExitStatus:
    """Delete everything: the next scan decodes every file."""
    from tagger.pipeline.cache import Cache, default_cache_path

    path = default_cache_path()
    Cache(path).clear()
    click.echo("The cache is empty.")
    return ExitStatus.OK
