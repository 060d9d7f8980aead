from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tagger.containers.recognise import identify
from tagger.containers.write import Change, write_change
from tagger.journal.journal import Journal, default_journal_path
from tagger.journal.undo import UndoStatus, undo_run
from tagger.storage.at_rest import is_watched_wholly
from tagger.storage.identity import Identity
from tagger.storage.replace_file import replace_file
from tagger.system.errors import ConfigurationError, WriteFailedError
from tests.tagger.faults import Faults

OLD, NEW = b"fLaC" + b"old" * 1000, b"fLaC" + b"newer" * 1000
# More than JSON, UTF-8 or a C string would like.
NASTY = {"genre": ["Rock\x00", "\udcff\udc80", "音楽", ""], "id3v1": None, "blocks": [1.5, True]}


@pytest.fixture
def journal(tmp_path):
    with Journal(tmp_path / "state" / "journal.sqlite") as journal:
        yield journal


@pytest.fixture
def track(tmp_path):
    path = tmp_path / "music" / os.fsdecode(b"tr\xffck.mp3")
    path.parent.mkdir()
    path.write_bytes(OLD)
    return path


def write(run, path, *, old=NASTY, content=NEW, after_swap=True, **options) -> None:
    pending = run.change(path, "FLAC", new={"genres": ["Jazz"]}, **options)
    pending.old = old
    replace_file(
        path,
        lambda copy: Path(copy).write_bytes(content),
        lambda *paths: None,
        before_copy=pending.before_copy,
        before_swap=pending.before_swap,
        after_swap=pending.after_swap if after_swap else None,
        **{name: options[name] for name in options if name != "undoes"},
    )


def test_remembers_runs_and_changes_across_restarts(journal, track):
    before = Identity.of(track)
    command = ("gtag", "scan", os.fsdecode(b"\xff"), "--write-tags")
    with journal.start_run("scan", command, "cnn-1") as run:
        write(run, track, preserve_mtime=True)
    with Journal(journal.path) as again:
        (record,) = again.runs()
        assert (record.id, record.kind, record.model) == (run.id, "scan", "cnn-1")
        assert record.command == command
        assert record.started <= record.ended
        assert (record.in_force, record.undone) == (1, 0)
        (change,) = again.changes(run.id)
        assert change.path == str(track)
        assert (change.format, change.settled, change.undone) == ("FLAC", True, False)
        assert (change.preserve_mtime, change.in_place) == (True, False)
        assert change.old == NASTY and change.new == {"genres": ["Jazz"]}
        assert change.before == before
        assert change.after == Identity.of(track)


def test_the_place_of_the_file_is_journalled_not_the_name_that_was_given(journal, track, tmp_path):
    link = tmp_path / "link.mp3"
    link.symlink_to(track)
    with journal.start_run("scan", ()) as run:
        write(run, link)
    assert journal.changes(run.id)[0].path == str(track)


def test_an_intent_is_on_the_disk_before_the_swap(journal, track):
    with journal.start_run("scan", ()) as run:
        pending = run.change(track, "MP3")
        pending.old = NASTY

        def look(*identities):
            pending.before_swap(*identities)
            assert track.read_bytes() == OLD
            with Journal(journal.path) as other:
                (change,) = other.changes(run.id)
                assert change.old == NASTY and not change.settled

        replace_file(
            track,
            lambda copy: Path(copy).write_bytes(NEW),
            lambda *paths: None,
            before_copy=pending.before_copy,
            before_swap=look,
            after_swap=pending.after_swap,
        )


def test_a_write_that_failed_leaves_no_change(journal, track):
    def fail(copy):
        raise WriteFailedError("no")

    with journal.start_run("scan", ()) as run:
        pending = run.change(track, "MP3")
        with pytest.raises(WriteFailedError):
            replace_file(track, fail, lambda *paths: None, before_copy=pending.before_copy)
    assert journal.changes(run.id) == []
    assert journal.runs()[0].in_force == 0


def test_the_file_is_private_and_in_the_folder_for_state(journal, monkeypatch, tmp_path):
    assert stat.S_IMODE(journal.path.stat().st_mode) == 0o600
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    if sys.platform == "linux":
        assert default_journal_path() == tmp_path / "xdg" / "gtag" / "journal.sqlite"


def test_a_special_name_is_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in (":memory:", "file:x?mode=memory", os.fsdecode(b"\xff.sqlite")):
        with Journal(name) as journal:
            journal.start_run("scan", ()).finish()
        assert Path(name).stat().st_size > 0


# What cannot be trusted is refused before anything is written.


def garbage(path: Path) -> None:
    path.write_bytes(b"not a database at all, but long enough to look at " * 100)


def foreign(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE recipes (id INTEGER)")


def newer(path: Path) -> None:
    Journal(path).close()
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")


def damaged(path: Path) -> None:
    with Journal(path) as journal, journal.start_run("scan", ["x" * 100_000]):
        pass
    content = bytearray(path.read_bytes())
    content[4096 : 4096 * 12] = os.urandom(4096 * 11)
    path.write_bytes(content)


def cut_off(path: Path) -> None:
    with Journal(path) as journal, journal.start_run("scan", ["x" * 100_000]):
        pass
    os.truncate(path, path.stat().st_size // 2)


def a_folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("spoil", [garbage, foreign, newer, damaged, cut_off, a_folder])
def test_what_is_no_journal_of_ours_is_refused_untouched(tmp_path, spoil):
    path = tmp_path / "journal.sqlite"
    spoil(path)
    content = path.read_bytes() if path.is_file() else None
    with pytest.raises(ConfigurationError) as refused:
        Journal(path)
    assert refused.value.path == str(path)
    assert "--journal" in str(refused.value) or "update" in str(refused.value)
    assert content is None or path.read_bytes() == content


def test_a_place_that_does_not_exist_and_cannot_be_made(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigurationError, match="cannot be used"):
        Journal(tmp_path / "file" / "journal.sqlite")


def test_a_place_without_locks(tmp_path, monkeypatch):
    import fcntl

    def no_locks(descriptor, operation):
        raise OSError(37, "No locks available")

    with Journal(tmp_path / "journal.sqlite") as journal:
        monkeypatch.setattr(fcntl, "flock", no_locks)
        with pytest.raises(ConfigurationError, match="No locks available"):
            journal.start_run("scan", ())
        assert journal.runs() == []


def test_a_journal_that_another_program_holds(journal, track, monkeypatch):
    journal._database.execute("PRAGMA busy_timeout = 100")
    run = journal.start_run("scan", ())
    with sqlite3.connect(journal.path) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(WriteFailedError, match="locked"):
            write(run, track)
        with pytest.raises(ConfigurationError, match="locked"):
            journal.start_run("scan", ())
    assert track.read_bytes() == OLD
    run.finish()


@pytest.mark.parametrize("room", range(3))
def test_a_full_journal_stops_the_write_not_the_file(journal, track, room):
    """At whichever page it becomes full: nothing is written that could not be taken back."""
    run = journal.start_run("scan", ())
    pages = journal._database.execute("PRAGMA page_count").fetchone()[0]
    journal._database.execute(f"PRAGMA max_page_count = {pages + room}")
    with pytest.raises(WriteFailedError, match="full") as failed:
        write(run, track, old=["x" * 100_000])
    assert failed.value.path == str(journal.path)
    assert track.read_bytes() == OLD
    assert [path.name for path in track.parent.iterdir()] == [track.name]
    journal._database.execute("PRAGMA max_page_count = 1000000")
    write(run, track)
    run.finish()
    assert len(journal.changes(run.id)) == 1


def test_a_journal_that_vanished_stops_the_write(journal, track):
    run = journal.start_run("scan", ())
    for path in journal.path.parent.iterdir():
        path.unlink()
    journal.path.parent.rmdir()
    with pytest.raises(WriteFailedError, match="journal cannot be used"):
        write(run, track)
    assert track.read_bytes() == OLD


def test_on_a_local_disk_each_commit_waits_for_it_once(journal):
    """Thirteen waits a file made an undo of 3,531 files take minutes."""
    if not is_watched_wholly(journal.path):
        pytest.skip("no local disk of Linux")
    assert (journal._pragma("journal_mode"), journal._pragma("synchronous")) == ("wal", 2)


# Runs that were cut off.


def cut_off_run(journal_path: Path, code: str, *arguments: object) -> None:
    """Run code with a started run in a process that kills itself within."""
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from tagger.journal.journal import Journal\n"
        "from tagger.storage import durable_io, replace_file as module\n"
        "from tagger.storage.replace_file import replace_file\n"
        "def die(*anything): os.kill(os.getpid(), signal.SIGKILL)\n"
        "journal = Journal(sys.argv[1]); run = journal.start_run('scan', sys.argv)\n"
        "path = sys.argv[2]; pending = run.change(path, 'FLAC'); pending.old = ['old']\n"
        "hooks = dict(edit=lambda copy: Path(copy).write_bytes(b'fLaC' + b'newer' * 1000),\n"
        "    verify=lambda *paths: None, before_copy=pending.before_copy,\n"
        "    before_swap=pending.before_swap, after_swap=pending.after_swap)\n" + code
    )
    done = subprocess.run([sys.executable, "-c", program, journal_path, *map(str, arguments)])
    assert done.returncode == -signal.SIGKILL


@pytest.mark.parametrize("linked", [False, True])
@pytest.mark.parametrize("moment", ["edit", "verify", "before_swap", "after_swap"])
def test_a_crash_at_any_moment_is_understood_at_the_next_start(journal, track, moment, linked):
    if linked:
        os.link(track, track.with_name("other.mp3"))
    bystander = track.with_name(".gtag-0123456789abcdef.mp3")
    bystander.write_bytes(b"not named in the journal")
    cut_off_run(
        journal.path,
        f"hooks['{moment}'] = die\nreplace_file(path, in_place={linked}, **hooks)",
        track,
    )
    (first,) = journal.runs()
    assert first.ended is None and not journal.is_live(first.id)
    swapped = moment == "after_swap"
    assert track.read_bytes() == (NEW if swapped else OLD)

    journal.start_run("scan", ()).finish()
    assert track.read_bytes() == (NEW if swapped else OLD)
    changes = journal.changes(first.id)
    assert [change.settled for change in changes] == [True] * swapped
    assert {path.name for path in track.parent.iterdir()} - {"other.mp3"} == {
        track.name,
        bystander.name,
    }


@pytest.mark.parametrize("written", [0, 5, 2500, 5003, 5004])
def test_a_file_torn_while_written_in_place_is_mended(journal, track, written):
    other = track.with_name("other.mp3")
    os.link(track, other)
    cut_off_run(
        journal.path,
        "def tear(copy, target):\n"
        "    with open(target, 'r+b') as file:\n"
        f"        file.write((b'fLaC' + b'newer' * 1000)[:{written}])\n"
        "    die()\n"
        "module.overwrite = tear\n"
        "replace_file(path, in_place=True, **hooks)",
        track,
    )
    assert (track.read_bytes() in (OLD, NEW)) == (written in (0, 5004))
    journal.recover()
    assert track.read_bytes() == other.read_bytes() == (NEW if written == 5004 else OLD)
    assert track.samefile(other)
    assert {path.name for path in track.parent.iterdir()} == {track.name, other.name}
    assert len(journal.changes(1)) == (written == 5004)


def test_a_torn_file_is_not_mended_over_somebody_s_new_one(journal, track):
    os.link(track, track.with_name("other.mp3"))
    cut_off_run(
        journal.path,
        "def tear(copy, target):\n    open(target, 'r+b').write(b'torn'); die()\n"
        "module.overwrite = tear\n"
        "replace_file(path, in_place=True, **hooks)",
        track,
    )
    track.unlink()
    track.write_bytes(b"a better copy from the CD")
    journal.recover()
    assert track.read_bytes() == b"a better copy from the CD"


CUT_OFF_AFTER_EXCHANGE = (
    "from tagger.storage import swap\nswap._is_untouched = die\nreplace_file(path, **hooks)"
)


def test_a_crash_between_exchange_and_removal(journal, track):
    """The old file has the copy's name then."""
    cut_off_run(journal.path, CUT_OFF_AFTER_EXCHANGE, track)
    (old,) = (path for path in track.parent.iterdir() if path != track)
    assert (track.read_bytes(), old.read_bytes()) == (NEW, OLD)
    journal.recover()
    assert [*track.parent.iterdir()] == [track]
    assert track.read_bytes() == NEW
    assert [change.settled for change in journal.changes(1)] == [True]


def test_an_edit_that_a_crash_left_under_the_name_of_the_copy_stays(journal, track, caplog):
    cut_off_run(journal.path, CUT_OFF_AFTER_EXCHANGE, track)
    (old,) = (path for path in track.parent.iterdir() if path != track)
    old.write_bytes(b"their edit")
    journal.recover()
    journal.recover()
    assert (track.read_bytes(), old.read_bytes()) == (NEW, b"their edit")
    (warning,) = caplog.messages
    assert old.name in warning


@pytest.mark.parametrize("code", [CUT_OFF_AFTER_EXCHANGE, "hooks['after_swap'] = die\n"])
def test_the_last_whole_file_gets_the_name_back(journal, track, caplog, code):
    """Regression: a copy was removed behind a crash even where nothing else was left."""
    before_swap = code != CUT_OFF_AFTER_EXCHANGE
    if before_swap:
        code = "from tagger.storage import swap\nswap.exchange = die\nreplace_file(path, **hooks)"
    cut_off_run(journal.path, code, track)
    track.unlink()
    journal.recover()
    assert track.read_bytes() == (NEW if before_swap else OLD)
    assert [*track.parent.iterdir()] == [track]
    assert "it was gone" in caplog.text


def test_an_interrupt_between_swap_and_mark_counts_as_done(journal, track):
    with journal.start_run("scan", ()) as run:
        write(run, track, after_swap=False)
    assert [change.settled for change in journal.changes(run.id)] == [True]


def test_a_file_changed_since_the_crash_counts_as_written(journal, track):
    """So that undo refuses it by name, rather than pass over it in silence."""
    cut_off_run(journal.path, "hooks['after_swap'] = die\nreplace_file(path, **hooks)", track)
    track.write_bytes(b"theirs")
    journal.recover()
    assert len(journal.changes(1)) == 1
    assert track.read_bytes() == b"theirs"


def test_what_is_out_of_reach_is_settled_when_it_is_back(journal, track, tmp_path):
    cut_off_run(journal.path, "hooks['verify'] = die\nreplace_file(path, **hooks)", track)
    away = tmp_path / "unmounted"
    track.parent.rename(away)
    journal.recover()
    assert len(list(away.iterdir())) == 2
    away.rename(track.parent)
    journal.recover()
    assert list(track.parent.iterdir()) == [track]


def test_the_temporary_files_of_a_living_run_are_left_alone(journal, track):
    with journal.start_run("scan", ()) as run:
        pending = run.change(track, "MP3")

        def look(copy):
            assert journal.is_live(run.id)
            with Journal(journal.path) as other:
                other.start_run("undo", ()).finish()
            assert Path(copy).read_bytes() == OLD

        replace_file(
            track,
            look,
            lambda *paths: None,
            before_copy=pending.before_copy,
            before_swap=pending.before_swap,
        )
    assert not journal.is_live(run.id)


def test_two_scans_share_a_journal(journal, tmp_path):
    files = [tmp_path / f"{number}.mp3" for number in range(40)]
    for file in files:
        file.write_bytes(OLD)
    errors = []

    def scan(part):
        try:
            with Journal(journal.path) as mine, mine.start_run("scan", ()) as run:
                for file in part:
                    write(run, file)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=scan, args=(files[half::2],)) for half in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert [record.in_force for record in journal.runs()] == [20, 20]
    assert all(record.ended for record in journal.runs())
    # Only the journal stays in its folder: no locks, and, once it is closed, no SQLite files.
    journal.close()
    assert list(journal.path.parent.iterdir()) == [journal.path]


# Undo's bookkeeping.


def test_an_undo_of_an_undo_puts_the_change_back_in_force(journal, track):
    states = []
    with journal.start_run("scan", ()) as scan:
        write(scan, track)
    undoes = journal.changes(scan.id)[0].id
    for turn in range(3):
        with journal.start_run("undo", ()) as run:
            write(run, track, content=b"turn %d" % turn, undoes=undoes)
        undoes = journal.changes(run.id)[0].id
        states.append([(record.in_force, record.undone) for record in reversed(journal.runs())])
    on, off = (1, 0), (0, 1)
    assert states == [[off, on], [on, off, on], [off, on, off, on]]


def test_what_an_undo_made_stands_for_what_was_before(journal, track):
    with journal.start_run("scan", ()) as first:
        write(first, track, content=b"first")
    with journal.start_run("scan", ()) as second:
        write(second, track, content=b"second")
    (change,) = journal.changes(second.id)
    with journal.start_run("undo", ()) as undo:
        write(undo, track, content=b"first, with padding", undoes=change.id)
    lineage = journal.lineage()
    (result,) = journal.changes(first.id)
    assert lineage.root(Identity.of(track).digest) == lineage.root(result.after.digest)
    assert lineage.root(change.after.digest) != lineage.root(result.after.digest)
    assert len(b"first, with padding") in lineage.sizes


def test_names_the_later_run_that_changed_a_file(journal, track):
    with journal.start_run("scan", ()) as first:
        write(first, track, content=b"first")
    (change,) = journal.changes(first.id)
    assert journal.later_run(change) is None
    with journal.start_run("scan", ()) as second:
        write(second, track, content=b"second")
    assert journal.later_run(change) == second.id
    with journal.start_run("undo", ()) as undo:
        write(undo, track, content=b"x", undoes=journal.changes(second.id)[0].id)
    assert journal.later_run(change) is None


def test_a_lock_that_cannot_be_removed_is_still_given_back(journal, monkeypatch):
    run = journal.start_run("scan", ())
    faults = Faults(journal.path.parent, 0, 5)
    real = os.unlink
    monkeypatch.setattr(os, "unlink", lambda path: faults.meet("unlink") or real(path))
    run.finish()
    monkeypatch.undo()
    assert faults.struck == "unlink"
    assert not journal.is_live(run.id)
    assert not list(journal.path.parent.glob("*.lock"))


RUN = """
import sys
from tagger.containers.recognise import identify
from tagger.journal.journal import Journal
run = Journal(sys.argv[1]).start_run("scan", ())
print(run.id, flush=True)
sys.stdin.read()
"""


def test_lock_files_of_killed_runs_are_removed_and_those_of_living_ones_stay(journal):
    def started():
        command = [sys.executable, "-c", RUN, journal.path]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return process, int(process.stdout.readline())

    def locks():
        return sorted(path.name for path in journal.path.parent.glob("*.lock"))

    killed, _ = started()
    living, number = started()
    other = journal.path.with_name("other.sqlite-run1.lock")
    other.touch()
    try:
        killed.kill()
        killed.communicate()
        assert len(locks()) == 3
        journal.start_run("scan", ()).finish()
        assert locks() == [f"journal.sqlite-run{number}.lock", "other.sqlite-run1.lock"]
        assert journal.is_live(number)
    finally:
        living.communicate()
    journal.recover()
    assert locks() == ["other.sqlite-run1.lock"]


def dated(journal, run, days_ago):
    then = (datetime.now(UTC) - timedelta(days=days_ago)).isoformat()
    journal._database.execute("UPDATE runs SET started = ? WHERE id = ?", (then, run))


def test_old_runs_are_forgotten_and_younger_ones_can_be_taken_back(make_audio, tmp_path):
    pieces = [make_audio(".flac", seed=i) for i in range(3)]
    with Journal(tmp_path / "j.sqlite") as journal:
        for piece, days_ago in zip(pieces, (800, 400, 3), strict=True):
            with journal.start_run("scan", ["scan"], "m-1") as run:
                change = Change(("Jazz",), ("Jazz",), 0.9, "m-1")
                write_change(piece, identify(piece), change, journal=run)
            dated(journal, run.id, days_ago)
        # An undo outlives what it took back.
        assert [o.status for o in undo_run(journal, 1)] == [UndoStatus.RESTORED]
        pruned = journal.prune(365)
        assert (pruned.runs, pruned.changes) == (2, 2)
        assert [run.id for run in journal.runs()] == [4, 3]
        assert [o.status for o in undo_run(journal, 3)] == [UndoStatus.RESTORED]
        assert [o.status for o in undo_run(journal, 4)] == [UndoStatus.RESTORED]
        assert journal.prune(365).runs == 0


def test_a_journal_is_pruned_to_a_size_from_the_oldest_run_on(tmp_path):
    with Journal(tmp_path / "j.sqlite") as journal:
        for _ in range(30):
            with journal.start_run("scan", ["x" * 5000], "m-1"):
                pass
        assert 0 < journal.prune(365, largest_bytes=100_000).runs < 30
        assert journal._bytes() <= 100_000
        assert journal.runs()[0].id == 30
        with journal.start_run("scan", [], "m-1") as live:
            journal.prune(0)
            assert [run.id for run in journal.runs()] == [live.id]
