"""Files that arrive in a library, each yielded when it no longer changes: for `gtag watch`.

The system reports changes in the folders; `library.walk` says which files are tracks, and
`storage.at_rest` whether another program still writes one.
"""

from __future__ import annotations

import json
import logging
import math
import os
import re
import secrets
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import product

from tagger.library.walk import Library, Track
from tagger.pipeline.writing import Care, own_writes
from tagger.storage.at_rest import check_at_rest
from tagger.storage.locks import take_lock
from tagger.system.errors import ConfigurationError, GtagError, RefusedError, UnreadableError
from tagger.system.places import state_folder

log = logging.getLogger(__name__)

POLL_S = 5.0
# A walk over the whole library is followed by a pause of so many times its duration.
_REST_AFTER_WALK = 20.0
_CLOCKS_DIFFER_S = 2.0
_FDINFO = "/proc/self/fdinfo"
_WATCH = re.compile(r"^inotify wd:\S+ ino:([0-9a-f]+)", re.MULTILINE)


class Waiting:
    """Files that changed, and are not at rest yet.

    Parameters
    ----------
    min_age_s : float
        A file is at rest when it has not changed for so long, and no program has it open for
        writing.
    clock : function
        Monotonic time in seconds.
    """

    def __init__(self, min_age_s: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._min_age_s = min_age_s
        self._clock = clock
        self._seen: dict[str, tuple[tuple[int, ...], float]] = {}

    def __len__(self) -> int:
        return len(self._seen)

    def at_rest(self) -> list[str]:
        """Remove and return those that are at rest, sorted.

        A file waits while another one in its folder changes: they may be an album.
        """
        now = self._clock()
        for path in list(self._seen):
            self.add(path)
        moving = {
            os.path.dirname(path)  # noqa: PTH120 - as the system gave it
            for path, (_, since) in self._seen.items()
            if now - since < self._min_age_s
        }
        found = [
            path
            for path in sorted(self._seen)
            if os.path.dirname(path) not in moving and _is_at_rest(path, self._min_age_s)  # noqa: PTH120
        ]
        for path in found:
            del self._seen[path]
        return found

    def add(self, path: str) -> None:
        """Note a file that was made or changed."""
        try:
            status = os.stat(path)  # noqa: PTH116
        except OSError:  # it is gone, or was renamed
            self._seen.pop(path, None)
            return
        state = status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
        if path not in self._seen or self._seen[path][0] != state:
            self._seen[path] = state, self._clock()


def _is_at_rest(path: str, min_age_s: float) -> bool:
    try:
        check_at_rest(path, min_age_s=min_age_s)
    except RefusedError:
        return False
    except OSError:
        pass  # the scan will report it
    return True


def arrivals(
    library: Library,
    folders: list[str],
    care: Care,
    *,
    journal: str | None = None,
    first: bool = False,
    poll: bool = False,
) -> Generator[Iterator[Track], None, None]:
    """Yield the tracks that arrive, a batch at a time, for ever.

    The first batch, which may be empty, comes once the folders are watched; what arrives while a
    batch is scanned is in the next one.

    Parameters
    ----------
    library : Library
        Of the folders.
    folders : list of str
        Absolute.
    care : Care
        How long a file must be at rest, and whether any journal is used.
    journal : str, optional
        Tells gtag's own writes from arrivals.
    first : bool
        Begin with the files that are there.
    poll : bool
        Look at every file every few seconds, without notifications of the system.

    Yields
    ------
    iterator of Track
        To be read to its end before the next.

    Raises
    ------
    ConfigurationError
        The folders cannot be watched.
    UnreadableError
        A folder is gone.
    """
    identities = {folder: _identity(folder) for folder in folders}
    waiting, tick_s = Waiting(care.min_age_s), min(1.0, max(0.1, care.min_age_s / 4))

    def notice(paths: Iterable[str], since: float = -math.inf) -> None:
        with own_writes(journal, trust=care.trust) as is_own:
            for file in (file for path in paths for file in library.part(path)):
                own = False
                with suppress(GtagError, OSError):
                    own = is_own(file)
                if _changed(file) >= since and not own:
                    waiting.add(file)

    def whole_library() -> Iterator[Track]:
        for track in library:
            if _is_at_rest(track.path, care.min_age_s):
                yield track
            else:
                waiting.add(track.path)

    missed, walk_from = False, 0.0
    changes = _changes(folders, poll=poll, tick_s=tick_s)
    changed = next(changes)  # from now on the folders are watched
    known_until = time.time()
    rest = _Unwatched(min(POLL_S, 5 * tick_s), known_until)
    if not poll:
        rest.look_below(folders)
    yield whole_library() if first else iter(())
    while True:
        looked = time.time()
        if changed is None:
            missed = True
            rest.look_below(folders)
        else:
            notice(sorted(changed))
            if not poll:
                rest.look_below_soon(changed)
        rest.poll(notice)
        if missed and time.monotonic() >= walk_from:
            begun = time.monotonic()
            notice(folders, known_until - _CLOCKS_DIFFER_S)
            ended = time.monotonic()
            missed, walk_from = False, ended + _REST_AFTER_WALK * (ended - begun)
            known_until = looked
        elif not missed:
            known_until = looked - tick_s
        for folder, identity in identities.items():
            if _identity(folder) != identity:
                raise UnreadableError("is gone", path=folder, hint="connect it and start again")
        tracks = [track for file in waiting.at_rest() if (track := library.track(file))]
        if tracks:
            yield iter(tracks)
        changed = next(changes)


@contextmanager
def alone(folders: Sequence[str]) -> Iterator[None]:
    """Keep a second watch out of the same folders, and of those in them, while this one writes.

    Parameters
    ----------
    folders : sequence of str
        Real paths.

    Raises
    ------
    ConfigurationError
        Another one is there.
    """
    with ExitStack() as stack:
        with suppress(OSError, ConfigurationError):  # else nobody is kept out
            place = state_folder()
            place.mkdir(parents=True, exist_ok=True)
            note = place / f"watch-{secrets.token_hex(8)}.lock"
            lock = take_lock(note)
            assert lock is not None, "nobody else knows its name"
            stack.callback(lock.release)
            note.write_text(json.dumps([os.getpid(), *folders]), encoding="utf-8")
        for process, folder in _watched_by_others(folders):
            raise ConfigurationError(
                f"process {process} watches it already, and writes",
                path=folder,
                hint="end that gtag watch before, or name other folders",
            )
        yield


def _watched_by_others(folders: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Return those folders that other living processes watch, or a folder in or around them."""
    with suppress(OSError, ConfigurationError):
        for note in state_folder().glob("watch-*.lock"):
            with suppress(OSError, ValueError):  # it ends just now, or begins
                process, *theirs = json.loads(note.read_text(encoding="utf-8"))
                if process == os.getpid():
                    continue
                if (lock := take_lock(note)) is not None:
                    lock.release()
                    continue
                for mine, other in product(folders, theirs):
                    if os.path.commonpath([mine, other]) in (mine, other):
                        yield process, mine


class _Unwatched:
    """Folders that Linux does not watch, since it watches only so many: they are looked at instead.

    Neither Linux nor the watcher says so where a limit is reached, but Linux lists what it watches.

    Parameters
    ----------
    every_s : float
    known_until : float
        What changed before is known, in seconds since the epoch.
    """

    def __init__(self, every_s: float, known_until: float) -> None:
        self._every_s, self._known_until = every_s, known_until
        self._folders: set[str] = set()
        self._new: set[str] = set()
        self._next = 0.0

    def look_below(self, folders: Iterable[str]) -> None:
        """Find those that are not watched."""
        told = bool(self._folders)
        self._folders |= _unwatched(folders)
        if self._folders and not told:
            log.warning(
                "the system watches no more folders: what is not watched is looked at every few "
                "seconds (raise fs.inotify.max_user_watches, and start again)"
            )

    def look_below_soon(self, changed: Iterable[str]) -> None:
        """Look below folders that were made, once the watcher has had the time to watch them."""
        self.look_below(self._new)
        self._new = {path for path in changed if os.path.isdir(path)}  # noqa: PTH112

    def poll(self, notice: Callable[[list[str], float], None]) -> None:
        """Notice what changed in them, every few seconds."""
        begun = time.monotonic()
        if not self._folders or begun < self._next:
            return
        now = time.time()
        self._folders = {folder for folder in self._folders if os.path.isdir(folder)}  # noqa: PTH112
        notice(sorted(self._folders), self._known_until - _CLOCKS_DIFFER_S)
        self._known_until, ended = now, time.monotonic()
        self._next = ended + max(self._every_s, _REST_AFTER_WALK * (ended - begun))


def _unwatched(folders: Iterable[str]) -> set[str]:
    """Folders on and below these that this process watches not; none where the system won't tell.

    Of one folder within another only the outer one, if both are not watched.
    """
    said = list(_descriptors())
    watched = {int(n, 16) for text in said for n in _WATCH.findall(text)}
    found, met = set(), 0
    for folder, inner, _ in (step for root in folders for step in os.walk(root)):
        met += 1
        with suppress(OSError):
            if os.stat(folder).st_ino not in watched and os.access(folder, os.R_OK):  # noqa: PTH116
                found.add(folder)
                inner.clear()
    # Where a file system gives its folders other numbers, as some overlays do, none is found.
    numbered_otherwise = met == len(found) <= len(watched)
    return found if said and not numbered_otherwise else set()


def _descriptors() -> Iterator[str]:
    """Yield what Linux says of each file that this process has open."""
    with suppress(OSError):
        for name in os.listdir(_FDINFO):  # noqa: PTH208
            with suppress(OSError), open(f"{_FDINFO}/{name}", encoding="ascii") as file:
                yield file.read()


def _changes(folders: list[str], *, poll: bool, tick_s: float) -> Iterator[set[str] | None]:
    """Yield the paths that were made or changed in each tick; None where some were missed."""
    import watchfiles

    made, changed = watchfiles.Change.added, watchfiles.Change.modified
    missed = False
    while True:
        try:
            for events in watchfiles.watch(
                *folders,
                watch_filter=None,
                rust_timeout=round(1000 * tick_s),
                debounce=round(1000 * tick_s),
                yield_on_timeout=True,
                force_polling=poll or None,
                poll_delay_ms=round(1000 * min(POLL_S, 5 * tick_s)),
                ignore_permission_denied=True,
            ):
                if missed:  # also what happened before the new watcher began
                    missed = False
                    yield None
                # A folder that changed is left out: changes in it are reported by themselves. One
                # that was made may have been moved here, with files that are not reported.
                yield {
                    path
                    for kind, path in events
                    if kind == made or (kind == changed and not os.path.isdir(path))  # noqa: PTH112
                }
        except OSError as error:
            raise ConfigurationError(
                f"cannot be watched: {error}",
                path=folders[0],
                hint="--poll works without the system's notifications; on Linux "
                "fs.inotify.max_user_watches or max_user_instances may be too small",
            ) from error
        except RuntimeError as error:
            # A name that is not Unicode, even one that is only read, ends the watcher.
            log.info("starting a new watcher: %s", error)
            missed = True
            yield None
            time.sleep(tick_s)  # it may happen again at once, and a new watcher takes time


def _identity(folder: str) -> tuple[int, int] | None:
    try:
        status = os.stat(folder)  # noqa: PTH116
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _changed(path: str) -> float:
    """Return when a file was changed or moved here, in seconds since the epoch."""
    try:
        status = os.stat(path)  # noqa: PTH116
    except OSError:
        return 0.0
    return max(status.st_mtime, status.st_ctime)
