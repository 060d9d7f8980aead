"""A whole write and a whole undo, with journal, while the disk fails or the process is killed."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TypeVar
from unittest.mock import patch

import pytest

from tagger.containers.formats import Format
from tagger.containers.recognise import identify
from tagger.containers.snapshot import same_fields, snapshot
from tagger.containers.write import Change, write_change
from tagger.deciding.decide import Policy
from tagger.journal.journal import Journal
from tagger.journal.undo import undo_run
from tagger.library.walk import Library, Track
from tagger.pipeline.batch import track_results
from tagger.storage import at_rest, swap
from tagger.storage.replace_file import TEMPORARY_PREFIX
from tagger.system.errors import GtagError, WriteFailedError
from tests.tagger.containers.helpers import content_hash
from tests.tagger.faults import Faults, injected
from tests.tagger.loopback import mounted
from tests.tagger.specimens import ENCODED, EVERY_CONTAINER, specimen, tag_as_people_do

T = TypeVar("T")

JAZZ = Change(("Jazz", "Fusion"), ("Jazz",), 0.91, "cnn-1")

CODES = ["EIO", "ENOSPC", "EDQUOT", "EFBIG", "EACCES", "ENOMEM", "EMFILE"]


@pytest.fixture
def journal(tmp_path):
    with Journal(tmp_path / "state" / "journal.sqlite") as journal:
        # Thousands of writes here wait for the disk for nothing: no test cuts the power.
        journal._database.execute("PRAGMA synchronous = OFF")
        yield journal


def left_behind(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.name.startswith(TEMPORARY_PREFIX)]


def strike_at_every_call(
    path: Path, write: Callable[[], object], code: str, *, lasting: bool = False, every: int = 1
) -> int:
    """Let each call of a write fail in turn; returns how many did.

    After each: the old bytes or the finished new ones, an error of gtag's kinds or none, and no
    temporary file.
    """
    old = path.read_bytes()
    write()
    new = path.read_bytes()
    assert old != new
    at = 0
    while True:
        path.write_bytes(old)
        faults = Faults(path.parent, at, getattr(errno, code), lasting=lasting)
        failed = False
        try:
            with injected(faults):
                write()
        except (GtagError, MemoryError):
            failed = True
        content = path.read_bytes()
        where = f"{code} at call {at}, {faults.struck}"
        assert content in (old, new), where
        assert failed or content == new, where
        for left in left_behind(path.parent):
            # The old file, while the disk does not tell whether somebody touched it; see below.
            assert lasting and failed and (content, left.read_bytes()) == (new, old), where
            left.unlink()
        if faults.struck is None:
            assert not failed
            return -(-at // every)
        at += every


def write_with_journal(path: Path, format: Format, journal: Journal) -> Callable[[], object]:
    run = journal.start_run("scan", ())
    return lambda: write_change(path, format, JAZZ, journal=run)


# One container of every family of tags.
FAMILIES = [".mp3", ".flac", ".ogg", ".m4a", ".wma", ".wv"]


@pytest.mark.parametrize("name", EVERY_CONTAINER)
def test_no_failing_call_harms_a_file(name, request, tmp_path, journal):
    """At every call in one container of each family, at every fifth in the others."""
    path, format = specimen(name, request, tmp_path / "music")
    tag_as_people_do(path, format)
    write = write_with_journal(path, format, journal)
    every = 1 if name in FAMILIES else 5
    assert strike_at_every_call(path, write, "EIO", every=every) > 50 // every


@pytest.fixture
def settled(monkeypatch):
    """As of files that changed long ago, whose old state is not read again after the swap."""
    monkeypatch.setattr(at_rest, "_SETTLED_S", 0.0)


def test_no_failing_call_harms_a_settled_file(settled, request, tmp_path, journal):
    path, format = specimen(".mp3", request, tmp_path / "music")
    tag_as_people_do(path, format)
    write = write_with_journal(path, format, journal)
    assert strike_at_every_call(path, write, "EIO") > 50


@pytest.fixture
def fuse(tmp_path):
    """A folder on a file system in user space, and the file that makes its renaming fail."""
    with mounted(tmp_path) as (mount, control):
        yield mount / "music", control


@pytest.mark.parametrize(
    ("name", "every"),
    [(name, 1 if name == ".mp3" else 9) for name in (".mp3", ".flac", ".ogg", ".m4a", ".wma")],
)
def test_no_failing_call_harms_a_file_in_user_space(name, every, request, fuse, journal):
    path, format = specimen(name, request, fuse[0])
    tag_as_people_do(path, format)
    write = write_with_journal(path, format, journal)
    assert strike_at_every_call(path, write, "EIO", every=every) > 50 // every


@pytest.mark.slow
@pytest.mark.parametrize("lasting", [False, True])
@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("name", EVERY_CONTAINER)
def test_no_failure_of_any_kind_harms_a_file_in_user_space(
    name, code, lasting, request, fuse, journal
):
    path, format = specimen(name, request, fuse[0])
    tag_as_people_do(path, format)
    write = write_with_journal(path, format, journal)
    assert strike_at_every_call(path, write, code, lasting=lasting, every=3) > 10


@pytest.mark.parametrize(
    ("how", "held"),
    [("once", False), ("once", True), ("late", False), ("always", False), ("always", True)],
)
@pytest.mark.parametrize("name", [".mp3", ".flac"])
def test_a_renaming_that_fails_in_user_space_loses_nothing(name, how, held, request, fuse, journal):
    """Neither a write nor an undo, nor where a player holds the file open, which libfuse hides."""
    music, control = fuse
    path, format = specimen(name, request, music)
    tag_as_people_do(path, format)
    old = snapshot(path, format)
    sound = content_hash(path, format)

    def at_once(work: Callable[[], T]) -> T:
        control.write_text(how)
        with path.open("rb") if held else nullcontext():
            done = work()
        control.unlink(missing_ok=True)
        journal.recover()
        assert [file.name for file in music.iterdir()] == [path.name]
        assert content_hash(path, format) == sound
        return done

    def write() -> int:
        with journal.start_run("scan", ()) as run, suppress(WriteFailedError):
            write_change(path, format, JAZZ, journal=run)
        return run.id

    run = at_once(write)
    if how == "late" or held:
        assert not same_fields(path, format, old)
    else:
        assert same_fields(path, format, old)
        run = write()
    at_once(lambda: list(undo_run(journal, run)))
    assert same_fields(path, format, old) == (how == "late" or held)
    list(undo_run(journal, run))
    assert same_fields(path, format, old)


@pytest.mark.parametrize("lasting", [False, True])
@pytest.mark.parametrize("code", CODES)
def test_nor_does_any_other_kind_of_failure(code, lasting, request, tmp_path, journal):
    """A sample: every 7th call of an MP3 with three tags."""
    path, format = specimen(".mp3", request, tmp_path / "music")
    tag_as_people_do(path, format)
    write = write_with_journal(path, format, journal)
    assert strike_at_every_call(path, write, code, lasting=lasting, every=7) > 10


def test_an_old_file_that_cannot_be_read_again_goes_when_the_run_ends(request, tmp_path, journal):
    path, format = specimen(".mp3", request, tmp_path / "music")
    old = path.read_bytes()
    with journal.start_run("scan", ()) as run:
        with (
            patch.object(swap, "_is_untouched", side_effect=OSError(errno.EIO, "I/O error")),
            pytest.raises(WriteFailedError, match="written, but its old file could not be removed"),
        ):
            write_change(path, format, JAZZ, journal=run)
        (left,) = left_behind(path.parent)
        assert left.read_bytes() == old
    assert not left_behind(path.parent)
    (undone,) = undo_run(journal, run.id)
    assert undone.status == "restored"


@pytest.mark.slow
@pytest.mark.parametrize("lasting", [False, True])
@pytest.mark.parametrize("tagged", [False, True])
@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("name", EVERY_CONTAINER)
def test_no_failure_of_any_kind_at_any_call_harms_any_file(
    name, code, tagged, lasting, request, tmp_path, journal
):
    path, format = specimen(name, request, tmp_path / "music")
    if tagged:
        tag_as_people_do(path, format)
    write = write_with_journal(path, format, journal)
    struck = strike_at_every_call(path, write, code, lasting=lasting)
    print(f"faults injected: {struck}")
    assert struck > 40


@pytest.mark.parametrize("name", FAMILIES)
def test_no_failing_call_harms_a_file_that_is_taken_back(name, request, tmp_path, journal):
    path, format = specimen(name, request, tmp_path / "music")
    tag_as_people_do(path, format)
    with journal.start_run("scan", ()) as run:
        write_change(path, format, JAZZ, journal=run)
    old = path.read_bytes()
    at = 0
    while True:
        path.write_bytes(old)
        faults = Faults(path.parent, at, errno.EIO)
        with injected(faults):
            (result,) = undo_run(journal, run.id)
        where = f"{faults.struck}, call {at}: {result.message}"
        assert not left_behind(path.parent), where
        if faults.struck is None:
            assert result.status == "restored"
            break
        if result.status == "restored" or "written, but" in result.message:
            # Forget it, so that the next turn has something to take back again.
            journal._database.execute("UPDATE changes SET undoes = NULL WHERE undoes IS NOT NULL")
        else:
            assert path.read_bytes() == old, where
        at += 3
    assert at > 100


@pytest.mark.parametrize("at", [5, 40, 90])
@pytest.mark.parametrize(
    ("code", "words"), [("ENOMEM", "memory ran out"), ("EMFILE", "raise ulimit -n")]
)
def test_what_runs_out_in_a_write_or_an_undo_costs_one_file(
    at, code, words, request, tmp_path, journal
):
    """Regression: too little memory ended in "a mistake in gtag itself, MemoryError"."""
    paths = [specimen(".mp3", request, tmp_path / name)[0] for name in ("music", "others")]
    for path in paths:
        tag_as_people_do(path, identify(path))
        os.utime(path, (0, 0))
    old = [path.read_bytes() for path in paths]
    faults = Faults(paths[0].parent, at, getattr(errno, code), lasting=True)
    with journal.start_run("scan", ()) as run:

        def write(track: Track, change: Change) -> None:
            assert track.format is not None
            with injected(faults):
                write_change(track.path, track.format, change, journal=run)

        policy = Policy(0.0, existing="replace")
        tracks = Library([str(path) for path in paths])
        first, second = track_results(tracks, model="fast", policy=policy, write=write, jobs=1)
    assert (first.status, second.status) == ("failed", "written")
    assert words in first.message and faults.struck
    assert paths[0].read_bytes() == old[0] and not left_behind(tmp_path)

    with journal.start_run("scan", ()) as run:
        for path in paths:
            write_change(path, identify(path), JAZZ, journal=run)
    faults = Faults(paths[0].parent, at, getattr(errno, code), lasting=True)
    with injected(faults):
        undone = {result.path: result for result in undo_run(journal, run.id)}
    assert undone[str(paths[0])].status == "failed" and words in undone[str(paths[0])].message
    assert undone[str(paths[1])].status == "restored"
    assert not left_behind(tmp_path)
    (again,) = undo_run(journal, run.id)
    assert (again.path, again.status) == (str(paths[0]), "restored")


@pytest.fixture
def place(request, tmp_path):
    """A folder of the test's own, on either kind of file system."""
    if request.param == "disk":
        yield tmp_path
    else:
        with mounted(tmp_path) as (mount, _):
            yield mount


SCAN = """
import sys
from tagger.containers.recognise import identify
from tagger.journal.journal import Journal
from tagger.containers.write import Change, write_change
journal_file, genre, in_place, *paths = sys.argv[1:]
formats = {path: identify(path) for path in paths}
change = Change((genre,), (genre,), 0.9, "cnn-1")
with Journal(journal_file) as journal, journal.start_run("scan", sys.argv) as run:
    print("ready", flush=True)
    for path in paths:
        write_change(path, formats[path], change, journal=run, in_place=bool(in_place))
        print(path, flush=True)
print("finished", flush=True)
"""


@pytest.mark.parametrize(
    ("place", "linked", "anew"),
    [
        *(("disk", linked, anew) for linked in (False, True) for anew in (False, True)),
        ("user space", False, False),
    ],
    indirect=["place"],
)
@pytest.mark.parametrize("kills", [4, pytest.param(100, marks=pytest.mark.slow)])
def test_kill_9_at_any_moment_leaves_whole_files_that_undo_knows(
    kills, linked, anew, request, place, journal
):
    """Also where the disk is attached anew after each kill, and so has another number."""
    paths, links = [], []
    for number, suffix in enumerate(ENCODED):
        path, format = specimen(suffix, request, place / f"music{number}")
        if number % 2:
            tag_as_people_do(path, format)
        if linked:
            os.link(path, path.with_name("other name"))
            links.append(path.with_name("other name"))
        paths.append(path)
    formats = {path: identify(path) for path in paths}
    old = {path: snapshot(path, formats[path]) for path in paths}
    sound = {path: content_hash(path, formats[path]) for path in paths}
    killed = turn = 0
    while killed < kills:
        turn += 1
        # When so many are written, and at any moment of the next one: however busy the machine is.
        written = turn % len(paths) or random.randrange(1, len(paths))
        scan = subprocess.Popen(
            [sys.executable, "-c", SCAN, journal.path, f"Genre {turn}", "yes" * linked, *paths],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert scan.stdout is not None
        assert scan.stdout.readline() == "ready\n"
        begun = time.monotonic()
        for _ in range(written):
            scan.stdout.readline()
        time.sleep(random.uniform(0, time.monotonic() - begun) / written)
        scan.send_signal(signal.SIGKILL)
        scan.stdout.close()
        was_killed = scan.wait() == -signal.SIGKILL
        killed += was_killed
        if anew:
            journal._database.execute(
                "UPDATE changes SET before = json_set(before, '$.device', ?)"
                " WHERE before IS NOT NULL",
                (turn,),
            )
        if linked:  # a torn file is mended at the next start
            journal.recover()
        for path in paths:
            assert content_hash(path, formats[path]) == sound[path]
    journal.recover()
    assert not [name for path in paths for name in left_behind(path.parent)]

    runs = [run for run in journal.runs() if run.in_force]
    assert runs, "not one of them lived long enough to write"
    for run in runs:
        results = list(undo_run(journal, run.id))
        assert not [o for o in results if o.status.is_problem]
    for path in paths:
        assert same_fields(path, formats[path], old[path])
        assert content_hash(path, formats[path]) == sound[path]
    for path, link in zip(paths, links, strict=False):
        assert path.samefile(link)
    print(f"killed: {killed}; changes taken back: {sum(r.in_force for r in runs)}")


@pytest.mark.slow
def test_kill_9_of_a_writing_scan_at_100_moments(request, tmp_path, journal):
    """The whole command; after each kill everything is taken back."""
    paths = []
    for turn in range(4):
        for suffix in ENCODED:
            path, format = specimen(suffix, request, tmp_path / "made")
            if turn % 2:
                tag_as_people_do(path, format)
            (tmp_path / "music").mkdir(exist_ok=True)
            paths.append(path.rename(tmp_path / "music" / f"{turn}{suffix}"))
    formats = {path: identify(path) for path in paths}
    old = {path: snapshot(path, formats[path]) for path in paths}
    sound = {path: content_hash(path, formats[path]) for path in paths}
    command = [
        *(sys.executable, "-m", "tagger", "scan", tmp_path / "music", "--write-tags", "--json"),
        *(
            "--min-confidence",
            "0",
            "--existing",
            "replace",
            "--journal",
            journal.path,
            "-q",
            "--jobs",
            "1",
        ),
    ]
    window, killed, damaged, taken_back = 1.0, 0, 0, 0
    while killed < 100:
        scan = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert scan.stdout is not None
        assert any('"written"' in line for line in scan.stdout)
        time.sleep(random.uniform(0, window))
        scan.send_signal(signal.SIGKILL)
        scan.stdout.close()
        was_killed = scan.wait() == -signal.SIGKILL
        killed += was_killed
        window *= 1.1 if was_killed else 0.8  # as long as a scan takes on this machine, now
        damaged += sum(content_hash(path, formats[path]) != sound[path] for path in paths)
        journal.recover()
        scans = [run.id for run in journal.runs() if run.in_force and run.kind == "scan"]
        results = [result for run in scans for result in undo_run(journal, run)]
        assert results and not [o for o in results if o.status.is_problem]
        taken_back += len(results)
        assert all(same_fields(path, formats[path], old[path]) for path in paths)
        assert not left_behind(tmp_path / "music")
    print(f"killed: {killed}, files damaged: {damaged}, changes taken back: {taken_back}")
    assert damaged == 0
