"""A TOML file that a person wrote: read, and every mistake in it named with its line."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any

from tagger.system.errors import ConfigurationError
from tagger.system.regular import read_regular

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
            self._text = read_regular(self.path).decode("utf-8-sig").replace("\r\n", "\n")
        except UnicodeDecodeError as error:
            raise ConfigurationError(
                "is not UTF-8 text", path=path, hint="save it as UTF-8"
            ) from error
        except (OSError, ValueError) as error:
            raise ConfigurationError.of_system(error, path) from error
        try:
            self.data: dict[str, Any] = tomllib.loads(self._text)
        except RecursionError as error:
            raise ConfigurationError("is not valid TOML: too deep", path=path) from error
        except ValueError as error:
            if not isinstance(error, tomllib.TOMLDecodeError):  # Python's limit for numbers
                raise ConfigurationError(
                    "is not valid TOML: a number has thousands of digits", path=path
                ) from error
            said = str(error)
            place = re.fullmatch(r"(.*) \(at (?:line (\d+), column \d+|end of document)\)", said)
            if place is None:
                raise ConfigurationError(f"is not valid TOML: {said}", path=path) from error
            line = int(place[2] or len(self._text.splitlines()) or 1)
            raise ConfigurationError(f"line {line}: invalid TOML: {place[1]}", path=path) from error

    def error(self, message: str, *key: str | int, hint: str | None = None) -> ConfigurationError:
        """Return the error of a key, or of a value in a list, which the last number counts."""
        line = self.line(*key)
        said = message if line is None else f"line {line}: {message}"
        return ConfigurationError(said, path=self.path, hint=hint)

    def line(self, *key: str | int) -> int | None:
        """Return the line of a key or of its table; from 1."""
        lines = self._lines
        return next((lines[key[:n]] for n in range(len(key), 0, -1) if key[:n] in lines), None)

    @cached_property
    def _lines(self) -> dict[Key, int]:
        return key_lines(self._text)


def key_lines(text: str) -> dict[Key, int]:
    """Return the line of every key of a valid TOML text, and of every value of its lists.

    Each line is looked at once: a statement ends with the line outside of strings and brackets.

    >>> key_lines('a = 1\\n[b]\\nc = [\\n  "x",\\n]\\n')
    {('a',): 1, ('b',): 2, ('b', 'c'): 3, ('b', 'c', 0): 4}
    """
    found: dict[Key, int] = {}
    table: Key = ()
    for first, text_of_it in _statements(text):
        statement = text_of_it.split("\n")
        parsed = tomllib.loads(text_of_it)
        if parsed and statement[0].lstrip().startswith("["):
            table = ()
            while parsed:
                (name, inner), *_ = parsed.items()
                table, parsed = (*table, name), inner[-1] if isinstance(inner, list) else inner
                found.setdefault(table, first)
        else:
            _note(found, table, parsed, statement, first)
    return found


# What may hide a line end or a bracket, and these themselves.
_TOKEN = re.compile(
    r'''"""(?:\\.|[^\\])*?"{3,5}|\'{3}.*?\'{3,5}|"(?:\\.|[^"\\\n])*"|'[^'\n]*'|#[^\n]*|[\[\]{}\n]''',
    re.DOTALL,
)


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Yield the statements of a valid TOML text, with the line where each begins."""
    start, line, first, depth = 0, 1, 1, 0
    for token in _TOKEN.finditer(text):
        found = token[0]
        line += found.count("\n")
        if found in "[{":
            depth += 1
        elif found in "]}":
            depth -= 1
        elif found == "\n" and depth == 0:
            yield first, text[start : token.start()]
            start, first = token.end(), line
    yield first, text[start:]


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
