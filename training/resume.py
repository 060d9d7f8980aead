"""What an interrupted training left behind: gone on from only with the same settings and data.

Must not know: what a recipe does inside, or keeps.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from tagger.errors import ConfigurationError
from training.datasets import Example

if TYPE_CHECKING:
    from training.recipes import Settings

CALL = "call.json"
HEARD = "heard-"  # folders of what was heard, which is good whatever is learned from it
# What makes no difference to what is learned.
_INCIDENTAL = ("work", "resume", "progress", "description", "watch", "importance")


class Call:
    """A recipe's settings, as the folder of work in progress remembers them.

    Parameters
    ----------
    recipe : str
    settings : Settings
        `work` is emptied unless it is to `resume`.

    Raises
    ------
    ConfigurationError
        Where `work` holds something else, or what another recipe or other settings left there.
    """

    def __init__(self, recipe: str, settings: Settings) -> None:
        work, self._file = settings.work, settings.work / CALL
        foreign = work.exists() and not self._file.is_file()
        if foreign and (not work.is_dir() or any(work.iterdir())):
            raise ConfigurationError(
                "is in the way, and nothing that gtag left there",
                path=work,
                hint="move it, or choose another folder for the output",
            )
        if not settings.resume:
            shutil.rmtree(work, ignore_errors=True)
        own = {k: v for k, v in vars(settings).items() if k not in _INCIDENTAL}
        self._settings: dict[str, Any] = {"recipe": recipe, **own}
        before = self._read()
        if before and before.get("settings") != self._settings:
            raise ConfigurationError(
                "what was interrupted had another recipe or other settings",
                path=work,
                hint="the same command with --resume goes on; without it, all begins anew",
            )
        self._data = before.get("data")
        self._write()

    def learns_from(
        self, examples: Sequence[Example], say: Callable[[str], None] = lambda line: None
    ) -> None:
        """Forget what was learned from other examples, and remember these."""
        before, self._data = self._data, digest(examples)
        if before != self._data:
            learned = [
                entry
                for entry in self._file.parent.iterdir()
                if entry.is_dir() and not entry.name.startswith(HEARD)
            ]
            if learned:
                say("the music has changed since the interruption: training begins anew")
            for folder in learned:
                shutil.rmtree(folder)
        self._write()

    def _read(self) -> dict[str, Any]:
        try:
            known = json.loads(self._file.read_text(encoding="ascii"))
        except (OSError, ValueError):
            return {}
        return known if isinstance(known, dict) else {}

    def _write(self) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._file.with_name(CALL + ".fresh")
        told = {"settings": self._settings, "data": self._data}
        fresh.write_text(json.dumps(told), encoding="ascii")
        fresh.replace(self._file)


def digest(examples: Sequence[Example]) -> str:
    """Of all that can be learned from examples."""
    found = hashlib.sha256()
    for e in examples:
        about = (e.track, e.genre, e.source, e.artist, e.recording, e.split, e.fold)
        found.update(json.dumps([about, e.excerpt_columns]).encode())
        if e.mel is not None:
            found.update(e.mel.tobytes())
        if e.features is not None:
            found.update(json.dumps(e.features.names).encode())
            found.update(e.features.values.tobytes())
    return found.hexdigest()
