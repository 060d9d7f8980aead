"""`gtag cache`: shows, prunes and clears the cached predictions."""

from __future__ import annotations

import click

from tagger.cli.names import Group, help_alone
from tagger.errors import ExitStatus
from tagger.screen import printable

_UNUSED_DAYS = 365


@click.group(cls=Group, invoke_without_command=True)
@click.pass_context
def cache(context: click.Context) -> ExitStatus:
    """Show or delete what scans store, so that they need not decode files again."""
    return help_alone(context) if context.invoked_subcommand is None else ExitStatus.OK


@cache.command()
def info() -> ExitStatus:
    """Show where the cache is and what it holds."""
    from tagger.cache import Cache, default_cache_path

    path = default_cache_path()
    click.echo(printable(str(path)))
    with Cache(path) as cache:
        held = cache.info() if path.exists() else {}
    if not held:
        click.echo("Empty: the first scan fills it.")
        return ExitStatus.OK
    for name, words in (
        ("files", "files"),
        ("heard", "predictions, one for each recording and model"),
        ("views", "recordings that other models can classify without decoding"),
    ):
        click.echo(f"{held[name]:>10,}  {words}")
    click.echo(f"{held['bytes'] / 1e6:>10,.1f}  MB")
    return ExitStatus.OK


@cache.command()
@click.option(
    "--unused-for",
    "days",
    type=click.IntRange(0),
    default=_UNUSED_DAYS,
    show_default=True,
    metavar="DAYS",
    help="Delete also files that no scan has seen for so long.",
)
def prune(*, days: int) -> ExitStatus:
    """Delete the entries of missing files.

    The files of a disk or network folder that is not connected count as missing.
    """
    from tagger.cache import Cache, default_cache_path

    path = default_cache_path()
    if not path.exists():
        click.echo("There is no cache.")
        return ExitStatus.OK
    with Cache(path) as cache:
        gone = cache.prune(days)
    click.echo(f"{gone:,} {'file' if gone == 1 else 'files'} deleted from the cache.")
    return ExitStatus.OK


@cache.command()
def clear() -> ExitStatus:
    """Delete everything: the next scan decodes every file."""
    from tagger.cache import Cache, default_cache_path

    path = default_cache_path()
    Cache(path).clear()
    click.echo("The cache is empty.")
    return ExitStatus.OK
