"""Protocols keep apart what they say they keep apart."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from tagger.system.errors import DataError
from tagger.training.data.datasets import Example
from tagger.training.measure.splits import (
    SEGMENT_COLUMNS,
    artist,
    fault_filtered,
    segment_random,
    set_aside,
    track_random,
    units,
)

example = st.builds(
    Example,
    track=st.uuids().map(str),
    genre=st.sampled_from(["Blues", "Jazz"]),
    source=st.just("reference"),
    artist=st.none(),
    split=st.sampled_from(["train", "valid", ""]),
    fold=st.sampled_from(["1", "2", "3", ""]),
)
played = st.builds(
    Example,
    track=st.uuids().map(str),
    genre=st.sampled_from(["Blues", "Jazz"]),
    source=st.just("reference"),
    artist=st.sampled_from([None, *"abcdefg"]),
)
other = st.builds(
    Example, track=st.uuids().map(str), genre=st.just("Jazz"), source=st.just("other")
)


def both_sides(splits, examples, key):
    """Whatever stands on both sides of a split, by `key`."""
    return [
        {key(examples[i]) for i in s.train if examples[i].source == "reference"}
        & {key(examples[i]) for i in s.test}
        for s in splits
    ]


@given(st.lists(example, min_size=1), st.lists(other))
def test_own_folds_are_measured_once_and_never_learned_from_then(reference, others):
    examples = reference + others
    if len({e.fold for e in reference if e.fold}) < 2:
        with pytest.raises(DataError):
            artist(examples)
        return
    elsewhere = {o.genre for o in others}
    learned_by_fold = {
        f: elsewhere | {e.genre for e in examples if e.fold not in ("", f)} for f in "123"
    }
    measurable = [
        i
        for i, e in enumerate(examples)
        if e.fold and e.genre in learned_by_fold[e.fold] and len(learned_by_fold[e.fold]) > 1
    ]
    if not measurable:
        with pytest.raises(DataError):
            artist(examples)
        return
    splits = artist(examples)
    assert sorted(i for s in splits for i in s.test) == measurable
    for split in splits:
        tested = {examples[i].fold for i in split.test}
        learned = {examples[i].fold for i in split.train if examples[i].source == "reference"}
        assert len(tested) == 1 and not tested & learned and "" not in learned
        assert set(range(len(reference), len(examples))) <= set(split.train)


@settings(max_examples=50)
@given(st.lists(played, min_size=1, max_size=30), st.lists(other, max_size=5), st.integers(0, 3))
def test_drawn_folds_keep_artists_apart(reference, others, seed):
    examples = reference + others
    try:
        splits = artist(examples, seed)
    except DataError:  # too few artists, or each plays a genre of their own
        reject()
    assert splits == artist(examples, seed)
    assert not any(both_sides(splits, examples, lambda e: e.artist))
    tested = [i for s in splits for i in s.test]
    assert len(tested) == len(set(tested))
    assert all(examples[i].artist for i in tested)
    for split in splits:
        assert {examples[i].genre for i in split.test} <= {examples[i].genre for i in split.train}


def test_drawn_folds_measure_every_genre_that_several_artists_play():
    examples = [
        Example(f"{genre}{i}", genre, "reference", artist=f"{genre} {i // 4}")
        for genre in ("Blues", "Jazz", "Polka")
        for i in range(24)
    ]
    splits = artist(examples)
    assert len(splits) == 3
    assert sorted(i for s in splits for i in s.test) == list(range(72))


def test_a_genre_of_a_single_artist_is_learned_but_not_measured():
    examples = [
        Example(
            f"{genre}{i}", genre, "reference", artist="one" if genre == "Polka" else f"{i // 2}"
        )
        for genre in ("Blues", "Jazz", "Polka")
        for i in range(12)
    ]
    splits = artist(examples)
    assert "Polka" not in {examples[i].genre for s in splits for i in s.test}
    assert any(examples[i].genre == "Polka" for s in splits for i in s.train)


def test_without_artists_there_is_no_artist_protocol():
    examples = [Example(str(i), "Jazz", "reference") for i in range(9)]
    with pytest.raises(DataError, match="the artist of each track"):
        artist(examples)


@given(st.lists(example, min_size=1), st.lists(other))
def test_the_fault_filtered_protocol_measures_on_valid_alone(reference, others):
    examples = reference + others
    learnable = [i for i, e in enumerate(examples) if e.split == "train" or e.source == "other"]
    learned = {examples[i].genre for i in learnable}
    test = [i for i, e in enumerate(examples) if e.split == "valid" and e.genre in learned]
    if not test or len(learned) < 2:
        with pytest.raises(DataError):
            fault_filtered(examples)
        return
    [split] = fault_filtered(examples)
    assert list(split.test) == test
    assert list(split.train) == learnable


@pytest.fixture
def clips() -> list[Example]:
    mel = np.zeros((128, 647), dtype=np.uint8)
    reference = [
        Example(f"{g}{i}", g, "reference", artist=f"{g} {i // 2}", mel=mel)
        for g in ("Blues", "Jazz")
        for i in range(12)
    ]
    return [*reference, Example("x", "Jazz", "other", mel=mel)]


def test_what_a_set_keeps_out_of_its_train_part_is_not_learned_from():
    """Regression: rows of a set's test part, and faulty ones, were learned from."""
    reference = [
        Example(f"{genre} {part}", genre, "reference", split=part)
        for part in ("train", "valid", "test", "")
        for genre in ("Blues", "Jazz")
    ]
    [split] = fault_filtered(reference)
    assert (split.train, split.test) == ((0, 1), (2, 3))


def test_a_later_sets_own_parts_are_never_measured():
    """Regression: folds of the second set were measured, and the card named the first."""
    genres = ["Blues", "Jazz"] * 3
    first = [Example(f"f{i}", genres[i], "first", artist=f"a{i}") for i in range(6)]
    second = [
        Example(f"s{i}", "Jazz", "second", artist=f"b{i}", split=part, fold=str(1 + i % 3))
        for i, part in enumerate(["train", "valid", "train", "train"])
    ]
    examples = [*first, *second]
    for split in artist(examples):
        assert {examples[i].source for i in split.test} == {"first"}
        assert {6, 7, 8, 9} <= set(split.train)
    with pytest.raises(DataError, match="fault_filtered_split"):
        fault_filtered(examples)


def test_random_tracks_mix_artists_and_keep_tracks_apart(clips):
    splits = track_random(clips)
    assert sorted(i for s in splits for i in s.test) == list(range(24))
    assert not any(both_sides(splits, clips, lambda e: e.track))
    assert any(both_sides(splits, clips, lambda e: e.artist))
    assert all(24 in s.train for s in splits)


def test_segments_of_a_recording_are_never_on_both_sides():
    """Regression: rows of a table of segments counted as recordings of their own."""
    segments = [
        Example(f"{genre}.{i:05d}.{k}", genre, "table", recording=f"{genre}.{i:05d}")
        for genre in ("Blues", "Jazz")
        for i in range(9)
        for k in range(10)
    ]
    splits = track_random(segments)
    assert sorted(i for s in splits for i in s.test) == list(range(180))
    for one, other in [(s.train, s.test) for s in splits] + set_aside(segments, seed=0):
        assert not {segments[i].recording for i in one} & {segments[i].recording for i in other}


@pytest.mark.parametrize("protocol", [artist, track_random, fault_filtered, segment_random])
def test_a_genre_that_was_not_learned_is_not_measured(protocol):
    """Regression: under track-random a single track's genre spoiled the calibration of all."""
    examples = [
        Example(f"{genre}{i}", genre, "s", artist=f"{genre}{i}", split=("train", "valid")[i % 2])
        for genre in ("Blues", "Jazz")
        for i in range(6)
    ]
    lone = [Example("lone", "Polka", "s", artist="lone", split="valid")]
    for split in protocol(examples + lone):
        assert 12 not in split.test or 12 in split.train
    with pytest.raises(DataError):
        protocol(lone * 3)


def test_a_fold_may_be_called_anything():
    """Regression: a fold's name became the name of a folder, wherever that was."""
    evil = "x/../../../\x1b[31m"
    examples = [
        Example(f"{genre}{i}", genre, "s", fold=("1", evil)[i % 2])
        for genre in ("Blues", "Jazz")
        for i in range(6)
    ]
    assert [split.name for split in artist(examples)] == ["artist-1", "artist-2"]


def test_random_segments_mix_tracks(clips):
    segments = units("segment-random", clips)
    assert len(segments) == 250 and len({s.track for s in segments}) == 250
    assert {s.mel.shape for s in segments if s.mel is not None} == {(128, SEGMENT_COLUMNS)}
    assert units("artist", clips) == clips
    [split] = segment_random(segments)
    assert len(split.test) == 48 and len(split.train) == 202
    assert not set(split.test) & set(split.train)
    [mixed] = both_sides([split], segments, lambda e: e.track.partition(" at ")[0])
    assert len(mixed) > 20
    assert segment_random(segments, 1) != [split]


def test_a_table_has_no_segments():
    with pytest.raises(DataError, match="a table of features has none"):
        units("segment-random", [Example("a", "Jazz", "table")])


def test_what_is_set_aside_to_choose_by_is_of_other_artists(clips):
    for learn, aside in set_aside(clips, seed=0):
        assert sorted([*learn, *aside]) == list(range(25))
        artists = [{clips[i].artist for i in part} for part in (learn, aside)]
        assert not artists[0] & artists[1]
        assert 24 in learn
