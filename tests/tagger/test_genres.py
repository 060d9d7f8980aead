"""The vocabulary: one name means one thing, and every spelling leads to it."""

from __future__ import annotations

import tomllib
import unicodedata
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagger import genres
from tagger.genres import canonical, genre_of, same_name, vocabulary
from tagger.placeholders import Placeholders

FILE = Path(genres.__file__).with_name("vocabulary.toml")


def test_one_name_means_one_thing():
    names = []
    for genre, entry in tomllib.loads(FILE.read_text(encoding="utf-8")).items():
        names += [genre, *entry["aliases"]]
        for style, aliases in entry.get("styles", {}).items():
            names += [style, *aliases]
    counts = Counter(genres._key(name) for name in names)
    spellings = {key for key, n in counts.items() if n > 1}
    meanings = {key: {canonical(n) for n in names if genres._key(n) == key} for key in spellings}
    assert all(len(meaning) == 1 for meaning in meanings.values()), meanings


def test_every_style_belongs_to_its_genre():
    for genre, styles in vocabulary().items():
        assert genre_of(genre) == genre
        assert all(genre_of(style) == genre and canonical(style) == style for style in styles)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("HIP HOP", "Hip-Hop"),
        ("r&b", "R&B"),
        ("Rhythm and Blues", "R&B"),
        ("drum & bass", "Drum and Bass"),
        ("Jungle", "Drum and Bass"),
        ("new-age", "New Age"),
        ("Bluegrass", None),
        ("", None),
    ],
)
def test_spellings(name, expected):
    assert canonical(name) == expected


@given(st.sampled_from([*vocabulary(), *vocabulary()["Electronic"]]), st.randoms())
def test_case_and_punctuation_do_not_count(name, random):
    mangled = "".join(random.choice((c.upper(), c.lower())) for c in name).replace("-", " ")
    assert canonical(f" {mangled}. ") == name


def test_accents_may_be_composed_or_not():
    """Regression: macOS writes names decomposed."""
    for name in ("Électronique", "Okänd", "Ménage"):
        decomposed = unicodedata.normalize("NFD", name)
        assert decomposed != name
        assert same_name(decomposed) == same_name(name)
        assert Placeholders([name]).without((decomposed, name)) == ()
    assert Placeholders().without((unicodedata.normalize("NFD", "Okänd"),)) == ()
