"""The progress bar, on stderr and only where somebody looks at it.

It must not know what progresses.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from types import TracebackType
from typing import Any


class Progress:
    """Tracks done, tracks a second, time left.

    Parameters
    ----------
    shown : bool
        False shows nothing. Nor is anything shown where stderr is no terminal.
    count : callable
        Gives what will be done, to be counted beside the work: a walk through a large library
        takes a while, and nobody should wait for it.
    """

    def __init__(self, *, shown: bool, count: Callable[[], Iterable[object]]) -> None:
        from tqdm import tqdm

        self._bar: Any = tqdm(
            unit=" tracks",
            file=sys.stderr,
            disable=not (shown and sys.stderr.isatty()),
            dynamic_ncols=True,
            smoothing=0.1,
        )
        if not self._bar.disable:
            threading.Thread(target=self._count, args=(count,), daemon=True).start()

    def _count(self, count: Callable[[], Iterable[object]]) -> None:
        # Without a total there is no time left to show; whatever is wrong, the scan itself says.
        with suppress(Exception):
            self._bar.total = sum(1 for _ in count())
            self._bar.refresh()

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.close()
        if not self._bar.disable:
            print(file=sys.stderr)

    def step(self) -> None:
        self._bar.update()

    def say(self, line: str, *, to_stderr: bool = False) -> None:
        """Print a line above the bar."""
        stream = sys.stderr if to_stderr else sys.stdout
        self._bar.write(line, file=stream)
        stream.flush()
