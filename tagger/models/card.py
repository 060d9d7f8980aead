"""A model's card, `card.toml`, validated before anything is loaded.

A model may come from a stranger. So a card's paths must be inside its folder, weights must have the
SHA-256 that the card names, and nothing is ever unpickled.
"""

from __future__ import annotations

import hashlib
import math
import re
import tomllib
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tagger.genres.placeholders import Placeholders
from tagger.genres.vocabulary import LONGEST_NAME, why_no_name
from tagger.models import registry
from tagger.system.errors import ConfigurationError, ModelError
from tagger.system.regular import read_regular

if TYPE_CHECKING:
    import numpy as np

Weights = TypeVar("Weights")
# Shares of what is named that are right, each with the threshold from which that was measured.
Aims = tuple[tuple[float, float], ...]

CARD = "card.toml"
DEFAULT_THRESHOLD = 0.5  # where nothing was measured
# Optional files, for reports and ensembles: training history and out-of-fold predictions.
HISTORY, IMPORTANCE, CORRELATION = "history.csv", "importance.csv", "correlation.csv"
OUT_OF_FOLD = "out_of_fold.npz"

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_HINT = "get the model again from its source, or train it again"


@dataclass(frozen=True)
class CalibratedLabel:
    """Calibration of one label of a model with independent labels.

    Attributes
    ----------
    slope, offset : float
        The probability is ``sigmoid(slope * logit + offset)`` (Platt 1999).
    threshold : float
        Probability from which the label is named by default.
    aims : Aims
        Thresholds for other shares of right names; empty where none were measured.
    """

    slope: float
    offset: float
    threshold: float
    aims: Aims = ()


@dataclass(frozen=True)
class StyleOnCard:
    """A style within a genre, and the probability from which it is named by default.

    `aims` are as those of a `CalibratedLabel`.
    """

    name: str
    genre: str
    threshold: float
    aims: Aims = ()


@dataclass(frozen=True)
class Card:
    """Metadata of a model.

    Attributes
    ----------
    folder : Path
    name : str
    version : int
    kind : str
        One of `registry.kinds`.
    labels : tuple of str
        Genres, in the order of the model's outputs.
    temperature : float
        Logits are divided by it, which calibrates the probabilities.
    threshold : float
        Probability from which a genre is named by default, if all genres have the same one.
    calibrated_labels : tuple of CalibratedLabel
        In the order of the labels, if they are independent; else empty.
    styles : tuple of StyleOnCard
    learned_from : dict of str to frozenset of str
        Track ids of each set that it was trained on.
    figures : tuple of dict
        Accuracy and the like, one for each protocol.
    data : dict
        The whole card.
    """

    folder: Path
    name: str
    version: int
    kind: str
    labels: tuple[str, ...]
    temperature: float
    threshold: float
    calibrated_labels: tuple[CalibratedLabel, ...]
    styles: tuple[StyleOnCard, ...]
    learned_from: dict[str, frozenset[str]]
    figures: tuple[dict[str, Any], ...]
    data: dict[str, Any]

    @property
    def is_part(self) -> bool:
        """Whether other models use it, and it predicts no genre itself."""
        kind = registry.kind(self.kind)
        return kind is not None and kind.is_part

    @property
    def tag(self) -> str:
        """Name and version, as written to `GTAG_MODEL`."""
        return f"{self.name}-{self.version}"

    @property
    def independent(self) -> bool:
        """Whether probabilities are independent: none of the labels may fit, or several."""
        return bool(self.calibrated_labels)

    @property
    def thresholds(self) -> np.ndarray:
        """Probability from which each label is named by default [shape=(n_labels,)]."""
        import numpy as np

        if self.independent:
            return np.array([label.threshold for label in self.calibrated_labels])
        return np.full(len(self.labels), self.threshold)

    @cached_property
    def aims(self) -> tuple[Aims, ...]:
        """Thresholds by the share that is right, of each label; empty where none were measured."""
        aims = tuple(label.aims for label in self.calibrated_labels)
        return aims if all(aims) else ()

    @property
    def uses(self) -> tuple[str, ...]:
        """Name and version of each model that this one uses: its backbones, or its members."""
        if "backbone" in self.data:
            return _listed(self.data["backbone"])
        return tuple(entry["model"] for entry in self.data.get("members", ()))

    def weights(self) -> bytes:
        """Return the weights, checked against the card.

        Raises
        ------
        ModelError
            Where they are outside the model's folder, missing, or not what the card says.
        """
        entry = self.data.get("weights")
        if not isinstance(entry, dict) or not isinstance(entry.get("file"), str):
            raise ModelError("names no weights", path=self.folder / CARD, hint=_HINT)
        file = inside(self.folder, entry["file"])
        try:
            content = read_regular(file)
        except OSError as error:
            raise ModelError(f"cannot be read: {error.strerror}", path=file, hint=_HINT) from error
        if hashlib.sha256(content).hexdigest() != entry.get("sha256"):
            raise ModelError("is not the file that the model's card names", path=file, hint=_HINT)
        return content

    def load_weights(self, load: Callable[[bytes], Weights]) -> Weights:
        """Return the weights, checked against the card and loaded.

        Parameters
        ----------
        load : callable
            From the content of the file; may raise ValueError, RuntimeError or KeyError.

        Raises
        ------
        ModelError
        """
        content = self.weights()
        try:
            return load(content)
        except (ValueError, RuntimeError, KeyError) as error:
            raise ModelError(f"the weights are not valid: {error}", path=self.folder) from error

    def need_outputs(self, n: int) -> None:
        """Raise ModelError unless a model has one output for each label."""
        if n != len(self.labels):
            raise ModelError(
                f"the weights have {n} outputs for {len(self.labels)} labels", path=self.folder
            )


def threshold_at(aims: Aims, share: float) -> float:
    """Return the threshold from which a share of what is named is right.

    Between two shares of `aims` it is interpolated; beyond the first and the last, theirs holds.

    Returns
    -------
    float
        Infinite where the share is never reached: the next share above has a threshold of 1 or
        more.

    >>> aims = ((0.8, 0.4), (0.9, 0.6), (0.95, 1.0))
    >>> [round(threshold_at(aims, share), 2) for share in (0.5, 0.85, 0.9, 0.91, 0.99)]
    [0.4, 0.5, 0.6, inf, inf]
    """
    above = bisect_left(aims, share, key=lambda pair: pair[0])
    (high_share, high) = aims[min(above, len(aims) - 1)]
    if high >= 1:
        return math.inf
    if above in (0, len(aims)):
        return high
    low_share, low = aims[above - 1]
    return low + (high - low) * (share - low_share) / (high_share - low_share)


def no_aims(model: str) -> ConfigurationError:
    """Return the error for a model that cannot be asked for a share of right names."""
    return ConfigurationError(
        f"{model} was not measured for --aim: its card has no thresholds by it",
        hint="use --min-confidence instead, or another model",
    )


def is_name(value: object) -> bool:
    """Tell whether a model can have this name."""
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


def why_no_label(label: str) -> str:
    """Say why no scan could write a label, or would take it for no genre; empty where one can."""
    if why := why_no_name(label):
        return why
    if label != label.strip():
        return "it has blanks around it"
    return "" if Placeholders().without((label,)) else "it means that there is no genre"


def _check_label(label: str) -> None:
    why = why_no_label(label)
    _need(not why, f"the label {label[:LONGEST_NAME]!r} cannot be written: {why}")


def inside(folder: Path, name: str) -> Path:
    """Resolve a card's path, which must be inside the model's folder."""
    root = folder.resolve()
    try:
        file = (root / name).resolve()
    except (OSError, RuntimeError, ValueError):  # a cycle of links; a NUL in the name
        file = root
    if not file.is_relative_to(root) or file == root:
        raise ModelError(
            f"points outside its folder: {name!r}",
            path=folder / CARD,
            hint="do not trust this model",
        )
    return file


def read_card(folder: Path) -> Card:
    """Read and check the card in a model's folder.

    Raises
    ------
    ModelError
        Where there is none, or it is not a card that this gtag understands.
    """
    file = folder / CARD
    try:
        return _checked(folder, tomllib.loads(read_regular(file).decode()))
    except OSError as error:
        missing = "is not a model: no readable card.toml"
        raise ModelError(
            missing if folder.exists() else "there is no such folder",
            path=folder,
            hint="gtag models lists the models by name",
        ) from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"is not a valid card: {error}", path=file, hint=_HINT) from error


def _checked(folder: Path, data: dict[str, Any]) -> Card:
    """Return the card, or raise ValueError with what is wrong with it."""
    name, version, kind = data.get("name"), data.get("version"), registry.kind(data.get("kind"))
    labels: Any = data.get("labels")
    _need(is_name(name), "name must be like my-model")
    _need(type(version) is int and 1 <= version < 10**9, "version must be a whole number from 1")
    if kind is None:
        known = ", ".join(registry.kinds())
        raise ValueError(f"kind must be one of {known}, or one that an installed package brings")
    _need(
        isinstance(labels, list)
        and all(isinstance(label, str) and label for label in labels)
        and len(labels) == len(set(labels)) >= 2,
        "labels must be two or more different genres",
    )
    if not kind.is_part:  # whose labels are never written
        for label in labels:
            _check_label(label)
    members = _tables(data, "members")
    _need(kind.has_members == bool(members), "an ensemble, and nothing else, must have members")
    for entry in members:
        _need(is_name(entry.get("model")), "each member must have a model like cnn-1")
        _number(entry, "weight", default=1.0)
    backbones = _listed(data.get("backbone", []))
    _need(
        len(backbones) >= kind.fewest_backbones,
        f"{data['kind']} models must have a backbone like cnn-1",
    )
    _need(
        all(is_name(backbone) for backbone in backbones)
        and len(set(backbones)) == len(backbones)
        and len(backbones) <= kind.most_backbones,
        f"a {data['kind']} model cannot have a backbone {data.get('backbone')!r}",
    )
    calibrated = _tables(data, "label")
    _need(
        not calibrated or [entry.get("name") for entry in calibrated] == labels,
        "each calibrated label must have a name, a slope and an offset, in the labels' order",
    )
    _need(
        len({"aims" in entry for entry in calibrated}) < 2,
        "either all calibrated labels have aims, or none",
    )
    styles = _tables(data, "style")
    _need(
        all(isinstance(e.get("name"), str) and e.get("genre") in labels for e in styles),
        "each style must have a name and a genre among the labels",
    )
    for entry in styles:
        _check_label(entry["name"])
    learned_from = _tables(data, "learned_from")
    for entry in learned_from:
        _need(isinstance(entry.get("tracks", []), list), "tracks must be a list")
        _need(isinstance(entry.get("fingerprints", ""), str), "fingerprints must be a text")
    figures = _tables(data, "figures")
    for row in figures:
        for key, value in row.items():
            if type(value) in (int, float):
                _number(row, key)
    temperature = _number(_table(data, "calibration"), "temperature", default=1.0)
    _need(temperature > 0, "temperature must be above 0")
    return Card(
        folder=folder,
        name=data["name"],
        version=data["version"],
        kind=data["kind"],
        labels=tuple(data["labels"]),
        temperature=temperature,
        threshold=_share(_table(data, "decision"), "threshold", default=DEFAULT_THRESHOLD),
        calibrated_labels=tuple(
            CalibratedLabel(
                _number(e, "slope"), _number(e, "offset"), _share(e, "threshold"), _aims(e)
            )
            for e in calibrated
        ),
        styles=tuple(
            StyleOnCard(e["name"], e["genre"], _share(e, "threshold"), _aims(e)) for e in styles
        ),
        learned_from={
            str(entry.get("set")): frozenset(map(str, entry.get("tracks", [])))
            for entry in learned_from
        },
        figures=tuple(figures),
        data=data,
    )


def _listed(backbone: Any) -> tuple[Any, ...]:
    """Return one backbone by its name, or several in a list."""
    return tuple(backbone) if isinstance(backbone, list) else (backbone,)


def _need(condition: bool, what: str) -> None:
    if not condition:
        raise ValueError(what)


def _table(data: dict[str, Any], key: str) -> dict[str, Any]:
    table = data.get(key, {})
    _need(isinstance(table, dict), f"{key} must be a table")
    return table


def _tables(data: dict[str, Any], key: str) -> list[dict[str, Any]]:
    tables = data.get(key, [])
    _need(
        isinstance(tables, list) and all(isinstance(table, dict) for table in tables),
        f"{key} must be tables",
    )
    return tables


def _number(table: dict[str, Any], key: str, default: float | None = None) -> float:
    value: Any = table.get(key, default)
    is_integer = type(value) is int and abs(value) < 10**18
    is_finite = type(value) is float and math.isfinite(value)
    _need(is_integer or is_finite, f"{key} must be a finite number")
    return float(value)


def _share(table: dict[str, Any], key: str, default: float | None = None) -> float:
    share = _number(table, key, default)
    _need(0 <= share <= 1, f"{key} must be from 0 to 1")
    return share


def _aims(table: dict[str, Any]) -> Aims:
    """Pairs of the share that is right and the threshold, ascending."""
    if "aims" not in table:
        return ()
    pairs = table["aims"]
    _need(
        isinstance(pairs, list)
        and bool(pairs)
        and all(isinstance(pair, list) and len(pair) == 2 for pair in pairs),
        "aims must be a list of pairs, each a share and a threshold",
    )
    keys = ("a share in aims", "a threshold in aims")
    named = [dict(zip(keys, pair, strict=True)) for pair in pairs]
    aims = tuple((_share(pair, keys[0]), _number(pair, keys[1])) for pair in named)
    _need(
        all(threshold >= 0 for _, threshold in aims)
        and all(a[0] < b[0] and a[1] <= b[1] for a, b in pairwise(aims)),
        "the shares in aims must ascend, and their thresholds must not descend",
    )
    return aims
