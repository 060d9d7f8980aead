"""How commands print tables: plain, at most 80 columns wide, nothing in names taken as markup."""

from __future__ import annotations

import sys
from typing import TextIO

from rich.console import Console
from rich.table import Column as Column
from rich.table import Table
from rich.text import Text

from tagger.system.screen import printable

WIDTH = 80


def console(file: TextIO | None = None, *, widest: int | None = WIDTH) -> Console:
    """Return a console on stdout or another stream, as wide as the terminal up to `widest`."""
    made = Console(file=file or sys.stdout, highlight=False, emoji=False, markup=False)
    made.width = min(made.width, widest or made.width)
    return made


def plain_table(*columns: Column | str, header: bool = True) -> Table:
    """Return a table without lines."""
    return Table(*columns, box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=header)


def cell(text: str, style: str = "") -> Text:
    """Return a cell of a table with other people's text."""
    return Text(printable(text), style)


def bar(console: Console, share: float, width: int) -> str:
    """Draw a share, from 0 to 1, as a bar; in plain ASCII where nothing else can be shown."""
    block = "━" if console.encoding.lower().startswith("utf") else "="
    return block * round(width * share)


def clock(seconds: float) -> str:
    """Format a time of a track, as 4:05."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"
