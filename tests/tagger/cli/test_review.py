"""`gtag review` in a real terminal."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import mutagen
import numpy as np
import pytest
from mediafile import MediaFile

import tagger
from tagger.deciding.decide import Status
from tagger.pipeline.road import TrackResult
from tagger.reports.csv_report import CsvReport, open_report
from tagger.sound.demo import encode
from tests.conftest import aged

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX terminals")


class Terminal:
    """A command in a terminal of 80 columns: what it shows, and what is typed."""

    def __init__(self, *arguments, folder, **environment):
        import fcntl
        import pty
        import struct
        import termios

        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 40, 80, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tagger", "review", *map(str, arguments)],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=folder,
            env=os.environ
            | {"TERM": "dumb", "PYTHONUTF8": "1", "GTAG_TRACEBACK": "1"}
            | {"PYTHONPATH": str(Path(__file__).parents[3])}
            | {"XDG_STATE_HOME": str(folder / "state"), "XDG_DATA_HOME": str(folder / "data")}
            | environment,
            start_new_session=True,
        )
        os.close(theirs)
        self.shown = b""
        self._seen = 0

    def wait_for(self, text):
        """Go on when something new is shown, and the keyboard is asked."""
        until = time.monotonic() + 120
        while text.encode() not in self.shown[self._seen :]:
            assert self._read(until), f"{text!r} was not shown, but {self.shown.decode()}"
        self._seen = self.shown.index(text.encode(), self._seen) + len(text.encode())

    def _read(self, until):
        ready, _, _ = select.select([self._ours], [], [], max(0, until - time.monotonic()))
        try:
            block = os.read(self._ours, 4096) if ready else b""
        except OSError:
            return False
        self.shown += block
        return bool(block)

    def press(self, keys):
        self.wait_for("q quit")
        self.type(keys)

    def type(self, keys):
        # The program reads a key only after it has set the terminal up for it.
        time.sleep(0.05)
        os.write(self._ours, keys.encode())

    def end(self):
        while self._read(time.monotonic() + 60):
            pass
        os.close(self._ours)
        return self.process.wait(timeout=120)


def reported(folder, *paths, **more):
    report = folder / "report.csv"
    with open_report(str(report)) as file:
        writer = CsvReport(file)
        for path in paths:
            given = {"genre": "Rock", "confidence": 0.4, "runner_up": "Pop", **more}
            writer.add(TrackResult(str(path), Status.UNSURE, **given, runner_up_confidence=0.3))
    return report


@pytest.fixture
def pieces(make_audio):
    return [
        make_audio(suffix, name=f"m/{i}/{i}{suffix}", seed=i)
        for i, suffix in enumerate((".mp3", ".flac", ".m4a", ".ogg", ".wma"))
    ]


def genres(pieces):
    return [MediaFile(piece).genre for piece in pieces]


def test_accept_choose_type_skip_back_and_go_on(gtag, pieces, tmp_path):
    report = reported(tmp_path, *pieces)
    before = [mutagen.File(piece).tags for piece in pieces]
    terminal = Terminal(report, folder=tmp_path)
    terminal.wait_for("1 of 5")
    terminal.press("\r")
    terminal.wait_for("2 of 5")
    terminal.press("2")
    terminal.wait_for("3 of 5")
    terminal.press("t")
    terminal.wait_for("genre (Tab")
    terminal.type("hop; Teckno; Rap\r")  # near a genre, nearer, and another word for one
    terminal.wait_for("Did you mean ")
    terminal.type("n")
    terminal.wait_for("Did you mean Techno?")
    terminal.type("y")  # regression: it wrote the word as typed
    terminal.wait_for("4 of 5")
    terminal.press("b")
    terminal.wait_for("3 of 5")
    terminal.wait_for("genre: hop; Techno; Rap")
    terminal.press("t")
    terminal.wait_for("genre (Tab")
    terminal.type("tran\t\r")
    terminal.wait_for("4 of 5")
    terminal.press("s")
    terminal.wait_for("5 of 5")
    terminal.press("q")
    assert terminal.end() == 0
    shown = terminal.shown.decode()
    assert "3 answered, 1 skipped" in shown and "gtag undo" in shown
    guesses = re.findall(r"^  ([12])  (\S+(?: \S+)?) +0\.\d\d", shown, re.M)
    assert genres(pieces) == [guesses[0][1], guesses[3][1], "Trance", None, None]
    assert all(len(line) <= 80 for line in shown.split("\r\n") if str(tmp_path) not in line)
    # Words of a person's own, which no scan touches.
    for piece in pieces[:3]:
        assert not any("gtag" in key.lower() for key in mutagen.File(piece).tags.keys())  # noqa: SIM118
    options = ("--json", "--min-confidence", 0, "--jobs", 1)
    told = gtag("scan", *pieces, *options).out.splitlines()
    assert [json.loads(line)["status"] for line in told] == ["kept"] * 3 + ["would-write"] * 2

    terminal = Terminal(report, folder=tmp_path)  # goes on behind what was answered and skipped
    terminal.wait_for("5 of 5")
    terminal.press("\x03")
    assert terminal.end() == 130
    # Regression: the second session said that it had skipped one.
    assert "0 answered, 0 skipped; 1 skipped before" in terminal.shown.decode()

    # Regression: three counts, since one file was answered twice.
    assert re.search(r"^ *1 .* 3 +0  gtag review", gtag("undo", "--list").out, re.M)
    assert gtag("undo", "--dry-run").out == "3 would-restore\n"
    ran = gtag("undo")  # also what was answered twice
    assert (ran.status, ran.out) == (0, "3 restored\n"), ran.err
    assert [mutagen.File(piece).tags for piece in pieces] == before


def test_enter_takes_no_genre_for_what_is_no_music(tmp_path):
    """Regression: Enter accepted Jazz at 0.00 where the model heard no music."""
    noise = np.random.default_rng(0).normal(0, 0.1, 22050 * 12).astype(np.float32)
    piece = tmp_path / "m" / "noise.flac"
    piece.parent.mkdir()
    encode(noise, piece)
    aged(piece)
    terminal = Terminal(reported(tmp_path, piece), folder=tmp_path)
    terminal.wait_for("Enter skip")
    terminal.press("\r")
    assert terminal.end() == 0
    assert "0 answered, 1 skipped" in terminal.shown.decode()
    assert genres([piece]) == [None]


def test_a_word_that_is_near_a_genre_is_written_by_no_other_key(make_audio, tmp_path):
    piece = make_audio(".flac", name="m/a.flac")
    terminal = Terminal(reported(tmp_path, piece), folder=tmp_path)
    terminal.press("t")
    terminal.wait_for("genre (Tab")
    terminal.type("Teckno\r")
    terminal.wait_for("Did you mean Techno?")
    terminal.type("x")
    terminal.press("q")
    assert terminal.end() == 0
    assert genres([piece]) == [None]


def test_what_a_refusal_advises_can_be_done(make_audio, tmp_path):
    """Regression: it said "with --min-age 0", an option that gtag review did not have."""
    piece = make_audio(".flac", name="m/a.flac")
    os.utime(piece)
    report = reported(tmp_path, piece)
    terminal = Terminal(report, folder=tmp_path)
    terminal.press("1")
    terminal.wait_for("too new to write")
    terminal.press("q")
    terminal.end()
    assert genres([piece]) == [None]
    terminal = Terminal(report, "--min-age", 0, "--in-place", "--write-incomplete", folder=tmp_path)
    terminal.press("1")
    assert terminal.end() == 0
    assert genres([piece]) != [None]


def test_paths_are_scanned_first_and_gone_on_with(make_audio, tmp_path):
    make_audio(".flac", name="m/\x1b]0;owned\x07[bold]\u202e.flac")
    make_audio(".flac", name="m/z.flac")
    terminal = Terminal("m", "--min-confidence", 1, "--jobs", 1, folder=tmp_path)
    terminal.wait_for("1 of 2")
    terminal.press("a")
    terminal.wait_for("the 2 open tracks")
    terminal.press("q")
    assert terminal.end() == 0
    assert "\\x1b]0;owned\\x07[bold]\\u202e.flac" in terminal.shown.decode()
    assert b"\x1b]0;" not in terminal.shown and "\u202e" not in terminal.shown.decode()
    terminal = Terminal(folder=tmp_path)
    terminal.wait_for("1 of 2")
    terminal.press("a")
    terminal.wait_for("the 2 open tracks")
    terminal.press("\r")
    assert terminal.end() == 0
    assert len(set(genres((tmp_path / "m").iterdir())) - {None}) == 1


def test_paths_are_scanned_with_the_settings_of_scan(make_audio, tmp_path):
    """Regression: a review named genres as the model does, whatever genre map a scan was given."""
    piece = make_audio(".flac", name="m/a.flac")
    make_audio(".flac", name="m/b.flac", seed=1)
    tagged = MediaFile(piece)
    tagged.genre = "To sort"
    tagged.save()
    aged(piece)
    names = {genre: f"My {genre}" for genre in tagger.load_model().genres}
    file = tmp_path / "config" / "gtag" / "map.toml"
    file.parent.mkdir(parents=True)
    file.write_text("[rename]\n" + "".join(f'"{a}" = "{b}"\n' for a, b in names.items()))
    (file.parent / "config.toml").write_text(
        '[scan]\ngenre-map = "map.toml"\nplaceholder = ["To sort"]\nmin-confidence = 1\n'
        "preserve-mtime = true\n"
    )
    before = piece.stat().st_mtime_ns
    settings = {"XDG_CONFIG_HOME": str(tmp_path / "config")}
    terminal = Terminal("m", "--jobs", 1, folder=tmp_path, **settings)
    terminal.wait_for("1 of 2")
    terminal.wait_for("genre: To sort")
    terminal.wait_for("1  My ")
    terminal.press("\r")
    terminal.wait_for("2 of 2")
    terminal.press("q")
    assert terminal.end() == 0
    assert MediaFile(piece).genre in names.values()
    assert piece.stat().st_mtime_ns == before


def test_a_few_seconds_are_played_without_a_shell(make_audio, tmp_path):
    """The program that plays stands in for one that CI lacks; it notes what it was given."""
    piece = make_audio(".flac", name="m/-x $(touch owned); 'é.flac")
    program = tmp_path / "bin" / "mpv"
    program.parent.mkdir()
    program.write_text(
        f"#!/bin/sh\nprintf '%s\\n' \"$@\" > '{tmp_path}/args.new'\n"
        f"mv '{tmp_path}/args.new' '{tmp_path}/args'\nexec sleep 60\n"
    )
    program.chmod(0o755)
    report = reported(tmp_path, f"m/{piece.name}", duration_s=200.0)
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    terminal = Terminal(report, folder=tmp_path, PATH=path)
    terminal.press("p")
    terminal.wait_for("playing")
    until = time.monotonic() + 120
    while not (tmp_path / "args").exists() and time.monotonic() < until:
        time.sleep(0.01)
    terminal.press("q")  # ends it, or the test would wait for a minute
    assert terminal.end() == 0
    told = (tmp_path / "args").read_text(encoding="utf-8").splitlines()
    assert "--start=66" in told and told[-2:] == ["--", str(piece)]
    assert not (tmp_path / "owned").exists()


def test_without_a_player_or_a_track_it_is_said(make_audio, tmp_path):
    piece = make_audio(".flac", name="m/a.flac")
    report = reported(tmp_path, tmp_path / "gone.mp3", piece)
    terminal = Terminal(report, folder=tmp_path, PATH=str(tmp_path))
    terminal.wait_for("gone.mp3: no longer exists")
    terminal.press("p")
    terminal.wait_for("No player was found")
    terminal.press("\x04")
    assert terminal.end() == 1


def test_an_answer_that_cannot_be_written_is_asked_again(make_audio, tmp_path):
    piece = make_audio(".flac", name="m/a.flac")
    piece.chmod(0o444)
    terminal = Terminal(reported(tmp_path, piece), folder=tmp_path)
    terminal.press("\r")
    terminal.wait_for("read-only")
    terminal.press("q")
    assert terminal.end() == 0
    assert genres([piece]) == [None]


def test_it_needs_a_terminal_and_something_to_ask_about(gtag, make_audio, tmp_path):
    ran = gtag("review", make_audio(".flac"))
    assert ran.status == 2 and "needs a terminal" in ran.err
    terminal = Terminal(folder=tmp_path)
    assert terminal.end() == 2 and b"Name a report" in terminal.shown
    terminal = Terminal(reported(tmp_path), folder=tmp_path)
    assert terminal.end() == 0 and b"no track left" in terminal.shown
    (tmp_path / "other.csv").write_text("a,b\n")
    terminal = Terminal(tmp_path / "other.csv", folder=tmp_path)
    assert terminal.end() == 2 and b"is not a report" in terminal.shown


def test_the_signal_of_ctrl_c_ends_it(make_audio, tmp_path):
    terminal = Terminal(reported(tmp_path, make_audio(".flac")), folder=tmp_path)
    terminal.wait_for("q quit")
    os.kill(terminal.process.pid, signal.SIGINT)
    assert terminal.end() == 130
    assert b"Traceback" not in terminal.shown
