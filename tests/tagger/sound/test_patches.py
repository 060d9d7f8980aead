"""The second front end against librosa, and the patches that are cut from it."""

from __future__ import annotations

import librosa
import numpy as np
import pytest
import soxr

from tagger.sound.audio import EDGE, Excerpt
from tagger.sound.decoder import SAMPLE_RATE
from tagger.sound.levelled import LEVEL_DBFS, levelled
from tagger.sound.patches import (
    COMPRESSION,
    PATCH_FFT,
    PATCH_FRAMES,
    PATCH_HOP,
    PATCH_MELS,
    PATCH_RATE,
    PATCHES_PER_EXCERPT,
    WHOLE_PATCHES,
    log_mel_frames,
    patches,
)


def noise(seconds: float, seed: int = 0, level: float = 0.1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (level * rng.standard_normal(round(seconds * SAMPLE_RATE))).astype(np.float32)


def test_frames_are_librosas():
    y = noise(4)
    expected = librosa.feature.melspectrogram(
        y=soxr.resample(y, SAMPLE_RATE, PATCH_RATE),
        sr=PATCH_RATE,
        n_fft=PATCH_FFT,
        hop_length=PATCH_HOP,
        n_mels=PATCH_MELS,
        pad_mode="reflect",
    )
    found = log_mel_frames(Excerpt(y, 0.0))
    np.testing.assert_allclose(found, np.log10(COMPRESSION * expected + 1).T, atol=2e-4)


def test_the_edges_of_an_excerpt_are_real_sound():
    y = noise(20)
    start = 5 * SAMPLE_RATE
    cut = y[start - EDGE : start + 12 * SAMPLE_RATE + EDGE]
    inside = log_mel_frames(Excerpt(cut, 5.0, EDGE, EDGE))
    whole = log_mel_frames(Excerpt(y, 0.0))
    first = round(5.0 * PATCH_RATE / PATCH_HOP)
    # Frames of the excerpt lie at most half a hop beside those of the whole.
    both = inside[:, 40].mean(), whole[first : first + len(inside), 40].mean()
    assert both[0] == pytest.approx(both[1], rel=0.01)
    assert np.abs(inside[0] - inside[1:20].mean(axis=0)).mean() < 0.5


def test_level_is_no_matter():
    """Regression: at -20 dB a third of all tracks got another genre."""
    y = noise(12)
    loud = patches(levelled([Excerpt(y, 0.0)])).patches
    quiet = patches(levelled([Excerpt(0.1 * y, 0.0)])).patches
    np.testing.assert_allclose(loud, quiet, atol=1e-4)
    slow = np.sin(np.arange(12 * SAMPLE_RATE) * (2 * np.pi * 300 / SAMPLE_RATE))
    (heard,) = levelled([Excerpt(0.02 * slow.astype(np.float32), 0.0)])
    assert 10 * np.log10(np.square(heard.samples).mean()) == pytest.approx(LEVEL_DBFS, abs=0.01)


def test_how_many_patches_and_where():
    excerpts = [Excerpt(noise(12, i), 60.0 * i) for i in range(3)]
    found = patches(levelled(excerpts))
    n = len(excerpts) * PATCHES_PER_EXCERPT
    assert found.patches.shape == (n, PATCH_FRAMES, PATCH_MELS)
    assert found.patches.dtype == np.float32
    assert found.starts_s[0] == 0 and found.starts_s[PATCHES_PER_EXCERPT] == 60
    assert found.starts_s[1] == pytest.approx(12 - 3, abs=0.05)
    assert len(patches(levelled([Excerpt(noise(30), 0.0)])).patches) == WHOLE_PATCHES


@pytest.mark.parametrize("seconds", [0.01, 1.0, 2.9, 3.1])
def test_short_sound_is_repeated(seconds):
    found = patches(levelled([Excerpt(noise(seconds), 0.0)]))
    assert found.patches.shape == (1, PATCH_FRAMES, PATCH_MELS)
    assert np.isfinite(found.patches).all()


def test_silence_is_zeros():
    silence = levelled([Excerpt(np.zeros(5 * SAMPLE_RATE, np.float32), 0.0)])
    assert not patches(silence).patches.any()
