"""`gtag models`: the cards of the zoo as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tagger.errors import ExitStatus

if TYPE_CHECKING:
    from tagger.models.card import Card


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, with every figure.")
def models(*, as_json: bool) -> ExitStatus:
    """List the models that scan knows by name, with their measured accuracy."""
    from tagger.models import zoo

    cards = zoo.available()
    if as_json:
        import json

        for card in cards:
            click.echo(json.dumps({"folder": str(card.folder), **_described(card)}))
        return ExitStatus.OK
    if not cards:
        click.echo("There is no model here. gtag train makes one.", err=True)
        return ExitStatus.OK
    _print_table(cards, default=zoo.DEFAULT)
    click.echo(f"\nModels of your own go into {zoo.user_folder()}, or name their folder.")
    return ExitStatus.OK


def _described(card: Card) -> dict[str, Any]:
    return {
        "name": card.name,
        "version": card.version,
        "kind": card.kind,
        "labels": list(card.labels),
        "threshold": card.threshold,
        "figures": list(card.figures),
    }


def _print_table(cards: list[Card], *, default: str) -> None:
    from rich.table import Table
    from rich.text import Text

    from tagger.cli.console import console
    from tagger.screen import printable

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("Model", style="bold", no_wrap=True)
    table.add_column("Kind")
    table.add_column("Genres", justify="right")
    table.add_column("Sure from", justify="right")
    table.add_column("Measured on")
    table.add_column("Accuracy (95 %)", justify="right", no_wrap=True)
    for card in cards:
        name = card.name + (" (default)" if card.name == default else "")
        described = [name, card.kind, str(len(card.labels)), f"{card.threshold:.2f}"]
        for figures in card.figures or ({},):
            measured = [str(figures.get("protocol", "not measured")), _accuracy(figures)]
            table.add_row(*(Text(printable(cell)) for cell in (*described, *measured)))
            described = [""] * len(described)
    console().print(table)


def _accuracy(figures: dict[str, Any]) -> str:
    numbers = [figures.get(key) for key in ("accuracy", "accuracy_low", "accuracy_high")]
    if not all(isinstance(number, float | int) for number in numbers):
        return ""
    accuracy, low, high = (100 * number for number in numbers)  # type: ignore[operator]
    return f"{accuracy:.1f} % ({low:.0f}–{high:.0f})"
