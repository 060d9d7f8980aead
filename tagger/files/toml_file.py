"""A TOML file that a person wrote: read, and every mistake in it named with its line."""

from __future__ import annotations

import re
import tomllib
from os import PathLike
from pathlib import Path
from typing import Any

from tagger.errors import ConfigurationError

Key = tuple[str | int, ...]


class TomlFile:
    """An open file.

    Parameters
    ----------
    path : path-like

    Attributes
    ----------
    data : dict
        As `tomllib` reads it.

    Raises
    ------
    ConfigurationError
        It cannot be read, or is no TOML.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self.path = Path(path)
        try:
            self._text = self.path.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            raise ConfigurationError(
                "is not UTF-8 text", path=path, hint="save it as UTF-8"
            ) from error
        except (OSError, ValueError) as error:
            raise ConfigurationError.of_system(error, path) from error
        try:
            self.data: dict[str, Any] = tomllib.loads(self._text)
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            said = str(error) or "too deep"
            place = re.fullmatch(r"(.*) \(at (?:line (\d+), column \d+|end of document)\)", said)
            if place is None:
                raise ConfigurationError(f"is not valid TOML: {said}", path=path) from error
            line = int(place[2] or len(self._text.splitlines()) or 1)
            raise ConfigurationError(f"line {line}: invalid TOML: {place[1]}", path=path) from error

    def error(self, message: str, *key: str | int, hint: str | None = None) -> ConfigurationError:
        """What to raise of a key, or of a value in a list, which the last number counts."""
        line = self.line(*key)
        said = message if line is None else f"line {line}: {message}"
        return ConfigurationError(said, path=self.path, hint=hint)

    def line(self, *key: str | int) -> int | None:
        """Where a key stands, or else what it stands in; from 1."""
        lines = key_lines(self._text)
        return next((lines[key[:n]] for n in range(len(key), 0, -1) if key[:n] in lines), None)


def key_lines(text: str) -> dict[Key, int]:
    """The line of every key of a valid TOML text, and of every value of its lists.

    A statement ends where what has been gathered so far is TOML by itself.

    >>> key_lines('a = 1\\n[b]\\nc = [\\n  "x",\\n]\\n')
    {('a',): 1, ('b',): 2, ('b', 'c'): 3, ('b', 'c', 0): 4}
    """
    found: dict[Key, int] = {}
    table: Key = ()
    statement: list[str] = []
    for number, line in enumerate(re.split(r"\r?\n", text), 1):
        statement.append(line)
        try:
            parsed = tomllib.loads("\n".join(statement))
        except tomllib.TOMLDecodeError:
            continue
        first = number - len(statement) + 1
        if parsed and statement[0].lstrip().startswith("["):
            table = ()
            while parsed:
                (name, inner), *_ = parsed.items()
                table, parsed = (*table, name), inner[-1] if isinstance(inner, list) else inner
                found.setdefault(table, first)
        else:
            _note(found, table, parsed, statement, first)
        statement = []
    return found


def _note(
    found: dict[Key, int], prefix: Key, value: object, statement: list[str], first: int
) -> None:
    if isinstance(value, dict):
        for name, inner in value.items():
            found.setdefault((*prefix, name), first)
            _note(found, (*prefix, name), inner, statement, first)
    elif isinstance(value, list):
        at = 0
        for i, item in enumerate(value):
            at = next((n for n in range(at, len(statement)) if str(item) in statement[n]), at)
            found[(*prefix, i)] = first + at
