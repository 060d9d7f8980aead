"""The field's classical systems on descriptors: logistic regression, RBF-SVM, random forest.

All learn from the same table: statistics of the log-mel spectrogram, or the columns of a CSV.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from tagger.models.linear import LinearWeights
from tagger.models.prediction import log_softmax
from tagger.training.data.datasets import Example, labels_of
from tagger.training.data.feature_table import Table, learning_table
from tagger.training.measure.importance import gains
from tagger.training.recipes.fitting import Fitted, Settings, fitted_on_features
from tagger.training.recipes.logistic import fit_regression
from tagger.training.recipes.tuning import tune

MFCC = "mfcc"  # the variant with these features only

SVM = {"C": 4.0, "gamma_of_scale": 1.0}  # gamma as a multiple of scikit-learn's "scale"
FOREST: dict[str, Any] = {"max_depth": 9, "colsample_bynode": 0.1, "min_child_weight": 0.3}
FOREST_TREES = 150  # a label


def predict_trees(trees: Any, rows: np.ndarray) -> np.ndarray:
    """Log probabilities [shape=(n, n_labels)] by an `xgboost.Booster`."""
    return log_softmax(trees.inplace_predict(rows, predict_type="margin"))


def fit_logistic(examples: Sequence[Example], settings: Settings) -> Fitted:
    """Multinomial logistic regression; its regularisation is chosen on artists set aside."""
    labels, table = _table(examples, settings)
    found = fit_regression(table.rows, table.target, table.examples, seed=settings.seed)
    card = {"kind": "linear", "training": found.training}
    weights = {"linear.npz": found.weights}
    return fitted_on_features(labels, table.names, LinearWeights(found.weights), card, weights)


def fit_svm(examples: Sequence[Example], settings: Settings) -> Fitted:
    """Support vector machine with a radial kernel. For benchmarks only: it would be a pickle."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    labels, table = _table(examples, settings)

    def fitted(parameters: Mapping[str, Any], rows: np.ndarray, target: np.ndarray) -> Any:
        gamma = parameters["gamma_of_scale"] / rows.shape[1]  # rows have variance 1 by then
        machine = SVC(C=parameters["C"], gamma=gamma, random_state=settings.seed)
        return make_pipeline(StandardScaler(), machine).fit(rows, target)

    def said(machine: Any, rows: np.ndarray) -> np.ndarray:
        """The decisions of the one-against-one machines, taken as log odds."""
        decided = np.asarray(machine.decision_function(rows))
        return log_softmax(np.column_stack([-decided, decided]) if decided.ndim == 1 else decided)

    parameters = tune(
        table,
        settings,
        start=SVM,
        space=lambda trial: {
            "C": trial.suggest_float("C", 0.1, 100, log=True),
            "gamma_of_scale": trial.suggest_float("gamma_of_scale", 0.05, 5, log=True),
        },
        predict=lambda parameters, learn, aside: said(
            fitted(parameters, table.rows[learn], table.target[learn]), table.rows[aside]
        ),
    )
    machine = fitted(parameters, table.rows, table.target)
    card = {"training": {"parameters": parameters}}
    return fitted_on_features(labels, table.names, partial(said, machine), card, {})


def fit_random_forest(examples: Sequence[Example], settings: Settings) -> Fitted:
    """Random forest: XGBoost's, one round of many trees, each from its own part of the tracks."""
    import xgboost

    labels, table = _table(examples, settings)
    fixed = {
        "objective": "multi:softprob",
        "num_class": len(labels),
        "num_parallel_tree": FOREST_TREES,
        "eta": 1.0,
        "lambda": 1e-3,
        "subsample": 0.63,
        "tree_method": "hist",
        "max_bin": 64,
        "seed": settings.seed,
    }

    def grown(parameters: Mapping[str, Any], rows: np.ndarray, target: np.ndarray) -> Any:
        matrix = xgboost.DMatrix(rows, target)
        return xgboost.train({**fixed, **parameters}, matrix, num_boost_round=1)

    parameters = tune(
        table,
        settings,
        start=FOREST,
        space=lambda trial: {
            "max_depth": trial.suggest_int("max_depth", 3, 12),
            "colsample_bynode": trial.suggest_float("colsample_bynode", 0.02, 0.5, log=True),
            "min_child_weight": trial.suggest_float("min_child_weight", 0.05, 3.0, log=True),
        },
        predict=lambda parameters, learn, aside: predict_trees(
            grown(parameters, table.rows[learn], table.target[learn]), table.rows[aside]
        ),
    )
    forest = grown(parameters, table.rows, table.target)
    card = {
        "kind": "random-forest",
        "training": {"parameters": parameters, "trees_a_label": FOREST_TREES},
    }
    weights = {"forest.ubj": bytes(forest.save_raw("ubj"))}
    predict = partial(predict_trees, forest)
    return fitted_on_features(
        labels, table.names, predict, card, weights, gain=gains(forest, table.names)
    )


def _table(examples: Sequence[Example], settings: Settings) -> tuple[tuple[str, ...], Table]:
    labels = labels_of(examples)
    table = learning_table(
        examples,
        labels,
        seed=settings.seed,
        only=lambda name: settings.variant != MFCC or "mfcc" in name,
        select=settings.select,
        augment=bool(settings.augment),
    )
    return labels, table
