"""Installs models in the user's data folder and removes them, completely or not at all.

A model may come from a stranger: only what its card names is copied, as the bytes that were
checked, and the tables of its training; and it must predict before it gets its name.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import mkdtemp

import numpy as np

from tagger.models import moods, zoo
from tagger.models.card import (
    CARD,
    CORRELATION,
    HISTORY,
    IMPORTANCE,
    OUT_OF_FOLD,
    Card,
    inside,
    read_card,
)
from tagger.models.prediction import sigmoid
from tagger.models.registry import bundled_folder, folders_of_packages, in_words
from tagger.models.track_features import TrackFeatures
from tagger.sound.native_messages import native_messages_hidden
from tagger.system.errors import ConfigurationError, GtagError, ModelError


def install(folder: Path) -> Card:
    """Copy a model from a folder into the user's own, under the name on its card.

    Returns
    -------
    Card
        Of the copy.

    Raises
    ------
    ModelError
        Where the model is damaged, not trusted, or cannot predict.
    ConfigurationError
        Where its name is taken.
    """
    card = read_card(folder)
    target = zoo.user_folder() / card.name
    if is_bundled(card.name):
        raise ConfigurationError(
            f"{card.name} is the name of a bundled model",
            path=folder,
            hint="train it under another name with --name, or use it by its folder",
        )
    # A link to nowhere counts as well.
    if target.exists() or target.is_symlink():
        raise ConfigurationError(
            f"there is already a model {card.name}",
            path=target,
            hint=f"gtag models remove {card.name}",
        )
    fresh = _beside_the_models(card.name)
    try:
        _copy(card, fresh)
        verify(read_card(fresh))
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh.rename(target)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    return read_card(target)


def remove(name: str) -> Path:
    """Delete one of the user's own models, also a damaged one.

    Returns
    -------
    Path
        Where it was.

    Raises
    ------
    ConfigurationError
        Where it is a bundled model, or there is none of that name in the user's data folder.
    """
    target = zoo.user_folder() / name
    if name not in own_names():
        if is_bundled(name):
            raise ConfigurationError(f"{name} is a bundled model and cannot be removed")
        raise ConfigurationError(
            f"you have no model {name!r}", hint="gtag models lists the models by name"
        )
    if target.is_symlink():
        target.unlink()
        return target
    doomed = _beside_the_models(name)
    try:
        target.rename(doomed / name)  # at once: half a model never has its name
    finally:
        shutil.rmtree(doomed, ignore_errors=True)
    return target


def verify(card: Card) -> None:
    """Load a model and let it predict on a second of noise.

    Raises
    ------
    ModelError
        Where it is not what its card says, or its output is not probabilities.
    """
    from tagger.sound.audio import Excerpt, Sound
    from tagger.sound.decoder import SAMPLE_RATE

    noise = np.random.default_rng(0).uniform(-0.5, 0.5, SAMPLE_RATE).astype(np.float32)
    sound = Sound((Excerpt(noise, 0.0, 0, 0),), 1.0)
    try:
        with native_messages_hidden():
            answer = _answer(card, TrackFeatures.from_sound(sound))
    except GtagError:
        raise
    except Exception as error:  # the code of a kind may be a stranger's
        raise ModelError(f"cannot predict: {in_words(error)}", path=card.folder) from error
    if (
        answer.shape != (len(card.labels),)
        or not np.isfinite(answer).all()
        or answer.min() < 0
        or answer.max() > 1 + 1e-3
        or not (card.independent or card.kind == "backbone" or abs(answer.sum() - 1) < 1e-3)
    ):
        raise ModelError("its output is not probabilities", path=card.folder)


def _answer(card: Card, features: TrackFeatures) -> np.ndarray:
    """Output of a model for a track [shape=(n_labels,)]; also of parts of other models."""
    if card.kind == "backbone":
        from tagger.models.networks import Backbone

        Backbone(card).embed(features)
        return sigmoid(features.logits[card.tag])
    if card.kind == moods.KIND:
        return moods.probabilities(card, features)
    return zoo.load_card(card).predict(features).probabilities


def is_bundled(name: str) -> bool:
    return name in _names(bundled_folder())


def own_names() -> list[str]:
    """Return the names in the user's data folder, also of models that are damaged."""
    return _names(zoo.user_folder())


def folder_of(name: str) -> Path:
    """Return the folder of a model by its name, also of a damaged one, or any model's folder.

    Raises
    ------
    ModelError
        Where there is no such model.
    """
    named = {folder.name: folder for folder in reversed(all_folders())}
    return named[name] if name in named else zoo.find(name).folder


def all_folders() -> list[Path]:
    """Return the folders of all models with a name, damaged ones too: bundled ones first."""
    roots = zoo.roots()
    own = [root / name for root in roots for name in _names(root)]
    return own + list(folders_of_packages().values())


def _names(root: Path) -> list[str]:
    if not root.is_dir():
        return []
    return sorted(
        entry.name
        for entry in root.iterdir()
        if (entry.is_dir() or entry.is_symlink())
        and not entry.name.startswith((".", "__"))
        and not entry.name.endswith(".work")  # of a training that was interrupted
    )


def _beside_the_models(name: str) -> Path:
    """Make a new folder on the models' file system, outside their folder."""
    root = zoo.user_folder().parent
    root.mkdir(parents=True, exist_ok=True)
    return Path(mkdtemp(prefix=f".{name}-", dir=root))


def _copy(card: Card, target: Path) -> None:
    """Copy card, weights and tables, and the models that it uses from its own folder."""
    target.chmod(0o755)
    if "weights" in card.data:
        content = card.weights()
        within = inside(card.folder, card.data["weights"]["file"])
        file = target / within.relative_to(card.folder.resolve())
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    for tag in card.uses:
        name, _, _ = tag.rpartition("-")
        inner = inside(card.folder, name)
        if (inner / CARD).is_file():
            (target / name).mkdir()
            _copy(read_card(inner), target / name)
    for name in (HISTORY, IMPORTANCE, CORRELATION, OUT_OF_FOLD):
        file = inside(card.folder, name)
        if file.is_file():
            (target / name).write_bytes(file.read_bytes())
    (target / CARD).write_bytes((card.folder / CARD).read_bytes())
