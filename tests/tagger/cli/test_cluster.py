"""A scan on a Dask cluster: a real scheduler and real workers on the loopback interface."""

from __future__ import annotations

import csv
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import tagger.pipeline.versions as installation_module
from tagger.deciding.decide import Policy
from tagger.library.walk import Library
from tagger.models import registry, zoo
from tagger.pipeline import cluster as cluster_module
from tagger.pipeline.batch import track_results
from tagger.pipeline.cache import Cache
from tagger.pipeline.classify import forget_models
from tagger.pipeline.cluster import Work, map_on_cluster
from tagger.system.errors import ConfigurationError
from tests.tagger.cli.conftest import rows

distributed = pytest.importorskip("distributed", reason="the extra [cluster] is not installed")


@pytest.fixture(scope="class")
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


def slow(n: int) -> int:
    time.sleep(0.3)
    return n * n


def here(expected: str) -> str:
    return "ready"


SLOW = Work(slow, here)


def process(expected: str) -> str:
    return f"process {os.getpid()}"


class TestTwoWorkers:
    """Of one cluster, which is gone before others start."""

    def test_a_cluster_says_what_this_machine_says(
        self, cluster, music, gtag, tmp_path, monkeypatch
    ):
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

    def test_a_lost_worker_costs_its_items_a_second_try(self, cluster):
        with distributed.Client(cluster.scheduler_address, set_as_default=False) as client:
            pids = list(client.run(os.getpid).values())
        results = map_on_cluster(SLOW, range(16), address=cluster.scheduler_address, deadline_s=60)
        first = next(results)  # all workers have been asked
        os.kill(pids[0], signal.SIGKILL)
        assert [first, *results] == [(n, n * n) for n in range(16)]

    def test_results_that_are_known_come_in_their_place(self, cluster):
        results = map_on_cluster(
            SLOW,
            range(6),
            address=cluster.scheduler_address,
            deadline_s=60,
            ready=lambda n: None if n in (1, 4) else -n - 1,
        )
        assert list(results) == [(0, -1), (1, 1), (2, -3), (3, -4), (4, 16), (5, -6)]

    def test_a_worker_with_another_model_is_refused(self, cluster):
        results = map_on_cluster(
            Work(slow, process), range(2), address=cluster.scheduler_address, deadline_s=60
        )
        with pytest.raises(
            ConfigurationError, match=r"the worker tcp://.* has process \d+, here it is"
        ):
            list(results)


def test_where_no_scheduler_is_the_command_says_so(gtag, music, monkeypatch):
    monkeypatch.setattr(cluster_module, "_CONNECT_S", 0.5)
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
            track_results(
                Library([str(music)]),
                model="fast",
                policy=Policy(),
                cache=cache,
                cluster=threaded.scheduler_address,
            )
        )


# Schedulers and workers as people start them, each a process of its own.

ROOT = Path(__file__).parents[3]
MODEL = registry.bundled_folder() / "trees"
# Such a worker keeps what comes behind its first tracks until the test goes on.
# Dask runs it twice.
WAITING = """
import os, time
from tagger.pipeline import classify
calls = []
def classify_track(*arguments, **options):
    calls.append(arguments)
    while len(calls) > int(os.environ["FIRST"]) and not os.path.exists(os.environ["GO_ON"]):
        time.sleep(0.05)
    time.sleep(0.1)
    return classify.as_it_was(*arguments, **options)
if not hasattr(classify, "as_it_was"):
    classify.as_it_was, classify.classify_track = classify.classify_track, classify_track
"""
LYING = """
from tagger.pipeline import classify
classify.classify_track = lambda *arguments, **options: 42
"""


class Processes:
    """A scheduler, and workers that are started one by one."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.file = folder, folder / "scheduler.json"
        self.started: list[subprocess.Popen[bytes]] = []
        self.scheduler = self._start("scheduler", "--port", "0", "--host", "127.0.0.1")
        self._wait_for(self.file.exists)
        with distributed.Client(scheduler_file=str(self.file), set_as_default=False) as client:
            self.address = client.scheduler.address

    def _start(self, kind, *options, before=(), **environment):
        command = [*before, sys.executable, "-m", "dask", kind, "--no-dashboard"]
        with open(self.folder / f"{len(self.started)}.log", "wb") as log:
            process = subprocess.Popen(
                [*command, "--scheduler-file", str(self.file), *options],
                stdout=log,
                stderr=log,
                cwd=self.folder,  # where Python looks first
                env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
            )
        self.started.append(process)
        return process

    def worker(self, preload="", *, before=(), **environment):
        """Start one and wait until the scheduler knows it."""
        script = self.folder / f"preload{len(self.started)}.py"
        script.write_text(preload)
        options = ("--nthreads", "1", "--no-nanny", "--preload", str(script))
        with distributed.Client(self.address, set_as_default=False) as client:
            known = len(client.scheduler_info(n_workers=-1)["workers"])
            self._start("worker", *options, before=before, **environment)
            self._wait_for(lambda: len(client.scheduler_info(n_workers=-1)["workers"]) > known)

    def _wait_for(self, happened):
        deadline = time.monotonic() + 60
        while not happened():
            said = [log.read_text() for log in self.folder.glob("*.log")]
            assert time.monotonic() < deadline, said
            time.sleep(0.05)

    def end_workers(self):
        for process in self.started[1:]:
            process.kill()
            process.wait()
        with distributed.Client(self.address, set_as_default=False) as client:
            self._wait_for(lambda: not client.scheduler_info(n_workers=-1)["workers"])

    def end(self):
        for process in self.started:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory):
    started = Processes(tmp_path_factory.mktemp("dask"))
    yield started
    started.end()


@pytest.fixture
def processes(scheduler, monkeypatch):
    """A scheduler without workers; those that a test starts end with it."""
    monkeypatch.setattr(cluster_module, "_POLL_S", 0.3)
    yield scheduler
    scheduler.end_workers()


def own_model(home: Path, *, slope: str = "") -> None:
    """The user's model `mine`, with another calibration where a slope is given."""
    card = (MODEL / "card.toml").read_text().replace('name = "trees"', 'name = "mine"', 1)
    if slope:
        card = re.sub(r"^slope = .*$", f"slope = {slope}", card, flags=re.MULTILINE)
    folder = home / "gtag" / "models" / "mine"
    folder.mkdir(parents=True)
    (folder / "card.toml").write_text(card)
    shutil.copyfile(MODEL / "trees.ubj", folder / "trees.ubj")


def scanned(gtag, music, report, *options):
    """What was said, and the rows."""
    ran = gtag("scan", music, "--report", report, *options)
    assert ran.status != 2, ran.err
    return ran, rows(report)


@pytest.fixture
def late(processes, tmp_path, monkeypatch):
    """Have a worker, and start another when the first one is at work.

    The first one waits until the scan knows what the other one runs.
    """
    go_on = tmp_path / "go on"
    judge, judged = cluster_module._Cluster._judge, []

    def judge_and_tell(self, address, asked):
        judge(self, address, asked)
        judged.append(address)
        if len(judged) == 2:
            go_on.touch()

    monkeypatch.setattr(cluster_module._Cluster, "_judge", judge_and_tell)
    joining = []

    def start(preload="", *, first=None, **options):
        processes.worker(WAITING, FIRST="1", GO_ON=str(go_on), **(first or {}))
        thread = threading.Timer(0.5, processes.worker, args=(preload,), kwargs=options)
        thread.start()
        joining.append(thread)

    yield start
    for thread in joining:
        thread.join()


def test_a_late_worker_with_another_calibration_says_nothing(
    gtag, music, processes, late, tmp_path
):
    """Every third file was tagged with its answers, or got them into the cache."""
    own_model(tmp_path / "data")
    own_model(tmp_path / "elsewhere", slope="25.0")
    _, here = scanned(gtag, music, tmp_path / "here.csv", "--model", "mine", "--no-cache")
    late(
        first={"XDG_DATA_HOME": str(tmp_path / "data")},
        XDG_DATA_HOME=str(tmp_path / "elsewhere"),
    )
    on_cluster = ("--model", "mine", "--cluster", processes.address)
    ran, there = scanned(gtag, music, tmp_path / "there.csv", *on_cluster)
    assert there == here
    assert "left out: the worker tcp://" in ran.err and "here it is gtag" in ran.err
    _, again = scanned(gtag, music, tmp_path / "again.csv", "--model", "mine", "--jobs", 1)
    assert again == here


def test_a_worker_loads_a_model_again_that_has_changed(gtag, music, processes, tmp_path):
    own_model(tmp_path / "data")
    processes.worker(XDG_DATA_HOME=str(tmp_path / "data"))
    on_cluster = ("--model", "mine", "--no-cache", "--cluster", processes.address)
    _, before = scanned(gtag, music, tmp_path / "before.csv", *on_cluster)
    shutil.rmtree(tmp_path / "data")
    own_model(tmp_path / "data", slope="25.0")
    forget_models()  # this process is two runs of gtag here
    installation_module._loaded.cache_clear()
    ran, after = scanned(gtag, music, tmp_path / "after.csv", *on_cluster)
    assert "left out" not in ran.err
    _, here = scanned(gtag, music, tmp_path / "h.csv", "--model", "mine", "--no-cache")
    assert after == here != before


def test_a_late_worker_that_cannot_see_the_library_is_left_out(
    gtag, make_audio, processes, late, tmp_path
):
    if shutil.which("unshare") is None or subprocess.call(["unshare", "-m", "true"]):
        pytest.skip("needs a user that may hide folders from a process")
    for i in range(16):
        make_audio(".opus", seed=i % 4, duration_s=4.0, name=Path(f"music/{i // 8}/{i}.opus"))
    music = tmp_path / "music"
    options = ("--model", "trees", "--no-cache")
    _, here = scanned(gtag, music, tmp_path / "here.csv", *options)
    # It sees the first files and not the last, as a machine whose second disk is not mounted.
    hidden = ("unshare", "-m", "sh", "-c", 'mount -t tmpfs none "$0" && exec "$@"', music / "1")
    late(before=hidden)
    on_cluster = (*options, "--cluster", processes.address)
    ran, there = scanned(gtag, music, tmp_path / "there.csv", *on_cluster)
    assert there == here
    assert "left out: the worker" in ran.err and "cannot read" in ran.err


def test_a_lying_worker_is_left_out_and_its_tracks_go_to_others(
    gtag, make_audio, processes, late, tmp_path
):
    music = tmp_path / "music"
    for i in range(16):
        make_audio(".opus", seed=i % 4, duration_s=4.0, name=music / f"{i}.opus")
    options = ("--model", "trees", "--no-cache")
    _, here = scanned(gtag, music, tmp_path / "here.csv", *options)
    late(LYING)
    on_cluster = (*options, "--cluster", processes.address)
    ran, there = scanned(gtag, music, tmp_path / "there.csv", *on_cluster)
    assert there == here
    assert "answers what is no result of the model" in ran.err


def test_lying_workers_alone_make_rows_that_say_so(gtag, music, processes, tmp_path):
    processes.worker(LYING)
    on_cluster = ("--model", "trees", "--no-cache", "--cluster", processes.address)
    ran, there = scanned(gtag, music, tmp_path / "there.csv", *on_cluster)
    assert ran.status == 1 and "bug" not in ran.err
    assert {row["status"] for row in there} == {"unreadable"}
    assert all("answers what is no result of the model" in row["message"] for row in there)


def test_a_worker_without_this_gtag_is_refused(gtag, music, processes, tmp_path):
    strange = tmp_path / "strange" / "tagger"
    strange.mkdir(parents=True)
    (strange / "__init__.py").write_text("")
    processes.worker(PYTHONPATH=str(strange.parent))
    ran = gtag("scan", music, "--model", "trees", "--cluster", processes.address)
    assert ran.status == 2 and "bug" not in ran.err and "Traceback" not in ran.err
    # Dask ends such a worker, or hands its error on.
    assert "cannot run gtag: ModuleNotFoundError" in ran.err or "another gtag, or none" in ran.err


def test_a_scan_whose_scheduler_dies_keeps_what_is_done(make_audio, tmp_path, request):
    music = tmp_path / "music"
    for i in range(12):  # more than are at work at once; rows of a folder come together
        make_audio(".opus", seed=i % 4, duration_s=4.0, name=music / f"{i}" / "song.opus")
    own = tmp_path / "dask"
    own.mkdir()
    processes = Processes(own)
    request.addfinalizer(processes.end)
    processes.worker(WAITING, FIRST="4", GO_ON=str(tmp_path / "never"))
    report = tmp_path / "report.csv"
    options = ("--write-tags", "--model", "trees", "--min-confidence", "0", "--no-cache")
    scan = subprocess.Popen(
        [
            *(sys.executable, "-m", "tagger", "scan", str(music), *options),
            *("--report", str(report), "--json", "--cluster", processes.address),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "XDG_STATE_HOME": str(tmp_path / "state"), "PYTHONUNBUFFERED": "1"},
    )
    assert '"written"' in scan.stdout.readline()
    processes.end()
    _, err = scan.communicate(timeout=120)
    assert scan.returncode == 1, err
    assert "the cluster's scheduler is" in err and "what is done stays" in err
    assert "Traceback" not in err and "bug" not in err
    done = rows(report)
    assert 1 <= len(done) <= 4 and {row["status"] for row in done} == {"written"}


@pytest.mark.parametrize("address", ["foo", "tcp://foo:bar", "zmq://foo:1", "tls://127.0.0.1:1"])
def test_what_is_no_address_is_no_bug(gtag, music, address):
    """Dask fails at each in another way, and with a traceback behind the error."""
    ran = gtag("scan", music, "--model", "trees", "--cluster", address)
    assert ran.status == 2
    assert f"no Dask scheduler answers at {address}" in ran.err and "Traceback" not in ran.err
