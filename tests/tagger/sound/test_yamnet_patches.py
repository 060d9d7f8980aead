"""The third front end against librosa, and the patches that are cut from it."""

from __future__ import annotations

import librosa
import numpy as np
import pytest

from tagger.sound.audio import EDGE, Excerpt
from tagger.sound.decoder import SAMPLE_RATE
from tagger.sound.levelled import LEVELLED_RATE, levelled
from tagger.sound.yamnet_patches import (
    FULL_SCALE,
    HIGHEST_HZ,
    LOWEST_HZ,
    OFFSET,
    YAMNET_FFT,
    YAMNET_FRAMES,
    YAMNET_HOP,
    YAMNET_MELS,
    YAMNET_WINDOW,
    htk_mel_filters,
    yamnet_patches,
)


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (0.1 * rng.standard_normal(round(seconds * SAMPLE_RATE))).astype(np.float32)


def test_frames_are_librosas():
    """But for the bands' form: librosa's triangles are straight in hertz, YAMNet's in mels."""
    (excerpt,) = levelled([Excerpt(noise(4), 0.0)])
    y = np.clip(excerpt.samples, -FULL_SCALE, FULL_SCALE)
    frames = np.lib.stride_tricks.sliding_window_view(y, YAMNET_WINDOW)[::YAMNET_HOP]
    window = librosa.filters.get_window("hann", YAMNET_WINDOW, fftbins=True)
    magnitude = np.abs(np.fft.rfft(frames.astype(np.float64) * window, YAMNET_FFT))
    expected = np.log(magnitude @ htk_mel_filters().T + OFFSET)
    found = yamnet_patches([excerpt]).patches.reshape(-1, YAMNET_MELS)
    np.testing.assert_allclose(found, expected[: len(found)], atol=2e-4)
    theirs = librosa.filters.mel(
        sr=LEVELLED_RATE,
        n_fft=YAMNET_FFT,
        n_mels=YAMNET_MELS,
        fmin=LOWEST_HZ,
        fmax=HIGHEST_HZ,
        htk=True,
        norm=None,
    )
    assert np.abs(htk_mel_filters() - theirs)[:, 1:].max() < 0.1
    assert not htk_mel_filters()[:, 0].any()


def test_how_many_patches_and_where():
    excerpts = levelled([Excerpt(noise(12 + 0.093, i), 60.0 * i + 1, EDGE, EDGE) for i in range(3)])
    found = yamnet_patches(excerpts)
    assert found.patches.shape == (36, YAMNET_FRAMES, YAMNET_MELS)
    assert found.patches.dtype == np.float32
    edge_s = EDGE / SAMPLE_RATE
    np.testing.assert_allclose(found.starts_s[[0, 12]], [1 - edge_s, 61 - edge_s], atol=1e-4)
    assert found.starts_s[1] - found.starts_s[0] == pytest.approx(0.96)


@pytest.mark.parametrize("seconds", [0.01, 0.5, 0.97, 0.98])
def test_short_sound_is_repeated(seconds):
    found = yamnet_patches(levelled([Excerpt(noise(seconds), 0.0)]))
    assert found.patches.shape == (1, YAMNET_FRAMES, YAMNET_MELS)
    assert np.isfinite(found.patches).all()


def test_silence_is_the_offset():
    silence = levelled([Excerpt(np.zeros(2 * SAMPLE_RATE, np.float32), 0.0)])
    np.testing.assert_allclose(yamnet_patches(silence).patches, np.log(OFFSET), rtol=1e-5)
