"""What commands go by where the command line says nothing: environment, config.toml, gtag's own.

Options get their values by click's own means: names in the environment, and a map of defaults.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tagger.cli.names import ModelName
from tagger.errors import ConfigurationError
from tagger.suggest import did_you_mean

if TYPE_CHECKING:
    from tagger.files.toml_file import TomlFile

# The commands that have a table in the file.
SETTABLE = ("scan", "watch", "show", "review", "undo", "train", "evaluate")
# These take what [scan] says, where they have the same option and their own table says nothing.
AS_SCAN = ("watch", "show", "review", "undo")

# What must never be set once and forgotten.
_WRITES = ("write-tags", "force")
_OF_ONE_RUN = (
    *("dry-run", "list", "prune", "files-from", "null", "resume", "resume-report", "output"),
)


def config_path() -> Path:
    """The file, whether it is there or not."""
    from tagger.places import config_folder

    return config_folder() / "config.toml"


def options_of(command: click.Command) -> dict[str, click.Option]:
    """The options that can be set, by their names in the file: their long names."""
    return {
        name: option
        for option in command.params
        if isinstance(option, click.Option)
        and (name := _long_name(option)) not in (*_WRITES, *_OF_ONE_RUN)
    }


def _long_name(option: click.Option) -> str:
    return next(flag[2:] for flag in option.opts if flag.startswith("--"))


def variable(command: str, name: str) -> str:
    """What an option is called in the environment."""
    return f"GTAG_{command}_{name}".upper().replace("-", "_")


def with_environment(name: str, command: click.Command) -> click.Command:
    """The same command, its options known by names in the environment."""
    if name not in SETTABLE:
        return command
    known = copy.copy(command)
    known.params = [copy.copy(param) for param in command.params]
    shared = as_in_scan(name, known)
    for long, option in options_of(known).items():
        tables = (name, "scan") if long in shared else (name,)
        option.envvar = [variable(table, long) for table in tables]

    def get_help(context: click.Context) -> str:
        context.default_map = None  # help tells gtag's own defaults, also beside a broken file
        return type(known).get_help(known, context)

    known.get_help = get_help  # type: ignore[method-assign, assignment]
    return known


def as_in_scan(name: str, command: click.Command) -> frozenset[str]:
    """The options of a command that take what [scan] says, where nothing else says it."""
    if name not in AS_SCAN:
        return frozenset()
    from tagger.cli.scan import scan

    def kind(option: click.Option) -> tuple[object, ...]:
        return type(option.type), option.is_flag, option.count, option.multiple

    there, own = options_of(scan), options_of(command)
    return frozenset(n for n, o in own.items() if n in there and kind(o) == kind(there[n]))


class Settings:
    """What config.toml says.

    Parameters
    ----------
    root : click.Group
        The command line.
    """

    def __init__(self, root: click.Group) -> None:
        self._root = root
        self.path = config_path()

    @cached_property
    def _file(self) -> TomlFile | None:
        from tagger.files.toml_file import TomlFile

        return TomlFile(self.path) if os.path.lexists(self.path) else None

    def default_map(self) -> dict[str, Mapping[str, Any]]:
        """For click: tables that are read, and checked, when a first value is asked for."""
        return {name: _Table(self, name) for name in SETTABLE}

    def values(self, command: str) -> dict[str, tuple[Any, str, int | None]]:
        """What the file says of a command's options.

        Returns
        -------
        dict
            From long names to the value, the table, and the line where it stands.

        Raises
        ------
        ConfigurationError
            The file cannot be used, or the environment holds what belongs on the command line.
        """
        _refuse_in_environment(command)
        if self._file is None:
            return {}
        for table, said in self._file.data.items():
            if table not in SETTABLE or not isinstance(said, dict):
                hint = did_you_mean(table, SETTABLE) or f"there are: {', '.join(SETTABLE)}"
                if table in SETTABLE:
                    raise self._file.error(f"{table} has to be a table: [{table}]", table)
                raise self._file.error(f"no command has a table {table!r}", table, hint=hint)
        own = self._table(command)
        shared = as_in_scan(command, self.command(command))
        if not shared:
            return own
        return {n: said for n, said in self._table("scan").items() if n in shared} | own

    def command(self, name: str) -> click.Command:
        """A command by its name."""
        command = self._root.get_command(click.Context(self._root), name)
        assert command is not None, "a table for a command that is not there"
        return command

    def _table(self, command: str) -> dict[str, tuple[Any, str, int | None]]:
        file = self._file
        assert file is not None
        options = options_of(self.command(command))
        said: dict[str, tuple[Any, str, int | None]] = {}
        for name, value in file.data.get(command, {}).items():
            if name not in options:
                raise _not_settable(file, command, name, options)
            said[name] = (
                _checked(file, command, options[name], value),
                command,
                file.line(command, name),
            )
        return said


class _Table(Mapping[str, Any]):
    """A command's values by the names of its parameters."""

    def __init__(self, settings: Settings, command: str) -> None:
        self._settings, self._name = settings, command

    @cached_property
    def _values(self) -> dict[str, Any]:
        said = self._settings.values(self._name)
        return {str(self._options[long].name): value for long, (value, _, _) in said.items()}

    @cached_property
    def _options(self) -> dict[str, click.Option]:
        return options_of(self._settings.command(self._name))

    def __getitem__(self, name: str) -> Any:
        if all(option.name != name for option in self._options.values()):
            raise KeyError(name)  # --help is looked for here, too, and needs no file
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def _refuse_in_environment(command: str) -> None:
    for name in (*_WRITES, *_OF_ONE_RUN):
        if variable(command, name) in os.environ:
            raise ConfigurationError(
                f"{variable(command, name)} in the environment: {_why_not(name)}"
            )


def _why_not(name: str) -> str:
    if name in _WRITES:
        return f"gtag never writes unless the command line says so: give --{name} there"
    return f"--{name} belongs to one run: give it on the command line"


def _not_settable(
    file: TomlFile, command: str, name: str, options: Mapping[str, click.Option]
) -> ConfigurationError:
    if name in (*_WRITES, *_OF_ONE_RUN):
        return file.error(_why_not(name), command, name)
    near = did_you_mean(name.removeprefix("--").replace("_", "-"), options)
    hint = near or f"gtag {command} --help lists them"
    return file.error(f"gtag {command} has no option {name!r}", command, name, hint=hint)


def _checked(file: TomlFile, command: str, option: click.Option, value: Any) -> Any:
    """A value as click takes it from a default; paths are seen from the file's folder."""
    name = _long_name(option)
    if option.multiple:
        if not isinstance(value, list):
            raise file.error(f'{name} has to be a list: ["…"]', command, name)
        return [_checked_one(file, option, one, command, name, i) for i, one in enumerate(value)]
    return _checked_one(file, option, value, command, name)


def _checked_one(file: TomlFile, option: click.Option, value: Any, *at: str | int) -> Any:
    kind = option.type
    number = isinstance(kind, click.types.IntParamType | click.types.FloatParamType)
    name = _long_name(option)
    if option.is_flag:
        fits, wanted = isinstance(value, bool), "true or false"
    elif option.count or isinstance(kind, click.types.IntParamType):
        fits, wanted = type(value) is int, "a whole number"
    elif number:
        fits, wanted = type(value) in (int, float), "a number"
    else:
        fits, wanted = isinstance(value, str), 'a text in quotes: "…"'
    if not fits:
        raise file.error(f"{name} has to be {wanted}, not {value!r}", *at)
    if isinstance(kind, click.Path) or (isinstance(kind, ModelName) and os.sep in value):
        value = str(file.path.parent / Path(value).expanduser())
    if option.is_flag:
        return value
    try:
        kind.convert(value, option, None)
    except click.BadParameter as error:
        hint = None
        if isinstance(kind, click.Choice):
            hint = did_you_mean(value, map(str, kind.choices)) or None
        raise file.error(f"{name}: {error.message.rstrip('.')}", *at, hint=hint) from error
    return value
