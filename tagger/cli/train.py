"""`gtag train`: builds a model from labelled music."""

from __future__ import annotations

from pathlib import Path

import click

from tagger.errors import ExitStatus

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command()
@click.option("--recipe", default="cnn", show_default=True, help="Which kind of model: cnn.")
@click.option(
    "--data",
    required=True,
    multiple=True,
    type=_FOLDER,
    metavar="DIR",
    help="Log-mel archive to learn from; repeat for more. The first is what is measured on.",
)
@click.option(
    "--output", required=True, type=click.Path(path_type=Path), metavar="DIR", help="Model folder."
)
@click.option(
    "--protocol",
    "protocols",
    multiple=True,
    type=click.Choice(["artist", "fault-filtered"]),
    help="Measure under this protocol first; repeat for more. artist also calibrates.",
)
@click.option("--epochs", type=click.IntRange(min=1), help="Instead of the recipe's own choice.")
@click.option("--seed", default=0, show_default=True, help="Of every random choice.")
@click.option("--resume", is_flag=True, help="Go on where an interrupted training stopped.")
@click.option("--name", metavar="NAME", help="What the model is called; default: the recipe.")
@click.option(
    "--model-version",
    "version",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Its version: name and version are written to GTAG_MODEL.",
)
def train(
    *,
    recipe: str,
    data: tuple[Path, ...],
    output: Path,
    protocols: tuple[str, ...],
    epochs: int | None,
    seed: int,
    resume: bool,
    name: str | None,
    version: int,
) -> ExitStatus:
    """Train a model, measure it, and write it as a folder that scan can use.

    Needs the extra [train]. An interrupted training goes on with --resume.
    """
    from training.run import train_model

    card = train_model(
        recipe,
        data,
        output,
        protocols=protocols,
        epochs=epochs,
        seed=seed,
        resume=resume,
        progress=True,
        name=name,
        version=version,
    )
    for row in card.figures:
        click.echo(
            f"{row['protocol']}: {row['accuracy']:.1%} of {row['n']} tracks"
            f" ({row['accuracy_low']:.1%} to {row['accuracy_high']:.1%})"
        )
    click.echo(f"{card.tag} is in {output}: gtag scan --model {output} PATH")
    return ExitStatus.OK
