"""A reporter that remembers."""

from __future__ import annotations

from tagger.training.reporter import Reporter


class Recorder(Reporter):
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.left_out: dict[str, str] = {}

    def tell(self, line: str) -> None:
        self.lines.append(line)

    def leave_out(self, track: str, reason: str) -> None:
        self.left_out[track] = reason
