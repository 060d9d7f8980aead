"""Finds, verifies and loads models: the bundled ones, the user's own, packages', or any folder."""

from __future__ import annotations

import re
from contextlib import suppress
from os import sep
from pathlib import Path

from tagger.models.card import CARD, Card, inside, read_card
from tagger.models.classifier import Classifier
from tagger.models.embeddings import Embedder
from tagger.models.registry import OWN, bundled_folder, folders_of_packages, in_words, maker_of
from tagger.system.errors import ConfigurationError, GtagError, ModelError
from tagger.system.places import data_folder, if_there_is_one
from tagger.system.suggest import did_you_mean

DEFAULT = "cnn"


def user_folder() -> Path:
    """Return the folder of users' own models."""
    return data_folder() / "models"


def roots() -> list[Path]:
    """Return the folders where models have names: the bundled ones, then the user's own, if any."""
    own = if_there_is_one(user_folder)
    return [bundled_folder(), *([own] if own else [])]


def names(*roots: Path) -> list[str]:
    """Names of the models in folders; no card is parsed, so that completion is quick."""
    return sorted(
        {
            folder.name
            for root in roots
            if root.is_dir()
            for folder in root.iterdir()
            if (folder / CARD).is_file() and not _is_part(folder / CARD)
        }
    )


def _is_part(card: Path) -> bool:
    try:
        kind = re.search(rb'^kind = "(.*)"$', card.read_bytes(), re.M)
    except OSError:
        return False
    own = OWN.get(kind[1].decode(errors="replace")) if kind is not None else None
    return own is not None and own.is_part


def available() -> list[Card]:
    """Return the cards of all models that have a name: bundled ones, then the user's, then
    packages'.

    Damaged ones are left out; `load` raises their errors.
    """
    cards = []
    there = [root for root in roots() if root.is_dir()]
    folders = [folder for root in there for folder in sorted(root.iterdir())]
    for folder in (*folders, *folders_of_packages().values()):
        if (folder / CARD).is_file():
            with suppress(ModelError):
                cards.append(read_card(folder))
    return [card for card in cards if not card.is_part]


def find(name_or_folder: str) -> Card:
    """Return the card of a model.

    Parameters
    ----------
    name_or_folder : str
        A name as `gtag models` lists it, or the folder of a model. What looks like a path is one.

    Raises
    ------
    ModelError
        Where there is no such model, or its card is not valid.
    """
    if sep in name_or_folder or name_or_folder in (".", ".."):
        return read_card(Path(name_or_folder))
    for root in roots():
        if (root / name_or_folder / CARD).is_file():
            return read_card(root / name_or_folder)
    of_packages = folders_of_packages()
    if name_or_folder in of_packages:
        return read_card(of_packages[name_or_folder])
    if Path(name_or_folder).is_dir():
        return read_card(Path(name_or_folder))
    raise ModelError(f"there is no model {name_or_folder!r}", hint=_instead_of(name_or_folder))


def _instead_of(name: str) -> str:
    known = [card.name for card in available()]
    there = f"there are: {', '.join(known) or 'none'}"
    return " ".join(filter(None, (did_you_mean(name, known), there)))


def load(name_or_folder: str = DEFAULT) -> Classifier:
    """Load and verify a model.

    Raises
    ------
    ModelError
        Where there is no such model, or it is damaged or not trusted.
    """
    return load_card(find(name_or_folder))


def load_backbone(name_or_folder: str) -> Embedder:
    """Load and verify a network whose embedding other models use.

    Raises
    ------
    ModelError
        Where there is no such model, it is damaged, or it has no embedding.
    """
    return _load_backbone(find(name_or_folder))


def load_backbone_below(card: Card) -> Embedder:
    """Return the pretrained network that a model or one of its members uses.

    Raises
    ------
    ConfigurationError
        The model uses none.
    ModelError
        The network is damaged.
    """
    below = next((used for used in used_by(card) if used.kind == "backbone"), None)
    if below is None:
        with_one = [c.name for c in available() if any(u.kind == "backbone" for u in used_by(c))]
        raise ConfigurationError(
            f"the model {card.name} has no embedding",
            hint=f"these have one: {', '.join(with_one) or 'none'}",
        )
    return _load_backbone(below)


def _load_backbone(card: Card) -> Embedder:
    if card.kind == "backbone":
        from tagger.models.networks import Backbone

        return Backbone(card)
    model = load_card(card)
    if not isinstance(model, Embedder):
        raise ModelError(f"{card.tag} has no embedding", path=card.folder)
    return model


def _backbones(card: Card) -> list[Embedder]:
    return [_load_backbone(used) for used in _used_directly(card)]


def load_card(card: Card) -> Classifier:
    """Load and verify the model of a card."""
    match card.kind:
        case "cnn":
            from tagger.models.chunk_cnn import ChunkCnn

            return ChunkCnn(card)
        case "boosted-trees" | "random-forest":
            from tagger.models.boosted_trees import BoostedTrees

            return BoostedTrees(card, *_backbones(card))
        case "linear":
            from tagger.models.linear import Linear

            return Linear(card)
        case "dense":
            from tagger.models.dense import Dense

            return Dense(card)
        case "head":
            from tagger.models.head import Head, hears_networks

            return Head(card, _backbones(card) if hears_networks(card) else [])
        case "multi-label":
            from tagger.models.head import hears_networks
            from tagger.models.multi_label import MultiLabel

            return MultiLabel(card, _backbones(card) if hears_networks(card) else [])
        case "ensemble":
            from tagger.models.ensemble import Ensemble

            return Ensemble(card, [load_card(member) for member in _used_directly(card)])
        case "backbone" | "moods":
            raise ModelError(
                f"{card.name} is part of other models and predicts no genre",
                path=card.folder,
                hint="gtag models lists the models that do",
            )
    return _of_package(card)


def _of_package(card: Card) -> Classifier:
    """Return the model of a card whose kind another package brings."""
    make, backbones = maker_of(card.kind), _backbones(card)
    try:
        model = make(card, backbones)
    except GtagError:
        raise
    except Exception as error:  # a stranger's code may raise anything
        raise ModelError(f"cannot be loaded: {in_words(error)}", path=card.folder) from error
    if Classifier not in type(model).__mro__:
        raise ModelError(f"its kind {card.kind} makes no Classifier", path=card.folder)
    loaded: Classifier = model
    return loaded


def used_by(card: Card) -> list[Card]:
    """Return the cards of the models that a model uses, and of those that they use."""
    used = _used_directly(card)
    return used + [deeper for inner in used for deeper in used_by(inner)]


def _used_directly(card: Card) -> list[Card]:
    return [_member(card, tag) for tag in card.uses]


def _member(card: Card, tag: str) -> Card:
    """Return the card of a model that another one uses: in its folder, or in the zoo by name."""
    name, _, _ = tag.rpartition("-")
    inner = inside(card.folder, name)
    member = read_card(inner) if (inner / CARD).is_file() else find(name)
    if member.tag != tag:
        raise ModelError(f"needs {tag}, not {member.tag}", path=card.folder)
    if member.kind == card.kind:
        raise ModelError(f"uses {tag}, which is of the same kind", path=card.folder)
    return member
