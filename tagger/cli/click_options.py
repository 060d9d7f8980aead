"""click's options, made from `deciding.options`, which has their defaults; and numbers."""

from __future__ import annotations

from typing import Any

import click

from tagger.cli.names import ModelName
from tagger.deciding.options import HIGHEST, OPTIONS, Option


class Number(click.FloatRange):
    """A finite number in a range."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return _bounded(self, super().convert(value, param, ctx), param, ctx)


class Whole(click.IntRange):
    """A whole number in a range, never one that no computer can count to."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return _bounded(self, super().convert(value, param, ctx), param, ctx)


def _bounded(
    kind: Number | Whole, value: float, param: click.Parameter | None, ctx: click.Context | None
) -> float:
    high = HIGHEST if kind.max is None else kind.max
    try:
        Option("number", "", low=kind.min, high=high).checked(value)
    except ValueError as error:
        kind.fail(f"It {error}.", param, ctx)
    return value


def scan_option(name: str) -> click.Option:
    """Return one option of a scan, by the name of its field in `deciding.options.ScanOptions`."""
    option = OPTIONS[name]
    flags = [f"--{(option.flag or name).replace('_', '-')}", name]
    if option.kind == "flag":
        return click.Option(flags, is_flag=True, help=option.help)
    return click.Option(
        flags,
        type=_type(option),
        default=None if option.many else option.default,
        multiple=option.many,
        show_default=option.show_default,
        metavar=option.metavar,
        help=option.help,
    )


def _type(option: Option) -> click.ParamType[Any]:
    high = None if option.high == HIGHEST else option.high
    match option.kind:
        case "whole":
            low = None if option.low is None else int(option.low)
            return Whole(low, None if high is None else int(high))
        case "number":
            return Number(option.low, high)
        case "choice":
            return click.Choice(option.choices)
        case "path":
            return click.Path()
        case "model":
            return ModelName()
    return click.STRING
