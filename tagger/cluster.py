"""Applies a function to items on a Dask cluster, in order, as `workers` does on one machine.

The machines must have the same files at the same paths, and the same gtag. Dask retries the items
of a lost worker.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from tagger.errors import ConfigurationError, ResourceError
from tagger.extras import need
from tagger.workers import IN_FLIGHT_PER_WORKER, Lost, Window, with_deadline

Item = TypeVar("Item")
Result = TypeVar("Result")

_CONNECT_S = 10.0
_POLL_S = 5.0
_WITHOUT_WORKERS_S = 60.0  # a nanny starts a lost worker again within seconds


def map_on_cluster(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    address: str,
    deadline_s: float,
    check: Callable[[], str],
    ready: Callable[[Item], Result | None] = lambda item: None,
) -> Iterator[tuple[Item, Result | Lost]]:
    """Yield every item with its result, in the order of the items.

    Parameters
    ----------
    function, items, ready
        As in `workers.map_in_workers`.
    address : str
        Of the scheduler, as ``tcp://host:8786``.
    deadline_s : float
        For one item. A worker that needs longer is ended; the scheduler decides how often the item
        is retried.
    check : callable
        Run here and on each worker: its results must be equal.

    Raises
    ------
    ConfigurationError
        There is no scheduler at the address, or a worker cannot do the work.
    ResourceError
        The scheduler or all workers are lost; the items before are done.
    """
    need("--cluster", "distributed")
    from distributed import Client, KilledWorker

    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # it reports each lost worker
    try:
        client = Client(address, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"no Dask scheduler answers at {address}", hint="start one: dask scheduler"
        ) from error
    task = partial(with_deadline, function, deadline_s)
    window: Window[Item] = Window(items, ready)
    room, counted = 0, -_POLL_S
    try:
        _check_workers(client, check)
        while True:
            if time.monotonic() - counted >= _POLL_S:  # asks the scheduler; workers come and go
                room = IN_FLIGHT_PER_WORKER * max(1, len(_workers(client)))
                counted = time.monotonic()
            yield from window.fill(partial(client.submit, task, pure=False), room.__gt__)
            if not window.waiting:
                return
            first = window.pop()
            try:
                result: Result | Lost = _wait(client, first.future)
            except KilledWorker:
                result = Lost(0.0, deadline_s)
            yield first.item, result
    finally:
        with suppress(Exception):
            client.cancel([one.future for one in window.waiting if not one.was_ready], force=True)
        with suppress(Exception):
            client.close(timeout=_POLL_S)


def _wait(client: Any, future: Any) -> Any:
    """A future's result, as long as there are workers."""
    last_seen = time.monotonic()
    while True:
        try:
            return future.result(timeout=_POLL_S)
        except TimeoutError:
            pass
        except OSError as error:
            raise ResourceError("the connection to the cluster's scheduler is lost") from error
        if future.cancelled() or client.status != "running":
            raise ResourceError("the cluster's scheduler is gone")
        if _workers(client):
            last_seen = time.monotonic()
        elif time.monotonic() - last_seen > _WITHOUT_WORKERS_S:
            raise ResourceError("the cluster has no workers any more")


def _workers(client: Any) -> dict[str, Any]:
    """All workers by address, as the scheduler last reported."""
    try:
        info = client.scheduler_info(n_workers=-1)
    except TypeError:  # before Dask 2025.2, whose default is five
        info = client.scheduler_info()
    workers: dict[str, Any] = info["workers"]
    return workers


def _check_workers(client: Any, check: Callable[[], str]) -> None:
    workers = _workers(client)
    if not workers:
        raise ConfigurationError(
            "the cluster has no workers", hint="start some: dask worker ADDRESS --nthreads 1"
        )
    for address, worker in workers.items():
        if worker["nthreads"] != 1:
            raise ConfigurationError(
                f"the worker {address} has {worker['nthreads']} threads",
                hint="models are not thread-safe: start it with --nthreads 1 --nworkers auto",
            )
    expected = check()
    for address, found in client.run(check, on_error="return").items():
        if isinstance(found, BaseException):
            raise ConfigurationError(f"the worker {address} cannot run gtag: {found}")
        if found != expected:
            raise ConfigurationError(f"the worker {address} has {found}, here it is {expected}")
