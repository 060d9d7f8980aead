"""What is seen of tracks: of sound, of what an archive keeps, and estimated from a spectrogram."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from tagger.errors import DataError
from tagger.models import zoo
from tagger.models.track_features import TrackFeatures
from tagger.sound.audio import read_excerpts
from tagger.sound.patches import log_mel_frames
from tagger.sound.spectrogram import TOP_DB, log_mel
from tagger.training.data.track_views import compute_views, interpolated_frames, read_items
from tests.training.recorder import Recorder

N = 6


def write_set(folder: Path, make_audio, *, sound: int, spectrograms: int, kept: int) -> Path:
    """So many tracks with sound, with spectrograms, and with embeddings."""
    (folder / "audio" / "jazz").mkdir(parents=True)
    names, mels, refs, rows = [], [], [], []
    for i in range(N):
        piece = make_audio(".flac", duration_s=9.0, seed=i, style=("disco", "jazz")[i % 2])
        mel = log_mel(read_excerpts(piece).excerpts)
        names.append(f"t{i}")
        mels.append(np.rint((mel.excerpts[0] + TOP_DB) * 255 / TOP_DB).astype(np.uint8))
        refs.append(mel.ref_db)
        rows.append({"track": f"t{i}", "genre": ("disco", "jazz")[i % 2], "artist_group": i // 2})
        if i < sound:
            piece.rename(folder / "audio" / "jazz" / f"t{i}.flac")
    with (folder / "tracks.csv").open("w", newline="") as lines:
        writer = csv.DictWriter(lines, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    if spectrograms:
        np.savez(
            folder / "logmel.npz",
            names=np.array(names[-spectrograms:]),
            idx=np.stack(mels[-spectrograms:]),
            n_frames=np.array([m.shape[1] for m in mels[-spectrograms:]]),
            ref_db=np.array(refs[-spectrograms:]),
        )
    if kept:
        np.savez(
            folder / "musicnn.npz",
            names=np.array(names[-kept:]),
            penultimate=np.full((kept, 200), 7.0, np.float16),
        )
    return folder


def test_sound_then_what_is_kept_then_an_estimate(make_audio, tmp_path):
    folder = write_set(tmp_path / "set", make_audio, sound=2, spectrograms=6, kept=2)
    seen = compute_views([folder], tmp_path / "work", jobs=1)
    assert [item.track for item in seen.items] == [f"t{i}" for i in range(N)]
    assert list(seen.estimated) == [False, False, True, True, False, False]
    np.testing.assert_array_equal(seen.embedding[4:], 7.0)
    backbone = zoo.load_backbone("musicnn")
    features = TrackFeatures.from_sound(read_excerpts(folder / "audio" / "jazz" / "t0.flac"))
    np.testing.assert_allclose(seen.embedding[0], backbone.embed(features).mean(axis=0), atol=1e-4)
    np.testing.assert_allclose(seen.narrow[0], features.narrow_statistics, atol=1e-4)
    assert np.isfinite(seen.embedding).all() and np.isfinite(seen.narrow).all()


def test_what_was_seen_is_not_looked_at_again(make_audio, tmp_path):
    folder = write_set(tmp_path / "set", make_audio, sound=N, spectrograms=0, kept=0)
    first = compute_views([folder], tmp_path / "work", jobs=1)
    for file in (folder / "audio" / "jazz").iterdir():
        file.write_bytes(b"gone")
    again = compute_views([folder], tmp_path / "work", jobs=1)
    np.testing.assert_array_equal(first.embedding, again.embedding)


def test_a_damaged_file_costs_its_own_track_only(make_audio, tmp_path):
    folder = write_set(tmp_path / "set", make_audio, sound=N, spectrograms=0, kept=0)
    (folder / "audio" / "jazz" / "t3.flac").write_bytes(b"no sound" * 100)
    recorder = Recorder()
    seen = compute_views([folder], tmp_path / "w", jobs=1, reporter=recorder)
    assert list(recorder.left_out) == ["t3"] and len(seen.items) == N - 1


def test_frames_are_interpolated_from_the_other_front_end(make_audio):
    """They are blurred, but say the same of bands and level."""
    (excerpt,) = read_excerpts(make_audio(".flac", duration_s=9.0)).excerpts
    mel = log_mel([excerpt])
    true = log_mel_frames(excerpt)
    guessed = interpolated_frames(mel.excerpts[0] + mel.ref_db)
    n = min(len(true), len(guessed))
    assert abs(len(true) - len(guessed)) <= 4
    assert np.corrcoef(true[:n].mean(axis=0), guessed[:n].mean(axis=0))[0, 1] > 0.9
    assert abs(true[:n].mean() - guessed[:n].mean()) < 0.35


@pytest.mark.parametrize("damage", ["no table", "no tracks", "damaged archive"])
def test_what_is_no_set_is_refused(make_audio, tmp_path, damage):
    folder = write_set(tmp_path / "set", make_audio, sound=0, spectrograms=N, kept=0)
    if damage == "no table":
        (folder / "tracks.csv").unlink()
    elif damage == "no tracks":
        (folder / "logmel.npz").unlink()
    else:
        (folder / "logmel.npz").write_bytes(b"PK")
    with pytest.raises(DataError):
        read_items(folder)
