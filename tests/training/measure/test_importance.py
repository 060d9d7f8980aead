"""What features are worth: found where it is known beforehand."""

from __future__ import annotations

import numpy as np
import pytest

from tagger.models.prediction import log_softmax
from tagger.training.measure.importance import TRACKS, permutation_importance


def listens_to(column: int, asked: list[int] | None = None):
    def ask(rows: np.ndarray) -> np.ndarray:
        if asked is not None:
            asked.append(len(rows))
        return log_softmax(np.column_stack([rows[:, column], -rows[:, column]]))

    return ask


def sounds(n: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    target = np.arange(n) % 2
    rows = rng.standard_normal((n, 5))
    rows[:, 2] = 3 - 6 * target
    return rows, target


def test_a_feature_that_is_not_listened_to_is_worth_nothing():
    rows, target = sounds(60)
    before = rows.copy()
    rises = permutation_importance(listens_to(2), rows, target, seed=0)
    # Half of the shuffled ones are wrong, by 6 nats each.
    assert rises[2] == pytest.approx(3, abs=0.7)
    assert (np.delete(rises, 2) == 0).all()
    np.testing.assert_array_equal(rows, before)


def test_the_same_seed_finds_the_same():
    rows, target = sounds(40)
    first, again, other = (
        permutation_importance(listens_to(2), rows, target, seed=seed) for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_what_it_costs_does_not_grow_with_the_data_set():
    asked: list[int] = []
    rows, target = sounds(3000)
    rises = permutation_importance(listens_to(2, asked), rows, target, seed=0)
    assert max(asked) <= 3 * TRACKS and rises[2] == pytest.approx(3, abs=0.7)
