"""Random noise, hum and tones, which few sets have and most collections contain.

Written as a set of sound files, so that detectors of music learn from them like recordings.
"""

from __future__ import annotations

import csv
import wave
from pathlib import Path

import numpy as np

SETS = 16  # pieces of each kind
SECONDS = 12
RATE = 22_050
NAME = "steady"


def write_steady_sounds(folder: Path, *, seed: int = 0) -> Path:
    """Write the set, unless it is there already.

    Returns
    -------
    Path
        The set's folder, with `tracks.csv` and `audio/`.
    """
    if (folder / "tracks.csv").is_file():
        return folder
    (folder / "audio").mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    rows = []
    for kind in ("noise", "filtered", "hum", "tone", "crackle", "fan"):
        for number in range(SETS):
            track = f"{kind}.{number:02d}"
            _write(folder / "audio" / f"{track}.wav", _sound(kind, rng))
            rows.append({"track": track, "kind": "noise", "what": kind})
    with (folder / "tracks.csv").open("w", newline="", encoding="utf-8") as lines:
        writer = csv.DictWriter(lines, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder


def _sound(kind: str, rng: np.random.Generator) -> np.ndarray:
    """A piece of a kind [shape=(SECONDS * RATE,)], at a level at random."""
    from scipy.signal import butter, sosfilt

    n = SECONDS * RATE
    t = np.arange(n) / RATE
    coloured = _coloured(rng, n, rng.uniform(0, 2.5))
    if kind == "noise":
        y = coloured
    elif kind == "filtered":
        low = rng.uniform(50, 2000)
        high = min(low * rng.uniform(1.5, 8), 10_000)
        band = butter(2, [low, high], "band", fs=RATE, output="sos")
        y = sosfilt(band, rng.standard_normal(n))
    elif kind == "hum":
        base, odd = rng.choice([50.0, 60.0]), rng.integers(1, 3)
        parts = range(1, 40, int(odd))
        y = sum(rng.uniform(0, 1) / k * np.sin(2 * np.pi * base * k * t) for k in parts)
        y = y / np.abs(y).max() + coloured * rng.uniform(0, 0.05)
    elif kind == "tone":
        y = np.sin(2 * np.pi * rng.uniform(80, 6000) * t) + coloured * rng.uniform(0, 0.02)
    elif kind == "crackle":
        clicks = (rng.random(n) < rng.uniform(2, 40) / RATE) * rng.uniform(-1, 1, n)
        y = np.convolve(clicks, np.exp(-np.arange(60) / 12), "same") + 0.01 * coloured
    else:  # a fan or an engine: noise that turns
        turns = 1 + rng.uniform(0.1, 0.6) * np.sin(2 * np.pi * rng.uniform(4, 25) * t)
        y = coloured * turns
    return rng.uniform(0.02, 0.5) * y / np.abs(y).max()


def _coloured(rng: np.random.Generator, n: int, exponent: float) -> np.ndarray:
    """Noise whose power falls with so many powers of frequency."""
    spectrum = np.fft.rfft(rng.standard_normal(n))
    y = np.fft.irfft(spectrum * np.arange(1, len(spectrum) + 1) ** (-exponent / 2), n)
    return y / np.abs(y).max()


def _write(file: Path, y: np.ndarray) -> None:
    with wave.open(str(file), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(RATE)
        sound.writeframes(np.rint(32767 * y).astype("<i2").tobytes())
