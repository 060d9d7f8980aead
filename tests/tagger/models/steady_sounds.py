"""Random noise, hum and tones, as most collections contain some."""

from __future__ import annotations

import numpy as np
from scipy.signal import butter, sosfilt

from tagger.sound.decoder import SAMPLE_RATE

SECONDS = 12
KINDS = ("noise", "filtered", "hum", "tone", "crackle", "fan")


def sound(kind: str, rng: np.random.Generator) -> np.ndarray:
    """A piece of a kind [shape=(SECONDS * SAMPLE_RATE,)], at a level at random."""
    n = SECONDS * SAMPLE_RATE
    t = np.arange(n) / SAMPLE_RATE
    coloured = _coloured(rng, n, rng.uniform(0, 2.5))
    if kind == "noise":
        y = coloured
    elif kind == "filtered":
        low = rng.uniform(50, 2000)
        high = min(low * rng.uniform(1.5, 8), 10_000)
        band = butter(2, [low, high], "band", fs=SAMPLE_RATE, output="sos")
        y = sosfilt(band, rng.standard_normal(n))
    elif kind == "hum":
        base, odd = rng.choice([50.0, 60.0]), rng.integers(1, 3)
        parts = range(1, 40, int(odd))
        y = sum(rng.uniform(0, 1) / k * np.sin(2 * np.pi * base * k * t) for k in parts)
        y = y / np.abs(y).max() + coloured * rng.uniform(0, 0.05)
    elif kind == "tone":
        y = np.sin(2 * np.pi * rng.uniform(80, 6000) * t) + coloured * rng.uniform(0, 0.02)
    elif kind == "crackle":
        clicks = (rng.random(n) < rng.uniform(2, 40) / SAMPLE_RATE) * rng.uniform(-1, 1, n)
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
