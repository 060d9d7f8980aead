"""What a scan remembers: it says what listening says, and stops no scan where it is wrong."""

from __future__ import annotations

import csv
import os
import shutil
import sqlite3
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest
from mediafile import MediaFile

from tagger.containers.credits import Credits
from tagger.containers.recognise import identify
from tagger.containers.write import Change, write_change
from tagger.deciding.decide import Policy, Status
from tagger.library.walk import Library, Stamp, Track
from tagger.models import zoo
from tagger.models.registry import bundled_folder
from tagger.models.track_features import TrackFeatures
from tagger.pipeline import classify
from tagger.pipeline.batch import track_results
from tagger.pipeline.cache import (
    Cache,
    CachedPrediction,
    _packed,
    _unpacked,
    default_cache_path,
    model_key,
)
from tagger.sound.audio import read_excerpts
from tagger.sound.decoder import Source
from tests.conftest import aged
from tests.tagger.specimens import ENCODED

SURE = Policy(min_confidence=0.0)


@pytest.fixture
def heard_files(monkeypatch):
    """The paths that were listened to, decoded and all."""
    paths = []
    original = classify.read_excerpts

    def watched(path, *args, **options):
        paths.append(Path(path).name)
        return original(path, *args, **options)

    monkeypatch.setattr(classify, "read_excerpts", watched)
    return paths


def scanned(cache_file, *paths, model="fast", policy=SURE, write=False, jobs=1):
    classify._reader.cache_clear()
    with Cache(cache_file, zoo.find(model)) as cache:
        tracks = Library([str(p) for p in paths], format_of=cache.format_of)
        return list(
            track_results(
                tracks,
                model=model,
                policy=policy,
                jobs=jobs,
                cache=cache,
                write=(lambda t, change: write_change(t.path, t.format, change)) if write else None,
            )
        )


@pytest.fixture
def file(tmp_path):
    return tmp_path / "cache" / "predictions.sqlite"


def hash_of(file: Path) -> bytes | None:
    with Source(str(file)) as source:
        return source.packets_hash()


@pytest.mark.parametrize("suffix", ENCODED)
def test_packets_are_known_again_whatever_the_tags_say(make_audio, tmp_path, suffix):
    piece = make_audio(suffix, duration_s=8.0)
    other = make_audio(suffix, duration_s=8.0, seed=1)
    before = hash_of(piece)
    assert before is not None and before != hash_of(other)
    write_change(piece, identify(piece), Change(("Jazz", "x" * 5000), ("Jazz",), 0.9, "m-1"))
    renamed = piece.rename(tmp_path / f"renamed{suffix}")
    assert hash_of(renamed) == before


@pytest.mark.parametrize("duration_s", [3.0, 40.0])
@pytest.mark.parametrize("suffix", ENCODED)
def test_a_file_that_is_open_for_its_hash_sounds_the_same(make_audio, suffix, duration_s):
    piece = make_audio(suffix, duration_s=duration_s)
    fresh = read_excerpts(piece)
    with Source(str(piece)) as source:
        assert source.packets_hash() is not None
        again = read_excerpts(piece, hashed=source)
    assert again.duration_s == fresh.duration_s
    assert [e.start_s for e in again.excerpts] == [e.start_s for e in fresh.excerpts]
    for one, other in zip(again.excerpts, fresh.excerpts, strict=True):
        np.testing.assert_array_equal(one.samples, other.samples)


def test_features_come_back_as_they_were_and_damaged_ones_are_named(make_audio):
    kept = {"a": np.float32([[1, 2], [3, 4]]), "b": np.asarray(0.1), "c": np.zeros(0)}
    packed = _packed(kept)
    back = _unpacked(packed)
    assert list(back) == list(kept)
    for name, array in kept.items():
        assert back[name].dtype == array.dtype
        np.testing.assert_array_equal(back[name], array)
    for damaged in (packed[:-9], b"", zlib.compress(b'{"a": ["O", [1]]}\n' + bytes(8))):
        with pytest.raises(ValueError):
            _unpacked(damaged)


def test_an_unchanged_file_is_not_listened_to_again(make_audio, file, heard_files):
    pieces = [make_audio(suffix) for suffix in (".mp3", ".flac")]
    first = scanned(file, *pieces)
    assert len(heard_files) == 2
    assert scanned(file, *pieces) == first
    assert scanned(file, *pieces, policy=Policy(min_confidence=1.0))[0].status is Status.UNSURE
    assert len(heard_files) == 2


def test_a_time_beyond_all_numbers_of_the_cache_ends_no_scan(make_audio, file, heard_files):
    """Regression: a file of the year 2400 ended every scan of its folder as "a bug in gtag"."""
    pieces = [make_audio(".mp3"), make_audio(".flac")]
    os.utime(pieces[0], ns=(0, 13_570_000_000 * 10**9))
    if pieces[0].stat().st_mtime < 13_000_000_000:
        pytest.skip("this file system knows no such time")
    first = scanned(file, *pieces)
    assert scanned(file, *pieces) == first
    assert len(heard_files) == 2 + 1  # only the other one is remembered by its name
    huge = Track(str(pieces[1]), identify(pieces[1]), Stamp(1, 1, 1, (1 << 64) - 1))
    with Cache(file, zoo.find("fast")) as cache:
        cache.note(huge, CachedPrediction(b"x", None, 1.0, "silent"), {}, None, Credits())


def test_a_renamed_or_retagged_file_is_not_listened_to_again(
    make_audio, file, heard_files, tmp_path
):
    piece = make_audio(".mp3")
    (first,) = scanned(file, piece)
    moved = shutil.move(piece, tmp_path / "moved.mp3")
    media = MediaFile(moved)
    media.title = "Another"
    media.save()
    (second,) = scanned(file, aged(Path(moved)))
    assert (second.genre, second.confidence) == (first.genre, first.confidence)
    assert len(heard_files) == 1


def test_what_was_written_is_remembered_too(make_audio, file, heard_files):
    piece = make_audio(".flac")
    (written,) = scanned(file, piece, write=True)
    assert written.status is Status.WRITTEN
    (again,) = scanned(file, piece, write=True)
    assert again.status is Status.UNCHANGED and again.old_genre == written.new_genre
    assert scanned(file, piece, write=True) == [again]
    assert len(heard_files) == 1


def test_other_sound_under_the_same_name_is_heard(make_audio, file, heard_files):
    piece = make_audio(".flac", style="metal", duration_s=10.0)
    (metal,) = scanned(file, piece)
    shutil.copyfile(make_audio(".flac", style="classical", duration_s=10.0), piece)
    (classical,) = scanned(file, aged(piece))
    assert len(heard_files) == 2 and classical.confidence != metal.confidence


def test_an_edit_that_keeps_size_and_time_is_seen(make_audio, file):
    piece = make_audio(".flac")
    scanned(file, piece)
    status = piece.stat()
    media = MediaFile(piece)
    media.genre = "Ska"  # fits into the padding
    media.save()
    assert piece.stat().st_size == status.st_size
    os.utime(piece, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert [o.status for o in scanned(file, piece)] == [Status.KEPT]


def test_a_write_goes_by_the_tags_of_now(make_audio, file):
    """Where a system tells of no change, a person's genre is not overwritten for all that."""
    piece = make_audio(".flac")
    (before,) = scanned(file, piece)
    assert before.status is Status.WOULD_WRITE
    media = MediaFile(piece)
    media.genre = "Ska"
    media.save()
    now = Stamp.of(aged(piece).stat())
    with sqlite3.connect(file) as database:
        database.execute("UPDATE files SET size = ?, mtime_ns = ?, ctime_ns = ?, inode = ?", now)
    assert scanned(file, piece)[0].status is Status.WOULD_WRITE  # by what is remembered
    assert scanned(file, piece, write=True)[0].status is Status.KEPT
    assert MediaFile(piece).genre == "Ska"


def test_another_model_hears_for_itself(make_audio, file, heard_files):
    piece = make_audio(".flac", duration_s=10.0)
    (fast,) = scanned(file, piece, model="fast")
    (cnn,) = scanned(file, piece, model="cnn")
    assert len(heard_files) == 2 and cnn.model != fast.model
    (alone,) = scanned(None, piece, model="cnn")
    assert cnn == alone


def test_a_model_that_looks_at_what_is_kept_need_not_listen(make_audio, file, heard_files):
    pieces = [make_audio(".flac", duration_s=10.0, style=s) for s in ("jazz", "metal")]
    scanned(file, *pieces, model="cnn")
    heard_files.clear()
    later = scanned(file, *pieces, model="fast")
    assert heard_files == []
    with Cache(file, zoo.find("fast")) as cache:  # and is remembered itself
        tracks = list(Library([str(p) for p in pieces]))
        assert all(cache.prediction_of(track) for track in tracks)
    assert later == scanned(None, *pieces, model="fast")


def test_views_that_are_kept_give_what_the_sound_gives(make_audio):
    model = zoo.load("cnn")
    features = TrackFeatures.from_sound(read_excerpts(make_audio(".flac", duration_s=10.0)))
    alone = model.predict(features)
    again = model.predict(TrackFeatures.from_kept(features.kept()))
    np.testing.assert_array_equal(again.probabilities, alone.probabilities)
    assert (again.styles, again.non_music_reason) == (alone.styles, alone.non_music_reason)


def test_silence_is_remembered_and_what_cannot_be_read_is_not(
    make_audio, file, heard_files, tmp_path
):
    import soundfile

    soundfile.write(tmp_path / "silent.wav", np.zeros(22050 * 3), 22050)
    broken = make_audio(".flac", name="broken.flac")
    broken.write_bytes(broken.read_bytes()[:200])
    for _ in range(2):
        results = scanned(file, aged(tmp_path / "silent.wav"), aged(broken))
        assert [o.status for o in results] == [Status.UNSURE, Status.UNREADABLE]
        assert results[0].message == "silent"
    assert heard_files.count("silent.wav") == 1 and heard_files.count("broken.flac") == 2


def test_a_cue_sheet_that_was_added_is_gone_by(make_audio, file, tmp_path):
    piece = make_audio(".flac", duration_s=12.0, name="album.flac")
    assert len(scanned(file, piece)) == 1
    (tmp_path / "album.cue").write_text(
        'FILE "album.flac" WAVE\nTRACK 01 AUDIO\nINDEX 01 00:00:00\n'
        "TRACK 02 AUDIO\nINDEX 01 00:06:00\n"
    )
    assert len(scanned(file, piece)) == 3


@pytest.mark.parametrize("jobs", [1, 2])
def test_known_and_new_files_come_in_order(make_audio, file, jobs):
    pieces = [make_audio(".opus", seed=i, name=f"{i}.opus") for i in range(6)]
    scanned(file, *pieces[1::2])
    results = scanned(file, *pieces, jobs=jobs)
    assert [o.path for o in results] == [str(p) for p in pieces]
    assert results == scanned(None, *pieces)


def after(statement):
    def spoil(path):
        with sqlite3.connect(path) as database:
            database.execute(statement)

    return spoil


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(b"no database"),
        lambda path: path.write_bytes(path.read_bytes()[:5000]),
        lambda path: path.write_bytes(path.read_bytes()[:4096] + os.urandom(20_000)),
        after("PRAGMA user_version = 99"),
        after("UPDATE predictions SET probabilities = x'00'"),
        after("UPDATE files SET tags = '[7]'"),
        after("UPDATE features SET arrays = 'x'"),
        after("DROP TABLE predictions"),
    ],
)
def test_a_damaged_cache_is_made_anew(make_audio, file, spoil):
    piece = make_audio(".flac")
    first = scanned(file, piece)
    spoil(file)
    for suffix in ("-wal", "-shm"):
        file.with_name(file.name + suffix).unlink(missing_ok=True)
    for model in ("fast", "trees"):
        assert scanned(file, piece, model=model) == scanned(None, piece, model=model)
    assert scanned(file, piece) == first


def test_a_cache_that_cannot_be_made_stops_no_scan(make_audio, tmp_path):
    piece = make_audio(".flac")
    (tmp_path / "occupied").write_text("no folder")
    assert scanned(tmp_path / "occupied" / "predictions.sqlite", piece) == scanned(None, piece)


def test_a_locked_cache_stops_no_scan(make_audio, file, monkeypatch):
    from tagger.pipeline import cache

    monkeypatch.setattr(cache, "_BUSY_S", 0.1)
    piece = make_audio(".flac")
    expected = scanned(file, piece)
    with sqlite3.connect(file) as other:
        other.execute("BEGIN EXCLUSIVE")
        moved = piece.rename(piece.with_name("moved.flac"))
        (result,) = scanned(file, moved)
        assert result.genre == expected[0].genre
        other.rollback()


def test_two_scans_share_it(make_audio, file):
    pieces = [make_audio(".flac", seed=i) for i in range(4)]
    results = {}

    def one(name):
        with Cache(file, zoo.find("fast")) as cache:
            tracks = Library([str(p) for p in pieces])
            results[name] = list(
                track_results(tracks, model="fast", policy=SURE, jobs=1, cache=cache)
            )

    classify.classifier("fast")
    threads = [threading.Thread(target=one, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results[0] == results[1]
    with Cache(file, zoo.find("fast")) as cache:
        assert cache.info()["files"] == 4


def test_what_is_gone_is_pruned(make_audio, file):
    pieces = [make_audio(".flac", seed=i) for i in range(3)]
    scanned(file, *pieces)
    pieces[0].unlink()
    with Cache(file, zoo.find("fast")) as cache:
        assert cache.prune(365) == 1
        held = cache.info()
    assert (held["files"], held["predictions"], held["features"]) == (2, 2, 2)
    with Cache(file) as cache:
        cache.clear()
    assert not file.exists()


def test_a_model_made_anew_is_another_one(tmp_path):
    shutil.copytree(bundled_folder() / "fast", tmp_path / "fast")
    card = zoo.find(str(tmp_path / "fast"))
    before = model_key(card)
    with open(tmp_path / "fast" / "card.toml", "a", encoding="utf-8") as text:
        text.write("# trained again\n")
    assert model_key(card) != before


def test_scan_remembers_unless_it_is_told_not_to(make_audio, tmp_path, gtag_command):
    folder = tmp_path / "music"
    for i in range(2):
        make_audio(".opus", seed=i, name=Path("music") / f"{i}.opus")
    reports = []
    for options in ((), (), ("--no-cache",)):
        report = tmp_path / f"{len(reports)}.csv"
        assert gtag_command("scan", folder, "--report", report, *options) == 0
        with open(report, encoding="utf-8", newline="") as stream:
            reports.append(list(csv.reader(stream)))
    assert reports[0] == reports[1] == reports[2]
    assert default_cache_path().is_file()
    assert gtag_command("cache", "info") == 0
    assert gtag_command("cache", "prune") == 0
    assert gtag_command("cache", "clear") == 0
    assert not default_cache_path().exists()
    assert gtag_command("scan", folder, "--no-cache") == 0
    assert not default_cache_path().exists()


@pytest.fixture
def gtag_command(monkeypatch, tmp_path):
    from tagger.cli import main

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["gtag", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code

    return run
