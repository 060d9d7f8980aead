"""Recordings are known again by their sound."""

from __future__ import annotations

import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from tagger.models import zoo
from tagger.models.card import read_card
from tagger.sound import demo
from tagger.sound.audio import read_excerpts
from tagger.sound.spectrogram import N_MELS, log_mel
from tagger.system.errors import ModelError
from tagger.training.data.fingerprints import N_BYTES, fingerprint, is_among, packed, unpacked
from tagger.training.data.leakage import seen
from tagger.training.measure.evaluate import evaluate_model
from tagger.training.publish import learned_from, write_model

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
