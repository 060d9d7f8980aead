"""From sound to an archive: what is kept, what is heard again, what is left out."""

from __future__ import annotations

import os
import wave
from pathlib import Path

import numpy as np
import pytest
from mediafile import MediaFile

from tagger.sound.audio import read_excerpts
from tagger.sound.spectrogram import TOP_DB, log_mel
from tagger.system.errors import ConfigurationError, DataError
from tagger.training.data import prepare as preparation
from tagger.training.data.datasets import (
    KEPT,
    Example,
    SoundFile,
    read_genre_folders,
    read_log_mel_archive,
)
from tagger.training.data.load_examples import Sources, load_examples, with_artists
from tagger.training.data.prepare import prepare
from tagger.training.measure.splits import artist
from tests.training.archives import write_archive
from tests.training.recorder import Recorder


@pytest.fixture
def pieces(make_audio, tmp_path):
    for i, (genre, style) in enumerate({"jazz": "jazz", "metal": "metal"}.items()):
        for k in range(2):
            make_audio(".wav", name=f"set/{genre}/{genre}.0000{k}.wav", style=style, seed=i + k)
    return tmp_path / "set"


def in_this_process(monkeypatch, function=preparation.extract):
    """Workers take a second to start; what they do is the same here. Returns who was heard."""
    heard = []

    def map_here(_, items, *, jobs, deadline_s):
        for item in items:
            heard.append(item.track)
            yield item, function(item)

    monkeypatch.setattr(preparation, "map_in_workers", map_here)
    return heard


def interrupted_at_the_third(monkeypatch, files, store):
    def stop(file):
        if file is files[2]:
            raise KeyboardInterrupt
        return preparation.extract(file)

    in_this_process(monkeypatch, stop)
    with pytest.raises(KeyboardInterrupt):
        prepare(files, store, source="set")


def test_a_folder_with_a_broken_file_becomes_an_archive(pieces, tmp_path):
    """In real workers, as for a user."""
    (pieces / "jazz" / "jazz.00054.wav").write_bytes(b"RIFF\x00\x00\x00\x00WAVEnot sound")
    (pieces / "metal" / "empty.wav").write_bytes(b"")
    recorder = Recorder()
    sources = Sources([pieces], cache=tmp_path / "kept")
    examples = load_examples(sources, tmp_path, reporter=recorder)
    assert [e.track for e in examples] == [
        *("jazz/jazz.00000.wav", "jazz/jazz.00001.wav"),
        *("metal/metal.00000.wav", "metal/metal.00001.wav"),
    ]
    assert {e.genre for e in examples} == {"Jazz", "Metal"}
    assert sorted(recorder.left_out) == ["jazz/jazz.00054.wav", "metal/empty.wav"]
    again = read_log_mel_archive(tmp_path / "kept")
    for before, after in zip(examples, again, strict=True):
        assert (before.track, before.genre) == (after.track, after.genre)
        np.testing.assert_array_equal(before.mel, after.mel)


def test_what_is_kept_is_what_is_heard(make_audio, monkeypatch, tmp_path):
    piece = make_audio(".flac", duration_s=40.0)
    in_this_process(monkeypatch)
    [example] = prepare([SoundFile(str(piece), "a", "Polka")], tmp_path / "kept", source="s")
    exact = log_mel(read_excerpts(piece).excerpts)
    kept = example.log_mel()
    assert len(kept.excerpts) == 3
    for coarse, fine in zip(kept.excerpts, exact.excerpts, strict=True):
        np.testing.assert_allclose(coarse, fine, atol=TOP_DB / 255 / 2 + 1e-3)
    [again] = read_log_mel_archive(tmp_path / "kept")
    assert again.excerpt_columns == example.excerpt_columns


def test_only_new_and_changed_files_are_heard_again(pieces, monkeypatch, make_audio, tmp_path):
    heard = in_this_process(monkeypatch)
    store = tmp_path / "kept"
    prepare(read_genre_folders(pieces), store, source="set")
    assert len(heard) == 4
    heard.clear()
    before = (store / "logmel.npz").stat().st_mtime_ns
    prepare(read_genre_folders(pieces), store, source="set")
    assert heard == [] and (store / "logmel.npz").stat().st_mtime_ns == before
    make_audio(".wav", name="set/jazz/new.wav", seed=9)
    os.utime(pieces / "metal" / "metal.00001.wav", (1, 1))
    examples = prepare(read_genre_folders(pieces), store, source="set")
    assert heard == ["jazz/new.wav", "metal/metal.00001.wav"] and len(examples) == 5
    (pieces / "jazz" / "new.wav").unlink()
    assert len(prepare(read_genre_folders(pieces), store, source="set")) == 4
    assert len(read_log_mel_archive(store)) == 4


def test_an_interrupted_preparation_goes_on(pieces, monkeypatch, tmp_path):
    files, store = read_genre_folders(pieces), tmp_path / "kept"
    interrupted_at_the_third(monkeypatch, files, store)
    heard = in_this_process(monkeypatch)
    assert len(prepare(files, store, source="set")) == 4
    assert heard == [file.track for file in files[2:]]
    assert sorted(p.name for p in store.iterdir()) == ["logmel.npz", "tracks.csv", "views.npz"]


def test_a_part_that_a_power_cut_emptied_is_heard_again(pieces, monkeypatch, tmp_path):
    """Regression: it ended every later run."""
    files, store = read_genre_folders(pieces), tmp_path / "kept"
    interrupted_at_the_third(monkeypatch, files, store)
    next((store / "parts").glob("*.npz")).write_bytes(b"")
    heard = in_this_process(monkeypatch)
    assert len(prepare(files, store, source="set")) == 4 and len(heard) == 3


def test_silence_is_left_out_and_no_failure(make_audio, monkeypatch, tmp_path):
    """Regression: a training with a silent track ended with status 1."""
    in_this_process(monkeypatch)
    make_audio(".wav", name="set/jazz/a.wav", seed=1)
    with wave.open(str(tmp_path / "set" / "jazz" / "b.wav"), "wb") as silent:
        silent.setparams((1, 2, 22050, 0, "NONE", ""))
        silent.writeframes(bytes(2 * 22050 * 10))
    files = read_genre_folders(tmp_path / "set")
    recorder = Recorder()
    examples = prepare(files, tmp_path / "k", source="s", reporter=recorder)
    assert len(examples) == 1 and not recorder.left_out
    assert recorder.lines[0].startswith("left out: jazz/b.wav: ")


def test_a_damaged_cache_is_made_anew(pieces, monkeypatch, tmp_path):
    heard = in_this_process(monkeypatch)
    store = tmp_path / "kept"
    prepare(read_genre_folders(pieces), store, source="set")
    (store / "logmel.npz").write_bytes(b"PK\x03\x04")
    assert len(prepare(read_genre_folders(pieces), store, source="set")) == 4
    assert len(heard) == 8
    assert len(read_log_mel_archive(store)) == 4


def test_a_folder_of_something_else_is_not_made_a_cache(pieces, tmp_path):
    precious = write_archive(tmp_path / "precious")
    before = (precious / "logmel.npz").read_bytes()
    thesis = tmp_path / "thesis"
    (thesis / "parts").mkdir(parents=True)
    (thesis / "parts" / "one.txt").write_text("years of work")
    for folder in (precious, pieces, thesis):
        with pytest.raises(ConfigurationError, match="is not an archive made by gtag train"):
            prepare(read_genre_folders(pieces), folder, source="set")
    assert (precious / "logmel.npz").read_bytes() == before
    assert {p.name for p in pieces.iterdir()} == {"jazz", "metal"}
    assert (thesis / "parts" / "one.txt").read_text() == "years of work"
    (thesis / "parts" / "one.txt").unlink()
    (thesis / "two.txt").write_text("and more")  # beside an empty `parts`
    with pytest.raises(ConfigurationError, match="is not an archive made by gtag train"):
        prepare(read_genre_folders(pieces), thesis, source="set")


def test_nothing_heard_at_all_is_an_error(tmp_path, monkeypatch):
    in_this_process(monkeypatch)
    (tmp_path / "a.wav").write_bytes(b"noise")
    with pytest.raises(DataError, match="no file with sound that could be decoded"):
        prepare([SoundFile(str(tmp_path / "a.wav"), "a", "Polka")], tmp_path / "k", source="s")


def test_names_that_are_no_text_are_kept(make_audio, monkeypatch, tmp_path):
    in_this_process(monkeypatch)
    name = os.fsdecode(b'caf\xe9 \x1b\r\n,".wav')
    make_audio(".wav", name=f"set/jazz/{name}")
    files = read_genre_folders(tmp_path / "set")
    prepare(files, tmp_path / "kept", source="set")
    assert [e.track for e in read_log_mel_archive(tmp_path / "kept")] == [f"jazz/{name}"]


def test_a_file_that_kills_its_worker_is_left_out(monkeypatch, pieces, tmp_path):
    from tagger.pipeline.workers import Lost

    kept = {name: np.zeros(3, np.float32) for name in KEPT.values()}

    def crash(file):
        if file.track.startswith("jazz/jazz.00000"):
            return Lost(1.0, 60.0)
        mel = np.zeros((128, 90), np.uint8)
        return Example(file.track, file.genre, "", mel=mel, excerpt_columns=(90,), kept=kept)

    in_this_process(monkeypatch, crash)
    recorder = Recorder()
    examples = prepare(read_genre_folders(pieces), tmp_path / "k", source="s", reporter=recorder)
    assert len(examples) == 3
    assert recorder.left_out == {"jazz/jazz.00000.wav": "the decoder crashed on it"}


def test_artists_of_genre_folders_by_tag_or_folder(make_audio, tmp_path):
    media = MediaFile(make_audio(".mp3", name="set/jazz/a.mp3"))
    media.artist = "Duke"
    media.save()
    make_audio(".mp3", name="set/jazz/Album/b.mp3")
    make_audio(".mp3", name="set/jazz/c.mp3")
    artists = {f.track: f.artist for f in with_artists(read_genre_folders(tmp_path / "set"))}
    assert artists == {
        "jazz/Album/b.mp3": "folder jazz/Album",
        "jazz/a.mp3": "duke",
        "jazz/c.mp3": None,
    }


def test_the_same_folder_twice_is_refused(tmp_path):
    """Regression: a set was measured on itself."""
    folder = write_archive(tmp_path / "set")
    with pytest.raises(ConfigurationError, match="is given twice"):
        load_examples(Sources([folder, folder.parent / "." / "set"]), tmp_path)


def test_sets_of_one_name_are_told_apart(tmp_path):
    """Regression: both were measured on, as if they were one."""
    folders = [write_archive(tmp_path / name / "set", seed=i) for i, name in enumerate("ABC")]
    examples = load_examples(Sources(folders), tmp_path)
    assert list(dict.fromkeys(e.source for e in examples)) == ["set", "set-2", "set-3"]
    assert {e.artist.partition(":")[0] for e in examples[24:48]} == {"set-2"}
    tested = {examples[i].source for s in artist(examples) for i in s.test}
    assert tested == {"set"}


def test_a_link_to_nowhere_is_left_out(make_audio, monkeypatch, tmp_path):
    """Regression: it ended the training."""
    in_this_process(monkeypatch)
    make_audio(".wav", name="set/jazz/a.wav")
    (tmp_path / "set" / "jazz" / "gone.mp3").symlink_to("nowhere.mp3")
    recorder = Recorder()
    examples = load_examples(Sources([tmp_path / "set"]), tmp_path / "w", reporter=recorder)
    assert [e.track for e in examples] == ["jazz/a.wav"]
    assert list(recorder.left_out) == ["jazz/gone.mp3"]


def test_music_without_artists_is_not_listened_to_in_vain(pieces, monkeypatch, tmp_path):
    """Regression: an hour of listening, and then the protocol was refused."""
    heard = in_this_process(monkeypatch)
    with pytest.raises(DataError, match="needs the artist of each track"):
        load_examples(Sources([pieces]), tmp_path / "w", artists=True)
    assert not heard


def test_there_must_be_something_to_learn_from(tmp_path):
    with pytest.raises(ConfigurationError, match="nothing to learn from"):
        load_examples(Sources(), Path(tmp_path))
