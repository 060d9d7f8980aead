"""docs/safety.md promises nothing without a test."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parent
TEXT = (TESTS.parent / "docs" / "safety.md").read_text(encoding="utf-8")


def test_every_test_that_is_named_exists():
    there = {
        name
        for file in TESTS.rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)\(", file.read_text(encoding="utf-8"), re.M)
    }
    named = set(re.findall(r"`(test_\w+)`", TEXT))
    assert len(named) > 40
    assert named <= there, f"gone: {sorted(named - there)}"


def test_every_promise_names_a_test():
    table = TEXT.partition("## Promises")[2].partition("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")][2:]
    assert len(rows) > 20
    for row in rows:
        assert re.search(r"`test_\w+` *(,.*)?\|$", row), f"promised without a test: {row}"
