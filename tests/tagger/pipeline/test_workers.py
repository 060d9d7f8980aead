"""Real crashes: `work` ends, hangs and aborts the worker that runs it."""

import ctypes
import faulthandler
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tagger.pipeline.workers import IN_FLIGHT_PER_WORKER, Lost, map_in_workers


def work(item):
    """Do what the item says."""
    kind, _, value = str(item).partition(":")
    if kind == "exit":
        os._exit(3)
    if kind == "segfault":
        faulthandler.disable()
        ctypes.string_at(0)
    if kind == "abort":
        os.abort()
    if kind == "hang":
        while True:
            time.sleep(0.1)
    if kind == "hang-with-lock":  # native code that never gives the interpreter's lock back
        ctypes.PyDLL(None).pause()
    if kind == "sleep":
        time.sleep(float(value))
    if kind == "die-once" and not Path(value).exists():
        Path(value).touch()
        os._exit(3)
    if kind == "say":
        os.write(2, b"NATIVE NOISE\n")
        print("PYTHON NOISE", file=sys.stderr)
    return f"done {item}"


def pid(item):
    return os.getpid()


def run(items, jobs=2, deadline_s=20.0):
    return list(map_in_workers(work, items, jobs=jobs, deadline_s=deadline_s))


def test_keeps_the_order_of_the_items():
    items = ["sleep:0.3", *map(str, range(20))]
    assert run(items) == [(item, f"done {item}") for item in items]


@pytest.mark.parametrize("crash", ["exit", "segfault", "abort"])
def test_only_the_item_that_crashes_is_lost(crash):
    items = [*map(str, range(5)), crash, *map(str, range(5, 15)), crash + ":again", "last"]
    got = run(items)
    assert [item for item, _ in got] == items
    assert {item for item, result in got if isinstance(result, Lost)} == {crash, crash + ":again"}
    assert not any(result.late for _, result in got if isinstance(result, Lost))
    assert all(result == f"done {item}" for item, result in got if not isinstance(result, Lost))


@pytest.mark.parametrize(
    "hang",
    [
        "hang",
        pytest.param(
            "hang-with-lock",
            marks=pytest.mark.skipif(sys.platform == "win32", reason="calls a POSIX function"),
        ),
    ],
)
def test_an_item_that_never_returns_is_ended_at_the_deadline(hang):
    items = ["1", hang, "2", "3"]
    got = dict(run(items, deadline_s=1.0))
    assert isinstance(got[hang], Lost) and got[hang].late
    assert [got[i] for i in "123"] == ["done 1", "done 2", "done 3"]


def test_an_item_that_only_lost_its_worker_to_a_neighbour_is_done(tmp_path):
    once = f"die-once:{tmp_path / 'flag'}"
    assert run(["1", once, "2"]) == [(i, f"done {i}") for i in ("1", once, "2")]


def test_items_are_read_only_as_far_ahead_as_there_is_work():
    read = 0

    def items():
        nonlocal read
        for i in range(1000):
            read += 1
            yield str(i)

    results = map_in_workers(work, items(), jobs=2, deadline_s=20.0)
    for _ in range(10):
        next(results)
    assert read <= 10 + 2 * IN_FLIGHT_PER_WORKER
    results.close()


def test_workers_say_nothing_on_the_terminal(capfd):
    run(["say", "say:2"])
    assert "NOISE" not in capfd.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_workers_die_with_a_killed_parent():
    code = """
import os, signal
from tagger.pipeline.workers import map_in_workers
from tests.tagger.pipeline.test_workers import pid
for _, p in map_in_workers(pid, range(8), jobs=2, deadline_s=20.0):
    print(p, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    worker = int(out)
    for _ in range(600):
        try:
            os.kill(worker, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    os.kill(worker, signal.SIGKILL)
    pytest.fail("the worker outlived its parent")


@pytest.mark.skipif(sys.platform != "linux", reason="semaphores lie elsewhere")
def test_without_semaphores_it_says_what_to_do(make_audio, tmp_path):
    """Regression: a read-only /dev/shm, as in containers, ended with "cannot go on"."""
    for name in ("a.flac", "b.flac"):
        make_audio(".flac", name=f"music/{name}", duration_s=1.0)
    script = (
        "mount -t tmpfs -o ro tmpfs /dev/shm && "
        'exec "$1" -m tagger scan --no-cache --jobs "$2" "$3"'
    )

    def scanned(jobs):
        return subprocess.run(
            ["unshare", "-m", "sh", "-c", script, "sh", sys.executable, jobs, tmp_path / "music"],
            capture_output=True,
            text=True,
            check=False,
        )

    alone = scanned("1")
    if "mount:" in alone.stderr or "unshare" in alone.stderr:
        pytest.skip(f"no mounts of one's own here: {alone.stderr.strip()[-200:]}")
    assert alone.returncode == 0, alone.stderr
    several = scanned("2")
    assert several.returncode == 2
    assert "worker processes cannot be started: Read-only file system" in several.stderr
    assert "--jobs 1" in several.stderr
