from __future__ import annotations

import av
import numpy as np
import pytest

from tagger.containers.recognise import identify
from tagger.sound import demo
from tagger.sound.audio import read_excerpts


def test_makes_a_piece_for_each_of_five_containers(tmp_path):
    files = demo.make_demo(tmp_path / "new" / "demo", duration_s=2.0)
    assert [identify(file).name for file in files] == [
        "MP3",
        "FLAC",
        "Ogg Vorbis",
        "Opus",
        "MP4",
    ]
    for file in files:
        assert "synthetic" in file
        assert read_excerpts(file).duration_s == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize("style", demo.STYLES)
def test_composes_the_same_from_the_same_seed_only(style):
    piece = demo.compose(style, seed=3, duration_s=4.0)
    assert piece.dtype == np.float32
    assert piece.shape == (4 * demo.RATE,)
    assert np.abs(piece).max() == pytest.approx(0.9, abs=1e-6)
    np.testing.assert_array_equal(piece, demo.compose(style, seed=3, duration_s=4.0))
    assert np.abs(piece - demo.compose(style, seed=4, duration_s=4.0)).max() > 0.1


def band_shares(piece):
    """Shares of the power below 150 Hz, to 600 Hz, to 2.4 kHz, and above."""
    power = np.abs(np.fft.rfft(piece)) ** 2
    edges = np.array([0, 150, 600, 2400]) * len(piece) // demo.RATE
    shares = np.add.reduceat(power, edges)
    return shares / shares.sum()


def test_styles_differ_more_than_seeds():
    shares = np.array(
        [
            [band_shares(demo.compose(style, seed, 5.0)) for seed in range(2)]
            for style in demo.STYLES
        ]
    )
    middles = shares.mean(axis=1)
    within = np.abs(shares - middles[:, None]).sum(axis=2).mean()
    between = np.abs(middles[:, None] - middles[None]).sum(axis=2)
    assert between[np.triu_indices(len(middles), 1)].mean() > 2 * within


@pytest.mark.parametrize("suffix", demo.ENCODINGS)
def test_encodes_the_same_bytes_each_time(tmp_path, suffix):
    piece = demo.compose("jazz", duration_s=1.0)
    for name in ("a", "b"):
        demo.encode(piece, tmp_path / (name + suffix))
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


def test_encodes_channels_of_their_own(tmp_path):
    left = demo.compose("jazz", duration_s=1.0)
    demo.encode(np.stack([left, -left]), tmp_path / "a.wav")
    with av.open(tmp_path / "a.wav") as container:
        rows = np.concatenate(
            [frame.to_ndarray().reshape(-1, 2) for frame in container.decode(audio=0)]
        )
    assert rows.shape == (demo.RATE, 2)
    np.testing.assert_allclose(rows[:, 0], -rows[:, 1], atol=1)
    np.testing.assert_allclose(rows[:, 0] / 32768, left, atol=1e-4)
