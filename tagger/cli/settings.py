"""Defaults of options: from the environment, then config.toml, then gtag's own.

They reach the options by click's `envvar` and `default_map`.
"""

from __future__ import annotations

import copy
import os
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from tagger.cli.names import ModelName
from tagger.system.errors import ConfigurationError
from tagger.system.suggest import did_you_mean

if TYPE_CHECKING:
    from tagger.system.toml_file import TomlFile

# The commands that have a table in the file.
SETTABLE = (
    "scan",
    "audit",
    "watch",
    "show",
    "review",
    "apply",
    "tidy",
    "undo",
    "train",
    "evaluate",
)
# These take what [scan] says, where they have the same option and their own table says nothing.
AS_SCAN = ("audit", "watch", "show", "review", "apply", "tidy", "undo")
_OWN_FILES = ("report", "html")  # a scan's would be overwritten

_ONE_RUN = "--{0} belongs to one run: give it on the command line"
# Only one of two has a value: the one that is said nearer to the command line.
_EXCLUDE_EACH_OTHER = ("min-confidence", "aim")
# What cannot be set, and why not.
_NOT_SETTABLE = {
    **dict.fromkeys(
        ("write-tags", "force"),
        "gtag never writes unless the command line says so: give --{0} there",
    ),
    **dict.fromkeys(("dry-run", "list", "prune", "files-from", "null"), _ONE_RUN),
    "trust": "--{0} is said of one journal: give it on the command line",
    **dict.fromkeys(("resume", "resume-report", "output"), _ONE_RUN),
}


def config_path() -> Path:
    """Return the path of config.toml, whether it is there or not."""
    from tagger.system.places import config_folder

    return config_folder() / "config.toml"


def command_of(name: str) -> click.Command:
    """Return a command of gtag, by its name, while one runs."""
    root = click.get_current_context().find_root()
    assert isinstance(root.command, click.Group), "no command of gtag runs"
    command = root.command.get_command(root, name)
    assert command is not None, f"there is no command {name}"
    return command


def options_of(command: click.Command) -> dict[str, click.Option]:
    """Return the options that can be set, by their names in the file: their long names."""
    options = {_long_name(o): o for o in command.params if isinstance(o, click.Option)}
    return {name: option for name, option in options.items() if name not in _NOT_SETTABLE}


def _long_name(option: click.Option) -> str:
    return next(flag[2:] for flag in option.opts if flag.startswith("--"))


def variable(command: str, name: str) -> str:
    """Return the name of an option's environment variable."""
    return f"GTAG_{command}_{name}".upper().replace("-", "_")


def with_settings(name: str, command: click.Command) -> click.Command:
    """Return a command whose options have their defaults from the environment and config.toml."""
    if name not in SETTABLE:
        return command
    known = copy.copy(command)
    known.params = [copy.copy(param) for param in command.params]
    shared = as_in_scan(name, known)
    for long, option in options_of(known).items():
        tables = (name, "scan") if long in shared else (name,)
        option.envvar = [variable(table, long) for table in tables]

    def parse_args(context: click.Context, args: list[str]) -> list[str]:
        parse = partial(type(known).parse_args, known, context)
        if not context.resilient_parsing:
            if not set(context.help_option_names).isdisjoint(args):
                parse([*args])  # prints the help, beside a broken file, too, and ends
            context.default_map = ConfigFile().default_map(name)
        left = parse(args)
        _settle(context, known)
        return left

    known.parse_args = parse_args  # type: ignore[method-assign, assignment]
    return known


def _settle(context: click.Context, command: click.Command) -> None:
    """Drop, of options that exclude each other, those that others nearer to the command line beat.

    Raises
    ------
    UsageError
        Two were said in one place.
    """
    options = options_of(command)
    said = {
        long: context.get_parameter_source(str(options[long].name))
        for long in _EXCLUDE_EACH_OTHER
        if long in options and context.params.get(str(options[long].name)) is not None
    }
    if len(said) < 2:
        return
    if len({*said.values()}) == 1:
        both = " and ".join(f"--{long}" for long in said)
        raise click.UsageError(f"{both} exclude each other: say one of them.")
    sources = (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT)
    nearest = next(source for source in sources if source in said.values())
    for long, source in said.items():
        if source is not nearest:
            context.params[str(options[long].name)] = None


def as_in_scan(name: str, command: click.Command) -> frozenset[str]:
    """Return the options of a command that take what [scan] says, where nothing else says it."""
    if name not in AS_SCAN:
        return frozenset()
    from tagger.cli.scan import scan

    def kind(option: click.Option) -> tuple[object, ...]:
        return type(option.type), option.is_flag, option.count, option.multiple

    there, own = options_of(scan), options_of(command)
    shared = (n for n, o in own.items() if n in there and kind(o) == kind(there[n]))
    return frozenset(shared) - {*_OWN_FILES}


def scan_defaults() -> dict[str, Any]:
    """Return the options of `gtag scan` as settings and gtag's defaults have them."""
    root = click.get_current_context().find_root()
    return command_of("scan").make_context("scan", ["."], parent=root).params


class ConfigFile:
    """What config.toml says, read when a value is first asked for."""

    @property
    def path(self) -> Path:
        return config_path()

    @cached_property
    def _file(self) -> TomlFile | None:
        from tagger.system.places import if_there_is_one
        from tagger.system.toml_file import TomlFile

        path = if_there_is_one(config_path)
        return TomlFile(path) if path and os.path.lexists(path) else None

    def default_map(self, command: str) -> dict[str, object]:
        """Return a command's values by the names of its parameters, for click."""
        options = options_of(command_of(command))
        return {str(options[n].name): value for n, (value, _, _) in self.values(command).items()}

    def values(self, command: str) -> dict[str, tuple[object, str, int | None]]:
        """Return the values that the file has for a command's options.

        Returns
        -------
        dict
            From long names to the value, the table, and the line where it stands.

        Raises
        ------
        ConfigurationError
            The file cannot be used, or the environment holds what belongs on the command line.
        """
        for name, why in _NOT_SETTABLE.items():
            if (named := variable(command, name)) in os.environ:
                raise ConfigurationError(f"{named} in the environment: {why.format(name)}")
        if self._file is None:
            return {}
        for table, said in self._file.data.items():
            if table not in SETTABLE:
                hint = did_you_mean(table, SETTABLE) or f"there are: {', '.join(SETTABLE)}"
                raise self._file.error(f"no command has a table {table!r}", table, hint=hint)
            if not isinstance(said, dict):
                raise self._file.error(f"{table} has to be a table: [{table}]", table)
        own = _table(self._file, command)
        shared = as_in_scan(command, command_of(command))
        if not shared:
            return own
        beaten = {*own, *(_EXCLUDE_EACH_OTHER if own.keys() & {*_EXCLUDE_EACH_OTHER} else ())}
        general = _table(self._file, "scan").items()
        return {n: said for n, said in general if n in shared and n not in beaten} | own


def _table(file: TomlFile, command: str) -> dict[str, tuple[object, str, int | None]]:
    """Return a command's own table, as `ConfigFile.values` gives it."""
    options = options_of(command_of(command))
    said: dict[str, tuple[object, str, int | None]] = {}
    for name, value in file.data.get(command, {}).items():
        if name in _NOT_SETTABLE:
            raise file.error(_NOT_SETTABLE[name].format(name), command, name)
        if name not in options:
            near = did_you_mean(name.removeprefix("--").replace("_", "-"), options)
            hint = near or f"gtag {command} --help lists them"
            raise file.error(f"gtag {command} has no option {name!r}", command, name, hint=hint)
        said[name] = (
            _checked(file, options[name], value, command, name),
            command,
            file.line(command, name),
        )
    return said


def _checked(file: TomlFile, option: click.Option, value: object, *at: str | int) -> object:
    """Return a value as click takes it; relative paths start at the file's folder."""
    if not option.multiple:
        return _checked_one(file, option, value, *at)
    if not isinstance(value, list):
        raise file.error(f'{_long_name(option)} has to be a list: ["…"]', *at)
    return [_checked_one(file, option, one, *at, i) for i, one in enumerate(value)]


def _checked_one(file: TomlFile, option: click.Option, value: object, *at: str | int) -> object:
    kind, name = option.type, _long_name(option)
    fitting: tuple[type, ...] = (str,)
    wanted = 'a text in quotes: "…"'
    if option.is_flag:
        fitting, wanted = (bool,), "true or false"
    elif option.count or isinstance(kind, click.types.IntParamType):
        fitting, wanted = (int,), "a whole number"
    elif isinstance(kind, click.types.FloatParamType):
        fitting, wanted = (int, float), "a number"
    if type(value) not in fitting:  # not isinstance: true is no number
        raise file.error(f"{name} has to be {wanted}, not {value!r}", *at)
    if isinstance(value, str) and "\0" in value:
        raise file.error(f"{name} holds a NUL character", *at)
    is_path = isinstance(kind, click.Path) or (isinstance(kind, ModelName) and os.sep in str(value))
    if isinstance(value, str) and is_path:
        try:
            value = str(file.path.parent / Path(value).expanduser())
        except RuntimeError as error:
            raise file.error(f"{name}: nobody knows whose home ~ is in {value!r}", *at) from error
    try:
        kind.convert(value, option, None)
    except click.BadParameter as error:
        choices = kind.choices if isinstance(kind, click.Choice) else ()
        near = did_you_mean(str(value), map(str, choices))
        message = f"{name}: {error.message.rstrip('.')}"
        raise file.error(message, *at, hint=near or None) from error
    return value
