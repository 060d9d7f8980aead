"""Whether a model says the same of a track whatever it is encoded with.

    python -m tests.benchmarks.bench_codecs FOLDER [--model cnn] [--limit 200]

Each track is decoded once, encoded anew under each condition, and asked about like any file. For
each condition: how often the best genre is the same as of the track decoded and stored in FLAC, and
how often the row would be named the same, with Wilson's 95 % intervals.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr
from tqdm import tqdm

from tagger.containers.read import TagState
from tagger.deciding.decide import Policy, decide
from tagger.library.walk import Library, Track
from tagger.pipeline.classify import classify_track
from tagger.sound import demo
from tagger.system.errors import GtagError
from tagger.training.measure.metrics import wilson

RATE = 44_100
LONGEST_S = 40.0


@dataclass(frozen=True)
class Condition:
    """How a track is encoded."""

    name: str
    suffix: str = ".flac"
    rate: int = RATE
    channels: int = 1
    bit_rate: int = 128_000
    gain: float = 1.0


REFERENCE = Condition("FLAC, 44.1 kHz, mono")
CONDITIONS = (
    Condition("MP3 128 kbit/s", ".mp3"),
    Condition("MP3 64 kbit/s", ".mp3", bit_rate=64_000),
    Condition("AAC 128 kbit/s", ".m4a"),
    Condition("Vorbis, stereo", ".ogg", channels=2),
    Condition("Opus 32 kbit/s", ".opus", rate=48_000, bit_rate=32_000),
    Condition("96 kHz", rate=96_000),
    Condition("48 kHz", rate=48_000),
    Condition("22.05 kHz", rate=22_050),
    Condition("16 kHz", rate=16_000),
    Condition("11.025 kHz", rate=11_025),
    Condition("8 kHz", rate=8_000),
    Condition("stereo", channels=2),
    Condition("-20 dB", gain=0.1),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("--model", default="cnn")
    parser.add_argument("--limit", type=int, default=200)
    options = parser.parse_args()
    same = {condition.name: [0, 0, 0] for condition in CONDITIONS}
    with tempfile.TemporaryDirectory() as scratch:
        for track in tqdm(list(Library([options.folder], limit=options.limit)), unit="track"):
            try:
                sound = decoded(track.path)
            except GtagError:
                continue
            reference = asked(options.model, sound, REFERENCE, Path(scratch))
            for condition in CONDITIONS:
                found = asked(options.model, sound, condition, Path(scratch))
                counts = same[condition.name]
                counts[0] += found[0] == reference[0]
                counts[1] += found[1] == reference[1]
                counts[2] += 1
    print(f"{options.model}: agreement with {REFERENCE.name}\n")
    print(f"| {'condition':18} | the best genre is the same | the same is named | n |")
    print("| --- | --- | --- | --- |")
    for name, (best, named, n) in same.items():
        print(f"| {name:18} | {share(best, n)} | {share(named, n)} | {n} |")


def decoded(path: str) -> np.ndarray:
    """The beginning of a track, mono at 44.1 kHz."""
    import av

    parts, n = [], 0
    try:
        with av.open(path) as container:
            to_mono = av.AudioResampler(format="fltp", layout="mono", rate=RATE)
            for frame in container.decode(audio=0):
                for piece in to_mono.resample(frame):
                    parts.append(piece.to_ndarray()[0])
                    n += len(parts[-1])
                if n > LONGEST_S * RATE:
                    break
    except av.FFmpegError as error:
        raise GtagError(str(error), path=path) from error
    return np.concatenate(parts)


def asked(
    model: str, sound: np.ndarray, condition: Condition, scratch: Path
) -> tuple[str, tuple[str, ...]]:
    """The best genre, and what would be named by default."""
    y = sound * condition.gain
    if condition.rate != RATE:
        y = soxr.resample(y, RATE, condition.rate)
    file = scratch / f"track{condition.suffix}"
    demo.encode(
        np.clip(y, -1, 1),
        file,
        rate=condition.rate,
        channels=condition.channels,
        bit_rate=condition.bit_rate,
    )
    (track,) = list(Library([str(file)]))
    assert isinstance(track, Track)
    prediction = classify_track(model, track).prediction
    if prediction is None:
        return "nothing heard", ()
    return prediction.genre, decide(prediction, TagState(), Policy()).genres


def share(k: int, n: int) -> str:
    low, high = wilson(k, n)
    return f"{100 * k / max(n, 1):.1f} % ({100 * low:.0f}–{100 * high:.0f})"


if __name__ == "__main__":
    main()
