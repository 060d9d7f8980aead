"""What is logged on stderr: warnings always, more with -vv, times with GTAG_DEBUG=1."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from tests.tagger.models.made import model_saying


@pytest.fixture
def scan(tmp_path, make_audio):
    """Run `gtag scan --json` on two pieces in a process of its own."""
    model = model_saying(tmp_path / "model", {"Rock": 0.9, "Jazz": 0.1})
    pieces = [make_audio(".flac", duration_s=4.0), make_audio(".mp3", duration_s=4.0)]

    def run(*options, **environment):
        own = {f"XDG_{kind}_HOME": str(tmp_path / kind) for kind in ("STATE", "CACHE", "CONFIG")}
        command = [sys.executable, "-m", "tagger", "scan", "--json", "-qq", "--model", model]
        ran = subprocess.run(
            [*command, *options, *pieces],
            env={**os.environ, **own, **environment},
            capture_output=True,
            text=True,
        )
        assert ran.returncode == 0, ran.stderr
        assert len(ran.stdout.splitlines()) == 2
        return ran.stderr

    return run


def test_a_scan_without_a_fault_logs_nothing(scan):
    assert scan("--jobs", "1") == ""


def test_a_cache_that_cannot_be_opened_is_a_warning(scan, tmp_path):
    """Regression: only a log file said it, so that every scan decoded all of a library again."""
    (tmp_path / "CACHE").write_text("a file, not a folder")
    said = scan("--jobs", "1")
    assert re.fullmatch(r"gtag: the cache .*predictions\.sqlite cannot be used: .*\n", said), said


def test_vv_says_which_model_and_cache_are_used(scan, tmp_path):
    said = scan("--jobs", "1", "-vvvv")
    assert f"gtag: the model is made-1 from {tmp_path / 'model'}\n" in said
    assert f"gtag: the cache is {tmp_path / 'CACHE'}" in said
    assert " ms" not in said


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_debug_has_the_time_of_each_step_also_in_workers(scan, jobs):
    said = scan("--jobs", jobs, "--no-cache", GTAG_DEBUG="1")
    for step in ("decoded", "classified by made-1"):
        assert (
            len(re.findall(rf"process \d+, tagger: \S+\.(?:flac|mp3): {step} in \d+ ms", said)) == 2
        )
    assert "the model" in said and "loaded in" in said
    processes = set(re.findall(r"process (\d+), tagger: \S+ decoded", said))
    main = re.search(r"process (\d+), tagger: the model", said)
    assert (processes == {main[1]}) == (jobs == "1")


def test_zero_is_no_wish_to_debug(scan):
    assert scan("--jobs", "1", GTAG_DEBUG="0") == ""


def test_a_hostile_name_is_shown_safely(capfd, monkeypatch):
    from tagger.system.logs import log_on_stderr, logging

    # pytest's own report cannot be sent with a lone surrogate.
    monkeypatch.setattr(logging.getLogger("tagger"), "propagate", False)
    log_on_stderr()
    logging.getLogger("tagger.test").warning("%s is odd", "\x1b[31m\udcff\n.mp3")
    assert capfd.readouterr().err == "gtag: \\x1b[31m\\xff\\x0a.mp3 is odd\n"


def test_the_traceback_of_an_error_is_for_the_log_file_and_debugging(capfd, monkeypatch):
    from tagger.system.logs import log_on_stderr, logging

    log_on_stderr(2)
    logging.getLogger("tagger.test").error("unexpected at %r:\n%s", "a.mp3", "Traceback …")
    assert capfd.readouterr().err == ""
    monkeypatch.setenv("GTAG_DEBUG", "1")
    log_on_stderr()
    logging.getLogger("tagger.test").error("unexpected at %r:\n%s", "a.mp3", "Traceback …")
    assert "Traceback …" in capfd.readouterr().err
    monkeypatch.delenv("GTAG_DEBUG")
    log_on_stderr()
