"""Kinds of models and bundled models by name: gtag's own, and those of other installed packages.

A package brings a kind as an entry point of the group `gtag.models`; docs/models.md shows how. No
package is imported before a model of its kind is loaded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagger.system.errors import ModelError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "gtag.models"


@dataclass(frozen=True)
class Kind:
    """A kind of models, and what the card of such a model may name.

    Attributes
    ----------
    fewest_backbones, most_backbones : int
        Of the pretrained networks below it.
    has_members : bool
        Whether it is made of other models.
    is_part : bool
        Whether it serves other models only and predicts no genre itself.
    """

    fewest_backbones: int = 0
    most_backbones: int = 0
    has_members: bool = False
    is_part: bool = False


_ANY = 100
# How each is loaded is in zoo.py.
OWN = {
    "cnn": Kind(),
    "boosted-trees": Kind(most_backbones=1),
    "random-forest": Kind(most_backbones=1),
    "linear": Kind(),
    "dense": Kind(),
    "head": Kind(1, _ANY),
    "multi-label": Kind(1, _ANY),
    "ensemble": Kind(has_members=True),
    "backbone": Kind(is_part=True),
    "moods": Kind(1, 1, is_part=True),
}
_OF_PACKAGE = Kind(most_backbones=_ANY)


def kind(name: object) -> Kind | None:
    """Return a kind by its name; None where neither gtag nor a package has it."""
    if not isinstance(name, str):
        return None
    return OWN.get(name) or (_OF_PACKAGE if _others(name) else None)


def kinds() -> list[str]:
    """Return the names of all kinds, gtag's own first."""
    return [*OWN, *sorted({entry.name for entry in _others()} - OWN.keys())]


def code_of(kind: str) -> str:
    """Return name and version of the package that brings a kind; nothing for gtag's own."""
    entries = () if kind in OWN else _others(kind)
    return ", ".join(f"{_package(entry)} {entry.dist.version}" for entry in entries if entry.dist)


def maker_of(kind: str) -> Callable[..., Any]:
    """Import what a package brings for a kind.

    Raises
    ------
    ModelError
        It cannot be imported, no package has the kind, or two have it.
    """
    entries = _others(kind)
    packages = " and ".join(sorted(map(_package, entries)))
    if len(entries) != 1:
        told = f"{packages} both bring it" if entries else "no installed package brings it"
        raise ModelError(f"models of the kind {kind} cannot be run: {told}")
    try:
        maker = entries[0].load()
    except (Exception, SystemExit) as error:  # whatever a stranger's module does
        raise ModelError(
            f"the package {packages}, which models of the kind {kind} need,"
            f" cannot be imported: {in_words(error)}",
            hint="update it, or remove it",
        ) from error
    if not callable(maker):
        raise ModelError(f"what the package {packages} brings for the kind {kind} is no class")
    made: Callable[..., Any] = maker
    return made


def in_words(error: BaseException) -> str:
    """Return an unexpected error as one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}".rstrip(": ")


def bundled_folder() -> Path:
    """Return the folder with gtag's own models."""
    return Path(str(files("tagger.model_zoo")))


def folders_of_packages() -> dict[str, Path]:
    """Return the models that packages bring, by name: a card.toml beside the code of a kind.

    Nothing is imported. Of a package that is installed in editable mode none is found.
    """
    found = {}
    for entry in _others():
        if entry.dist is not None and entry.name not in OWN:
            found[entry.name] = Path(str(entry.dist.locate_file(entry.module.replace(".", "/"))))
    return {name: folder for name, folder in found.items() if (folder / "card.toml").is_file()}


def _others(name: str | None = None) -> list[EntryPoint]:
    """Return the entry points of packages, those of one kind or all; the same one counts once."""
    from importlib.metadata import entry_points  # imports 40 modules, of email and zipfile

    found = entry_points(group=GROUP) if name is None else entry_points(group=GROUP, name=name)
    return list({(_package(entry), entry.name): entry for entry in found}.values())


def _package(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist is not None else entry.module
