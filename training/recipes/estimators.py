"""The systems on rows of numbers, as scikit-learn estimators: `fit`, `predict_proba`, `get_params`.

Targets may be of any kind; probabilities have a column for each of `classes_`. The recipes fit
them to descriptors and embeddings and write them in the form that a scan runs. In a script they go
wherever scikit-learn takes an estimator:

    cross_val_score(BoostedTrees(), rows, genres)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC

from tagger.models.multi_label import CLIP
from tagger.models.prediction import log_softmax

Folds = Sequence[tuple[np.ndarray, np.ndarray]]
"""Rows to learn from and rows to choose by."""
Ranges = Mapping[str, tuple[Any, ...]]
"""Of hyperparameters: low, high, and perhaps ``"log"``."""

STRENGTHS = tuple(float(s) for s in 10.0 ** np.arange(-4.5, 1.1, 0.5))  # of data against penalty
STILL = 1e-6  # a spread of that share of the mean, or of a tenth, is none
WORSE = 2  # so often the log loss may rise before weaker penalties are not tried any more
ROUNDS, PATIENCE = 600, 30
LAYERS = {"shallow": (128,), "deep": (512, 256, 128, 64), "cnn": (64,)}
CHANNELS = (32, 64)  # of the CNN along descriptors
# More threads on fewer numbers than this wait for each other longer than they work.
WORTH_THREADS = 4_000_000


def bounds(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the lowest and highest value that counts of each column [each shape=(n_inputs,)].

    Those are `CLIP` standard deviations from the mean, so that no feature that is unheard of
    decides alone; a column that stands still among these rows says nothing of others.
    """
    mean, spread = rows.mean(axis=0, dtype=np.float64), rows.std(axis=0, dtype=np.float64)
    spread = np.where(spread <= STILL * np.maximum(np.abs(mean), 0.1), 0.0, CLIP * spread)
    return mean - spread, mean + spread


class OnRows(ClassifierMixin, BaseEstimator):
    """A classifier of rows that says log probabilities; the rest follows from them.

    Attributes
    ----------
    ranges : mapping
        Of the hyperparameters that can be tuned.
    """

    ranges: ClassVar[Ranges] = {}
    classes_: np.ndarray

    def tunable(self) -> dict[str, Any]:
        """Return the values of the hyperparameters that can be tuned."""
        return {name: getattr(self, name) for name in self.ranges}

    def predict_log_proba(self, rows: np.ndarray) -> np.ndarray:
        """Return log probabilities [shape=(n, n_classes)]."""
        raise NotImplementedError

    def predict_proba(self, rows: np.ndarray) -> np.ndarray:
        """Return probabilities [shape=(n, n_classes)]."""
        return np.exp(self.predict_log_proba(rows))

    def predict(self, rows: np.ndarray) -> np.ndarray:
        """Return the most likely class of each row."""
        return self.classes_[self.predict_log_proba(rows).argmax(axis=1)]

    def _learn_classes(self, target: np.ndarray) -> np.ndarray:
        """Set `classes_`, and return each row's by number."""
        self.classes_, numbers = np.unique(target, return_inverse=True)
        return numbers


@dataclass(eq=False, repr=False)
class Regression(OnRows):
    """Multinomial logistic regression on standardised columns.

    Parameters
    ----------
    strength : float or None
        Of the data against the penalty; None: the one of `STRENGTHS` with the lowest log loss on
        the folds that `fit` is given.

    Attributes
    ----------
    coefficients_, intercept_ : np.ndarray [shape=(n_classes, n_inputs)], [shape=(n_classes,)]
        For inputs as they are: the scaling is worked in.
    low_, high_ : np.ndarray [shape=(n_inputs,)]
        Inputs beyond these count as these.
    strength_, log_loss_ : float
        What was chosen, and its log loss on the folds; infinite without any.
    """

    strength: float | None = None
    max_iter: int = 2000

    def fit(self, rows: np.ndarray, target: np.ndarray, folds: Folds = ()) -> Self:
        from threadpoolctl import threadpool_limits

        numbers = self._learn_classes(target)
        self.low_, self.high_ = bounds(rows)
        scaler = StandardScaler().fit(self._bounded(rows))
        standard, axes = scaler.transform(self._bounded(rows)), None
        # With a quadratic penalty the solution lies in the span of the rows: the same one is found
        # among as many dimensions as there are tracks, which for a small library are far fewer.
        with threadpool_limits(1):  # products this small only wait for a second thread
            if len(rows) < rows.shape[1]:
                left, stretch, axes = np.linalg.svd(standard, full_matrices=False)
                standard = left * stretch
            self.strength_, self.log_loss_ = self.strength or 0.0, np.inf
            if not self.strength:
                self.strength_, self.log_loss_ = self._chosen(standard, numbers, folds)
            coefficients, intercept = _both_signs(
                self._machine(self.strength_, len(self.classes_)).fit(standard, numbers)
            )
            coefficients = coefficients if axes is None else coefficients @ axes
        self.coefficients_ = coefficients / scaler.scale_
        self.intercept_ = intercept - self.coefficients_ @ scaler.mean_
        return self

    def _bounded(self, rows: np.ndarray) -> np.ndarray:
        return np.clip(rows.astype(np.float64), self.low_, self.high_)

    def _machine(self, strength: float, n_classes: int) -> LogisticRegression:
        # Of two classes scikit-learn fits the difference alone, which is penalised twice as much.
        strength *= 2 if n_classes == 2 else 1
        return LogisticRegression(C=strength, max_iter=self.max_iter, tol=1e-6, warm_start=True)

    def _chosen(self, rows: np.ndarray, numbers: np.ndarray, folds: Folds) -> tuple[float, float]:
        """Return the strength with the lowest log loss, and that loss."""
        machines = [self._machine(1.0, len(np.unique(numbers[learn]))) for learn, _ in folds]
        best, lowest, worse = STRENGTHS[len(STRENGTHS) // 2], np.inf, 0
        for strength in STRENGTHS if folds else ():
            losses = []
            for machine, (learn, aside) in zip(machines, folds, strict=True):
                twice = 2 if len(np.unique(numbers[learn])) == 2 else 1
                machine.set_params(C=twice * strength).fit(rows[learn], numbers[learn])
                said = machine.predict_log_proba(rows[aside])
                columns = np.searchsorted(machine.classes_, numbers[aside])
                losses.append(-said[np.arange(len(aside)), columns])
            loss = float(np.concatenate(losses).mean())
            best, lowest, worse = (
                (strength, loss, 0) if loss < lowest else (best, lowest, worse + 1)
            )
            if worse == WORSE:
                break
        return best, lowest

    def predict_log_proba(self, rows: np.ndarray) -> np.ndarray:
        return log_softmax(self._bounded(rows) @ self.coefficients_.T + self.intercept_)


def _both_signs(machine: LogisticRegression) -> tuple[np.ndarray, np.ndarray]:
    """Return coefficients and intercepts of each class, also where there are two."""
    if len(machine.coef_) > 1:
        return machine.coef_, machine.intercept_
    halves = np.array([[-0.5], [0.5]])
    return halves * machine.coef_, (halves * machine.intercept_)[:, 0]


@dataclass(eq=False, repr=False)
class SupportVectors(OnRows):
    """Support vector machine with a radial kernel.

    Parameters
    ----------
    gamma_of_scale : float
        As a multiple of scikit-learn's ``scale``.
    """

    ranges: ClassVar[Ranges] = {"C": (0.1, 100.0, "log"), "gamma_of_scale": (0.05, 5.0, "log")}

    C: float = 4.0
    gamma_of_scale: float = 1.0
    seed: int = 0

    def fit(self, rows: np.ndarray, target: np.ndarray) -> Self:
        numbers = self._learn_classes(target)
        gamma = self.gamma_of_scale / rows.shape[1]  # rows have variance 1 by then
        machine = SVC(C=self.C, gamma=gamma, random_state=self.seed)
        low, high = bounds(rows)
        clip = FunctionTransformer(np.clip, kw_args={"a_min": low, "a_max": high})
        self.machine_ = make_pipeline(clip, StandardScaler(), machine).fit(rows, numbers)
        return self

    def predict_log_proba(self, rows: np.ndarray) -> np.ndarray:
        """Take the decisions of the one-against-one machines as log odds."""
        decided = np.asarray(self.machine_.decision_function(rows))
        return log_softmax(np.column_stack([-decided, decided]) if decided.ndim == 1 else decided)


class Trees(OnRows):
    """Trees of XGBoost. Its parameters have XGBoost's own names.

    Attributes
    ----------
    booster_ : xgboost.Booster
    """

    kind = file = ""  # of a model, and its weights file
    booster_: Any

    def _parameters(self, rows: np.ndarray, **more: Any) -> dict[str, Any]:
        own = {
            "objective": "multi:softprob",
            "num_class": len(self.classes_),
            "tree_method": "hist",
            "max_bin": 64,
            **more,
            **{name.rstrip("_"): value for name, value in self.get_params().items()},
        }
        return own if rows.size > WORTH_THREADS else {**own, "nthread": 1}

    def predict_log_proba(self, rows: np.ndarray) -> np.ndarray:
        return log_softmax(self.booster_.inplace_predict(rows, predict_type="margin"))

    @property
    def gains_(self) -> np.ndarray:
        """Each feature's share of what all splits gained [shape=(n_features,)]."""
        gain = self.booster_.get_score(importance_type="total_gain")
        n = self.booster_.num_features()
        found = np.array([gain.get(f"f{i}", 0.0) for i in range(n)], dtype=np.float64)
        return found / max(found.sum(), 1e-12)


@dataclass(eq=False, repr=False)
class Forest(Trees):
    """Random forest: one round of many trees, each from its own part of the tracks."""

    kind, file = "random-forest", "forest.ubj"
    ranges: ClassVar[Ranges] = {
        "max_depth": (3, 12),
        "colsample_bynode": (0.02, 0.5, "log"),
        "min_child_weight": (0.05, 3.0, "log"),
    }

    max_depth: int = 9
    colsample_bynode: float = 0.1
    min_child_weight: float = 0.3
    num_parallel_tree: int = 150
    seed: int = 0

    def fit(self, rows: np.ndarray, target: np.ndarray) -> Self:
        import xgboost

        matrix = xgboost.DMatrix(rows, self._learn_classes(target))
        fixed = self._parameters(rows, eta=1.0, subsample=0.63, **{"lambda": 1e-3})
        self.booster_ = xgboost.train(fixed, matrix, num_boost_round=1)
        return self


@dataclass(eq=False, repr=False)
class BoostedTrees(Trees):
    """Gradient-boosted trees; how many rounds serve best is found by early stopping on folds.

    Attributes
    ----------
    rounds_, log_loss_ : int, float
        How many they are, and the log loss on the folds.
    """

    kind, file = "boosted-trees", "trees.ubj"
    ranges: ClassVar[Ranges] = {
        "eta": (0.03, 0.3, "log"),
        "max_depth": (2, 7),
        "subsample": (0.4, 1.0),
        "colsample_bynode": (0.02, 0.5, "log"),
        "min_child_weight": (0.2, 10.0, "log"),
        "lambda_": (0.1, 20.0, "log"),
    }

    eta: float = 0.1
    max_depth: int = 4
    subsample: float = 0.7
    colsample_bynode: float = 0.1
    min_child_weight: float = 2.0
    lambda_: float = 2.0
    seed: int = 0

    def fit(
        self,
        rows: np.ndarray,
        target: np.ndarray,
        sample_weight: np.ndarray | None = None,
        folds: Folds | None = None,
        after_round: Callable[[], object] = lambda: None,
    ) -> Self:
        """Find the number of rounds, by default on three folds, and grow so many."""
        import xgboost

        class Told(xgboost.callback.TrainingCallback):
            def after_iteration(self, *_: object) -> bool:
                after_round()
                return False

        matrix = xgboost.DMatrix(rows, self._learn_classes(target), weight=sample_weight)
        parameters = self._parameters(rows, eval_metric="mlogloss")
        curve = xgboost.cv(
            parameters,
            matrix,
            num_boost_round=ROUNDS,
            folds=folds,
            stratified=folds is None,
            early_stopping_rounds=PATIENCE,
            as_pandas=False,
            callbacks=[Told()],
        )["test-mlogloss-mean"]
        best = int(np.argmin(curve))
        self.rounds_, self.log_loss_ = best + 1, float(curve[best])
        self.booster_ = xgboost.train(parameters, matrix, num_boost_round=self.rounds_)
        return self


@dataclass(eq=False, repr=False)
class FeatureNetwork(OnRows):
    """A network of Keras on descriptors: scaling, layers, Adam.

    Parameters
    ----------
    layers : str
        ``shallow`` or ``deep`` for dense layers; ``cnn`` for convolutions along the descriptors,
        as the field's tutorials have it. Neighbours in a table have little to do with each other,
        so these find little; they are here for comparison.

    Attributes
    ----------
    model_ : keras.Model
    history_ : list of dict of str to float
        Loss and accuracy, epoch by epoch.
    """

    ranges: ClassVar[Ranges] = {"dropout": (0.0, 0.7), "learning_rate": (1e-4, 1e-2, "log")}

    layers: str = "shallow"
    dropout: float = 0.4
    learning_rate: float = 1e-3
    epochs: int = 60
    batch: int = 32
    seed: int = 0

    def fit(
        self,
        rows: np.ndarray,
        target: np.ndarray,
        watch: tuple[np.ndarray, np.ndarray] | None = None,
        callbacks: Sequence[Any] = (),
    ) -> Self:
        """Learn; on what is watched only loss and accuracy are recorded."""
        from tagger.training.recipes.keras_start import start_keras

        start_keras()
        import keras
        from keras import layers

        numbers = self._learn_classes(target)
        keras.utils.set_random_seed(self.seed)
        low, high = bounds(rows)
        scale = np.maximum(rows.std(axis=0), STILL)
        inputs = keras.Input((rows.shape[1],), name="features")
        x = keras.ops.clip(inputs, low.astype(np.float32), high.astype(np.float32))
        x = layers.Normalization(mean=rows.mean(axis=0), variance=scale**2)(x)
        x = self._hidden(x)
        self.model_ = keras.Model(inputs, layers.Dense(len(self.classes_))(x))
        self.model_.compile(
            optimizer=keras.optimizers.Adam(self.learning_rate),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
        told = self.model_.fit(
            rows.astype(np.float32),
            numbers,
            batch_size=self.batch,
            epochs=self.epochs,
            validation_data=watch,
            verbose=0,
            callbacks=list(callbacks),
        ).history
        by_epoch = zip(*told.values(), strict=True)
        self.history_ = [dict(zip(told, map(float, values), strict=True)) for values in by_epoch]
        return self

    def _hidden(self, x: Any) -> Any:
        from keras import layers

        if self.layers == "cnn":
            x = layers.Reshape((-1, 1))(x)
            for channels in CHANNELS:
                x = layers.Conv1D(channels, 5, padding="same", activation="relu")(x)
                x = layers.MaxPooling1D(2, padding="same")(x)
            x = layers.Dropout(self.dropout)(layers.Flatten()(x))
        for size in LAYERS[self.layers]:
            x = layers.Dense(size, activation="relu")(x)
            x = layers.Dropout(self.dropout)(x)
        return x

    def predict_log_proba(self, rows: np.ndarray) -> np.ndarray:
        return log_softmax(np.asarray(self.model_(rows.astype(np.float32))))
