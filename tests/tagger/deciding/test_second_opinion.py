"""Where a sure prediction disagrees with the genre that a person wrote, and where it must not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tagger.containers.read import TagState
from tagger.deciding.decide import Policy, Status, Verdict, decide
from tagger.deciding.genre_map import read_genre_map
from tagger.models.prediction import Prediction, Style

SAID = {"Classical": 0.01, "Electronic": 0.02, "Metal": 0.9, "Punk": 0.03, "Rock": 0.95}
HOUSE = Style("House", "Electronic", 0.01, 0.5)


def predicted(**changes):
    said = SAID | changes
    return Prediction(
        tuple(said), np.array([*said.values()]), "m-1", None, independent=True, styles=(HOUSE,)
    )


def own(*genres, prediction=None, policy=None, album=None):
    prediction, policy = prediction or predicted(), policy or Policy()
    decision = decide(policy.read(prediction), TagState(genres=genres), policy, album)
    assert decision.status is Status.KEPT and decision.change is None
    assert (decision.own_confidence is None) == ("sounds like" not in decision.reason)
    return decision.own_confidence


@pytest.mark.parametrize("genre", ["Classical", "classic", "Techno", "Drum & Bass", "House"])
def test_another_genre_than_the_sure_one_is_doubted(genre):
    assert own(genre) == SAID["Classical" if genre.startswith(("C", "c")) else "Electronic"]


@pytest.mark.parametrize(
    "genre",
    [
        *("Metal", "Heavy Metal", "Rock", "rock", "Thrash Metal"),  # it, other names, above, below
        *("Polka", "Children's", "Folk", ""),  # the model does not know them
        *("Classical; Metal", "Classical/Rock"),  # one of them is right
    ],
)
def test_what_agrees_or_is_unknown_is_not_doubted(genre):
    genres = [name for name in genre.split("; ") if name]
    if genres:
        assert own(*genres) is None


def test_the_reason_says_both():
    decision = decide(predicted(), TagState(genres=("Classical",)), Policy())
    assert decision.reason == "a person wrote Classical (0.01); it sounds like Metal 0.90"


def test_a_genre_that_may_be_is_not_doubted():
    assert own("Classical", prediction=predicted(Classical=0.06)) is None


def test_an_unsure_prediction_doubts_nothing():
    assert own("Classical", policy=Policy(min_confidence=0.99)) is None
    assert own("Classical", prediction=replace(predicted(), non_music_reason="rain")) is None


def test_the_album_says_what_it_sounds_like():
    album = Verdict("Classical", 0.8, "as 3 of the album's 4 tracks")
    assert own("Classical", album=album) is None
    assert own("Electronic", album=album) == SAID["Electronic"]


def test_a_genre_map_knows_a_persons_words(tmp_path):
    file = tmp_path / "map.toml"
    file.write_text('[rename]\nMetal = "Krach"\n[aliases]\nClassical = ["Ernstes"]\n')
    policy = Policy(genre_map=read_genre_map(file))
    assert own("Ernstes", policy=policy) == SAID["Classical"]
    assert own("Krach", policy=policy) is None
    assert own("Metal", policy=policy) is None
    assert own("Rock", policy=policy) is None


def test_genres_that_exclude_each_other_are_compared_likewise():
    said = Prediction(("Jazz", "Rock"), np.array([0.97, 0.03]), "m-1")
    assert own("Rock", prediction=said) == pytest.approx(0.03)
    assert own("Bebop", prediction=said) is None
