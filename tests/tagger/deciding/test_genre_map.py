"""A person's own names for genres."""

from __future__ import annotations

import re
import tomllib
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tagger.containers.read import TagState
from tagger.deciding.decide import Policy, Status, decide
from tagger.deciding.genre_map import GenreMap, genre_map_for, map_of_tree, read_genre_map
from tagger.genres.vocabulary import same_name, vocabulary
from tagger.models import zoo
from tagger.models.prediction import Prediction, Style
from tagger.system.errors import ConfigurationError

DOCS = Path(__file__).parents[3] / "docs" / "genre-map.md"


@pytest.fixture
def genre_map(tmp_path):
    def make(text, known=()):
        file = tmp_path / "map.toml"
        file.write_text(text, encoding="utf-8")
        return read_genre_map(file, known)

    return make


def heard(*, independent=True, styles=(), thresholds=None, **probabilities):
    labels = tuple(name.replace("_", "-") for name in probabilities)
    return Prediction(
        labels,
        np.array(list(probabilities.values())),
        "m-1",
        thresholds=None if thresholds is None else np.array(thresholds),
        independent=independent,
        styles=styles,
        chunk_probabilities=np.array([list(probabilities.values())] * 2),
        chunk_starts_s=np.array([0.0, 4.0]),
    )


def example():
    return re.findall(r"```toml\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.S)


def test_the_example_of_the_docs(genre_map):
    mapping = genre_map(example()[0])
    assert mapping("Pop") is None
    assert mapping("Hip-Hop") == mapping("trap") == mapping("hip hop") == "Rap"
    assert mapping("R&B") == mapping("disco") == "Soul & Funk"
    assert mapping("House") == mapping("deep-house") == "Electronic"
    assert mapping("Jazz") == "Jazz"
    table = re.findall(r"^\| `\[?(\w+)\]?` \|", DOCS.read_text(encoding="utf-8"), re.M)
    assert set(table) == {"drop", "only", "rename", "merge", "parents", "aliases"}
    (said,) = re.findall(r"`map\.toml: line \d+: (.*?)`\.", DOCS.read_text(encoding="utf-8"))
    with pytest.raises(ConfigurationError) as raised:
        genre_map(example()[0].replace('"Hip-Hop" =', '"Hip-Hp" ='))
    assert said in str(raised.value)


def test_only_stops_at_the_nearest_above(genre_map):
    text = '[parents]\n"Deep House" = "House"\nHouse = "Electronic"\nTechno = "Electronic"\n'
    assert genre_map(text)("deep house") == "Electronic"
    nearest = genre_map(f'only = ["house", "Electronic"]\n{text}')
    assert [nearest(n) for n in ("Deep House", "House", "Techno", "Jazz")] == [
        *("House", "House", "Electronic"),
        None,
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("drops = []", r"line 1: unknown key 'drops' \(did you mean drop"),
        ("a = 1\n", "line 1: unknown key 'a' .there are: rename"),
        ('\ndrop = "Pop"', "line 2: drop has to be a list"),
        ('rename = ["Pop"]', "line 1: rename has to be a table"),
        ("drop = [\n'Pop',\n3,\n]", "line 3: 3 has to be a name"),
        ("drop = ['Pop',\n'Jaz']", r"line 2: no model has a genre 'Jaz' \(did you mean Jazz"),
        ("drop = ['Zydeco']", "line 1: no model has a genre 'Zydeco' .gtag genres lists"),
        ("[rename]\nDisko = 'Dance'", "line 2: no model has a genre 'Disko' .did you mean Disco"),
        ("[merge]\nDance = 'Disco'", "line 2: 'Dance' has to be a list"),
        ("[merge]\nDance = [\n'Disco',\n'Tecno']", "line 4: no model has .*did you mean Techno"),
        (
            "[rename]\nJazz = 'Rock; Pop'",
            "line 2: .*name: a name with ';'",
        ),
        ("[rename]\nJazz = ' '", "line 2: ' ' is not a valid"),
        ('[rename]\nJazz = "a\\u001b"', "line 2: .* is not a valid"),
        ("[rename]\nJazz = 'unknown'", "line 2: 'unknown' means that there is no genre"),
        ("[rename]\nJazz = 'Pop'\nPop = 'Jazz'", "line 2: goes in a circle: Jazz → Pop → Jazz"),
        ("[parents]\na = 'b'\nb = 'c'\nc = 'a'", "line 2: goes in a circle: a → b → c → a"),
        (
            "[rename]\nJazz = 'Blue'\n[parents]\nBlue = 'Jazz'",
            "line 4: goes in a circle: Blue → Jazz → Blue",
        ),
        (
            "[rename]\nJazz = 'Swing'\n[merge]\nBebop = ['Jazz']",
            "line 4: 'Jazz' is mapped to another name in line 2",
        ),
        (
            "[rename]\nJazz = 'Swing'\nPop = 'swing'",
            "line 3: 'swing' means the same as 'Swing' in line 2",
        ),
        ("drop = ['Jazz']\n[rename]\nJazz = 'Swing'", "line 1: 'Jazz' is dropped, and mapped to"),
        (
            "only = ['Jazz',\n'Elektronic']",
            "line 2: no genre is mapped .*did you mean Electronic",
        ),
        ("only = ['Jazz']\n[rename]\nJazz = 'Swing'", "line 1: 'Jazz' is never written"),
        ("only = ['Jazz']\ndrop = ['Jazz']", "line 1: 'Jazz' is never written"),
    ],
)
def test_mistakes_are_named_with_their_line(genre_map, text, said):
    with pytest.raises(ConfigurationError, match=said) as raised:
        genre_map(text)
    assert raised.value.exit_status == 2


def test_a_model_may_have_names_of_its_own(genre_map):
    assert genre_map('drop = ["Polka"]', ["Polka"])("polka") is None


KNOWN = [*vocabulary(), *vocabulary()["Electronic"]]
some_name = st.sampled_from(
    [*KNOWN, "Rap", "hip hop", "Swing", "swing", "Beat", "EDM", "Deep House"]
)
a_known_one = st.sampled_from(KNOWN)


@given(
    text=st.fixed_dictionaries(
        {},
        optional={
            "drop": st.lists(a_known_one, max_size=2),
            "only": st.lists(some_name, min_size=1, max_size=8),
            "rename": st.dictionaries(a_known_one, some_name, max_size=4),
            "merge": st.dictionaries(some_name, st.lists(a_known_one, max_size=3), max_size=2),
            "parents": st.dictionaries(some_name, some_name, max_size=6),
            "aliases": st.dictionaries(some_name, st.lists(some_name, max_size=3), max_size=2),
        },
    ),
    names=st.lists(some_name, min_size=1),
    probabilities=st.lists(st.floats(0, 1), min_size=4, max_size=4),
    independent=st.booleans(),
)
@settings(max_examples=300)
def test_whatever_a_map_says(tmp_path_factory, text, names, probabilities, independent):
    import tomli_w

    file = tmp_path_factory.mktemp("maps") / "map.toml"
    file.write_text(tomli_w.dumps(text), encoding="utf-8")
    try:
        mapping = read_genre_map(file)
    except ConfigurationError as error:
        assert "line" in str(error)
        assume(False)
    for name in names:
        written = mapping(name)
        if written is None:
            continue
        # Applied again it changes nothing, and what it gives means the same to it.
        assert mapping(written) == written
        assert mapping.key(written) == mapping.key(name) == same_name(written)
        assert same_name(written) not in {same_name(n) for n in text.get("drop", [])}
        if "only" in text:
            assert same_name(written) in {same_name(n) for n in text["only"]}
    labels = ("Jazz", "Disco", "Electronic", "Hip-Hop")
    assume(any(map(mapping, labels)))
    said = Prediction(labels, np.array(probabilities), "m-1", independent=independent)
    mapped = mapping.of(said)
    assert set(mapped.labels) == set(map(mapping, labels)) - {None}
    assert all(p in probabilities for p in mapped.probabilities) or not independent
    assert mapped.probabilities.sum() <= sum(probabilities) + 1e-9
    twice = mapping.of(mapped)
    assert twice.labels == mapped.labels
    assert np.array_equal(twice.probabilities, mapped.probabilities)


def test_of_independent_genres_the_most_probable_counts_and_one_threshold_is_enough(genre_map):
    mapping = genre_map('[merge]\nUrban = ["Hip-Hop", "R&B"]', ())
    said = Prediction(
        ("Hip-Hop", "R&B", "Jazz"),
        np.array([0.6, 0.55, 0.1]),
        "m-1",
        thresholds=np.array([0.7, 0.5, 0.5]),
        independent=True,
        chunk_probabilities=np.array([[0.2, 0.9, 0.1]]),
        chunk_starts_s=np.array([0.0]),
    )
    mapped = mapping.of(said)
    assert mapped.ranked() == [("Urban", 0.6), ("Jazz", 0.1)]
    assert mapped.chunk_probabilities is not None
    assert mapped.chunk_probabilities.tolist() == [[0.9, 0.1]]
    assert decide(mapped, TagState(), Policy(genre_map=mapping)).genres == ("Urban",)
    neither = mapping.of(Prediction(said.labels, np.array([0.6, 0.4, 0.1]), "m-1", said.thresholds))
    assert decide(neither, TagState(), Policy(genre_map=mapping)).genres == ("Urban",)  # 1.0
    neither = mapping.of(
        Prediction(said.labels, np.array([0.6, 0.4, 0.1]), "m-1", said.thresholds, independent=True)
    )
    assert decide(neither, TagState(), Policy(genre_map=mapping)).status is Status.UNSURE


def test_probabilities_of_genres_that_exclude_each_other_add_up(genre_map):
    mapping = genre_map('[merge]\nDance = ["Disco", "Electronic"]')
    mapped = mapping.of(heard(independent=False, Disco=0.3, Rock=0.4, Electronic=0.25))
    assert mapped.genre == "Dance"
    assert mapped.confidence == pytest.approx(0.55)


def test_instead_of_a_dropped_genre_the_next_may_be_written(genre_map):
    policy = Policy(genre_map=genre_map('drop = ["Pop"]'))
    mapped = policy.genre_map.of(heard(Pop=0.9, Rock=0.7, Jazz=0.1))
    assert decide(mapped, TagState(), policy).genres == ("Rock",)
    unsure = policy.genre_map.of(heard(Pop=0.9, Rock=0.2, Jazz=0.1))
    decision = decide(unsure, TagState(), policy)
    assert decision.status is Status.UNSURE
    assert decision.reason.startswith("the genre map drops Pop 0.90; Rock 0.20 or Jazz")


def test_styles_have_names_of_their_own(genre_map):
    styles = (
        Style("House", "Electronic", 0.5, 0.6),
        Style("Techno", "Electronic", 0.3, 0.6),
        Style("Trance", "Electronic", 0.1, 0.6),
    )
    said = heard(Electronic=0.9, Jazz=0.1, styles=styles)

    def named(text):
        policy = Policy(detail="style", genre_map=genre_map(text))
        return decide(policy.genre_map.of(said, "style"), TagState(), policy).genres

    assert named('[rename]\nHouse = "Club"') == ("Electronic",)
    assert named('[merge]\nClub = ["House", "Techno"]') == ("Club",)
    assert named('drop = ["House"]') == ("Electronic",)
    assert named('[parents]\nHouse = "Electronic"') == ("Electronic",)
    assert named('[merge]\nClub = ["House", "Techno"]\n[rename]\nElectronic = "EDM"') == ("Club",)
    # The genre is not among what may be written; the style is.
    assert named('only = ["Club", "Jazz"]\n[merge]\nClub = ["House", "Techno"]') == ("Club",)


def test_what_is_below_a_genre_stays_below_it_under_its_new_name(genre_map):
    said = heard(Rock=0.9, Punk=0.8, Metal=0.1, Jazz=0.2)

    def written(text, detail="both"):
        policy = Policy(detail=detail, genres=2, genre_map=genre_map(text))
        return decide(policy.read(said), TagState(), policy).genres

    assert written("") == ("Rock", "Punk")
    assert written("[rename]\nRock = 'Guitars'\nPunk = 'Noise'") == ("Guitars", "Noise")
    assert written("drop = ['Rock']") == ("Punk",)
    assert written("drop = ['Punk']") == ("Rock",)
    assert written("[parents]\nPunk = 'Rock'") == ("Rock",)
    assert written("[merge]\nLoud = ['Punk', 'Metal']") == ("Rock", "Loud")
    # Jazz is not below Rock, so neither is what became of it.
    assert written("[merge]\nLoud = ['Punk', 'Jazz']") == ("Rock", "Loud")
    mixed = genre_map("[merge]\nLoud = ['Punk', 'Jazz']").of(said)
    assert mixed.tree == {"Metal": "Rock"}
    assert written("[rename]\nRock = 'Guitars'\nPunk = 'Noise'", "genre") == ("Noise", "Guitars")


def test_a_style_that_is_called_like_a_genre_is_written_once(genre_map):
    styles = (Style("House", "Electronic", 0.8, 0.6),)
    mapping = genre_map('[rename]\nHouse = "Disco"')
    policy = Policy(genres=3, detail="style", genre_map=mapping)
    said = mapping.of(heard(Electronic=0.9, Disco=0.7, styles=styles), "style")
    assert decide(said, TagState(), policy).genres == ("Disco",)


@pytest.mark.parametrize("wrote", ["Rap", "hiphop", "Hip Hop", "TRAP", "Boom-Bap", "Rap/Hip Hop"])
def test_what_a_person_wrote_under_another_name_says_the_same(genre_map, wrote):
    mapping = genre_map(example()[0])
    tags = TagState(genres=(wrote,))
    said = mapping.of(heard(Hip_Hop=0.9, Jazz=0.1))
    decision = decide(said, tags, Policy(existing="append", genre_map=mapping))
    assert decision.status is Status.KEPT
    assert decide(said, tags, Policy(genre_map=mapping)).status is Status.KEPT
    plain = decide(
        heard(Hip_Hop=0.9, Jazz=0.1), TagState(genres=("Hip Hop",)), Policy(existing="append")
    )
    assert plain.status is Status.KEPT


def test_gtags_own_genre_is_written_anew_under_a_new_name(genre_map):
    mapping = genre_map(example()[0])
    said = mapping.of(heard(Hip_Hop=0.9, Jazz=0.1))
    policy = Policy(genre_map=mapping)
    before = TagState(genres=("Hip-Hop",), gtag_genre=("Hip-Hop",), gtag_model="m-1")
    change = decide(said, before, policy).change
    assert change is not None and change.genres == change.gtag_genre == ("Rap",)
    after = TagState(genres=("Rap",), gtag_genre=("Rap",), gtag_model="m-1")
    assert decide(said, after, policy).status is Status.UNCHANGED


def test_a_map_that_leaves_nothing_is_refused(tmp_path):
    file = tmp_path / "map.toml"
    file.write_text('only = ["House", "Techno"]')
    card = zoo.find("cnn")
    with pytest.raises(ConfigurationError, match=f"drops every genre of {card.tag}"):
        genre_map_for(file, card)
    assert genre_map_for(file, card, "style")


def test_without_a_map_nothing_is_touched():
    said = heard(Hip_Hop=0.9, Jazz=0.1)
    assert GenreMap().of(said) is said
    assert GenreMap()("hip hop") == "hip hop"


TREE = """\
- electronic:
    - disco
    - house:
        - deep house
        - house music
    - electronica:
        - idm
- rock:
    - heavy metal:
        - doom metal
- rap:
    - hip hop:
        - trap
    - trap
"""


def test_a_tree_of_beets_becomes_a_map(tmp_path, genre_map):
    tree = tmp_path / "tree.yaml"
    tree.write_text(TREE)
    text = map_of_tree(tree)
    assert tomllib.loads(text)["parents"] == {
        "Disco": "Electronic",
        "House": "Electronic",
        "Deep House": "House",
        "IDM": "Electronic",
        "Metal": "Rock",
        "Doom Metal": "Metal",
        "Trap": "Hip-Hop",
    }
    mapping = genre_map(text)
    assert [mapping(n) for n in ("deep house", "Metal", "Jazz")] == ["Electronic", "Rock", "Jazz"]


def test_the_tree_that_comes_with_beets(genre_map):
    beets = pytest.importorskip("beets")
    tree = Path(beets.__file__).parents[1] / "beetsplug" / "lastgenre" / "genres-tree.yaml"
    only = example()[1]
    text = map_of_tree(tree)
    assert genre_map(text)("Metal") == "Rock"
    mapping = genre_map(only + text)
    names = tomllib.loads(only)["only"]
    assert [mapping(name) for name in names] == names
    assert mapping("black metal") == "Metal"
    assert mapping("chicago house") == "Electronic"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- a:\n  - b\n c", "line 3: invalid YAML"),
        ("- [a, b]: c\n", "line 1: invalid YAML: found unhashable key"),
        ("", "no tree"),
        ("- a\n- b\n", "no tree"),
        ("- !!python/object/apply:os.system ['true']\n", "no tree"),
        ("[" * 5000, "not a YAML tree"),
    ],
)
def test_what_is_no_tree_is_refused(tmp_path, text, said):
    tree = tmp_path / "tree.yaml"
    tree.write_text(text)
    with pytest.raises(ConfigurationError, match=said):
        map_of_tree(tree)


def test_anchors_do_not_multiply(tmp_path):
    levels = "\n".join(f"- &l{i} x{i}: [{', '.join([f'*l{i - 1}'] * 9)}]" for i in range(1, 40))
    tree = tmp_path / "tree.yaml"
    tree.write_text(f"- &l0 x0: [y]\n{levels}\n")
    assert tomllib.loads(map_of_tree(tree))["parents"]


def test_a_long_chain_of_parents_is_read_in_one_pass(genre_map):
    """Regression: the search for circles took the square of its length, and every message more."""
    names = [f"n{i}" for i in range(3000)]
    chain = "".join(f"{a} = '{b}'\n" for a, b in pairwise(names))
    read = genre_map(f"[parents]\n{chain}")
    assert read("n0") == "n2999"
    with pytest.raises(ConfigurationError, match=r"circle: n0 → .* → … → .* → n0") as caught:
        genre_map(f"[parents]\n{chain}n2999 = 'n0'\n")
    assert len(str(caught.value)) < 400
