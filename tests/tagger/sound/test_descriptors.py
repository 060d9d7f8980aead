"""The feature vector: librosa's definitions, the field's table, excerpts with edges, odd sound."""

from __future__ import annotations

import csv
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagger.sound import demo
from tagger.sound.audio import EDGE, Excerpt, read_excerpts
from tagger.sound.decoder import SAMPLE_RATE
from tagger.sound.descriptors import FEATURES, TABLE_HOP, describe
from tests.conftest import SHARED_DATA

FLACS = sorted((SHARED_DATA / "gtzan" / "audio").glob("*/*.flac"))


def by_name(vector: np.ndarray) -> dict[str, float]:
    return dict(zip(FEATURES, vector.tolist(), strict=True))


def librosa_describe(y: np.ndarray) -> dict[str, float]:
    """The same from librosa's own functions, with the padding of librosa 0.7 and 0.8."""
    import librosa
    from librosa.beat import beat_track
    from librosa.onset import onset_strength

    sr = SAMPLE_RATE
    magnitude = np.abs(librosa.stft(y, hop_length=TABLE_HOP, pad_mode="reflect"))
    mel_db = librosa.power_to_db(librosa.feature.melspectrogram(S=magnitude**2, sr=sr))
    rows = {
        "chroma_stft": librosa.feature.chroma_stft(S=magnitude**2, sr=sr),
        "rms": librosa.feature.rms(y=y, hop_length=TABLE_HOP, pad_mode="reflect"),
        "spectral_centroid": librosa.feature.spectral_centroid(S=magnitude, sr=sr),
        "spectral_bandwidth": librosa.feature.spectral_bandwidth(S=magnitude, sr=sr),
        "rolloff": librosa.feature.spectral_rolloff(S=magnitude, sr=sr),
        "zero_crossing_rate": librosa.feature.zero_crossing_rate(y, hop_length=TABLE_HOP),
        "spectral_flatness": librosa.feature.spectral_flatness(S=magnitude),
    }
    contrast = librosa.feature.spectral_contrast(S=magnitude, sr=sr)
    rows |= {f"spectral_contrast{k + 1}": row for k, row in enumerate(contrast)}
    mfcc = librosa.feature.mfcc(S=mel_db, n_mfcc=20)
    rows |= {f"mfcc{k + 1}": row for k, row in enumerate(mfcc)}
    onsets = onset_strength(S=mel_db, sr=sr, hop_length=TABLE_HOP, aggregate=np.median)
    tempo, _ = beat_track(onset_envelope=onsets, sr=sr, hop_length=TABLE_HOP)
    means = {f"{name}_mean": float(row.mean()) for name, row in rows.items()}
    variances = {f"{name}_var": float(row.var()) for name, row in rows.items()}
    return means | variances | {"tempo": float(np.squeeze(tempo))}


@pytest.mark.slow  # librosa compiles itself on first use
@pytest.mark.parametrize("style", ["classical", "disco", "metal"])
def test_every_feature_is_what_librosa_says(style):
    y = demo.compose(style, 3, 12.0)
    # Where nothing sounds, there is only the rounding of the FFT, which is anyone's own.
    y = y + np.random.default_rng(0).normal(0, 1e-4, len(y)).astype(np.float32)
    expected, got = librosa_describe(y), by_name(describe([Excerpt(y, 0.0)]))
    assert got.keys() == expected.keys()
    for name, value in expected.items():
        assert got[name] == pytest.approx(value, rel=2e-3, abs=1e-5), name


@pytest.mark.shared_data
@pytest.mark.parametrize("flac", FLACS, ids=lambda p: p.stem)
def test_the_table_of_the_field_comes_out(flac, shared_data):
    with (shared_data / "gtzan" / "features_30s.csv").open(newline="") as lines:
        rows = {row["filename"]: row for row in csv.DictReader(lines)}
    row = rows[flac.stem + ".wav"]
    got = by_name(describe(read_excerpts(flac).excerpts))
    others = {"filename", "length", "label"}
    columns = [
        name for name in row if name not in others and not name.startswith(("harmony", "perceptr"))
    ]
    assert len(columns) == 53 and set(columns) <= set(FEATURES)
    for name in columns:
        assert got[name] == pytest.approx(float(row[name]), rel=1e-3), name


def test_names_are_unique_and_one_a_value():
    assert len(set(FEATURES)) == len(FEATURES) == 69
    assert describe([Excerpt(demo.compose("disco", 0, 2.0), 0.0)]).shape == (69,)


def test_edges_are_heard_instead_of_padding():
    """Excerpts cut from a track, with edges, say what all the track's frames in them say."""
    y = demo.compose("reggae", 1, 10.0)
    middle = TABLE_HOP * 200
    cut = [
        Excerpt(y[: middle + EDGE], 0.0, 0, EDGE),
        Excerpt(y[middle + TABLE_HOP - EDGE :], (middle + TABLE_HOP) / SAMPLE_RATE, EDGE, 0),
    ]
    whole, parts = by_name(describe([Excerpt(y, 0.0)])), by_name(describe(cut))
    for name in FEATURES:
        if name != "tempo":  # its windows of 8 s end with the excerpt
            assert parts[name] == pytest.approx(whole[name], rel=1e-4, abs=1e-6), name


@settings(max_examples=25)
@given(st.integers(1100, 9000), st.sampled_from([0.0, 1e-9, 1e-3, 1.0, 1e5]), st.integers(0, 99))
def test_everything_is_finite(n, level, seed):
    y = (level * np.random.default_rng(seed).uniform(-1, 1, n)).astype(np.float32)
    assert np.isfinite(describe([Excerpt(y, 0.0)])).all()
    click = np.zeros(n, np.float32)
    click[seed] = level
    assert np.isfinite(describe([Excerpt(click, 0.0), Excerpt(y, 1.0)])).all()


def test_level_moves_only_what_measures_level():
    y = demo.compose("jazz", 2, 5.0)
    loud, soft = by_name(describe([Excerpt(y, 0.0)])), by_name(describe([Excerpt(y * 0.5, 0.0)]))
    levels = {"rms_mean": 0.5, "rms_var": 0.25}
    for name in set(FEATURES) - {"mfcc1_mean"}:
        assert soft[name] == pytest.approx(levels.get(name, 1) * loud[name], rel=1e-3, abs=1e-3), (
            name
        )
    assert soft["mfcc1_mean"] == pytest.approx(loud["mfcc1_mean"] - 6.0206 * 128**0.5, rel=1e-3)


def test_a_track_from_a_file_can_be_described(make_audio):
    sound = read_excerpts(make_audio(".ogg", duration_s=40.0))
    assert len(sound.excerpts) == 3
    assert np.isfinite(describe(sound.excerpts)).all()


def test_tempo_is_that_of_the_clicks():
    y = np.zeros(SAMPLE_RATE * 12, np.float32)
    beat = SAMPLE_RATE * 60 // 100
    noise = np.random.default_rng(0).uniform(-1, 1, 400).astype(np.float32)
    for first, _ in pairwise(range(0, len(y), beat)):
        y[first : first + 400] = noise
    assert by_name(describe([Excerpt(y, 0.0)]))["tempo"] == pytest.approx(100, rel=0.03)


def test_neither_librosa_nor_scipy_is_imported():
    """librosa's features compile themselves for half a minute on a fresh machine."""
    code = (
        "import sys, numpy as np\n"
        "from tagger.sound.audio import Excerpt\n"
        "from tagger.sound.descriptors import describe\n"
        "from tagger.sound.log_mel_statistics import describe_log_mel\n"
        "describe([Excerpt(np.ones(30000, np.float32), 0.0)])\n"
        "describe_log_mel([np.zeros((128, 200))])\n"
        "print(sorted({'librosa', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
