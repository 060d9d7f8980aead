"""How commands print tables: plain, at most 80 columns wide, nothing in names taken as markup.

It must not know what is in the tables.
"""

from __future__ import annotations

import sys
from typing import TextIO

from rich.console import Console

WIDTH = 80


def console(file: TextIO | None = None) -> Console:
    """A console on stdout or another stream, as wide as the terminal, but not above `WIDTH`."""
    made = Console(file=file or sys.stdout, highlight=False, emoji=False, markup=False)
    made.width = min(made.width, WIDTH)
    return made


def can_draw(console: Console) -> bool:
    """Whether bars and lines of block characters come out as such."""
    return console.encoding.lower().startswith("utf")
