"""Noise and voices are told from music, by a model that learned it."""

from __future__ import annotations

import numpy as np
import pytest

from tagger.models import zoo
from tagger.models.detector import WITH_EMBEDDING, WITHOUT, Detector, non_music_reason
from tagger.models.embeddings import mean_embedding
from tagger.models.track_features import TrackFeatures
from tagger.sound.audio import SAMPLE_RATE, Excerpt, Sound, read_excerpts


def sound(samples: np.ndarray) -> TrackFeatures:
    return TrackFeatures.from_sound(Sound((Excerpt(samples.astype(np.float32), 0.0),), None))


def noises() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    white = rng.standard_normal(12 * SAMPLE_RATE)
    t = np.arange(12 * SAMPLE_RATE) / SAMPLE_RATE
    brown = np.cumsum(white)
    return {
        "white noise": 0.1 * white,
        "brown noise": 0.3 * (brown - brown.mean()) / np.abs(brown).max(),
        "hum": 0.3 * np.sign(np.sin(2 * np.pi * 50 * t)),
    }


@pytest.mark.parametrize("what", noises())
@pytest.mark.parametrize("embedded", [False, True])
def test_noise_is_doubted(what, embedded):
    """Regression: white noise was Metal with 0.97."""
    features = sound(noises()[what])
    if embedded:
        mean_embedding(zoo.load_backbone("musicnn"), features)
    assert non_music_reason(features)


@pytest.mark.parametrize("style", ["disco", "metal", "jazz"])
def test_composed_music_is_not_taken_for_a_voice(make_audio, style):
    features = TrackFeatures.from_sound(
        read_excerpts(make_audio(".flac", duration_s=20.0, style=style))
    )
    assert "voice" not in non_music_reason(features)


def test_the_embedding_is_asked_for_only_where_it_is_known(make_audio):
    root = zoo.bundled_folder()
    best, fast = (Detector(zoo.find(str(root / name))) for name in (WITH_EMBEDDING, WITHOUT))
    features = TrackFeatures.from_sound(read_excerpts(make_audio(".flac", duration_s=12.0)))
    assert not best.can_run(features) and fast.can_run(features)
    non_music_reason(features)
    assert not features.embeddings, "a quick model must not pay for the large network"
    mean_embedding(zoo.load_backbone("musicnn"), features)
    assert best.can_run(features)
    assert best.probabilities(features).sum() == pytest.approx(1)


@pytest.mark.shared_data
@pytest.mark.parametrize("embedded", [False, True])
def test_recordings_of_noise_and_voices(shared_data, embedded):
    """They were learned from: this holds the path from a file to the answer, not the skill."""
    files = sorted((shared_data / "no_music" / "audio").iterdir())[::6]
    backbone = zoo.load_backbone("musicnn")
    doubted = 0
    for file in files:
        features = TrackFeatures.from_sound(read_excerpts(file))
        if embedded:
            mean_embedding(backbone, features)
        doubted += bool(non_music_reason(features))
    assert doubted >= 0.9 * len(files)


@pytest.mark.parametrize(("rate", "is_narrow"), [(8000, True), (11025, True), (16000, False)])
def test_too_little_bandwidth_is_no_guess(make_audio, rate, is_narrow):
    """Regression: the same piece at 8 kHz was Jazz instead of Classical."""
    import soxr

    music = read_excerpts(make_audio(".flac", duration_s=12.0, style="metal"))
    (excerpt,) = music.excerpts
    down = soxr.resample(excerpt.samples, SAMPLE_RATE, rate)
    narrow = sound(soxr.resample(down, rate, SAMPLE_RATE))
    assert ("bandwidth too narrow" in non_music_reason(narrow)) == is_narrow
    assert "narrow" not in non_music_reason(sound(excerpt.samples))
