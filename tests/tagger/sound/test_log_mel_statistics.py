"""Statistics of log-mel spectrograms: names, finite values, the same from sound and archive."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagger.sound import demo
from tagger.sound.audio import Excerpt, read_excerpts
from tagger.sound.log_mel_statistics import LOG_MEL_FEATURES, describe_log_mel
from tagger.sound.spectrogram import COLUMN_S, log_mel


def by_name(vector: np.ndarray) -> dict[str, float]:
    return dict(zip(LOG_MEL_FEATURES, vector.tolist(), strict=True))


def test_names_are_unique_and_one_a_value():
    assert len(set(LOG_MEL_FEATURES)) == len(LOG_MEL_FEATURES) == 410
    vector = describe_log_mel([np.zeros((128, 300), np.float32)])
    assert vector.shape == (410,) and vector.dtype == np.float32


def test_each_name_stands_at_its_value():
    """A hill at one place of the mel axis that waxes and wanes twice a second."""
    rate_hz = 2.0
    seconds = np.arange(600) * COLUMN_S
    bands = np.arange(128)[:, None]
    hill = np.exp(-(((bands - 100) / 10.0) ** 2))
    db = -60 + 20 * hill * (1 + np.sin(2 * np.pi * rate_hz * seconds))
    got = by_name(describe_log_mel([db.astype(np.float32)]))
    assert got["mel_band26_mean"] == pytest.approx(db[100:104].mean(), abs=1e-3)
    assert got["mel_band1_mean"] == pytest.approx(-60, abs=1e-3)
    assert got["mel_mfcc1_mean"] == pytest.approx(db.mean() * 128**0.5, rel=1e-4)
    assert got["mel_mfcc1_std"] == pytest.approx(db.mean(axis=0).std() * 128**0.5, rel=1e-3)
    slopes = {n: v for n, v in got.items() if n.startswith("mel_band") and n.endswith("slope_std")}
    assert max(slopes, key=slopes.__getitem__) in ("mel_band25_slope_std", "mel_band26_slope_std")
    assert slopes["mel_band1_slope_std"] == pytest.approx(0, abs=1e-4)
    modulations = {n: v for n, v in got.items() if n.startswith("mel_modulation")}
    # 2 Hz is bin 11.9 of 0.17 Hz: at the border of the fifth and the sixth range.
    assert max(modulations, key=modulations.__getitem__) in (
        "mel_modulation13_5",
        "mel_modulation13_6",
    )
    assert got["mel_modulation1_6"] == pytest.approx(0, abs=1e-3)
    assert got["mel_correlation13_14"] == pytest.approx(1, abs=0.01)
    assert got["mel_correlation1_13"] == pytest.approx(0, abs=0.01)
    assert got["mel_onset_high_mean"] > 10 * got["mel_onset_low_mean"]
    assert got["mel_loudness_std"] > 1 and got["mel_flatness_mean"] < -3
    assert got["mel_contrast7_mean"] > got["mel_contrast2_mean"] + 5


@settings(max_examples=25)
@given(
    st.lists(st.integers(1, 300), min_size=1, max_size=3),
    st.sampled_from([0.0, 1.0, 40.0]),
    st.integers(0, 99),
)
def test_everything_is_finite(widths, spread, seed):
    rng = np.random.default_rng(seed)
    excerpts = [np.clip(rng.normal(-80, spread, (128, w)), -80, 0) for w in widths]
    vector = describe_log_mel(excerpts)
    assert np.isfinite(vector).all() and np.abs(vector).max() < 2000


def test_the_order_of_excerpts_does_not_matter():
    y = demo.compose("reggae", 0, 24.0)
    halves = log_mel([Excerpt(half, 0.0) for half in np.split(y, 2)]).excerpts
    np.testing.assert_allclose(
        describe_log_mel(halves), describe_log_mel(halves[::-1]), rtol=1e-3, atol=1e-4
    )


@pytest.mark.shared_data
def test_an_archive_and_its_sound_say_the_same(shared_data):
    """What trees learn from the archive of GTZAN is what they get to see in a scan.

    A third of its columns are interpolated; no feature may be shifted by that by more than a
    quarter of its spread over tracks.
    """
    folder = shared_data / "gtzan"
    with np.load(folder / "logmel.npz") as archive:
        position = {str(name): i for i, name in enumerate(archive["names"])}
        mels, n_frames = archive["idx"], archive["n_frames"]

    def archived(i: int) -> np.ndarray:
        return describe_log_mel([mels[i, :, : n_frames[i]].astype(np.float32) * (80 / 255) - 80])

    with (folder / "tracks.csv").open(newline="") as lines:
        tracks = [row["track"] for row in csv.DictReader(lines) if row["track"] in position]
    spread = np.std([archived(position[track]) for track in tracks[::8]], axis=0)
    flacs = sorted(f for f in (folder / "audio").glob("*/*.flac") if f.stem in position)
    shifts = [
        archived(position[flac.stem])
        - describe_log_mel(log_mel(read_excerpts(flac).excerpts).excerpts)
        for flac in flacs[::3]
    ]
    assert len(shifts) >= 8
    shift = np.abs(np.mean(shifts, axis=0)) / spread
    assert np.median(shift) < 0.05
    assert shift.max() < 0.35, LOG_MEL_FEATURES[int(shift.argmax())]
