"""Work in progress of an interrupted training: continued only with the same settings and data."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagger.storage.durable_io import write_whole
from tagger.system.errors import ConfigurationError
from tagger.training.data.datasets import Example
from tagger.training.reporter import SILENT, Reporter

if TYPE_CHECKING:
    from tagger.training.recipes.fitting import Settings

CALL = "call.json"
HEARD = "heard-"  # folders of decoded sound, valid whatever is learned from it
# Settings that make no difference to the model.
_INCIDENTAL = ("work", "logs", "resume", "reporter", "description", "watch", "importance")


class Call:
    """A recipe's settings, as the folder of work in progress remembers them.

    Parameters
    ----------
    settings : Settings
        `work` is emptied unless it is to `resume`.

    Raises
    ------
    ConfigurationError
        Where `work` holds something else, or what another recipe or other settings left there.
    """

    def __init__(self, recipe: str, settings: Settings) -> None:
        work, self._file = settings.work, settings.work / CALL
        if work.exists() and not self._file.is_file() and not _only_heard(work):
            raise ConfigurationError(
                "is in the way, and nothing that gtag left there",
                path=work,
                hint="move it, or choose another folder for the output",
            )
        if not settings.resume:
            shutil.rmtree(work, ignore_errors=True)
        own = {k: v for k, v in vars(settings).items() if k not in _INCIDENTAL}
        if Path(settings.weights).is_file():
            status = Path(settings.weights).stat()
            own["weights"] = [settings.weights, status.st_size, status.st_mtime_ns]
        self._settings: dict[str, Any] = {"recipe": recipe, **own}
        before = self._read()
        if before and before.get("settings") != self._settings:
            raise ConfigurationError(
                "what was interrupted had another recipe or other settings",
                path=work,
                hint="the same command with --resume goes on; without it, all begins anew",
            )
        self._data = before.get("data")

    def learns_from(self, examples: Sequence[Example], reporter: Reporter = SILENT) -> None:
        """Forget what was learned from other examples, and remember these."""
        work, data = self._file.parent, digest(examples)
        work.mkdir(parents=True, exist_ok=True)
        if self._data != data:
            learned = [e for e in work.iterdir() if e.is_dir() and not e.name.startswith(HEARD)]
            if learned:
                reporter.tell("the music has changed since the interruption: training begins anew")
            for folder in learned:
                shutil.rmtree(folder)
        told = {"settings": self._settings, "data": data}
        write_whole(self._file, json.dumps(told).encode())

    def _read(self) -> dict[str, Any]:
        try:
            known = json.loads(self._file.read_text(encoding="ascii"))
        except (OSError, ValueError):
            return {}
        return known if isinstance(known, dict) else {}


def _only_heard(work: Path) -> bool:
    """Tell whether there is only decoded sound, of a call that stopped before it trained."""
    return work.is_dir() and all(entry.name.startswith(HEARD) for entry in work.iterdir())


def digest(examples: Sequence[Example]) -> str:
    """Digest all that can be learned from examples."""
    found = hashlib.sha256()
    for e in examples:
        about = (e.track, e.genre, e.source, e.artist, e.recording, e.split, e.fold, e.others)
        found.update(json.dumps([about, e.excerpt_columns]).encode())
        if e.mel is not None:
            found.update(e.mel.tobytes())
        if e.features is not None:
            found.update(json.dumps(e.features.names).encode())
            found.update(e.features.values.tobytes())
    return found.hexdigest()
