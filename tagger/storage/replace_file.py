"""Replaces a file by an edited copy of itself, so that either stands there whole at every instant.

Copy beside → edit the copy → verify it → carry owner, mode and attributes over → sync → check that
the original still holds what was copied → journal the intent → swap (`tagger.storage.swap`).
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from tagger.storage.at_rest import tells_of_writers
from tagger.storage.attributes import (
    carry_attributes,
    is_mount_point,
    may_set_times,
    protection,
    why_not_replaced,
)
from tagger.storage.durable_io import (
    copy_content,
    dig_holes,
    is_sparse,
    overwrite,
    sync_file,
    sync_folder,
)
from tagger.storage.identity import Identity, digest_of
from tagger.storage.swap import Witness, swap, touched
from tagger.system.errors import GtagError, RefusedError, WriteFailedError
from tagger.system.exhausted import what_ran_out

if sys.platform != "win32":
    import fcntl

# What the name of every file begins with that gtag makes beside a track.
TEMPORARY_PREFIX = ".gtag-"

# A suffix is kept because some demuxers guess by it, but not one that makes the name long.
_LONGEST_SUFFIX = 8


def replace_file(
    path: str | os.PathLike[str],
    edit: Callable[[str], object],
    verify: Callable[[str, str], str | None],
    *,
    before_copy: Callable[[str, str | None], object] | None = None,
    after_copy: Callable[[str], object] | None = None,
    before_swap: Callable[[Identity, Identity, str], object] | None = None,
    after_swap: Callable[[], object] | None = None,
    preserve_mtime: bool = False,
    in_place: bool = False,
) -> str | None:
    """Replace a file by an edited and verified copy of itself.

    Parameters
    ----------
    path : path-like
        A regular file. A symbolic link is followed: its target is replaced, the link stays.
    edit : function of the copy's path
        Edits the copy, which has the original's bytes and suffix.
    verify : function of the original's and the copy's path
        Raises where the edited copy is not as planned. Returns the SHA-256 of the copy, if it has
        read all of that.
    before_copy : function of the copy's and the backup's path, optional
        Called before either file is made, so that a journal can name what may be left behind.
        The backup is None but for a file that is written in place.
    after_copy : function of the copy's SHA-256, optional
        Called before `edit`.
    before_swap : function of both identities and the copy's path, optional
        Journals the intent, durably. What it raises stops the write.
    after_swap : function, optional
        Marks the intent as done. Not called where a temporary file is left, which the journal's
        recovery has to remove.
    preserve_mtime : bool
        Keep the original's time of modification.
    in_place : bool
        Allow files with several names (hard links), and those whose owner or mode no new file can
        have: the verified copy's bytes are written into the file itself, while a backup lies
        beside. Other files are swapped all the same. A crash halfway leaves a torn file until the
        journal's recovery writes the backup back.

    Returns
    -------
    str or None
        What could not be done behind a file that is written, in words; None where all was done.

    Raises
    ------
    RefusedError
        The file must not be written: read-only, hard-linked, in use by another gtag, changed
        meanwhile, or with attributes that cannot be copied.
    WriteFailedError
        Something failed. The original is as it was; only where the message says so, the new file
        is in place already.
    GtagError
        Whatever `edit`, `verify` and the hooks raise. No temporary file stays in any case.
    """
    shown = os.fspath(path)
    internal: set[str] = set()
    try:
        target = Path(shown).resolve(strict=True)
        copy = _temporary_beside(target)
        internal |= {str(target), str(copy)}
        through = check_writable(target, in_place=in_place, preserve_mtime=preserve_mtime)
        backup = _temporary_beside(target) if through else None
        with _folder_times(target.parent, kept=preserve_mtime), ExitStack() as lock:
            lock.enter_context(_locked(target))
            seen = target.stat()
            if seen.st_nlink > 1 and not through:
                raise touched(target)
            if before_copy is not None:
                before_copy(str(copy), str(backup) if backup else None)
            with _removed_on_error(copy):
                witness = Witness(target, seen)
                copied = copy_content(target, copy)
                if after_copy is not None:
                    after_copy(copied)
                edit(str(copy))
                verified = verify(str(target), str(copy))
                if is_sparse(seen):
                    dig_holes(copy)
                if not through:
                    carry_attributes(target, copy, seen, preserve_mtime=preserve_mtime)
                sync_file(copy)
                if through or not witness.is_watched:
                    before = Identity.of(target)
                else:  # `swap` reads it: a change until then shows in the time of it
                    witness.refuse_if_touched()
                    before = Identity.at(seen, copied)
                after = Identity.at(copy.stat(), verified or digest_of(copy))
                if before.digest != copied:
                    raise touched(target)
                if before_swap is not None:
                    before_swap(before, after, str(copy))
            failed: list[str] = []
            if backup is not None:
                _write_through(copy, target, backup, witness, seen)
                if preserve_mtime and (why := _failure_of(os.utime, target, ns=_times(seen))):
                    failed.append(f"its time of modification could not be kept: {why}")
                for temporary in (backup, copy):
                    if why := _failure_of(temporary.unlink, missing_ok=True):
                        after_swap = None
                        failed.append(f"{temporary.name} could not be removed: {why}")
            else:
                lock.close()  # nobody may hold the file open: see `swap`
                swap(copy, target, witness, before, after)
            if after_swap is not None:
                after_swap()
            return f"written, but {'; '.join(failed)}" if failed else None
    except GtagError as error:
        if error.path not in internal:
            raise
        # People know the name that they gave, not the copy's or a link's target.
        raise type(error)(error.message, path=shown, hint=error.hint) from error
    except OSError as error:
        raise WriteFailedError(
            f"not written: {error.strerror or error}", path=shown, hint=_hint(error)
        ) from error


def _temporary_beside(target: Path) -> Path:
    return target.with_name(f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}{_kept_suffix(target)}")


def _kept_suffix(target: Path) -> str:
    return target.suffix if len(os.fsencode(target.suffix)) <= _LONGEST_SUFFIX else ""


def is_temporary_of(temporary: str, path: str) -> bool:
    """Tell whether a path is one that `replace_file` gives a temporary file beside `path`."""
    name, target = Path(temporary), Path(path)
    pattern = re.escape(TEMPORARY_PREFIX) + "[0-9a-f]{16}" + re.escape(_kept_suffix(target))
    return name.parent == target.parent and re.fullmatch(pattern, name.name) is not None


def check_writable(
    path: str | os.PathLike[str], *, in_place: bool = False, preserve_mtime: bool = False
) -> bool:
    """Refuse what `replace_file` refuses before it begins; else tell how it will write.

    Returns
    -------
    bool
        Whether into the file itself, since no new file can take its place.

    Raises
    ------
    RefusedError
    OSError
        It is not there.
    """
    target = Path(path).resolve(strict=True)
    status = target.stat()
    if not stat.S_ISREG(status.st_mode):
        raise RefusedError("not a regular file", path=target)
    folder = target.parent
    for what, place in (("the file", target), ("its folder", folder)):
        if flag := protection(place):
            raise RefusedError(
                f"{what} is {flag}", path=target, hint="the flag can be taken away with chattr"
            )
    # The system allows root everything, so what the mode says counts as well.
    if not status.st_mode & 0o222 or not os.access(target, os.W_OK):
        raise RefusedError("the file is read-only", path=target, hint="make it writable first")
    if not folder.stat().st_mode & 0o222 or not os.access(folder, os.W_OK | os.X_OK):
        raise RefusedError("its folder is read-only", path=target, hint="make it writable first")
    if status.st_nlink > 1:
        obstacle: str | None = (
            f"the file has {status.st_nlink} names (hard links), which a new file would separate"
        )
    else:
        obstacle = why_not_replaced(target, status)
    if obstacle and not in_place:
        raise RefusedError(obstacle, path=target, hint="--in-place writes into the file itself")
    if obstacle and preserve_mtime and not may_set_times(status):
        raise RefusedError(
            "its time of modification can only be kept by its owner",
            path=target,
            hint="write it without --preserve-mtime",
        )
    if is_mount_point(target):
        raise RefusedError("it is mounted on its own, so nothing can take its place", path=target)
    copies = 2 if obstacle else 1
    room = shutil.disk_usage(folder)
    if room.total and room.free < copies * status.st_size:  # some network drives say 0 of 0
        raise RefusedError(
            f"no room for its edited copy: {room.free / 2**20:.1f} MiB are free and "
            f"{copies * status.st_size / 2**20:.1f} MiB are needed",
            path=target,
        )
    return obstacle is not None


@contextmanager
def _removed_on_error(temporary: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with suppress(OSError):  # the journal knows of it
            temporary.unlink(missing_ok=True)
        raise


def _failure_of(call: Callable[..., object], *arguments: object, **options: object) -> str | None:
    """Say why the system refused a call; None where it did not."""
    try:
        call(*arguments, **options)
    except OSError as error:
        return error.strerror or str(error)
    return None


def _times(seen: os.stat_result) -> tuple[int, int]:
    return seen.st_atime_ns, seen.st_mtime_ns


@contextmanager
def _locked(target: Path) -> Iterator[None]:
    """Keep a second gtag off the file, where the system has locks that hinder nobody else.

    Where it has none, the check directly before the swap remains.
    """
    if sys.platform == "win32":
        yield
        return
    # NFS locks only what is open for writing; elsewhere that would hide other writers.
    descriptor = os.open(target, os.O_RDONLY if tells_of_writers(target) else os.O_RDWR)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RefusedError("another gtag is writing it", path=target) from error
        except OSError:
            pass  # no locks here
        try:
            with open(target, "rb") as probe:
                probe.read(1)
        except PermissionError:  # an SMB lock shuts out everybody, ourselves included
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        if not os.path.samestat(os.fstat(descriptor), target.stat()):
            raise touched(target)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _folder_times(folder: Path, *, kept: bool) -> Iterator[None]:
    """Give a folder its times back at the end, unless another program changed what is in it."""
    before = (folder.stat(), {*os.listdir(folder)}) if kept else None  # noqa: PTH208
    try:
        yield
    finally:
        if before is not None:
            status, names = before
            with suppress(OSError):  # of a folder of somebody else's
                if {*os.listdir(folder)} == names:  # noqa: PTH208
                    os.utime(folder, ns=(status.st_atime_ns, status.st_mtime_ns))


def _write_through(
    copy: Path, target: Path, backup: Path, witness: Witness, seen: os.stat_result
) -> None:
    """Write the copy's bytes into the target; the backup's again when that fails.

    Where that fails, too, both stay: a torn file is one that has bytes of either. Behind a file
    that is written they stay as well, and are the caller's to remove.
    """
    try:
        copy_content(target, backup)
        sync_file(backup)
        sync_folder(target.parent)
        witness.refuse_if_touched()
    except BaseException:
        with suppress(OSError):  # the journal knows of them
            backup.unlink(missing_ok=True)
            copy.unlink(missing_ok=True)
        raise
    try:
        overwrite(copy, target)
    except BaseException:
        try:
            overwrite(backup, target)
        except OSError as error:
            raise WriteFailedError(
                f"neither written nor put back: {error.strerror}",
                path=target,
                hint=f"its old content is in {backup.name}, which the next start puts back",
            ) from error
        # The file is whole, and what went wrong before is to be told.
        with suppress(OSError):  # its owner's alone
            os.utime(target, ns=_times(seen))
        with suppress(OSError):  # the journal knows of them
            backup.unlink()
            copy.unlink()
        raise


def _hint(error: OSError) -> str | None:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the edited copy needs as much room as the file itself"
    lacking = what_ran_out(error)
    return lacking.hint if lacking else None
