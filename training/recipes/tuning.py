"""Hyperparameters, chosen by the log loss on artists set aside."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from tagger.system.errors import DataError
from tagger.training.data.feature_table import Table
from tagger.training.measure.calibrate import apply_temperature, fit_temperature
from tagger.training.measure.splits import known_folds
from tagger.training.recipes.estimators import OnRows

if TYPE_CHECKING:
    import optuna

    from tagger.training.recipes.fitting import Settings

Estimator = TypeVar("Estimator", bound=OnRows)


def tune(table: Table, settings: Settings, make: Callable[..., Estimator]) -> Estimator:
    """Return an estimator with the best of `settings.tune` sets of hyperparameters, not fitted.

    Without trials, with its own.

    Parameters
    ----------
    make : callable
        Makes an estimator with a set.
    """
    folds = known_folds(table.examples, table.target, settings.seed) if settings.tune else []
    if settings.tune and not folds:
        raise DataError(
            "there is nothing to tune by: no genre has two artists",
            hint="without --tune the recipe's own hyperparameters are used",
        )

    def loss(estimator: Estimator) -> float:
        losses = []
        for learn, aside in folds:
            estimator.fit(table.rows[learn], table.target[learn])
            said = estimator.predict_log_proba(table.rows[aside])
            truth = np.searchsorted(estimator.classes_, table.target[aside])
            # Calibrated, so that what is chosen ranks well, whatever it makes of confidence.
            probabilities = apply_temperature(said, fit_temperature(said, truth))
            losses.append(-np.log(probabilities[np.arange(len(truth)), truth] + 1e-12))
        return float(np.concatenate(losses).mean())

    return search(loss, make, settings)


def search(
    loss: Callable[[Estimator], float], make: Callable[..., Estimator], settings: Settings
) -> Estimator:
    """Return the estimator with the lowest loss of `settings.tune` trials; its own set is first.

    Sets are drawn from the ranges of the estimator.
    """
    own = make()
    if not settings.tune:
        return own
    import optuna

    def drawn(trial: optuna.Trial) -> float:
        parameters = {
            name: trial.suggest_int(name, low, high)
            if isinstance(low, int) and isinstance(high, int)
            else trial.suggest_float(name, low, high, log=bool(log))
            for name, (low, high, *log) in own.ranges.items()
        }
        return loss(make(**parameters))

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=settings.seed))
    study.enqueue_trial(own.tunable())
    study.optimize(drawn, n_trials=settings.tune, show_progress_bar=settings.reporter.shown)
    return make(**study.best_params)
