"""What a training tells whoever started it: lines of text, files left out, progress bars."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click
from tqdm import tqdm

from tagger.system.screen import printable


class Reporter:
    """Prints nothing: for callers that want the result only."""

    shown = False

    def tell(self, line: str) -> None:
        """Say what is done, or what is doubtful about it."""

    def leave_out(self, track: str, reason: str) -> None:
        """Name a file that cannot be learned from, and why."""

    def bar(self, items: Iterable[Any] | None = None, **options: Any) -> tqdm[Any]:
        """A progress bar, with the options of `tqdm`; shown where stderr is a terminal."""
        return tqdm(items, disable=None if self.shown else True, **options)


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
