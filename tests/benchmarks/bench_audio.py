"""What excerpts cost against decoding everything: `python -m tests.benchmarks.bench_audio`.

For each container a piece of four minutes (44,100 Hz, stereo, 192 kbit/s where that is a choice):
milliseconds of one thread's processor time, the best of several runs.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np

from tagger.sound import demo
from tagger.sound.audio import read_excerpts
from tagger.sound.decoder import SAMPLE_RATE

SUFFIXES = (".mp3", ".flac", ".m4a", ".ogg", ".opus", ".wav", ".wma", ".wv")
RUNS = 7


def decode_everything(file: Path) -> int:
    """The plain way; returns the number of samples."""
    resampler = av.AudioResampler("flt", "mono", SAMPLE_RATE)
    with av.open(str(file)) as container:
        container.streams.audio[0].codec_context.thread_count = 1
        parts = [
            part.to_ndarray()[0]
            for frame in [*container.decode(audio=0), None]
            for part in resampler.resample(frame)
        ]
    return len(np.concatenate(parts))


def milliseconds(function: Callable[[Path], object], file: Path) -> float:
    best = float("inf")
    for _ in range(RUNS):
        started = time.process_time()
        function(file)
        best = min(best, time.process_time() - started)
    return best * 1000


def main() -> None:
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 4.0
    minute = demo.compose("jazz", duration_s=60.0)
    piece = np.tile(minute, round(minutes) or 1)
    print(f"{'':6} {'excerpts':>9} {'everything':>11}   ratio   (ms, {minutes:g} minutes)")
    with tempfile.TemporaryDirectory() as folder:
        for suffix in SUFFIXES:
            file = Path(folder) / f"a{suffix}"
            demo.encode(piece, file, bit_rate=192_000)
            excerpts = milliseconds(read_excerpts, file)
            everything = milliseconds(decode_everything, file)
            print(
                f"{suffix:6} {excerpts:9.1f} {everything:11.1f} {everything / excerpts:7.1f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
