"""How many edits of another program are lost while gtag writes the same file again and again.

    python -m tests.benchmarks.bench_race [--seconds 30] [--megabytes 1] [--hold-ms 5] [FOLDER]

A second process opens the file by its name, waits for a random while, saves a number into it and
closes it; before its next edit it sees whether its last number is still there. It saves into the
file itself, as most tag editors do, sometimes with the old time put back, sometimes at once. Run
for each way to put the new file in place: `exchanged` (local disks of Linux), `leased`, which is
the same with a file that nobody had changed for seconds (here it is taken for one: a disk of ext4,
XFS or Btrfs and Linux 6.13 tell of each change even so), `replaced` (all others), and `unasked`,
which is `replaced` without the question who has the file open.
Then the window of `replaced`: from the last check to the end of the renaming, in microseconds.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch

from tagger.storage import swap
from tagger.storage.at_rest import is_open_for_writing
from tagger.storage.replace_file import replace_file
from tagger.system.errors import RefusedError

WAYS: dict[str, dict[str, Callable[..., bool]]] = {
    "exchanged": {},
    "leased": {"shows_every_change": lambda path, seen: not is_open_for_writing(path)},
    "replaced": {"exchange": lambda one, other: False},
    "unasked": {"exchange": lambda one, other: False, "is_open_for_writing": lambda path: False},
}


def edit_for_ever(path: Path, hold_s: float, seed: int) -> None:
    """Save rising numbers until the input ends; print how many, and how many were lost."""
    chance = random.Random(seed)
    os.set_blocking(0, False)
    number, edits, lost = 0, 0, 0
    while sys.stdin.buffer.read(1) is None:
        with path.open("r+b", buffering=0) as file:
            lost += int.from_bytes(file.read(8)) != number
            seen = os.fstat(file.fileno())
            if chance.random() < 0.5:
                time.sleep(chance.uniform(0, hold_s))
            edits += 1
            number = edits
            os.pwrite(file.fileno(), number.to_bytes(8), 0)
        if chance.random() < 0.2:
            os.utime(path, ns=(seen.st_atime_ns, seen.st_mtime_ns))
        time.sleep(chance.uniform(0, 2 * hold_s))
    with path.open("rb") as file:
        lost += int.from_bytes(file.read(8)) != number
    print(edits, lost)


def race(path: Path, seconds: float, hold_s: float) -> tuple[int, int, int, int]:
    """Writes and refusals of gtag; edits of the other, and how many of them were lost."""
    editor = subprocess.Popen(
        [sys.executable, "-m", __spec__.name, "--edit", path, "--hold-ms", str(hold_s * 1000)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    written = refused = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            replace_file(path, _count, lambda original, copy: None)
            written += 1
        except RefusedError:
            refused += 1
    edits, lost = map(int, editor.communicate()[0].split())
    return written, refused, edits, lost


def _count(copy: str) -> None:
    with open(copy, "r+b") as file:
        file.seek(-8, os.SEEK_END)
        count = int.from_bytes(file.read(8)) + 1
        file.seek(-8, os.SEEK_END)
        file.write(count.to_bytes(8))


def window_us(path: Path, turns: int = 1000) -> list[float]:
    """From before the status is asked for the last time to after the renaming."""
    began, spans = 0.0, []
    stat, replace = Path.stat, Path.replace

    def noted(self: Path, **options: bool) -> os.stat_result:
        nonlocal began
        began = time.perf_counter()
        return stat(self, **options)

    def timed(self: Path, target: Path) -> Path:
        done = replace(self, target)
        spans.append(1e6 * (time.perf_counter() - began))
        return done

    with patch.object(Path, "stat", noted), patch.object(Path, "replace", timed):
        for _ in range(turns):
            replace_file(path, _count, lambda original, copy: None)
    return sorted(spans)


def main() -> None:
    """Print a line for each way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--megabytes", type=float, default=1.0)
    parser.add_argument("--hold-ms", type=float, default=5.0)
    parser.add_argument("--edit", type=Path, help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.edit:
        edit_for_ever(told.edit, told.hold_ms / 1000, seed=0)
        return
    with tempfile.TemporaryDirectory(dir=told.folder) as folder:
        path = Path(folder) / "track"
        for way, replaced in WAYS.items():
            path.write_bytes(bytes(int(told.megabytes * 2**20)))
            with ExitStack() as stack:
                for name, function in replaced.items():
                    stack.enter_context(patch.object(swap, name, function))
                written, refused, edits, lost = race(path, told.seconds, told.hold_ms / 1000)
            print(f"{way:9}  {written} written, {refused} refused; {edits} edits, {lost} lost")
        path.write_bytes(bytes(1 << 16))
        with patch.object(swap, "exchange", WAYS["replaced"]["exchange"]):
            spans = window_us(path)
        print(f"window of replaced: median {statistics.median(spans):.0f} µs, most {spans[-1]:.0f}")


if __name__ == "__main__":
    main()
