"""Makes the bundled models again: trains, measures and calibrates them, and draws their pictures.

    python -m tagger.training.bundled --data GTZAN --data PANDA --data EMOTIFY

About an hour and a half on two cores; interrupted, the same command goes on with --resume. The
models that stand there are replaced at the very end. Must not know: what a recipe
does inside.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from tagger.cli.left_out import LeftOut
from tagger.errors import GtagError, ModelError
from tagger.models.card import CARD, Card, read_card
from tagger.models.zoo import bundled_folder
from tagger.training.after_training import report_training
from tagger.training.ensemble import train_ensemble
from tagger.training.run import train_model

RECIPES = {"cnn": "cnn", "trees": "boosted-trees"}  # by the model's name
ENSEMBLE = "ensemble"  # of both
MEASURED = ("artist", "fault-filtered")
PICTURES = ("reliability.png", "coverage.png")  # of the first of those


def make(data: Sequence[Path], work: Path, *, resume: bool = False) -> Iterator[Card]:
    """Train the bundled models, one after the other.

    Parameters
    ----------
    data : sequence of Path
        Log-mel archives; the first one is measured on.
    work : Path
        Where the models are put, each in a folder of its name.
    resume : bool
        Go on from what an interrupted call left there.

    Yields
    ------
    Card
        Of each model that is done.
    """
    if not resume:
        shutil.rmtree(work, ignore_errors=True)
    for name, recipe in RECIPES.items():
        folder = work / name
        if not (folder / CARD).is_file():
            train_model(
                recipe,
                data,
                folder,
                protocols=MEASURED,
                name=name,
                say=lambda line: click.echo(line, err=True),
                left_out=LeftOut(),
                resume=True,
                progress=True,
            )
        yield read_card(folder)
    yield train_ensemble(
        [str(work / name) for name in RECIPES], work / ENSEMBLE, name=ENSEMBLE, with_members=False
    )


def told(card: Card, before: Card | None) -> Iterator[str]:
    """Line by line: a model's figures, and those of the one that it replaces."""
    earlier = {row["protocol"]: row["accuracy"] for row in before.figures} if before else {}
    for row in card.figures:
        was = earlier.get(row["protocol"])
        yield (
            f"{card.name}, {row['protocol']}: {row['accuracy']:.1%} of {row['n']} tracks right,"
            f" {row['accuracy_low']:.1%} to {row['accuracy_high']:.1%}"
            + ("" if was is None else f"; {was:.1%} before")
        )


@click.command()
@click.option("--data", required=True, multiple=True, type=click.Path(exists=True, path_type=Path))
@click.option("--models", type=click.Path(file_okay=False, path_type=Path), help="Where they go.")
@click.option("--pictures", type=click.Path(file_okay=False, path_type=Path))
@click.option("--resume", is_flag=True, help="Go on where an interrupted call stopped.")
def main(data: tuple[Path, ...], models: Path | None, pictures: Path | None, resume: bool) -> None:
    """Make the bundled models again, with the pictures of docs/models.md."""
    models = models or bundled_folder()
    pictures = pictures or models.parent / "docs" / "models"
    work = models.with_name(models.name + ".work")
    try:
        cards = []
        for card in make(data, work, resume=resume):
            cards.append(card)
            for line in told(card, _standing(models / card.name)):
                click.echo(line)
    except GtagError as error:
        raise click.ClickException(str(error)) from error
    pictures.mkdir(parents=True, exist_ok=True)
    for card in cards:
        report = report_training(card, work / f"{card.name}.report")
        assert report is not None  # all of them are measured
        for name in PICTURES:
            shutil.copyfile(report / MEASURED[0] / name, pictures / f"{card.name}-{name}")
    # Copied, not moved: what is interrupted here goes on without another training.
    for card in cards:
        shutil.rmtree(models / card.name, ignore_errors=True)
        shutil.copytree(card.folder, models / card.name)
    shutil.rmtree(work)


def _standing(folder: Path) -> Card | None:
    try:
        return read_card(folder)
    except ModelError:
        return None


if __name__ == "__main__":
    main()
