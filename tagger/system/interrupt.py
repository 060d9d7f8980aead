"""Ctrl-C, or SIGTERM, that waits for the file at hand; a second one stops at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupts:
    """Holds back the first Ctrl-C while something is under way.

    Use as a context manager around the whole work, and `held` around what must not be interrupted.
    Outside `held`, and at the second time, Ctrl-C raises KeyboardInterrupt as ever.

    Parameters
    ----------
    *signals : int
        Which signals; by default SIGINT alone.

    Attributes
    ----------
    count : int
        How many came.
    last : int or None
        The last of them.
    """

    def __init__(self, *signals: int) -> None:
        self.count = 0
        self.last: int | None = None
        self._is_held = False
        self._signals = signals or (signal.SIGINT,)
        self._before: dict[int, signal._HANDLER] = {}

    def __enter__(self) -> Interrupts:
        # Python lets only the main thread handle signals; elsewhere nothing is held back.
        if threading.current_thread() is threading.main_thread():
            self._before = {n: signal.signal(n, self._interrupt) for n in self._signals}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def held(self) -> Iterator[None]:
        self._is_held = True
        try:
            yield
        finally:
            self._is_held = False
        if self.count:
            raise KeyboardInterrupt

    def _interrupt(self, signum: int, frame: FrameType | None) -> None:
        self.count += 1
        self.last = signum
        if not self._is_held or self.count > 1:
            raise KeyboardInterrupt
