"""Protocols keep artists apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagger.errors import DataError
from training.datasets import Example
from training.splits import artist, fault_filtered

example = st.builds(
    Example,
    track=st.uuids().map(str),
    genre=st.sampled_from(["Blues", "Jazz"]),
    source=st.just("reference"),
    artist=st.none(),
    split=st.sampled_from(["train", "valid", ""]),
    fold=st.sampled_from(["1", "2", "3", ""]),
)
other = st.builds(
    Example, track=st.uuids().map(str), genre=st.just("Jazz"), source=st.just("other")
)


@given(st.lists(example, min_size=1), st.lists(other))
def test_every_folded_track_is_measured_once_and_never_learned_from_then(reference, others):
    examples = reference + others
    if len({e.fold for e in reference if e.fold}) < 2:
        with pytest.raises(DataError):
            artist(examples)
        return
    splits = artist(examples)
    measured = sorted(i for s in splits for i in s.test)
    assert measured == [i for i, e in enumerate(examples) if e.fold]
    for split in splits:
        tested = {examples[i].fold for i in split.test}
        learned = {examples[i].fold for i in split.train if examples[i].source == "reference"}
        assert len(tested) == 1 and not tested & learned and "" not in learned
        assert set(range(len(reference), len(examples))) <= set(split.train)


@given(st.lists(example, min_size=1), st.lists(other))
def test_the_fault_filtered_protocol_measures_on_valid_alone(reference, others):
    examples = reference + others
    test = [i for i, e in enumerate(examples) if e.split == "valid"]
    if not test or len(test) == len(examples):
        with pytest.raises(DataError):
            fault_filtered(examples)
        return
    [split] = fault_filtered(examples)
    assert list(split.test) == test
    assert not set(split.test) & set(split.train)
