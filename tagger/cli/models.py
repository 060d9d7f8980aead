"""`gtag models`: lists, installs, removes and verifies models."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tagger.cli.names import Group, ModelName
from tagger.system.errors import ExitStatus
from tagger.system.screen import printable

if TYPE_CHECKING:
    from tagger.models.card import Card


@click.group(cls=Group, invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, with every figure.")
@click.pass_context
def models(context: click.Context, *, as_json: bool) -> ExitStatus:
    """List the models, with their measured accuracy."""
    if context.invoked_subcommand is None:
        context.invoke(list_, as_json=as_json)
    return ExitStatus.OK


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, with every figure.")
def list_(*, as_json: bool) -> ExitStatus:
    """List the models, as gtag models alone does."""
    from tagger.models import zoo

    cards = zoo.available()
    if as_json:
        for card in cards:
            described = {
                "folder": str(card.folder),
                **{"name": card.name, "version": card.version, "kind": card.kind},
                "labels": list(card.labels),
                "threshold": card.threshold,
                "figures": list(card.figures),
            }
            click.echo(json.dumps(described))
    elif cards:
        _print_table(cards, default=zoo.DEFAULT)
        click.echo(
            "\ngtag models install DIR adds one of your own; gtag scan --model NAME uses it."
        )
    else:
        click.echo("There is no model here. gtag train makes one.", err=True)
    return ExitStatus.OK


@models.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
def install(*, folder: Path) -> ExitStatus:
    """Copy a model to your own, so that scan knows it by its name.

    Only the files that its card names and its training tables are copied, once it has predicted
    on a second of noise.
    """
    from tagger.models import install as installing

    card = installing.install(folder)
    click.echo(f"{card.tag} is in {printable(str(card.folder))}: gtag scan --model {card.name}")
    return ExitStatus.OK


@models.command()
@click.argument("name", type=ModelName(own=True))
def remove(*, name: str) -> ExitStatus:
    """Delete one of your own models."""
    from tagger.models import install as installing

    click.echo(f"Removed {printable(str(installing.remove(name)))}")
    return ExitStatus.OK


@models.command()
@click.argument("name", type=ModelName(), required=False)
def verify(*, name: str | None) -> ExitStatus:
    """Check cards and checksums, and let each model predict on a second of noise.

    NAME is a model's name or folder; without it, all models that have a name.
    """
    from tagger.models import install as installing
    from tagger.models.card import read_card
    from tagger.system.errors import ModelError

    status = ExitStatus.OK
    folders = installing.all_folders() if name is None else [installing.folder_of(name)]
    for folder in folders:
        try:
            card = read_card(folder)
            installing.verify(card)
        except ModelError as error:
            click.echo(f"damaged: {printable(str(error))}")
            status = ExitStatus.PROBLEMS
        else:
            click.echo(f"ok: {card.tag}")
    return status


def _print_table(cards: list[Card], *, default: str) -> None:
    from tagger.cli.console import Column, cell, console, plain_table

    table = plain_table(
        Column("Model", style="bold", no_wrap=True),
        "Kind",
        Column("Genres", justify="right"),
        Column("Sure from", justify="right"),
        "Measured on",
        Column("Accuracy (95 %)", justify="right", no_wrap=True),
    )
    notes: dict[str, None] = {}
    for card in cards:
        name = card.name + (" (default)" if card.name == default else "")
        described = [name, card.kind, str(len(card.labels)), f"{card.threshold:.2f}"]
        for figures in card.figures or ({},):
            note = str(figures.get("note", ""))
            notes |= dict.fromkeys([note] if note else [])
            mark = f" {'*' * (1 + list(notes).index(note))}" if note else ""
            protocol = str(figures.get("protocol", "not measured"))
            measured = [protocol + mark, _accuracy(figures)]
            table.add_row(*map(cell, (*described, *measured)))
            described = [""] * len(described)
    console().print(table)
    for number, note in enumerate(notes, 1):
        click.echo(f"\n{'*' * number} {printable(note)}")


def _accuracy(figures: Mapping[str, object]) -> str:
    told = map(figures.get, ("accuracy", "accuracy_low", "accuracy_high"))
    numbers = [100 * number for number in told if isinstance(number, float | int)]
    if len(numbers) < 3:
        return ""
    accuracy, low, high = numbers
    return f"{accuracy:.1f} % ({low:.0f}–{high:.0f})"
