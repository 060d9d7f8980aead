"""A scan on a Dask cluster: a real scheduler and two real workers on the loopback interface."""

from __future__ import annotations

import csv
import os
import signal
import time
from pathlib import Path

import pytest

from tagger.batch import scan
from tagger.cache import Cache
from tagger.cluster import map_on_cluster
from tagger.decide import Policy
from tagger.errors import ConfigurationError
from tagger.files.library import Library
from tagger.models import zoo

distributed = pytest.importorskip("distributed", reason="the extra [cluster] is not installed")


@pytest.fixture(scope="module")
def cluster():
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        dashboard_address=None,
        silence_logs=50,
    ) as started:
        yield started


@pytest.fixture
def music(make_audio, tmp_path):
    for i in range(10):
        make_audio(".opus", seed=i, duration_s=4.0, name=Path("music") / f"{i}.opus")
    make_audio(".flac", name=Path("music") / "silent.flac").write_bytes(b"fLaC")
    return tmp_path / "music"


def test_a_cluster_says_what_this_machine_says(cluster, music, gtag, tmp_path, monkeypatch):
    reports = [tmp_path / "here.csv", tmp_path / "there.csv"]
    assert gtag("scan", music, "--report", reports[0], "--no-cache").status == 1
    monkeypatch.chdir(tmp_path)  # the workers do not stand here
    ran = gtag("scan", "music", "--report", reports[1], "--cluster", cluster.scheduler_address)
    assert ran.status == 1, ran.err
    here, there = ([*csv.DictReader(open(r, encoding="utf-8", newline=""))] for r in reports)  # noqa: SIM115
    assert [{**row, "path": f"{tmp_path}/{row['path']}"} for row in there] == here
    # What they heard is remembered here.
    again = gtag("scan", "music", "--report", tmp_path / "again.csv", "--jobs", 1)
    assert again.status == 1
    assert (tmp_path / "again.csv").read_bytes() == reports[1].read_bytes()


def slow(n: int) -> int:
    time.sleep(0.3)
    return n * n


def here() -> str:
    return "ready"


def test_a_lost_worker_costs_its_items_a_second_try(cluster):
    with distributed.Client(cluster.scheduler_address, set_as_default=False) as client:
        pids = list(client.run(os.getpid).values())
    results = map_on_cluster(
        slow, range(16), address=cluster.scheduler_address, deadline_s=60, check=here
    )
    first = next(results)  # all workers have been checked
    os.kill(pids[0], signal.SIGKILL)
    assert [first, *results] == [(n, n * n) for n in range(16)]


def test_results_that_are_known_come_in_their_place(cluster):
    results = map_on_cluster(
        slow,
        range(6),
        address=cluster.scheduler_address,
        deadline_s=60,
        check=here,
        ready=lambda n: None if n in (1, 4) else -n - 1,
    )
    assert list(results) == [(0, -1), (1, 1), (2, -3), (3, -4), (4, 16), (5, -6)]


def process() -> str:
    return f"process {os.getpid()}"


def test_a_worker_with_another_model_is_refused(cluster):
    results = map_on_cluster(
        slow, range(2), address=cluster.scheduler_address, deadline_s=60, check=process
    )
    with pytest.raises(
        ConfigurationError, match=r"the worker tcp://.* has process \d+, here it is"
    ):
        list(results)


def test_where_no_scheduler_is_the_command_says_so(gtag, music, monkeypatch):
    from tagger import cluster as module

    monkeypatch.setattr(module, "_CONNECT_S", 0.5)
    ran = gtag("scan", music, "--cluster", "tcp://127.0.0.1:1")
    assert ran.status == 2
    assert "no Dask scheduler answers at tcp://127.0.0.1:1" in ran.err
    assert gtag("scan", music, "--cluster", "tcp://127.0.0.1:1", "--jobs", 2).status == 2


def test_workers_with_threads_are_refused(music):
    with (
        distributed.LocalCluster(
            n_workers=1,
            threads_per_worker=2,
            processes=False,
            protocol="tcp://",
            host="127.0.0.1",
            dashboard_address=None,
            silence_logs=50,
        ) as threaded,
        Cache(None, zoo.find("fast")) as cache,
        pytest.raises(ConfigurationError, match="has 2 threads"),
    ):
        list(
            scan(
                Library([str(music)]),
                model="fast",
                policy=Policy(),
                cache=cache,
                cluster=threaded.scheduler_address,
            )
        )
