"""What the extras of the package bring: a command that lacks one says which to install.

`pyproject.toml` has the same extras with the versions; tests/test_packaging.py compares them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec

from tagger.system.errors import ConfigurationError


@dataclass(frozen=True)
class Extra:
    """An extra of the package.

    Attributes
    ----------
    purpose : str
        Which commands need it.
    packages : mapping of str to str
        By the name that is imported, the name that people know.
    """

    purpose: str
    packages: Mapping[str, str]

    def missing(self) -> list[str]:
        """Return the packages that are not installed."""
        return [known for name, known in self.packages.items() if not is_installed(name)]


# From the smallest on: the first one that brings what is missing is named.
_PLOT = {"matplotlib": "matplotlib"}
_LEARN = {**_PLOT, "sklearn": "scikit-learn", "scipy": "scipy"}
_TRAIN = {"xgboost": "XGBoost", "tensorflow": "TensorFlow", "keras": "Keras", "optuna": "Optuna"}
EXTRAS = {
    "plot": Extra("gtag show --plot", _PLOT),
    "learn": Extra("gtag train --from-tags and gtag evaluate", _LEARN),
    "train": Extra("every recipe of gtag train", {**_LEARN, **_TRAIN}),
    "web": Extra("gtag review --web", {"starlette": "Starlette", "uvicorn": "uvicorn"}),
    "research": Extra(
        "--data mirdata:NAME, --logs and python -m tagger.training.onnx_export",
        {
            **{**_LEARN, **_TRAIN},
            **{"mirdata": "mirdata", "tensorboard": "TensorBoard", "tf2onnx": "tf2onnx"},
        },
    ),
    "cluster": Extra("gtag scan --cluster", {"distributed": "Dask"}),
    "beets": Extra("the plugin for beets", {"beets": "beets"}),
}


def is_installed(name: str) -> bool:
    """Tell whether a package can be imported; does not import it."""
    return find_spec(name) is not None


def how_to_install(extra: str) -> str:
    """Return what to type to install an extra."""
    return f"pip install '.[{extra}]' in the folder of gtag's source"


def need(who: str, *names: str) -> None:
    """Check that packages of extras are installed, without importing them.

    Parameters
    ----------
    who : str
        What needs them, as a person calls it.
    *names : str
        Packages by the names that are imported.

    Raises
    ------
    ConfigurationError
        One is missing: names it, and the extra that brings all that are missing.
    """
    missing = {name for name in names if not is_installed(name)}
    if not missing:
        return
    extra = next(extra for extra, brings in EXTRAS.items() if missing <= set(brings.packages))
    known = " and ".join(said for name, said in EXTRAS[extra].packages.items() if name in missing)
    raise ConfigurationError(f"{who} needs {known}", hint=how_to_install(extra))
