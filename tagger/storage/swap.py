"""Puts a finished copy in a file's place, and loses neither an edit nor the last whole file.

Whatever the system answers, nothing is removed before it is seen what stands under the name.
"""

from __future__ import annotations

import ctypes
import errno
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from operator import attrgetter
from pathlib import Path

from tagger.storage.at_rest import (
    Lease,
    is_open_for_writing,
    is_watched_wholly,
    shows_every_change,
)
from tagger.storage.durable_io import sync_folder
from tagger.storage.identity import Identity
from tagger.system.errors import RefusedError, WriteFailedError
from tagger.system.screen import printable

log = logging.getLogger(__name__)

# What a change of a file shows in. Programs can put the time of modification back, but not that of
# the last change of any kind (`ctime`).
_STATE = attrgetter("st_dev", "st_ino", "st_size", "st_mtime_ns", "st_ctime_ns")

# Tags stand in front or at the end.
_END_BYTES = 1 << 14

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2  # of Linux: <linux/fs.h>
# EPERM: of sandboxes that do not know the call.
_NOT_SUPPORTED = {errno.EINVAL, errno.ENOSYS, errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP}


class Witness:
    """A file as it was when it was copied: tells whether somebody touched it since.

    Parameters
    ----------
    target : Path
    seen : os.stat_result
        Its status; it is to be copied after this is made.

    Attributes
    ----------
    is_watched : bool
        Whether the system knows of everybody who writes it, and when it was last changed.
    """

    def __init__(self, target: Path, seen: os.stat_result) -> None:
        self._target, self._seen = target, seen
        self._ends = _ends(target)
        self.is_watched = is_watched_wholly(target)
        self._shows_every_change = self.is_watched and shows_every_change(target, seen)

    def refuse_if_touched(self) -> None:
        """Compare what can be compared at once; raises RefusedError.

        The bytes are for file systems that do not keep the time of the last change.
        """
        if is_open_for_writing(self._target):
            raise self._open_for_writing()
        self._compare()

    @contextmanager
    def last_look(self) -> Iterator[Lease | None]:
        """Do the same, and yield a lease as long as which holds the file has not been changed.

        None where that cannot be had.
        """
        if not self._shows_every_change:
            self.refuse_if_touched()
            yield None
            return
        with Lease(self._target) as lease:
            if lease.is_refused_for_a_writer:
                raise self._open_for_writing()
            self._compare()
            yield lease

    def _open_for_writing(self) -> RefusedError:
        return RefusedError(
            "another program has it open for writing",
            path=self._target,
            hint="try again when that is done",
        )

    def _compare(self) -> None:
        if _ends(self._target) != self._ends or _STATE(self._target.stat()) != _STATE(self._seen):
            raise touched(self._target)

    def refuse_unless(self, before: Identity) -> None:
        """Read all of the file and compare that, too; raises RefusedError, OSError."""
        if not Identity.of(self._target).same_content(before):
            raise touched(self._target)
        self.refuse_if_touched()


def touched(target: Path) -> RefusedError:
    """Return the error for a file that does not hold any more what was copied."""
    return RefusedError("another program changed it during the write", path=target)


def swap(copy: Path, target: Path, witness: Witness, before: Identity, after: Identity) -> None:
    """Put a finished copy in a file's place.

    Nothing may hold the file open here: libfuse, which most file systems in user space are built
    on, then hides it under another name before it renames, and removes it when it is closed, also
    where the renaming failed.

    Where the system can exchange two names in one step, the old file is put back where another
    program has changed it or still writes it. That is known by a lease; else the file is read when
    nobody can reach it by its name any more.

    Raises
    ------
    RefusedError
        Somebody touched the file, or has it open for writing.
    WriteFailedError
        The message says what stands under the name, and where the copy is if it was kept.
    """
    with ExitStack() as stack:
        try:
            lease = stack.enter_context(witness.last_look())
        except BaseException:
            copy.unlink(missing_ok=True)
            raise
        _swap(copy, target, witness, before, after, lease)


def _swap(
    copy: Path,
    target: Path,
    witness: Witness,
    before: Identity,
    after: Identity,
    lease: Lease | None,
) -> None:
    try:
        # Elsewhere some ignore the flag, and the system knows too little of who else writes.
        exchanged = witness.is_watched and exchange(copy, target)
    except BaseException as error:
        _settle(copy, target, before, after, error)
        raise
    if not exchanged:
        _replace(copy, target, witness, before, after)
    try:
        _synced(target)
    finally:
        if exchanged:
            _give_up_old(copy, target, before, after, lease)
    if exchanged:
        _synced(target)


def _replace(copy: Path, target: Path, witness: Witness, before: Identity, after: Identity) -> None:
    try:
        if witness.is_watched:  # and could not be exchanged: nobody has read it since it was copied
            witness.refuse_unless(before)
    except BaseException:
        copy.unlink(missing_ok=True)
        raise
    try:
        copy.replace(target)
    except BaseException as error:
        _settle(copy, target, before, after, error)
        raise


def exchange(one: Path, other: Path) -> bool:
    """Let two files take each other's names in one step; False where that is not possible here."""
    return _rename(one, other, _RENAME_EXCHANGE)


def clear_up(copy: Path, target: Path, before: Identity, after: Identity) -> bool:
    """Behind a swap that was cut off or failed: remove what has the copy's name, if it may go.

    Where nothing has the file's name, the copy gets it. What is neither the old nor the new file
    is another program's edit, and stays.

    Returns
    -------
    bool
        False where that cannot be known or done now.
    """
    try:
        if not _is_listed(copy):
            return True
        now = Identity.of(copy)
        if not (now.same_content(before) or now.same_content(after)):
            log.warning("%s: what another program wrote into %s stays there", *_shown(target, copy))
        elif _is_listed(target):
            copy.unlink()
        else:
            copy.rename(target)
            log.warning("%s: it was gone, and is there again by %s", *_shown(target, copy))
        with suppress(OSError):
            sync_folder(target.parent)
    except OSError:
        return False
    return True


def _shown(target: Path, copy: Path) -> tuple[str, str]:
    return printable(str(target)), printable(copy.name)


def _settle(
    copy: Path, target: Path, before: Identity, after: Identity, error: BaseException
) -> None:
    """See what stands after a failed rename, and put the copy there if nothing does."""
    reason = error.strerror if isinstance(error, OSError) else "interrupted"
    was_done = False
    with suppress(OSError):
        was_done = not _is_listed(copy) and _is_listed(target)
    if not was_done:
        if _stands(before, target):
            copy.unlink(missing_ok=True)
            return
        with suppress(OSError):
            if not _is_listed(target) and after.stands_at(copy):
                copy.rename(target)
                sync_folder(target.parent)
        if not _stands(after, target):
            raise _kept(f"not written: {reason}", copy, target) from error
        if _is_listed(copy):  # what stood there before, after an exchange
            _give_up_old(copy, target, before, after)
    if isinstance(error, OSError):
        raise WriteFailedError(f"written, but the system said: {reason}", path=target) from error


def _stands(identity: Identity, path: Path) -> bool:
    try:
        return _is_listed(path) and identity.stands_at(path)
    except OSError:
        return False


def _is_listed(path: Path) -> bool:
    """Tell whether a name is in its folder, which the system's memory of names may be wrong about.

    For a second after a failed renaming Linux still opens a file that libfuse has hidden.
    """
    return path in path.parent.iterdir()


def _give_up_old(
    copy: Path, target: Path, before: Identity, after: Identity, lease: Lease | None = None
) -> None:
    """Remove the old file, which has the copy's name now; put it back if somebody touched it."""
    try:
        try:
            untouched = (lease is not None and lease.holds) or _is_untouched(copy, before)
        except (OSError, MemoryError):  # once more: without an answer it has to stay
            untouched = _is_untouched(copy, before)
        if not untouched:
            _put_back(copy, target, after)
            raise touched(target)
        copy.unlink()
    except OSError as error:
        raise _kept(
            f"written, but its old file could not be removed: {error.strerror}", copy, target
        ) from error


def _is_untouched(old: Path, before: Identity) -> bool:
    """Tell whether a file holds what it held, and nobody is about to change that.

    Whoever found it by its name opened it before the exchange: either they have closed it, and
    what they wrote shows, or the system knows of them.
    """
    seen = old.stat()
    now = Identity.of(old)
    return (
        now.same_content(before)
        and now.mtime_ns == before.mtime_ns
        and not is_open_for_writing(old)
        and _STATE(old.stat()) == _STATE(seen)
    )


def _put_back(copy: Path, target: Path, after: Identity) -> None:
    edited = "another program changed the old file during the write"
    try:
        if not exchange(copy, target):
            raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))
        sync_folder(target.parent)
    except OSError as error:
        raise _kept(f"written, but {edited}: {error.strerror}", copy, target) from error
    if is_open_for_writing(copy) or not after.stands_at(copy):
        raise _kept(f"not written: {edited}, and another one the new file", copy, target)
    copy.unlink(missing_ok=True)


def _kept(message: str, copy: Path, target: Path) -> WriteFailedError:
    with suppress(OSError):
        if not _is_listed(copy):
            return WriteFailedError(message, path=target)
    where = f"what must not be lost is kept as {copy.name} beside it"
    with suppress(OSError):
        if not _is_listed(target):
            where = f"nothing has its name now: the finished copy is {copy.name} beside it"
    return WriteFailedError(message, path=target, hint=where)


def _synced(target: Path) -> None:
    try:
        sync_folder(target.parent)
    except OSError as error:
        raise WriteFailedError(
            f"written, but its folder could not be synced: {error.strerror}", path=target
        ) from error


def _ends(path: Path) -> tuple[bytes, bytes]:
    with open(path, "rb") as file:
        head = file.read(_END_BYTES)
        file.seek(max(0, file.seek(0, os.SEEK_END) - _END_BYTES))
        return head, file.read(_END_BYTES)


@cache
def _renameat2() -> Callable[..., int] | None:
    """Return the system's call, which Python has no name for; None where there is none."""
    if sys.platform != "linux":
        return None
    found: Callable[..., int] | None = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    return found


def _rename(source: Path, destination: Path, flag: int) -> bool:
    call = _renameat2()
    if call is None:
        return False
    names = os.fsencode(source), os.fsencode(destination)
    if call(_AT_FDCWD, names[0], _AT_FDCWD, names[1], ctypes.c_uint(flag)) == 0:
        return True
    code = ctypes.get_errno()
    if code in _NOT_SUPPORTED:
        return False
    raise OSError(code, os.strerror(code), os.fspath(source), None, os.fspath(destination))
