"""What the research sets say about genres, and what they leave open."""

from __future__ import annotations

import csv

import pytest

from tagger.genres.vocabulary import genre_of, vocabulary
from tagger.training.data import partial_labels
from tagger.training.data.partial_labels import known_genres


def test_a_plain_set_names_one_genre_and_denies_the_others():
    known = known_genres({"genre": "classical"})
    assert known.genres == {"Classical"} and not known.open


def test_a_plain_set_leaves_open_what_its_words_may_hide():
    known = known_genres({"genre": "rock"})
    assert known.genres == {"Rock"} and "Punk" in known.open and "Jazz" not in known.open


@pytest.mark.parametrize(
    ("row", "genres", "left_open", "denied"),
    [
        ({"judged": "Punk; Rock", "genre": "rock"}, {"Punk", "Rock"}, set(), {"Pop", "Indie"}),
        ({"judged": "New-Age; Holiday"}, {"New Age", "Holiday"}, set(), {"Electronic"}),
        ({"label": "electronic", "id3_genre": "Ambient", "genre": ""}, {"Electronic", "New Age"},
         {"Pop"}, {"Rock"}),
        ({"family": "House", "style": "Deep", "genre": ""}, {"Electronic"}, {"R&B"}, {"Rock"}),
        ({"family": "Breakbeat", "style": "G-Funk", "genre": ""}, {"Hip-Hop"}, {"Electronic"},
         {"Rock"}),
        ({"family": "House", "style": "Disco", "genre": ""}, {"Disco"}, {"Pop"}, {"Metal"}),
        ({"family": "Downtempo", "style": "Musique Concrete", "genre": ""}, set(), {"Electronic"},
         {"Rock"}),
        ({"kind": "noise", "what": "rain"}, set(), set(), set(vocabulary())),
    ],
)  # fmt: skip
def test_what_is_known_left_open_and_denied(row, genres, left_open, denied):
    known = known_genres(row)
    assert known.genres == genres
    assert left_open <= known.open
    assert not denied & (known.genres | known.open)
    assert not known.genres & known.open


def test_families_are_styles_of_the_vocabulary():
    assert set(partial_labels.FAMILIES.values()) <= set(vocabulary()["Electronic"])
    assert known_genres({"family": "Jungle", "style": "Hardstep"}).style == "Drum and Bass"
    named = {*partial_labels.JUDGED.values(), *partial_labels.ID3_IN_EMOTIFY.values()}
    assert named <= set(vocabulary())
    assert all(genre_of(g) for opened in partial_labels.ALSO.values() for g in opened)


@pytest.mark.shared_data
def test_every_style_of_the_guide_that_is_named_is_there(shared_data):
    with (shared_data / "ishkur" / "tracks.csv").open(newline="") as lines:
        styles = {row["style"] for row in csv.DictReader(lines)}
    named = {*partial_labels.ALSO, *partial_labels.RAP, *partial_labels.NOT_ELECTRONIC}
    assert named | partial_labels.UNSURE <= styles
