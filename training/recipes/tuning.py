"""Hyperparameters, chosen by the log loss on artists set aside."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tagger.system.errors import DataError
from tagger.training.data.feature_table import Table
from tagger.training.measure.calibrate import apply_temperature, fit_temperature
from tagger.training.measure.splits import set_aside

if TYPE_CHECKING:
    import optuna

    from tagger.training.recipes.fitting import Settings


def tune(
    table: Table,
    settings: Settings,
    *,
    start: Mapping[str, Any],
    space: Callable[[optuna.Trial], dict[str, Any]],
    predict: Callable[[Mapping[str, Any], np.ndarray, np.ndarray], np.ndarray],
) -> dict[str, Any]:
    """The best of `settings.tune` sets of hyperparameters; without any trials, `start`.

    Parameters
    ----------
    start : mapping
        The recipe's own: tried first.
    space : callable
        Draws a set.
    predict : callable
        Given a set, rows to learn from and other rows: log probabilities of the latter.
    """
    if not settings.tune:
        return dict(start)
    folds = []
    for learn, aside in set_aside(table.examples, settings.seed):
        aside = aside[np.isin(table.target[aside], table.target[learn])]
        if len(aside) and len(np.unique(table.target[learn])) > 1:
            folds.append((learn, aside))
    if not folds:
        raise DataError(
            "there is nothing to tune by: no genre has two artists",
            hint="without --tune the recipe's own hyperparameters are used",
        )

    def loss(trial: optuna.Trial) -> float:
        parameters = space(trial)
        losses = []
        for learn, aside in folds:
            said, truth = predict(parameters, learn, aside), table.target[aside]
            # Calibrated, so that what is chosen ranks well, whatever it makes of confidence.
            probabilities = apply_temperature(said, fit_temperature(said, truth))
            losses.append(-np.log(probabilities[np.arange(len(truth)), truth] + 1e-12))
        return float(np.concatenate(losses).mean())

    return search(loss, start, settings)


def search(
    loss: Callable[[optuna.Trial], float], start: Mapping[str, Any], settings: Settings
) -> dict[str, Any]:
    """The set with the lowest loss of `settings.tune` trials, the first of which is `start`."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=settings.seed))
    study.enqueue_trial(dict(start))
    study.optimize(loss, n_trials=settings.tune, show_progress_bar=settings.reporter.shown)
    return dict(study.best_params)
