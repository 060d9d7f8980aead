"""`gtag train`: builds a model from labelled music."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from tagger.cli.click_options import Whole
from tagger.cli.names import DataSet, ExistingPath, ModelName
from tagger.cli.recipe_options import any_given, recipe_options
from tagger.system.errors import ConfigurationError, ExitStatus
from tagger.system.extras import EXTRAS, need

if TYPE_CHECKING:
    from tagger.models.card import Card

_OWN_NAME = "my-genres"
# Without --protocol: the strictest one, and the one that every library allows for.
_OWN_PROTOCOL, _OTHERWISE = "artist", "track-random"


@click.command()
@click.option(
    "--recipe",
    metavar="NAME",
    help="Which kind of model; default: own with --from-tags, else chunk-cnn.",
)
@click.option(
    "--from-tags",
    type=ExistingPath(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="Learn your own genres: a library whose tags name them.",
)
@click.option(
    "--min-tracks",
    type=Whole(2),
    default=8,
    show_default=True,
    help="Of a genre in that library; with fewer only those stay that gtag knows.",
)
@click.option(
    "--canonical",
    is_flag=True,
    help="Write that library's genres in gtag's spelling: Rap as Hip-Hop.",
)
@click.option(
    "--data",
    multiple=True,
    type=DataSet(exists=True, path_type=Path),
    metavar="DIR|FILE",
    help="Learn from a folder with a folder of sound for each genre, a log-mel archive, a table "
    "of features (CSV), or mirdata:NAME; repeat for more. The first is what is measured on.",
)
@click.option(
    "--cache",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Keep the features of sound files as a log-mel archive: a second run starts at once.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Model folder; with --from-tags by default among your models, known to scan by name.",
)
@click.option(
    "--protocol",
    "protocols",
    multiple=True,
    type=click.Choice(["segment-random", "track-random", "artist", "fault-filtered"]),
    help="Measure under this protocol first; repeat for more. artist also calibrates, and is "
    "the default with --from-tags.",
)
@click.option(
    "--member",
    "members",
    type=ModelName(),
    multiple=True,
    metavar="NAME",
    help="With --recipe ensemble: a measured model to average; repeat for more.",
)
@recipe_options
@click.option(
    "--name", metavar="NAME", help="What the model is called; default: as its folder, or my-genres."
)
@click.option(
    "--model-version",
    "version",
    type=Whole(1),
    help="Its version, written to GTAG_MODEL with the name; default: 1, or the next one.",
)
def train(
    *,
    recipe: str | None,
    from_tags: Path | None,
    min_tracks: int,
    canonical: bool,
    data: tuple[Path, ...],
    cache: Path | None,
    output: Path | None,
    protocols: tuple[str, ...],
    members: tuple[str, ...],
    name: str | None,
    version: int | None,
    **settings: Any,
) -> ExitStatus:
    """Train and measure a model.

    With --from-tags it learns your own genres from your own library, and to be silent about other
    music. That needs the extra [learn], networks and trees [train]. An interrupted training goes on
    with --resume.
    """
    need("gtag train", *EXTRAS["learn"].packages)

    from tagger.models import zoo
    from tagger.models.card import is_name
    from tagger.models.install import is_bundled
    from tagger.training.data.load_examples import Sources
    from tagger.training.reporter import TerminalReporter

    recipe = recipe or ("own" if from_tags else "chunk-cnn")
    if output is None and from_tags is None:
        raise ConfigurationError("no output directory given", hint="give --output DIR")
    by_name, chosen = output is None, name
    name = chosen or (output.resolve().name if output else _OWN_NAME)
    if not is_name(name):
        raise ConfigurationError(f"not a valid model name: {name!r}", hint="--name my-model")
    if is_bundled(name) and (by_name or not chosen):
        raise ConfigurationError(f"{name} is a model of gtag's own", hint="choose another --name")
    output = (output or zoo.user_folder() / name).resolve()
    if (recipe == "ensemble") != bool(members):
        raise ConfigurationError("--recipe ensemble and --member go together")
    if members:
        if any((data, from_tags, cache, protocols)) or any_given(settings):
            raise ConfigurationError(
                "an ensemble is made of its members alone",
                hint="only --output, --name and --model-version go with --member",
            )
        from tagger.training.ensemble import train_ensemble

        _say_done(train_ensemble(members, output, name=name, version=version or 1), str(output))
        return ExitStatus.OK
    from tagger.training.run import train_model

    reporter = TerminalReporter()
    spelling: Literal["own", "canonical"] = "canonical" if canonical else "own"
    try:
        card = train_model(
            recipe,
            Sources(data, from_tags, min_tracks, cache, spelling),
            output,
            protocols=protocols or ([_OWN_PROTOCOL] if from_tags else []),
            otherwise="" if protocols else _OTHERWISE,
            name=name,
            version=version or (_next_version(output) if from_tags else 1),
            reporter=reporter,
            **settings,
        )
    except KeyboardInterrupt:
        click.echo("\nTo go on, run the same command with --resume.", err=True)
        raise
    _say_done(card, name if by_name else str(output))
    return ExitStatus.PROBLEMS if reporter.left_out else ExitStatus.OK


def _say_done(card: Card, where: str) -> None:
    from tagger.system.screen import printable
    from tagger.training.report.report import PAGE
    from tagger.training.report.training_report import report_training

    report = report_training(card)
    click.echo(f"genres: {printable(', '.join(card.labels))}")
    if card.kind == "ensemble":
        weights = (f"{m['model']} {m.get('weight', 1.0):.2f}" for m in card.data["members"])
        click.echo(f"weights: {', '.join(weights)}")
    for row in card.figures:
        click.echo(
            f"{row['protocol']}: {row['accuracy']:.1%} of {row['n']} tracks right, 95 % interval"
            f" {row['accuracy_low']:.1%} to {row['accuracy_high']:.1%}"
        )
    for row in card.data.get("shares", ()):
        click.echo(
            f"{row['of']}: {row['share']:.1%} of {row['n']} ({row['low']:.1%} to {row['high']:.1%})"
        )
    click.echo(f"{card.tag} is in {printable(str(card.folder))}")
    if report:
        click.echo(f"report in {printable(str(report / PAGE))}")
    click.echo(f"gtag scan --model {printable(where)} PATH")


def _next_version(folder: Path) -> int:
    """So that tags tell a model that was trained again from the one before."""
    from tagger.models.card import read_card
    from tagger.system.errors import ModelError

    try:
        return read_card(folder).version + 1
    except ModelError:
        return 1
