"""What a prediction depends on beside the sound: gtag's code, and a model as it was loaded.

Machines whose fingerprints are equal say the same of the same file. A process keeps its code as
long as it lives, but loads a model again whose files have changed.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from hashlib import blake2b
from pathlib import Path

from tagger.models import zoo
from tagger.models.moods import moods_card
from tagger.models.not_music import yamnet_card
from tagger.pipeline.classify import classifier, forget_models

# Where the code is that reads a file's sound and predicts.
_PACKAGES = ("system", "genres", "containers", "library", "sound", "models", "deciding", "pipeline")


def installation(model: str, expected: str = "") -> str:
    """Return the version and fingerprint of gtag, and those of a model, which is loaded.

    Parameters
    ----------
    model : str
        As `zoo.load` takes it.
    expected : str, optional
        What another process says. If it differs, the model is loaded again, since its files may
        have changed.

    Raises
    ------
    ModelError
        There is no such model, or it is damaged.
    """
    found = f"{_gtag()} and {_loaded(model)}"
    if not expected or found == expected:
        return found
    forget_models()
    _loaded.cache_clear()
    return installation(model)


@cache
def _gtag() -> str:
    """Fingerprint the code that runs, and what tells music and moods."""
    from importlib.metadata import version

    root = Path(__file__).parents[1]
    code = [file for package in _PACKAGES for file in (root / package).glob("*.py")]
    networks = [*_files(yamnet_card().folder), *_files(moods_card().folder)]
    return f"gtag {version('gtag-music')} ({_fingerprint([*code, *networks])})"


@cache
def _loaded(model: str) -> str:
    """Fingerprint a model's files as they are when it is loaded."""
    while True:
        card = zoo.find(model)
        folders = [card.folder, *(used.folder for used in zoo.used_by(card))]
        before = _fingerprint(file for folder in folders for file in _files(folder))
        loaded = classifier(model).card
        if before == _fingerprint(file for folder in folders for file in _files(folder)):
            return f"{loaded.tag} ({before})"
        forget_models()


def _files(folder: Path) -> list[Path]:
    """Return all files of a model, those of its members too, but none that a file manager left
    there.
    """
    inside = (file.relative_to(folder).parts for file in folder.rglob("*") if file.is_file())
    return [folder.joinpath(*p) for p in inside if not any(part[0] == "." for part in p)]


def _fingerprint(files: Iterable[Path]) -> str:
    """Fingerprint names and contents, wherever the files lie."""
    digests = sorted(
        file.name.encode("utf-8", "surrogateescape") + blake2b(file.read_bytes()).digest()
        for file in files
    )
    return blake2b(b"".join(digests), digest_size=6).hexdigest()
