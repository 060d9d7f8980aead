from __future__ import annotations

import errno
import subprocess
import sys

import pytest

from tagger.library.walk import Library
from tagger.pipeline.classify import classify_track
from tagger.system.errors import UnreadableError
from tagger.system.exhausted import what_ran_out

LIMITED = """
import os, resource, sys
from tagger.containers.recognise import identify
from tagger.library.walk import Track
from tagger.pipeline.classify import classifier, classify_track
what, path = sys.argv[1:]
classifier("cnn")
track = Track(path, identify(path))
if what == "open files":
    number = len(os.listdir("/proc/self/fd")) - 1
    resource.setrlimit(resource.RLIMIT_NOFILE, (number, number))
else:
    pages = int(open("/proc/self/statm").read().split()[0])
    size = pages * resource.getpagesize() + (1 << 20)
    resource.setrlimit(resource.RLIMIT_AS, (size, size))
print(repr(classify_track("cnn", track).error))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits as Linux keeps them")
@pytest.mark.parametrize("what", ["open files", "memory"])
def test_a_machine_that_has_too_little_is_not_the_tracks_fault(make_audio, what):
    """Libraries that find no memory said that they could not find a file of theirs."""
    ran = subprocess.run(
        [sys.executable, "-c", LIMITED, what, make_audio(".mp3")], capture_output=True, text=True
    )
    assert ran.stdout.startswith("ResourceError("), ran.stdout + ran.stderr


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError(), "memory ran out"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "memory ran out"),
        (OSError(errno.EMFILE, "Too many open files"), "the number of open files is exhausted"),
        (RuntimeError("can't start new thread"), "the number of threads is exhausted"),
        (ImportError("lib.so: failed to map segment from shared object"), "memory ran out"),
    ],
)
def test_what_ran_out_is_known_also_from_the_cause(error, said):
    outer = UnreadableError("damaged")
    outer.__cause__ = error
    for one in (error, outer):
        lacking = what_ran_out(one)
        assert lacking is not None and lacking.message == said and lacking.hint
        assert lacking.exit_status == 2
    assert what_ran_out(FileNotFoundError(errno.ENOENT, "No such file")) is None


def test_a_file_that_is_not_recognised_says_why(tmp_path):
    (tmp_path / "a broken link.mp3").symlink_to(tmp_path / "nowhere")
    (tmp_path / "empty.mp3").touch()
    (tmp_path / "text.mp3").write_text("no music")
    heard = [classify_track("any model", track) for track in Library([str(tmp_path)])]
    assert [one.error.message for one in heard] == [
        "No such file or directory",
        "empty file",
        "not a sound format that gtag supports",
    ]
    assert all(one.prediction is None for one in heard)
