"""A deadline for what is read from a file's tags, as there is one for its sound.

The bounds keep true and hostile files far below it; what they cannot know is a disk that does not
answer, or a reader that loops. Python offers one clock that ends both: it needs the main thread of
a POSIX system, and no other user. Elsewhere there are only the bounds.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tagger.containers.parts import BrokenTagError

DEADLINE_S = 60.0


class _PassedError(BaseException):
    """Not an Exception: whoever handles the errors of hostile bytes must let it through."""


@contextmanager
def deadline() -> Iterator[None]:
    """Raise BrokenTagError where what is done meanwhile takes longer than `DEADLINE_S`."""
    if not _is_free():
        yield
        return

    def passed(*_: object) -> None:
        raise _PassedError

    seconds = DEADLINE_S
    old = signal.signal(signal.SIGALRM, passed)
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except _PassedError as error:
        raise BrokenTagError(f"not done after {seconds:g} s") from error
    finally:
        signal.signal(signal.SIGALRM, old)


def _is_free() -> bool:
    """Whether nobody else, no outer deadline either, waits for the clock."""
    return (
        hasattr(signal, "setitimer")
        and threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGALRM) is signal.SIG_DFL
        and signal.getitimer(signal.ITIMER_REAL)[0] == 0
    )
