"""Carries owner, mode, extended attributes, ACLs, flags and times from a file to its edited copy.

What cannot be copied is an error, never a silent loss.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import stat
import sys
from functools import lru_cache
from pathlib import Path

from tagger.system.errors import RefusedError

if sys.platform == "linux":
    import fcntl

# Of Linux: <linux/fs.h>.
_FS_IOC_GETFLAGS, _FS_IOC_SETFLAGS = 0x80086601, 0x40086602
_FS_IMMUTABLE_FL, _FS_APPEND_FL = 0x10, 0x20
_CARRIED_FLAGS = 0x1 | 0x2 | 0x4 | 0x8 | 0x40 | 0x80  # of chattr: s, u, c, S, d and A

# <linux/capability.h>
_CAP_CHOWN, _CAP_FOWNER, _CAP_FSETID = 0, 3, 4

_UNSUPPORTED = {errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
_NOT_ALLOWED = {errno.EPERM, errno.EACCES, errno.EINVAL, *_UNSUPPORTED}


def carry_attributes(
    original: Path, copy: Path, seen: os.stat_result, *, preserve_mtime: bool
) -> None:
    """Give a copy what the original has beside its bytes.

    Parameters
    ----------
    original, copy : Path
        Two regular files.
    seen : os.stat_result
        The original's status when it was copied.
    preserve_mtime : bool
        Give it the original's time of modification as well.

    Raises
    ------
    RefusedError
        Something cannot be copied: the owner may not do it, or the file system does not support it.
    OSError
        The device failed.
    """
    try:
        _carry_owner(copy, seen)
        if sys.platform == "darwin":
            _carry_extended_on_macos(original, copy)
        else:
            _carry_extended(original, copy)
            _carry_flags(original, copy)
        # Last, since a change of owner takes bits away, and until here nobody else should read it.
        mode = stat.S_IMODE(seen.st_mode)
        if stat.S_IMODE(copy.stat().st_mode) != mode:
            copy.chmod(mode)
            if stat.S_IMODE(copy.stat().st_mode) != mode:  # bits that it drops without a word
                raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
    except OSError as error:
        if error.errno not in _NOT_ALLOWED:
            raise
        raise RefusedError(
            f"owner, mode or attributes cannot be copied to a new file: {error.strerror}",
            path=original,
        ) from error
    if preserve_mtime:
        os.utime(copy, ns=(seen.st_atime_ns, seen.st_mtime_ns))


# A probe file would say it best, but a dry run makes none in a library. So this asks what the
# system will ask. It cannot know what a server (NFS that distrusts root) or a security label says.
def why_not_replaced(target: Path, seen: os.stat_result) -> str | None:
    """Say why no new file of the same owner, group and mode can take a file's place.

    Returns
    -------
    str or None
        None where one can, as far as that shows without making one.
    """
    if sys.platform == "win32":
        return None
    user, groups = os.geteuid(), {os.getegid(), *os.getgroups()}
    folder = target.parent.stat()
    inherits_group = sys.platform == "darwin" or folder.st_mode & stat.S_ISGID
    new_group = folder.st_gid if inherits_group else os.getegid()
    if seen.st_uid != user and not _gives_away(seen.st_uid, "uid_map"):
        return f"it belongs to user {seen.st_uid}, to whom you cannot give a new file"
    if seen.st_gid not in {new_group, *groups} and not _gives_away(seen.st_gid, "gid_map"):
        return f"it belongs to group {seen.st_gid}, to which you cannot give a new file"
    if (
        seen.st_mode & stat.S_ISGID
        and seen.st_gid not in groups
        and not _has_capability(_CAP_FSETID)
    ):
        return "its mode (setgid) cannot be given to a new file of a group that is not yours"
    if (
        folder.st_mode & stat.S_ISVTX
        and user not in (seen.st_uid, folder.st_uid)
        and not _has_capability(_CAP_FOWNER)
    ):
        return "its folder lets only the owner replace it (sticky bit)"
    return None


def may_set_times(seen: os.stat_result) -> bool:
    """Tell whether the times of a file may be set to any value: by its owner alone."""
    return sys.platform == "win32" or seen.st_uid == os.geteuid() or _has_capability(_CAP_FOWNER)


def _has_capability(number: int) -> bool:
    """Tell whether this process may do what root may; in a container root may not do all of it."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:  # not Linux
        return os.geteuid() == 0
    found = re.search(r"^CapEff:\s*([0-9a-f]+)$", status, re.M)
    return found is not None and bool(int(found[1], 16) >> number & 1)


def _gives_away(number: int, table: str) -> bool:
    """Tell whether this process may give a file to a user or group, which a container may not
    know.
    """
    if not _has_capability(_CAP_CHOWN):
        return False
    try:
        rows = Path("/proc/self", table).read_text().splitlines()
    except OSError:  # not Linux
        return True
    ranges = [[int(value) for value in row.split()] for row in rows]
    return any(first <= number < first + count for first, _, count in ranges)


def _carry_owner(copy: Path, seen: os.stat_result) -> None:
    if sys.platform == "win32":
        return  # a new file has its folder's owner and permissions there
    status = copy.stat()
    if (status.st_uid, status.st_gid) != (seen.st_uid, seen.st_gid):
        os.chown(copy, seen.st_uid, seen.st_gid)


def _carry_extended(original: Path, copy: Path) -> None:
    """Carry extended attributes; on Linux, ACLs and security labels are some of them."""
    wanted, present = _extended(original), _extended(copy)
    for name in present.keys() - wanted.keys():  # a folder's default ACL, for instance
        try:
            os.removexattr(copy, name)
        except OSError as error:
            if error.errno != errno.ENODATA:  # XFS shows root an ACL under two names
                raise
    for name, value in wanted.items():
        if present.get(name) != value:
            os.setxattr(copy, name, value)


def _carry_flags(original: Path, copy: Path) -> None:
    wanted, present = _flags(original), _flags(copy)
    if wanted is None or present is None or not (wanted ^ present) & _CARRIED_FLAGS:
        return
    flags = present & ~_CARRIED_FLAGS | wanted & _CARRIED_FLAGS
    descriptor = os.open(copy, os.O_RDONLY)
    try:
        fcntl.ioctl(descriptor, _FS_IOC_SETFLAGS, flags.to_bytes(8, sys.byteorder))
    finally:
        os.close(descriptor)


def _flags(path: Path) -> int | None:
    """Return what `lsattr` shows; None where there are no flags."""
    if sys.platform != "linux":
        return None
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        answer = fcntl.ioctl(descriptor, _FS_IOC_GETFLAGS, bytes(8))
    except OSError:  # not every file system has flags
        return None
    finally:
        os.close(descriptor)
    return int.from_bytes(answer[:4], sys.byteorder)


def _extended(path: Path) -> dict[str, bytes]:
    if not hasattr(os, "listxattr"):
        return {}
    try:
        return {name: os.getxattr(path, name) for name in os.listxattr(path)}
    except OSError as error:
        if error.errno in _UNSUPPORTED:
            return {}
        raise


def _carry_extended_on_macos(original: Path, copy: Path) -> None:
    # Python cannot read these there; the system's own copyfile(3) can.
    acl, xattr = 1 << 0, 1 << 2
    system = ctypes.CDLL(None, use_errno=True)
    if system.copyfile(os.fsencode(original), os.fsencode(copy), None, acl | xattr) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def protection(path: Path) -> str:
    """Return the flag beside the mode that forbids to replace a file or change a folder; or
    nothing.
    """
    if sys.platform == "linux":
        flags = _flags(path) or 0
        append_only, immutable = flags & _FS_APPEND_FL, flags & _FS_IMMUTABLE_FL
    elif hasattr(stat, "UF_APPEND"):
        flags = getattr(path.stat(), "st_flags", 0)
        append_only = flags & (stat.UF_APPEND | stat.SF_APPEND)
        immutable = flags & (stat.UF_IMMUTABLE | stat.SF_IMMUTABLE)
    else:
        return ""
    return "immutable" if immutable else "append-only" if append_only else ""


def is_mount_point(path: Path) -> bool:
    """Tell whether a file is mounted on its own, as containers mount single files."""
    try:
        return any(place == os.fspath(path) for place, _ in mounts())
    except OSError:  # not Linux
        return path.lstat().st_dev != path.parent.lstat().st_dev


def mounts() -> tuple[tuple[str, str], ...]:
    """Return mount points and their kinds, by Linux' table; OSError elsewhere."""
    return _mounts(Path("/proc/self/mountinfo").read_bytes())


@lru_cache(maxsize=1)
def _mounts(table: bytes) -> tuple[tuple[str, str], ...]:
    found = list[tuple[str, str]]()
    for line in table.splitlines():
        before, _, after = line.partition(b" - ")
        place = before.split()[4]
        if b"\\" in place:  # spaces, tabs, line ends and backslashes stand in octal
            place = re.sub(rb"\\([0-7]{3})", lambda octal: bytes([int(octal[1], 8)]), place)
        found.append((os.fsdecode(place), os.fsdecode(after.split()[0])))
    return tuple(found)
