"""A file that was torn while it was written in place, and what happens to its disk meanwhile."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tagger.containers.recognise import identify
from tagger.containers.write import Change, write_change
from tagger.deciding.decide import Policy
from tagger.journal.journal import Journal
from tagger.journal.undo import UndoStatus, undo_run
from tagger.library.walk import Library
from tagger.pipeline.batch import track_results
from tagger.storage import replace_file as module
from tagger.storage.identity import Identity
from tagger.system.errors import WriteFailedError
from tests.tagger.containers.helpers import content_hash
from tests.tagger.journal.test_journal import NEW, OLD, cut_off_run, write

SHM = Path("/dev/shm")  # another file system than that of temporary files, as a rule


JAZZ = Change(("Jazz",), ("Jazz",), 0.91, "cnn-1")


@pytest.fixture
def journal(tmp_path):
    with Journal(tmp_path / "state" / "journal.sqlite") as journal:
        yield journal


@pytest.fixture
def track(tmp_path):
    """A file with a second name, torn by a process that was killed while it wrote in place."""
    path = tmp_path / "music" / "track.flac"
    path.parent.mkdir()
    path.write_bytes(OLD)
    os.link(path, other(path))
    return path


@pytest.fixture
def torn(journal, track):
    tear(journal, track)
    return track


def tear(journal, path, written=2500):
    cut_off_run(
        journal.path,
        "def tear(copy, target):\n"
        "    with open(target, 'r+b') as file:\n"
        f"        file.write(open(copy, 'rb').read()[:{written}])\n"
        "    die()\n"
        "module.overwrite = tear\n"
        "replace_file(path, in_place=True, **hooks)",
        path,
    )
    assert path.read_bytes() not in (OLD, NEW)


# Writes genre after genre in place, so slowly that a kill most often tears the file.
SCAN = """
import sys, time
from tagger.storage import replace_file as module
from tagger.containers.recognise import identify
from tagger.journal.journal import Journal
from tagger.containers.write import Change, write_change

def overwrite(source, target):
    content = source.read_bytes()
    with open(target, "r+b", buffering=0) as file:
        for at in range(0, len(content), 3000):
            file.write(content[at : at + 3000])
            time.sleep(0.002)
        file.truncate(len(content))

module.overwrite = overwrite
path, number = sys.argv[2], 0
with Journal(sys.argv[1]) as journal, journal.start_run("scan", sys.argv) as run:
    print("ready", flush=True)
    while True:
        number += 1
        genre = (f"Genre {number} " * (number % 3 * 3000 + 1),)
        write_change(path, identify(path), Change(genre, genre), journal=run, in_place=True)
"""


@pytest.mark.parametrize("kills", [3, pytest.param(100, marks=pytest.mark.slow)])
def test_what_kills_tear_is_mended_whatever_happens_to_the_disk(
    kills, make_audio, journal, tmp_path
):
    path = make_audio(".flac", name="music/track.flac")
    format = identify(path)
    os.link(path, other(path))
    sound, torn = content_hash(path, format), 0
    for kill in range(kills):
        command = [sys.executable, "-c", SCAN, journal.path, path]
        scan = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert scan.stdout is not None and scan.stdout.readline() == "ready\n"
        time.sleep(random.uniform(0.1, 0.5))
        scan.kill()
        scan.communicate()
        ((text, *_),) = journal._database.execute(
            "SELECT after FROM changes ORDER BY id DESC LIMIT 1"
        )
        whole = text is not None and Identity.of(path).digest == json.loads(text)["digest"]
        torn += not whole and backup_is_there(path.parent)
        if kill % 2:
            note_another_device(journal)
        if kill % 3 == 1:
            path.unlink()
        elif kill % 3 == 2:
            away = path.parent.rename(tmp_path / "unmounted")
            path.parent.mkdir()
            journal.recover()
            path.parent.rmdir()
            away.rename(path.parent)
        journal.recover()
        assert not left(path.parent) and is_settled(journal)
        assert content_hash(other(path), format) == sound
        if not path.exists():
            os.link(other(path), path)
        assert path.samefile(other(path))
    print(f"killed: {kills}; killed in the middle of a file: {torn}")
    assert kills < 10 or torn > kills / 10


def backup_is_there(folder: Path) -> bool:
    return len(left(folder)) == 2


def other(path: Path) -> Path:
    return path.with_name("other.flac")


def left(folder: Path) -> list[str]:
    return sorted(p.suffix for p in folder.rglob(f"{module.TEMPORARY_PREFIX}*"))


def backup_of(journal) -> Path:
    ((name,),) = journal._database.execute("SELECT backup FROM changes WHERE backup IS NOT NULL")
    return Path(os.fsdecode(name))


def note_another_device(journal) -> None:
    """What the journal says once the system numbers its disks anew."""
    journal._database.execute(
        "UPDATE changes SET before = json_set(before, '$.device', 424242),"
        " after = json_set(after, '$.device', 424242) WHERE before IS NOT NULL"
    )


def is_settled(journal) -> bool:
    rows = journal._database.execute("SELECT state FROM changes").fetchall()
    return all(state in ("done", "aborted") for (state,) in rows)


def test_a_disk_under_another_number_is_mended(journal, torn):
    """Regression: its file counted as a new one, stayed torn, and its backup was deleted."""
    note_another_device(journal)
    journal.recover()
    assert torn.read_bytes() == other(torn).read_bytes() == OLD
    assert not left(torn.parent) and is_settled(journal)


@pytest.mark.skipif(
    not SHM.is_dir() or SHM.stat().st_dev == Path("/tmp").stat().st_dev,
    reason="needs two file systems",
)
@pytest.mark.parametrize("renamed", [False, True])
def test_a_library_on_another_file_system_is_mended(journal, torn, renamed, tmp_path):
    """Copied with its temporary files, so that all numbers are new."""
    place = SHM / f"gtag-test-{os.getpid()}"
    try:
        subprocess.run(["cp", "-a", torn.parent, place], check=True)
        shutil.rmtree(torn.parent)
        torn.parent.symlink_to(place)
        if renamed:
            torn.unlink()
        journal.recover()
        assert other(torn).read_bytes() == OLD
        assert renamed or torn.read_bytes() == OLD
        assert not left(place) and is_settled(journal)
    finally:
        shutil.rmtree(place, ignore_errors=True)


@pytest.mark.parametrize("anew", [False, True])
@pytest.mark.parametrize("how", ["deleted", "renamed", "replaced", "in a folder below"])
def test_another_name_of_a_torn_file_is_mended(journal, torn, how, anew):
    """Regression: where the noted name was gone or another file's, the backup was deleted."""
    better = b"fLaC, a better copy from the CD"
    name = other(torn)
    if how == "renamed":
        name.unlink()
        name = torn.rename(torn.with_name("01 - track.flac"))
    else:
        torn.unlink()
    if how == "replaced":
        torn.write_bytes(better)
    if how == "in a folder below":
        (torn.parent / "CD1").mkdir()
        name = name.rename(torn.parent / "CD1" / "track.flac")
    if anew:
        note_another_device(journal)
    journal.recover()
    assert name.read_bytes() == OLD
    assert not left(torn.parent) and is_settled(journal)
    if how == "replaced":
        assert torn.read_bytes() == better


def test_an_edit_since_is_not_overwritten_whatever_number_its_file_has(journal, torn, caplog):
    """Regression: file systems give the number of a deleted file to the next new one."""
    backup, theirs = backup_of(journal), b"fLaC" + b"theirs" * 700
    other(torn).unlink()
    torn.write_bytes(theirs)
    journal.recover()
    assert torn.read_bytes() == theirs
    assert backup.read_bytes() == OLD
    assert str(backup) in caplog.text


@pytest.mark.parametrize("anew", [False, True])
@pytest.mark.parametrize("stays", [False, True])
def test_a_folder_that_was_away_for_a_while_is_mended_when_it_is_back(
    journal, torn, anew, stays, tmp_path, caplog
):
    """Regression: an empty mount point settled the change, so that nothing mended the file."""
    away = torn.parent.rename(tmp_path / "unmounted")
    if stays:
        torn.parent.mkdir()
    for _ in range(3):
        with Journal(journal.path) as again:
            caplog.clear()
            again.recover()
            assert "Attach its disk" in caplog.text and str(torn) in caplog.text
    if stays:
        torn.parent.rmdir()
    away.rename(torn.parent)
    if anew:
        note_another_device(journal)
    journal.recover()
    assert torn.read_bytes() == other(torn).read_bytes() == OLD
    assert not left(torn.parent) and is_settled(journal)


def test_a_backup_stays_until_a_whole_file_is_there(journal, torn, tmp_path, caplog):
    backup = backup_of(journal)
    torn.unlink()
    elsewhere = other(torn).rename(tmp_path / "torn.flac")
    for _ in range(3):
        with Journal(journal.path) as again:
            caplog.clear()
            again.start_run("scan", ()).finish()
            assert backup.read_bytes() == OLD
            (message,) = caplog.messages
            assert str(backup) in message and "copy the backup to it" in message
        assert again.path == journal.path
    assert journal.prune(0).runs == 3, "but not the run that needs it"
    elsewhere.rename(torn)
    journal.recover()
    assert torn.read_bytes() == OLD
    assert not left(torn.parent) and is_settled(journal)


def test_a_backup_that_was_copied_back_by_hand_goes(journal, torn):
    backup = backup_of(journal)
    for name in (torn, other(torn)):
        name.unlink()
    journal.recover()
    shutil.copyfile(backup, torn)
    journal.recover()
    assert torn.read_bytes() == OLD
    assert not left(torn.parent) and is_settled(journal)


def test_a_backup_that_cannot_be_read_stays(journal, torn, monkeypatch, caplog):
    backup = backup_of(journal)
    backup.write_bytes(OLD[:-1] + b"?")  # a disk that fails
    journal.recover()
    assert left(torn.parent) == [".flac", ".flac"]
    assert "remove the backup" in caplog.text
    backup.write_bytes(OLD)
    journal.recover()
    assert torn.read_bytes() == OLD and not left(torn.parent)


@pytest.mark.parametrize("swapped", [False, True])
def test_an_emptied_mount_point_settles_no_swap_either(journal, track, swapped, tmp_path):
    other(track).unlink()
    moment = "after_swap" if swapped else "before_swap"
    code = "die" if swapped else "lambda *a: (pending.before_swap(*a), die())"
    cut_off_run(journal.path, f"hooks['{moment}'] = {code}\nreplace_file(path, **hooks)", track)
    away = track.parent.rename(tmp_path / "unmounted")
    track.parent.mkdir()
    journal.recover()
    track.parent.rmdir()
    away.rename(track.parent)
    journal.recover()
    assert track.read_bytes() == (NEW if swapped else OLD)
    assert not left(track.parent) and is_settled(journal)
    assert len(journal.changes(1)) == swapped


def test_a_file_that_could_not_be_put_back_is_mended_at_the_next_start(journal, track, monkeypatch):
    """A disk that fails for good in the middle: what is torn keeps all that it is mended with."""

    def fail(source, target):
        if source.read_bytes() == NEW:
            with open(target, "r+b") as file:
                file.write(NEW[:2500])
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(module, "overwrite", fail)
    with journal.start_run("scan", ()) as run:
        with pytest.raises(WriteFailedError, match="nor put back"):
            write(run, track, in_place=True)
        assert track.read_bytes() not in (OLD, NEW)
        monkeypatch.undo()
    assert track.read_bytes() == other(track).read_bytes() == OLD
    assert not left(track.parent)


@pytest.mark.parametrize("undone", [False, True])
def test_a_backup_that_cannot_be_removed_is_told_of_a_file_that_is_written(
    journal, make_audio, monkeypatch, undone
):
    """Regression: the row said "failed: not written"."""
    path = make_audio(".flac", name="music/track.flac")
    os.link(path, other(path))
    before = path.read_bytes()
    real, refused = os.unlink, []

    def unlink(name, **options):
        if path.read_bytes() != before and ".gtag-" in str(name):
            refused.append(name)
            raise OSError(5, "Input/output error")
        real(name, **options)

    if undone:
        with journal.start_run("scan", ()) as run:
            write_change(path, identify(path), JAZZ, journal=run, in_place=True)
        before = path.read_bytes()
    monkeypatch.setattr(os, "unlink", unlink)
    if undone:
        (result,) = undo_run(journal, run.id)
        assert result.status is UndoStatus.RESTORED
    else:
        policy = Policy(0.0)
        with journal.start_run("scan", ()) as run:

            def write(track, change):
                return write_change(track.path, track.format, change, journal=run, in_place=True)

            (result,) = track_results(
                Library([str(path)]), model="fast", policy=policy, write=write, jobs=1
            )
        assert result.status == "written"
    monkeypatch.undo()
    assert refused and "could not be removed: Input/output error" in result.message
    assert len(left(path.parent)) == 2
    journal.recover()
    assert not left(path.parent) and is_settled(journal)
    assert [change.settled for change in journal.changes(run.id)] == [True]
