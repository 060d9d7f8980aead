"""Plays a few seconds of a track, with a program that is there for it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable

SECONDS = 15

# Each program's options: from where, and which file. Paths are absolute, so that none begins with
# a dash or like an address; no shell is asked.
PLAYERS: dict[str, Callable[[int, str], list[str]]] = {
    "mpv": lambda start, path: [
        *("--no-video", "--no-terminal", f"--start={start}", f"--length={SECONDS}", "--", path),
    ],
    "ffplay": lambda start, path: [
        *("-nodisp", "-autoexit", "-loglevel", "quiet", "-ss", str(start), "-t", str(SECONDS)),
        *("--", path),
    ],
    "afplay": lambda start, path: ["-t", str(SECONDS), path],  # comes with macOS
}


class Player:
    """Plays one thing at a time, in the background."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def play(self, path: str, duration_s: float | None) -> bool:
        """Play from a third of a track on; False where no program is there for it."""
        self.stop()
        found = ((shutil.which(name), options) for name, options in PLAYERS.items())
        program, options = next((one for one in found if one[0]), (None, None))
        if program is None or options is None:
            return False
        start = int((duration_s or 0) / 3)
        try:
            self._process = subprocess.Popen(
                [program, *options(start, os.path.abspath(path))],  # noqa: PTH100
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        except OSError:
            return False
        return True

    def stop(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
