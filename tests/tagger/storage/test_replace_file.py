from __future__ import annotations

import contextlib
import errno
import fcntl
import mmap
import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tagger.storage import at_rest, swap
from tagger.storage import replace_file as replace_module
from tagger.storage.identity import Identity
from tagger.storage.replace_file import TEMPORARY_PREFIX, replace_file
from tagger.system.errors import RefusedError, UnreadableError, WriteFailedError
from tests.tagger.faults import Faults, injected

OLD = b"old " * 50_000
NEW = b"new " * 60_000


@pytest.fixture
def track(tmp_path):
    path = tmp_path / "track.mp3"
    path.write_bytes(OLD)
    return path


def edit(copy: str) -> None:
    assert Path(copy).read_bytes() == OLD
    with open(copy, "r+b") as file:
        file.write(NEW)


def accept(original: str, copy: str) -> None:
    assert Path(original).read_bytes() == OLD
    assert Path(copy).read_bytes() == NEW


def left_behind(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.name.startswith(TEMPORARY_PREFIX)]


@pytest.fixture
def settled(track, monkeypatch):
    """What the track's last change is in a library: so long ago that another one shows."""
    monkeypatch.setattr(at_rest, "_SETTLED_S", 0.0)
    if not at_rest.shows_every_change(track, track.stat()):
        pytest.skip("this file system does not tell of every change")
    probe = track.with_name("probe")
    while not probe.exists() or probe.stat().st_ctime_ns <= track.stat().st_ctime_ns:
        probe.write_bytes(b"")
    probe.unlink()


@pytest.fixture(params=["just changed", "settled"])
def at_any_age(request):
    if request.param == "settled":
        request.getfixturevalue("settled")


def test_replaces_the_file_and_calls_the_hooks_in_their_order(track):
    calls = []

    def before_copy(copy, backup):
        assert not Path(copy).exists() and backup is None
        calls.append("before_copy")

    def before_swap(before, after, copy):
        assert track.read_bytes() == OLD
        assert before == Identity.of(track)
        assert after == Identity.of(copy)
        calls.append("before_swap")

    def after_swap():
        assert track.read_bytes() == NEW
        calls.append("after_swap")

    replace_file(
        track, edit, accept, before_copy=before_copy, before_swap=before_swap, after_swap=after_swap
    )
    assert calls == ["before_copy", "before_swap", "after_swap"]
    assert track.read_bytes() == NEW
    assert not left_behind(track.parent)


def test_identity_after_is_that_of_the_finished_file(track):
    seen = []
    replace_file(track, edit, accept, before_swap=lambda before, after, copy: seen.append(after))
    assert seen == [Identity.of(track)]


def test_the_copy_is_beside_hidden_private_and_keeps_the_suffix(track):
    track.chmod(0o644)

    def look(copy: str) -> None:
        assert Path(copy).parent == track.parent
        assert Path(copy).name.startswith(TEMPORARY_PREFIX)
        assert Path(copy).suffix == ".mp3"
        assert stat.S_IMODE(Path(copy).stat().st_mode) == 0o600
        edit(copy)

    replace_file(track, look, accept)
    assert stat.S_IMODE(track.stat().st_mode) == 0o644


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666, 0o755, 0o2664])
def test_keeps_the_mode(track, mode):
    track.chmod(mode)
    replace_file(track, edit, accept)
    assert stat.S_IMODE(track.stat().st_mode) == mode


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_keeps_the_owner(track):
    os.chown(track, 1234, 5678)
    replace_file(track, edit, accept)
    assert (track.stat().st_uid, track.stat().st_gid) == (1234, 5678)


def test_refuses_where_the_owner_cannot_go_along(track, monkeypatch):
    """What an ordinary user meets with another one's file in a shared folder."""
    status = os.stat_result(
        [track.stat()[i] if i not in (4, 5) else 4321 for i in range(10)],
        {"st_mtime_ns": track.stat().st_mtime_ns, "st_atime_ns": track.stat().st_atime_ns},
    )
    real = Path.stat
    monkeypatch.setattr(Path, "stat", lambda p, **o: status if p == track else real(p, **o))

    def not_allowed(*arguments):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "chown", not_allowed)
    with pytest.raises(RefusedError, match="cannot be copied"):
        replace_file(track, edit, accept)
    assert track.read_bytes() == OLD
    assert not left_behind(track.parent)


def test_keeps_extended_attributes(track):
    try:
        os.setxattr(track, "user.mood", b"dry")
        os.setxattr(track, "user.empty", b"")
    except (OSError, AttributeError):
        pytest.skip("no extended attributes here")
    replace_file(track, edit, accept)
    assert {name: os.getxattr(track, name) for name in os.listxattr(track)} == {
        "user.mood": b"dry",
        "user.empty": b"",
    }


def lsattr(path: Path) -> str:
    return subprocess.run(["lsattr", path], capture_output=True, text=True, check=True).stdout[:22]


def test_keeps_the_flags_of_chattr(track):
    """A file that `dump` leaves out, or whose bytes are written at once, was neither any more."""
    if subprocess.run(["chattr", "+dASs", track], capture_output=True, check=False).returncode:
        pytest.skip("no flags here")
    flags = lsattr(track)
    replace_file(track, edit, accept)
    assert lsattr(track) == flags and {*"dASs"} <= {*flags}


def test_a_sparse_file_stays_sparse(tmp_path):
    """20 kB became 200 MB."""
    path = tmp_path / "track.wav"
    with open(path, "wb") as file:
        file.write(b"head")
        file.seek(50 << 20)
        file.write(b"tail")
    before = path.stat()
    if before.st_blocks * 512 > 1 << 20:
        pytest.skip("no sparse files here")

    def edit(copy):
        with open(copy, "r+b") as file:
            file.write(b"HEAD")

    replace_file(path, edit, lambda original, copy: None)
    after = path.stat()
    assert after.st_size == before.st_size and after.st_blocks * 512 <= 256 << 10
    content = path.read_bytes()
    assert (content[:4], content[-4:], content.count(0)) == (b"HEAD", b"tail", (50 << 20) - 4)


def two_names(call):
    """Let an ACL have another name, too, as XFS does for root; what is gone cannot be removed."""
    ours, alias = "system.posix_acl_access", "trusted.SGI_ACL_FILE"

    def changed(path, *arguments):
        if call.__name__ == "removexattr" and ours not in os.listxattr(path):
            raise OSError(errno.ENODATA, "No data available")
        done = call(path, *(ours if name == alias else name for name in arguments))
        return [*done, alias] if isinstance(done, list) and ours in done else done

    return changed


@pytest.mark.parametrize("names", [1, 2])
def test_keeps_an_acl_and_inherits_none(tmp_path, names, monkeypatch):
    """Regression: on XFS a file in a folder with a default ACL was sometimes not written by root:
    "No data available".
    """

    # As the kernel encodes them: version 2, then tag, permissions and id of each entry.
    def acl(*entries: tuple[int, int, int]) -> bytes:
        numbers = b"".join(
            tag.to_bytes(2, "little") + allowed.to_bytes(2, "little") + who.to_bytes(4, "little")
            for tag, allowed, who in entries
        )
        return (2).to_bytes(4, "little") + numbers

    nobody = 0xFFFFFFFF
    access = acl((1, 6, nobody), (2, 6, 1234), (4, 4, nobody), (16, 6, nobody), (32, 4, nobody))
    default = acl((1, 7, nobody), (2, 7, 77), (4, 5, nobody), (16, 7, nobody), (32, 5, nobody))
    plain, shared = tmp_path / "plain.mp3", tmp_path / "shared.mp3"
    for path in (plain, shared):
        path.write_bytes(OLD)
    try:
        os.setxattr(shared, "system.posix_acl_access", access)
        os.setxattr(tmp_path, "system.posix_acl_default", default)
    except (OSError, AttributeError):
        pytest.skip("no ACLs here")
    with monkeypatch.context() as patch:
        for call in ("listxattr", "getxattr", "setxattr", "removexattr") if names == 2 else ():
            patch.setattr(os, call, two_names(getattr(os, call)))
        for path in (plain, shared):
            replace_file(path, edit, accept)
    assert os.listxattr(plain) == []
    assert os.getxattr(shared, "system.posix_acl_access") == access


@pytest.mark.parametrize("linked", [False, True])
def test_time_of_modification(track, linked):
    if linked:
        os.link(track, track.with_name("other name"))
    os.utime(track, ns=(1_111_111_111_111_111_111, 1_222_222_222_222_222_222))
    replace_file(track, edit, accept, preserve_mtime=True, in_place=linked)
    assert track.stat().st_mtime_ns == 1_222_222_222_222_222_222
    track.write_bytes(OLD)
    os.utime(track, ns=(1_111_111_111_111_111_111, 1_222_222_222_222_222_222))
    replace_file(track, edit, accept, in_place=linked)
    assert track.stat().st_mtime_ns > 1_222_222_222_222_222_222


@pytest.mark.parametrize("linked", [False, True])
def test_times_of_the_folder_are_kept_too(track, linked):
    """Regression: `--preserve-mtime` left the folder with the time of the write."""
    if linked:
        os.link(track, track.with_name("other name"))
    then = (1_111_111_111_111_111_111, 1_222_222_222_222_222_222)

    def refuse(original, copy):
        raise WriteFailedError("no", path=original)

    os.utime(track.parent, ns=then)
    with pytest.raises(WriteFailedError):
        replace_file(track, edit, refuse, preserve_mtime=True, in_place=linked)
    assert track.parent.stat().st_mtime_ns == then[1]
    replace_file(track, edit, accept, preserve_mtime=True, in_place=linked)
    assert (track.read_bytes(), track.parent.stat().st_mtime_ns) == (NEW, then[1])

    def edit_beside_another_program(copy):
        track.with_name("new.mp3").touch()
        edit(copy)

    track.write_bytes(OLD)
    replace_file(track, edit_beside_another_program, accept, preserve_mtime=True, in_place=linked)
    assert track.parent.stat().st_mtime_ns > then[1], "others must notice the new file"
    os.utime(track.parent, ns=then)
    track.write_bytes(OLD)
    replace_file(track, edit, accept, in_place=linked)
    assert track.parent.stat().st_mtime_ns > then[1]


def test_a_symbolic_link_stays_and_its_target_is_written(track, tmp_path):
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    link = folder / "link.mp3"
    link.symlink_to("../track.mp3")
    replace_file(link, edit, accept)
    assert link.is_symlink() and link.readlink() == Path("../track.mp3")
    assert track.read_bytes() == NEW


@pytest.mark.parametrize(
    "name",
    [
        "n" * 251 + ".mp3",
        "n." + "suffix" * 42,
        os.fsdecode(b"\xff\xfe not UTF-8 \x80.ogg"),
        "-rf.mp3",
        "esc\x1b]0;title\x07\r\n\u202e.mp3",
        " ",
    ],
)
def test_any_name(tmp_path, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(OLD)
    replace_file(name, edit, accept)
    assert Path(name).read_bytes() == NEW
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_hard_links_are_refused_or_written_through(track):
    other = track.with_name("other.mp3")
    os.link(track, other)
    with pytest.raises(RefusedError, match="2 names") as refused:
        replace_file(track, edit, accept)
    assert "--in-place" in str(refused.value)
    assert track.read_bytes() == OLD

    named = []
    replace_file(
        track, edit, accept, in_place=True, before_copy=lambda copy, backup: named.append(backup)
    )
    assert named[0] is not None
    assert track.read_bytes() == other.read_bytes() == NEW
    assert track.samefile(other)
    assert not left_behind(track.parent)


def test_in_place_still_swaps_files_with_one_name(track):
    inode = track.stat().st_ino
    replace_file(track, edit, accept, in_place=True)
    assert track.stat().st_ino != inode


def test_written_through_to_something_shorter(track):
    os.link(track, track.with_name("other.mp3"))
    replace_file(track, lambda copy: os.truncate(copy, 3), lambda *paths: None, in_place=True)
    assert track.read_bytes() == OLD[:3]


def test_read_only_files_and_folders_are_refused_even_for_root(track):
    track.chmod(0o444)
    with pytest.raises(RefusedError, match="the file is read-only"):
        replace_file(track, edit, accept)
    track.chmod(0o644)
    track.parent.chmod(0o555)
    try:
        with pytest.raises(RefusedError, match="folder is read-only"):
            replace_file(track, edit, accept)
    finally:
        track.parent.chmod(0o755)
    assert track.read_bytes() == OLD


def test_what_is_no_regular_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp3")
    for path in (tmp_path / "pipe.mp3", tmp_path):
        with pytest.raises(RefusedError, match="not a regular file"):
            replace_file(path, edit, accept)


def test_a_missing_file_fails_by_its_name(tmp_path):
    with pytest.raises(WriteFailedError, match="No such file") as failed:
        replace_file(tmp_path / "gone.mp3", edit, accept)
    assert failed.value.path == str(tmp_path / "gone.mp3")


@pytest.mark.parametrize("moment", ["edit", "verify", "before_swap"])
@pytest.mark.parametrize("linked", [False, True])
@pytest.mark.parametrize("how", ["rewritten", "replaced", "appended"])
def test_a_file_that_somebody_touched_meanwhile_is_left_to_them(
    track, moment, linked, how, at_any_age
):
    theirs = OLD.replace(b"old", b"THE")
    if linked:
        os.link(track, track.with_name("other.mp3"))

    def touch(*arguments):
        if how == "rewritten":
            track.write_bytes(theirs)
        elif how == "replaced":
            track.with_name("theirs").write_bytes(theirs)
            track.with_name("theirs").replace(track)
        else:
            with track.open("ab") as file:
                file.write(b"theirs")

    now = {"edit": edit, "verify": lambda *paths: None, "before_swap": lambda *arguments: None}
    calm = now[moment]
    now[moment] = lambda *arguments: (calm(*arguments), touch())
    with pytest.raises(RefusedError, match="another program changed it") as refused:
        replace_file(
            track, now["edit"], now["verify"], before_swap=now["before_swap"], in_place=linked
        )
    assert refused.value.path == str(track)
    assert track.read_bytes() == (OLD + b"theirs" if how == "appended" else theirs)
    assert not left_behind(track.parent)


@pytest.mark.parametrize("moment", ["edit", "verify", "before_swap"])
@pytest.mark.parametrize("linked", [False, True])
@pytest.mark.parametrize("how", ["rewritten", "replaced", "mapped"])
def test_an_edit_of_equal_size_whose_time_was_put_back_is_not_lost(
    track, moment, linked, how, at_any_age
):
    """Tag editors keep the size (padding) and, on request, the time of modification."""
    theirs = OLD.replace(b"old", b"THE")
    before = track.stat()
    if linked:
        os.link(track, track.with_name("other.mp3"))
    seen = track.stat()

    def touch(*arguments):
        if how == "replaced":
            track.with_name("theirs").write_bytes(theirs)
            track.with_name("theirs").replace(track)
        while True:  # until the clock of files, which ticks in ms, has moved on
            if how == "mapped":
                with track.open("r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
                    memory[:] = theirs
            else:
                track.write_bytes(theirs)
            os.utime(track, ns=(before.st_atime_ns, before.st_mtime_ns))
            if track.stat().st_ctime_ns != seen.st_ctime_ns:
                break

    now = {"edit": edit, "verify": lambda *paths: None, "before_swap": lambda *arguments: None}
    calm = now[moment]
    now[moment] = lambda *arguments: (calm(*arguments), touch())
    with pytest.raises(RefusedError, match="another program changed it"):
        replace_file(
            track, now["edit"], now["verify"], before_swap=now["before_swap"], in_place=linked
        )
    assert track.read_bytes() == theirs
    assert track.stat().st_mtime_ns == before.st_mtime_ns
    assert not left_behind(track.parent)


@pytest.mark.parametrize("how", ["exchanged", "replaced", "unwatched"])
@pytest.mark.parametrize("moment", ["edit", "verify", "before_swap"])
def test_what_is_replaced_is_what_was_copied_whatever_its_times_say(
    track, moment, how, monkeypatch
):
    """On file systems that do not tell the time of the last change, the content does."""
    if how == "replaced":
        monkeypatch.setattr(swap, "_renameat2", lambda: None)
    elif how == "unwatched":
        monkeypatch.setattr(swap, "is_watched_wholly", lambda path: False)
    theirs = OLD.replace(b"old", b"THE")
    status = track.stat()
    real = Path.stat
    monkeypatch.setattr(Path, "stat", lambda p, **o: status if p == track else real(p, **o))
    intents = []
    now = {"edit": edit, "verify": lambda *paths: None, "before_swap": lambda *i: intents.append(i)}
    calm = now[moment]
    now[moment] = lambda *arguments: (calm(*arguments), track.write_bytes(theirs))
    with pytest.raises(RefusedError, match="another program changed it"):
        replace_file(track, now["edit"], now["verify"], before_swap=now["before_swap"])
    assert track.read_bytes() == theirs
    if how == "unwatched":  # elsewhere all of it is read later still
        assert bool(intents) == (moment == "before_swap")


THEIRS = b"THE EDIT"


def save(file) -> None:
    file.write(THEIRS)
    file.flush()


@pytest.mark.parametrize("linked", [False, True])
@pytest.mark.parametrize("moment", ["edit", "verify", "before_swap"])
def test_whoever_opens_it_to_write_meanwhile_is_noticed(track, moment, linked, at_any_age):
    """Regression: that was asked before the copy only; what they saved after the swap was lost."""
    if linked:
        os.link(track, track.with_name("other.mp3"))
    now = {"edit": edit, "verify": lambda *paths: None, "before_swap": lambda *arguments: None}
    calm, opened = now[moment], []
    now[moment] = lambda *arguments: (calm(*arguments), opened.append(track.open("r+b")))
    with pytest.raises(RefusedError, match="another program has it open for writing"):
        replace_file(
            track, now["edit"], now["verify"], before_swap=now["before_swap"], in_place=linked
        )
    with opened[0] as file:
        save(file)
    assert track.read_bytes() == THEIRS + OLD[len(THEIRS) :]
    assert not left_behind(track.parent)


@pytest.mark.parametrize("how", ["saved", "saved with its time", "about to save", "mapped"])
def test_an_edit_between_the_last_check_and_the_swap_is_not_lost(track, monkeypatch, how):
    """Of the old file, found by its name before the exchange."""
    real, opened, seen = swap._rename, [], track.stat()

    def edit_first(*arguments):
        if not opened:
            opened.append(track.open("r+b"))
            if how == "mapped":
                opened.append(mmap.mmap(opened[0].fileno(), len(THEIRS)))
                opened[0].close()
            if how.startswith("saved"):
                save(opened[0])
                opened[0].close()
            if how == "saved with its time":
                os.utime(track, ns=(seen.st_atime_ns, seen.st_mtime_ns))
        return real(*arguments)

    monkeypatch.setattr(swap, "_rename", edit_first)
    with pytest.raises(RefusedError, match="another program changed it"):
        replace_file(track, edit, accept)
    if not how.startswith("saved"):
        opened[-1].write(THEIRS)
        opened[-1].flush()
        opened[-1].close()
    assert track.read_bytes() == THEIRS + OLD[len(THEIRS) :]
    assert track.stat().st_ino == seen.st_ino
    assert not left_behind(track.parent)


@pytest.mark.parametrize("at", ["before the swap", "after the swap"])
def test_whoever_comes_to_edit_a_settled_file_at_the_swap_waits(track, settled, monkeypatch, at):
    """They write into the file that keeps the name, whichever they had found by it."""
    real_rename, real_lease, leases = swap._rename, swap.Lease, []
    first, seen = Path(f"/proc/self/fd/{os.open(track, os.O_RDONLY)}"), track.stat()

    def edit_in_a_while():
        with first.open("r+b") as file:
            save(file)

    editor = threading.Thread(target=edit_in_a_while)

    def come():
        if not editor.ident:
            editor.start()
            while leases[-1].holds:
                time.sleep(0.001)

    def rename(*arguments):
        if at == "before the swap":
            come()
        done = real_rename(*arguments)
        come()
        return done

    monkeypatch.setattr(swap, "_rename", rename)
    monkeypatch.setattr(swap, "Lease", lambda path: leases.append(real_lease(path)) or leases[-1])
    with pytest.raises(RefusedError, match="another program changed it"):
        replace_file(track, edit, accept)
    editor.join()
    os.close(int(first.name))
    assert track.read_bytes() == THEIRS + OLD[len(THEIRS) :]
    assert track.stat().st_ino == seen.st_ino
    assert not left_behind(track.parent)


@pytest.mark.parametrize("kind", ["settled", "just changed", "on FAT"])
def test_the_old_file_is_read_again_where_its_times_do_not_say_enough(
    track, settled, monkeypatch, kind
):
    if kind == "just changed":
        monkeypatch.setattr(at_rest, "_SETTLED_S", 3600.0)
    elif kind == "on FAT":
        monkeypatch.setattr(at_rest, "_file_system", lambda path: "vfat")
    real, reread = swap._is_untouched, []
    monkeypatch.setattr(swap, "_is_untouched", lambda *args: reread.append(args) or real(*args))
    replace_file(track, edit, accept)
    assert track.read_bytes() == NEW
    assert bool(reread) == (kind != "settled")


def test_an_edit_through_memory_that_was_mapped_before_is_not_lost(track, settled):
    """The time of the last change may not tell of it: others do not see when it is written to."""
    with track.open("r+b") as file:
        memory = mmap.mmap(file.fileno(), 0)
    middle = len(OLD) // 2  # the ends are always compared
    memory[middle] = OLD[middle]

    def edit_and_unmap(copy):
        edit(copy)
        memory[middle] = ord("!")
        memory.close()

    with pytest.raises(RefusedError, match="another program changed it"):
        replace_file(track, edit_and_unmap, lambda *paths: None)
    assert track.read_bytes() == OLD[:middle] + b"!" + OLD[middle + 1 :]


def test_an_edit_of_the_old_file_and_one_of_the_new(track, monkeypatch):
    """Both stay: nobody but a person can tell which is wanted."""
    real = swap._rename

    def edit_both(*arguments):
        with track.open("r+b") as file:
            save(file)
        done = real(*arguments)
        monkeypatch.setattr(swap, "_rename", real)
        with track.open("ab") as file:
            save(file)
        return done

    monkeypatch.setattr(swap, "_rename", edit_both)
    with pytest.raises(WriteFailedError, match="changed the old file") as failed:
        replace_file(track, edit, accept)
    (kept,) = left_behind(track.parent)
    assert kept.name in str(failed.value)
    assert track.read_bytes() == THEIRS + OLD[len(THEIRS) :]
    assert kept.read_bytes() == NEW + THEIRS


def test_an_edited_old_file_that_cannot_be_put_back(track, monkeypatch):
    real, calls = swap._rename, []

    def once(*arguments):
        calls.append(arguments)
        if len(calls) > 1:
            raise OSError(errno.EIO, "Input/output error")
        with track.open("r+b") as file:
            save(file)
        return real(*arguments)

    monkeypatch.setattr(swap, "_rename", once)
    with pytest.raises(WriteFailedError, match="written, but another program changed") as failed:
        replace_file(track, edit, accept)
    (kept,) = left_behind(track.parent)
    assert kept.name in str(failed.value)
    assert track.read_bytes() == NEW
    assert kept.read_bytes() == THEIRS + OLD[len(THEIRS) :]


@pytest.mark.parametrize("what", ["chmod", "link", "attribute"])
def test_a_change_beside_the_bytes_is_not_lost_either(track, what):
    """What carries over was read before: a later change of it would be gone."""
    change = {
        "chmod": lambda: track.chmod(0o640),
        "link": lambda: os.link(track, track.with_name("other.mp3")),
        "attribute": lambda: os.setxattr(track, "user.mood", b"dry"),
    }[what]
    seen = track.stat().st_ctime_ns

    def before_swap(*identities):
        while track.stat().st_ctime_ns == seen:  # the clock of files ticks in ms
            track.with_name("other.mp3").unlink(missing_ok=True)
            try:
                change()
            except OSError:
                pytest.skip("no extended attributes here")

    with pytest.raises(RefusedError, match="another program changed it"):
        replace_file(track, edit, accept, before_swap=before_swap)
    assert track.read_bytes() == OLD


@pytest.mark.parametrize("linked", [False, True])
def test_gtag_itself_leaves_the_time_of_change_alone(track, linked):
    """Else it would take its own reading and locking for somebody else's change."""
    if linked:
        os.link(track, track.with_name("other.mp3"))
    os.utime(track, (1, 1))  # so long ago that reading it notes the time of access
    seen = track.stat()
    then = []
    replace_file(
        track, edit, accept, in_place=linked, before_swap=lambda *i: then.append(track.stat())
    )
    assert then[0].st_ctime_ns == seen.st_ctime_ns
    assert track.read_bytes() == NEW


def test_a_second_gtag_on_the_same_file_is_refused(track):
    inside, go_on = threading.Event(), threading.Event()

    def slow_edit(copy):
        inside.set()
        assert go_on.wait(10)
        edit(copy)

    first = threading.Thread(target=replace_file, args=(track, slow_edit, accept))
    first.start()
    assert inside.wait(10)
    try:
        with pytest.raises(RefusedError, match="another gtag"):
            replace_file(track, edit, accept)
    finally:
        go_on.set()
        first.join()
    assert track.read_bytes() == NEW


def test_writes_where_there_are_no_locks(track, monkeypatch):
    def unsupported(descriptor, operation):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    replace_file(track, edit, accept)
    assert track.read_bytes() == NEW


def test_gives_a_lock_back_that_shuts_itself_out(track, monkeypatch):
    """Linux turns `flock` into a mandatory lock on SMB shares."""
    import builtins

    operations = []
    monkeypatch.setattr(fcntl, "flock", lambda descriptor, what: operations.append(what))
    real = builtins.open

    def shut_out(file, *arguments, **options):
        if file == track and fcntl.LOCK_UN not in operations:
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(file, *arguments, **options)

    monkeypatch.setattr(builtins, "open", shut_out)
    replace_file(track, edit, accept)
    assert operations == [fcntl.LOCK_EX | fcntl.LOCK_NB, fcntl.LOCK_UN]
    assert track.read_bytes() == NEW


@pytest.fixture
def in_user_space(monkeypatch):
    """As on a file system whose every writer is not known: nothing is exchanged there."""
    monkeypatch.setattr(swap, "is_watched_wholly", lambda path: False)
    monkeypatch.setattr(replace_module, "tells_of_writers", lambda path: False)


def test_nothing_holds_the_file_open_while_it_is_replaced(track, in_user_space, monkeypatch):
    """Regression: libfuse hides what is open, and then removes it; see test_fuse.py."""
    real, held = os.replace, []

    def look(source, destination, **options):
        for descriptor in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(OSError):
                held.extend({str(descriptor.readlink())} & {str(track), str(source)})
        real(source, destination, **options)

    monkeypatch.setattr(os, "replace", look)
    replace_file(track, edit, accept)
    assert track.read_bytes() == NEW
    assert held == []


@pytest.mark.parametrize("again", [False, True])
def test_a_failed_swap_that_took_the_file_along(track, in_user_space, monkeypatch, again):
    """What libfuse does to a file that a player holds open."""

    def hide_and_fail(source, destination, **options):
        track.unlink()
        raise OSError(errno.EIO, "Input/output error")

    def fail(source, destination, **options):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "replace", hide_and_fail)
    if again:
        monkeypatch.setattr(os, "rename", fail)
    with pytest.raises(WriteFailedError) as failed:
        replace_file(track, edit, accept)
    if again:
        (kept,) = left_behind(track.parent)
        assert kept.read_bytes() == NEW
        assert kept.name in str(failed.value) and "nothing has its name" in str(failed.value)
    else:
        assert failed.value.message == "written, but the system said: Input/output error"
        assert track.read_bytes() == NEW
        assert not left_behind(track.parent)


@pytest.mark.parametrize("how", ["exchanged", "replaced"])
def test_a_swap_that_is_done_and_called_failed(track, monkeypatch, how):
    """A network share whose answer is lost: the new file stands, and it is said so."""
    if how == "replaced":
        monkeypatch.setattr(swap, "exchange", lambda one, other: False)
    at, struck = 0, []
    while True:
        track.write_bytes(OLD)
        faults = Faults(track.parent, at, errno.EIO, late=True)
        with injected(faults), contextlib.suppress(WriteFailedError):
            replace_file(track, edit, accept)
        if faults.struck in ("replace", "renameat2"):
            struck.append(faults.struck)
            assert track.read_bytes() == NEW
            assert not left_behind(track.parent)
        if faults.struck is None:
            break
        at += 1
    assert struck == (["renameat2"] if how == "exchanged" else ["replace"])


def test_a_failed_verification_leaves_the_original(track):
    def reject(original, copy):
        raise WriteFailedError("the copy is not as planned", path=copy)

    with pytest.raises(WriteFailedError, match="not as planned") as failed:
        replace_file(track, edit, reject)
    assert failed.value.path == str(track), "people do not know the copy's name"
    assert track.read_bytes() == OLD
    assert not left_behind(track.parent)


@pytest.mark.parametrize("error", [KeyboardInterrupt, UnreadableError("broken"), ZeroDivisionError])
@pytest.mark.parametrize("moment", ["before_copy", "edit", "verify", "before_swap", "after_swap"])
@pytest.mark.parametrize("linked", [False, True])
def test_whatever_is_raised_on_the_way_leaves_a_whole_file(track, error, moment, linked):
    if linked:
        os.link(track, track.with_name("other.mp3"))

    def fail(*arguments):
        raise error

    hooks = {moment: fail}
    with pytest.raises(error if isinstance(error, type) else type(error)):
        replace_file(
            track, hooks.pop("edit", edit), hooks.pop("verify", accept), in_place=linked, **hooks
        )
    assert track.read_bytes() == (NEW if moment == "after_swap" else OLD)
    assert not left_behind(track.parent)


@pytest.mark.parametrize("linked", [False, True])
def test_an_interrupt_at_any_call_leaves_a_whole_file(track, linked, monkeypatch):
    """Ctrl-C arrives between two calls, wherever that is."""
    other = track.with_name("other.mp3")

    class Interrupt(Faults):
        def meet(self, name):
            self.calls.append(name)
            if len(self.calls) - 1 == self._at:
                raise KeyboardInterrupt

    at = 0
    while True:
        track.write_bytes(OLD)
        if linked and not other.exists():
            os.link(track, other)
        faults = Interrupt(track.parent, at, 0)
        try:
            with injected(faults):
                replace_file(track, edit, accept, in_place=linked)
        except KeyboardInterrupt:
            assert track.read_bytes() in (OLD, NEW), faults.struck
            # The old file, once it is out of its place: the journal's to clean up.
            for left in left_behind(track.parent):
                assert (track.read_bytes(), left.read_bytes()) == (NEW, OLD), faults.struck
                left.unlink()
        if faults.struck is None:
            break
        at += 1
    assert at > 20


CODES = ["EIO", "ENOSPC", "EDQUOT", "EFBIG", "EACCES"]


@pytest.mark.parametrize("lasting", [False, True])
@pytest.mark.parametrize(
    ("how", "code"),
    [
        *(("exchanged", code) for code in CODES),
        *((how, code) for how in ("replaced", "linked") for code in CODES[:2]),
        *(
            pytest.param(how, code, marks=pytest.mark.slow)
            for how in ("replaced", "linked")
            for code in CODES[2:]
        ),
    ],
)
def test_any_call_that_fails_leaves_a_whole_file(track, code, lasting, how, monkeypatch):
    """Every open, read, write, sync, rename … of a write fails once, for each kind of failure."""
    linked = how == "linked"
    if how == "replaced":
        monkeypatch.setattr(swap, "_renameat2", lambda: None)
    other = track.with_name("other.mp3")
    at = 0
    while True:
        track.write_bytes(OLD)
        if linked and not other.exists():
            os.link(track, other)
        faults = Faults(track.parent, at, getattr(errno, code), lasting=lasting)
        torn = False
        try:
            with injected(faults):
                replace_file(track, edit, accept, in_place=linked)
        except (WriteFailedError, RefusedError) as error:
            assert error.path == str(track)
            torn = "nor put back" in error.message
            for left in (
                left_behind(track.parent) if "could not be removed" in error.message else ()
            ):
                assert lasting and left.name in str(error) and left.read_bytes() == OLD
                left.unlink()
            content = track.read_bytes()
            assert (
                torn
                or content == (NEW if "written, but" in error.message else OLD)
                or (content == NEW and linked)
            ), faults.struck
        else:
            assert track.read_bytes() == NEW
        if torn:
            assert linked and lasting, "a single failure never tears a file"
            left = left_behind(track.parent)
            assert sorted(path.read_bytes() for path in left) == [NEW, OLD], "what mends it"
            for path in left:
                path.unlink()
        assert not left_behind(track.parent), faults.struck
        if faults.struck is None:
            break
        at += 1
    assert at > 20


def test_a_disk_that_is_really_full(tmp_path):
    """The limit on file sizes is a failure that the system itself makes."""
    track = tmp_path / "track.mp3"
    track.write_bytes(OLD)
    code = (
        "import resource, signal, sys\n"
        "from tagger.system.errors import WriteFailedError\n"
        "from tagger.storage.replace_file import replace_file\n"
        "def edit(copy):\n"
        "    with open(copy, 'ab') as file: file.write(b'x' * 1_000_000)\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))\n"
        "try: replace_file(sys.argv[1], edit, lambda *paths: None)\n"
        "except WriteFailedError as error: print(error.message)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, track], capture_output=True, text=True, check=True
    )
    assert "File too large" in done.stdout
    assert track.read_bytes() == OLD
    assert list(tmp_path.iterdir()) == [track]


@pytest.mark.parametrize("linked", [False, True])
def test_the_disk_has_the_copy_before_the_intent_and_the_name_after_the_swap(track, linked):
    if linked:
        os.link(track, track.with_name("other.mp3"))
    watched = Faults(track.parent, -1, 0)
    with injected(watched):
        replace_file(
            track,
            edit,
            accept,
            before_swap=lambda *identities: watched.calls.append("intent"),
            after_swap=lambda: watched.calls.append("done"),
            in_place=linked,
        )
    calls = [name for name in watched.calls if name in ("fsync", "renameat2", "write")]
    intent = watched.calls.index("intent")
    *copy_and_edit, synced = [name for name in watched.calls[:intent] if name in calls]
    assert {*copy_and_edit} == {"write"} and synced == "fsync"
    after = [name for name in watched.calls[intent:] if name in (*calls, "done")]
    if linked and after[0] == "write":  # the backup, where it could not be cloned
        del after[0]
    backup_and_folder = ["fsync", "fsync"]
    assert after == (
        [*backup_and_folder, "write", "fsync", "done"]
        if linked
        else ["renameat2", "fsync", "fsync", "done"]
    )


@pytest.mark.parametrize("call", ["unlink", "utime"])
def test_what_fails_behind_a_file_written_in_place_is_told_and_no_failure(track, monkeypatch, call):
    """Regression: "not written", of a file that was, since its backup could not be removed."""
    os.link(track, track.with_name("other.mp3"))
    real, marked = getattr(os, call), []

    def fail(path, *arguments, **options):
        if track.read_bytes() == NEW:
            raise OSError(errno.EIO, "Input/output error")
        return real(path, *arguments, **options)

    monkeypatch.setattr(os, call, fail)
    told = replace_file(
        *(track, edit, accept),
        after_swap=lambda: marked.append(True),
        in_place=True,
        preserve_mtime=True,
    )
    monkeypatch.undo()
    assert track.read_bytes() == NEW
    assert told is not None and told.startswith("written, but ") and "Input/output error" in told
    left = left_behind(track.parent)
    assert [path.name in told for path in left] == [True] * (2 if call == "unlink" else 0)
    assert bool(marked) == (not left), "the journal's recovery has to remove what is left"
