"""`gtag config`: shows the settings, and makes a config.toml."""

from __future__ import annotations

import json
import os

import click

from tagger.cli.names import Group, help_alone
from tagger.cli.settings import (
    AS_SCAN,
    SETTABLE,
    ConfigFile,
    as_in_scan,
    command_of,
    config_path,
    options_of,
)
from tagger.system.errors import ConfigurationError, ExitStatus
from tagger.system.screen import printable

_HEAD = """\
# gtag's settings. The command line goes before the environment (GTAG_SCAN_MODEL), and that before
# this file. `gtag config show` lists every value and where it comes from.
#
# Remove the # before what you want to set. Relative paths start at this file's folder; ~ is your
# home. What writes (write-tags, force) works on the command line only.
"""


@click.group(cls=Group, invoke_without_command=True)
@click.pass_context
def config(context: click.Context) -> ExitStatus:
    """Show the settings and where each comes from."""
    return help_alone(context) if context.invoked_subcommand is None else ExitStatus.OK


@config.command()
def path() -> ExitStatus:
    """Print the path of config.toml, whether it exists or not."""
    click.echo(printable(str(config_path())))
    return ExitStatus.OK


@config.command()
def init() -> ExitStatus:
    """Write a config.toml that explains every setting and sets none."""
    file = config_path()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with open(file, "x", encoding="utf-8") as stream:
            stream.write(example())
    except FileExistsError as error:
        raise ConfigurationError("already exists; it was not changed", path=file) from error
    except OSError as error:
        raise ConfigurationError.of_system(error, file) from error
    click.echo(f"Written: {printable(str(file))}")
    return ExitStatus.OK


def example() -> str:
    """Return a config.toml that sets nothing: every option with its help and default, commented
    out.
    """
    import textwrap

    parts = [_HEAD]
    for name in SETTABLE:
        command = command_of(name)
        options = options_of(command)
        lines = [f"\n[{name}]"]
        if name in AS_SCAN:
            shared = as_in_scan(name, command)
            lines.append("# What [scan] sets applies here, too, unless it is set here.")
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
    """Return the default, or an example value of its kind."""
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
@click.argument("command", required=False, metavar="[COMMAND]", type=click.Choice(SETTABLE))
@click.option("--changed", is_flag=True, help="Leave out what has its default.")
@click.pass_context
def show(context: click.Context, *, command: str | None, changed: bool) -> ExitStatus:
    """List every setting with its value and where it comes from.

    COMMAND limits the list to one command.
    """
    from tagger.cli.console import Column, cell, console, plain_table

    settings = ConfigFile()
    table = plain_table(
        Column("Setting", no_wrap=True),
        Column("Value", overflow="fold"),
        Column("From", overflow="fold"),
    )
    for name in SETTABLE if command is None else (command,):
        rows = [row for row in _settings_of(context, settings, name) if row[2] or not changed]
        if rows:
            table.add_row(cell(f"[{name}]", "bold"))
        for long, value, source in rows:
            cells = (f"  {long}", _shown(value), source or "default")
            table.add_row(*(cell(text, "" if source else "dim") for text in cells))
    there = "" if settings.path.exists() else " (does not exist; gtag config init makes it)"
    click.echo(f"{printable(str(settings.path))}{there}\n")
    if table.row_count:
        console().print(table)
    else:
        click.echo("Every setting has its default.")
    return ExitStatus.OK


def _settings_of(
    parent: click.Context, settings: ConfigFile, name: str
) -> list[tuple[str, object, str]]:
    """Return each option of a command: its name, its value, and what set it."""
    from click.core import ParameterSource

    command = command_of(name)
    said = settings.values(name)
    context = click.Context(command, info_name=name, parent=parent)
    context.default_map = settings.default_map(name)
    rows = []
    for long, option in options_of(command).items():
        value, source = option.consume_value(context, {})
        context.set_parameter_source(str(option.name), source)
        by = ""
        if source is not ParameterSource.DEFAULT:
            value = option.type_cast_value(context, value)
        if source is ParameterSource.ENVIRONMENT:
            by = next((v for v in option.envvar or () if os.environ.get(v)), "environment")
        elif source is ParameterSource.DEFAULT_MAP:
            _, table, line = said[long]
            by = f"line {line}" + (f" of [{table}]" if table != name else "")
        rows.append((long, value, by))
    return rows


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "–"
    return str(value) if value != "" and isinstance(value, str | int | float) else "–"
