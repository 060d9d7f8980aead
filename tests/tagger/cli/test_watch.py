"""`gtag watch` as a process of its own, ended by signals."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from mediafile import MediaFile

import tagger

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")


class Watching:
    def __init__(self, tmp_path, *options):
        self.root = tmp_path / "music"
        self.root.mkdir(exist_ok=True)
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "tagger", "watch", str(self.root), "--write-tags"),
                *("--json", "--min-confidence", "0", "--min-age", "0.3", "--jobs", "1", *options),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "XDG_STATE_HOME": str(tmp_path / "state")},
        )
        self.too_long = threading.Timer(120, self.process.kill)
        self.too_long.start()
        assert "watching" in self.process.stderr.readline()

    def row(self):
        line = self.process.stdout.readline()
        assert line, self.process.stderr.read()
        return json.loads(line)

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        out, err = self.process.communicate()
        self.too_long.cancel()
        assert "Traceback" not in err
        return self.process.returncode, out, err


def wait_until_ended(run):
    deadline = time.monotonic() + 60
    while next(r.ended for r in tagger.runs() if r.id == run) is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_writes_what_arrives_when_it_is_all_there_and_once(make_audio, tmp_path, monkeypatch):
    pieces = [make_audio(".mp3", duration_s=2.0, seed=seed) for seed in range(3)]
    content = pieces[0].read_bytes()
    watching = Watching(tmp_path)
    first, second = watching.root / "first.mp3", watching.root / "second.mp3"
    with open(first, "wb") as growing:
        growing.write(content[:5000])
        growing.flush()
        for unfinished in ("x.mp3.part", "x.mp3.crdownload", ".syncthing.second.mp3.tmp"):
            shutil.copyfile(pieces[1], watching.root / unfinished)
        # Another folder's file is done long before, and shows that the first one waits.
        (watching.root / "other").mkdir()
        shutil.copyfile(pieces[2], watching.root / "other" / "third.mp3")
        assert Path(watching.row()["path"]).name == "third.mp3"
        growing.write(content[5000:])
    row = watching.row()
    assert (row["path"], row["status"]) == (str(first), "written")
    assert MediaFile(first).genre == row["new_genre"]

    (watching.root / ".syncthing.second.mp3.tmp").rename(second)
    assert watching.row()["path"] == str(second)
    # What gtag writes itself has not arrived: neither those writes nor what undo does.
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    wait_until_ended(run=3)  # a row is told while its run still goes on
    assert [file.status for file in tagger.undo()] == ["restored"]
    shutil.copyfile(pieces[1], watching.root / "other" / "last.mp3")
    assert Path(watching.row()["path"]).name == "last.mp3"
    status, out, err = watching.end()
    assert (status, out) == (0, "")
    assert "ended; 4 written" in err
    assert MediaFile(second).genre is None
    assert not list(watching.root.rglob(".gtag*"))


def test_ctrl_c_ends_with_130(tmp_path):
    status, _, err = Watching(tmp_path, "--poll").end(signal.SIGINT)
    assert status == 130 and "nothing arrived" in err


def test_scan_first_begins_with_what_is_there(make_audio, tmp_path):
    make_audio(".flac", duration_s=2.0, name="music/there.flac")
    watching = Watching(tmp_path, "--scan-first")
    assert watching.row()["status"] == "written"
    assert watching.end()[0] == 0


def test_goes_on_behind_what_cannot_be_read(make_audio, tmp_path):
    watching = Watching(tmp_path)
    (watching.root / "broken.mp3").write_bytes(b"no music")
    assert watching.row()["status"] == "unreadable"
    shutil.copyfile(make_audio(".mp3", duration_s=2.0), watching.root / "a.mp3")
    assert watching.row()["status"] == "written"
    assert watching.end()[0] == 0


def test_only_folders_are_watched(gtag, make_audio):
    piece = make_audio(".mp3")
    ran = gtag("watch", piece)
    assert ran.status == 2 and "name its folder" in ran.err
    assert gtag("watch", piece.parent / "nothing").status == 2


def test_a_second_watch_says_who_is_there(gtag, tmp_path, monkeypatch):
    """Both wrote, and each took the other for another program that has the files open."""
    watching = Watching(tmp_path)
    inner = watching.root / "inner"
    inner.mkdir()
    for folder in (watching.root, inner, tmp_path):
        ran = gtag("watch", folder, "--write-tags")
        assert ran.status == 2
        assert f"process {watching.process.pid} watches it already" in ran.err
    assert watching.end()[0] == 0
    Watching(tmp_path).end()
    assert not list((tmp_path / "state").rglob("watch-*"))
