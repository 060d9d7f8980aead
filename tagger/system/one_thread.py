"""Keeps linear algebra to one thread while a track is classified.

The matrices are small: OpenBLAS would start a thread a core for each of them, and where another
process has those cores, wait for them: up to 100 ms a track. Workers get the limit from their
environment.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import Any

_lock = Lock()
_inside = 0  # threads and nested calls that want the limit now
_limit: Any = None


@contextmanager
def one_thread() -> Iterator[None]:
    """Within it, and in functions that it decorates, numpy's matrix products take one thread.

    The limit holds for the whole process, and is lifted when the last of several leaves.
    """
    global _inside, _limit
    with _lock:
        if _inside == 0:
            _limit = _libraries().limit(limits=1)
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                _limit.restore_original_limits()


@cache
def _libraries() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")
