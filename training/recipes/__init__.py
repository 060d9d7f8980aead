"""Recipes: systems from the field, each with the table or the spectrograms that it learns from.

A recipe is a function `fit(examples, settings)`, which returns a `Fitted` (fitting.py). `RECIPES`
says which options each supports; others are refused before any track is decoded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module

from tagger.system.errors import ConfigurationError, DataError
from tagger.system.extras import need
from tagger.system.suggest import did_you_mean
from tagger.training.data.datasets import EMBEDDING, Example
from tagger.training.recipes.fitting import Recipe, Settings
from tagger.training.reporter import SILENT, Reporter


@dataclass(frozen=True)
class RecipeEntry:
    """Describe a recipe, before it is imported.

    Attributes
    ----------
    function : str
        Module of this package, and function.
    about : str
        One line for people.
    options : tuple of str
        Those of epochs, augment, tune, select, weights and logs that it supports.
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
    "chunk-cnn": RecipeEntry(
        "chunk_cnn:fit",
        "chunk-averaged CNN on log-mel spectrograms",
        ("epochs", "augment", "logs"),
        reads="spectrograms",
        needs=_NETWORK,
    ),
    "boosted-trees": RecipeEntry(
        "on_features:fit_boosted_trees",
        "XGBoost on descriptors",
        ("tune", "select"),
        needs=("xgboost",),
    ),
    "own": RecipeEntry(
        "own:fit",
        "own genres beside those of the bundled model, silent about other music; needs no "
        "TensorFlow",
        reads="embedding",
    ),
    "head": RecipeEntry(
        "head:fit",
        "linear head on a pretrained network's embedding; needs no TensorFlow",
        variants=("embedding", "all"),
        reads="embedding",
    ),
    "logistic": RecipeEntry(
        "on_features:fit_logistic",
        "multinomial logistic regression on descriptors",
        ("augment", "select"),
        _ALL_OR_MFCC,
    ),
    "svm": RecipeEntry(
        "on_features:fit_svm",
        "support vector machine with a radial kernel on descriptors; for benchmarks only",
        ("augment", "select", "tune"),
        _ALL_OR_MFCC,
        published=False,
    ),
    "random-forest": RecipeEntry(
        "on_features:fit_random_forest",
        "random forest on descriptors",
        ("augment", "select", "tune"),
        _ALL_OR_MFCC,
        needs=("xgboost",),
    ),
    "dense": RecipeEntry(
        "on_features:fit_dense",
        "dense network on descriptors",
        ("augment", "select", "tune", "epochs", "logs"),
        ("shallow", "deep"),
        needs=_NETWORK,
    ),
    "feature-cnn": RecipeEntry(
        "on_features:fit_feature_cnn",
        "one-dimensional CNN along descriptors",
        ("augment", "select", "tune", "epochs", "logs"),
        needs=_NETWORK,
    ),
    "transfer": RecipeEntry(
        "transfer:fit",
        "network for photographs on pictures of log-mel spectrograms: frozen, then fine-tuned",
        ("augment", "epochs", "weights", "logs"),
        (
            *("MobileNetV2", "EfficientNetB0", "InceptionV3", "ResNet50", "VGG16", "VGG19"),
            "EfficientNetLite0",
        ),
        reads="spectrograms",
        needs=_NETWORK,
    ),
}


# Names of before: the recipe is another network than the bundled model of that name.
RENAMED = {"cnn": "chunk-cnn"}


def current_name(name: str, reporter: Reporter = SILENT) -> str:
    """Return a recipe's name of today, and say so where it had another one."""
    if name in RENAMED:
        reporter.tell(f"the recipe {name} is called {RENAMED[name]} now")
    return RENAMED.get(name, name)


def find(name: str, settings: Settings | None = None, *, to_publish: bool = False) -> Recipe:
    """Return a recipe by its name of today.

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
    if settings is not None and settings.logs:
        need("--logs", "tensorboard")
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
    """Return those examples that a recipe can learn from, and report the others.

    Raises
    ------
    DataError
        Where there are none.
    """
    if RECIPES[name].reads != "embedding":
        return list(examples)
    kept = [example for example in examples if EMBEDDING in example.kept]
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
    for option in ("epochs", "augment", "tune", "select", "weights", "logs"):
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
