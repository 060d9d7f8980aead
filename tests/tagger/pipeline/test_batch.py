import os
import signal
import wave
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from mediafile import MediaFile

from tagger.containers.write import check_change, write_change
from tagger.deciding.decide import Policy, Status
from tagger.library.walk import Library
from tagger.models import zoo
from tagger.pipeline.batch import track_results
from tagger.system.errors import ModelError, RefusedError, UnreadableError, WriteFailedError
from tagger.system.interrupt import Interrupts
from tests.tagger.models.made import model_saying
from tests.tagger.specimens import ENCODED

SURE_OF_ALL = Policy(min_confidence=0.0)


def scanned(*paths, policy=SURE_OF_ALL, jobs=1, **options):
    tracks = Library([str(path) for path in paths])
    return list(track_results(tracks, model=zoo.DEFAULT, policy=policy, jobs=jobs, **options))


def written_to_tags(track, change):
    write_change(track.path, track.format, change)


@pytest.mark.parametrize("suffix", ENCODED)
def test_hears_writes_and_then_leaves_alone(make_audio, suffix):
    piece = make_audio(suffix, duration_s=5.0)
    before = piece.read_bytes()

    (would,) = scanned(piece)
    assert would.status is Status.WOULD_WRITE
    assert would.old_genre == "" and would.new_genre == would.genre
    assert would.duration_s == pytest.approx(5.0, abs=0.2)
    assert 0 <= would.runner_up_confidence <= would.confidence <= 1
    assert piece.read_bytes() == before

    (written,) = scanned(piece, write=written_to_tags)
    assert written == replace(would, status=Status.WRITTEN)
    after = piece.read_bytes()
    assert after != before
    if suffix not in (".oga", ".tta"):  # which MediaFile does not know
        assert MediaFile(piece).genres == [written.genre]

    (again,) = scanned(piece, write=written_to_tags)
    assert again.status is Status.UNCHANGED
    assert again.old_genre == again.new_genre == written.genre
    assert piece.read_bytes() == after


def test_many_processes_and_one_say_the_same_in_the_same_order(make_audio, tmp_path):
    for i, style in enumerate(("disco", "jazz", "metal", "classical", "reggae")):
        make_audio(".wav", duration_s=4.0, style=style, name=f"{i}.wav")
    (tmp_path / "broken.mp3").write_bytes(b"ID3 or so")
    one = scanned(tmp_path)
    assert len({result.genre for result in one}) > 1 or len({o.confidence for o in one}) > 1
    for result, other in zip(one, scanned(tmp_path, jobs=2), strict=True):
        assert replace(result, confidence=None, runner_up_confidence=None) == replace(
            other, confidence=None, runner_up_confidence=None
        )
        assert result.confidence == pytest.approx(other.confidence, abs=1e-6)


@pytest.mark.parametrize(
    ("existing", "status", "genres"),
    [
        ("keep", Status.KEPT, ["Polka"]),
        ("replace", Status.WRITTEN, None),
        ("append", Status.WRITTEN, ["Polka"]),
    ],
)
def test_a_persons_genre(make_audio, existing, status, genres):
    piece = make_audio(".flac")
    media = MediaFile(piece)
    media.genres = ["Polka"]
    media.save()
    (result,) = scanned(piece, policy=Policy(0.0, existing), write=written_to_tags)
    assert result.status is status
    assert result.old_genre == "Polka"
    expected = {
        "keep": ["Polka"],
        "replace": [result.genre],
        "append": ["Polka", result.genre],
    }[existing]
    assert MediaFile(piece).genres == expected
    assert result.new_genre == "; ".join(expected)


def test_what_is_not_sure_enough_stays_untouched(make_audio):
    piece = make_audio(".mp3")
    before = piece.read_bytes()
    (result,) = scanned(piece, policy=Policy(1.0), write=written_to_tags)
    assert result.status is Status.UNSURE
    assert result.genre and result.runner_up and result.genre in result.message
    assert piece.read_bytes() == before


def silent_wav(path, seconds):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(22050)
        file.writeframes(np.zeros(int(22050 * seconds), np.int16).tobytes())
    return path


@pytest.mark.parametrize("seconds", [0.5, 5.0])
def test_silence_is_never_written(tmp_path, seconds):
    piece = silent_wav(tmp_path / "silence.wav", seconds)
    before = piece.read_bytes()
    (result,) = scanned(piece, write=written_to_tags)
    assert result.status is Status.UNSURE
    assert result.genre == "" and result.confidence is None and result.message
    assert piece.read_bytes() == before


@pytest.mark.parametrize(
    "content", [b"", b"no music at all" * 100, b"\xff\xfb\x90\x64" + bytes(20)]
)
def test_what_is_no_music_is_a_row_and_no_more(tmp_path, content):
    (tmp_path / "a.mp3").write_bytes(content)
    (result,) = scanned(tmp_path, write=written_to_tags)
    assert result.status is Status.UNREADABLE
    assert result.message and str(tmp_path) not in result.message


def test_a_track_past_the_deadline_is_a_row(make_audio, tmp_path):
    for i in range(3):
        make_audio(".mp3", name=f"{i}.mp3")
    results = scanned(tmp_path, jobs=2, deadline_s=0.001)
    assert {result.status for result in results} == {Status.UNREADABLE}
    assert {result.message for result in results} == {"decoding timed out after 0.001 s"}


def test_a_single_track_can_be_kept_apart(make_audio, tmp_path):
    """Only a process of its own can be ended at the deadline."""
    make_audio(".mp3", name="0.mp3")
    (result,) = scanned(tmp_path, jobs=1, apart=True, deadline_s=0.001)
    assert result.message == "decoding timed out after 0.001 s"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (RefusedError("hard-linked", hint="--in-place"), Status.REFUSED),
        (WriteFailedError("disk full"), Status.FAILED),
        (UnreadableError("tags are torn"), Status.UNREADABLE),
        (ZeroDivisionError("a mistake"), Status.FAILED),
    ],
)
def test_a_write_that_does_not_happen_is_a_row(make_audio, tmp_path, error, status):
    make_audio(".wav", name="1.wav")
    make_audio(".wav", name="2.wav")

    def write(track, change):
        if track.path.endswith("1.wav"):
            raise error
        written_to_tags(track, change)

    first, second = scanned(tmp_path, write=write)
    assert (first.status, second.status) == (status, Status.WRITTEN)
    assert first.genre and first.new_genre == ""
    assert str(error.args[0]) in first.message
    if status is Status.REFUSED:
        assert first.message == "hard-linked (--in-place)"


def test_a_fragmented_mp4_is_refused_by_a_dry_run_too(make_audio):
    piece = make_audio(".m4a", options={"movflags": "frag_keyframe+empty_moov"})
    before = piece.read_bytes()

    def rehearse(track, change):
        check_change(track.path, track.format, change)

    (dry,) = scanned(piece, rehearse=rehearse)
    (real,) = scanned(piece, write=written_to_tags)
    assert dry == real
    assert dry.status is Status.REFUSED and "fragmented" in dry.message
    assert piece.read_bytes() == before


@pytest.mark.parametrize("jobs", [1, 2])
def test_any_file_name(make_audio, tmp_path, jobs):
    names = [b"-rf.wav", b"caf\xe9.wav", b"red\x1b[31m.wav", "日本\u202e.wav".encode(), b"a\nb.wav"]
    for name in names:
        make_audio(".wav", name=os.fsdecode(name))
    results = scanned(tmp_path, jobs=jobs, write=written_to_tags)
    assert {os.fsencode(Path(result.path).name) for result in results} == set(names)
    assert {result.status for result in results} == {Status.WRITTEN}


def test_an_interruption_lets_the_file_at_hand_be_finished_and_told(make_audio, tmp_path):
    for i in range(4):
        make_audio(".wav", name=f"{i}.wav")

    def write(track, change):
        if track.path.endswith("1.wav"):
            signal.raise_signal(signal.SIGINT)
        written_to_tags(track, change)

    told = []
    with pytest.raises(KeyboardInterrupt), Interrupts() as interrupts:
        for result in track_results(
            Library([str(tmp_path)]),
            model=zoo.DEFAULT,
            policy=SURE_OF_ALL,
            write=write,
            jobs=1,
            interrupts=interrupts,
        ):
            told.append(result)
    assert [Path(result.path).name for result in told] == ["0.wav", "1.wav"]
    genres = [MediaFile(tmp_path / f"{i}.wav").genre for i in range(4)]
    assert genres[0] and genres[1] and not genres[2] and not genres[3]


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_model_that_workers_cannot_load_ends_the_scan(make_audio, tmp_path, jobs):
    """Regression: each file seemed to be unreadable."""
    for i in range(3):
        make_audio(".flac", name=f"music/{i}.flac")
    model = model_saying(tmp_path / "model", {"Jazz": 0.9, "Rock": 0.1})
    (weights,) = model.glob("*.npz")
    weights.unlink()
    tracks = Library([str(tmp_path / "music")])
    with pytest.raises(ModelError, match="cannot be read"):
        list(track_results(tracks, model=str(model), policy=SURE_OF_ALL, jobs=jobs))
