from __future__ import annotations

import errno
import inspect
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tagger.containers import formats
from tagger.library.walk import DEFAULT_EXCLUDES, Library, Track, read_file_list
from tagger.system.errors import ConfigurationError, UnreadableError
from tests.conftest import open_to_others


@pytest.fixture
def piece(make_audio):
    """The content of a short FLAC: smaller than anything else that is music."""
    return make_audio(".flac", duration_s=0.2).read_bytes()


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "music"
    made.mkdir()
    return made


def put(folder, content, *names):
    for name in names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


def met(*paths, **options):
    library = Library([str(path) for path in paths], **options)
    return [track.path for track in library]


def names(folder, **options):
    return [os.path.relpath(path, folder) for path in met(folder, **options)]


def test_goes_through_each_folder_in_the_order_of_code_points(folder, piece):
    put(folder, piece, "b/2.flac", "b/10.flac", "a.flac", "Z.flac", "b-side.flac", "é.flac")
    assert names(folder) == ["Z.flac", "a.flac", "b/10.flac", "b/2.flac", "b-side.flac", "é.flac"]


def test_recognises_by_content_and_reports_what_only_the_name_promises(folder, piece):
    put(folder, piece, "a.flac", "b.txt", "c")
    put(folder, b"not music", "d.mp3", "e.jpg", "f")
    library = Library([str(folder)])
    tracks = {Path(track.path).name: track.format for track in library}
    assert tracks == {
        "a.flac": formats.FLAC,
        "b.txt": formats.FLAC,
        "c": formats.FLAC,
        "d.mp3": None,
    }
    assert library.others == 2
    assert library.problems == []


def test_skips_what_storages_and_gtag_itself_leave_beside_music(folder, piece):
    put(folder, piece, "kept.flac", "@eaDir/a.flac", ".AppleDouble/a.flac", "._a.flac")
    put(folder, piece, ".gtag-0123456789abcdef.flac", "x/@eaDir/SYNO@b/a.flac", ".hidden.flac")
    assert names(folder) == [".hidden.flac", "kept.flac"]


@pytest.mark.parametrize(
    "name",
    [
        *("$RECYCLE.BIN/a.flac", "$Recycle.Bin/S-1-5/a.flac", "#recycle/a.flac", "@Recycle/a.flac"),
        *(".Trash-1000/files/a.flac", ".stversions/a~20250101-1200.flac", ".snapshots/1/a.flac"),
        *(".git/a.flac", "a.flac.part", "a.flac.crdownload", "a.flac.!qB", "A.FLAC.PART"),
        *(".syncthing.a.flac.tmp", "~syncthing~a.flac.tmp", "a.flac.bak", "deep/er/.git/x/a.flac"),
    ],
)
def test_trash_versions_and_temporaries_are_no_library(folder, piece, name):
    put(folder, piece, "kept.flac", name)
    library = Library([str(folder)])
    assert [track.path for track in library] == [str(folder / "kept.flac")]
    assert library.left_out.total() == 1
    assert library.others == 0
    assert names(folder, default_excludes=False) == sorted(["kept.flac", name])
    assert met(folder / name) == []
    assert met(folder / name, default_excludes=False) == [str(folder / name)]


def test_what_is_only_called_similarly_is_a_library(folder, piece):
    put(folder, piece, "Part.flac", "git/a.flac", "Trash Metal/a.flac", "bak/a.flac", "tmp/a.flac")
    put(folder, piece, "Snapshots/a.flac", "a.part.flac", "recycle/a.flac")
    assert len(names(folder)) == 8


def test_gtags_own_temporary_files_are_never_tracks(folder, piece):
    put(folder, piece, ".gtag-0123456789abcdef.flac")
    assert names(folder, default_excludes=False) == []


def test_the_docs_show_what_is_left_out():
    text = (Path(__file__).parents[3] / "docs" / "commands.md").read_text(encoding="utf-8")
    table = text.partition("### Files that are left out")[2].partition("\n### ")[0]
    for what, globs in DEFAULT_EXCLUDES.items():
        assert f"| {what} | {', '.join(f'`{glob}`' for glob in globs)} |\n" in table


def test_the_skipped_stay_skipped_when_a_list_names_them(folder, piece):
    put(folder, piece, "a.flac", "@eaDir/a.flac", "._a.flac", "mine/a.flac", "mine/.nogtag")
    listed = [folder / name for name in ("a.flac", "@eaDir/a.flac", "._a.flac", "mine/a.flac")]
    assert met(*listed) == [str(folder / "a.flac")]


def test_leaves_a_folder_alone_that_says_so(folder, piece):
    put(folder, piece, "a.flac", "podcasts/.nogtag", "podcasts/a.flac", "podcasts/deep/a.flac")
    assert names(folder) == ["a.flac"]
    assert met(folder / "podcasts") == []
    assert met(folder / "podcasts" / "deep") == []


def test_meets_each_file_once_however_it_is_reached(folder, piece):
    put(folder, piece, "a/1.flac", "b/2.flac")
    os.link(folder / "a/1.flac", folder / "b/1 again.flac")
    (folder / "b/1 linked.flac").symlink_to(folder / "a/1.flac")
    expected = [str(folder / "b/1 again.flac"), str(folder / "b/2.flac")]
    assert met(folder / "b", folder, folder / "a/1.flac", str(folder) + "/") == expected


def test_a_new_file_with_the_inode_of_one_that_is_gone_is_met(folder, piece):
    """Regression: of two runs at once, each left out files that the other one had replaced."""
    put(folder, piece, "a.flac", "b.flac")
    walk = iter(Library([str(folder)]))
    first = Path(next(walk).path)
    inode = first.stat().st_ino
    first.unlink()
    for i in range(100):
        put(folder, piece, f"{i}.new")
        if (folder / f"{i}.new").stat().st_ino == inode:
            (folder / f"{i}.new").replace(folder / "b.flac")
            break
    else:
        pytest.skip("this file system gives no inode a second time")
    assert [Path(track.path).name for track in walk] == ["b.flac"]


def test_others_are_counted_once_too(folder, piece):
    put(folder, b"text", "a/notes.txt")
    library = Library([str(folder), str(folder / "a"), str(folder / "a/notes.txt")])
    assert list(library) == []
    assert library.others == 1


def test_follows_symlinked_files_but_folders_only_where_given(folder, tmp_path, piece):
    put(tmp_path, piece, "elsewhere/a.flac", "single.flac")
    (folder / "folder").symlink_to(tmp_path / "elsewhere")
    (folder / "file.flac").symlink_to(tmp_path / "single.flac")
    (folder / "loop").symlink_to(folder)
    assert names(folder) == ["file.flac"]
    assert met(folder / "folder") == [str(folder / "folder/a.flac")]


def test_a_broken_link_with_the_name_of_a_track_is_a_track(folder):
    (folder / "gone.mp3").symlink_to(folder / "nowhere")
    (folder / "gone.txt").symlink_to(folder / "nowhere")
    assert list(Library([str(folder)])) == [Track(str(folder / "gone.mp3"), None)]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs on this system")
def test_does_not_wait_for_a_fifo(folder):
    os.mkfifo(folder / "pipe.mp3")
    assert names(folder) == []


@pytest.mark.parametrize(
    ("glob", "left"),
    [
        ("*.flac", ["live/b.ogg"]),
        ("live", ["a.flac", "studio/live.flac"]),
        ("live/", ["a.flac", "studio/live.flac"]),
        ("live/*", ["a.flac", "studio/live.flac"]),
        ("LIVE", ["a.flac", "live/a.flac", "live/b.ogg", "studio/live.flac"]),
        ("live.*", ["a.flac", "live/a.flac", "live/b.ogg"]),
        ("*/a.flac", ["live/b.ogg", "studio/live.flac"]),  # the whole path of a.flac matches too
        ("live/[ab].flac", ["a.flac", "live/b.ogg", "studio/live.flac"]),
        ("a.fla?", ["live/b.ogg", "studio/live.flac"]),
    ],
)
def test_excludes_by_name_and_by_path(folder, piece, glob, left):
    put(folder, piece, "a.flac", "live/a.flac", "live/b.ogg", "studio/live.flac")
    assert names(folder, exclude=[glob]) == left


def test_excludes_by_the_path_as_given_and_files_that_are_given(folder, piece):
    put(folder, piece, "a.flac", "live/a.flac")
    assert names(folder, exclude=[f"{folder}/live"]) == ["a.flac"]
    assert met(folder / "a.flac", exclude=["a.*"]) == []
    assert names(folder, exclude=["x", "live", "y"]) == ["a.flac"]


def test_stops_at_the_limit(folder, piece):
    put(folder, piece, "a.flac", "b.flac", "c.flac")
    put(folder, b"no music", "aa.txt")
    assert names(folder, limit=2) == ["a.flac", "b.flac"]
    assert names(folder, limit=0) == []
    assert names(folder, limit=9) == ["a.flac", "b.flac", "c.flac"]


def test_can_be_walked_again(folder, piece):
    put(folder, piece, "a.flac")
    put(folder, b"no music", "b.txt")
    library = Library([str(folder)])
    assert list(library) == list(library) != []
    assert library.others == 1


def test_looks_at_no_more_than_it_was_asked_for(folder, piece):
    put(folder, piece, "a/1.flac", "b/2.flac")
    walk = iter(Library([str(folder)]))
    assert next(walk).path == str(folder / "a/1.flac")
    put(folder, piece, "b/1.flac")  # folder b was not read yet
    assert [Path(track.path).name for track in walk] == ["1.flac", "2.flac"]


def test_a_path_that_is_not_there_is_a_wrong_command(folder):
    with pytest.raises(ConfigurationError, match="No such file") as caught:
        Library([str(folder), str(folder / "nowhere")])
    assert caught.value.path == str(folder / "nowhere")
    with pytest.raises(ConfigurationError, match="null"):
        Library([str(folder / "a\0b")])


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("Musik", "did you mean {}/Music?"),
        ("Musik/Beethoven/x.flac", "did you mean {}/Music?"),
        ("Music/bethoven", "did you mean {}/Music/Beethoven?"),
        ("Music/Beeth", "did you mean {}/Music/Beethoven?"),  # a name that was cut at a space
        ("polka", "check the spelling; a name with spaces needs quotes"),
        ("link", "it is a link to nowhere, which is not there"),
        ("Music/Beethoven/a.flac/b", "a part of the path is a file, not a folder"),
    ],
)
def test_a_path_that_cannot_be_read_says_what_to_do(folder, piece, typed, hint):
    put(folder, piece, "Music/Beethoven/a.flac")
    (folder / "link").symlink_to("nowhere")
    with pytest.raises(ConfigurationError) as caught:
        Library([str(folder / typed)])
    assert caught.value.hint == hint.format(folder)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read all")
def test_a_folder_without_permission_says_what_to_do(folder, piece):
    put(folder, piece, "a/1.flac")
    (folder / "a").chmod(0)
    library = Library([str(folder)])
    assert list(library) == []
    (folder / "a").chmod(0o755)
    assert "permissions" in str(library.problems[0])


def test_goes_on_where_a_folder_cannot_be_read(folder, piece, monkeypatch):
    put(folder, piece, "a/1.flac", "b/2.flac", "c/3.flac")
    listdir = os.listdir

    def failing(path):  # root, who runs many a CI, may read every folder
        if path == str(folder / "b"):
            raise PermissionError(13, "Permission denied", path)
        return listdir(path)

    monkeypatch.setattr(os, "listdir", failing)
    library = Library([str(folder)])
    assert [Path(track.path).name for track in library] == ["1.flac", "3.flac"]
    (problem,) = library.problems
    assert isinstance(problem, UnreadableError)
    assert problem.path == str(folder / "b")
    assert problem.message == "Permission denied"
    assert problem.hint == "change its permissions, or run gtag as somebody who may read it"


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES, errno.ESTALE])
def test_what_cannot_be_looked_at_is_named(folder, piece, monkeypatch, number):
    """Regression: a folder whose `stat` failed was skipped without a word."""
    put(folder, piece, "a/1.flac", "b/2.flac", "c.flac", "d.flac")
    (folder / "gone").symlink_to("nowhere")
    looked_at = os.stat

    def failing(path, *args, **options):
        if path in (str(folder / "b"), str(folder / "c.flac")):
            raise OSError(number, os.strerror(number), path)
        return looked_at(path, *args, **options)

    monkeypatch.setattr(os, "stat", failing)
    library = Library([str(folder)])
    assert [Path(track.path).name for track in library] == ["1.flac", "c.flac", "d.flac"]
    (problem,) = library.problems
    assert (problem.path, problem.message) == (str(folder / "b"), os.strerror(number))


@pytest.mark.skipif(
    not hasattr(os, "fork") or os.geteuid() != 0, reason="only root becomes another"
)
def test_a_folder_that_a_person_may_not_enter_ends_with_status_1(folder, piece, make_audio):
    """With real permissions: names can be listed, but nothing behind them be looked at."""
    put(folder, piece, "open/1.flac", "shut/inner/2.flac")
    (folder / "shut").chmod(0o644)
    open_to_others(folder)
    told = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, str(folder)], capture_output=True, text=True, check=False
    )
    assert told.stdout.split("|") == ["1.flac", f"{folder / 'shut' / 'inner'}: Permission denied\n"]


AS_NOBODY = """
import os, sys
from tagger.library.walk import Library
os.setgid(65534); os.setuid(65534)
library = Library([sys.argv[1]])
names = [os.path.basename(track.path) for track in library]
print(*names, *(f"{p.path}: {p.message}" for p in library.problems), sep="|")
"""


@pytest.mark.skipif(sys.platform in ("darwin", "win32"), reason="file names are Unicode there")
def test_names_of_any_bytes_come_back_as_they_are(folder, piece):
    raw = [b"-rf.flac", b"a\nb.flac", b"caf\xe9.flac", b"esc\x1b[31m.flac"]
    for name in raw:
        (folder / os.fsdecode(name)).write_bytes(piece)
    assert [os.fsencode(Path(path).name) for path in met(folder)] == sorted(raw)
    assert met(folder, exclude=["caf?.flac", "a?b.*", "esc*"]) == [str(folder / "-rf.flac")]


def test_goes_deeper_than_python_calls(folder, piece):
    deep = folder.joinpath(*["d"] * 200)
    put(deep, piece, "a.flac")
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack()) + 100)
    try:
        assert met(folder) == [str(deep / "a.flac")]
    finally:
        sys.setrecursionlimit(limit)


class TestFileList:
    def test_one_path_a_line(self, tmp_path):
        file = tmp_path / "list"
        file.write_bytes(b"a.mp3\nwith space.mp3\r\n\n./c\xe9.mp3")
        expected = ["a.mp3", "with space.mp3", os.fsdecode(b"./c\xe9.mp3")]
        assert read_file_list(str(file), null_separated=False) == expected

    @pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be-bom"])
    def test_a_list_from_windows(self, tmp_path, encoding):
        """Regression: a mark became a part of the first path, and of UTF-16 nothing was found."""
        text = "C\\ä.mp3\r\n日本.mp3\r\n"
        file = tmp_path / "list"
        marked = encoding == "utf-16-be-bom"
        file.write_bytes(("\ufeff" + text).encode("utf-16-be") if marked else text.encode(encoding))
        assert read_file_list(str(file), null_separated=False) == ["C\\ä.mp3", "日本.mp3"]
        file.write_bytes(b"\xff\xfea")
        with pytest.raises(ConfigurationError, match="UTF-16"):
            read_file_list(str(file), null_separated=False)

    def test_nul_separated_paths_may_hold_line_ends(self, tmp_path):
        file = tmp_path / "list"
        file.write_bytes(b"a\nb.mp3\0-c.mp3\0\xff.mp3\0")
        expected = ["a\nb.mp3", "-c.mp3", os.fsdecode(b"\xff.mp3")]
        assert read_file_list(str(file), null_separated=True) == expected

    def test_from_the_standard_input(self, monkeypatch):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a.mp3\0b.mp3\0")))
        assert read_file_list("-", null_separated=True) == ["a.mp3", "b.mp3"]

    def test_that_is_not_there(self, tmp_path):
        with pytest.raises(ConfigurationError, match="No such file"):
            read_file_list(str(tmp_path / "list"), null_separated=False)
