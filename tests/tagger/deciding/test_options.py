"""The options of a scan: what does not fit is refused, whoever gives it."""

from __future__ import annotations

import math
from dataclasses import fields
from fractions import Fraction
from pathlib import Path

import click
import numpy as np
import pytest

import tagger
from tagger.cli.click_options import Number, Whole
from tagger.cli.scan import scan
from tagger.deciding.options import OPTIONS, ScanOptions

WRONG = {
    "model": (3, "a\0b"),
    "min_confidence": (7, -0.1, "0.5", True, math.nan, math.inf, np.float32("nan")),
    "aim": (0.4, 1, "0.9", True, math.nan),
    "genres": (0, -1, 1.0, "2", None, True, 10**30),
    "detail": ("Style", "", None, 1, "x" * 10**6),
    "album": ("no", False),
    "existing": ("Keep", "KEEP", "overwrite", None, ["keep"]),
    "placeholders": ("Unknown", 3, [None], None),
    "no_default_placeholders": ("no", 0, None),
    "mood": (1,),
    "comment": (1,),
    "genre_map": (1, "a\0b"),
    "profile": ("iTunes", 1),
    "jobs": (0, -2, 1.5, "4", True, 10**8000),
    "exclude": ("*.mp3", b"*", [1]),
    "no_default_excludes": ("yes",),
    "limit": (0, -1, 2.5),
    "preserve_mtime": ("no",),
    "in_place": (1,),
    "min_age": (-1, math.nan, math.inf, "60", 10**400),
    "write_incomplete": ("no",),
    "no_cache": (0,),
    "journal": (5, "a\0b"),
    "trust": ("yes", 1),
}


def test_every_option_is_tried():
    assert set(WRONG) == {each.name for each in fields(ScanOptions)}


@pytest.mark.parametrize(
    ("name", "value"),
    [(n, v) for n, values in WRONG.items() for v in values],
    ids=lambda v: str(v)[:20] if isinstance(v, str) else type(v).__name__,
)
def test_what_does_not_fit_is_refused_in_one_short_line(name, value):
    with pytest.raises(tagger.ConfigurationError) as caught:
        ScanOptions(**{name: value})
    message = str(caught.value)
    assert message.startswith(f"{name} ") and "\n" not in message and len(message) < 250


def test_an_aim_and_a_minimum_confidence_exclude_each_other():
    with pytest.raises(tagger.ConfigurationError, match="exclude each other"):
        ScanOptions(aim=0.9, min_confidence=0.0)
    assert ScanOptions(aim=0.9).min_confidence is None


def test_what_fits_is_taken():
    options = ScanOptions(
        min_confidence=np.float32(0.5),
        genres=np.int64(2),
        min_age=Fraction(1, 2),
        journal=Path("a") / "b",
        exclude=["*.mp3"],
        existing="append",
    )
    assert (options.min_confidence, options.genres, options.min_age) == (0.5, 2, 0.5)
    assert (options.journal, options.exclude) == (str(Path("a") / "b"), ("*.mp3",))


def test_click_says_of_every_option_what_the_dataclass_says():
    given = {param.name: param for param in scan.params}
    for each in fields(ScanOptions):
        param, option = given[each.name], OPTIONS[each.name]
        assert isinstance(param, click.Option) and param.help == option.help
        context = scan.make_context("scan", ["."])
        assert context.params[each.name] == option.default


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e999", "NaN"])
def test_no_number_of_any_command_is_nan_or_infinite(value):
    """Regression: `--min-confidence nan` named at 0.37, `--min-age nan` wrote what just changed."""
    from tagger.cli import COMMANDS, cli

    tried, context = 0, click.Context(cli)
    for command in [cli.get_command(context, name) for name in COMMANDS]:
        inner = command.commands.values() if isinstance(command, click.Group) else [command]
        for param in (param for one in inner for param in one.params):
            numeric = (click.types.FloatParamType, click.types.IntParamType)
            if isinstance(param.type, numeric) and not param.count:
                assert isinstance(param.type, Number | Whole), (command.name, param.name)
                with pytest.raises(click.BadParameter):
                    param.type.convert(value, param, None)
                with pytest.raises(click.BadParameter):
                    param.type.convert("9" * 20, param, None)
                tried += 1
    assert tried > 12
