"""Where a track's milliseconds go, by container, and every ratio that docs/performance.md has.

    python -m tests.benchmarks.bench_hot_path [--model cnn …] [--rounds 5] [--usual] [FOLDER]

Pieces of four minutes, stereo at 44.1 kHz, composed and encoded on the spot; with a folder, the
files in it. Milliseconds of one thread's processor time, the best of several rounds, so that what
else the machine does counts as little as possible. In one run, in this order:

- the stages of a scan with the first model,
- decoding and resampling beside a scan with each model (cnn, fast and trees), in turns,
- with `--usual`, what others do with the same track: many scripts let librosa load the whole file,
  separate harmonics from percussion and describe it (19 s a track); peers decode the whole file and
  let a network hear every second of it,
- two processes against one with the first model: time by the clock, in turns, each with the start
  of its workers; and what two processes gain on this machine that have nothing in common,
- the start of a worker.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from tagger.deciding.decide import Policy
from tagger.library.walk import Library, Track
from tagger.models import boosted_trees, linear, multi_label, networks, zoo
from tagger.pipeline import batch, road
from tagger.pipeline.batch import track_results
from tagger.sound import (
    audio,
    decoder,
    demo,
    descriptors,
    levelled,
    log_mel_statistics,
    patches,
    spectrogram,
    steadiness,
    yamnet_patches,
)
from tagger.sound.decoder import SAMPLE_RATE
from tests.benchmarks import compile_into

# Where the time of these functions goes; what they call and stands here too counts there.
STAGES: dict[str, list[tuple[Any, str]]] = {
    "open": [(decoder.Source, "__init__"), (audio, "ogg_links"), (decoder.Source, "close")],
    "seek": [(decoder.Source, "seek")],
    "decode": [(decoder.Source, "_frames")],
    "resample": [(decoder._Mono, name) for name in ("add", "finish", "samples")],
    "front ends": [
        *((spectrogram, "log_mel"), (levelled, "levelled"), (patches, "patches")),
        *((yamnet_patches, "yamnet_patches"), (descriptors, "describe")),
        *((log_mel_statistics, "describe_log_mel"), (log_mel_statistics, "below_seven_khz")),
        *((steadiness, "liveliness"), (steadiness, "highest_hz")),
    ],
    "networks": [
        *((networks.Network, "__call__"), (boosted_trees.Trees, "logits")),
        *((multi_label.MultiLabelWeights, name) for name in ("components", "logits", "styles")),
        (linear.LinearWeights, "__call__"),
    ],
    "tags": [
        *((batch, "decided"), (batch, "finished")),
        *((road, "read_credits"), (road, "read_tags")),
    ],
}
MODELS = ("cnn", "fast", "trees")
SUFFIXES = (".mp3", ".flac", ".m4a", ".ogg", ".opus", ".wv", ".wma", ".wav")
COPIES = 300  # tracks by which one and two processes are compared: of a few, the start is most


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?")
    parser.add_argument("--model", action="append", dest="models")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--usual", action="store_true")
    options = parser.parse_args()
    models = options.models or MODELS
    with tempfile.TemporaryDirectory() as scratch, tempfile.TemporaryDirectory() as compiled:
        compile_into(compiled)
        if options.folder is None:
            compose(Path(scratch))
        tracks = list(Library([options.folder or scratch]))
        tracks.sort(key=lambda track: not track.path.endswith(".mp3"))  # the first is an MP3
        table(tracks, [cost(track, models[0], options.rounds) for track in tracks])
        scan_ms = ratios(tracks, models, options.rounds)
        if options.usual:
            others(tracks[0], scan_ms)
        two_processes(tracks[0], models[0])
        two_strangers(tracks[0], models[0])
        starts(tracks[0], models[0])


def compose(folder: Path) -> None:
    minute = demo.compose("jazz", 0, 60.0)
    for suffix in SUFFIXES:
        demo.encode(np.tile(minute, 4), folder / f"piece{suffix}", rate=44_100, channels=2)


def cost(track: Track, model: str, rounds: int) -> dict[str, float]:
    """Milliseconds by stage, of the fastest of several scans of a track."""
    run = scanned(track, model)
    run()  # imports, models, caches
    best: dict[str, float] = {}
    for _ in range(rounds):
        spent: dict[str, float] = defaultdict(float)
        with ExitStack() as stack:
            clock = _Clock(spent)
            for stage, functions in STAGES.items():
                for owner, name in functions:
                    timed = clock.timed(stage, getattr(owner, name))
                    stack.enter_context(patch.object(owner, name, timed))
            with clock.within("the rest"):
                run()
        if not best or sum(spent.values()) < sum(best.values()):
            best = dict(spent)
    return {stage: 1000 * seconds for stage, seconds in best.items()}


def scanned(track: Track, model: str) -> Callable[[], object]:
    return lambda: list(track_results([track], model=model, policy=Policy(0.5), jobs=1))


class _Clock:
    """Gives each moment to the innermost stage under way."""

    def __init__(self, spent: dict[str, float]) -> None:
        self._spent = spent
        self._stages: list[str] = []
        self._since = time.process_time()

    def _turn(self) -> None:
        now = time.process_time()
        if self._stages:
            self._spent[self._stages[-1]] += now - self._since
        self._since = now

    @contextmanager
    def within(self, stage: str) -> Iterator[None]:
        self._turn()
        self._stages.append(stage)
        try:
            yield
        finally:
            self._turn()
            self._stages.pop()

    def timed(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            with self.within(stage):
                result = function(*arguments, **named)
            return self._steps(stage, result) if isinstance(result, Iterator) else result

        return call

    def _steps(self, stage: str, steps: Iterator[Any]) -> Iterator[Any]:
        """A generator works when it is asked, not when it is made."""
        done = object()
        while True:
            with self.within(stage):
                step = next(steps, done)
            if step is done:
                return
            yield step


def table(tracks: list[Track], costs: list[dict[str, float]]) -> None:
    stages = [*STAGES, "the rest"]
    print(f"{'ms a track':12}" + "".join(f"{stage:>11}" for stage in [*stages, "scan"]))
    for track, spent in zip(tracks, costs, strict=True):
        row = [spent.get(stage, 0.0) for stage in stages]
        cells = "".join(f"{ms:11.1f}" for ms in [*row, sum(row)])
        print(f"{Path(track.path).name[-12:]:12}{cells}", flush=True)


def ratios(tracks: list[Track], models: Sequence[str], rounds: int) -> dict[str, float]:
    """Print decoding and resampling as a share of a scan; milliseconds of the first track's."""
    decoding = "decoding and resampling"
    runs = {decoding: partial(_decode, tracks)}
    runs |= {model: partial(_scan, tracks, model) for model in models}
    best = {name: [float("inf")] * len(tracks) for name in runs}
    for turn in range(rounds + 1):
        for i in range(len(tracks)):
            for name, run in runs.items():
                ms = _milliseconds(partial(run, i))
                if turn:  # the first brings imports, models and caches
                    best[name][i] = min(best[name][i], ms)
    first = Path(tracks[0].path).suffix
    print(f"\n{'':28}{f'ms, {first}':>11}{'share':>8}{f'ms, {len(tracks)} files':>14}{'share':>8}")
    for name, each in best.items():
        share, share_of_all = best[decoding][0] / each[0], sum(best[decoding]) / sum(each)
        title = name if name == decoding else f"scan --model {name}"
        print(
            f"{title:28}{each[0]:11.1f}{share:8.2f}{sum(each) / len(each):14.1f}{share_of_all:8.2f}"
        )
    return {model: best[model][0] for model in models}


def _decode(tracks: list[Track], i: int) -> object:
    return audio.read_excerpts(tracks[i].path)


def _scan(tracks: list[Track], model: str, i: int) -> object:
    return scanned(tracks[i], model)()


def _milliseconds(run: Callable[[], object]) -> float:
    began = time.process_time()
    run()
    return 1000 * (time.process_time() - began)


def others(track: Track, scan_ms: dict[str, float]) -> None:
    """Print what others take for the same track, in scans with each model."""
    ways = {
        "the usual script": partial(usual, track),
        "peers' way, YAMNet": partial(every_second, track, "yamnet"),
        "peers' way, musicnn": partial(every_second, track, "musicnn"),
    }
    print()
    for name, run in ways.items():
        run()  # imports, and compiles itself
        ms = min(_milliseconds(run) for _ in range(2))
        times = ", ".join(f"{ms / of_model:.1f} {model}" for model, of_model in scan_ms.items())
        print(f"{name:20} {ms:8.0f} ms, in scans: {times}", flush=True)


def usual(track: Track) -> None:
    """Describe a track as a usual script does."""
    import librosa
    from librosa.beat import beat_track
    from librosa.effects import hpss

    y, rate = librosa.load(track.path, sr=SAMPLE_RATE)
    harmonic, percussive = hpss(y)
    for function in (
        *(librosa.feature.chroma_stft, librosa.feature.spectral_centroid),
        *(librosa.feature.spectral_bandwidth, librosa.feature.spectral_rolloff),
        *(librosa.feature.spectral_contrast, librosa.feature.mfcc),
    ):
        function(y=y, sr=rate).mean(axis=1)
    for part in (harmonic, percussive):
        librosa.feature.rms(y=part).mean()
    beat_track(y=y, sr=rate)


def every_second(track: Track, network: str) -> None:
    """Let a network hear all of a track: about one pass a second, of sound decoded at its rate."""
    import av

    resampler = av.AudioResampler("flt", "mono", levelled.LEVELLED_RATE)
    with av.open(track.path) as container:
        container.streams.audio[0].codec_context.thread_count = 1
        parts = [
            part.to_ndarray()[0]
            for frame in [*container.decode(audio=0), None]
            for part in resampler.resample(frame)
        ]
    sound = audio.Excerpt(np.concatenate(parts), 0.0)
    if network == "yamnet":
        heard = yamnet_patches.yamnet_patches([sound]).patches  # of 0.96 s
    else:
        frames = patches._frames(patches._padded(sound))
        second = levelled.LEVELLED_RATE // patches.PATCH_HOP  # frames; a patch has three of them
        windows = np.lib.stride_tricks.sliding_window_view(frames, patches.PATCH_FRAMES, axis=0)
        heard = np.ascontiguousarray(windows[::second].transpose(0, 2, 1))
    _backbone(network).outputs(heard)


@cache
def _backbone(name: str) -> Any:
    return zoo.load_backbone(name)


def two_processes(track: Track, model: str) -> None:
    """Print how much faster two processes are than one: by the clock, and where two cores are free.

    The second figure is made of processor time, so that it holds beside other processes, too.
    """
    with tempfile.TemporaryDirectory() as folder:
        for i in range(COPIES):
            shutil.copy(track.path, Path(folder) / f"{i:02}{Path(track.path).suffix}")
        copies = list(Library([folder]))
        clock, own, workers = (dict.fromkeys((1, 2), float("inf")) for _ in range(3))
        for _ in range(3):
            for jobs in clock:
                began, before = time.perf_counter(), os.times()
                list(track_results(copies, model=model, policy=Policy(0.5), jobs=jobs))
                after = os.times()
                clock[jobs] = min(clock[jobs], time.perf_counter() - began)
                spent = [b - a for a, b in zip(before, after, strict=True)]
                own[jobs] = min(own[jobs], spent[0] + spent[1])
                workers[jobs] = min(workers[jobs], spent[2] + spent[3])
    print(
        f"{COPIES} tracks: one process {clock[1]:.2f} s, two {clock[2]:.2f} s with their start, "
        f"{clock[1] / clock[2]:.2f} times as fast by the clock\n"
        f"processor time: one process {own[1]:.2f} s, two workers {workers[2]:.2f} s and their "
        f"parent {own[2]:.2f} s: {own[1] / (workers[2] / 2 + own[2]):.2f} times as fast on two "
        "cores of one's own"
    )


# Seconds of the processor for one piece of work; it begins when a line comes.
_STRANGER = """
import sys, time
from tests.benchmarks.bench_hot_path import work
run = work(*sys.argv[1:])
run()
print(flush=True)
input()
began = time.process_time()
run()
print(time.process_time() - began)
"""


def work(kind: str, path: str, model: str) -> Callable[[], object]:
    """Return one of the kinds of work that two processes do side by side."""
    [track] = Library([path])
    if kind == "scans":
        return lambda: [scanned(track, model)() for _ in range(8)]
    if kind == "decoding":
        return lambda: [audio.read_excerpts(path) for _ in range(16)]
    frames = np.random.default_rng(0).standard_normal((64, 2048))
    return lambda: [np.fft.rfft(frames, axis=1) for _ in range(6000)]


def two_strangers(track: Track, model: str) -> None:
    """Print how much faster two processes are than one that share nothing but the machine."""
    kinds = ("scans", "decoding", "Fourier transforms")
    best = {(kind, n): float("inf") for kind in kinds for n in (1, 2)}
    for _ in range(3):
        for kind, n in best:
            command = [sys.executable, "-c", _STRANGER, kind, track.path, model]
            pipe = subprocess.PIPE
            processes = [
                subprocess.Popen(command, text=True, stdin=pipe, stdout=pipe) for _ in range(n)
            ]
            for process in processes:
                assert process.stdout is not None
                process.stdout.readline()
            for process in processes:
                assert process.stdin is not None
                process.stdin.write("\n")
                process.stdin.flush()
            spent = [float(process.communicate()[0]) for process in processes]
            best[kind, n] = min(best[kind, n], sum(spent) / n)
    print("two processes that share nothing, by processor time on two cores of one's own:")
    for kind in kinds:
        alone, beside = best[kind, 1], best[kind, 2]
        print(
            f"  {kind}: alone {alone:.2f} s, side by side {beside:.2f} s each, "
            f"{2 * alone / beside:.2f} times as fast",
            flush=True,
        )


def starts(track: Track, model: str) -> None:
    """Print how long a worker takes from nothing to its first track, and what it has imported."""
    code = (
        "import sys, time\n"
        "from tagger.pipeline.classify import classify_track\n"
        "from tagger.library.walk import Library\n"
        "[track] = Library([sys.argv[2]])\n"
        "began = time.process_time()\n"
        "assert classify_track(sys.argv[1], track).prediction\n"
        "first = time.process_time() - began\n"
        "began = time.process_time()\n"
        "classify_track(sys.argv[1], track)\n"
        "again = time.process_time() - began\n"
        "print(time.process_time() - again - again, first - again)\n"
    )
    command = [sys.executable, "-c", code, model, track.path]
    runs = [subprocess.run(command, capture_output=True, text=True, check=True) for _ in range(5)]
    whole, late = min(tuple(map(float, run.stdout.split())) for run in runs)
    print(f"a worker starts in {whole:.2f} s, {late:.2f} s of it when the first track comes")


if __name__ == "__main__":
    main()
