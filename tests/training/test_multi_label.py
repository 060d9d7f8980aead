"""Learning from partial labels: what is left open, artists apart, thresholds."""

from __future__ import annotations

import numpy as np
import pytest

from tagger.deciding.decide import Policy, named_genres
from tagger.models.prediction import Prediction, sigmoid
from tagger.training import multi_label
from tagger.training.bundled.styles import fit_styles
from tagger.training.data.fingerprints import N_BYTES
from tagger.training.data.partial_labels import Known
from tagger.training.data.track_views import Item, Tracks
from tagger.training.multi_label import (
    Family,
    find_thresholds,
    fit_platt,
    fold_of,
    measure,
    out_of_fold,
    targets,
    threshold_of,
)
from tagger.training.recipes import multi_label as networks
from tagger.training.recipes import multi_label_trees as trees

LABELS = ["Electronic", "Jazz", "Rock"]


def items(n: int = 120) -> list[Item]:
    made = []
    for i in range(n):
        genre = LABELS[i % 3]
        left_open = frozenset({"Jazz"}) if genre == "Rock" and i % 2 else frozenset[str]()
        style = ("House", "Techno")[i % 2] if genre == "Electronic" else ""
        known = Known(frozenset({genre}), left_open, style)
        made.append(Item(f"t{i}", "songs", f"songs:{i // 6}", known))
    made += [
        Item(f"n{i}", "noises", f"noises:{i}", Known(frozenset()), kind=("noise", "voice")[i % 2])
        for i in range(24)
    ]
    return made


def tracks(estimated: int = 0) -> Tracks:
    """Each genre, style and kind has a direction of its own."""
    rng = np.random.default_rng(0)
    listed = items()
    ways = rng.normal(size=(8, 12))
    names = [*LABELS, "noise", "voice", "House", "Techno"]
    rows = rng.normal(0, 0.8, (len(listed), 12))
    for row, item in zip(rows, listed, strict=True):
        for name in {*item.known.genres, item.known.style, item.kind} - {""}:
            row += 2 * ways[names.index(name)]
    guessed = np.arange(len(listed)) < estimated
    marks = rng.integers(0, 256, (len(listed), N_BYTES), dtype=np.uint8)
    return Tracks(
        items=tuple(listed),
        estimated=guessed,
        estimate=rows.copy(),
        embedding=rows,
        spread=rows.copy(),
        yamnet=rows.copy(),
        yamnet_logits=rows.copy(),
        music=np.array([0.05 if item.kind else 0.9 for item in listed]),
        narrow=rows.copy(),
        highest_hz=np.full(len(listed), 11_000.0),
        liveliness=np.full(len(listed), 5.0),
        fingerprint=marks,
    )


def test_targets_are_one_zero_or_unknown():
    table = targets(items()[:3] + items()[5:6], LABELS)
    np.testing.assert_array_equal(table[:3], np.eye(3))
    assert np.isnan(table[3, 1]) and table[3, 2] == 1
    assert not targets(items()[-1:], LABELS).any()


def test_a_few_tracks_all_right_do_not_make_a_slope_steep():
    """Regression: with nothing wrong there was no end to the slope."""
    slope, _ = fit_platt(np.array([1.0, -1.0] * 6), np.array([1.0, 0.0] * 6))
    assert 1 < slope < 5


def test_an_artist_is_never_on_both_sides():
    artists = [f"a{i // 3}" for i in range(90)]
    folds = fold_of(artists, seed=1)
    assert len(set(folds)) == multi_label.FOLDS
    for artist in set(artists):
        assert len({f for f, a in zip(folds, artists, strict=True) if a == artist}) == 1
    np.testing.assert_array_equal(folds, fold_of(artists, seed=1))


def test_out_of_fold_never_asks_about_what_was_learned():
    rows = np.arange(20.0)[:, None]
    folds = np.arange(20) % 4

    def fit(learned, table, weights, seed):
        assert len(weights) == len(learned)

        def ask(asked):
            assert not set(asked.ravel()) & set(learned.ravel())
            return np.full((len(asked), 1), len(learned))

        return ask

    np.testing.assert_array_equal(out_of_fold(fit, rows, np.zeros((20, 1)), np.ones(20), folds), 15)


def test_platts_scaling_makes_logits_mean_what_they_say():
    rng = np.random.default_rng(0)
    honest = rng.normal(0, 2, 20_000)
    truth = (rng.random(20_000) < sigmoid(honest)).astype(float)
    slope, offset = fit_platt(3 * honest + 1, truth)
    assert slope == pytest.approx(1 / 3, rel=0.1)
    assert offset == pytest.approx(-1 / 3, abs=0.1)


@pytest.mark.parametrize("recipe", ["networks", "trees"])
def test_genres_are_learned_from_partial_labels(recipe, monkeypatch):
    monkeypatch.setattr(networks, "EPOCHS", 20)
    given = tracks()
    table = targets(given.items, LABELS)

    def fit(rows, known, weights, seed):
        if recipe == "trees":
            booster = trees.fit_trees(rows, known, weights=weights, seed=seed)
            return lambda asked: trees.predict(booster, asked)
        arrays = networks.fit_networks(rows, known, weights=weights, networks=1, seed=seed)
        return lambda asked: networks.predict(arrays, asked)

    folds = fold_of([item.artist for item in given.items], folds=2)
    logits = out_of_fold(fit, given.embedding, table, np.ones(len(table)), folds)
    music = [i for i, item in enumerate(given.items) if not item.kind]
    right = logits[music].argmax(axis=1) == np.nan_to_num(table[music]).argmax(axis=1)
    assert right.mean() > 0.85


def test_what_is_left_open_has_no_say():
    """The same networks, whatever stands for an unknown label."""
    given = tracks()
    table = targets(given.items, LABELS)
    unknown = table.copy()
    unknown[:, 2] = np.nan
    unknown[:4, 2] = table[:4, 2]
    booster = trees.fit_trees(given.embedding, unknown)
    said = trees.predict(booster, given.embedding)
    assert np.abs(said[:, 2]).max() < np.abs(said[:, 0]).max()


def test_the_same_seed_gives_the_same_networks(monkeypatch):
    monkeypatch.setattr(networks, "EPOCHS", 5)
    given = tracks()
    table = targets(given.items, LABELS)
    first, again = (
        networks.packed(networks.fit_networks(given.embedding, table, networks=1, seed=3))
        for _ in range(2)
    )
    assert first == again


def test_rows_of_no_weight_have_no_say():
    given = tracks()
    table = targets(given.items, LABELS)
    weights = np.where(np.arange(len(table)) % 3 == 0, 0.0, 1.0)
    wrong = np.where(weights[:, None] == 0, 1 - table, table)
    right, again = (
        trees.predict(trees.fit_trees(given.embedding, t, weights=weights), given.embedding)
        for t in (table, wrong)
    )
    np.testing.assert_array_equal(right, again)


def test_each_kind_of_input_counts_alike():
    rng = np.random.default_rng(0)
    standard = rng.normal(size=(400, 60))
    projection = networks.principal_components(standard, [10, 50])
    assert projection.shape == (60, 60)
    assert not projection[:10, 10:].any() and not projection[10:, :10].any()
    components = standard @ projection
    for part in (components[:, :10], components[:, 10:]):
        assert part.var(axis=0).sum() == pytest.approx(networks.VARIANCE, rel=0.1)


def test_a_threshold_is_where_the_aimed_share_is_right():
    confidence = np.linspace(0.99, 0.6, 100)
    right = np.ones(100)
    right[60::2] = 0  # from there on every second one is wrong
    table = np.column_stack([right, 1 - right])
    probabilities = np.column_stack([confidence, np.full(100, 0.01)])
    jazz, rock = find_thresholds(probabilities, table, ["Jazz", "Rock"], np.ones(100))
    for aim, threshold in jazz.aims:
        named = confidence >= threshold
        # A little more, since expected tracks are counted beside those that were.
        assert max(aim, right.mean()) - 1e-9 <= right[named].mean() <= max(aim, 0.8) + 0.04
    thresholds = [threshold for _, threshold in jazz.aims]
    assert thresholds == sorted(thresholds) and thresholds[0] < thresholds[-1]
    named = confidence >= jazz.threshold
    assert jazz.named == named.sum() and jazz.right == right[named].sum()
    assert rock.threshold == multi_label.NOT_NAMED


def test_a_handful_that_is_right_by_chance_sets_no_threshold():
    confidence, right = np.full(5, 0.6), np.ones(5)
    assert threshold_of(confidence, right, 0.8) is None
    assert threshold_of(np.full(40, 0.6), np.ones(40), 0.8) == 0.6


def test_all_that_is_named_reaches_the_aim_and_each_genre_the_least():
    """A frequent genre that is right 95 times of 100 does not pay for a rare one that is not."""
    rng = np.random.default_rng(0)
    n = 4000
    rock = rng.random(n) < 0.9
    confidence = rng.uniform(0.5, 1.0, n)
    right = rng.random(n) < np.where(rock, confidence * 0.97, confidence - 0.3)
    probabilities = np.column_stack(
        [np.where(rock, 0.1, confidence), np.where(rock, confidence, 0.1)]
    )
    table = np.column_stack([~rock & right, rock & right]).astype(float)
    figures = find_thresholds(probabilities, table, ["Jazz", "Rock"], np.ones(n))
    for place, aim in enumerate(multi_label.AIMS):
        limits = np.array([f.aims[place][1] for f in figures])
        named = Family(["Jazz", "Rock"]).named(probabilities, limits)
        truth = table[np.arange(n), np.maximum(named, 0)]
        assert truth[named >= 0].mean() >= aim - 0.01 or (limits >= 1).all()
        for j in (0, 1):
            if (named == j).sum() > 50:
                assert truth[named == j].mean() >= min(aim, multi_label.LEAST) - 0.02


def test_a_sure_child_is_named_and_a_sure_parent_stands_for_an_unsure_child():
    labels = ["Jazz", "Punk", "Rock"]
    probabilities = np.array(
        [
            [0.1, 0.8, 0.9],  # both are sure
            [0.1, 0.6, 0.9],  # Punk is not
            [0.1, 0.65, 0.6],  # Punk is the best, but only Rock is sure
            [0.1, 0.75, 0.4],  # only Punk is sure
            [0.2, 0.3, 0.4],  # nothing is
        ]
    )
    named = Family(labels).named(probabilities, np.array([0.5, 0.7, 0.5]))
    assert [labels[j] if j >= 0 else "" for j in named] == ["Punk", "Rock", "Rock", "Punk", ""]


def test_the_report_and_a_scan_name_alike():
    """`Family.named` says what `tagger.deciding.decide` does."""
    labels = ("Jazz", "Metal", "Punk", "R&B", "Rock", "Soul")
    rng = np.random.default_rng(0)
    probabilities, thresholds = rng.random((3000, 6)), rng.uniform(0.3, 0.9, 6)
    named = Family(labels).named(probabilities, thresholds)
    for row, j in zip(probabilities, named, strict=True):
        said = Prediction(labels, row, "many-1", thresholds=thresholds, independent=True)
        names = [name for name, _ in named_genres(said, Policy())]
        assert names == ([labels[j]] if j >= 0 else [])


def test_what_has_no_weight_is_neither_named_nor_counted():
    table = np.array([[1.0]] * 10 + [[0.0]] * 10)
    probabilities = np.full((20, 1), 0.9)
    music = (np.arange(20) < 10).astype(float)
    (figures,) = find_thresholds(probabilities, table, ["Jazz"], music)
    assert (figures.named, figures.right) == (10, 10)


def test_the_report_counts_what_a_scan_would_do():
    given = tracks(estimated=3)
    table = targets(given.items, LABELS)
    probabilities = np.nan_to_num(table) * 0.9 + 0.01
    figures = find_thresholds(probabilities, table, LABELS, (~given.doubted).astype(float))
    report = measure(given, probabilities, table, LABELS, figures)
    assert report.shares["right, of songs"] == (117, 117)  # without the three that are estimated
    assert report.shares["named, of recorded noise and voices"] == (0, 24)
    assert report.shares["named, of music outside the model's genres"] == (0, 0)
    assert report.ece == pytest.approx(0.09, abs=0.01)
    fewer = measure(given, probabilities[:, 1:], table[:, 1:], LABELS[1:], figures[1:])
    named, n = fewer.shares["named, of music outside the model's genres"]
    assert n == 39 and named == 0
    assert any("n = 117" in line for line in report.lines())


def test_styles_that_can_be_told_apart_get_a_threshold():
    given = tracks()
    folds = fold_of([item.artist for item in given.items])
    _, styles = fit_styles(given, given.embedding, folds)
    assert [row["name"] for row in styles] == ["House", "Techno"]
    assert all(row["threshold"] < 1 and row["precision"] >= 0.8 for row in styles)
    assert [row["genre"] for row in styles] == ["Electronic", "Electronic"]
