"""`gtag evaluate`: measures a finished model on labelled music."""

from __future__ import annotations

from pathlib import Path

import click

from tagger.errors import ExitStatus


@click.command()
@click.option(
    "--model", required=True, metavar="NAME|DIR", help="A model of the zoo, or its folder."
)
@click.option(
    "--data",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="Log-mel archive (tracks.csv and logmel.npz), or a folder per genre of sound files.",
)
@click.option(
    "--report",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Folder for report.html, its pictures and metrics.json.",
)
def evaluate(*, model: str, data: Path, report: Path) -> ExitStatus:
    """Measure a model on labelled music. Nothing is trained."""
    from tagger.models import zoo
    from tagger.screen import printable
    from training.evaluate import evaluate_model
    from training.report import PAGE, write_report

    evaluation = evaluate_model(zoo.load(model), data, progress=True)
    write_report(evaluation, report)
    metrics = evaluation.metrics()
    if evaluation.seen_in_training:
        click.echo(
            f"WARNING: the model learned from {metrics['seen_in_training']} of these "
            f"{metrics['n']} tracks. The figures say how well it remembers, not how well it hears.",
            err=True,
        )
    for track, reason in evaluation.left_out.items():
        click.echo(f"left out: {printable(track)}: {printable(reason)}", err=True)
    click.echo(
        f"accuracy {metrics['accuracy']:.1%} of {metrics['n']} tracks, 95 % interval "
        f"{metrics['accuracy_low']:.1%} to {metrics['accuracy_high']:.1%}\n"
        f"macro F1 {metrics['macro_f1']:.3f}, calibration error (ECE) {metrics['ece']:.3f}\n"
        f"report in {printable(str(report / PAGE))}"
    )
    return ExitStatus.PROBLEMS if evaluation.unreadable else ExitStatus.OK
