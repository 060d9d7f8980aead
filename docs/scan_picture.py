"""Makes the README's picture: runs a real scan in a real pseudo-terminal and draws what it shows.

python docs/scan_picture.py FOLDER [SCAN OPTION ...]
"""

from __future__ import annotations

import io
import os
import pty
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

WIDTH = 84
PICTURE = Path(__file__).with_name("scan.svg")


def output_of(arguments: list[str]) -> str:
    """What a command prints on a terminal, colours included."""
    os.environ |= {"COLUMNS": str(WIDTH), "TERM": "xterm-256color"}
    child, terminal = pty.fork()
    if child == 0:
        os.execvp(arguments[0], arguments)
    printed = b""
    while True:
        try:
            block = os.read(terminal, 4096)
        except OSError:  # Linux's way to say that the other end is closed
            block = b""
        if not block:
            break
        printed += block
    os.waitpid(child, 0)
    return printed.decode()


def main() -> None:
    folder, *options = sys.argv[1:]
    shown = ["gtag", "scan", "~/Music", *options]
    printed = output_of([sys.executable, "-m", "tagger", "scan", folder, *options])
    # A carriage return begins the progress bar anew: what stood there is gone.
    lines = [line.rpartition("\r")[2] for line in printed.replace("\r\n", "\n").split("\n")]
    console = Console(record=True, width=WIDTH, file=io.StringIO())
    console.print(Text.assemble(("$ ", "bold green"), " ".join(shown)))
    console.print(Text.from_ansi("\n".join(lines).rstrip()))
    PICTURE.write_text(console.export_svg(title="gtag"), encoding="utf-8")


if __name__ == "__main__":
    main()
