"""How a recipe is to be trained: the options that `gtag train` and `gtag evaluate` share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import click

from tagger.cli.click_options import Whole
from tagger.system.errors import ExitStatus

_OPTIONS = (
    click.option("--variant", default="", metavar="NAME", help="Which variant of the recipe."),
    click.option("--epochs", type=Whole(1), help="Instead of the recipe's own choice."),
    click.option(
        "--augment/--no-augment",
        default=None,
        help="Learn from altered copies too, or don't; default: the recipe's own choice.",
    ),
    click.option("--tune", type=Whole(0), default=0, help="Try so many sets of hyperparameters."),
    click.option("--select", type=Whole(0), default=0, help="Use only the K best features."),
    click.option(
        "--weights",
        default="",
        metavar="imagenet|none|FILE",
        help="What a pretrained network starts from.",
    ),
    click.option(
        "--folds",
        type=Whole(2),
        metavar="N",
        help="Measure in N parts under artist and track-random; default: the set's own, or three.",
    ),
    click.option(
        "--seed",
        type=Whole(0, 2**32 - 1),
        default=0,
        show_default=True,
        help="Random seed.",
    ),
    click.option(
        "--logs",
        type=click.Path(file_okay=False, path_type=Path),
        metavar="DIR",
        help="Write TensorBoard's logs of a network there.",
    ),
    click.option("--resume", is_flag=True, help="Go on where an interrupted call stopped."),
)


def recipe_options(command: Callable[..., ExitStatus]) -> Callable[..., ExitStatus]:
    """Add these options to a command, which takes them as its further keyword arguments."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def any_given(settings: Mapping[str, object]) -> bool:
    """Tell whether one of the options differs from its default."""
    return any(value or (value is False and name == "augment") for name, value in settings.items())
