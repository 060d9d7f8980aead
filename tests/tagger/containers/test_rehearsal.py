"""A dry run promises nothing that the write refuses."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tagger.containers.read import read_tags
from tagger.containers.write import Change, check_change, write_change
from tagger.storage import replace_file
from tagger.system.errors import RefusedError
from tests.conftest import open_to_others
from tests.tagger.containers.helpers import CHANGE, form, write
from tests.tagger.containers.test_odd_files import box, with_atom

ID3 = b"ID3\x04\0\0\0\0\x01\x00" + bytes(128)


def behind_id3(data: bytes) -> bytes:
    return ID3 + data


def riff_of_size_zero(data: bytes) -> bytes:
    return data[:4] + bytes(4) + data[8:]


def broken_freeform(data: bytes) -> bytes:
    return with_atom(data, box(b"----", box(b"mean", b"\0\0")))


def broken_disk(data: bytes) -> bytes:
    return with_atom(data, box(b"disk", box(b"data", struct.pack(">2I", 0, 0) + b"\0")))


@pytest.mark.parametrize(
    ("suffix", "damage"),
    [
        (".ogg", behind_id3),
        (".opus", behind_id3),
        (".m4a", behind_id3),
        (".wav", behind_id3),
        (".wav", riff_of_size_zero),
        (".m4a", broken_freeform),
        (".m4a", broken_disk),
    ],
)
def test_a_rehearsal_refuses_what_a_write_refuses(make_audio, suffix, damage):
    path = make_audio(suffix)
    path.write_bytes(damage(path.read_bytes()))
    refused_alike(path)


def refused_alike(path):
    """What a write and a rehearsal say, who must say the same."""
    before = path.read_bytes()
    with pytest.raises(RefusedError) as written:
        write(path)
    with pytest.raises(RefusedError) as rehearsed:
        check_change(path, form(path))
    assert rehearsed.value.message == written.value.message
    assert path.read_bytes() == before
    assert not [p for p in path.parent.iterdir() if p.name.startswith(".gtag-")]
    return rehearsed.value.message


ID3_FORMATS = (".mp3", ".wav", ".aiff")


@pytest.mark.parametrize("genre", ["17", "(17)", "RX", "CR", "(RX)", "Rock\0Pop", "\udcff"])
@pytest.mark.parametrize("suffix", [".mp3", ".wav", ".aiff", ".flac", ".ogg", ".m4a"])
def test_a_genre_that_a_tag_cannot_hold_is_refused_by_the_rehearsal_too(make_audio, suffix, genre):
    """Regression: such a label passed the dry run and failed in the write."""
    path = make_audio(suffix)
    change, before = Change((genre,), (genre,), 0.9, "x-1"), path.read_bytes()
    try:
        check_change(path, form(path), change)
    except RefusedError as refused:
        with pytest.raises(RefusedError) as written:
            write_change(path, form(path), change)
        assert written.value.message == refused.message
        assert path.read_bytes() == before
    else:
        write_change(path, form(path), change)
        assert read_tags(path, form(path)).genres == (genre,)
        assert genre.isprintable() and suffix not in ID3_FORMATS


@pytest.mark.skipif(sys.platform != "linux", reason="flags are set with chattr")
@pytest.mark.parametrize(("flag", "word"), [("a", "append-only"), ("i", "immutable")])
@pytest.mark.parametrize("where", ["file", "folder"])
def test_append_only_and_immutable(make_audio, flag, word, where):
    path = make_audio(".mp3", name="album/a.mp3")
    what = path if where == "file" else path.parent
    if subprocess.run(["chattr", f"+{flag}", what], capture_output=True, check=False).returncode:
        pytest.skip("flags cannot be set here: it takes root and a file system that has them")
    try:
        assert word in refused_alike(path)
    finally:
        subprocess.run(["chattr", f"-{flag}", what], check=True)


@pytest.mark.skipif(sys.platform != "linux", reason="single files are mounted on Linux")
def test_a_file_that_is_mounted_on_its_own(make_audio, tmp_path):
    path = make_audio(".flac", name="a b\\c.flac")
    script = (
        'mount --bind "$1" "$1" && exec "$2" -m tagger scan --min-confidence 0 '
        '--journal "$3" --json $4 "$1"'
    )
    said = []
    for option in ("--dry-run", "--write-tags"):
        journal = tmp_path / "journal.db"
        done = subprocess.run(
            ["unshare", "-m", "sh", "-c", script, "sh", path, sys.executable, journal, option],
            capture_output=True,
            text=True,
            check=False,
        )
        if not done.stdout:
            pytest.skip(f"no mounts of one's own here: {done.stderr.strip()[-200:]}")
        said.append(json.loads(done.stdout))
    assert said[0] == said[1]
    assert said[0]["status"] == "refused" and "mounted on its own" in said[0]["message"]


def test_a_full_disk(make_audio, monkeypatch):
    path = make_audio(".wav")
    full = (10**9, 10**9 - 1000, 1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(*full))
    assert "no room for its edited copy: 0.0 MiB are free" in refused_alike(path)
    unknown = (0, 0, 0)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(*unknown))
    check_change(path, form(path))


@pytest.mark.parametrize("name", [b"\xff\xfe\0\1", b"\0\0\0\0", b"a\x80bc"])
@pytest.mark.parametrize("place", ["before", "behind"])
def test_a_stray_chunk(make_audio, name, place):
    path = make_audio(".wav")
    data = path.read_bytes()
    stray = name + struct.pack("<I", 4) + b"abcd"
    body = data[12:]
    body = stray + body if place == "before" else body + stray
    path.write_bytes(b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body)
    try:
        check_change(path, form(path))
    except RefusedError:
        refused_alike(path)
    else:
        write(path)


@pytest.fixture
def shared_folder():
    """A folder that other users can reach, unlike those of pytest."""
    with tempfile.TemporaryDirectory() as folder:
        open_to_others(Path(folder))
        (Path(folder) / "album").mkdir()
        yield Path(folder) / "album"


def as_user(work: Callable[[], object], *, groups: tuple[int, ...] = ()) -> str:
    """What a piece of work answers, or says where it fails, when somebody else does it."""
    answers = multiprocessing.get_context("fork").SimpleQueue()

    def run() -> None:
        os.setgroups(groups)
        os.setresgid(SOMEBODY, SOMEBODY, SOMEBODY)
        os.setresuid(SOMEBODY, SOMEBODY, SOMEBODY)
        try:
            answers.put(str(work()))
        except BaseException as error:
            answers.put(f"{type(error).__name__}: {error}")

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    process.join()
    assert process.exitcode == 0
    return answers.get()


SOMEBODY, A_GROUP, ANOTHER = 4321, 5432, 6543

# Owner, group and mode of the file; owner and mode of its folder; what is said.
NOT_TO_BE_REPLACED = {
    "another's file": ((ANOTHER, SOMEBODY, 0o666), (0, 0o777), "belongs to user 6543"),
    "another's file, with a sticky bit": ((ANOTHER, 0, 0o666), (0, 0o1777), "user 6543"),
    "another group": ((SOMEBODY, ANOTHER, 0o664), (0, 0o777), "belongs to group 6543"),
    "setgid": ((SOMEBODY, A_GROUP, 0o2664), (0, 0o2777), "setgid"),
}
TO_BE_REPLACED = {
    "a group of theirs": ((SOMEBODY, SOMEBODY, 0o664), (0, 0o777)),
    "a sticky bit": ((SOMEBODY, SOMEBODY, 0o664), (0, 0o1777)),
    "their folder with a sticky bit": ((SOMEBODY, SOMEBODY, 0o664), (SOMEBODY, 0o1777)),
    "the group of the folder": ((SOMEBODY, A_GROUP, 0o664), (0, 0o2777)),
}
only_root = pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() != 0, reason="only root can work as somebody else"
)


def give(path: Path, of_file: tuple[int, int, int], of_folder: tuple[int, int]) -> None:
    os.chown(path, *of_file[:2])
    path.chmod(of_file[2])
    os.chown(path.parent, of_folder[0], A_GROUP)
    path.parent.chmod(of_folder[1])


@only_root
@pytest.mark.parametrize("case", NOT_TO_BE_REPLACED)
def test_whom_no_new_file_can_belong_to_is_known_in_a_dry_run(make_audio, shared_folder, case):
    """Regression: a dry run promised these writes, which were refused after the copy."""
    of_file, of_folder, words = NOT_TO_BE_REPLACED[case]
    path = Path(shutil.copy(make_audio(".mp3"), shared_folder))
    give(path, of_file, of_folder)
    before, status = path.read_bytes(), path.stat()
    told = as_user(lambda: check_change(path, form(path)))
    assert told.startswith("RefusedError") and words in told and "--in-place" in told
    assert as_user(lambda: write(path)) == told
    assert path.read_bytes() == before

    assert as_user(lambda: check_change(path, form(path), in_place=True)) == "None"
    assert as_user(lambda: write(path, in_place=True)) == "None"
    assert read_tags(path, form(path)).genres == CHANGE.genres
    now = path.stat()
    assert (now.st_uid, now.st_gid, now.st_ino) == (status.st_uid, status.st_gid, status.st_ino)
    assert [*shared_folder.iterdir()] == [path]


@only_root
@pytest.mark.parametrize("case", NOT_TO_BE_REPLACED)
def test_what_is_refused_for_its_owner_or_mode_the_system_refuses(
    make_audio, shared_folder, case, monkeypatch
):
    """The question that is asked first is no stricter than the write itself."""
    of_file, of_folder, _ = NOT_TO_BE_REPLACED[case]
    path = Path(shutil.copy(make_audio(".mp3"), shared_folder))
    give(path, of_file, of_folder)
    monkeypatch.setattr(replace_file, "why_not_replaced", lambda target, seen: None)
    assert "cannot be copied to a new file" in as_user(lambda: write(path))


@only_root
@pytest.mark.parametrize("case", TO_BE_REPLACED)
def test_what_can_have_its_owner_and_mode_is_replaced(make_audio, shared_folder, case):
    path = Path(shutil.copy(make_audio(".mp3"), shared_folder))
    give(path, *TO_BE_REPLACED[case])
    status = path.stat()
    assert as_user(lambda: check_change(path, form(path))) == "None"
    assert as_user(lambda: write(path)) == "None"
    assert read_tags(path, form(path)).genres == CHANGE.genres
    now = path.stat()
    assert (now.st_uid, now.st_gid, now.st_mode) == (status.st_uid, status.st_gid, status.st_mode)
    assert now.st_ino != status.st_ino


@only_root
def test_times_that_only_the_owner_may_set_are_not_promised(make_audio, shared_folder):
    path = Path(shutil.copy(make_audio(".mp3"), shared_folder))
    give(path, (ANOTHER, SOMEBODY, 0o666), (0, 0o777))
    before = path.read_bytes()
    for work in (
        lambda: check_change(path, form(path), in_place=True, preserve_mtime=True),
        lambda: write(path, in_place=True, preserve_mtime=True),
    ):
        told = as_user(work)
        assert told.startswith("RefusedError") and "only be kept by its owner" in told
    assert path.read_bytes() == before
