"""Applies a function to items on a Dask cluster, in order, as `workers` does on one machine.

The machines must have the same files at the same paths, and the same gtag. Workers come and go, and
anybody may start one. So each is asked what it runs before it gets an item, each of its answers
says so once more, and what this machine cannot use goes to another worker. Dask retries the items
of a lost worker.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

from tagger.pipeline.workers import IN_FLIGHT_PER_WORKER, InFlight, Lost, Window, with_deadline
from tagger.system.errors import ClusterError, ConfigurationError
from tagger.system.extras import need
from tagger.system.screen import printable

Item = TypeVar("Item")

log = logging.getLogger(__name__)

_CONNECT_S = 10.0
_POLL_S = 5.0
_FETCH_S = 60.0  # an answer that a busy worker has
_SHORTLY_S = 0.2
_WITHOUT_WORKERS_S = 60.0  # a nanny starts a lost worker again within seconds
_MOST_LOST = 3  # workers that an item may end; as Dask has it, while other workers live
_GO_ON = "what is done stays; run the command again, with --resume-report if it has a report"


@dataclass(frozen=True)
class Work(Generic[Item]):
    """What is done with an item, and how an answer is judged. All but `why_unusable` is pickled.

    Attributes
    ----------
    function : callable
        The result of an item.
    installation : callable
        What must be the same here and on a worker, in words; gets what is expected, or nothing.
    probe : item, optional
        A worker that cannot see it gets no other.
    sees : callable
        Whether an item can be read, here and on a worker.
    why_unusable : callable
        Why a result cannot be used, in words; None where it can.
    """

    function: Callable[[Item], Any]
    installation: Callable[[str], str]
    probe: Item | None = None
    sees: Callable[[Item], bool] = lambda item: True
    why_unusable: Callable[[object], str | None] = lambda result: None


@dataclass(frozen=True)
class Unanswered:
    """The result of an item of which no worker gave an answer that can be used."""

    reason: str


def map_on_cluster(
    work: Work[Item],
    items: Iterable[Item],
    *,
    address: str,
    deadline_s: float,
    ready: Callable[[Item], Any] = lambda item: None,
) -> Iterator[tuple[Item, Any]]:
    """Yield every item with its result, a `Lost` or an `Unanswered`, in the order of the items.

    Parameters
    ----------
    work : Work
    items, ready
        As in `workers.map_in_workers`.
    address : str
        Of the scheduler, as ``tcp://host:8786``.
    deadline_s : float
        For one item. A worker that needs longer is ended; the scheduler decides how often the item
        is retried.

    Raises
    ------
    ConfigurationError
        There is no scheduler at the address, or no worker that can do the work.
    ClusterError
        The scheduler or all workers are lost; the items before are done.
    """
    client = _connected(address)
    window: Window[Item] = Window(items, ready)
    cluster = _Cluster(client, work, deadline_s)
    try:
        cluster.begin()
        while True:
            cluster.look(window.waiting)
            yield from window.fill(cluster.send, cluster.has_room)
            if not window.waiting:
                return
            first = window.waiting[0]
            is_sent = isinstance(first.future, _Sent)
            result = cluster.result(window.waiting) if is_sent else first.future.result()
            yield window.pop().item, result
    finally:
        cluster.close(window.waiting)


def _connected(address: str) -> Any:
    """Return a client of a scheduler."""
    need("--cluster", "distributed")
    from distributed import Client

    for name in list(logging.root.manager.loggerDict):  # they report each lost worker, each its own
        if name.partition(".")[0] in ("distributed", "tornado", "asyncio"):
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    try:
        _check_address(address)
        return Client(address, timeout=_CONNECT_S, set_as_default=False)
    except Exception as error:  # of many kinds, by what is wrong with the address
        raise ConfigurationError(
            f"no Dask scheduler answers at {address}",
            hint=f"{error or type(error).__name__}: start one (dask scheduler), and give its "
            "address as tcp://HOST:8786",
        ) from error


def _check_address(address: str) -> None:
    """Raise ValueError for addresses at which Dask fails later, with a traceback."""
    from distributed.comm.registry import get_backend
    from distributed.security import Security

    parts = urlsplit(address if "://" in address else f"tcp://{address}")
    if not parts.hostname or not parts.port:
        raise ValueError("no host and port")
    get_backend(parts.scheme)
    if (
        parts.scheme in ("tls", "wss")
        and not Security().get_connection_args("client")["ssl_context"]
    ):
        raise ValueError("Dask's settings name no certificates")


@dataclass
class _Sent:
    """An item at work, and the workers that may do it."""

    future: Any
    to: frozenset[str]
    failed: dict[str, str] = field(default_factory=dict)  # by worker, why its answer is no use
    lost: int = 0  # how many workers ended with it


class _Cluster:
    """A scheduler's client; it sends items only to workers that run what this machine runs."""

    def __init__(self, client: Any, work: Work[Any], deadline_s: float) -> None:
        self._client, self._work, self._deadline_s = client, work, deadline_s
        self._expected = ""
        self._asked: dict[str, Any] = {}  # futures of what workers say that they run, by address
        self._good: set[str] = set()
        self._bad: dict[str, str] = {}  # why they are left out
        self._looked = self._last_good = time.monotonic()
        self._has_begun = False

    def begin(self) -> None:
        """Wait until a worker can do the work; ConfigurationError where none can."""
        self._expected = self._work.installation("")
        end = time.monotonic() + max(self._deadline_s, _WITHOUT_WORKERS_S)
        while not self._good:
            there = self._look()
            if not there:
                raise ConfigurationError(
                    "the cluster has no workers",
                    hint="start some: dask worker ADDRESS --nthreads 1; one that has another gtag, "
                    "or none, may end when it is asked what it runs",
                )
            if there <= self._bad.keys():
                raise ConfigurationError(self._bad[min(there)])
            if time.monotonic() > end:
                raise ConfigurationError("no worker of the cluster says what it runs")
            time.sleep(_SHORTLY_S)
        self._has_begun = True
        for why in self._bad.values():
            _tell(why)

    def close(self, waiting: Iterable[InFlight[Any]]) -> None:
        """Cancel what is at work."""
        sent = [one.future.future for one in waiting if isinstance(one.future, _Sent)]
        with suppress(Exception):
            self._client.cancel([*sent, *self._asked.values()], force=True)
        with suppress(Exception):
            self._client.close(timeout=_POLL_S)

    # Workers

    def look(self, waiting: Iterable[InFlight[Any]], *, now: bool = False) -> None:
        """See which workers there are, every few seconds, and send again what waits for lost ones.

        Raises
        ------
        ClusterError
            There are none any more.
        """
        time_s = time.monotonic()
        if time_s - self._looked < _POLL_S and not now:
            return
        there, self._looked = self._look(), time_s
        if self._good:
            self._last_good = time_s
        elif there and there <= self._bad.keys():
            why = f"no worker of the cluster is left: {self._bad[min(there)]}"
            raise ClusterError(why, hint=_GO_ON)
        elif time_s - self._last_good > _WITHOUT_WORKERS_S:
            raise ClusterError("the cluster has no workers any more", hint=_GO_ON)
        for number, one in enumerate(waiting):
            sent = one.future
            if self._good and isinstance(sent, _Sent) and not sent.to & there:
                with _scheduler_errors():
                    if not sent.future.done():
                        sent.future.cancel()
                        self._send_again(one.item, sent)
                        sent.lost += number == 0  # workers begin with the first

    def _look(self) -> set[str]:
        """Return the addresses of all workers; ask new ones what they run."""
        work = self._work
        ask = partial(_ask, work.installation, self._expected, work.sees, work.probe)
        with _scheduler_errors():
            there = _workers(self._client)
            for address in (self._asked.keys() | self._bad.keys()) - there.keys():
                self._asked.pop(address, None)  # another worker may get its address
                self._bad.pop(address, None)
            self._good &= there.keys()
            for address in there.keys() - self._asked.keys() - self._bad.keys():
                if (threads := there[address]["nthreads"]) == 1:
                    asked = self._client.submit(ask, pure=False, workers=[address])
                    self._asked[address] = asked
                else:
                    hint = "models are not thread-safe: start it with --nthreads 1 --nworkers auto"
                    self._leave_out(address, f"has {threads} threads ({hint})")
            for address in self._asked.keys() - self._good - self._bad.keys():
                if self._asked[address].done():
                    self._judge(address, self._asked[address])
        return set(there)

    def _judge(self, address: str, asked: Any) -> None:
        """Decide about a worker by what it says that it runs."""
        if asked.status != "finished":
            said = asked.exception() if asked.status == "error" else asked.status
            return self._leave_out(address, f"cannot run gtag: {said}")
        found = asked.result()
        if not isinstance(found, tuple) or len(found) != 2 or found[0] != self._expected:
            ran = found[0] if isinstance(found, tuple) and found else found
            return self._leave_out(address, f"has {ran}, here it is {self._expected}")
        if not found[1] and self._work.sees(self._work.probe):
            path = getattr(self._work.probe, "path", self._work.probe)
            return self._leave_out(address, f"cannot read {path}")
        self._good.add(address)

    def _leave_out(self, address: str, why: str) -> None:
        self._good.discard(address)
        self._bad[address] = f"the worker {address} {why}"
        if self._has_begun:  # else it may be what begin() raises
            _tell(self._bad[address])

    # Items

    def has_room(self, at_work: int) -> bool:
        return at_work < IN_FLIGHT_PER_WORKER * max(1, len(self._good))

    def send(self, item: Any) -> _Sent:
        """Let one of the workers do an item."""
        while not self._good:
            time.sleep(_SHORTLY_S)
            self.look((), now=True)
        return _Sent(self._submit(item, self._good), frozenset(self._good))

    def _send_again(self, item: Any, sent: _Sent) -> None:
        """Send items to a single worker, so that its answer is known to be its own."""
        to = min(self._good - sent.failed.keys() or self._good, key=lambda w: (w in sent.to, w))
        sent.future, sent.to = self._submit(item, {to}), frozenset({to})

    def _submit(self, item: Any, to: set[str]) -> Any:
        work = self._work
        task = partial(
            _answer, work.function, work.installation, self._expected, work.sees, self._deadline_s
        )
        with _scheduler_errors():
            return self._client.submit(task, item, pure=False, workers=sorted(to))

    def result(self, waiting: Sequence[InFlight[Any]]) -> Any:
        """Wait for the first item's result, as long as there are workers."""
        item, sent = waiting[0].item, waiting[0].future
        while True:
            answer = self._answer(waiting)
            if isinstance(answer, Lost):
                return answer
            result, why = self._read(item, answer)
            if why is None:
                # Only now it shows that they were to blame, and not the item.
                for worker in sent.failed.keys() & self._good:
                    self._leave_out(worker, sent.failed[worker])
                return result
            by = self._holder(sent)
            if by is not None:
                sent.failed[by] = why
                if isinstance(answer, tuple) and answer[0] != self._expected:
                    self._leave_out(by, why)
            self.look(waiting, now=True)  # raises where no worker is left
            while not self._good:
                time.sleep(_SHORTLY_S)
                self.look(waiting, now=True)
            if self._good <= sent.failed.keys():
                return Unanswered(f"the worker {min(sent.failed)} {sent.failed[min(sent.failed)]}")
            self._send_again(item, sent)

    def _answer(self, waiting: Sequence[InFlight[Any]]) -> Any:
        """Return what a worker runs, whether it sees an item, and the item's result."""
        from distributed import KilledWorker

        sent = waiting[0].future
        while not sent.future.done():
            with suppress(TimeoutError), _scheduler_errors(but=TimeoutError):
                sent.future.exception(timeout=_POLL_S)
            if self._client.status != "running":
                raise ClusterError("the cluster's scheduler is gone", hint=_GO_ON)
            self.look(waiting)
            if sent.lost >= _MOST_LOST:
                return Lost(0.0, self._deadline_s)
        with _scheduler_errors():
            if sent.future.status == "finished":
                try:
                    return sent.future.result(timeout=_FETCH_S)
                except (AttributeError, ImportError, TypeError, ValueError) as error:
                    return error  # it is of a kind that this machine does not know
            if sent.future.status == "error":
                failure = sent.future.exception()
                is_killed = isinstance(failure, KilledWorker)
                return Lost(0.0, self._deadline_s) if is_killed else failure
        raise ClusterError("the cluster's scheduler is gone, or was restarted", hint=_GO_ON)

    def _holder(self, sent: _Sent) -> str | None:
        """Return the worker that an answer is of; None where nobody knows."""
        if len(sent.to) == 1:
            return next(iter(sent.to))
        with _scheduler_errors():
            holders = self._client.who_has([sent.future]).get(sent.future.key)
        return holders[0] if holders else None

    def _read(self, item: Any, answer: Any) -> tuple[Any, str | None]:
        """Return an answer's result, and why it cannot be used; None where it can."""
        if isinstance(answer, Exception):
            return None, f"fails: {type(answer).__name__}: {answer}"
        try:
            installation, seen, result = answer
            if installation != self._expected:
                return None, f"has {installation}, here it is {self._expected}"
            if not seen and self._work.sees(item):
                return None, f"cannot read {getattr(item, 'path', item)}, but this machine can"
        except Exception as error:  # of whatever the worker sent
            return None, f"answers what cannot be read: {type(error).__name__}: {error}"
        return result, self._work.why_unusable(result)


@contextmanager
def _scheduler_errors(*, but: type[Exception] | tuple[()] = ()) -> Iterator[None]:
    """Turn what the client raises when the scheduler is lost into a ClusterError."""
    import asyncio
    import concurrent.futures

    cancelled = (asyncio.CancelledError, concurrent.futures.CancelledError)
    try:
        yield
    except but:
        raise
    except (OSError, RuntimeError, *cancelled) as error:
        raise ClusterError(
            f"the connection to the cluster's scheduler is lost: {error or type(error).__name__}",
            hint=_GO_ON,
        ) from error


def _tell(why: str) -> None:
    log.warning("left out: %s", printable(why))


def _workers(client: Any) -> dict[str, Any]:
    """Return all workers by address, as the scheduler last reported."""
    try:
        info = client.scheduler_info(n_workers=-1)
    except TypeError:  # before Dask 2025.2, whose default is five
        info = client.scheduler_info()
    workers: dict[str, Any] = info["workers"]
    return workers


# What follows runs in the workers.


def _ask(
    installation: Callable[[str], str], expected: str, sees: Callable[[Any], bool], probe: Any
) -> tuple[str, bool]:
    """Return what a worker runs, and whether it sees an item."""
    return installation(expected), probe is None or sees(probe)


def _answer(
    function: Callable[[Any], Any],
    installation: Callable[[str], str],
    expected: str,
    sees: Callable[[Any], bool],
    deadline_s: float,
    item: Any,
) -> tuple[str, bool, Any]:
    """Return what a worker runs, whether it sees an item, and the item's result."""
    found = installation(expected)
    result = with_deadline(function, deadline_s, item) if found == expected else None
    return found, sees(item), result
