"""Data sets: archives and genre folders, and what is wrong with them in words."""

from __future__ import annotations

import os

import numpy as np
import pytest

from tagger.system.errors import DataError
from tagger.training.data.datasets import (
    labels_of,
    read_genre_folders,
    read_log_mel_archive,
    targets,
    to_decibels,
)
from tests.training.archives import write_archive


def test_an_archive_is_joined_by_name_and_cut_to_its_frames(tmp_path):
    folder = write_archive(tmp_path / "set", columns=120)
    with np.load(folder / "logmel.npz") as kept:
        arrays = dict(kept)
    arrays["idx"][0, :, 100:] = 0
    arrays["n_frames"][0] = 100
    order = np.random.default_rng(0).permutation(len(arrays["names"]))
    np.savez(folder / "logmel.npz", **{k: v[order] for k, v in arrays.items()})
    examples = read_log_mel_archive(folder)
    assert labels_of(examples) == ("Blues", "Jazz", "Rock")
    assert [e.track for e in examples][:2] == ["blues.00000", "blues.00001"]
    assert examples[0].mel is not None and examples[0].mel.shape == (128, 100)
    assert examples[0].artist == "set:0"
    np.testing.assert_array_equal(examples[0].mel, arrays["idx"][0, :, :100])
    assert targets(examples, ("Blues", "Jazz", "Rock")).tolist() == [0] * 8 + [1] * 8 + [2] * 8


def test_bytes_mean_decibels_below_the_maximum():
    assert to_decibels(np.array([0, 51, 255], dtype=np.uint8)).tolist() == pytest.approx(
        [-80, -64, 0], abs=1e-4
    )


def test_tracks_without_genre_or_spectrogram_are_left_out(tmp_path):
    folder = write_archive(tmp_path / "set")
    rows = (folder / "tracks.csv").read_text().splitlines()
    rows[1] = rows[1].replace(",blues,", ",,")
    rows.append("missing.00000,blues,1,train,1")
    (folder / "tracks.csv").write_text("\n".join(rows))
    tracks = [e.track for e in read_log_mel_archive(folder)]
    assert len(tracks) == 23 and "blues.00000" not in tracks and "missing.00000" not in tracks


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 truncated"])
def test_a_damaged_archive_is_named(tmp_path, content):
    folder = write_archive(tmp_path / "set")
    (folder / "logmel.npz").write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_log_mel_archive(folder)
    assert caught.value.path and caught.value.path.endswith("logmel.npz")


def test_another_front_end_is_named(tmp_path):
    folder = write_archive(tmp_path / "set")
    with np.load(folder / "logmel.npz") as kept:
        arrays = dict(kept)
    np.savez(folder / "logmel.npz", **(arrays | {"idx": arrays["idx"][:, :96]}))
    with pytest.raises(DataError, match="not uint8"):
        read_log_mel_archive(folder)


@pytest.mark.parametrize(
    "changed",
    [
        {"idx": np.zeros((3, 128, 9), np.uint8)},
        {"idx": np.zeros((24, 128, 0), np.uint8)},
        {"n_frames": np.array([5])},
        {"n_frames": np.zeros(24, int)},
        {"n_frames": np.array(7)},
        {"excerpt_columns": np.zeros(24, int)},
        {"excerpt_columns": np.zeros((2, 3), int)},
    ],
)
def test_an_archive_whose_parts_do_not_fit_is_named(tmp_path, changed):
    """Regression: IndexError, TypeError or ValueError, according to the part."""
    folder = write_archive(tmp_path / "set")
    with np.load(folder / "logmel.npz") as kept:
        np.savez(folder / "logmel.npz", **(dict(kept) | changed))
    with pytest.raises(DataError, match="do not fit together"):
        read_log_mel_archive(folder)


def test_names_that_are_no_text_become_text(tmp_path):
    """Regression: a whole training ended in a traceback, since no card can hold them."""
    folder = write_archive(tmp_path / os.fsdecode(b"caf\xe9"))
    rows = (folder / "tracks.csv").read_bytes().replace(b",jazz,", b",polk\xe9,")
    (folder / "tracks.csv").write_bytes(rows)
    examples = read_log_mel_archive(folder)
    assert {e.source for e in examples} == {"caf?"} and "polk?" in labels_of(examples)
    folder = tmp_path / os.fsdecode(b"set/Chanson fran\xe7aise")
    folder.mkdir(parents=True)
    (folder / "song.mp3").write_bytes(b"named so")
    assert read_genre_folders(tmp_path / "set")[0].genre == "Chanson fran?aise"


def test_a_pickled_archive_is_not_opened(tmp_path):
    folder = write_archive(tmp_path / "set")
    np.savez(folder / "logmel.npz", names=np.array([{}], dtype=object), idx=np.zeros(1))
    with pytest.raises(DataError):
        read_log_mel_archive(folder)


def test_genre_folders(make_audio, tmp_path):
    make_audio(".flac", name="set/hiphop/a.flac")
    make_audio(".mp3", name="set/Polka/b.mp3")
    (tmp_path / "set" / "notes.txt").write_text("not music")
    files = read_genre_folders(tmp_path / "set")
    assert [(f.track, f.genre) for f in files] == [
        ("Polka/b.mp3", "Polka"),
        ("hiphop/a.flac", "Hip-Hop"),
    ]


def test_a_folder_without_music_is_no_data_set(tmp_path):
    with pytest.raises(DataError, match="is not a data set"):
        read_genre_folders(tmp_path)
