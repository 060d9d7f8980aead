import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagger.containers.read import TagState
from tagger.containers.write import Change
from tagger.deciding.decide import Policy, Status, decide
from tagger.genres.placeholders import DEFAULT_PLACEHOLDERS, Placeholders
from tagger.genres.profiles import PROFILES
from tagger.models.prediction import Mood, Prediction, Style
from tagger.system.errors import ConfigurationError

MODEL = "cnn-1"


def heard(genre="Rock", confidence=0.8):
    return Prediction(
        labels=(genre, "Polka"), probabilities=np.array([confidence, 1 - confidence]), model=MODEL
    )


def tagged(*genres, ours=(), model=None, hidden=()):
    return TagState(
        genres=genres,
        hidden=hidden,
        gtag_genre=ours,
        gtag_confidence=0.5 if ours else None,
        gtag_model=model,
    )


def decided(tags, existing="keep", min_confidence=0.5, prediction=None):
    return decide(prediction or heard(), tags, Policy(min_confidence, existing))


def test_a_file_without_genre_gets_one():
    decision = decided(tagged())
    assert decision.status is Status.WOULD_WRITE
    assert decision.change == Change(("Rock",), ("Rock",), 0.8, MODEL)
    assert decision.reason == "had no genre"


@pytest.mark.parametrize(
    ("existing", "status", "genres"),
    [
        ("keep", Status.KEPT, None),
        ("replace", Status.WOULD_WRITE, ("Rock",)),
        ("append", Status.WOULD_WRITE, ("Jazz", "Soul", "Rock")),
    ],
)
def test_what_happens_to_a_persons_genre(existing, status, genres):
    decision = decided(tagged("Jazz", "Soul"), existing)
    assert decision.status is status
    assert (decision.change and decision.change.genres) == genres
    assert "Jazz; Soul" in decision.reason


def test_a_genre_in_a_hidden_place_is_a_persons():
    tags = tagged(hidden=(("APEv2", ("Jazz",)),))
    assert decided(tags).status is Status.KEPT
    change = decided(tags, "append").change
    assert change is not None and change.genres == ("Jazz", "Rock")


def test_a_person_who_agrees_stays_the_author():
    assert decided(tagged("Rock")).status is Status.KEPT
    assert decided(tagged("rock"), "append").status is Status.KEPT


def test_gtags_own_genre_makes_way_for_a_new_one():
    decision = decided(tagged("Jazz", ours=("Jazz",), model=MODEL))
    assert decision.status is Status.WOULD_WRITE
    assert decision.change is not None and decision.change.genres == ("Rock",)
    assert decision.reason == "cnn-1 wrote Jazz"


def test_an_edited_genre_is_a_persons_again():
    assert decided(tagged("Soul", ours=("Jazz",), model=MODEL)).status is Status.KEPT


@pytest.mark.parametrize("existing", ["keep", "replace", "append"])
def test_the_same_genre_of_the_same_model_is_unchanged_whatever_the_confidence(existing):
    tags = tagged("Rock", ours=("Rock",), model=MODEL)
    assert decided(tags, existing, prediction=heard(confidence=0.9)).status is Status.UNCHANGED


def test_a_hidden_genre_is_replaced_beside_gtags_own():
    tags = tagged("Rock", ours=("Rock",), model=MODEL, hidden=(("APEv2", ("Jazz",)),))
    assert decided(tags, "replace").status is Status.WOULD_WRITE


def test_an_appended_genre_is_unchanged_the_second_time():
    tags = tagged("Jazz", "Rock", ours=("Rock",), model=MODEL)
    assert decided(tags, "append").status is Status.UNCHANGED


def test_another_model_signs_with_its_own_name():
    decision = decided(tagged("Rock", ours=("Rock",), model="cnn-0"))
    assert decision.change is not None and decision.change.model == MODEL


def test_a_deleted_genre_is_written_again():
    assert decided(tagged(ours=("Rock",), model=MODEL)).reason == "had no genre"


@pytest.mark.parametrize("existing", ["keep", "replace", "append"])
@pytest.mark.parametrize("tags", [tagged(), tagged("Jazz", ours=("Jazz",), model=MODEL)])
def test_below_the_threshold_nothing_is_written(existing, tags):
    decision = decided(tags, existing, prediction=heard(confidence=0.6), min_confidence=0.7)
    assert decision.status is Status.UNSURE
    assert decision.change is None
    assert decision.reason == "Rock 0.60 or Polka 0.40; the threshold is 0.70"


def test_the_threshold_itself_is_enough():
    prediction = heard(confidence=0.75)
    assert decided(tagged(), prediction=prediction, min_confidence=0.75).change is not None


def test_a_kept_genre_does_not_depend_on_how_sure_the_model_is():
    prediction = heard(confidence=0.6)
    assert decided(tagged("Jazz"), prediction=prediction, min_confidence=0.9).status is Status.KEPT


@pytest.mark.parametrize("existing", ["keep", "replace", "append"])
@pytest.mark.parametrize("tags", [tagged(), tagged("Jazz")])
def test_silence_is_never_written(existing, tags):
    decision = decide(None, tags, Policy(0.0, existing))
    assert decision.status is Status.UNSURE
    assert decision.change is None


def test_what_sounds_like_no_music_is_left_alone_unless_every_guess_is_wanted():
    doubted = replace(heard("Metal", 0.97), non_music_reason="a steady sound, not music")
    decision = decided(tagged(), prediction=doubted)
    assert decision.status is Status.UNSURE
    assert decision.reason == "a steady sound, not music; if it is music: Metal 0.97 or Polka 0.03"
    assert decided(tagged("Jazz"), prediction=doubted).status is Status.KEPT
    assert decided(tagged(), min_confidence=0, prediction=doubted).status is Status.WOULD_WRITE


@pytest.mark.parametrize(
    "word",
    [
        *(
            "Unknown",
            "unknown",
            "<unknown>",
            "[Unknown]",
            "Other",
            "Misc",
            "Misc.",
            "None",
            "Genre",
        ),
        *("Unclassifiable", "Default", "No Genre", "n/a", "(12)", "12", "---", "?", "Unbekannt"),
    ],
)
@pytest.mark.parametrize("existing", ["keep", "replace", "append"])
def test_a_rippers_placeholder_is_no_persons_word(word, existing):
    for tags in (tagged(word), tagged(hidden=(("ID3v1", (word,)),))):
        decision = decided(tags, existing)
        assert decision.change is not None and decision.change.genres == ("Rock",)
        assert decision.reason == f"{word} is a placeholder"


@pytest.mark.parametrize(
    "word", ["Other Worlds", "Alternative", "Misc Metal", "无", "🎸", "No Wave", "80s", "Ünknown"]
)
def test_what_only_resembles_a_placeholder_is_kept(word):
    assert decided(tagged(word)).status is Status.KEPT


def test_a_placeholder_beside_a_genre_goes_and_the_genre_stays():
    assert decided(tagged("Unknown", "Jazz")).status is Status.KEPT
    change = decided(tagged("Unknown", "Jazz"), "append").change
    assert change is not None and change.genres == ("Jazz", "Rock")


def test_placeholders_are_ones_own_choice():
    def status(word, words):
        policy = Policy(0.5, placeholders=Placeholders(words))
        return decide(heard(), tagged(word), policy).status

    assert status("Audiobook", DEFAULT_PLACEHOLDERS) is Status.KEPT
    assert status("Audiobook", (*DEFAULT_PLACEHOLDERS, "audiobook")) is Status.WOULD_WRITE
    assert status("Other", ("unknown",)) is Status.KEPT
    assert status("Other", ()) is Status.KEPT
    assert status("---", ()) is Status.KEPT


def test_what_stood_in_place_of_a_placeholder_is_written_once():
    change = decided(tagged("Unknown")).change
    assert change is not None
    tags = tagged(*change.genres, ours=change.gtag_genre, model=MODEL)
    assert decided(tags).status is Status.UNCHANGED


def test_the_docs_show_the_placeholders():
    text = (Path(__file__).parents[3] / "docs" / "commands.md").read_text(encoding="utf-8")
    told = text.partition("### Placeholders")[2].partition("\n### ")[0]
    shown = re.findall(r"`([^`]+)`", " ".join(told.split("empty list.")[1].split()))
    assert tuple(shown) == DEFAULT_PLACEHOLDERS


def many(*, style=None, **probabilities):
    """What a model says that knows each genre on its own."""
    labels = ("Electronic", "Jazz", "Pop")
    return Prediction(
        labels=labels,
        probabilities=np.array([probabilities.get(label, 0.05) for label in labels]),
        model="cnn-2",
        thresholds=np.array([0.5, 0.6, 0.7]),
        independent=True,
        styles=(style,) if style else (),
    )


def test_each_genre_has_a_threshold_of_its_own():
    policy = Policy()
    assert decide(many(Jazz=0.61), tagged(), policy).genres == ("Jazz",)
    unsure = decide(many(Pop=0.65), tagged(), policy)
    assert unsure.status is Status.UNSURE and "the threshold is 0.70" in unsure.reason
    assert decide(many(Pop=0.65), tagged(), Policy(0.6)).genres == ("Pop",)


def test_none_of_these_is_an_answer():
    """Regression: a model of ten genres wrote one of them on all other music."""
    decision = decide(many(Jazz=0.3, Pop=0.2), tagged(), Policy())
    assert decision.status is Status.UNSURE
    assert "sounds like none of the genres of cnn-2" in decision.reason
    assert "Jazz 0.30 or Pop 0.20" in decision.reason


def test_several_genres_each_above_its_threshold():
    said = many(Electronic=0.9, Jazz=0.65, Pop=0.6)
    assert decide(said, tagged(), Policy()).genres == ("Electronic",)
    decision = decide(said, tagged(), Policy(genres=3))
    assert decision.change is not None
    assert decision.change.genres == decision.change.gtag_genre == ("Electronic", "Jazz")
    assert decision.confidence == decision.change.confidence == 0.9
    # The best one must be probable enough, or nothing is written.
    assert decide(many(Pop=0.65, Jazz=0.61), tagged(), Policy(genres=3)).genres == ()
    again = tagged("Jazz", "Electronic", ours=("Electronic", "Jazz"), model="cnn-2")
    assert decide(said, again, Policy(genres=3)).status is Status.UNCHANGED


def test_what_a_person_wrote_already_is_not_added_again():
    said = many(Electronic=0.9, Jazz=0.65)
    decision = decide(said, tagged("electronica"), Policy(existing="append", genres=2))
    assert decision.change is not None
    assert decision.change.genres == ("electronica", "Jazz")
    assert decision.change.gtag_genre == ("Jazz",)
    assert decision.change.confidence == 0.65


def test_a_style_takes_the_place_of_its_genre_where_it_is_asked_for_and_sure():
    said = many(Electronic=0.9, style=Style("House", "Electronic", 0.7, 0.6))
    assert decide(said, tagged(), Policy()).genres == ("Electronic",)
    decision = decide(said, tagged(), Policy(detail="style"))
    assert decision.genres == ("House",) and decision.confidence == 0.7
    unsure = many(Electronic=0.9, style=Style("House", "Electronic", 0.5, 0.6))
    assert decide(unsure, tagged(), Policy(detail="style")).genres == ("Electronic",)
    other = many(Jazz=0.9, style=Style("House", "Electronic", 0.7, 0.6))
    assert decide(other, tagged(), Policy(detail="style")).genres == ("Jazz",)


def below(*, styles=(), independent=True, parents=None, **probabilities):
    """What a model says that knows genres below others: each is named from 0.6, Punk from 0.5."""
    labels = ("Rock", "Punk", "Metal", "R&B", "Soul", "Pop", "Electronic")
    said = {"R&B": probabilities.pop("RnB", 0.05), **probabilities}
    return Prediction(
        labels=labels,
        probabilities=np.array([said.get(label, 0.05) for label in labels]),
        model="m-1",
        thresholds=np.array([0.6, 0.5, 0.6, 0.6, 0.6, 0.6, 0.6]),
        independent=independent,
        styles=styles,
        parents=parents,
    )


def named(prediction, **policy):
    return decide(prediction, tagged(), Policy(**policy)).genres


def test_a_sure_punk_is_not_hidden_by_a_surer_rock():
    """Regression: the best guess alone was named, and what is below a genre never is the best."""
    decision = decide(below(Rock=0.9, Punk=0.55), tagged(), Policy())
    assert decision.genres == ("Punk",) and decision.confidence == 0.55
    assert named(below(Rock=0.9, Punk=0.45)) == ("Rock",)
    assert named(below(Rock=0.9, Punk=0.7, Metal=0.8)) == ("Metal",)
    assert named(below(Rock=0.9, Soul=0.8)) == ("Rock",)
    assert named(below(RnB=0.9, Soul=0.7)) == ("Soul",)


def test_an_unsure_rock_with_a_sure_punk_is_punk():
    assert named(below(Rock=0.58, Punk=0.55)) == ("Punk",)
    assert named(below(Rock=0.58, Soul=0.57)) == ()


def test_an_unsure_metal_that_is_surely_rock_is_rock():
    decision = decide(below(Metal=0.55, Rock=0.54), tagged(), Policy())
    assert decision.status is Status.UNSURE
    lower = replace(below(Metal=0.59, Rock=0.55), thresholds=np.array([0.5, *[0.6] * 6]))
    assert named(lower) == ("Rock",)
    # Another genre below it, which is sure, is more than it says.
    punk = replace(lower, thresholds=np.array([0.5, 0.4, *[0.6] * 5]))
    assert named(replace(punk, probabilities=np.array([0.55, 0.5, 0.59, 0, 0, 0, 0]))) == ("Punk",)
    assert named(below(Metal=0.55, Pop=0.54)) == ()


def test_a_genre_below_another_stands_before_it():
    said = below(Rock=0.9, Pop=0.8, Punk=0.7)
    assert named(said, genres=2) == ("Punk", "Rock")
    assert named(said, genres=3) == ("Punk", "Rock", "Pop")
    assert named(below(Rock=0.58, Punk=0.55), genres=3) == ("Punk",)
    assert named(below(Punk=0.9, Rock=0.8), genres=2) == ("Punk", "Rock")


def test_a_minimum_confidence_names_the_best_unless_what_is_below_it_is_sure():
    """With 0 every genre is above it: a Punk of 0.05 must not take the place of Rock."""
    assert named(below(Rock=0.9), min_confidence=0.0) == ("Rock",)
    assert named(below(Rock=0.3, Punk=0.2), min_confidence=0.0) == ("Rock",)
    assert named(below(Rock=0.9, Punk=0.7), min_confidence=0.0) == ("Punk",)
    assert named(below(Rock=0.9, Punk=0.7), min_confidence=0.8) == ("Rock",)
    assert named(below(Rock=0.9, Punk=0.7), min_confidence=0.8, detail="both") == ("Rock",)


def test_genres_that_exclude_each_other_hide_nothing():
    said = below(Rock=0.5, Metal=0.4, independent=False)
    low = replace(said, thresholds=np.full(7, 0.3))
    assert named(low) == ("Rock",)
    assert named(replace(low, probabilities=low.probabilities[[2, 1, 0, 3, 4, 5, 6]])) == ("Metal",)


TECHNO = Style("Techno", "Electronic", 0.65, 0.6)


@pytest.mark.parametrize(
    ("said", "style", "both"),
    [
        (below(Rock=0.9, Punk=0.7), ("Punk",), ("Rock", "Punk")),
        (below(Punk=0.9), ("Punk",), ("Rock", "Punk")),
        (below(Rock=0.9), ("Rock",), ("Rock",)),
        (below(RnB=0.9, Soul=0.8), ("Soul",), ("R&B", "Soul")),
        (below(Electronic=0.9, styles=(TECHNO,)), ("Techno",), ("Electronic", "Techno")),
        (below(Electronic=0.9), ("Electronic",), ("Electronic",)),
        (below(Rock=0.58), (), ()),
    ],
)
def test_genre_and_style_are_values_of_their_own(said, style, both):
    assert named(said, detail="style") == style
    decision = decide(said, tagged(), Policy(detail="both"))
    assert decision.genres == both
    if both:
        assert decision.change.genres == decision.change.gtag_genre == both
        assert decision.confidence == decision.change.confidence == said.probability_of(both[-1])
        again = tagged(*both, ours=both, model="m-1")
        assert decide(said, again, Policy(detail="both")).status is Status.UNCHANGED


def test_several_genres_each_with_its_style():
    said = below(Rock=0.9, Electronic=0.85, Pop=0.8, Punk=0.7, styles=(TECHNO,))
    assert named(said, detail="both", genres=2) == ("Rock", "Punk", "Electronic", "Techno")
    assert named(said, detail="style", genres=3) == ("Punk", "Techno", "Pop")
    assert named(below(Rock=0.9, Punk=0.8, Metal=0.7), detail="both", genres=2) == (
        *("Rock", "Punk", "Metal"),
    )


def test_a_genre_is_appended_without_what_a_person_wrote_of_it():
    said = below(Rock=0.9, Punk=0.7)
    decision = decide(said, tagged("rock music"), Policy(detail="both", existing="append"))
    assert decision.change is not None
    assert decision.change.genres == ("rock music", "Punk")
    assert decision.change.gtag_genre == ("Punk",) and decision.change.confidence == 0.7
    decision = decide(said, tagged("Punk"), Policy(detail="both", existing="append"))
    assert decision.change is not None
    assert decision.change.genres == ("Punk", "Rock") and decision.change.confidence == 0.7
    kept = decide(said, tagged("Punk", "Rock"), Policy(detail="both", existing="append"))
    assert kept.status is Status.KEPT
    unknown = decide(said, tagged("Unknown"), Policy(detail="both"))
    assert unknown.change is not None and unknown.change.genres == ("Rock", "Punk")


def test_a_genre_is_below_another_by_its_name_in_any_spelling():
    said = Prediction(
        ("rock music", "Punk Rock", "Funk"),
        np.array([0.9, 0.7, 0.1]),
        "own-1",
        independent=True,
    )
    assert said.tree == {"Punk Rock": "rock music"}  # R&B, above Funk, is none of its genres
    assert named(said, detail="both") == ("rock music", "Punk Rock")


def test_all_that_is_below_a_genre_is_found_in_one_place():
    grunge = Style("Grunge", "Rock", 0.66, 0.6)
    said = below(Rock=0.9, Punk=0.7, Metal=0.2, styles=(grunge,))
    assert [s.name for s in said.styles_of("Rock")] == ["Punk", "Grunge", "Metal"]
    assert said.style_of("Rock").name == "Punk"
    assert said.style_of("Pop") is None
    likelier = below(Rock=0.9, Punk=0.6, styles=(grunge,))
    assert named(likelier, detail="both") == ("Rock", "Grunge")
    assert named(likelier) == ("Punk",)  # Grunge is no genre
    assert said.above("Grunge") == said.above("Punk") == ("Rock",) and said.above("Rock") == ()


@given(
    st.lists(st.floats(0, 1), min_size=7, max_size=7),
    st.lists(st.floats(0, 1), min_size=7, max_size=7),
    st.sampled_from(["genre", "style", "both"]),
    st.integers(1, 4),
    st.none() | st.floats(0, 1),
)
def test_whatever_a_model_says_what_is_named_is_sure(said, thresholds, detail, genres, least):
    prediction = replace(
        below(), probabilities=np.array(said), thresholds=np.array(thresholds), parents=None
    )
    policy = Policy(least, detail=detail, genres=genres)
    decision = decide(prediction, tagged(), policy)
    if decision.change is None:
        assert said[int(np.argmax(said))] < policy.threshold(prediction, prediction.genre)
        return
    written = decision.change.genres
    assert len(set(written)) == len(written) <= genres * (2 if detail == "both" else 1)
    sure = {
        g
        for g in prediction.labels
        if prediction.probability_of(g) >= policy.threshold(prediction, g)
    }
    for name in written:
        lower = [n for n in written if name in prediction.above(n)]
        assert name in sure or (detail == "both" and lower)
        if detail == "both":
            assert set(prediction.above(name)) <= set(written[: written.index(name)])
        elif any(prediction.probability_of(n) >= prediction.threshold(n) for n in lower):
            assert detail == "genre" and written.index(lower[0]) < written.index(name)


def with_mood(confidence=0.9):
    return replace(heard(), mood=Mood("Calm", confidence, 0.7))


def decided_mood(tags, prediction=None, **policy):
    policy = {"min_confidence": 0.5, "mood": True, **policy}
    return decide(prediction or with_mood(), tags, Policy(**policy))


def test_a_mood_is_written_beside_a_genre_and_without_one():
    both = decided_mood(TagState())
    assert (both.status, both.change.genres, both.change.mood) == ("would-write", ("Rock",), "Calm")
    assert both.reason == "had no genre; mood Calm 0.90"
    kept = decided_mood(tagged("Polka"))
    assert (kept.status, kept.change) == ("kept", Change(None, mood="Calm"))
    unsure = decided_mood(TagState(), min_confidence=0.95)
    assert (unsure.status, unsure.change) == ("unsure", Change(None, mood="Calm"))
    assert decide(with_mood(), TagState(), Policy(0.5)).change.mood is None, "not asked for"


def test_an_unsure_mood_is_told_and_not_written():
    decision = decided_mood(tagged("Polka"), with_mood(0.69))
    assert decision.change is None and decision.mood.confidence == 0.69
    noise = replace(with_mood(), non_music_reason="rain")
    assert decided_mood(TagState(), noise).change is None
    assert decided_mood(TagState(), noise).mood is None
    assert decided_mood(TagState(), replace(with_mood(), mood=None)).change.mood is None


@pytest.mark.parametrize("existing", ["keep", "replace", "append"])
def test_a_persons_mood_is_kept_whatever_happens_to_genres(existing):
    tags = TagState(moods=("Wistful",))
    decision = decided_mood(tags, existing=existing)
    assert decision.change.mood is None and decision.old_mood == "Wistful"


def test_gtags_own_mood_makes_way_for_a_new_one_and_is_not_written_twice():
    old = TagState(("Polka",), moods=("Sad",), gtag_mood=("Sad",))
    assert decided_mood(old).change.mood == "Calm"
    same = TagState(("Polka",), moods=("Calm",), gtag_mood=("Calm",))
    assert decided_mood(same).change is None
    deleted = TagState(("Polka",), gtag_mood=("Calm",))
    assert decided_mood(deleted).change.mood == "Calm"
    edited = TagState(("Polka",), moods=("Glad",), gtag_mood=("Calm",))
    assert decided_mood(edited).change is None


def test_a_new_tag_for_the_mood_says_the_hidden_genre_too():
    hidden = TagState(hidden=(("ID3v1", ("Blues",)),))
    assert decided_mood(hidden).change == Change(("Blues",), mood="Calm")


def commented(*comments, prediction=None, **tags):
    policy = Policy(0.5, comment=True, profile=PROFILES["rekordbox"])
    return decide(prediction or heard(), TagState(comments=comments, **tags), policy)


def test_the_end_of_the_comment_says_the_genre_where_it_is_gtags():
    assert commented().change.comment == "[gtag: Rock]"
    assert commented("Nice one").change.comment == "Nice one [gtag: Rock]"
    assert commented("Nice one [gtag: Jazz] ").change.comment == "Nice one [gtag: Rock]"
    assert commented("one", "another").change.comment is None
    same = {"genres": ("Rock",), "gtag_genre": ("Rock",), "gtag_model": heard().model}
    later = commented("Nice one", **same)
    assert later.status == "unchanged"
    assert later.change == Change(None, id3_version=3, comment="Nice one [gtag: Rock]")
    assert commented("Nice one [gtag: Rock]", **same).change is None
    assert commented(genres=("Polka",)).change is None, "a person's genre is not gtag's to say"


def test_only_a_program_that_shows_comments_gets_them():
    with pytest.raises(ConfigurationError, match="add --profile rekordbox"):
        Policy(comment=True)
