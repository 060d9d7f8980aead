"""Recipes: one module a system, each readable in one sitting.

A recipe is a function `fit(examples, settings)`, which returns a `Fitted`. `RECIPES` says which
options each supports; others are refused before any track is decoded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from tagger.errors import ConfigurationError, DataError
from tagger.extras import need
from tagger.suggest import did_you_mean
from tagger.training.data.datasets import Example
from tagger.training.data.feature_table import feature_rows
from tagger.training.reporter import SILENT, Reporter


@dataclass(frozen=True)
class Entry:
    """What is known of a recipe before it is imported.

    Attributes
    ----------
    function : str
        Module of this package, and function.
    about : str
        One line for people.
    options : tuple of str
        Those of epochs, augment, tune, select and weights that it supports.
    variants : tuple of str
        The first one is the default.
    reads : str
        What it learns from: ``features``, ``spectrograms`` or an ``embedding``, which not every
        archive has.
    published : bool
        Whether scan can run the result; if not, it is for benchmarks only.
    needs : tuple of str
        Packages of the extra [train] that it imports, beside what every recipe needs of [learn].
    """

    function: str
    about: str
    options: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()
    reads: str = "features"
    published: bool = True
    needs: tuple[str, ...] = ()


_NETWORK = ("keras", "tensorflow")
_ALL_OR_MFCC = ("all", "mfcc")

RECIPES = {
    "cnn": Entry(
        "cnn:fit",
        "chunk-averaged CNN on log-mel spectrograms",
        ("epochs", "augment"),
        reads="spectrograms",
        needs=_NETWORK,
    ),
    "boosted-trees": Entry(
        "boosted_trees:fit", "XGBoost on descriptors", ("tune", "select"), needs=("xgboost",)
    ),
    "head": Entry(
        "head:fit",
        "linear head on a pretrained network's embedding; needs no TensorFlow",
        variants=("embedding", "all"),
        reads="embedding",
    ),
    "logistic": Entry(
        "classical:fit_logistic",
        "multinomial logistic regression on descriptors",
        ("augment", "select"),
        _ALL_OR_MFCC,
    ),
    "svm": Entry(
        "classical:fit_svm",
        "support vector machine with a radial kernel on descriptors; for benchmarks only",
        ("augment", "select", "tune"),
        _ALL_OR_MFCC,
        published=False,
    ),
    "random-forest": Entry(
        "classical:fit_random_forest",
        "random forest on descriptors",
        ("augment", "select", "tune"),
        _ALL_OR_MFCC,
        needs=("xgboost",),
    ),
    "dense": Entry(
        "dense:fit",
        "dense network on descriptors",
        ("augment", "select", "tune", "epochs"),
        ("shallow", "deep"),
        needs=_NETWORK,
    ),
    "feature-cnn": Entry(
        "feature_cnn:fit",
        "one-dimensional CNN along descriptors",
        ("augment", "select", "tune", "epochs"),
        needs=_NETWORK,
    ),
    "transfer": Entry(
        "transfer:fit",
        "network for photographs on pictures of log-mel spectrograms: frozen, then fine-tuned",
        ("augment", "epochs", "weights"),
        (
            *("MobileNetV2", "EfficientNetB0", "InceptionV3", "ResNet50", "VGG16", "VGG19"),
            "EfficientNetLite0",
        ),
        reads="spectrograms",
        needs=_NETWORK,
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
    weights : str
        What a pretrained network starts from: ``imagenet``, ``none`` or a file.
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
    weights: str = ""
    importance: bool = False
    watch: Sequence[Example] = ()

    def bar(
        self, items: Iterable[Any] | None = None, *, step: str = "", **options: Any
    ) -> tqdm[Any]:
        """A progress bar with this description, and the step if it is one of several."""
        description = ": ".join(filter(None, (self.description, step)))
        return self.reporter.bar(items, desc=description, **options)


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


def fitted_on_features(
    labels: tuple[str, ...],
    features: tuple[str, ...],
    predict: Callable[[np.ndarray], np.ndarray],
    card: Mapping[str, Any],
    weights: Mapping[str, bytes],
    **more: Any,
) -> Fitted:
    """A fitted model that `predict` runs on rows of named features."""
    card = {**card, "features": list(features)}
    return Fitted(
        labels,
        lambda examples: predict(feature_rows(examples, features)),
        card,
        weights,
        features=features,
        predict=predict,
        **more,
    )


Recipe = Callable[[Sequence[Example], Settings], Fitted]


def find(name: str, settings: Settings | None = None, *, to_publish: bool = False) -> Recipe:
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
    entry = RECIPES[name]
    if settings is not None:
        _check(name, settings)
    need(f"the recipe {name}", *entry.needs)
    if settings is not None and settings.tune:
        need("--tune", "optuna")
    name_of_module, _, function = entry.function.partition(":")
    module = import_module(f"{__name__}.{name_of_module}")
    if settings is not None and hasattr(module, "check"):
        module.check(settings)  # its weights may not be there: said before any track is decoded
    if to_publish and not entry.published:
        raise ConfigurationError(
            f"the recipe {name} is for benchmarks only: scan could not run it safely",
            hint=f"gtag evaluate --recipe {name} measures it",
        )
    recipe: Recipe = getattr(module, function)
    return recipe


def usable(name: str, examples: Sequence[Example], reporter: Reporter = SILENT) -> list[Example]:
    """Those examples that a recipe can learn from; the others are reported.

    Raises
    ------
    DataError
        Where there are none.
    """
    if RECIPES[name].reads != "embedding":
        return list(examples)
    kept = [example for example in examples if example.embeddings]
    if not kept:
        raise DataError(
            f"there are no embeddings of these tracks, which recipe {name} needs",
            hint="give folders of sound, or archives with views.npz",
        )
    if len(kept) < len(examples):
        missing = len(examples) - len(kept)
        reporter.tell(f"left out: {missing} of {len(examples)} tracks without an embedding")
    return kept


def _check(name: str, settings: Settings) -> None:
    entry = RECIPES[name]
    for option in ("epochs", "augment", "tune", "select", "weights"):
        value = getattr(settings, option)
        # --no-augment is given, too; 0 and an empty text are not.
        if (value or value is False) and option not in entry.options:
            supported = ", ".join(f"--{o}" for o in entry.options) or "none of these options"
            raise ConfigurationError(
                f"the recipe {name} does not support --{option}", hint=f"it supports {supported}"
            )
    if settings.variant and settings.variant not in entry.variants:
        raise ConfigurationError(
            f"the recipe {name} has no variant {settings.variant!r}",
            hint=f"one of {', '.join(entry.variants)}" if entry.variants else "it has none",
        )
