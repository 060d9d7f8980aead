"""One spelling for each genre, and whose it is."""

from __future__ import annotations

import pytest

from tagger.containers.read import TagState
from tagger.containers.write import Change
from tagger.deciding.decide import Status
from tagger.deciding.genre_map import GenreMap, read_genre_map
from tagger.deciding.tidy import decide_tidy, tidied


@pytest.mark.parametrize(
    ("written", "becomes"),
    [
        ("classical", "Classical"),
        ("Hip Hop", "Hip-Hop"),
        ("(17)", "Rock"),
        ("17", "Rock"),
        ("(17)(13)", "Rock; Pop"),
        ("Rock/Pop", "Rock; Pop"),
        ("rock, Jazz | blues", "Rock; Jazz; Blues"),
        ("Hip-Hop/Rap", "Hip-Hop"),
        ("R&B", "R&B"),
        ("Drum & Bass", "Drum and Bass"),
        ("Rock & Roll Shanties", "Rock & Roll Shanties"),
        ("sea shanties/rock", "sea shanties/rock"),
        ("80s", "80s"),
        ("(999)", "(999)"),
        ("Unknown", "Unknown"),
    ],
)
def test_each_spelling(written, becomes):
    assert tidied((written,), GenreMap()) == tuple(becomes.split("; "))
    assert tidied(tidied((written,), GenreMap()), GenreMap()) == tuple(becomes.split("; "))


def test_a_genre_map_has_the_last_word_but_drops_nothing_of_a_persons(tmp_path):
    file = tmp_path / "map.toml"
    file.write_text(
        'drop = ["Jazz"]\n[rename]\nMetal = "Krach"\n[aliases]\nClassical = ["Ernst"]\n'
    )
    read = read_genre_map(file)
    assert tidied(("heavy metal", "Ernst", "jazz"), read) == ("Krach", "Classical", "Jazz")


def test_whose_genre_it_is_stays_as_it_is():
    both = TagState(("jazz", "Polka"), (), ("jazz",), 0.9, "old-1")
    decision = decide_tidy(both, GenreMap())
    assert decision.change == Change(("Jazz", "Polka"), ("Jazz",), 0.9, "old-1")
    own = decide_tidy(TagState(("jazz",)), GenreMap())
    assert (own.status, own.change) == (Status.WOULD_WRITE, Change(("Jazz",)))


def test_what_is_tidy_or_empty_is_left_alone():
    for tags in (TagState(), TagState(("Jazz", "sea shanties"))):
        decision = decide_tidy(tags, GenreMap())
        assert (decision.status, decision.change) == (Status.UNCHANGED, None)


def test_a_genre_that_only_another_tag_says_is_not_written_over():
    tags = TagState(("jazz",), (("ID3v1", ("Blues",)),))
    decision = decide_tidy(tags, GenreMap())
    assert (decision.status, decision.change) == (Status.KEPT, None)
    assert "Blues" in decision.reason
    assert decide_tidy(TagState(("jazz",), (("ID3v1", ("Jazz",)),)), GenreMap()).change
