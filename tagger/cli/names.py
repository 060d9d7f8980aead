"""Names that people type: suggestions for mistyped ones, shell completion for models."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from tagger.system.errors import ConfigurationError, ExitStatus
from tagger.system.suggest import did_you_mean


class Group(click.Group):
    """Commands; the error for a mistyped name suggests the nearest."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if not (ctx.resilient_parsing or name.startswith("-") or self.get_command(ctx, name)):
            there = self.list_commands(ctx)
            instead = did_you_mean(name, there) or f"there are: {', '.join(there)}"
            raise click.UsageError(f"there is no command {name!r} ({instead})", ctx)
        return super().resolve_command(ctx, args)


def help_alone(context: click.Context) -> ExitStatus:
    """Show the help of a group that is run without a command.

    On stderr and as wrong usage: a script that lost its arguments must not go on.
    """
    click.echo(context.get_help(), err=True)
    return ExitStatus.USAGE


class ModelName(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.2
    """The name of a model, or its folder, with completion.

    Parameters
    ----------
    own : bool
        Complete the names of the user's own models only, and no folders.
    """

    name = "model"

    def __init__(self, *, own: bool = False) -> None:
        self._own = own

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        from tagger.models import zoo

        roots = zoo.roots()
        named = [
            name
            for name in zoo.names(*(roots[1:] if self._own else roots))
            if name.startswith(incomplete)
        ]
        if named or self._own:
            return [CompletionItem(name) for name in named]
        # Shells offer folders instead of names, not beside them.
        return [CompletionItem(incomplete, type="dir")]


class ExistingPath(click.Path):
    """A path that must exist; if not, the error says what to do, as elsewhere in gtag."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            os.stat(value)  # noqa: PTH116
        except (OSError, ValueError) as error:
            message = str(ConfigurationError.of_system(error, value))
            raise click.BadParameter(message, ctx, param) from error
        return super().convert(value, param, ctx)


class DataSet(ExistingPath):
    """A path that must exist, or `mirdata:NAME`."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if str(value).startswith("mirdata:"):
            return Path(value)
        return super().convert(value, param, ctx)
