"""Examples in docstrings give what they show."""

from __future__ import annotations

import doctest
from importlib import import_module

import pytest

from tests.test_imports import MODULES, OF_TRAINING, name_of

WITH_EXAMPLES = [
    file for file in MODULES + OF_TRAINING if "    >>> " in file.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("file", WITH_EXAMPLES, ids=name_of)
def test_examples(file):
    tried = doctest.testmod(import_module(name_of(file)))
    assert tried.failed == 0
    assert tried.attempted or name_of(file) == "tagger.api"  # whose examples need a library
