"""THE second front end: log-mel patches as the pretrained network musicnn was trained on.

Every DSP constant of that network is here, with its unit. Same values as librosa's
``melspectrogram(sr=16000, n_fft=512, hop_length=256, n_mels=96)``, then ``log10(10000 * S + 1)``
(Pons et al. 2018), from the same decoded sound as `spectrogram`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tagger.sound.audio import Excerpt
from tagger.sound.levelled import LEVEL_DBFS, LEVELLED_RATE, resampled
from tagger.sound.spectrogram import mel_bank, pad_edges, power_frames

MUSICNN = "musicnn patches"  # this front end's name in a card

PATCH_RATE = LEVELLED_RATE
PATCH_FFT = 512  # samples
PATCH_HOP = 256  # samples: 16 ms
PATCH_MELS = 96
PATCH_FRAMES = 187  # 3 s
COMPRESSION = 10_000.0
PER_NEPER = np.float32(1 / np.log(10))  # natural logarithms are fast in float32, decimal ones not

# A track's embedding is the mean over its patches. Six are as good as all twelve of three excerpts:
# docs/experiments.md.
PATCHES_PER_EXCERPT = 2
WHOLE_PATCHES = 6  # of a track that is one excerpt


@dataclass(frozen=True)
class Patches:
    """The patches of one track.

    Attributes
    ----------
    patches : np.ndarray [shape=(n_patches, PATCH_FRAMES, PATCH_MELS), dtype=float32]
    starts_s : np.ndarray [shape=(n_patches,)]
        Where each one starts in the track, in seconds.
    """

    patches: np.ndarray
    starts_s: np.ndarray


def patch_front_end() -> dict[str, str | int | float]:
    """Return this module's constants, as a model's card stores them."""
    return {
        "name": MUSICNN,
        "sample_rate": PATCH_RATE,
        "n_fft": PATCH_FFT,
        "hop_length": PATCH_HOP,
        "n_mels": PATCH_MELS,
        "frames": PATCH_FRAMES,
        "compression": COMPRESSION,
        "level_dbfs": LEVEL_DBFS,
    }


def patches(excerpts: Sequence[Excerpt]) -> Patches:
    """Return the patches of a track: evenly spread over each excerpt.

    Sound that is shorter than a patch is repeated until it fills one.

    Parameters
    ----------
    excerpts : sequence of Excerpt
        As `levelled` returns them.
    """
    cut, starts = [], []
    most = PATCHES_PER_EXCERPT if len(excerpts) > 1 else WHOLE_PATCHES
    for excerpt in excerpts:
        y = _padded(excerpt)
        n_frames = 1 + (len(y) - PATCH_FFT) // PATCH_HOP
        n = max(1, min(most, n_frames // PATCH_FRAMES))
        for start in np.linspace(0, max(0, n_frames - PATCH_FRAMES), n).astype(int):
            first = start * PATCH_HOP
            frames = _frames(y[first : first + (PATCH_FRAMES - 1) * PATCH_HOP + PATCH_FFT])
            cut.append(np.resize(frames, (PATCH_FRAMES, PATCH_MELS)))
            starts.append(excerpt.start_s + start * PATCH_HOP / PATCH_RATE)
    return Patches(np.stack(cut), np.array(starts))


def log_mel_frames(excerpt: Excerpt) -> np.ndarray:
    """Log-mel frames of an excerpt, at its own level [shape=(n_frames, PATCH_MELS)], float32.

    Frame j is centred 16 ms times j after the excerpt's start.
    """
    return _frames(_padded(resampled(excerpt)))


def _padded(excerpt: Excerpt) -> np.ndarray:
    """Return the samples of an excerpt, such that frame 0 is centred on its start [shape=(n,)]."""
    long_enough = len(excerpt.samples) > PATCH_FFT // 2  # numpy reflects no more than there is
    y = pad_edges(excerpt, PATCH_FFT, "reflect" if long_enough else "constant")
    return np.pad(y, (0, max(0, PATCH_FFT - len(y))))


def _frames(y: np.ndarray) -> np.ndarray:
    bands = mel_bank(PATCH_RATE, PATCH_FFT, PATCH_MELS)(power_frames(y, PATCH_FFT, PATCH_HOP))
    bands *= np.float32(COMPRESSION)
    bands += 1
    np.log(bands, out=bands)
    bands *= PER_NEPER
    return bands
