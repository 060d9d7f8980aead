"""What is seen of tracks: of sound, of what a scan computed, and estimated from a spectrogram."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tagger.models import zoo
from tagger.models.track_features import TrackFeatures
from tagger.sound.audio import read_excerpts
from tagger.sound.log_mel_statistics import LOG_MEL_FEATURES
from tagger.sound.patches import log_mel_frames
from tagger.sound.spectrogram import TOP_DB, log_mel
from tagger.system.errors import DataError
from tagger.training.data.track_views import (
    compute_views,
    interpolated_frames,
    read_items,
    view,
)
from tests.training.recorder import Recorder

N = 6
WIDTHS = {
    "musicnn": 200,
    "musicnn_spread": 200,
    "yamnet": 1024,
    "yamnet_logits": 521,
    "narrow_statistics": len(LOG_MEL_FEATURES),
}
N_CLASSES = WIDTHS["yamnet_logits"]
MUSIC = zoo.find("yamnet").labels.index("Music")


def write_set(folder: Path, make_audio, *, sound: int, spectrograms: int, kept: int) -> Path:
    """So many tracks with sound, with spectrograms, and with what a scan computed."""
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
            folder / "views.npz",
            names=np.array(names[-kept:]),
            **{n: np.full((kept, width), 7.0, np.float16) for n, width in WIDTHS.items()},  # type: ignore[arg-type]
            highest_hz=np.full(kept, 9000.0, np.float32),
            yamnet_scores=np.eye(N_CLASSES, dtype=np.float16)[[MUSIC] * (kept - 1) + [0]],
        )
    return folder


def test_sound_then_what_is_kept_then_an_estimate(make_audio, tmp_path):
    folder = write_set(tmp_path / "set", make_audio, sound=2, spectrograms=6, kept=2)
    seen = compute_views([folder], tmp_path / "work", jobs=1)
    assert [item.track for item in seen.items] == [f"t{i}" for i in range(N)]
    assert list(seen.estimated) == [False, False, True, True, False, False]
    said = (seen.embedding, seen.spread, seen.yamnet, seen.yamnet_logits)
    for kept in (*said, seen.narrow):
        np.testing.assert_array_equal(kept[4:], 7.0)
    np.testing.assert_array_equal(seen.highest_hz[4:], 9000.0)
    musicnn, yamnet = zoo.load_backbone("musicnn"), zoo.load_backbone("yamnet")
    features = TrackFeatures.from_sound(read_excerpts(folder / "audio" / "jazz" / "t0.flac"))
    embedding = musicnn.embed(features)
    expected = (
        embedding.mean(axis=0),
        embedding.std(axis=0),
        yamnet.embed(features).mean(axis=0),
        features.logits["yamnet-1"],
        features.narrow_statistics,
        np.array(features.highest_hz),
    )
    for found, known in zip((*said, seen.narrow, seen.highest_hz), expected, strict=True):
        np.testing.assert_allclose(found[0], known, atol=1e-4)
    assert all(np.isfinite(view).all() for view in (*said, seen.narrow, seen.liveliness))
    music = features.scores["yamnet-1"][MUSIC]
    np.testing.assert_allclose(seen.music, [music, seen.music[1], np.nan, np.nan, 1.0, 0.0])
    np.testing.assert_array_equal(seen.doubted, [False, False, False, False, False, True])
    assert seen.fingerprint.any(axis=1).all()


def test_a_set_of_nothing_but_views(make_audio, tmp_path):
    """There is no spectrogram to say how it moves, or whose recording it is."""
    folder = write_set(tmp_path / "set", make_audio, sound=0, spectrograms=0, kept=4)
    seen = compute_views([folder], tmp_path / "work", jobs=1)
    assert [item.track for item in seen.items] == ["t2", "t3", "t4", "t5"]
    assert not seen.estimated.any() and not seen.fingerprint.any()
    assert np.isnan(seen.liveliness).all() and (seen.yamnet == 7.0).all()
    again = compute_views([folder], tmp_path / "work", jobs=1)
    np.testing.assert_array_equal(again.yamnet_logits, seen.yamnet_logits)


def test_an_artists_key_is_the_same_in_all_sets(make_audio, tmp_path):
    items = []
    for name in ("one", "two"):
        folder = write_set(tmp_path / name, make_audio, sound=0, spectrograms=0, kept=2)
        (folder / "tracks.csv").write_text("track,genre,artist_key\nt4,jazz,k1\nt5,jazz,\n")
        items += read_items(folder)
    assert [item.artist for item in items] == ["artist:k1", "one:t5", "artist:k1", "two:t5"]


@pytest.mark.shared_data
def test_what_is_computed_is_what_the_sets_without_sound_have(shared_data):
    """Mean and spread over the same patches, at the same level."""
    folder = shared_data / "gtzan"
    known = {item.track: item for item in read_items(folder) if item.sound}
    for track in sorted(known)[::10]:
        item = known[track]
        found = view(replace(item, mel=None, views={}))
        assert isinstance(found, dict)
        for name, atol in (("embedding", 2e-3), ("spread", 2e-3), ("narrow", 1e-2)):
            np.testing.assert_allclose(found[name], item.views[name], atol=atol, rtol=2e-3)


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
