"""Several measurements side by side: one recipe under several protocols, or several models.

Each protocol keeps something else apart, and the differences say how much of a figure is memory.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from math import hypot
from pathlib import Path
from typing import Any

from tagger.system.errors import DataError
from tagger.training import recipes
from tagger.training.data.datasets import Example, as_in_card
from tagger.training.data.feature_table import feature_names, feature_rows
from tagger.training.data.load_examples import Sources
from tagger.training.measure.evaluate import Evaluation
from tagger.training.measure.learning_curve import learning_curve
from tagger.training.measure.metrics import Measured, Measurement, figures, threshold_for_precision
from tagger.training.measure.out_of_fold import PRECISION, OutOfFoldPredictions, calibrated
from tagger.training.measure.splits import NOT_MEASURED, PROTOCOLS
from tagger.training.measure.training_history import TrainingHistory, correlation, importance
from tagger.training.recipes.fitting import Settings
from tagger.training.report import plots
from tagger.training.report.page import Page
from tagger.training.report.report import METRICS, PAGE, write_report
from tagger.training.reporter import SILENT, Reporter
from tagger.training.run import load, measure, tell_unmeasured

# What stands on both sides of the split, from the greatest leak to none.
LEAKS = {
    "segment-random": "other segments of the same recordings",
    "track-random": "other tracks by the same artists",
}
HONEST = ("artist", "fault-filtered")
ALL = "all"
COMPARISON = "comparison.png"


def measure_protocols(
    recipe: str, examples: Sequence[Example], protocols: Sequence[str], settings: Settings
) -> tuple[list[Measurement], dict[str, OutOfFoldPredictions]]:
    """Train and measure a recipe under each protocol.

    Parameters
    ----------
    protocols : sequence of str
        With `ALL` among them, every protocol; one that the examples do not allow for becomes a
        note then, and is an error otherwise.
    settings : Settings
        What is done is kept in its `work`.

    Returns
    -------
    list of Measurement
    dict of str to OutOfFoldPredictions
        Of the protocols under which something could be measured.

    Raises
    ------
    ConfigurationError, DataError
    """
    fit = recipes.find(recipe, settings)
    by_protocol: dict[str, OutOfFoldPredictions] = {}
    seconds: dict[str, float] = {}
    notes: dict[str, str] = {}
    chosen = list(PROTOCOLS) if ALL in protocols else list(dict.fromkeys(protocols))
    for protocol in chosen:
        began = time.monotonic()
        own = replace(settings, work=settings.work / protocol)
        try:
            by_protocol[protocol] = measure(fit, examples, protocol, own)
        except DataError as error:
            if ALL not in protocols:
                raise
            notes[protocol] = error.message
        seconds[protocol] = time.monotonic() - began
    if not by_protocol:
        raise DataError("no protocol is possible: " + "; ".join(notes.values()))
    name = f"{recipe} {settings.variant}".strip()
    rows = [
        Measurement(name, p, note=notes[p])
        if p in notes
        else Measurement(name, p, figures(calibrated(by_protocol, p)), seconds[p])
        for p in chosen
    ]
    return rows, by_protocol


def evaluate_recipe(
    recipe: str,
    protocols: Sequence[str],
    data: Sequence[Path] | Sources,
    report: Path,
    *,
    curve: bool = False,
    kept: bool = True,
    reporter: Reporter = SILENT,
    **settings: Any,
) -> tuple[list[Measurement], str]:
    """Measure a recipe under several protocols, and write the report.

    Work in progress is kept beside the report, in ``<report>.work``. Each protocol has a report
    of its own in the report's folder.

    Parameters
    ----------
    data : Sources, or sequence of Path for its `data`
    curve : bool
        Also measure accuracy against training size.
    kept : bool
        False where nobody will read the report: then none is drawn.

    Returns
    -------
    list of Measurement
    str
        What the gap between the protocols means.
    """
    recipe = recipes.current_name(recipe, reporter)
    work = report.with_name(report.name + ".work")
    how = Settings(work, importance=True, reporter=reporter, **settings)
    recipes.find(recipe, how)
    artists = "artist" in protocols and ALL not in protocols
    sources = data if isinstance(data, Sources) else Sources(data)
    examples = load(recipe, sources, how, artists=artists)
    rows, by_protocol = measure_protocols(recipe, examples, protocols, how)
    tell_unmeasured(by_protocol, examples, reporter)
    sentence = meaning(rows)
    if kept:
        together = None
        if recipes.RECIPES[recipe].reads == "features":
            together = correlation(feature_names(examples), feature_rows(examples))
        name, source = rows[0].name, examples[0].source
        write_comparison(report, f"{name} on {source}", rows, sentence)
        for row in rows:
            if row.figures:
                measured = calibrated(by_protocol, row.protocol)
                predictions = by_protocol[row.protocol]
                worth = importance(tuple(predictions.importance), predictions.importance, {})
                tracks = (example.track for example in examples if example.source == source)
                evaluation = replace(
                    as_evaluation(row, source, measured, tracks),
                    learning=TrainingHistory(predictions.history, worth, together),
                    curve=learning_curve(
                        recipes.find(recipe, how),
                        examples,
                        row.protocol,
                        replace(how, work=work / row.protocol),
                        predictions,
                    )
                    if curve
                    else (),
                )
                write_report(evaluation, report / row.protocol)
    shutil.rmtree(work, ignore_errors=True)
    return rows, sentence


def compare_models(evaluations: Sequence[Evaluation]) -> list[Measurement]:
    """Several models on the same tracks, each under a name of its own."""
    rows: list[Measurement] = []
    for evaluation in evaluations:
        taken = [row.name for row in rows]
        numbers = (f"{evaluation.model}-copy{i}" for i in range(2, len(evaluations) + 1))
        name = next(n for n in (evaluation.model, *numbers) if n not in taken)
        row = Measurement(
            name, evaluation.data, figures(evaluation.measured), note=evaluation.warning
        )
        rows.append(row)
    return rows


def as_evaluation(
    row: Measurement, data: str, measured: Measured, tracks: Iterable[str]
) -> Evaluation:
    """Return a measurement in the form that a report is made of.

    Parameters
    ----------
    tracks : iterable of str
        All of the set, measured or not, by their ids or as a card has those.
    """
    known = {*measured.tracks, *map(as_in_card, measured.tracks)}
    why = NOT_MEASURED.get(row.protocol)
    return Evaluation(
        measured,
        (),
        f"{row.name} under {row.protocol}",
        data,
        threshold_for_precision(measured, PRECISION),
        {track: why for track in tracks if why and track not in known},
        warning=row.note,
        remark=f"Trained on the training part of each split of the protocol {row.protocol}. "
        f"The threshold is where {PRECISION:.0%} of the named tracks are right, chosen on these "
        "tracks.",
    )


def extremes(rows: Iterable[Measurement]) -> tuple[Measurement, Measurement] | None:
    """Return the leakiest and the strictest of some measurements; None where one is missing."""
    by_protocol = {row.protocol: row for row in rows if row.figures}
    leaky = next((by_protocol[p] for p in LEAKS if p in by_protocol), None)
    strict = next((by_protocol[p] for p in HONEST if p in by_protocol), None)
    return None if leaky is None or strict is None else (leaky, strict)


def meaning(rows: Sequence[Measurement]) -> str:
    """Say in one sentence what the gap between the protocols means."""
    found = extremes(rows)
    if found is None:
        return "One kind of protocol alone does not show how much of its accuracy is memorised."
    (leaky, flattered), (honest, true) = ((row.protocol, row.figures) for row in found)
    gap = flattered["accuracy"] - true["accuracy"]
    # Newcombe's interval of a difference, from the intervals of both (1998, method 10).
    least = gap - hypot(
        flattered["accuracy"] - flattered["accuracy_low"], true["accuracy_high"] - true["accuracy"]
    )
    high, low = f"{flattered['accuracy']:.0%}", f"{true['accuracy']:.0%}"
    if least <= 0:
        return (
            f"The gap between {high} under {leaky} and {low} under {honest} is within chance with "
            "so few tracks."
        )
    return (
        f"{100 * gap:.0f} points of the {high} under {leaky} are memorised, because the training "
        f"data has {LEAKS[leaky]}; on other artists the accuracy is the {low} under {honest}."
    )


def write_comparison(
    folder: Path, title: str, rows: Sequence[Measurement], sentence: str = ""
) -> None:
    """Write table and picture as one page, and `metrics.json`, into a folder made if missing."""
    folder.mkdir(parents=True, exist_ok=True)
    page = Page(title)
    for note in dict.fromkeys(row.note for row in rows if row.note and row.figures):
        page.paragraph(note, "warning")
    if sentence:
        page.paragraph(sentence)
    page.table(
        ("measured", "under", "tracks", "accuracy", "95 % interval", "macro F1", "ECE", ""),
        [_cells(row) for row in rows],
        texts=(1, 7),
    )
    measured = [row for row in rows if row.figures]
    if measured:
        png = plots.comparison(measured, title)
        (folder / COMPARISON).write_bytes(png)
        page.picture(png, "Picture: accuracy side by side", "Points with 95 % intervals (Wilson).")
    told = {"meaning": sentence, "rows": [asdict(row) for row in rows]}
    (folder / METRICS).write_text(json.dumps(told, indent=2) + "\n", encoding="ascii")
    (folder / PAGE).write_text(page.html(), encoding="utf-8")


def _cells(row: Measurement) -> tuple[str, ...]:
    f = row.figures
    if not f:
        return (row.name, row.protocol, *[""] * 5, row.note)
    return (
        row.name,
        row.protocol,
        f"{f['n']:,}",
        f"{f['accuracy']:.1%}",
        f"{f['accuracy_low']:.1%} – {f['accuracy_high']:.1%}",
        f"{f['macro_f1']:.3f}",
        f"{f['ece']:.3f}",
        "",  # warnings stand above the table
    )
