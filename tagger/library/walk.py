"""Which files are tracks: walks files and folders, in order, each file once.

A track is a file whose content is one of the containers of `tagger.containers.formats`, or whose
name says so. The walk holds one folder's names at a time (and the identity of each track, to meet
none twice), however large the library is.
"""

# Strings, not Paths: a library holds many, and the report says them as the system gave them.
# ruff: noqa: PTH114, PTH116, PTH118, PTH119, PTH206, PTH208

from __future__ import annotations

import codecs
import errno
import fnmatch
import os
import re
import stat
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

from tagger.containers.formats import Format, has_audio_extension
from tagger.containers.recognise import identify
from tagger.storage.replace_file import TEMPORARY_PREFIX
from tagger.system.errors import ConfigurationError, GtagError, UnreadableError

# A folder that holds a file of this name is left alone, with all that is below it.
LEAVE_ALONE = ".nogtag"

# Names of files and folders that are no library, in whatever case: docs/commands.md shows them.
DEFAULT_EXCLUDES = {
    "what systems and network storages keep beside music": (
        *("@eaDir", ".AppleDouble", "._*", ".Spotlight-V100", ".fseventsd", ".TemporaryItems"),
        *(".DocumentRevisions-V100", "System Volume Information", "lost+found"),
    ),
    "trash": (
        *("$RECYCLE.BIN", "RECYCLER", "#recycle", "@Recycle", ".recycle"),
        *(".Trash", ".Trash-*", ".Trashes", ".trashed-*", ".dropbox.cache"),
    ),
    "older versions and backups": (
        *(".stversions", ".snapshots", ".snapshot", "#snapshot", "@Recently-Snapshot", ".zfs"),
        *(".sync", ".git", ".hg", ".svn", "*.bak", "*~"),  # .sync: Resilio's, with its Archive
    ),
    "transfers under way and temporary files": (
        *("*.part", "*.partial", "*.crdownload", "*.download", "*.opdownload", "*.!qB", "*.!ut"),
        *("*.bc!", "*.filepart", "*.ytdl", ".syncthing.*.tmp", "~syncthing~*.tmp", "*.tmp"),
        *(".~tmp~", ".rsync-partial"),
    ),
}


# A broken link, or deleted just now: nothing is there that could be scanned.
_GONE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}


class Stamp(NamedTuple):
    """What a file's state is known by, without reading it."""

    size: int
    mtime_ns: int
    ctime_ns: int  # tells an edit whose time of modification was put back, where systems keep it
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> Stamp:
        return cls(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


@dataclass(frozen=True)
class Track:
    """A file to classify.

    Attributes
    ----------
    path : str
        As the system gave it; bytes that are no UTF-8 are surrogates.
    format : Format or None
        None: an audio extension, but the content is not recognised or cannot be read.
    stamp : Stamp or None
        Of the file when it was met; None: it could not be looked at.
    """

    path: str
    format: Format | None
    stamp: Stamp | None = field(default=None, compare=False)


def is_as_met(track: Track) -> bool:
    """Tell whether a track can be read, and has the size that it had when it was met."""
    try:
        descriptor = os.open(track.path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except OSError:
        return False
    try:
        os.read(descriptor, 1)
        return track.stamp is None or os.fstat(descriptor).st_size == track.stamp.size
    except OSError:
        return False
    finally:
        os.close(descriptor)


class Library:
    """The tracks of files and folders, in the order given; within a folder by code points.

    Symlinked files are followed, symlinked folders only where they are given themselves. A file
    that is reached twice, by whatever name (hard links too), is met once.

    Parameters
    ----------
    paths : sequence of str
    exclude : sequence of str
        Globs. Files and folders are left out whose name, path from the given folder, or whole
        path matches. Case counts, `/` separates, `*` matches it too.
    limit : int, optional
        At most so many tracks.
    default_excludes : bool
        Leave out the names of `DEFAULT_EXCLUDES`, too.
    format_of : callable, optional
        The container of a file by path and stamp, where it is known without reading.

    Attributes
    ----------
    others : int
        Files met so far that are no tracks.
    left_out : Counter of str
        How often a name was met so far that is left out by default, by glob.
    left_alone : int
        Folders met so far that hold a file `.nogtag`, and paths given that lie in one.
    problems : list of GtagError
        What was met so far and could not be looked at or read; the walk went on without it.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     for name in ("b.mp3", "a.flac", "cover.jpg"):
    ...         Path(folder, name).touch()
    ...     [Path(track.path).name for track in Library([folder], exclude=["b.*"])]
    ['a.flac']

    Raises
    ------
    ConfigurationError
        When one of the paths is not there.
    """

    def __init__(
        self,
        paths: Sequence[str],
        *,
        exclude: Sequence[str] = (),
        limit: int | None = None,
        default_excludes: bool = True,
        format_of: Callable[[str, Stamp], Format | None] = lambda path, stamp: None,
    ) -> None:
        self._paths = list(paths)
        self._format_of = format_of
        self._defaults = _by_default() if default_excludes else {}
        self._any_default = re.compile("|".join(p.pattern for p in self._defaults.values()))
        self._excluded = [
            re.compile(fnmatch.translate(glob.rstrip("/") or glob)) for glob in exclude
        ]
        self._limit = limit
        for path in self._paths:
            try:
                os.stat(path)
            except (OSError, ValueError) as error:
                raise ConfigurationError.of_system(error, path) from error
        self._start()

    def _start(self) -> None:
        self.others = 0
        self.left_out: Counter[str] = Counter()
        self.left_alone = 0
        self.problems: list[GtagError] = []
        self._seen: set[int] = set()

    def __iter__(self) -> Iterator[Track]:
        """Walk anew, from the start."""
        self._start()
        left = sys.maxsize if self._limit is None else self._limit
        for file, status in self._files():
            if left <= 0:
                return
            track = self.track(file, status)
            if track is None:
                self.others += 1
            else:
                left -= 1
                yield track

    def part(self, path: str) -> Iterator[str]:
        """Yield the files at a path or below it, as far as the whole walk would meet them.

        Whether they are tracks, `track` says: none is opened here. Nothing is remembered: what was
        met before is met again.

        Parameters
        ----------
        path : str
            Of a file or folder in one of those given, which must be written alike.
        """
        whole = Library(())
        whole._defaults, whole._excluded = self._defaults, self._excluded
        for given in self._paths:
            if whole._is_met(path, given):
                yield from (file for file, _ in whole._walk(path, given))
                return

    def _is_met(self, path: str, given: str) -> bool:
        """Tell whether a walk of what is given comes to a path."""
        base = given.rstrip(os.sep)
        if path != given and not path.startswith(base + os.sep):
            return False
        if self._to_skip(given):
            return False
        names = path[len(base) :].split(os.sep)[1:]
        for i, name in enumerate(names):
            folder = os.sep.join([base, *names[:i]])
            if i and os.path.islink(folder):
                return False
            if os.path.lexists(os.path.join(folder, LEAVE_ALONE)):
                return False
            below = os.sep.join(names[: i + 1])
            if self._is_skipped(name) or self._is_excluded(os.path.join(base, below), below):
                return False
        return True

    def replaced(self, path: str) -> None:
        """Note that another file has taken a track's place, as a write does: it was met already."""
        with suppress(OSError):
            self._is_new(os.stat(path))

    def _files(self) -> Iterator[tuple[str, os.stat_result | None]]:
        """Yield every regular file that is not to be skipped."""
        for given in self._paths:
            reason = self._to_skip(given)
            if not reason:
                yield from self._walk(given, given)
            elif reason.endswith(LEAVE_ALONE):
                self.left_alone += 1

    def _walk(self, start: str, given: str) -> Iterator[tuple[str, os.stat_result | None]]:
        """Yield the files of a file or folder in one that was given."""
        # A stack, not recursion: folders can lie deeper than Python calls.
        stack = [iter([start])]
        while stack:
            path = next(stack[-1], None)
            if path is None:
                stack.pop()
                continue
            below = path[len(given) :].lstrip(os.sep)
            if self._is_excluded(path, below):
                continue
            try:
                status = os.stat(path)
            except OSError as error:
                # With the name of a track, it is worth a row of the report.
                if has_audio_extension(path):
                    yield path, None
                elif error.errno not in _GONE:
                    self.problems.append(UnreadableError.of_system(error, path))
                continue
            if stat.S_ISDIR(status.st_mode):
                followed = path == given or not os.path.islink(path)
                if followed and self._is_new(status):
                    stack.append(iter(self._folder(path)))
            elif stat.S_ISREG(status.st_mode) and self._is_new(status):
                yield path, status

    def _folder(self, path: str) -> list[str]:
        """Yield what to look at in a folder, in order."""
        try:
            names = sorted(os.listdir(path))
        except OSError as error:
            self.problems.append(UnreadableError.of_system(error, path))
            return []
        if LEAVE_ALONE in names:
            self.left_alone += 1
            return []
        return [os.path.join(path, name) for name in names if not self._is_skipped(name)]

    def why_left_out(self, given: str) -> str:
        """Return why a walk leaves out a path that is given, in words; empty: it does not."""
        excluded = self._is_excluded(given, "")
        return self._to_skip(given) or ("--exclude matches it" if excluded else "")

    def _to_skip(self, given: str) -> str:
        """Tell whether to skip a path of a list, as within a folder: programs write lists with
        other files.
        """
        folder, name = os.path.split(os.path.normpath(given))
        while name:
            if self._is_skipped(name):
                return f"the name {name} is left out by default"
            if os.path.lexists(os.path.join(folder, LEAVE_ALONE)):
                return f"the folder {folder or os.curdir} holds a file {LEAVE_ALONE}"
            folder, name = os.path.split(folder)
        return ""

    def _is_skipped(self, name: str) -> bool:
        if name.startswith(TEMPORARY_PREFIX):
            return True
        folded = name.casefold()
        if not self._defaults or not self._any_default.match(folded):
            return False
        self.left_out[
            next(g for g, pattern in self._defaults.items() if pattern.match(folded))
        ] += 1
        return True

    def _is_excluded(self, path: str, below: str) -> bool:
        if not self._excluded:
            return False
        texts = {os.path.basename(path), below, path}
        if os.sep != "/":
            texts = {text.replace(os.sep, "/") for text in texts}
        return any(glob.match(text) for glob in self._excluded for text in texts)

    def _is_new(self, status: os.stat_result) -> bool:
        # One number: a library has many files, and a tuple takes three times as much. Where another
        # program replaces files meanwhile, a new one may have the inode of one that is gone. The
        # time of a folder changes with what is in it.
        changed = 0 if stat.S_ISDIR(status.st_mode) else status.st_ctime_ns
        identity = hash((status.st_dev, status.st_ino, changed))
        new = identity not in self._seen
        self._seen.add(identity)
        return new

    def track(self, path: str, status: os.stat_result | None = None) -> Track | None:
        """Return the track that a file is, by its content or its name; None: no track."""
        if status is None:
            with suppress(OSError):
                status = os.stat(path)
        stamp = None if status is None else Stamp.of(status)
        format = None if stamp is None else self._format_of(path, stamp)
        if format is None:
            with suppress(UnreadableError):  # who reads it will say why
                format = identify(path)
        if format is None and not has_audio_extension(path):
            return None
        return Track(path, format, stamp)


def _by_default() -> dict[str, re.Pattern[str]]:
    globs = [glob for group in DEFAULT_EXCLUDES.values() for glob in group]
    return {glob: re.compile(fnmatch.translate(glob.casefold())) for glob in globs}


def read_file_list(file: str, *, null_separated: bool) -> list[str]:
    """Return the paths that a file lists, one a line; `-` reads the standard input.

    Parameters
    ----------
    file : str
    null_separated : bool
        Paths end with a NUL, as `find -print0` writes them, and may hold line ends. Otherwise the
        list may begin with a byte order mark, and be UTF-16 then, as Windows writes it.

    Raises
    ------
    ConfigurationError
        When the list cannot be read.
    """
    try:
        if file == "-":
            content = sys.stdin.buffer.read()
        else:
            with open(file, "rb") as opened:
                content = opened.read()
    except OSError as error:
        raise ConfigurationError.of_system(error, file) from error
    if null_separated:
        lines = content.split(b"\0")
    else:
        if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            try:
                content = content.decode("utf-16").encode()
            except UnicodeError as error:
                raise ConfigurationError("is not valid UTF-16", path=file) from error
        content = content.removeprefix(codecs.BOM_UTF8)
        lines = [line.removesuffix(b"\r") for line in content.split(b"\n")]
    return [os.fsdecode(line) for line in lines if line]
