"""Recipes: one module a system, each readable in one sitting.

A recipe is a function `fit(examples, settings)`, which returns a `Fitted`. What its options mean
stands in `RECIPES`; an option that a recipe does not support is refused before anything is heard.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from tagger.errors import INSTALL_TRAIN, ConfigurationError, DataError
from tagger.suggest import did_you_mean
from tagger.training.data.datasets import Example


@dataclass(frozen=True)
class Entry:
    """What there is to know of a recipe before it is imported.

    Attributes
    ----------
    function : str
        Module and function.
    about : str
        One line for people.
    options : tuple of str
        Which of epochs, augment, tune, select and weights it understands.
    variants : tuple of str
        The first one is the default.
    published : bool
        Whether scan can run what it makes; if not, it is for benchmarks only.
    on_descriptors : bool
        Whether it looks at named features, rather than at spectrograms or an embedding.
    needs : tuple of str
        Packages of the extra that it cannot do without.
    slow : bool
        Takes long enough that nobody wants it measured unasked.
    on_embedding : bool
        Whether it looks at a pretrained network's embedding, which not every archive keeps.
    """

    function: str
    about: str
    options: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()
    published: bool = True
    on_descriptors: bool = False
    needs: tuple[str, ...] = ()
    slow: bool = False
    on_embedding: bool = False


_NETWORK = ("keras", "tensorflow")

RECIPES = {
    "cnn": Entry(
        "tagger.training.recipes.cnn:fit",
        "chunk-averaged CNN on log-mel spectrograms",
        ("epochs", "augment"),
        needs=_NETWORK,
        slow=True,
    ),
    "boosted-trees": Entry(
        "tagger.training.recipes.boosted_trees:fit",
        "XGBoost on descriptors",
        ("tune", "select"),
        on_descriptors=True,
    ),
    "head": Entry(
        "tagger.training.recipes.head:fit",
        "linear head on a pretrained network's embedding; needs no TensorFlow",
        variants=("embedding", "all"),
        on_embedding=True,
    ),
    "logistic": Entry(
        "tagger.training.recipes.classical:fit_logistic",
        "multinomial logistic regression on descriptors",
        ("augment", "select"),
        ("all", "mfcc"),
        on_descriptors=True,
    ),
    "svm": Entry(
        "tagger.training.recipes.classical:fit_svm",
        "support vector machine with a radial kernel on descriptors; for benchmarks only",
        ("augment", "select", "tune"),
        ("all", "mfcc"),
        published=False,
        on_descriptors=True,
    ),
    "random-forest": Entry(
        "tagger.training.recipes.classical:fit_random_forest",
        "random forest on descriptors",
        ("augment", "select", "tune"),
        ("all", "mfcc"),
        on_descriptors=True,
    ),
    "dense": Entry(
        "tagger.training.recipes.dense:fit",
        "dense network on descriptors",
        ("augment", "select", "tune", "epochs"),
        ("shallow", "deep"),
        needs=_NETWORK,
        on_descriptors=True,
    ),
    "feature-cnn": Entry(
        "tagger.training.recipes.feature_cnn:fit",
        "one-dimensional CNN along descriptors",
        ("augment", "select", "tune", "epochs"),
        needs=_NETWORK,
        on_descriptors=True,
    ),
    "transfer": Entry(
        "tagger.training.recipes.transfer:fit",
        "network for photographs on pictures of log-mel spectrograms: frozen, then fine-tuned",
        ("augment", "epochs", "weights"),
        (
            *("MobileNetV2", "EfficientNetB0", "InceptionV3", "ResNet50", "VGG16", "VGG19"),
            "EfficientNetLite0",
        ),
        needs=_NETWORK,
        slow=True,
    ),
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
    augment : bool or None
        None for the recipe's own choice.
    variant : str
        One of the recipe's; empty for its default.
    weights : str
        What a pretrained network starts from: ``imagenet``, ``none`` or a file.
    importance : bool
        Measure, too, what features are worth, where a recipe has some.
    watch : sequence of Example
        Loss and accuracy on these are kept epoch by epoch, for people to look at. Nothing is
        learned from them or chosen by them.
    """

    work: Path
    epochs: int | None = None
    seed: int = 0
    resume: bool = False
    progress: bool = False
    description: str = ""
    tune: int = 0
    select: int = 0
    augment: bool | None = None
    variant: str = ""
    weights: str = ""
    importance: bool = False
    watch: Sequence[Example] = ()


class Fitted(Protocol):
    """What a recipe made of its examples."""

    @property
    def labels(self) -> tuple[str, ...]: ...

    def log_probabilities(self, examples: Sequence[Example]) -> np.ndarray:
        """Log probabilities, not calibrated [shape=(n_examples, n_labels)]."""
        ...

    def export(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        """The card's part that only the recipe knows, and the weights by file name.

        A `learned_from` in it, of a model that this one builds on, is added to the examples'.
        """
        ...


@runtime_checkable
class OnDescriptors(Fitted, Protocol):
    """What a recipe on named features made of its examples.

    It may have a `gain`, each feature's share of what its trees gained.
    """

    @property
    def features(self) -> tuple[str, ...]: ...

    def ask(self, rows: np.ndarray) -> np.ndarray:
        """Log probabilities [shape=(n, n_labels)] of rows [shape=(n, n_features)]."""
        ...


Recipe = Callable[[Sequence[Example], Settings], Fitted]


def find(name: str, settings: Settings | None = None) -> Recipe:
    """A recipe by name.

    Raises
    ------
    ConfigurationError
        Where there is none, it does not support one of the settings, or what it needs is not
        installed.
    """
    if name not in RECIPES:
        there = f"there are: {', '.join(RECIPES)}"
        hint = " ".join(filter(None, (did_you_mean(name, RECIPES), there)))
        raise ConfigurationError(f"there is no recipe {name!r}", hint=hint)
    if settings is not None:
        _check(name, settings)
    needs = dict.fromkeys(RECIPES[name].needs, f"the recipe {name}")
    if settings is not None and settings.tune:
        needs["optuna"] = "--tune"
    for package, who in needs.items():
        if find_spec(package) is None:
            raise ConfigurationError(f"{who} needs {package}", hint=INSTALL_TRAIN)
    name_of_module, _, function = RECIPES[name].function.partition(":")
    module = import_module(name_of_module)
    if settings is not None and hasattr(module, "check"):
        module.check(settings)  # before anything is heard: what it needs may not be there
    recipe: Recipe = getattr(module, function)
    return recipe


def usable(
    name: str, examples: Sequence[Example], say: Callable[[str], None] = lambda line: None
) -> list[Example]:
    """Those examples that a recipe can learn from; what is left out is told.

    Raises
    ------
    DataError
        Where there are none.
    """
    if not RECIPES[name].on_embedding:
        return list(examples)
    kept = [example for example in examples if example.embeddings]
    if not kept:
        raise DataError(
            f"nothing keeps an embedding of these tracks, which recipe {name} looks at",
            hint="give folders of sound, or archives with musicnn.npz",
        )
    if len(kept) < len(examples):
        missing = len(examples) - len(kept)
        say(f"left out: {missing} of {len(examples)} tracks of which no embedding is kept")
    return kept


def _check(name: str, settings: Settings) -> None:
    entry = RECIPES[name]
    asked = {
        "epochs": settings.epochs is not None,
        "augment": settings.augment is not None,
        "tune": settings.tune > 0,
        "select": settings.select > 0,
        "weights": bool(settings.weights),
    }
    for option, is_asked in asked.items():
        if is_asked and option not in entry.options:
            knows = ", ".join(f"--{o}" for o in entry.options) or "none of these options"
            raise ConfigurationError(
                f"the recipe {name} does not support --{option}", hint=f"it knows {knows}"
            )
    if settings.variant and settings.variant not in entry.variants:
        raise ConfigurationError(
            f"the recipe {name} has no variant {settings.variant!r}",
            hint=f"one of {', '.join(entry.variants)}" if entry.variants else "it has none",
        )
