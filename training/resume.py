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
        Where another recipe or other settings have been at work there.
    """

    def __init__(self, recipe: str, settings: Settings) -> None:
        self._file = settings.work / CALL
        if not settings.resume:
            shutil.rmtree(settings.work, ignore_errors=True)
        own = {k: v for k, v in vars(settings).items() if k not in _INCIDENTAL}
        self._settings: dict[str, Any] = {"recipe": recipe, **own}
        self._before = self._read()
        if self._before and self._before.get("settings") != self._settings:
            raise ConfigurationError(
                "what was interrupted had another recipe or other settings",
                path=settings.work,
                hint="the same command with --resume goes on; without it, all begins anew",
            )

    def learns_from(
        self, examples: Sequence[Example], say: Callable[[str], None] = lambda line: None
    ) -> None:
        """Forget what was learned from other examples, and remember these."""
        data = _digest(examples)
        work = self._file.parent
        if self._before and self._before.get("data") != data:
            say("the music has changed since the interruption: training begins anew")
            for entry in work.iterdir():
                if entry.is_dir() and not entry.name.startswith(HEARD):
                    shutil.rmtree(entry)
        work.mkdir(parents=True, exist_ok=True)
        fresh = self._file.with_name(CALL + ".fresh")
        fresh.write_text(json.dumps({"settings": self._settings, "data": data}), encoding="ascii")
        fresh.replace(self._file)

    def _read(self) -> dict[str, Any]:
        try:
            known = json.loads(self._file.read_text(encoding="ascii"))
        except (OSError, ValueError):
            return {}
        return known if isinstance(known, dict) else {}


def _digest(examples: Sequence[Example]) -> str:
    """Of all that can be learned from examples."""
    digest = hashlib.sha256()
    for e in examples:
        about = [e.track, e.genre, e.source, e.artist, e.split, e.fold, e.excerpt_columns]
        digest.update(json.dumps(about).encode())
        if e.mel is not None:
            digest.update(e.mel.tobytes())
        if e.features is not None:
            digest.update(json.dumps(e.features.names).encode())
            digest.update(e.features.values.tobytes())
    return digest.hexdigest()
