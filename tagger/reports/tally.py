"""Counts the results of a scan, for its summary and its page. Memory grows with genres only."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from tagger.deciding.decide import Status

if TYPE_CHECKING:
    from tagger.pipeline.road import TrackResult

MEANING = {
    Status.WRITTEN: "genre written",
    Status.WOULD_WRITE: "would be written with --write-tags",
    Status.UNCHANGED: "gtag wrote the same before",
    Status.KEPT: "has a genre of your own",
    Status.UNSURE: "left alone: not sure enough, or no music",
    Status.CUE_TRACK: "tracks of cue sheets, in files above",
    Status.UNREADABLE: "could not be read",
    Status.REFUSED: "not safe to write now",
    Status.FAILED: "could not be written; as it was before",
}


# Among the genres; nor is what went wrong.
_UNCOUNTED = (Status.UNSURE, Status.CUE_TRACK)


def by_doubt(result: TrackResult) -> tuple[float, float]:
    """Return what sorts the tracks whose own genre is doubted: the least probable comes first."""
    return result.own_confidence or 0.0, -(result.confidence or 0.0)


class Tally:
    """Counts results."""

    def __init__(self) -> None:
        self.statuses: Counter[Status] = Counter()
        self.genres: Counter[str] = Counter()
        self.moods: Counter[str] = Counter()  # that are written, or would be
        self.wrote = 0  # files, be it for their mood alone
        self._unwritten_moods = 0
        self._confidence: defaultdict[str, float] = defaultdict(float)

    def add(self, result: TrackResult) -> None:
        self.statuses[result.status] += 1
        self.wrote += result.wrote
        genre, confidence = result.genre, result.confidence
        if result.named:  # which its album may have chosen
            genre, confidence = result.named, result.named_confidence
        counts = result.status not in _UNCOUNTED and not result.status.is_problem
        if confidence is not None and counts:
            self.genres[genre] += 1
            self._confidence[genre] += confidence
        if result.new_mood != result.old_mood:
            self.moods[result.new_mood] += 1
            self._unwritten_moods += not result.wrote

    @property
    def tracks(self) -> int:
        return self.statuses.total()

    @property
    def would_write(self) -> int:
        """Tell how many changes a dry run found, of genres or moods."""
        return self.statuses[Status.WOULD_WRITE] + self._unwritten_moods

    @property
    def problems(self) -> int:
        return sum(n for status, n in self.statuses.items() if status.is_problem)

    def mean_confidence(self, genre: str) -> float:
        return self._confidence[genre] / self.genres[genre]
