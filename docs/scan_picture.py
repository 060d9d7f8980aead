"""Makes the README's picture: runs a real scan in a real pseudo-terminal and draws what it shows.

python docs/scan_picture.py FOLDER [SCAN OPTION ...]
"""

from __future__ import annotations

import fcntl
import io
import os
import pty
import struct
import subprocess
import sys
import termios
from pathlib import Path

from rich.console import Console
from rich.text import Text

WIDTH = 84
PICTURE = Path(__file__).with_name("scan.svg")


def output_of(arguments: list[str], folder: Path) -> str:
    """Return what a command prints on a terminal, with colours, run in a folder."""
    terminal, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, WIDTH, 0, 0))
    environment = os.environ | {"TERM": "xterm-256color"}
    command = subprocess.Popen(arguments, stdout=theirs, stderr=theirs, env=environment, cwd=folder)
    os.close(theirs)
    printed = b""
    while True:
        try:
            block = os.read(terminal, 4096)
        except OSError:  # Linux's way to say that the other end is closed
            block = b""
        if not block:
            break
        printed += block
    command.wait()
    return printed.decode()


def main() -> None:
    folder, options = Path(sys.argv[1]).resolve(), sys.argv[2:]
    # From the folder above, so that no line is as long as the path on this machine makes it.
    shown = ["scan", folder.name, *options]
    printed = output_of([sys.executable, "-m", "tagger", *shown], folder.parent)
    # A carriage return begins the progress bar anew: what stood there is gone.
    lines = [line.rstrip("\r").rpartition("\r")[2] for line in printed.split("\n")]
    console = Console(record=True, width=WIDTH, file=io.StringIO())
    console.print(Text.assemble(("$ ", "bold green"), " ".join(("gtag", *shown))))
    console.print(Text.from_ansi("\n".join(lines).rstrip()))
    PICTURE.write_text(console.export_svg(title="gtag"), encoding="utf-8")


if __name__ == "__main__":
    main()
