"""How fast a scan is, beside decoding and resampling the same excerpts and nothing else.

    python -m tests.benchmarks.bench_scan [FOLDER …] [--model cnn --model trees …] [--rounds 5]

One process against one, track by track in turns, so that a noisy machine is noisy for both. For
each track the fastest of its rounds counts. Without a folder: 4-minute stereo pieces at 44.1 kHz,
composed and encoded on the spot.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from tagger.deciding.decide import Policy
from tagger.library.walk import Library, Track
from tagger.pipeline.batch import track_results
from tagger.sound import demo
from tagger.sound.audio import read_excerpts
from tagger.system.errors import GtagError

SUFFIXES = (".mp3", ".flac", ".m4a", ".ogg", ".opus")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="*")
    parser.add_argument("--model", action="append", dest="models")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--limit", type=int, default=40)
    options = parser.parse_args()
    models = options.models or ["cnn"]
    with tempfile.TemporaryDirectory() as folder:
        four_minutes = compose(Path(folder))
        roots = options.folders or [folder]
        tracks = [t for t in Library(roots, limit=options.limit) if decodes(t)]
        compare(tracks, models, options.rounds)
        memory = psutil.Process().memory_info().rss / 2**20
        print(f"\nresident memory of this process: {memory:.0f} MiB")
        for model in models:
            cold_start(four_minutes, model)


def compose(folder: Path) -> Path:
    """4-minute pieces in several containers; the MP3's path."""
    import numpy as np

    minute = demo.compose("jazz", 0, 60.0)
    for suffix in SUFFIXES:
        demo.encode(np.tile(minute, 4), folder / f"piece{suffix}", rate=44_100, channels=2)
    return folder / "piece.mp3"


def decodes(track: Track) -> bool:
    try:
        read_excerpts(track.path)
    except GtagError:
        return False
    return True


def compare(tracks: list[Track], models: list[str], rounds: int) -> None:
    """Print milliseconds a track, and each speed as a share of decoding's."""

    def scanner(model: str) -> Callable[[Track], object]:
        return lambda track: list(track_results([track], model=model, policy=Policy(0.5), jobs=1))

    work: dict[str, Callable[[Track], object]] = {
        "decode and resample": lambda track: read_excerpts(track.path),
        **{f"scan --model {model}": scanner(model) for model in models},
    }
    for run in work.values():
        run(tracks[0])  # imports, models, caches
    best = {name: dict.fromkeys(range(len(tracks)), float("inf")) for name in work}
    for _ in range(rounds):
        for i, track in enumerate(tracks):
            for name, run in work.items():
                began = time.process_time()
                run(track)
                best[name][i] = min(best[name][i], time.process_time() - began)
    totals = {name: sum(times.values()) for name, times in best.items()}
    decoding = totals["decode and resample"]
    print(f"{len(tracks)} tracks, processor time of one process, best of {rounds} rounds each\n")
    print(f"{'':28}{'ms a track':>12}{'tracks/s':>12}{'cost':>10}{'speed':>10}")
    for name, total in totals.items():
        print(
            f"{name:28}{1000 * total / len(tracks):12.1f}{len(tracks) / total:12.1f}"
            f"{total / decoding:9.2f}x{decoding / total:9.2f}x"
        )


def cold_start(file: Path, model: str) -> None:
    """Print how long `gtag scan` takes for one 4-minute MP3, and for its help."""
    for arguments in (["--help"], ["scan", "--model", model, str(file)]):
        seconds = []
        for _ in range(3):
            began = time.perf_counter()
            subprocess.run(
                [sys.executable, "-m", "tagger", *arguments], check=True, capture_output=True
            )
            seconds.append(time.perf_counter() - began)
        print(f"gtag {' '.join(arguments[:3])}: {min(seconds):.2f} s, fastest of 3 starts")


if __name__ == "__main__":
    main()
