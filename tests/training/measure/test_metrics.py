"""Figures, against scikit-learn and by their properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from tagger.training.measure.calibrate import apply_temperature, cross_fitted, fit_temperature
from tagger.training.measure.metrics import (
    Measured,
    accuracy_by_coverage,
    calibration_error,
    confusion_matrix,
    coverage_at_precision,
    figures,
    per_genre,
    threshold_for_precision,
    wilson,
)

LABELS = ("Blues", "Jazz", "Rock")


def make(n: int, seed: int = 0, sharpness: float = 2.0) -> Measured:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, n)
    logits = rng.standard_normal((n, 3)) + sharpness * np.eye(3)[truth]
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return Measured(LABELS, truth, probabilities, tuple(map(str, range(n))))


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    # Brown, Cai & DasGupta 2001 give the formula; values from R's prop.test(correct=FALSE).
    [(5, 10, 0.2366, 0.7634), (0, 10, 0.0, 0.2775), (193, 290, 0.6094, 0.7174)],
)
def test_wilson(hits, n, low, high):
    assert wilson(hits, n) == pytest.approx((low, high), abs=5e-4)


@given(st.integers(1, 500), st.data())
def test_wilson_holds_the_proportion_and_stays_in_bounds(n, data):
    hits = data.draw(st.integers(0, n))
    low, high = wilson(hits, n)
    assert 0 <= low <= hits / n + 1e-12 and hits / n - 1e-12 <= high <= 1


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_figures_agree_with_scikit_learn(seed):
    measured = make(60, seed)
    guesses = measured.guesses
    assert figures(measured)["accuracy"] == pytest.approx(
        sk.accuracy_score(measured.truth, guesses)
    )
    present = sorted(set(measured.truth))
    assert figures(measured)["macro_f1"] == pytest.approx(
        sk.f1_score(measured.truth, guesses, labels=present, average="macro", zero_division=0)
    )
    np.testing.assert_array_equal(
        confusion_matrix(measured), sk.confusion_matrix(measured.truth, guesses, labels=[0, 1, 2])
    )
    precision = sk.precision_score(
        measured.truth, guesses, labels=[0, 1, 2], average=None, zero_division=0
    )
    assert [row["precision"] for row in per_genre(measured).values()] == pytest.approx(
        list(precision)
    )


def test_a_confidence_that_is_right_has_no_calibration_error():
    truth = np.array([0] * 8 + [1] * 2)
    probabilities = np.tile([0.8, 0.2, 0.0], (10, 1))
    measured = Measured(LABELS, truth, probabilities, ("",) * 10)
    assert calibration_error(measured.bins) == pytest.approx(0)


def test_a_few_tracks_all_right_do_not_make_a_model_certain():
    """Regression: 100 % right out of fold gave temperature 0.05 and a confidence of 1.00."""
    truth = np.arange(27) % 3
    scores = np.log(np.where(np.eye(3)[truth] == 1, 0.6, 0.2))
    temperature = fit_temperature(scores, truth)
    assert 0.25 < temperature < 1
    assert apply_temperature(scores, temperature).max() < 0.995
    many = fit_temperature(np.tile(scores, (100, 1)), np.tile(truth, 100))
    assert many < temperature, "of many tracks their own calibration counts"


def test_a_threshold_that_few_tracks_set_is_by_the_lower_bound():
    """Regression: a threshold of 0.33 from 30 tracks."""
    confidence = np.linspace(0.9, 0.31, 30)
    probabilities = np.column_stack([confidence, 1 - confidence, np.zeros(30)])
    truth = np.where(np.arange(30) % 5 == 4, 2, probabilities.argmax(axis=1))
    measured = Measured(LABELS, truth, probabilities, tuple(map(str, range(30))))
    assert threshold_for_precision(measured, 0.8) < 0.6
    assert threshold_for_precision(measured, 0.8, surely=True) == 1.0
    sure = Measured(LABELS, probabilities.argmax(axis=1), probabilities, measured.tracks)
    assert threshold_for_precision(sure, 0.8, surely=True) < 1.0


def test_overconfidence_shows_and_a_temperature_mends_it():
    measured = make(3000, sharpness=1.0)
    overconfident = 4 * np.log(measured.probabilities)
    temperature = fit_temperature(overconfident, measured.truth)
    before = Measured(LABELS, measured.truth, apply_temperature(overconfident, 1), measured.tracks)
    after = Measured(
        LABELS, measured.truth, apply_temperature(overconfident, temperature), measured.tracks
    )
    assert calibration_error(before.bins) > 0.1
    assert calibration_error(after.bins) < calibration_error(before.bins) / 3
    assert (before.guesses == after.guesses).all()


def test_a_fold_is_calibrated_by_the_others():
    rng = np.random.default_rng(0)
    scores = rng.standard_normal((200, 3))
    truth = rng.integers(0, 3, 200)
    folds = ["a"] * 100 + ["b"] * 100
    calibrated = cross_fitted(scores, truth, folds)
    truth_of_a_changed = np.concatenate([rng.integers(0, 3, 100), truth[100:]])
    again = cross_fitted(scores, truth_of_a_changed, folds)
    np.testing.assert_array_equal(calibrated[:100], again[:100])
    assert not np.allclose(calibrated[100:], again[100:])


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.5, 0.8, 0.9]))
def test_at_the_threshold_precision_is_reached(seed, precision):
    measured = make(80, seed)
    threshold = threshold_for_precision(measured, precision)
    named = measured.confidences >= threshold
    if threshold < 1.0:
        assert measured.right[named].mean() >= precision
        assert coverage_at_precision(measured, precision) == pytest.approx(named.mean())
    else:
        assert coverage_at_precision(measured, precision) == 0


def test_accuracy_by_coverage_ends_with_the_accuracy_of_all():
    measured = make(50)
    _, coverage, accuracy = accuracy_by_coverage(measured)
    assert coverage[-1] == 1 and accuracy[-1] == pytest.approx(measured.right.mean())


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_each_figure_of_a_genre_lies_in_its_interval(seed):
    measured = make(30, seed)
    for i, row in enumerate(per_genre(measured).values()):
        if not row["n"]:
            assert {*row.values()} == {None, 0}
            continue
        for name in ("accuracy", "precision", "recall", "f1"):
            assert 0 <= row[f"{name}_low"] <= row[name] + 1e-9
            assert row[name] - 1e-9 <= row[f"{name}_high"] <= 1
        assert row["f1"] == pytest.approx(
            sk.f1_score(measured.truth == i, measured.guesses == i, zero_division=0)
        )
        assert row["accuracy"] == pytest.approx(
            sk.accuracy_score(measured.truth == i, measured.guesses == i)
        )


def test_reliability_counts_each_track_once():
    measured = make(200)
    bins = measured.bins
    assert sum(b.n for b in bins) == 200
    assert sum(b.n * b.accuracy for b in bins) == pytest.approx(measured.right.sum())
    assert all(b.low <= b.confidence <= b.high for b in bins)


def test_a_genre_without_tracks_is_not_measured():
    """Regression: its recall was 0.00, and its accuracy 1.00."""
    measured = Measured(LABELS, np.array([0]), np.array([[1.0, 0.0, 0.0]]), ("a",))
    rows = per_genre(measured)
    assert rows["Rock"]["n"] == 0 and {*rows["Rock"].values()} == {0, None}
    # Nor is there anything to tell a genre from where all tracks are of it.
    assert rows[LABELS[0]]["recall"] == 1 and rows[LABELS[0]]["roc_auc"] is None
