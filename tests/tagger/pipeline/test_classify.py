from __future__ import annotations

import errno
import subprocess
import sys
from dataclasses import replace

import pytest

from tagger.library.walk import Library
from tagger.models.moods import a_mood
from tagger.models.prediction import Mood
from tagger.pipeline.classify import classifier, classify_track, why_unusable
from tagger.system.errors import UnreadableError
from tagger.system.exhausted import what_ran_out

LIMITED = """
import os, resource, sys
from tagger.containers.recognise import identify
from tagger.library.walk import Track
from tagger.pipeline.classify import classifier, classify_track
limited, path = sys.argv[1:]
classifier("cnn")
track = Track(path, identify(path))
if limited == "open files":
    number = len(os.listdir("/proc/self/fd")) - 1
    resource.setrlimit(resource.RLIMIT_NOFILE, (number, number))
else:
    pages = int(open("/proc/self/statm").read().split()[0])
    size = pages * resource.getpagesize() + (int(limited.partition(" ")[0]) << 10)
    resource.setrlimit(resource.RLIMIT_AS, (size, size))
print(repr(classify_track("cnn", track).error))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits as Linux keeps them")
@pytest.mark.parametrize("limited", ["open files", "256 KiB", "512 KiB", "1024 KiB", "9216 KiB"])
def test_a_machine_that_has_too_little_is_not_the_tracks_fault(make_audio, limited):
    """Libraries that find no memory said that they could not find a file of theirs.

    Packets that found none counted as damaged, and a resampler that found none left out blocks:
    the track was "only 0.77 s of sound", which the cache then kept.
    """
    command = [sys.executable, "-c", LIMITED, limited, make_audio(".mp3")]
    ran = subprocess.run(command, capture_output=True, text=True)
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


@pytest.mark.parametrize(
    "mood",
    [
        Mood("Evil", 0.9, 2.0),  # no mood of the model's
        Mood("Calm", 0.9, 0.0),  # sure from another probability on
        Mood("Calm", 1.5, a_mood("Calm", 1.5).threshold),
        ("Calm", 0.9),
    ],
)
def test_another_machines_mood_has_to_be_one(make_audio, mood):
    (track,) = Library([str(make_audio(".flac"))])
    classified, card = classify_track("trees", track), classifier("trees").card
    assert classified.prediction.mood is not None and why_unusable(classified, card) is None
    forged = replace(classified, prediction=replace(classified.prediction, mood=mood))
    assert why_unusable(forged, card) == "answers what is no result of the model"
