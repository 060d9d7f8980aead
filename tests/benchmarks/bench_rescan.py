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

from tagger.sound import demo
from tests.benchmarks import compile_into

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


def walked(root: Path) -> tuple[float, float]:
    start, processor = time.perf_counter(), time.process_time()
    for folder, _, names in os.walk(root):
        for name in names:
            os.stat(os.path.join(folder, name))  # noqa: PTH116, PTH118
    return time.perf_counter() - start, time.process_time() - processor


def scanned(root: Path, *options: str) -> tuple[float, float, float]:
    """Seconds, those of the processor with all workers, and the most memory of a process in MB."""
    report = root.parent / "report.csv"
    command = [sys.executable, "-m", "tagger", "scan", str(root), "-q", "--report", str(report)]
    code = (
        "import resource, subprocess, sys; done = subprocess.run(sys.argv[1:]);"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN);"
        "print(used.ru_utime + used.ru_stime, used.ru_maxrss); sys.exit(done.returncode)"
    )
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code, *command, *options],
        env={**os.environ, "XDG_CACHE_HOME": str(root.parent), "XDG_STATE_HOME": str(root.parent)},
        check=True,
        capture_output=True,
        text=True,
    )
    processor_s, kilobytes = done.stdout.split()[-2:]
    return time.perf_counter() - start, float(processor_s), int(kilobytes) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--genre", default="", help="that a person wrote into each of them")
    parser.add_argument("--write", action="store_true", help="write, too, which takes long")
    parser.add_argument("--model", default="cnn")
    parser.add_argument("--folder", type=Path, help="where the library is made")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        compile_into(str(Path(folder) / "compiled"))
        root = make_library(Path(folder), arguments.files, arguments.genre)
        rows = [("walk and stat only", *walked(root), 0.0)]
        model = ("--model", arguments.model)
        rows += [(f"{name} scan", *scanned(root, *model)) for name in ("first", "second")]
        if arguments.write:
            for name in ("writing", "after that", "and again"):
                rows += [(name, *scanned(root, *model, "--write-tags", "--min-confidence", "0"))]
        size = sum(f.stat().st_size for f in Path(folder).glob("gtag/predictions.sqlite*"))
        print(f"{arguments.files:,} files; cache {size / 1e6:.0f} MB")
        for name, seconds, processor_s, megabytes in rows:
            each = processor_s / arguments.files * 1e6
            print(
                f"{name:20} {seconds:8.1f} s, of the processor {processor_s:8.1f} s: "
                f"{each:6.0f} µs a file {megabytes:7.0f} MB"
            )


if __name__ == "__main__":
    main()
