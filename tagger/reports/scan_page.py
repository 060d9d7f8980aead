"""The page of a scan: results in, one after the other; one HTML file out, at the end.

Rows are kept in a temporary file, so that memory does not grow with the library.
"""

from __future__ import annotations

import json
import os
import tempfile
from bisect import insort
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagger.deciding.decide import Status
from tagger.reports.tally import MEANING, Tally, by_doubt
from tagger.storage.durable_io import new_file
from tagger.system.errors import WriteFailedError
from tagger.system.screen import printable

if TYPE_CHECKING:
    from tagger.pipeline.road import TrackResult

BINS = 20  # of the histogram of confidence
# What the page lists above the table of all tracks, and so is held in memory.
LISTED, CHANGES, DISTINCT_CHANGES = 100, 40, 5000
_BLOCK = 1 << 20


class ScanPage:
    """Collects results for one page.

    Parameters
    ----------
    target : path
        Made, or replaced, when `write` is called.

    Raises
    ------
    OSError
        Nothing can be written beside it.
    """

    def __init__(self, target: str | os.PathLike[str]) -> None:
        self._target = Path(os.path.realpath(target))
        # Without a name where the system can do that: a crash leaves nothing behind.
        self._rows = tempfile.TemporaryFile(  # noqa: SIM115 - open as long as the scan
            "w+", encoding="ascii", newline="", dir=self._target.parent
        )
        self._tally = Tally()
        self._confidence = {True: [0] * BINS, False: [0] * BINS}
        self._changes: Counter[tuple[str, str]] = Counter()
        self._unsure: list[TrackResult] = []
        self._doubted: list[TrackResult] = []
        self._all_doubted = 0
        self._failures: dict[tuple[Status, str], list[TrackResult]] = {}  # alike ones together
        self._listed = 0  # of them
        self._models: dict[str, None] = {}
        self._other_changes = 0

    @property
    def tracks(self) -> int:
        return self._tally.tracks

    def add(self, result: TrackResult) -> None:
        """Add one track.

        Raises
        ------
        WriteFailedError
        """
        try:
            self._rows.write(",\n" if self.tracks else "\n")
            self._rows.write(_as_script(_row(result)))
        except OSError as error:
            raise self._failed(error) from error
        self._tally.add(result)
        if result.model:
            self._models[result.model] = None
        if result.confidence is not None and result.status is not Status.CUE_TRACK:
            at = min(int(result.confidence * BINS), BINS - 1)
            self._confidence[result.status is not Status.UNSURE][at] += 1
        if result.status in (Status.WRITTEN, Status.WOULD_WRITE):
            change = result.old_genre, result.new_genre
            if change in self._changes or len(self._changes) < DISTINCT_CHANGES:
                self._changes[change] += 1
            else:
                self._other_changes += 1
        if result.status is Status.UNSURE and len(self._unsure) < LISTED:
            self._unsure.append(result)
        if result.own_confidence is not None:
            self._all_doubted += 1
            insort(self._doubted, result, key=by_doubt)
            del self._doubted[LISTED:]
        if result.status.is_problem and self._listed < LISTED:
            self._failures.setdefault((result.status, result.message), []).append(result)
            self._listed += 1

    def write(self, *, partial: bool) -> None:
        """Write the page, which says so if the scan is `partial`.

        Raises
        ------
        WriteFailedError
        """
        from tagger.reports.pages import pieces

        try:
            with new_file(self._target) as file:
                for piece in pieces("scan.html", script="scan.js", **self._values(partial)):
                    file.write(piece)
        except OSError as error:
            raise self._failed(error) from error

    def close(self) -> None:
        with suppress(OSError):  # rows that a full disk did not take: `write` has said so
            self._rows.close()

    def _values(self, partial: bool) -> dict[str, Any]:
        tally = self._tally
        changes = self._changes.most_common(CHANGES)
        changed = self._changes.total() + self._other_changes
        return {
            "title": "Results of gtag scan",
            "when": datetime.now().astimezone().strftime("%Y-%m-%d %H:%M"),
            "partial": partial,
            "models": list(self._models),
            "tiles": [
                ("tracks", f"{tally.tracks:,}", "in this scan"),
                *((s, f"{tally.statuses[s]:,}", MEANING[s]) for s in Status if tally.statuses[s]),
            ],
            "genres": [
                (genre, n, tally.mean_confidence(genre), n / max(tally.genres.values()))
                for genre, n in tally.genres.most_common()
            ],
            "confidence": _histogram(self._confidence[True], self._confidence[False]),
            "changes": changes,
            "other_changes": changed - sum(n for _, n in changes),
            "unsure": self._unsure,
            "all_unsure": tally.statuses[Status.UNSURE],
            "doubted": self._doubted,
            "all_doubted": self._all_doubted,
            "failures": list(self._failures.values()),
            "other_failures": tally.problems - self._listed,
            "rows": self._blocks(),
        }

    def _blocks(self) -> Iterator[str]:
        from markupsafe import Markup

        self._rows.flush()
        self._rows.seek(0)
        while block := self._rows.read(_BLOCK):
            yield Markup(block)  # pure ASCII without a `<`: see `_as_script`

    def _failed(self, error: OSError) -> WriteFailedError:
        return WriteFailedError(
            f"the page cannot be written: {error.strerror or error}", path=self._target
        )


def _histogram(sure: list[int], unsure: list[int]) -> list[dict[str, float]]:
    """Return the bars: their shares of the highest, unsure tracks below sure ones."""
    bars = list(zip(sure, unsure, strict=True))
    highest = max(map(sum, bars)) or 1
    return [
        {
            **{"from": i / BINS, "to": (i + 1) / BINS, "sure": named, "unsure": others},
            **{"named_share": named / highest, "others_share": others / highest},
        }
        for i, (named, others) in enumerate(bars)
    ]


def _row(result: TrackResult) -> list[str | float | None]:
    """Return a row of the table, in the order that `scan.js` expects."""
    values = (
        *(result.path, result.status, result.genre, result.confidence, result.runner_up),
        *(result.runner_up_confidence, result.old_genre, result.new_genre, result.message),
        result.new_mood,
    )
    return [
        printable(v) if isinstance(v, str) else None if v is None else round(v, 2) for v in values
    ]


def _as_script(row: list[str | float | None]) -> str:
    """JSON for a script element: nothing in it can end the element or begin a comment."""
    return json.dumps(row, separators=(",", ":")).replace("<", "\\u003c")
