"""A file system in user space that shows a folder, and fails to rename gtag's copies on request.

Run as a program: `python -m tests.tagger.loopback SOURCE MOUNT CONTROL`. While the file CONTROL is
there, renaming a file of gtag's answers EIO: at the next try ("once"), at every one ("always"), or
once after having been done ("late"). Everything else is libfuse's, with its default options: a
file that is replaced while somebody holds it open is hidden as `.fuse_hidden…`.
"""

# It hands system calls on.
# ruff: noqa: PTH101, PTH102, PTH104, PTH106, PTH108, PTH110, PTH208

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


@contextmanager
def mounted(folder: Path) -> Iterator[tuple[Path, Path]]:
    """Mount a folder below it; gives the place of the mount and the file CONTROL.

    Skips the test where nothing can be mounted.
    """
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("no /dev/fuse that may be used")
    try:
        import mfusepy  # noqa: F401
    except (ImportError, OSError) as error:  # OSError: no libfuse
        pytest.skip(f"no libfuse: {error}")
    source, mount, control = (folder / name for name in ("below", "mount", "control"))
    for made in (source, mount):
        made.mkdir()
    program = [sys.executable, "-m", "tests.tagger.loopback", *map(str, (source, mount, control))]
    served = subprocess.Popen(program, stderr=subprocess.PIPE, text=True)
    try:
        while not mount.is_mount():
            if served.poll() is not None:
                assert served.stderr is not None
                pytest.skip(f"cannot mount: {served.stderr.read().strip()[-200:]}")
            time.sleep(0.01)
        yield mount, control
    finally:
        subprocess.run(["umount", "-l", mount], check=False, stderr=subprocess.DEVNULL)
        if mount.is_mount():
            subprocess.run(["fusermount", "-uz", mount], check=False)
        served.terminate()
        served.wait()


def main(source: str, mount: str, control: str) -> None:
    """Serve until it is unmounted."""
    import mfusepy

    class Loopback(mfusepy.Operations):
        use_ns = True

        def _real(self, path: str) -> str:
            return source + path

        def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
            status = os.lstat(self._real(path))
            names = ("st_mode", "st_nlink", "st_uid", "st_gid", "st_size", "st_ino")
            times = {f"st_{kind}time": getattr(status, f"st_{kind}time_ns") for kind in "amc"}
            return {name: getattr(status, name) for name in names} | times

        def statfs(self, path: str) -> dict[str, int]:
            status = os.statvfs(self._real(path))
            names = ("f_bsize", "f_frsize", "f_blocks", "f_bfree", "f_bavail", "f_files")
            return {name: getattr(status, name) for name in names}

        def readdir(self, path: str, fh: int) -> list[str]:
            return [".", "..", *os.listdir(self._real(path))]

        def open(self, path: str, flags: int) -> int:
            return os.open(self._real(path), flags)

        def create(self, path: str, mode: int, fi: Any = None) -> int:
            return os.open(self._real(path), os.O_RDWR | os.O_CREAT | os.O_TRUNC, mode)

        def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
            return os.pread(fh, size, offset)

        def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
            return os.pwrite(fh, data, offset)

        def truncate(self, path: str, length: int, fh: int | None = None) -> None:
            os.truncate(self._real(path), length)

        def flush(self, path: str, fh: int) -> None:
            pass

        def fsync(self, path: str, datasync: int, fh: int) -> None:
            os.fsync(fh)

        def release(self, path: str, fh: int) -> None:
            os.close(fh)

        def mkdir(self, path: str, mode: int) -> None:
            os.mkdir(self._real(path), mode)

        def rmdir(self, path: str) -> None:
            os.rmdir(self._real(path))

        def unlink(self, path: str) -> None:
            os.unlink(self._real(path))

        def link(self, target: str, source: str) -> None:
            os.link(self._real(source), self._real(target))

        def chmod(self, path: str, mode: int) -> None:
            os.chmod(self._real(path), mode)

        def chown(self, path: str, uid: int, gid: int) -> None:
            os.chown(self._real(path), uid, gid)

        def utimens(self, path: str, times: tuple[int, int]) -> None:
            os.utime(self._real(path), ns=times)

        def rename(self, old: str, new: str) -> None:
            asked = ""
            if Path(old).name.startswith(".gtag-") and os.path.exists(control):
                asked = Path(control).read_text()
                if asked != "always":
                    os.unlink(control)
            if asked in ("", "late"):
                os.rename(self._real(old), self._real(new))
            if asked:
                raise mfusepy.FuseOSError(errno.EIO)

    mfusepy.FUSE(Loopback(), mount, foreground=True, nothreads=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
