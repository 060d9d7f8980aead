"""What is not music is rejected with every model, and the row says what it sounds like."""

from __future__ import annotations

import numpy as np
import pytest

from tagger.models import zoo
from tagger.models.embeddings import mean_scores
from tagger.models.not_music import (
    STEADY,
    UNKNOWN,
    music_score,
    non_music_reason,
    sounds_like,
    yamnet_card,
)
from tagger.models.track_features import TrackFeatures
from tagger.models.words_for_sounds import BROAD, CLOSE
from tagger.sound import demo
from tagger.sound.audio import Excerpt, Sound, read_excerpts
from tagger.sound.decoder import SAMPLE_RATE
from tests.tagger.models import steady_sounds


def features_of(samples: np.ndarray) -> TrackFeatures:
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
def test_noise_is_doubted(what):
    """Regression: white noise was Metal with 0.97."""
    assert non_music_reason(features_of(noises()[what]))


@pytest.mark.parametrize("kind", steady_sounds.KINDS)
def test_random_noise_hum_and_tones_are_doubted(kind):
    rng = np.random.default_rng(5)
    for _ in range(4):
        assert non_music_reason(features_of(steady_sounds.sound(kind, rng)))


def test_hum_that_a_network_takes_for_a_synthesizer_is_a_steady_sound():
    t = np.arange(12 * SAMPLE_RATE) / SAMPLE_RATE
    hum = sum(np.sin(2 * np.pi * 60 * k * t) / k for k in range(1, 160))
    hiss = np.random.default_rng(0).standard_normal(len(t)) / 30
    features = features_of(0.1 * (hum + hiss))
    assert non_music_reason(features) == STEADY
    assert features.scores["yamnet-1"][yamnet_card().labels.index("Synthesizer")] > 0.2


@pytest.mark.parametrize("style", demo.STYLES)
def test_composed_music_is_music(make_audio, style):
    excerpts = read_excerpts(make_audio(".flac", duration_s=20.0, style=style))
    assert non_music_reason(TrackFeatures.from_sound(excerpts)) == ""


def test_the_network_runs_once_and_what_it_said_is_kept(make_audio, monkeypatch):
    features = TrackFeatures.from_sound(read_excerpts(make_audio(".flac", duration_s=12.0)))
    yamnet = zoo.load_backbone("yamnet")
    said = mean_scores(yamnet, features)
    assert said.shape == (521,) and said.min() >= 0 and said.max() <= 1
    monkeypatch.setattr("tagger.models.not_music.mean_scores", None)  # would fail if called again
    assert non_music_reason(features) == ""
    assert non_music_reason(TrackFeatures.from_kept(features.kept())) == ""


def test_every_model_rejects_the_same():
    """Also one that does not use YAMNet."""
    noise = noises()["white noise"]
    said = {zoo.load(name).predict(features_of(noise)).non_music_reason for name in ("cnn", "fast")}
    assert said == {"sounds like noise, not music"}


def test_a_spectrogram_without_sound_is_only_asked_whether_it_moves(make_audio):
    excerpts = read_excerpts(make_audio(".flac", duration_s=12.0))
    mel = TrackFeatures.from_sound(excerpts).log_mel
    assert non_music_reason(TrackFeatures.from_log_mel(mel)) == ""
    noise = features_of(noises()["white noise"]).log_mel
    assert non_music_reason(TrackFeatures.from_log_mel(noise)) == STEADY


@pytest.mark.parametrize(
    ("scores", "reason"),
    [
        ({"Rain": 0.3, "Water": 0.5, "Music": 0.1}, "sounds like rain, not music"),
        ({"Helicopter": 0.2, "Vehicle": 0.6}, "sounds like a vehicle, not music"),
        ({"Helicopter": 0.4, "Vehicle": 0.6}, "sounds like a helicopter, not music"),
        ({"Narration, monologue": 0.4, "Inside, small room": 0.9}, "sounds like speech, not music"),
        ({"Sound effect": 0.9, "Singing": 0.5, "Rain": 0.05}, UNKNOWN),
        ({}, UNKNOWN),
    ],
)
def test_the_words_for_what_is_heard(scores, reason):
    labels = yamnet_card().labels
    assert sounds_like(labels, np.array([scores.get(label, 0.0) for label in labels])) == reason


@pytest.mark.parametrize("sung", ["Music", "Singing", "Choir", "Chant"])
def test_a_choir_is_music(sung):
    labels = yamnet_card().labels
    scores = np.zeros((2, len(labels)))
    scores[0, labels.index(sung)] = 0.3
    np.testing.assert_array_equal(music_score(scores), [0.3, 0.0])


def test_the_words_are_for_classes_that_there_are():
    labels = set(yamnet_card().labels)
    assert not (CLOSE.keys() | BROAD.keys()) - labels
    assert not CLOSE.keys() & BROAD.keys()
    assert not {"Music", "Singing", "Guitar", "Sound effect", "Silence"} & CLOSE.keys()


@pytest.mark.shared_data
def test_recordings_of_noise_and_voices(shared_data):
    files = sorted((shared_data / "no_music" / "audio").iterdir())[::6]
    reasons = {
        file.stem: non_music_reason(TrackFeatures.from_sound(read_excerpts(file))) for file in files
    }
    assert all(reasons.values())
    said = {
        reason
        for name, reason in reasons.items()
        if name.startswith(("esc10_Dog", "esc10_Rooster"))
    }
    assert said <= {"sounds like a dog, not music", "sounds like chickens, not music"} and said
    voices = {reason for name, reason in reasons.items() if name.startswith(("asterisk", "fsdd"))}
    assert voices == {"sounds like speech, not music"}


@pytest.mark.parametrize(("rate", "is_narrow"), [(8000, True), (11025, True), (16000, False)])
def test_too_little_bandwidth_is_no_guess(make_audio, rate, is_narrow):
    """Regression: the same piece at 8 kHz was Jazz instead of Classical."""
    import soxr

    music = read_excerpts(make_audio(".flac", duration_s=12.0, style="metal"))
    (excerpt,) = music.excerpts
    down = soxr.resample(excerpt.samples, SAMPLE_RATE, rate)
    narrow = features_of(soxr.resample(down, rate, SAMPLE_RATE))
    assert ("bandwidth too narrow" in non_music_reason(narrow)) == is_narrow
    assert "narrow" not in non_music_reason(features_of(excerpt.samples))
