"""`gtag evaluate`: measures models, or a recipe under several protocols, on labelled music."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from tagger.cli.names import DataSet, ExistingPath, ModelName
from tagger.cli.recipe_options import any_given, recipe_options
from tagger.system.errors import ExitStatus
from tagger.system.extras import EXTRAS, need

if TYPE_CHECKING:
    from tagger.training.data.load_examples import Sources
    from tagger.training.measure.evaluate import Evaluation
    from tagger.training.measure.metrics import Measurement

NAMED = 5  # tracks that are left out for the same reason; more are counted
PROTOCOLS = ("segment-random", "track-random", "artist", "fault-filtered", "all")


@click.command()
@click.option(
    "--model",
    "models",
    type=ModelName(),
    multiple=True,
    metavar="NAME|DIR",
    help="A model of the zoo, or its folder; repeat to compare.",
)
@click.option("--recipe", metavar="NAME", help="Train and measure this recipe instead.")
@click.option(
    "--protocol",
    "protocols",
    multiple=True,
    type=click.Choice(PROTOCOLS),
    help="What is kept apart while a recipe is measured; repeatable. Default: all.",
)
@click.option(
    "--data",
    multiple=True,
    type=DataSet(exists=True, path_type=Path),
    metavar="DIR|FILE",
    help="Log-mel archive (tracks.csv and logmel.npz), a folder per genre of sound files, a table "
    "of features (CSV), or mirdata:NAME. For a recipe repeatable: the first is measured on.",
)
@click.option(
    "--from-tags",
    type=ExistingPath(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="Measure on a library whose tags name the genres.",
)
@click.option(
    "--learning-curve",
    "curve",
    is_flag=True,
    help="Also train a recipe on an eighth, a quarter and half of the tracks.",
)
@click.option(
    "--report",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Folder for report.html, its pictures and metrics.json; default: none is kept.",
)
@recipe_options
def evaluate(
    *,
    models: tuple[str, ...],
    recipe: str | None,
    protocols: tuple[str, ...],
    data: tuple[Path, ...],
    from_tags: Path | None,
    curve: bool,
    report: Path | None,
    **settings: Any,
) -> ExitStatus:
    """Measure models, or recipes, on labelled music.

    With --model nothing is trained. With --recipe the recipe is trained anew under each
    protocol, and the report says what the gap between them means. Needs the extra [learn], and
    what the recipe needs.
    """
    need("gtag evaluate", *EXTRAS["learn"].packages)
    if bool(models) == bool(recipe):
        raise click.UsageError("give either --model or --recipe")
    if settings["resume"] and report is None:
        raise click.UsageError("--resume goes on beside the --report of the interrupted call")
    if curve and report is None:
        raise click.UsageError("--learning-curve is drawn in a --report")
    if not data and from_tags is None:
        raise click.UsageError("give --data or --from-tags")
    if recipe is not None:
        from tagger.training.data.load_examples import Sources

        settings["curve"] = curve
        sources = Sources(data, from_tags)
        with _kept(report) as folder:
            return _evaluate_recipe(
                recipe, protocols or ("all",), sources, folder, settings, kept=report is not None
            )
    if protocols or curve or any_given(settings):
        raise click.UsageError("--model is measured as it is: the other options are for --recipe")
    if len(data) + bool(from_tags) > 1:
        raise click.UsageError("--model is measured on one --data or --from-tags")
    with _kept(report) as folder:
        return _evaluate_models(
            models,
            from_tags or data[0],
            folder,
            from_tags=bool(from_tags),
            kept=report is not None,
        )


@contextmanager
def _kept(report: Path | None) -> Iterator[Path]:
    """Yield the report's folder; without one, a temporary folder."""
    from tagger.system.screen import printable
    from tagger.training.report.report import PAGE, check_report

    if report is not None:
        report = report.resolve()
        check_report(report)
        yield report
        click.echo(f"report in {printable(str(report / PAGE))}")
        return
    with TemporaryDirectory(prefix="gtag-") as folder:
        yield Path(folder) / "report"


def _evaluate_models(
    models: Sequence[str], data: Path, report: Path, *, from_tags: bool, kept: bool
) -> ExitStatus:
    from tagger.models import zoo
    from tagger.training.measure.comparison import compare_models, write_comparison
    from tagger.training.measure.evaluate import evaluate_model
    from tagger.training.report.report import write_report
    from tagger.training.reporter import TerminalReporter

    loaded = [zoo.load(model) for model in models]
    evaluations = [
        evaluate_model(model, data, from_tags=from_tags, reporter=TerminalReporter())
        for model in loaded
    ]
    for evaluation in evaluations:
        _print_evaluation(evaluation)
    if len(evaluations) > 1:
        rows = compare_models(evaluations)
        if kept:
            for row, evaluation in zip(rows, evaluations, strict=True):
                write_report(evaluation, report / row.name)
            write_comparison(report, f"Models on {evaluations[0].data}", rows)
        _print_table(rows)
    elif kept:
        write_report(evaluations[0], report)
    unreadable = any(evaluation.unreadable for evaluation in evaluations)
    return ExitStatus.PROBLEMS if unreadable else ExitStatus.OK


def _print_evaluation(evaluation: Evaluation) -> None:
    from tagger.system.screen import printable

    metrics = evaluation.metrics()
    if evaluation.warning:
        click.echo(f"WARNING: {evaluation.warning}", err=True)
    left_out = defaultdict[str, list[str]](list)
    for track, reason in evaluation.left_out.items():
        left_out[reason].append(track)
    for reason, tracks in left_out.items():
        which = tracks if len(tracks) <= NAMED else [f"{len(tracks)} tracks"]
        for track in which:
            click.echo(f"left out: {printable(track)}: {printable(reason)}", err=True)
    click.echo(
        f"{metrics['model']}: accuracy {metrics['accuracy']:.1%} of {metrics['n']} tracks, "
        f"95 % interval {metrics['accuracy_low']:.1%} to {metrics['accuracy_high']:.1%}\n"
        f"macro F1 {metrics['macro_f1']:.3f}, calibration error (ECE) {metrics['ece']:.3f}"
    )


def _evaluate_recipe(
    recipe: str,
    protocols: Sequence[str],
    data: Sources,
    report: Path,
    settings: Mapping[str, Any],
    *,
    kept: bool,
) -> ExitStatus:
    from tagger.system.screen import printable
    from tagger.training.measure.comparison import evaluate_recipe
    from tagger.training.reporter import TerminalReporter

    reporter = TerminalReporter()
    try:
        rows, sentence = evaluate_recipe(
            recipe, protocols, data, report, kept=kept, reporter=reporter, **settings
        )
    except KeyboardInterrupt:
        if kept:
            click.echo("\nTo go on, run the same command with --resume.", err=True)
        raise
    for note in dict.fromkeys(row.note for row in rows if row.note and row.figures):
        click.echo(f"WARNING: {printable(note)}", err=True)
    _print_table(rows)
    click.echo(f"\n{sentence}")
    return ExitStatus.PROBLEMS if reporter.left_out else ExitStatus.OK


def _print_table(rows: Sequence[Measurement]) -> None:
    from tagger.cli.console import Column, cell, console, plain_table
    from tagger.system.screen import printable

    numbers = ("Tracks", "Accuracy", "95 % interval", "ECE")
    table = plain_table(
        Column("Measured", overflow="fold"),
        Column("Under", no_wrap=True),
        *(Column(name, justify="right", no_wrap=True) for name in numbers),
    )
    for row in rows:
        f = row.figures
        if f:
            interval = f"{100 * f['accuracy_low']:.1f}–{100 * f['accuracy_high']:.1f} %"
            # What is measured under that protocol is cut out of tracks.
            n = f"{f['n']:,}" + (" segments" if row.protocol == "segment-random" else "")
            told = [n, f"{100 * f['accuracy']:.1f} %", interval, f"{f['ece']:.3f}"]
        else:
            told = ["", "none", "", ""]
        table.add_row(*map(cell, (row.name, row.protocol, *told)))
    console().print(table)
    for row in rows:
        if not row.figures:
            click.echo(f"{row.protocol}: {printable(row.note)}")
