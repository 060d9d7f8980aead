"""`gtag config`: what commands go by where the command line says nothing."""

from __future__ import annotations

import json
from typing import Any

import click

from tagger.cli.names import Group
from tagger.cli.settings import AS_SCAN, SETTABLE, Settings, as_in_scan, config_path, options_of
from tagger.errors import ConfigurationError, ExitStatus

_HEAD = """\
# gtag's settings. The command line has the first word, then the environment (GTAG_SCAN_MODEL),
# then this file. `gtag config show` lists what holds and why.
#
# Take the # away from what you want to set. Paths are seen from this file's folder; ~ is your home.
# What writes (write-tags, force) can be said on the command line only.
"""


@click.group(cls=Group, no_args_is_help=True)
def config() -> None:
    """Show the settings, and where each comes from; make a file for your own."""


@config.command()
def path() -> ExitStatus:
    """Print where config.toml lies, or would lie."""
    from tagger.screen import printable

    click.echo(printable(str(config_path())))
    return ExitStatus.OK


@config.command()
@click.pass_context
def init(context: click.Context) -> ExitStatus:
    """Write a config.toml in which every setting is explained and none is set."""
    from tagger.screen import printable

    root = context.find_root().command
    assert isinstance(root, click.Group)
    file = config_path()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with open(file, "x", encoding="utf-8") as stream:
            stream.write(example(root))
    except FileExistsError as error:
        raise ConfigurationError("is there already, and stays as it is", path=file) from error
    except OSError as error:
        raise ConfigurationError.of_system(error, file) from error
    click.echo(f"Written: {printable(str(file))}")
    return ExitStatus.OK


def example(root: click.Group) -> str:
    """A file that says nothing yet: every option with its help and its default, commented out."""
    import textwrap

    parts = [_HEAD]
    context = click.Context(root)
    for name in SETTABLE:
        command = root.get_command(context, name)
        assert command is not None
        options = options_of(command)
        lines = [f"\n[{name}]"]
        if name in AS_SCAN:
            shared = as_in_scan(name, command)
            lines.append("# What [scan] says holds here, too, unless it is set here again.")
            options = {long: o for long, o in options.items() if long not in shared}
        for long, option in options.items():
            lines += [
                "",
                *textwrap.wrap(option.help or "", 88, initial_indent="# ", subsequent_indent="# "),
            ]
            lines.append(f"# {long} = {_in_toml(option)}")
        parts.append("\n".join(lines) + "\n")
    return "".join(parts)


def _in_toml(option: click.Option) -> str:
    """The default, or something of its kind where there is none."""
    default = option.to_info_dict()["default"]
    if option.multiple:
        return "[]"
    if option.is_flag:
        return "false"
    if isinstance(default, str | int | float):
        return json.dumps(default)
    if isinstance(option.type, click.types.IntParamType):
        return "1"
    if isinstance(option.type, click.types.FloatParamType):
        return "0.5"
    return json.dumps(option.metavar or "")


@config.command()
@click.argument("command", required=False, type=click.Choice(SETTABLE))
@click.option("--changed", is_flag=True, help="Leave out what is as gtag has it.")
@click.pass_context
def show(context: click.Context, *, command: str | None, changed: bool) -> ExitStatus:
    """List every setting with its value, and where that comes from.

    COMMAND narrows it down to one command.
    """
    from rich.table import Table
    from rich.text import Text

    from tagger.cli.console import console
    from tagger.screen import printable

    root = context.find_root()
    assert isinstance(root.command, click.Group)
    settings = Settings(root.command)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("Setting", no_wrap=True)
    table.add_column("Value", overflow="fold")
    table.add_column("From", overflow="fold")
    for name in SETTABLE if command is None else (command,):
        rows = [row for row in _settings_of(root, settings, name) if row[2] or not changed]
        if rows:
            table.add_row(Text(f"[{name}]", style="bold"))
        for long, value, source in rows:
            style = "" if source else "dim"
            cells = (f"  {long}", _shown(value), source or "default")
            table.add_row(*(Text(printable(cell), style=style) for cell in cells))
    there = "" if settings.path.exists() else " (not there; gtag config init makes it)"
    click.echo(f"{printable(str(settings.path))}{there}\n")
    if table.row_count:
        console().print(table)
    else:
        click.echo("Everything is as gtag has it.")
    return ExitStatus.OK


def _settings_of(root: click.Context, settings: Settings, name: str) -> list[tuple[str, Any, str]]:
    """Each option of a command: its name, its value, and what set it."""
    from click.core import ParameterSource

    assert isinstance(root.command, click.Group)
    command = root.command.get_command(root, name)
    assert command is not None
    said = settings.values(name)
    context = click.Context(command, info_name=name, parent=root)
    context.default_map = settings.default_map()[name]  # type: ignore[assignment]
    rows = []
    for long, option in options_of(command).items():
        value, source = option.consume_value(context, {})
        context.set_parameter_source(str(option.name), source)
        by = ""
        if source is not ParameterSource.DEFAULT:
            value = option.type_cast_value(context, value)
        if source is ParameterSource.ENVIRONMENT:
            by = _variable_in_use(option)
        elif source is ParameterSource.DEFAULT_MAP:
            _, table, line = said[long]
            by = f"line {line}" + (f" of [{table}]" if table != name else "")
        rows.append((long, value, by))
    return rows


def _variable_in_use(option: click.Option) -> str:
    import os

    names = option.envvar or []
    return next((name for name in names if os.environ.get(name)), "environment")


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "–"
    return str(value) if value != "" and isinstance(value, str | int | float) else "–"
