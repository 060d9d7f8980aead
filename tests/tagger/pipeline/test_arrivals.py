"""What `gtag watch` takes for an arrival: real folders, and a clock that does not wait."""

# ruff: noqa: PTH110, PTH118, PTH119 - names that are no Unicode

import os
import shutil
import subprocess
import sys
import threading

import pytest

from tagger.library.walk import Library
from tagger.pipeline.arrivals import Waiting, arrivals
from tagger.pipeline.writing import Care
from tagger.system.errors import UnreadableError


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def old(path):
    os.utime(path, (1e9, 1e9))


def part(library, path):
    return [os.path.relpath(file, library._paths[0]) for file in library.part(str(path))]


def test_a_file_waits_while_it_grows_and_is_handed_out_once(tmp_path):
    clock, piece = Clock(), tmp_path / "a.mp3"
    waiting = Waiting(60, clock=clock)
    piece.write_bytes(b"1")
    waiting.add(str(piece))
    for clock.now in (59, 100, 130):
        with open(piece, "ab") as file:
            file.write(b"1")
        old(piece)
        assert waiting.at_rest() == []
    clock.now = 189
    assert waiting.at_rest() == []
    clock.now = 190
    assert waiting.at_rest() == [str(piece)]
    assert waiting.at_rest() == [] and len(waiting) == 0


@pytest.mark.skipif(not os.path.exists("/proc/self/mountinfo"), reason="other systems do not tell")
def test_a_file_waits_while_a_program_has_it_open(tmp_path):
    clock, piece = Clock(), tmp_path / "a.mp3"
    waiting = Waiting(60, clock=clock)
    with open(piece, "wb") as file:
        file.write(b"1")
        file.flush()
        old(piece)
        waiting.add(str(piece))
        clock.now = 1000
        assert waiting.at_rest() == []
    assert waiting.at_rest() == [str(piece)]


def test_a_file_waits_for_its_neighbours_and_not_for_other_folders(tmp_path):
    clock, waiting = Clock(), None
    waiting = Waiting(60, clock=clock)
    pieces = [tmp_path / name for name in ("x/1.mp3", "x/2.mp3", "y/1.mp3")]
    for piece in pieces:
        piece.parent.mkdir(exist_ok=True)
        piece.write_bytes(b"1")
        old(piece)
    for clock.now, piece in zip((0, 50, 0), pieces, strict=True):
        waiting.add(str(piece))
    clock.now = 60
    assert waiting.at_rest() == [str(pieces[2])]
    clock.now = 110
    assert waiting.at_rest() == [str(pieces[0]), str(pieces[1])]


def test_what_is_renamed_or_deleted_meanwhile_is_forgotten(tmp_path):
    clock, piece = Clock(), tmp_path / "a.mp3"
    waiting = Waiting(60, clock=clock)
    piece.write_bytes(b"1")
    waiting.add(str(piece))
    piece.unlink()
    clock.now = 100
    assert waiting.at_rest() == [] and len(waiting) == 0


def test_a_part_of_a_library_is_what_the_whole_walk_would_meet(make_audio, tmp_path):
    source = make_audio(".mp3", duration_s=1.5)
    for name in (
        "m/a.mp3",
        "m/sub/b.mp3",
        "m/sub/c.mp3.part",
        "m/.stversions/d.mp3",
        "m/.trash-1/x/e.mp3",
        "m/left/f.mp3",
        "m/not/this/g.mp3",
        "m/.syncthing.h.mp3.tmp",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, tmp_path / name)
    root = tmp_path / "m"
    (root / "left" / ".nogtag").touch()
    (root / "link").symlink_to(root / "sub")
    library = Library([str(root)], exclude=["not/*"])
    whole = {os.path.relpath(track.path, root) for track in library}
    assert whole == {"a.mp3", os.path.join("sub", "b.mp3")}
    met = set()
    for folder, folders, files in os.walk(root, followlinks=True):
        for name in files:
            met.update(part(library, os.path.join(folder, name)))
        for name in folders:
            assert set(part(library, os.path.join(folder, name))) <= whole
    assert met == whole == set(part(library, root))
    assert part(library, tmp_path) == part(library, source) == []
    assert part(library, str(root) + "-else/a.mp3") == []


def first_batch(batches, act):
    """What `arrivals` yields after something was done; it is closed then."""
    act()
    found = [track.path for track in next(batches)]
    batches.close()
    return found


@pytest.mark.parametrize("poll", [False, True])
def test_whole_folders_arrive_and_names_that_are_no_unicode(make_audio, tmp_path, poll):
    source, root = make_audio(".mp3", duration_s=1.5), tmp_path / "music"
    root.mkdir()
    (root / "before.mp3").write_bytes(source.read_bytes())
    old(root / "before.mp3")
    elsewhere = tmp_path / "new" / "album"
    elsewhere.mkdir(parents=True)
    names = [b"1.mp3", b"2.mp3", b"\xff.mp3"] if os.name == "posix" else [b"1.mp3", b"2.mp3"]
    library = Library([str(root)])
    batches = arrivals(library, [str(root)], Care(0.2), first=True, poll=poll)
    before = [track.path for track in next(batches)]
    assert before == [str(root / "before.mp3")]

    def act():
        for name in names:
            shutil.copyfile(source, os.path.join(os.fsencode(elsewhere), name))
        elsewhere.parent.rename(root / "moved")

    found = first_batch(batches, act)
    folder = os.path.join(os.fsencode(root), b"moved", b"album")
    # Where the watcher gave up at a name, what changed a moment before is looked at again.
    new = [os.fsencode(path) for path in found if path not in before]
    assert new == [os.path.join(folder, name) for name in names]


def test_a_name_that_is_no_unicode_hides_no_other(make_audio, tmp_path):
    """watchfiles gives up at such a name, and what it knew then is lost."""
    if os.name != "posix":
        pytest.skip("names are Unicode there")
    source, root = make_audio(".mp3", duration_s=1.5), tmp_path / "music"
    root.mkdir()
    batches = arrivals(Library([str(root)]), [str(root)], Care(0.2))
    assert list(next(batches)) == []

    def act():
        shutil.copyfile(source, os.fsencode(root) + b"/\xff.mp3")
        shutil.copyfile(source, root / "a.mp3")

    found = first_batch(batches, act)
    assert [os.fsencode(os.path.basename(path)) for path in found] == [b"a.mp3", b"\xff.mp3"]


def test_a_folder_that_is_gone_ends_it(tmp_path):
    root = tmp_path / "music"
    root.mkdir()
    batches = arrivals(Library([str(root)]), [str(root)], Care(0.2))
    assert list(next(batches)) == []
    root.rename(tmp_path / "elsewhere")
    with pytest.raises(UnreadableError, match="is gone"):
        next(batches)


LIMITED = """
import logging, sys
from tagger.pipeline.arrivals import arrivals
from tagger.library.walk import Library
from tagger.pipeline.writing import Care
logging.basicConfig()
batches = arrivals(Library(sys.argv[1:]), sys.argv[1:], Care(0.2))
list(next(batches))
print("watching", flush=True)
for batch in batches:
    for track in batch:
        print(track.path, flush=True)
"""


def test_folders_beyond_the_systems_limit_are_looked_at_instead(make_audio, tmp_path):
    """Two of four files were missed, without a word."""
    limited = ["unshare", "-U", "-r", "sh", "-c"]
    if not shutil.which("unshare") or subprocess.call(
        [*limited, "echo 3 > /proc/sys/user/max_inotify_watches"], stderr=subprocess.DEVNULL
    ):
        pytest.skip("needs a user that may lower the limit for a process")
    source, root = make_audio(".mp3", duration_s=1.5), tmp_path / "music"
    for i in range(4):
        (root / str(i)).mkdir(parents=True)
    begin = 'echo 3 > /proc/sys/user/max_inotify_watches && exec "$@"'
    with subprocess.Popen(
        [*limited, begin, "sh", sys.executable, "-c", LIMITED, str(root)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as watching:
        too_long = threading.Timer(60, watching.kill)
        too_long.start()
        assert watching.stdout.readline() == "watching\n"
        places = [f"{i}/a.mp3" for i in range(4)] + ["new/inner/a.mp3"]
        for place in places:
            (root / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, root / place)
        found = {watching.stdout.readline().strip() for _ in places}
        too_long.cancel()
        watching.kill()
        said = watching.stderr.read()
    assert found == {str(root / place) for place in places}
    assert "fs.inotify.max_user_watches" in said
