"""A model's card, `card.toml`, validated before anything is loaded.

A model may come from a stranger. So a card's paths must be inside its folder, weights must have the
SHA-256 that the card names, and nothing is ever unpickled.
"""

from __future__ import annotations

import hashlib
import math
import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tagger.errors import ModelError

if TYPE_CHECKING:
    import numpy as np

Weights = TypeVar("Weights")

CARD = "card.toml"
DEFAULT_THRESHOLD = 0.5  # where nothing was measured
# Optional files, for reports and ensembles: training history and out-of-fold predictions.
HISTORY, IMPORTANCE, CORRELATION = "history.csv", "importance.csv", "correlation.csv"
OUT_OF_FOLD = "out_of_fold.npz"
KINDS = (
    *("cnn", "boosted-trees", "random-forest", "linear", "dense", "head", "multi-label"),
    *("ensemble", "backbone", "detector"),
)
WITH_BACKBONE = ("head", "multi-label")
# Models that other models use: they predict no genre themselves.
PARTS = ("backbone", "detector")

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
    """

    slope: float
    offset: float
    threshold: float


@dataclass(frozen=True)
class StyleOnCard:
    """A style within a genre, and the probability from which it is named by default."""

    name: str
    genre: str
    threshold: float


@dataclass(frozen=True)
class Card:
    """Metadata of a model.

    Attributes
    ----------
    folder : Path
    name : str
    version : int
    kind : str
        One of `KINDS`.
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

    @property
    def members(self) -> tuple[str, ...]:
        """Name and version of each model that an ensemble averages."""
        return tuple(entry["model"] for entry in self.data.get("members", ()))

    @property
    def backbone(self) -> str:
        """Name and version of the network whose embedding a model uses."""
        return str(self.data["backbone"])

    def weights(self) -> bytes:
        """The weights, checked against the card.

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
            content = file.read_bytes()
        except OSError as error:
            raise ModelError(f"cannot be read: {error.strerror}", path=file, hint=_HINT) from error
        if hashlib.sha256(content).hexdigest() != entry.get("sha256"):
            raise ModelError("is not the file that the model's card names", path=file, hint=_HINT)
        return content

    def load_weights(self, load: Callable[[bytes], Weights]) -> Weights:
        """The weights, checked against the card and loaded.

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


def is_name(text: str) -> bool:
    """Whether a text is a valid name of a model."""
    return _NAME.fullmatch(text) is not None


def inside(folder: Path, name: str) -> Path:
    """Resolve a card's path, which must be inside the model's folder."""
    root = folder.resolve()
    try:
        file = (root / name).resolve()
    except (OSError, RuntimeError):  # a cycle of links
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
        data = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(
            "is not a model: no readable card.toml"
            if folder.exists()
            else "there is no such folder",
            path=folder,
            hint="gtag models lists the models by name",
        ) from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"is not a valid card: {error}", path=file, hint=_HINT) from error

    def need(condition: object, what: str) -> None:
        if not condition:
            raise ModelError(f"is not a valid card: {what}", path=file, hint=_HINT)

    name, version, kind = data.get("name"), data.get("version"), data.get("kind")
    need(isinstance(name, str) and is_name(name), "name must be like my-model")
    need(type(version) is int and 1 <= version < 10**9, "version must be a whole number from 1")
    need(kind in KINDS, f"kind must be one of {', '.join(KINDS)}")
    labels = data.get("labels")
    need(
        isinstance(labels, list)
        and len(labels) >= 2
        and all(isinstance(label, str) and label for label in labels)
        and len(set(labels)) == len(labels),
        "labels must be two or more different genres",
    )
    members = data.get("members", [])
    need(
        _are_tables(members)
        and (kind == "ensemble") == bool(members)
        and all(
            isinstance(entry.get("model"), str)
            and _NAME.fullmatch(entry["model"])
            and _is_number(entry.get("weight", 1.0))
            for entry in members
        ),
        "an ensemble, and nothing else, must have members: a model like cnn-1 and a weight each",
    )
    backbone = data.get("backbone")
    need(
        backbone is None
        if kind not in WITH_BACKBONE
        else isinstance(backbone, str) and _NAME.fullmatch(backbone),
        f"{' and '.join(WITH_BACKBONE)} models, and no others, must have a backbone like cnn-1",
    )
    parts = data.get("calibration", {}), data.get("decision", {})
    need(all(isinstance(part, dict) for part in parts), "calibration and decision must be tables")
    temperature = data.get("calibration", {}).get("temperature", 1.0)
    threshold = data.get("decision", {}).get("threshold", DEFAULT_THRESHOLD)
    need(_is_number(temperature) and temperature > 0, "temperature must be above 0")
    need(_is_number(threshold) and 0 <= threshold <= 1, "threshold must be from 0 to 1")
    tables = data.get("label", []), data.get("style", [])
    need(all(map(_are_tables, tables)), "label and style must be tables")
    need(
        not tables[0]
        or (
            [entry.get("name") for entry in tables[0]] == labels
            and all(_is_number(e.get(k)) for e in tables[0] for k in ("slope", "offset"))
        ),
        "each calibrated label must have a name, a slope and an offset",
    )
    need(
        all(_is_share(entry.get("threshold")) for table in tables for entry in table),
        "the threshold of each label and style must be from 0 to 1",
    )
    need(
        all(isinstance(e.get("name"), str) and e.get("genre") in (labels or ()) for e in tables[1]),
        "each style must have a name and a genre among the labels",
    )
    calibrated = tuple(
        CalibratedLabel(float(e["slope"]), float(e["offset"]), float(e["threshold"]))
        for e in tables[0]
    )
    styles = tuple(StyleOnCard(e["name"], e["genre"], float(e["threshold"])) for e in tables[1])
    learned = data.get("learned_from", [])
    figures = data.get("figures", [])
    need(_are_tables(learned) and _are_tables(figures), "learned_from and figures must be tables")
    need(
        all(
            isinstance(entry.get("tracks", []), list)
            and isinstance(entry.get("fingerprints", ""), str)
            for entry in learned
        ),
        "the tracks of learned_from must be a list, their fingerprints a text",
    )
    numbers = [n for row in figures for n in row.values() if type(n) in (int, float)]
    need(all(map(_is_number, numbers)), "figures must be finite numbers")
    return Card(
        folder=folder,
        name=data["name"],
        version=data["version"],
        kind=data["kind"],
        labels=tuple(data["labels"]),
        temperature=float(temperature),
        threshold=float(threshold),
        calibrated_labels=calibrated,
        styles=styles,
        learned_from={
            str(entry.get("set")): frozenset(map(str, entry.get("tracks", []))) for entry in learned
        },
        figures=tuple(figures),
        data=data,
    )


def _is_number(value: object) -> bool:
    if type(value) is int:
        return abs(value) < 10**18
    return type(value) is float and math.isfinite(value)


def _is_share(value: object) -> bool:
    return _is_number(value) and 0 <= float(value) <= 1  # type: ignore[arg-type]


def _are_tables(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(entry, dict) for entry in value)
