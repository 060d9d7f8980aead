"""Runs a linear model (multinomial logistic regression) on descriptors.

Weights are a `.npz` file with `coefficients` [n_labels, n_inputs] and `intercept` [n_labels], for
unscaled inputs; with `low` and `high` [n_inputs], further ones count as those.
"""

from __future__ import annotations

import io
import zipfile

import numpy as np

from tagger.models.card import Card
from tagger.models.classifier import Classifier
from tagger.models.feature_columns import FeatureColumns
from tagger.models.prediction import Scores, log_softmax
from tagger.models.track_features import TrackFeatures
from tagger.system.errors import ModelError

_LARGEST = 1 << 28  # bytes: more is not a linear model, but an attack on memory


def read_arrays(content: bytes, *names: str) -> dict[str, np.ndarray]:
    """Return the arrays of a `.npz` file of finite floating-point numbers. Nothing in it is
    unpickled.

    Raises
    ------
    ValueError
        Where it is no such file.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            if sum(entry.file_size for entry in packed.infolist()) > _LARGEST:
                raise ValueError("it is too large")
        with np.load(io.BytesIO(content), allow_pickle=False) as kept:
            arrays = {name: kept[name] for name in kept.files}
    # MemoryError: a header may claim as many numbers as it likes.
    except (
        *(zipfile.BadZipFile, KeyError, OSError, EOFError, NotImplementedError),
        MemoryError,
    ) as error:
        raise ValueError(f"it is not a valid .npz file: {error}") from error
    if not all(a.dtype.kind == "f" and np.isfinite(a).all() for a in arrays.values()):
        raise ValueError("its arrays are not all finite numbers")
    for name in names:
        if name not in arrays:
            raise ValueError(f"it has no array {name!r}")
    return arrays


class LinearWeights:
    """Coefficients and intercepts, loaded from memory.

    Parameters
    ----------
    content : bytes
        A `.npz` file. Nothing in it is unpickled.

    Raises
    ------
    ValueError
        Where it is no such file.
    """

    def __init__(self, content: bytes) -> None:
        arrays = read_arrays(content, "coefficients", "intercept")
        self.coefficients, self.intercept = arrays["coefficients"], arrays["intercept"]
        if (
            self.coefficients.ndim != 2
            or self.intercept.shape != self.coefficients.shape[:1]
            or any(a.dtype != np.float64 for a in (self.coefficients, self.intercept))
        ):
            raise ValueError("its arrays are inconsistent")
        unbounded = np.full(self.n_inputs, np.inf)
        self._low, self._high = arrays.get("low", -unbounded), arrays.get("high", unbounded)
        if {self._low.shape, self._high.shape} != {(self.n_inputs,)}:
            raise ValueError("its bounds do not fit its inputs")

    @property
    def n_labels(self) -> int:
        return int(self.coefficients.shape[0])

    @property
    def n_inputs(self) -> int:
        return int(self.coefficients.shape[1])

    def __call__(self, rows: np.ndarray, *, temperature: float = 1.0) -> np.ndarray:
        """Log probabilities [shape=(..., n_labels)] from inputs [shape=(..., n_inputs)]."""
        rows = np.clip(rows.astype(np.float64), self._low, self._high)
        return log_softmax((rows @ self.coefficients.T + self.intercept) / temperature)


def pack(coefficients: np.ndarray, intercept: np.ndarray, *bounds: np.ndarray) -> bytes:
    """Return what `LinearWeights` takes; `bounds` are the lowest and the highest inputs."""
    content = io.BytesIO()
    arrays = {"coefficients": coefficients, "intercept": intercept}
    arrays |= dict(zip(("low", "high"), bounds, strict=False))
    np.savez(content, **{k: a.astype(np.float64) for k, a in arrays.items()})  # type: ignore[arg-type]
    return content.getvalue()


def load_weights(card: Card, n_inputs: int) -> LinearWeights:
    """Load a card's weights, which must have its labels as outputs, and so many inputs.

    Raises
    ------
    ModelError
    """
    weights = card.load_weights(LinearWeights)
    card.need_outputs(weights.n_labels)
    if weights.n_inputs != n_inputs:
        raise ModelError(
            f"the weights have {weights.n_inputs} inputs, not {n_inputs}", path=card.folder
        )
    return weights


class Linear(Classifier):
    """A linear model on the descriptors that its card names as `features`."""

    def __init__(self, card: Card) -> None:
        self.card = card
        self.columns = FeatureColumns.of_card(card)
        self._weights = load_weights(card, len(self.columns))

    def scores(self, features: TrackFeatures) -> Scores:
        return Scores(self._weights(self.columns(features)))
