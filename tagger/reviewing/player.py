"""Plays a few seconds of a track with an installed player."""

from __future__ import annotations

import os
import shutil
import subprocess

# Each program's options, to play 15 s. Paths are absolute, so that none begins with a dash or like
# an address; no shell is used.
PLAYERS = {
    "mpv": "--no-video --no-terminal --start={start} --length=15 -- {path}",
    "ffplay": "-nodisp -autoexit -loglevel quiet -ss {start} -t 15 -- {path}",
    "afplay": "-t 15 {path}",  # comes with macOS
}


class Player:
    """Plays one thing at a time, in the background."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def play(self, path: str, duration_s: float | None) -> bool:
        """Play from a third of a track on; False where there is no program for it."""
        self.stop()
        found = ((shutil.which(name), options) for name, options in PLAYERS.items())
        program, options = next((one for one in found if one[0]), (None, ""))
        if program is None:
            return False
        start, whole = int((duration_s or 0) / 3), os.path.abspath(path)  # noqa: PTH100
        try:
            self._process = subprocess.Popen(
                [program, *(o.format(start=start, path=whole) for o in options.split())],
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
