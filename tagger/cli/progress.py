"""The progress bar, on stderr and only in a terminal."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tagger.pipeline.road import TrackResult


class Progress:
    """Tracks done, tracks per second, time left.

    Parameters
    ----------
    shown : bool
        Whether to show a bar, where stderr is a terminal.
    before : str
        Shown in place of the bar until the first track is done.
    """

    def __init__(self, *, shown: bool, before: str = "") -> None:
        self._begun = False
        self._bar: Any = None
        if shown and sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = tqdm(
                desc=before,
                bar_format="{desc}",
                unit=" tracks",
                file=sys.stderr,
                dynamic_ncols=True,
                smoothing=0.1,
                leave=False,
            )

    def expect(self, tracks: Callable[[], Iterable[object]]) -> None:
        """Count the tracks in a thread: walking a large library takes a while."""
        if self._bar is not None:
            self._bar.unpause()  # what came before says nothing of tracks a second
            threading.Thread(target=self._count, args=(tracks,), daemon=True).start()

    def _count(self, tracks: Callable[[], Iterable[object]]) -> None:
        # Without a total the bar shows no time left; the scan itself reports errors.
        with suppress(Exception):
            self._bar.total = sum(1 for _ in tracks())
            self._bar.refresh()

    def close(self) -> None:
        if self._bar is None:
            return
        self._bar.close()
        if self._begun:
            print(file=sys.stderr)

    def step(self, result: TrackResult) -> None:
        """Count a track; not a part of one, which a cue sheet names."""
        from tagger.deciding.decide import Status

        if self._bar is None or result.status is Status.CUE_TRACK:
            return
        if not self._begun:
            self._begun = self._bar.leave = True
            self._bar.bar_format = None
            self._bar.set_description_str("", refresh=False)
        self._bar.update()

    def say(self, line: str, *, err: bool = False) -> None:
        """Print a line above the bar."""
        stream = sys.stderr if err else sys.stdout
        if self._bar is None:
            stream.write(f"{line}\n")
        else:
            self._bar.write(line, file=stream)
        stream.flush()
