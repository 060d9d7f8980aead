"""Augmentation of log-mel spectrograms: what may change without changing the genre."""

from __future__ import annotations

import numpy as np

from tagger.sound.spectrogram import TOP_DB

OFFSET_DB = 4.0  # standard deviation: the loudest moment is rarely within a crop
TILT_DB = 6.0  # standard deviation, lowest against highest band: other masterings, other ears
NOISE_DB = 1.0  # standard deviation: drowns the value steps by which sets could be told apart
MEL_SHIFT = 2  # bands either way: about a semitone to a third
FREQUENCY_MASKS, FREQUENCY_MASK_BANDS = 2, 16
TIME_MASKS, TIME_MASK_COLUMNS = 2, 16
MIXUP_ALPHA = 0.3
STRETCH = 0.08  # faster or slower by up to so much


def augment(crops: np.ndarray, rng: np.random.Generator, *, masks: bool = True) -> np.ndarray:
    """Offset, tilt, noise, shift along mel, and masks, each drawn anew for every crop.

    Parameters
    ----------
    crops : np.ndarray [shape=(n, n_mels, n_columns)] decibels; changed in place

    Returns
    -------
    np.ndarray [shape=(n, n_mels, n_columns)]
    """
    n, n_mels, n_columns = crops.shape
    bands = np.arange(n_mels)
    slope = np.linspace(-0.5, 0.5, n_mels, dtype=np.float32)
    tilt = rng.normal(0, TILT_DB, (n, 1)).astype(np.float32) * slope
    offset = rng.normal(0, OFFSET_DB, (n, 1)).astype(np.float32)
    crops += (tilt + offset)[:, :, None]
    crops += NOISE_DB * rng.standard_normal(crops.shape, dtype=np.float32)
    np.clip(crops, -TOP_DB, 0, out=crops)
    for crop in crops:
        shift = int(rng.integers(-MEL_SHIFT, MEL_SHIFT + 1))
        crop[:] = crop[np.clip(bands - shift, 0, n_mels - 1)]
        if not masks:
            continue
        level = crop.mean()
        for _ in range(FREQUENCY_MASKS):
            width = int(rng.integers(0, FREQUENCY_MASK_BANDS + 1))
            first = int(rng.integers(0, n_mels - width + 1))
            crop[first : first + width] = level
        for _ in range(TIME_MASKS):
            width = int(rng.integers(0, TIME_MASK_COLUMNS + 1))
            first = int(rng.integers(0, n_columns - width + 1))
            crop[:, first : first + width] = level
    return crops


def mixup(
    crops: np.ndarray, targets: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Blend each crop and its target with another of the batch (Zhang et al. 2018).

    Parameters
    ----------
    crops : np.ndarray [shape=(n, n_mels, n_columns)] decibels
    targets : np.ndarray [shape=(n, n_labels)] one-hot or soft
    """
    n = len(crops)
    weight = rng.beta(MIXUP_ALPHA, MIXUP_ALPHA, n).astype(np.float32)
    weight = np.maximum(weight, 1 - weight)
    other = rng.permutation(n)
    crop_weight = weight[:, None, None]
    mixed = crop_weight * crops + (1 - crop_weight) * crops[other]
    return mixed, weight[:, None] * targets + (1 - weight[:, None]) * targets[other]


def altered(db: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Another rendering of the same music: played faster or slower, and as `augment` does.

    Parameters
    ----------
    db : np.ndarray [shape=(n_mels, n_columns)] decibels

    Returns
    -------
    np.ndarray [shape=(n_mels, more or fewer columns), dtype=float32]
    """
    rate = 1 + rng.uniform(-STRETCH, STRETCH)
    last = db.shape[1] - 1
    at = np.linspace(0, last, max(2, round(db.shape[1] / rate)))
    before = np.minimum(at.astype(int), max(0, last - 1))
    share = (at - before).astype(np.float32)
    after = np.minimum(before + 1, last)
    stretched = (1 - share) * db[:, before] + share * db[:, after]
    # Masks would be no other rendering, but a hole in the statistics.
    return augment(stretched[None].astype(np.float32), rng, masks=False)[0]
