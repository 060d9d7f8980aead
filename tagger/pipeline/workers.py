"""Applies a function to items in worker processes, in order, also when workers crash.

Native code on hostile files may crash its process or never return. Then only that item is lost:
the items in flight are retried one at a time until the faulty one is found.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any, Generic, TypeVar

from tagger.system.errors import ResourceError
from tagger.system.exhausted import what_ran_out
from tagger.system.logs import debugging, log_on_stderr

Item = TypeVar("Item")
Result = TypeVar("Result")

# Items in flight for each worker: enough that none waits behind a slow item, few enough that memory
# does not grow with the number of items.
IN_FLIGHT_PER_WORKER = 4
# Results without work that wait behind an item in flight.
_MOST_WAITING = 1000
# Idle workers end; new ones are started when there is work again.
_IDLE_S = 60.0
# One process a core uses all cores: libraries must not start threads of their own.
_ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"
)


@dataclass(frozen=True)
class Lost:
    """The result of an item that ended its worker.

    Attributes
    ----------
    took_s : float
        Until the worker ended, with this item alone.
    deadline_s : float
    """

    took_s: float
    deadline_s: float

    @property
    def late(self) -> bool:
        """Whether the worker was ended at the deadline, rather than by a crash."""
        return self.took_s >= self.deadline_s

    @property
    def reason(self) -> str:
        if self.late:
            return f"decoding timed out after {self.deadline_s:g} s"
        return "the decoder crashed on it"


def map_in_workers(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    jobs: int,
    deadline_s: float,
    ready: Callable[[Item], Result | None] = lambda item: None,
) -> Iterator[tuple[Item, Result | Lost]]:
    """Yield every item with its result, in the order of the items.

    Parameters
    ----------
    function : callable
        Must be picklable, and must not raise.
    items : iterable
        Read only as far ahead as the workers need.
    jobs : int
        Number of worker processes.
    deadline_s : float
        For one item. A worker that needs longer is ended.
    ready : callable, optional
        The result of an item if it needs no work, else None.
    """
    # loky warns on stderr about workers that it replaces, which is expected here.
    warnings.filterwarnings("ignore", module="loky")
    task = partial(with_deadline, function, deadline_s)
    window: Window[Item] = Window(items, ready)
    pool = _Pool(jobs)

    def submit(item: Item) -> Future[Any]:
        return pool.submit(task, item)

    def has_room(at_work: int) -> bool:
        return at_work < jobs * IN_FLIGHT_PER_WORKER and not pool.broken

    try:
        while True:
            yield from window.fill(submit, has_room)
            if not window.waiting:
                return
            try:
                result: Result | Lost = window.waiting[0].future.result()
            except BrokenProcessPool:
                pool.kill()
                _try_again(task, window.waiting, deadline_s)
                pool = _Pool(jobs)
                for unfinished in window.waiting:
                    if unfinished.is_lost:
                        unfinished.future = pool.submit(task, unfinished.item)
                continue
            yield window.pop().item, result
    except BaseException:
        pool.kill()
        raise
    finally:
        pool.close()


def _done(result: Result) -> Future[Result]:
    future: Future[Result] = Future()
    future.set_result(result)
    return future


@dataclass
class InFlight(Generic[Item]):
    """An item whose result is not yielded yet, and what its submission returned."""

    item: Item
    future: Any
    was_ready: bool = False

    @property
    def is_lost(self) -> bool:
        is_done: bool = self.future.done()
        return is_done and isinstance(self.future.exception(), BrokenProcessPool)


class Window(Generic[Item]):
    """Items in flight, in their order. `ready` gives the results of those that need no work."""

    def __init__(self, items: Iterable[Item], ready: Callable[[Item], Any]) -> None:
        self._source, self._ready = iter(items), ready
        self._at_work = 0  # of `waiting`
        self.waiting: deque[InFlight[Item]] = deque()

    def fill(
        self, submit: Callable[[Item], Any], has_room: Callable[[int], bool]
    ) -> Iterator[tuple[Item, Any]]:
        """Read more items; yield those at once that are ready and have no other before them.

        Parameters
        ----------
        submit : callable
            Starts the work on an item and returns its future.
        has_room : callable
            Whether another item may be submitted when this many are at work.
        """
        while has_room(self._at_work) and len(self.waiting) < _MOST_WAITING:
            try:
                item = next(self._source)
            except StopIteration:
                return
            result = self._ready(item)
            if result is None:
                self.waiting.append(InFlight(item, submit(item)))
                self._at_work += 1
            elif self.waiting:
                self.waiting.append(InFlight(item, _done(result), was_ready=True))
            else:
                yield item, result

    def pop(self) -> InFlight[Item]:
        """Remove the first."""
        first = self.waiting.popleft()
        self._at_work -= not first.was_ready
        return first


def _try_again(
    task: Callable[[Item], Result], waiting: Iterable[InFlight[Item]], deadline_s: float
) -> None:
    """Retry lost items one at a time in a worker of their own, until the faulty one is found."""
    pool = _Pool(1)
    try:
        for suspect in waiting:
            if not suspect.is_lost:
                continue
            pool.warm_up()
            started = time.monotonic()
            future = pool.submit(task, suspect.item)
            if isinstance(future.exception(), BrokenProcessPool):
                suspect.future = _done(Lost(time.monotonic() - started, deadline_s))
                return
            suspect.future = future
    except BaseException:
        pool.kill()
        raise
    finally:
        pool.close()


class _Pool:
    """loky's executor; its workers print nothing, ignore Ctrl-C, and end with their parent."""

    def __init__(self, jobs: int) -> None:
        from loky import ProcessPoolExecutor  # a scan of one file needs no workers

        self.broken = False
        # Workers hold one end of a pipe and exit when the other closes, also if the parent dies.
        self._workers_end, self._lifeline = Pipe(duplex=False)
        try:
            self._executor = ProcessPoolExecutor(
                jobs,
                timeout=_IDLE_S,
                initializer=_start,
                initargs=(self._workers_end,),
                env=_ONE_THREAD,
            )
        except OSError as error:  # no semaphores: /dev/shm is read-only or full, as in containers
            self._lifeline.close()
            self._workers_end.close()
            raise what_ran_out(error) or ResourceError(
                f"worker processes cannot be started: {error.strerror or error}",
                hint="use --jobs 1, or make /dev/shm writable",
            ) from error

    def submit(self, task: Callable[[Item], Result], item: Item) -> Future[Result]:
        try:
            # Workers are started here and inherit the blocked signal, so that Ctrl-C, which the
            # terminal sends to the whole group, cannot reach one before it ignores it.
            with _interrupts_blocked():
                return self._executor.submit(task, item)
        except BrokenProcessPool as error:
            self.broken = True
            lost: Future[Result] = Future()
            lost.set_exception(error)
            return lost

    def warm_up(self) -> None:
        """Wait until the worker has started, so that its start does not count as an item's time.

        Raises
        ------
        ResourceError
            It cannot start.
        """
        if self.submit(abs, 0).exception() is not None:
            raise ResourceError(
                "worker processes cannot be started",
                hint="use --jobs 1; memory, open files or processes may be short",
            )

    def kill(self) -> None:
        self._lifeline.close()
        self.close()

    def close(self) -> None:
        self._executor.shutdown(wait=True)
        self._lifeline.close()
        self._workers_end.close()


@contextlib.contextmanager
def _interrupts_blocked() -> Iterator[None]:
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# What follows runs in the workers.


def _start(lifeline: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if debugging():
        log_on_stderr()  # to where stderr leads now
    # The descriptor, not sys.stderr: native libraries write to it too.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    threading.Thread(target=_end_with, args=(lifeline,), daemon=True).start()


def _end_with(lifeline: Connection) -> None:
    with contextlib.suppress(EOFError, OSError):
        lifeline.recv_bytes()
    os._exit(1)


def with_deadline(function: Callable[[Item], Result], deadline_s: float, item: Item) -> Result:
    """Apply a function; end this process if it needs longer."""
    # The watchdog is a native thread: it works even if native code holds the interpreter's lock.
    faulthandler.dump_traceback_later(deadline_s, exit=True)
    try:
        return function(item)
    finally:
        faulthandler.cancel_dump_traceback_later()
