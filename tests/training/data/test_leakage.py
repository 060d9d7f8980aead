"""Tracks that a model knew before, by whatever name they come back."""

from __future__ import annotations

import os

import pytest

from tagger.models import zoo
from tagger.models.card import Card
from tagger.training.data.datasets import as_in_card
from tagger.training.data.leakage import seen

ODD = os.fsdecode(b"blues/n\xff.mp3")


@pytest.fixture
def card(tmp_path) -> Card:
    learned = {
        "mine": frozenset(["Delta/One/01.mp3", "Delta/One/Walk.mp3", "A/Intro.mp3", "B/Intro.mp3"]),
        "set": frozenset(["blues.00000", "jazz/jazz.00001.wav", as_in_card(ODD)]),
    }
    return Card(tmp_path, "mine", 1, "linear", ("A", "B"), 1.0, 0.5, (), (), learned, (), {})


@pytest.mark.parametrize(
    ("track", "is_known"),
    [
        ("Delta/One/Walk.mp3", True),
        ("sorted/Blues/Walk.mp3", True),  # Regression: a folder that was sorted anew
        ("blues.00000", True),
        ("blues/blues.00000.wav", True),
        ("jazz.00001", True),  # Regression: learned from sound, measured on an archive
        (ODD, True),  # Regression: a name that is no text
        ("elsewhere/01.mp3", False),
        ("elsewhere/Intro.mp3", False),
        ("A/Intro.mp3", True),
        ("blues.00001", False),
        ("blues", False),
    ],
)
def test_seen(card, track, is_known):
    assert seen(card, [track]) == ((track,) if is_known else ())


def test_bundled_models_know_what_they_learned_from():
    card = zoo.find("ensemble")
    assert seen(card, ["x/blues.00001.flac", "x/never.flac"]) == ("x/blues.00001.flac",)
