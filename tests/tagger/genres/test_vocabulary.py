"""The vocabulary: one name means one thing, and every spelling leads to it."""

from __future__ import annotations

import tomllib
import unicodedata
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagger.genres import vocabulary as genres
from tagger.genres.placeholders import Placeholders
from tagger.genres.vocabulary import canonical, genre_of, parent_of, same_name, vocabulary

FILE = Path(genres.__file__).with_name("vocabulary.toml")


EVERY = [name for genre, styles in vocabulary().items() for name in (genre, *styles)]


def test_one_name_means_one_thing():
    """No two lines of the file have names that are told apart by case or punctuation alone."""
    meanings = defaultdict(list)
    for genre, entry in tomllib.loads(FILE.read_text(encoding="utf-8")).items():
        for known, aliases in {genre: entry["aliases"], **entry.get("styles", {})}.items():
            for key in {genres._key(name) for name in (known, *aliases)}:
                meanings[key].append(known)
    assert {key: known for key, known in meanings.items() if len(known) > 1} == {}
    assert all(canonical(name) == name for name in EVERY)


def test_a_genre_has_its_fields_and_no_others():
    for genre, entry in tomllib.loads(FILE.read_text(encoding="utf-8")).items():
        assert {"aliases"} <= set(entry) <= {"aliases", "parent", "styles"}, genre
        assert entry.get("parent", genre) in vocabulary()


def test_every_style_belongs_to_its_genre():
    for genre, styles in vocabulary().items():
        assert genre_of(genre) == genre
        assert all(genre_of(style) == parent_of(style) == genre for style in styles)


@given(st.sampled_from(EVERY))
def test_every_name_has_an_end_above_it_which_is_a_genre(name):
    """No circle: each step leads to another genre, and the last one has none above it."""
    path = [name]
    while (above := parent_of(path[-1])) is not None:
        assert above in vocabulary() and above not in path
        path.append(above)
    assert genre_of(path[-1]) == path[-1]


@pytest.mark.parametrize(
    ("name", "parent"),
    [("Punk Rock", "Rock"), ("metal", "Rock"), ("Indie", "Rock"), ("Soul", "R&B"), ("Funk", "R&B")],
)
def test_genres_below_genres(name, parent):
    assert parent_of(name) == parent
    assert genre_of(name) == canonical(name)
    assert genre_of(parent) == parent and parent_of(parent) is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("HIP HOP", "Hip-Hop"),
        ("r&b", "R&B"),
        ("Rhythm and Blues", "R&B"),
        ("drum & bass", "Drum and Bass"),
        ("Jungle", "Drum and Bass"),
        ("new-age", "New Age"),
        ("Bluegrass", "Bluegrass"),
        ("be-bop", "Bebop"),
        ("Soul/R&B", "R&B"),
        ("Soul Music", "Soul"),
        ("punk rock", "Punk"),
        ("Hardcore", "Hardcore"),
        ("Comedy/Spoken", "Comedy"),
        ("Spoken Word", "Spoken"),
        ("Zydeco", None),
        ("", None),
    ],
)
def test_spellings(name, expected):
    assert canonical(name) == expected


@given(st.sampled_from(EVERY), st.randoms())
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
