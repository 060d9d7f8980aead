"""The log-mel front end: librosa's values, the training archives' values, chunks."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagger.sound.audio import EDGE, Excerpt, read_excerpts
from tagger.sound.decoder import SAMPLE_RATE
from tagger.sound.spectrogram import (
    CHUNK_COLUMNS,
    CHUNK_STEP,
    COLUMN_S,
    HOP,
    N_FFT,
    N_MELS,
    TOP_DB,
    LogMel,
    chunks,
    log_mel,
    mel_bank,
    mel_filters,
    mel_frequencies,
    power_frames,
)


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    fade = np.linspace(0.01, 1, int(seconds * SAMPLE_RATE))
    return (rng.standard_normal(len(fade)) * fade * 0.1).astype(np.float32)


def whole(y: np.ndarray) -> Excerpt:
    return Excerpt(samples=y, start_s=0.0, edge_before=0, edge_after=0)


def test_values_are_librosas():
    import librosa

    y = noise(5)
    power = librosa.feature.melspectrogram(
        y=y, sr=SAMPLE_RATE, n_fft=N_FFT, hop_length=HOP, n_mels=N_MELS
    )
    expected = librosa.power_to_db(power, ref=np.max, top_db=TOP_DB)
    [ours] = log_mel([whole(y)]).excerpts
    assert ours.shape == expected.shape
    np.testing.assert_allclose(ours, expected, atol=0.01)
    assert log_mel([whole(y)]).ref_db == pytest.approx(10 * np.log10(power.max()), abs=0.01)


@pytest.mark.parametrize(
    ("rate", "n_fft", "n_mels"), [(SAMPLE_RATE, N_FFT, N_MELS), (16_000, 512, 96), (1500, 256, 20)]
)
def test_mel_bands_are_librosas(rate, n_fft, n_mels):
    import librosa

    filters = librosa.filters.mel(sr=rate, n_fft=n_fft, n_mels=n_mels)
    found = mel_filters(rate, n_fft, n_mels)
    assert found.dtype == filters.dtype
    np.testing.assert_allclose(found, filters, rtol=1e-6, atol=1e-9)
    centres = librosa.mel_frequencies(n_mels=n_mels + 2, fmax=rate / 2)[1:-1]
    np.testing.assert_allclose(mel_frequencies(n_mels, rate), centres, rtol=1e-12)


@pytest.mark.parametrize(
    ("rate", "n_fft", "n_mels"), [(SAMPLE_RATE, N_FFT, N_MELS), (16_000, 512, 96), (1500, 256, 20)]
)
def test_a_bank_sums_what_its_filters_weigh(rate, n_fft, n_mels):
    power = np.random.default_rng(0).uniform(0, 1, (7, 1 + n_fft // 2)).astype(np.float32)
    expected = power.astype(np.float64) @ mel_filters(rate, n_fft, n_mels).T
    found = mel_bank(rate, n_fft, n_mels)(power)
    assert found.shape == (7, n_mels) and found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("n_fft", [512, N_FFT])
def test_power_frames_are_librosas(n_fft):
    import librosa

    y = noise(5)
    expected = np.square(np.abs(librosa.stft(y, n_fft=n_fft, hop_length=n_fft // 2, center=False)))
    np.testing.assert_allclose(power_frames(y, n_fft, n_fft // 2), expected.T, rtol=1e-3, atol=1e-5)


def test_real_edges_leave_no_seam():
    """An excerpt from the middle has the columns that the whole track has there."""
    y = noise(20)
    start = 4 * HOP
    length = 86 * HOP
    inner = Excerpt(
        samples=y[start - EDGE : start + length + EDGE],
        start_s=start / SAMPLE_RATE,
        edge_before=EDGE,
        edge_after=EDGE,
    )
    part, all_of_it = log_mel([inner]), log_mel([whole(y)])
    [columns] = part.excerpts
    expected = all_of_it.excerpts[0][:, 4 : 4 + columns.shape[1]]
    np.testing.assert_allclose(
        np.maximum(columns + part.ref_db, -60),
        np.maximum(expected + all_of_it.ref_db, -60),
        atol=0.01,
    )


def test_the_reference_is_the_maximum_over_all_excerpts():
    mel = log_mel([whole(noise(5) * 0.1), whole(noise(5))])
    assert mel.excerpts[1].max() == pytest.approx(0, abs=1e-4)
    assert mel.excerpts[0].max() == pytest.approx(-20, abs=0.01)


@settings(max_examples=40)
@given(widths=st.lists(st.integers(1, 700), min_size=1, max_size=3))
def test_chunks_are_4_s_long_2_s_apart_within_each_excerpt(widths):
    starts = tuple(100.0 * i for i in range(len(widths)))
    mels = tuple(np.tile(np.arange(w, dtype=np.float32), (N_MELS, 1)) for w in widths)
    cut, at = chunks(LogMel(excerpts=mels, starts_s=starts, ref_db=0.0))
    assert cut.shape[1:] == (N_MELS, CHUNK_COLUMNS)
    expected = sum(max(0, w - CHUNK_COLUMNS) // CHUNK_STEP + 1 for w in widths)
    assert len(cut) == len(at) == expected
    for chunk, start_s in zip(cut, at, strict=True):
        column = round((start_s % 100) / COLUMN_S)
        width = widths[int(start_s // 100)]
        np.testing.assert_array_equal(chunk[0], (column + np.arange(CHUNK_COLUMNS)) % max(width, 1))


@pytest.mark.shared_data
def test_parity_with_the_training_archive_on_flac_tracks(shared_data):
    gtzan = shared_data / "gtzan"
    with np.load(gtzan / "logmel.npz", allow_pickle=False) as arrays:
        archive = dict(arrays)  # each access to one of its arrays would decompress it again
    names = [str(n) for n in archive["names"]]
    with (gtzan / "tracks.csv").open() as lines:
        tracks = {row["track"] for row in csv.DictReader(lines)}
    errors = []
    for flac in sorted((gtzan / "audio").rglob("*.flac")):
        if flac.stem not in names or flac.stem not in tracks:
            continue
        i = names.index(flac.stem)
        [ours] = log_mel(read_excerpts(str(flac)).excerpts).excerpts
        theirs = archive["idx"][i].astype(np.float32) / 255 * TOP_DB - TOP_DB
        width = min(ours.shape[1], theirs.shape[1], int(archive["n_frames"][i]))
        exact = archive["exact"][i][:width]
        errors.append(np.abs(ours[:, :width] - theirs[:, :width])[:, exact].mean())
    assert len(errors) == 28
    print(f"mean error in dB: median track {np.median(errors):.3f}, worst {max(errors):.3f}")
    assert np.median(errors) <= 0.3
    assert max(errors) <= 1.5
