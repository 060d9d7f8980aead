"""Excerpts as the pretrained networks hear them: at 16 kHz, and at one level.

Both networks share this: a track is resampled once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tagger.sound.audio import Excerpt
from tagger.sound.decoder import SAMPLE_RATE

LEVELLED_RATE = 16_000  # Hz
# The networks react to loudness, which says nothing about genre. So each track is brought to the
# level of the music that the bundled models were trained on.
LEVEL_DBFS = -14.0  # root mean square


def levelled(excerpts: Sequence[Excerpt]) -> tuple[Excerpt, ...]:
    """Return a track's excerpts at `LEVELLED_RATE` and `LEVEL_DBFS`, with their edges."""
    gain = np.float32(_gain(excerpts))
    return tuple(resampled(excerpt, gain) for excerpt in excerpts)


def _gain(excerpts: Sequence[Excerpt]) -> float:
    n = sum(len(excerpt.samples) for excerpt in excerpts)
    power = sum(float(np.square(e.samples, dtype=np.float64).sum()) for e in excerpts) / n
    return float(10 ** (LEVEL_DBFS / 20) / np.sqrt(power)) if power > 0 else 1.0


def resampled(excerpt: Excerpt, gain: np.float32 | float = 1.0) -> Excerpt:
    """Return an excerpt at `LEVELLED_RATE`, its samples multiplied by `gain`."""
    import soxr

    scale = LEVELLED_RATE / SAMPLE_RATE
    samples = soxr.resample(excerpt.samples, SAMPLE_RATE, LEVELLED_RATE)
    samples *= np.float32(gain)
    edges = round(excerpt.edge_before * scale), round(excerpt.edge_after * scale)
    return Excerpt(samples, excerpt.start_s, *edges)
