"""Albums: which tracks belong together, and what most of them decide for the others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mediafile import MediaFile

from tagger.containers.credits import Credits, read_credits
from tagger.containers.read import TagState
from tagger.containers.recognise import identify
from tagger.containers.write import write_change
from tagger.deciding.albums import (
    MOST_TRACKS,
    MOST_WITHOUT_TAGS,
    album_verdicts,
    in_albums,
    is_album,
)
from tagger.deciding.decide import Policy, Status, Verdict, decide
from tagger.deciding.genre_map import genre_map_for
from tagger.library.walk import Library
from tagger.models import zoo
from tagger.models.prediction import Prediction, Style
from tagger.pipeline.batch import track_results
from tagger.pipeline.classify import Classified
from tests.conftest import aged

VOTE, ONE = Policy(album="vote"), Policy(album="one")


def heard(jazz, rock, *, non_music_reason="", styles=()):
    return Prediction(
        ("Jazz", "Rock"),
        np.array([jazz, rock]),
        "m-1",
        thresholds=np.array([0.5, 0.5]),
        independent=True,
        non_music_reason=non_music_reason,
        styles=styles,
    )


def albums(*tracks):
    """Of tracks given as (path, Credits)."""
    found = in_albums(tracks, lambda t: t[0], lambda t: t[1])
    return [[item[0] for item, _ in album] for album in found]


def test_tracks_of_one_folder_or_of_one_tagged_album_belong_together():
    blue, red = Credits(album="Blue", album_artist="A"), Credits(album="Red", album_artist="A")
    assert albums(
        ("x/1", Credits()),
        ("x/2", Credits()),
        ("y/1", blue),
        ("y/CD2/1", Credits(album="blue", album_artist="a")),
        ("y/CD2/2", red),
        ("z/1", Credits()),
    ) == [["x/1", "x/2"], ["y/1", "y/CD2/1"], ["y/CD2/2"], ["z/1"]]


def test_albums_of_one_name_by_several_artists_are_several():
    """Regression: without album artists, neighbours' "Greatest Hits" were one album."""
    hits = "Greatest Hits"
    assert albums(
        ("A/Greatest Hits/CD1/1", Credits("A feat. B", album=hits)),
        ("A/Greatest Hits/CD2/1", Credits("A", album=hits)),
        ("B/Greatest Hits/1", Credits("B", album=hits)),
        ("B/Greatest Hits/2", Credits("C", album=hits)),
        ("D/Greatest Hits/1", Credits(album=hits)),
        ("E/Greatest Hits/1", Credits(album=hits)),
    ) == [
        ["A/Greatest Hits/CD1/1", "A/Greatest Hits/CD2/1"],
        ["B/Greatest Hits/1", "B/Greatest Hits/2"],
        ["D/Greatest Hits/1"],
        ["E/Greatest Hits/1"],
    ]


@given(st.lists(st.tuples(st.sampled_from("xyz"), st.sampled_from(["", "a", "b"])), max_size=20))
def test_every_track_stands_in_one_album_in_its_order(tracks):
    items = [(f"{folder}/{i}", Credits(album=album)) for i, (folder, album) in enumerate(tracks)]
    assert [path for album in albums(*items) for path in album] == [path for path, _ in items]


def test_a_heap_is_not_waited_for():
    for credits, most in ((Credits(), MOST_WITHOUT_TAGS), (Credits(album="A"), MOST_TRACKS)):
        heap = [(f"x/{i}", credits) for i in range(most + 50)]
        assert max(map(len, albums(*heap, ("y/1", Credits())))) == most + 1
    assert not is_album([Credits(album="A")] * (MOST_TRACKS + 1))
    assert not is_album([Credits()] * (MOST_WITHOUT_TAGS + 1))
    assert is_album([Credits(album="A")] * (MOST_WITHOUT_TAGS + 1))


@pytest.mark.parametrize(
    ("credits", "album"),
    [
        ([Credits("A"), Credits("A feat. B"), Credits("A & C")], True),
        ([Credits("A"), Credits("B"), Credits("C")], False),
        ([Credits("A", album_artist="VA")] * 3, False),
        ([Credits("A", compilation=True)] * 3, False),
        ([Credits(str(i), album_artist="Quincy Jones") for i in range(3)], True),
        ([Credits()] * 3, True),
        ([Credits("A")] * 2, False),
    ],
)
def test_what_is_an_album_of_one_artist(credits, album):
    assert is_album(credits) is album


def test_a_clear_majority_wins_over_unsure_members():
    verdicts = album_verdicts([heard(0.9, 0.1)] * 3 + [heard(0.3, 0.4), None], VOTE)
    assert verdicts[:3] == [None, None, None] and verdicts[4] is None
    assert verdicts[3].genre == "Jazz"
    assert verdicts[3].confidence == pytest.approx((3 * 0.9 + 0.3) / 4)
    assert verdicts[3].reason == "as 3 of the album's 4 tracks"


def test_a_track_that_sounds_like_nothing_of_the_kind_stays_unsure():
    verdicts = album_verdicts([heard(0.9, 0.1)] * 5 + [heard(0.05, 0.2)], VOTE)
    assert verdicts == [None] * 6


def test_outliers_with_high_confidence_stay():
    rock, perhaps_rock = heard(0.1, 0.95), heard(0.4, 0.55)
    verdicts = album_verdicts([heard(0.9, 0.1)] * 6 + [rock, perhaps_rock], VOTE)
    assert verdicts[6] is None
    assert verdicts[7].genre == "Jazz"


@pytest.mark.parametrize(
    "predictions",
    [
        [heard(0.9, 0.1)] * 2 + [heard(0.1, 0.9)] * 2 + [heard(0.2, 0.2)],
        [heard(0.9, 0.1)] * 2 + [heard(0.2, 0.2)] * 3,  # most are unsure
        [heard(0.9, 0.1)] * 2,
        [heard(0.75, 0.1)] * 2 + [heard(0.2, 0.45)] * 2,  # less probable than not in mean
    ],
)
def test_without_a_clear_majority_tracks_stay_alone(predictions):
    assert album_verdicts(predictions, VOTE) == [None] * len(predictions)


def test_noise_gets_no_genre_from_its_album():
    noise = heard(0.3, 0.4, non_music_reason="sounds like noise")
    verdicts = album_verdicts([heard(0.9, 0.1)] * 4 + [noise], VOTE)
    assert verdicts[4].genre == "Jazz"  # and yet:
    assert decide(noise, TagState(), VOTE, verdicts[4]).status is Status.UNSURE


def test_one_gives_all_tracks_the_albums_genre_or_none():
    verdicts = album_verdicts([heard(0.9, 0.1)] * 3 + [heard(0.1, 0.95)], ONE)
    assert {v.genre for v in verdicts} == {"Jazz"}
    verdicts = album_verdicts([heard(0.9, 0.1), heard(0.1, 0.9), heard(0.3, 0.1)], ONE)
    assert {v.genre for v in verdicts} == {None}
    decision = decide(heard(0.9, 0.1), TagState(), ONE, verdicts[0])
    assert decision.status is Status.UNSURE and "the album's mean is Jazz 0.43" in decision.reason


def test_styles_are_voted_on_where_they_are_asked_for():
    policy = Policy(album="vote", detail="style")
    bebop = heard(0.9, 0.1, styles=(Style("Bebop", "Jazz", 0.8, 0.5),))
    unsure = heard(0.4, 0.3, styles=(Style("Bebop", "Jazz", 0.2, 0.5),))
    assert album_verdicts([bebop] * 3 + [unsure], policy)[3].genre == "Bebop"


def loud(rock, punk, jazz=0.05, *, thresholds=(0.5, 0.5, 0.5)):
    return Prediction(
        ("Rock", "Punk", "Jazz"),
        np.array([rock, punk, jazz]),
        "m-1",
        thresholds=np.array(thresholds),
        independent=True,
    )


def test_a_vote_for_punk_is_one_for_rock_where_neither_has_a_majority():
    """Regression: what is named below Rock took its votes away from the album."""
    album = [loud(0.8, 0.1)] * 3 + [loud(0.9, 0.6)] * 3 + [loud(0.45, 0.1), loud(0.3, 0.1, 0.55)]
    verdicts = album_verdicts(album, VOTE)
    assert verdicts[:6] == [None] * 6  # also those of Punk, which is Rock already
    assert {verdict.genre for verdict in verdicts[6:]} == {"Rock"}
    assert verdicts[6].reason == "as 6 of the album's 8 tracks"
    both = decide(album[3], TagState(), Policy(detail="both"), verdicts[3])
    assert both.genres == ("Rock", "Punk")
    verdicts = album_verdicts([loud(0.9, 0.8)] * 5 + [loud(0.4, 0.3)], VOTE)
    assert verdicts[5].genre == "Punk"
    with_rock = decide(loud(0.4, 0.3), TagState(), Policy(detail="both"), verdicts[5])
    assert with_rock.change.genres == ("Rock", "Punk")
    assert with_rock.change.confidence == verdicts[5].confidence


def test_one_album_of_punk_is_not_hidden_by_rock():
    album = [loud(0.9, 0.7), loud(0.8, 0.6), loud(0.9, 0.3)]
    assert {v.genre for v in album_verdicts(album, ONE)} == {"Punk"}
    both = Policy(album="one", detail="both")
    decisions = [
        decide(p, TagState(), both, v)
        for p, v in zip(album, album_verdicts(album, both), strict=True)
    ]
    assert {d.genres for d in decisions} == {("Rock", "Punk")}


def test_a_persons_genre_stands_whatever_the_album_is():
    verdict = Verdict("Jazz", 0.9, "as 3 of 4")
    assert decide(heard(0.1, 0.2), TagState(genres=("Ska",)), VOTE, verdict).status is Status.KEPT
    decision = decide(heard(0.1, 0.2), TagState(), VOTE, verdict)
    assert decision.change.genres == ("Jazz",) and decision.change.confidence == 0.9
    assert decision.reason == "had no genre; Jazz 0.90, as 3 of 4"


@pytest.mark.parametrize("suffix", [".mp3", ".flac", ".ogg", ".m4a", ".wma", ".wv"])
def test_credits_are_read_from_every_family_of_tags(make_audio, suffix):
    piece = make_audio(suffix)
    media = MediaFile(piece)
    media.artist, media.album, media.albumartist, media.comp = "Nas", "Illmatic", "VA", True
    media.title = "Genesis"
    media.save()
    assert read_credits(piece, identify(piece)) == Credits("Nas", "Illmatic", "VA", True, "Genesis")


def test_an_album_is_written_as_one(make_audio, tmp_path):
    folder = tmp_path / "album"
    for i in range(3):
        make_audio(
            ".flac", style="metal", seed=i, duration_s=15.0, name=Path("album") / f"{i}.flac"
        )
    odd = make_audio(
        ".flac",
        style="jazz",
        seed=1,
        duration_s=15.0,
        rate=22_050,
        channels=1,
        name=Path("album") / "9.flac",
    )
    for file in folder.iterdir():
        media = MediaFile(file)
        media.artist, media.album = "Somebody", "Loud and quiet"
        media.save()
        aged(file)

    known = {str(file): Classified(heard(0.9, 0.1)) for file in folder.iterdir()}
    known[str(odd)] = Classified(heard(0.2, 0.6))

    def scanned(album):
        policy = Policy(min_confidence=0.0, album=album)
        tracks = Library([str(folder)])
        return list(
            track_results(tracks, model="none", policy=policy, jobs=1, write=write, known=known)
        )

    def write(track, change):
        write_change(track.path, track.format, change)

    alone = {Path(o.path).name: o for o in scanned("off")}
    best = alone["0.flac"].genre
    assert {o.genre for name, o in alone.items() if name != "9.flac"} == {best}
    assert alone["9.flac"].genre != best
    rows = scanned("one")
    assert [row.new_genre for row in rows] == [best] * 4
    assert any("the highest mean of the album's 4 tracks" in row.message for row in rows)
    assert MediaFile(odd).genres == [best]


def test_an_album_gets_its_genre_in_the_names_of_the_genre_map(make_audio, tmp_path):
    for i in range(4):
        make_audio(".flac", style="metal", seed=i, duration_s=6.0, name=Path("album") / f"{i}.flac")
    (tmp_path / "map.toml").write_text(
        "[rename]\n" + "\n".join(f'"{label}" = "Mine"' for label in zoo.find("cnn").labels)
    )
    policy = Policy(
        min_confidence=0.0,
        album="one",
        genre_map=genre_map_for(str(tmp_path / "map.toml"), zoo.find("cnn"), "genre"),
    )
    tracks = Library([str(tmp_path / "album")])
    rows = list(track_results(tracks, model="cnn", policy=policy, jobs=1))
    assert [(row.genre, row.new_genre) for row in rows] == [("Mine", "Mine")] * 4
