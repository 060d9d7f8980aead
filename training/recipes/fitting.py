"""What a recipe gets and gives: `Settings`, and the `Fitted` model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from tagger.training.data.datasets import Example
from tagger.training.reporter import SILENT, Reporter


@dataclass(frozen=True)
class Settings:
    """How to train.

    Attributes
    ----------
    work : Path
        Folder for checkpoints and the like.
    epochs : int or None
        None for the recipe's own choice.
    resume : bool
        Continue from what `work` holds.
    reporter : Reporter
        Shows progress.
    description : str
        Label of the progress bar.
    tune : int
        How many sets of hyperparameters to try, where the recipe has some to tune.
    select : int
        How many features to keep, the most important ones; 0 for all.
    augment : bool or None
        None for the recipe's own choice.
    variant : str
        One of the recipe's; empty for its default.
    folds : int or None
        So many, under the protocols artist and track-random; None for the set's own, or three.
    weights : str
        What a pretrained network starts from: ``imagenet``, ``none`` or a file.
    logs : Path or None
        Where networks write TensorBoard's logs, a folder for each training.
    importance : bool
        Also measure feature importance, where a recipe has features.
    watch : sequence of Example
        Loss and accuracy on these are recorded epoch by epoch. Nothing is learned from them or
        chosen by them.
    """

    work: Path
    epochs: int | None = None
    seed: int = 0
    resume: bool = False
    reporter: Reporter = SILENT
    description: str = ""
    tune: int = 0
    select: int = 0
    augment: bool | None = None
    variant: str = ""
    folds: int | None = None
    weights: str = ""
    logs: Path | None = None
    importance: bool = False
    watch: Sequence[Example] = ()

    def bar(
        self, items: Iterable[Any] | None = None, *, step: str = "", **options: Any
    ) -> tqdm[Any]:
        """Return a progress bar with this description, and the step if it is one of several."""
        description = ": ".join(filter(None, (self.description, step)))
        return self.reporter.bar(items, desc=description, **options)

    def callbacks(self) -> list[Any]:
        """Return Keras' callbacks of a training: TensorBoard, where there are logs."""
        if self.logs is None:
            return []
        from keras.callbacks import TensorBoard

        return [TensorBoard(self.logs / (self.description or "training"))]


@dataclass(frozen=True)
class Fitted:
    """What a recipe made of its examples.

    Attributes
    ----------
    log_probabilities : callable
        Of examples, not calibrated [shape=(n_examples, n_labels)].
    card : mapping
        The part of the model's card that only the recipe knows. A `learned_from` in it, of a model
        that this one builds on, is added to the examples'.
    weights : mapping of str to bytes
        By file name; empty where scan could not run it.
    history : sequence of dict
        Of networks: loss and accuracy, epoch by epoch.
    features : tuple of str
        Of a recipe on named features.
    predict : callable
        Log probabilities of rows of these features [shape=(n, n_features)].
    gain : mapping of str to float
        Of trees: each feature's share of the gain.
    """

    labels: tuple[str, ...]
    log_probabilities: Callable[[Sequence[Example]], np.ndarray]
    card: Mapping[str, Any]
    weights: Mapping[str, bytes]
    history: Sequence[dict[str, float]] = ()
    features: tuple[str, ...] = ()
    predict: Callable[[np.ndarray], np.ndarray] | None = None
    gain: Mapping[str, float] = field(default_factory=dict)


Recipe = Callable[[Sequence[Example], Settings], Fitted]
