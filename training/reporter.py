"""What a training tells whoever started it: lines, files left out, progress bars, errors."""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Iterable
from typing import Any

import click
from tqdm import tqdm

from tagger.system.errors import GtagError
from tagger.system.screen import printable

EVERY_S = 10.0  # between lines of progress, where stderr is no terminal
LINE = "{desc}: {n_fmt} of {total_fmt} {unit}, {elapsed} so far, {remaining} to go"


class Lines(tqdm):  # type: ignore[type-arg]
    """Progress as a line every `EVERY_S` seconds, also while nothing moves: for logs."""

    def __init__(self, items: Iterable[Any] | None = None, **options: Any) -> None:
        self._ended = threading.Event()
        super().__init__(items, file=io.StringIO(), bar_format=LINE, **options)
        threading.Thread(target=self._tell, daemon=True).start()

    def _tell(self) -> None:
        while not self._ended.wait(EVERY_S):
            click.echo(str(self).strip(": "), err=True)

    def close(self) -> None:
        self._ended.set()
        super().close()


class Reporter:
    """Prints nothing: for callers that want the result only."""

    shown = False

    def tell(self, line: str) -> None:
        """Say what is done, or what is doubtful about it."""

    def leave_out(self, track: str, reason: str) -> None:
        """Name a file that cannot be learned from, and why."""

    def bar(self, items: Iterable[Any] | None = None, **options: Any) -> tqdm[Any]:
        """Return a progress bar, with the options of `tqdm`; lines where stderr is no terminal."""
        if self.shown and not sys.stderr.isatty():
            return Lines(items, **options)
        return tqdm(items, disable=not self.shown, **options)


class TerminalReporter(Reporter):
    """Prints to stderr, with names made safe to print.

    Attributes
    ----------
    left_out : bool
        Whether any file was left out.
    """

    shown = True

    def __init__(self) -> None:
        self.left_out = False

    def tell(self, line: str) -> None:
        click.echo(printable(line), err=True)

    def leave_out(self, track: str, reason: str) -> None:
        self.left_out = True
        self.tell(f"left out: {track}: {reason}")


SILENT = Reporter()


class Tool(click.Command):
    """A command of `python -m`, which says what is wrong in a line."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except GtagError as error:
            raise click.ClickException(str(error)) from error
