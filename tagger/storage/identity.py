"""What tells one state of a file from another: where it lies, its size, time and content."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path


@dataclass(frozen=True)
class Identity:
    """What tells one state of a file from another.

    Parameters
    ----------
    device, inode : int
        Where it lies.
    size : int
        In bytes.
    mtime_ns : int
        Last modification, in ns since the epoch.
    digest : str
        SHA-256 of the whole content, in hexadecimal.
    """

    device: int
    inode: int
    size: int
    mtime_ns: int
    digest: str

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> Identity:
        """Read a regular file and say what it is; OSError where it cannot be read."""
        if not stat.S_ISREG(Path(path).stat().st_mode):  # opening a FIFO would wait
            raise OSError(errno.EINVAL, "not a regular file", os.fspath(path))
        digest = digest_of(path)
        return cls.at(Path(path).stat(), digest)

    @classmethod
    def at(cls, status: os.stat_result, digest: str) -> Identity:
        """Make one of a file's status and the digest of its content."""
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, digest)

    def same_content(self, other: Identity) -> bool:
        """Tell whether both hold the same bytes, wherever they lie and whenever written."""
        return (self.size, self.digest) == (other.size, other.digest)

    def stands_at(self, path: str | os.PathLike[str]) -> bool:
        """Tell whether a file has these bytes; False where it is missing or cannot be read."""
        try:
            return Identity.of(path).same_content(self)
        except OSError:
            return False


def digest_of(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal."""
    with open(path, "rb") as file:
        return file_digest(file, "sha256").hexdigest()
