"""How long a second scan of an unchanged library takes, and how the parent's memory grows.

A library of copies of one short piece, twenty to a folder; beside it, in the same run, only walking
through it and asking for each file's state:
`python -m tests.benchmarks.bench_rescan --files 100000`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from mediafile import MediaFile

from tagger import demo

IN_A_FOLDER = 20


def make_library(folder: Path, files: int, genre: str) -> Path:
    piece = folder / "piece.opus"
    demo.encode(demo.compose("disco", 1, 2.0), piece)
    if genre:
        media = MediaFile(piece)
        media.genre = genre
        media.save()
    root = folder / "music"
    for i in range(files):
        if i % IN_A_FOLDER == 0:
            below = root / f"{i // 2000:03}" / f"{i // IN_A_FOLDER:05}"
            below.mkdir(parents=True)
        copy = below / f"{i:06}.opus"
        shutil.copyfile(piece, copy)
        os.utime(copy, (time.time() - 7200,) * 2)
    return root


def walked(root: Path) -> float:
    start = time.perf_counter()
    for folder, _, names in os.walk(root):
        for name in names:
            os.stat(os.path.join(folder, name))  # noqa: PTH116, PTH118
    return time.perf_counter() - start


def scanned(root: Path, *options: str) -> tuple[float, float]:
    """Seconds, and the most memory of the parent in MB."""
    report = root.parent / "report.csv"
    command = [sys.executable, "-m", "tagger", "scan", str(root), "-q", "--report", str(report)]
    code = (
        "import resource, subprocess, sys; done = subprocess.run(sys.argv[1:]);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(done.returncode)"
    )
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code, *command, *options],
        env={**os.environ, "XDG_CACHE_HOME": str(root.parent), "XDG_STATE_HOME": str(root.parent)},
        check=True,
        capture_output=True,
        text=True,
    )
    return time.perf_counter() - start, int(done.stdout.split()[-1]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--genre", default="", help="that a person wrote into each of them")
    parser.add_argument("--write", action="store_true", help="write, too, which takes long")
    parser.add_argument("--folder", type=Path, help="where the library is made")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        root = make_library(Path(folder), arguments.files, arguments.genre)
        walk_s = walked(root)
        rows = [("walk and stat only", walk_s, 0.0)]
        rows += [(f"{name} scan", *scanned(root)) for name in ("first", "second")]
        if arguments.write:
            for name in ("writing", "after that", "and again"):
                rows += [(name, *scanned(root, "--write-tags", "--min-confidence", "0"))]
        size = sum(f.stat().st_size for f in Path(folder).glob("gtag/predictions.sqlite*"))
        print(f"{arguments.files:,} files; cache {size / 1e6:.0f} MB")
        for name, seconds, megabytes in rows:
            each = seconds / arguments.files * 1e6
            print(f"{name:20} {seconds:8.1f} s {each:8.0f} µs a file {megabytes:7.0f} MB")


if __name__ == "__main__":
    main()
