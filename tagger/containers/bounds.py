"""Bounds on how much of a file gtag takes apart, and on how long: far above what true files need.

Tags are read in the parent process, by Python code to which a small file can give hours of work and
gigabytes to hold. A file beyond a bound is classified all the same; its tags are neither read nor
written. Every part is counted before mutagen, which has no bounds, sees the file.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tagger.containers.parts import BrokenTagError


class BeyondBoundError(Exception):
    """A file has more of something than gtag takes apart: the message says of what."""


@dataclass(frozen=True)
class Bound:
    """The most of something, and what it is, in words that follow the number."""

    most: int
    what: str

    def check(self, number: int) -> None:
        """Raise BeyondBoundError where there are more."""
        if number > self.most:
            raise BeyondBoundError(f"more than {self.most:,} {self.what}")


# A cover of 20 MB stands in a Vorbis comment as 27 MB of letters; the index of an audio book of
# 100 h has 62 MB.
TAG_BYTES = Bound(1 << 26, "bytes (64 MiB) in a tag or header, pictures included")
INFLATED_BYTES = Bound(1 << 26, "bytes (64 MiB) in the compressed frames of an ID3 tag")
TAGS = Bound(32, "tags")
FRAMES = Bound(2_000, "frames in an ID3 tag")
# mutagen copies what is left of a tag once for each frame.
FRAMES_TIMES_BYTES = Bound(1 << 34, "bytes to copy for the frames of an ID3 tag")
TEXTS = Bound(2_000, "values in a text frame of an ID3 tag")
TEXT_BYTES = Bound(1 << 21, "bytes in a text frame of an ID3 tag")
FIELDS = Bound(10_000, "fields in a tag")
BLOCKS = Bound(2_000, "blocks of FLAC metadata")
SEEK_POINTS = Bound(200_000, "seek points")
PAGES = Bound(10_000, "Ogg pages before the sound")
OBJECTS = Bound(10_000, "ASF objects")
CHUNKS = Bound(10_000, "chunks")
# Eight for each fragment of a recording, of which there is one every few seconds.
BOXES = Bound(100_000, "MP4 boxes")

# How far the recogniser looks for sound behind zeros, and through how many tags and boxes.
MOST_ZEROS = 1 << 24
MOST_LEADING_TAGS = 10_000
MOST_BOXES_TO_SEARCH = 1_000_000

DEADLINE_S = 60.0


class _PassedError(BaseException):
    """Not an Exception: whoever handles the errors of hostile bytes must let it through."""


@contextmanager
def deadline() -> Iterator[None]:
    """Raise BrokenTagError where what is done meanwhile takes longer than `DEADLINE_S`.

    What the bounds cannot know is a disk that does not answer, or a reader that loops. Python
    offers one clock that ends both: it needs the main thread of a POSIX system, and no other user.
    Elsewhere there are only the bounds.
    """
    if not _is_free():
        yield
        return

    def passed(*_: object) -> None:
        raise _PassedError

    seconds = DEADLINE_S
    old = signal.signal(signal.SIGALRM, passed)
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except _PassedError as error:
        raise BrokenTagError(f"not done after {seconds:g} s") from error
    finally:
        signal.signal(signal.SIGALRM, old)


def _is_free() -> bool:
    """Tell whether nobody else, no outer deadline either, waits for the clock."""
    return (
        hasattr(signal, "setitimer")
        and threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGALRM) is signal.SIG_DFL
        and signal.getitimer(signal.ITIMER_REAL)[0] == 0
    )
