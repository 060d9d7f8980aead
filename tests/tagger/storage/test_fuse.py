"""What a file system in user space does to a write: a real one, mounted for the test."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest

from tagger.containers.formats import MP3
from tagger.containers.read import read_tags
from tagger.containers.write import Change, write_change
from tagger.journal.journal import Journal
from tagger.storage.at_rest import check_at_rest
from tagger.storage.replace_file import TEMPORARY_PREFIX, replace_file
from tagger.system.errors import RefusedError, WriteFailedError
from tests.tagger.loopback import mounted

OLD = b"old " * 50_000
NEW = b"new " * 60_000


@pytest.fixture
def fuse(tmp_path):
    with mounted(tmp_path) as (mount, control):
        (mount / "track.mp3").write_bytes(OLD)
        yield mount / "track.mp3", control


def write(track: Path) -> None:
    replace_file(track, lambda copy: Path(copy).write_bytes(NEW), lambda *paths: None)


def names(track: Path) -> list[str]:
    return sorted(path.name for path in track.parent.iterdir())


def test_a_file_is_replaced(fuse):
    track, _ = fuse
    write(track)
    assert track.read_bytes() == NEW
    assert names(track) == ["track.mp3"]


def test_whoever_has_it_open_for_writing_is_noticed(fuse):
    track, _ = fuse
    with track.open("r+b"), pytest.raises(RefusedError, match="open for writing"):
        check_at_rest(track, min_age_s=0)
    with track.open("rb"):
        check_at_rest(track, min_age_s=0)


def test_libfuse_hides_what_is_open(fuse):
    """Else the tests below say nothing."""
    track, control = fuse
    control.write_text("once")
    other = track.with_name(f"{TEMPORARY_PREFIX}1")
    other.write_bytes(NEW)
    with track.open("rb"), pytest.raises(OSError, match="Input/output"):
        other.replace(track)
    assert names(track) == [other.name]


@pytest.mark.parametrize("how", ["once", "always"])
def test_a_swap_that_fails_leaves_the_file(fuse, how):
    """Regression: both were gone, since gtag held the file open while it replaced it."""
    track, control = fuse
    control.write_text(how)
    with pytest.raises(WriteFailedError, match="not written: Input/output error"):
        write(track)
    assert track.read_bytes() == OLD
    assert names(track) == ["track.mp3"]


@pytest.mark.parametrize("held", [False, True])
def test_a_swap_that_was_done_and_called_failed(fuse, held):
    track, control = fuse
    control.write_text("late")
    with track.open("rb") if held else nullcontext(), pytest.raises(WriteFailedError) as failed:
        write(track)
    assert failed.value.message == "written, but the system said: Input/output error"
    below = track.parent.with_name("below")  # for a second, Linux knows the name from before
    assert (below / track.name).read_bytes() == NEW
    assert not [path for path in below.iterdir() if path.name.startswith(TEMPORARY_PREFIX)]


def test_what_a_player_holds_open_is_not_the_last_one(fuse):
    """libfuse hides the file for the player's sake, and then fails to rename."""
    track, control = fuse
    control.write_text("once")
    with track.open("rb") as player:
        with pytest.raises(WriteFailedError, match="written, but the system said"):
            write(track)
        assert player.read() == OLD
    assert track.read_bytes() == NEW
    assert names(track) == ["track.mp3"]


def test_the_copy_is_kept_where_it_is_the_last_one(fuse):
    track, control = fuse
    control.write_text("always")
    with track.open("rb"), pytest.raises(WriteFailedError, match="nothing has its name") as failed:
        write(track)
    (kept,) = names(track)
    assert kept.startswith(TEMPORARY_PREFIX) and kept in str(failed.value)
    assert track.with_name(kept).read_bytes() == NEW


def test_the_kept_copy_gets_the_name_when_the_run_ends(fuse, make_audio, tmp_path):
    track, control = fuse
    track.write_bytes(make_audio(".mp3").read_bytes())
    control.write_text("always")
    with Journal(tmp_path / "journal.sqlite") as journal:
        run = journal.start_run("scan", ())
        with track.open("rb"), pytest.raises(WriteFailedError, match="nothing has its name"):
            write_change(track, MP3, Change(("Jazz",)), journal=run)
        run.finish()
        assert len(names(track)) == 1 and not track.exists(), "the disk still fails"
        control.unlink()
        journal.recover()
        assert [change.settled for change in journal.changes(run.id)] == [True]
    assert read_tags(track, MP3).genres == ("Jazz",)
    assert names(track) == ["track.mp3"]
