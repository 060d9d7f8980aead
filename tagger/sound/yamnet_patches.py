"""THE third front end: log-mel patches as the pretrained network YAMNet was trained on.

Every DSP constant of that network is here, with its unit (Google's AudioSet code, 2017): magnitudes
in HTK's mel bands, ``log(S + 0.001)``, from the same decoded sound as `spectrogram`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from tagger.sound.audio import Excerpt
from tagger.sound.levelled import LEVEL_DBFS, LEVELLED_RATE
from tagger.sound.patches import Patches
from tagger.sound.spectrogram import FilterBank, power_frames

YAMNET = "yamnet patches"  # this front end's name in a card

YAMNET_WINDOW = 400  # samples: 25 ms
YAMNET_HOP = 160  # samples: 10 ms
YAMNET_FFT = 512  # samples
YAMNET_MELS = 64
LOWEST_HZ, HIGHEST_HZ = 125.0, 7500.0  # where the first band begins and the last one ends
YAMNET_FRAMES = 96  # 0.96 s; patches follow each other without a gap
OFFSET = 0.001  # added to a band's magnitude
FULL_SCALE = 1.0  # louder samples are clipped

_PATCH = (YAMNET_FRAMES - 1) * YAMNET_HOP + YAMNET_WINDOW  # samples


def yamnet_front_end() -> dict[str, str | int | float]:
    """Return this module's constants, as a model's card stores them."""
    return {
        "name": YAMNET,
        "sample_rate": LEVELLED_RATE,
        "window": YAMNET_WINDOW,
        "n_fft": YAMNET_FFT,
        "hop_length": YAMNET_HOP,
        "n_mels": YAMNET_MELS,
        "lowest_hz": LOWEST_HZ,
        "highest_hz": HIGHEST_HZ,
        "frames": YAMNET_FRAMES,
        "offset": OFFSET,
        "level_dbfs": LEVEL_DBFS,
    }


def yamnet_patches(excerpts: Sequence[Excerpt]) -> Patches:
    """Return all patches of a track, as many as fit into each excerpt with its edges.

    Sound that is shorter than a patch is repeated until it fills one.

    Parameters
    ----------
    excerpts : sequence of Excerpt
        As `levelled` returns them.

    Returns
    -------
    Patches
        Of the shape [n_patches, YAMNET_FRAMES, YAMNET_MELS].
    """
    cut, starts = [], []
    for excerpt in excerpts:
        y = np.clip(excerpt.samples, -FULL_SCALE, FULL_SCALE)
        if len(y) < _PATCH:
            y = np.resize(y, _PATCH)
        frames = _frames(y)
        n = len(frames) // YAMNET_FRAMES
        cut.append(frames[: n * YAMNET_FRAMES].reshape(n, YAMNET_FRAMES, YAMNET_MELS))
        first_s = excerpt.start_s - excerpt.edge_before / LEVELLED_RATE
        starts.append(first_s + np.arange(n) * (YAMNET_FRAMES * YAMNET_HOP / LEVELLED_RATE))
    return Patches(np.concatenate(cut), np.concatenate(starts))


def _frames(y: np.ndarray) -> np.ndarray:
    magnitude = power_frames(y, YAMNET_FFT, YAMNET_HOP, YAMNET_WINDOW)
    np.sqrt(magnitude, out=magnitude)
    bands = _bank()(magnitude)
    bands += np.float32(OFFSET)
    return np.log(bands, out=bands)


@lru_cache(maxsize=1)
def htk_mel_filters() -> np.ndarray:
    """Return the mel filter bank [shape=(YAMNET_MELS, 1 + YAMNET_FFT // 2), dtype=float32].

    Triangles of the height 1 in HTK's mels, not in hertz; bin 0 is in none.
    """
    bins = _mels(np.fft.rfftfreq(YAMNET_FFT, 1 / LEVELLED_RATE))
    edges = np.linspace(_mels(LOWEST_HZ), _mels(HIGHEST_HZ), YAMNET_MELS + 2)
    away = edges[:, None] - bins  # of every bin from every edge
    step = edges[1] - edges[0]
    filters = np.maximum(0, np.minimum(-away[:-2], away[2:]) / step)
    filters[:, 0] = 0
    return filters.astype(np.float32)


@lru_cache(maxsize=1)
def _bank() -> FilterBank:
    return FilterBank(htk_mel_filters())


def _mels(hz: np.ndarray | float) -> np.ndarray:
    return np.asarray(1127 * np.log1p(np.asarray(hz) / 700))
