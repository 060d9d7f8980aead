"""Recipes: one module a system, each readable in one sitting.

A recipe is a module with `fit(examples, settings)`, which returns a `Fitted`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from tagger.errors import ConfigurationError
from training.datasets import Example

RECIPES = {
    "cnn": "training.recipes.cnn",
    "boosted-trees": "training.recipes.boosted_trees",
}


@dataclass(frozen=True)
class Settings:
    """How to train.

    Attributes
    ----------
    work : Path
        Folder for checkpoints and the like.
    epochs : int or None
        None for the recipe's own choice.
    seed : int
    resume : bool
        Go on from what `work` holds.
    progress : bool
        Show a bar on stderr.
    description : str
        What the bar says.
    tune : int
        How many sets of hyperparameters to try, where the recipe has some to tune.
    select : int
        How many features to keep, the most important ones; 0 for all.
    """

    work: Path
    epochs: int | None = None
    seed: int = 0
    resume: bool = False
    progress: bool = False
    description: str = ""
    tune: int = 0
    select: int = 0


class Fitted(Protocol):
    """What a recipe made of its examples."""

    @property
    def labels(self) -> tuple[str, ...]: ...

    def log_probabilities(self, examples: Sequence[Example]) -> np.ndarray:
        """Log probabilities, not calibrated [shape=(n_examples, n_labels)]."""
        ...

    def export(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        """The card's part that only the recipe knows, and the weights by file name."""
        ...


Recipe = Callable[[Sequence[Example], Settings], Fitted]


def find(name: str) -> Recipe:
    """A recipe by name.

    Raises
    ------
    ConfigurationError
        Where there is none, or what it needs is not installed.
    """
    if name not in RECIPES:
        raise ConfigurationError(f"there is no recipe {name!r}", hint=f"one of {list(RECIPES)}")
    try:
        recipe: Recipe = import_module(RECIPES[name]).fit
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"the recipe {name} needs {error.name}", hint="pip install 'gtag-music[train]'"
        ) from error
    return recipe
