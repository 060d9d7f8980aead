"""Recordings are known again by their sound."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest

from tagger.models import zoo
from tagger.models.card import read_card
from tagger.sound import demo
from tagger.sound.audio import read_excerpts
from tagger.sound.spectrogram import N_MELS, log_mel
from tagger.system.errors import ModelError
from tagger.training.data.datasets import Example
from tagger.training.data.duplicates import without_duplicates
from tagger.training.data.fingerprints import (
    N_BYTES,
    PARTS,
    Parts,
    fingerprint,
    is_among,
    packed,
    packed_parts,
    parts,
    same_recordings,
    unpacked,
)
from tagger.training.data.leakage import seen
from tagger.training.measure.evaluate import evaluate_model
from tagger.training.publish import learned_from, write_model
from tests.training.recorder import Recorder

STYLES = tuple(demo.STYLES)


def mark_of(path):
    return fingerprint(log_mel(read_excerpts(path).excerpts).excerpts)


@pytest.fixture
def learned(make_audio):
    """Fingerprints of pieces of 20 s, in order of `STYLES`."""
    return np.stack([mark_of(make_audio(duration_s=20.0, style=style)) for style in STYLES])


def card_of(folder, names, marks):
    card = {"name": "mine", "version": 1, "kind": "linear", "labels": ["A", "B"]}
    tracks = [SimpleNamespace(track=name, source="mine") for name in names]
    return write_model(
        folder, card | {"learned_from": learned_from(tracks, marks)}, {"x.npz": b"x"}
    )


@pytest.mark.parametrize(
    ("suffix", "encoding"),
    [(".mp3", {"bit_rate": 64_000}), (".opus", {"bit_rate": 32_000}), (".m4a", {})],
)
def test_renamed_and_encoded_copies_are_known(learned, make_audio, tmp_path, suffix, encoding):
    """Regression: of renamed copies a card knew nothing, and memory was called a skill."""
    card = card_of(tmp_path / "model", [f"{style}.flac" for style in STYLES], learned)
    copy = make_audio(suffix, duration_s=20.0, style="jazz", name=f"new{suffix}", **encoding)
    other = make_audio(duration_s=20.0, style="jazz", seed=9, name="jazz.flac")
    marks = [mark_of(copy), mark_of(other)]
    assert seen(card, ["new", "jazz.flac"], marks) == ("new",), "sound counts, not the name"
    assert seen(card, ["new", "jazz.flac"]) == ("jazz.flac",), "where it is unknown, the name"


def test_a_set_without_a_fingerprint_for_each_track_is_known_by_name(learned, tmp_path):
    card = card_of(tmp_path / "model", ["a", "b"], [learned[0], None])
    assert "fingerprints" not in card.data["learned_from"][0]
    assert seen(card, ["x", "b"], [learned[0], learned[1]]) == ("b",)


def test_what_stands_still_is_nothing_else(tmp_path):
    still = [np.full((N_MELS, 300), level, dtype=np.float32) for level in (0.0, -30.0)]
    marks = [fingerprint([db]) for db in still]
    assert not np.any(marks)
    assert not is_among(marks[0], np.stack(marks))
    card = card_of(tmp_path / "model", ["tone", "hum"], marks)
    assert seen(card, ["beep", "hum"], marks) == ("hum",)


def test_excerpts_count_as_one_piece(learned, make_audio):
    path = make_audio(duration_s=20.0, style="jazz", name="j.flac")
    (db,) = log_mel(read_excerpts(path).excerpts).excerpts
    parts = np.split(db, (100, 250), axis=1)
    np.testing.assert_array_equal(fingerprint(parts), learned[STYLES.index("jazz")])


def test_cards_keep_them_as_text(learned):
    np.testing.assert_array_equal(unpacked(packed(learned)), learned)
    assert unpacked("").shape == (0, N_BYTES)


@pytest.mark.parametrize("text", ["x", "?" * 24, "AAAA", "\u0141" * 8])
def test_damaged_fingerprints_are_an_error_with_a_name(learned, tmp_path, text):
    card = card_of(tmp_path / "model", ["a"], learned[:1])
    file = card.folder / "card.toml"
    file.write_text(file.read_text().replace(packed(learned[:1]), text), encoding="utf-8")
    with pytest.raises(ModelError, match=r"fingerprints .* damaged"):
        seen(read_card(card.folder), ["a"])


@pytest.mark.shared_data
def test_a_bundled_model_knows_renamed_tracks(shared_data, tmp_path):
    """Regression: renamed copies gave 93.9 % "artist", with seen_in_training: 0."""
    for genre in ("blues", "jazz"):
        (tmp_path / genre).mkdir()
        for i, file in enumerate(sorted((shared_data / "gtzan/audio" / genre).iterdir())[:3]):
            shutil.copy(file, tmp_path / genre / f"take {i}{file.suffix}")
    evaluation = evaluate_model(zoo.load("fast"), tmp_path)
    assert len(evaluation.seen_in_training) == 6


def excerpt_of(piece: Path, to: Path, start_s: float, codec: str) -> Path:
    """Twenty seconds of a piece, by another codec, rate and level."""
    rate = 48_000
    with av.open(str(piece)) as source, av.open(str(to), "w") as out:
        stream = out.add_stream(codec, rate=rate, layout="mono")
        stream.bit_rate = 96_000
        resampler = av.AudioResampler("fltp", "mono", rate)
        frames = [
            part.to_ndarray()[0]
            for frame in [*source.decode(audio=0), None]
            for part in resampler.resample(frame)
        ]
        samples = 0.5 * np.concatenate(frames)[int(start_s * rate) : int((start_s + 20) * rate)]
        fit = av.AudioResampler(stream.format.name, "mono", rate)
        for start in range(0, len(samples), 1024):
            frame = av.AudioFrame.from_ndarray(samples[None, start : start + 1024], "fltp", "mono")
            frame.sample_rate, frame.pts = rate, start
            for part in fit.resample(frame):
                out.mux(stream.encode(part))
        out.mux(stream.encode(None))
    return to


@pytest.mark.shared_data
def test_excerpts_of_what_was_learned_from_are_known(shared_data, tmp_path):
    """Regression: of six cuts of 20 s, encoded anew, none was recognised."""
    clips = [
        clip
        for genre in ("blues", "disco", "rock")
        for clip in sorted((shared_data / "gtzan/audio" / genre).iterdir())[:4]
    ]
    kinds = [(".mp3", "libmp3lame"), (".opus", "libopus"), (".m4a", "aac")]
    cuts = [
        excerpt_of(clip, tmp_path / f"{i}{kinds[i % 3][0]}", 2.31 + i, kinds[i % 3][1])
        for i, clip in enumerate(clips[:6])
    ]

    def heard(path: Path) -> Parts:
        return parts(log_mel(read_excerpts(path).excerpts).excerpts)

    learned, asked = [heard(clip) for clip in clips], [heard(cut) for cut in cuts]
    assert same_recordings([*learned, *asked]) == [(i, len(learned) + i) for i in range(6)]

    card = card_of(tmp_path / "model", ["a"], np.zeros((1, N_BYTES), np.uint8))
    (card.folder / PARTS).write_bytes(packed_parts(learned[:3]))
    names = [cut.name for cut in cuts]
    marks = [fingerprint(log_mel(read_excerpts(cut).excerpts).excerpts) for cut in cuts]
    assert seen(card, names, marks, asked) == tuple(names[:3])
    (card.folder / PARTS).write_bytes(b"PK")
    with pytest.raises(ModelError, match="fingerprints beside it are damaged"):
        seen(card, names, marks, asked)


def test_tones_and_silence_have_no_parts_in_common():
    rng = np.random.default_rng(0)
    still = np.full((N_MELS, 400), -30.0)
    silent = np.full((N_MELS, 400), -80.0)
    noise = [rng.normal(-30, 6, (N_MELS, 400)) for _ in range(2)]
    short = still[:, :20]
    assert same_recordings([parts([x]) for x in (still, silent, *noise, short, silent)]) == []
    assert same_recordings([[], []]) == []


def test_a_recording_that_is_there_twice_is_learned_once_and_in_two_genres_never():
    """Regression: copies stood on both sides of a split, and one file taught two genres."""
    rng = np.random.default_rng(0)

    def example(track: str, mel: np.ndarray, genre: str) -> Example:
        return Example(track, genre, "set", mel=mel)

    # Sound that changes slowly, as music does.
    tracks = [
        np.clip(np.repeat(rng.normal(150, 60, (N_MELS, 110)), 6, axis=1), 0, 255).astype(np.uint8)
        for _ in range(4)
    ]
    recorder = Recorder()
    kept = without_duplicates(
        [
            *(example(f"{i}", mel, "AB"[i % 2]) for i, mel in enumerate(tracks)),
            example("cut", tracks[0][:, 100:500], "A"),
            example("other", tracks[1], "C"),
        ],
        recorder,
    )
    assert [e.track for e in kept] == ["0", "2", "3"]
    why = "the same recording has different genres (1: B, other: C)"
    assert recorder.lines == [
        "left out: cut: the same recording as 0",
        f"left out: 1: {why}",
        f"left out: other: {why}",
    ]
