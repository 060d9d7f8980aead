"""Steady sounds do not move, music does."""

from __future__ import annotations

import numpy as np
import pytest

from tagger.models.not_music import non_music_reason
from tagger.models.track_features import TrackFeatures
from tagger.sound import demo, steadiness
from tagger.sound.audio import Excerpt, Sound
from tagger.sound.decoder import SAMPLE_RATE
from tagger.sound.spectrogram import LogMel, log_mel
from tagger.training.data.datasets import to_decibels

SECONDS = 20
TIME = np.arange(SECONDS * SAMPLE_RATE) / SAMPLE_RATE


def log_mel_of(y: np.ndarray) -> LogMel:
    return log_mel([Excerpt(y.astype(np.float32), start_s=0.0, edge_before=0, edge_after=0)])


def noise(exponent: float = 0.0) -> np.ndarray:
    """Noise whose power falls with so many powers of frequency."""
    spectrum = np.fft.rfft(np.random.default_rng(0).standard_normal(len(TIME)))
    f = np.arange(1, len(spectrum) + 1)
    y = np.fft.irfft(spectrum * f ** (-exponent / 2), len(TIME))
    return y / np.abs(y).max() / 2


STEADY = {
    "white noise": noise(),
    "pink noise": noise(1),
    "brown noise": noise(2),
    "a tone": 0.3 * np.sin(2 * np.pi * 440 * TIME),
    "hum": sum(0.2 / k * np.sin(2 * np.pi * 50 * k * TIME) for k in range(1, 20)) + noise() / 50,
}


LITTLE_DB = 1.5


@pytest.mark.parametrize("name", STEADY)
def test_steady_sounds_do_not_move(name):
    assert steadiness.liveliness(log_mel_of(STEADY[name])) < LITTLE_DB


@pytest.mark.parametrize("name", STEADY)
def test_steady_sounds_that_begin_late_or_are_faded_do_not_either(name):
    """Regression: half a second of silence made noise lively."""
    silence = np.zeros(SAMPLE_RATE // 2)
    faded = STEADY[name] * np.clip(np.linspace(0, 15, len(TIME)), 0, 1)
    for y in (np.r_[silence, STEADY[name]], np.r_[STEADY[name], silence, silence], faded):
        assert steadiness.liveliness(log_mel_of(y)) < LITTLE_DB


def test_music_moves():
    for style in demo.STYLES:
        mel = log_mel_of(demo.compose(style, duration_s=SECONDS)[:: demo.RATE // SAMPLE_RATE])
        assert steadiness.liveliness(mel) > LITTLE_DB, style


@pytest.mark.parametrize("name", STEADY)
def test_steady_sounds_are_doubted_also_where_they_are_faded(name):
    silence = np.zeros(SAMPLE_RATE // 2)
    faded = STEADY[name] * np.clip(np.linspace(0, 15, len(TIME)), 0, 1)
    for y in (STEADY[name], np.r_[silence, STEADY[name], silence], faded):
        excerpt = Excerpt(y.astype(np.float32), start_s=0.0)
        assert non_music_reason(TrackFeatures.from_sound(Sound((excerpt,), None)))


@pytest.mark.parametrize("columns", [1, 5, 30])
def test_whatever_can_be_heard_can_be_asked_about(columns):
    click = LogMel((np.full((128, columns), -80.0, np.float32),), (0.0,), 0.0)
    assert np.isfinite(steadiness.liveliness(click))
    assert steadiness.highest_hz(click) == 0
    assert isinstance(non_music_reason(TrackFeatures.from_log_mel(click)), str)


@pytest.mark.shared_data
@pytest.mark.parametrize("name", ["gtzan", "panda", "emotify"])
def test_little_music_of_the_archives_is_doubted(shared_data, name):
    doubted, asked = 0, 0
    with np.load(shared_data / name / "logmel.npz") as archive:
        columns = archive["n_frames"]
        for mel, n in list(zip(archive["idx"], columns, strict=True))[::4]:
            db = to_decibels(mel[:, :n])
            doubted += bool(
                non_music_reason(TrackFeatures.from_log_mel(LogMel((db,), (0.0,), float("nan"))))
            )
            asked += 1
    assert doubted <= 0.03 * asked


@pytest.mark.parametrize("n", [1, 2, 11, 770])
def test_percentiles_are_those_of_numpy(n):
    rows = np.random.default_rng(n).normal(-40, 20, (16, n)).astype(np.float32)
    expected = np.percentile(rows, (10, 90), axis=1)
    assert np.allclose(steadiness.percentiles(rows, 10, 90), expected, rtol=0, atol=1e-5)
    assert steadiness.percentiles(rows[0], 99)[0] == pytest.approx(np.percentile(rows[0], 99))
