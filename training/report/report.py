"""The report of an evaluation: `metrics.json`, pictures, and one HTML page that holds it all."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tagger.training.measure.evaluate import Evaluation
from tagger.training.measure.training_history import TrainingHistory
from tagger.training.publish import check_folder
from tagger.training.report import plots
from tagger.training.report.page import Page

METRICS, PAGE = "metrics.json", "report.html"
LISTED = 200  # tracks on the page; metrics.json has all

READING = {
    "genres.png": "A genre with few tracks has a wide interval: its point estimate means little.",
    "confusion.png": "Rows: true genre; columns: predicted genre. The numbers are tracks, the "
    "colour is the share of the "
    "row.",
    "precision_recall.png": "The closer a curve is to the upper right, the better. AP, average "
    "precision, is the area below it; the other genres are grey.",
    "roc.png": "The closer a curve is to the upper left, the better. AUC, the area below it, is "
    "the probability that a track of the genre gets a higher value than another one.",
    "learning_curve.png": "Where the curve still rises at its end, more tracks would help.",
    "reliability.png": "Points below the dashed line: the model is overconfident. Bars: number "
    "of tracks with that confidence.",
    "coverage.png": "Accuracy of the tracks that are named, if those with the lowest confidence "
    "are not named.",
    "training.png": "Where the training loss still falls and the validation loss does not, tracks "
    "are memorised.",
    "importance.png": "Permutation says how much worse the model does on tracks that it did not "
    "learn from when the feature's values are shuffled: little where another feature can stand in. "
    "Gain, for trees, is the feature's share of the improvement in training.",
    "correlation.png": "Correlated features are next to each other. Of many, only the "
    "most important ones are drawn, or the first where importance is unknown.",
}


def check_report(folder: Path) -> None:
    """See that a report may be written there, best before anything is measured."""
    check_folder(folder, "report", {METRICS, PAGE})


def write_report(evaluation: Evaluation, folder: Path) -> None:
    """Write `metrics.json`, the pictures and `report.html` into a folder, made if missing."""
    told = evaluation.metrics()
    measured = evaluation.measured
    pictures = {
        "genres.png": plots.genres(measured),
        "confusion.png": plots.confusion(measured),
        "precision_recall.png": plots.precision_recall_curves(measured),
        "roc.png": plots.roc_curves(measured),
        "reliability.png": plots.reliability_diagram(measured, told["ece"]),
        "coverage.png": plots.coverage(measured, evaluation.threshold),
        **learning_pictures(evaluation.learning),
    }
    if evaluation.curve:
        pictures["learning_curve.png"] = plots.learning_curve(evaluation.curve)
    page = Page(f"{told['model']} on {evaluation.data}")
    if evaluation.warning:
        page.paragraph(evaluation.warning, "warning")
    elif evaluation.remark:
        page.paragraph(evaluation.remark, "note")
    _summary(page, told)
    if nothing := [label for label, row in told["per_genre"].items() if not row["n"]]:
        page.paragraph(
            f"Not measured: {', '.join(nothing)}. No track of them could be measured"
            + (", for the reasons at the end of this page." if told["left_out"] else "."),
            "warning",
        )
    if plots.lacks_glyphs(measured.labels):
        page.paragraph(
            "No installed font has all letters of these genres: boxes stand for them in the "
            "pictures. The tables have the names. A font such as Noto Sans CJK helps.",
            "note",
        )
    page.heading("Each genre (one against the rest)")
    _genres(page, told["per_genre"])
    _show(page, pictures, ("genres.png", "confusion.png"))
    page.heading("Worst mistakes")
    if told["worst_mistakes"]:
        page.paragraph(
            "Wrong predictions with the highest confidence. Some may be errors in the labels.",
            "note",
        )
        page.table(
            ("track", "true genre", "predicted", "confidence", "of true genre"),
            [
                (
                    m["track"],
                    m["genre"],
                    m["guess"],
                    f"{m['confidence']:.3f}",
                    f"{m['confidence_in_genre']:.3f}",
                )
                for m in told["worst_mistakes"]
            ],
            texts=(1, 2),
        )
    else:
        page.paragraph("None: every prediction is right.")
    page.heading("Calibration and coverage")
    _show(page, pictures, ("reliability.png", "coverage.png"))
    page.heading("Each genre as its threshold falls")
    _show(page, pictures, ("precision_recall.png", "roc.png"))
    show_learning(page, pictures)
    _lists(page, told)
    write_files(folder, told, pictures, page)


def learning_pictures(learning: TrainingHistory) -> dict[str, bytes]:
    """Pictures of how a model learned, as far as its folder tells."""
    pictures = {}
    if learning.history:
        pictures["training.png"] = plots.training_curves(learning.history)
    if any(math.isfinite(value) for _, *values in learning.importance for value in values):
        pictures["importance.png"] = plots.importance(learning.importance)
    if learning.correlation:
        pictures["correlation.png"] = plots.correlation(learning.correlation)
    return pictures


def show_learning(page: Page, pictures: Mapping[str, bytes]) -> None:
    """Put those of the pictures that tell how a model learned on a page."""
    names = ("learning_curve.png", "training.png", "importance.png", "correlation.png")
    drawn = [name for name in names if name in pictures]
    if drawn:
        page.heading("Training and features")
        _show(page, pictures, drawn)


def write_files(
    folder: Path, told: Mapping[str, Any], pictures: Mapping[str, bytes], page: Page
) -> None:
    """Write a report's files; pictures of an earlier report that this one lacks go away."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in READING.keys() - pictures.keys():
        (folder / name).unlink(missing_ok=True)
    # ASCII: names of files may hold bytes that are no text, and they come back from escapes.
    (folder / METRICS).write_text(json.dumps(told, indent=2) + "\n", encoding="ascii")
    for name, png in pictures.items():
        (folder / name).write_bytes(png)
    (folder / PAGE).write_text(page.html(), encoding="utf-8")


def _show(page: Page, pictures: Mapping[str, bytes], names: Sequence[str]) -> None:
    for name in names:
        what = name.removesuffix(".png").replace("_", " ")
        page.picture(pictures[name], f"Picture: {what}", READING[name])


def _summary(page: Page, told: Mapping[str, Any]) -> None:
    silent = told["accuracy_of_named"] is None
    page.tiles(
        [
            (
                "accuracy",
                f"{told['accuracy']:.1%}",
                f"95 % interval {told['accuracy_low']:.1%} to {told['accuracy_high']:.1%}",
            ),
            ("tracks", f"{told['n']:,}", f"{len(told['left_out'])} not measured"),
            ("macro F1", f"{told['macro_f1']:.3f}", "mean over genres"),
            ("calibration error", f"{told['ece']:.3f}", "ECE, 15 bins"),
            (
                f"named from {told['threshold']:.2f} on",
                f"{told['named']:.0%}",
                "" if silent else f"{told['accuracy_of_named']:.1%} of them right",
            ),
        ]
    )


def _genres(page: Page, rows: Mapping[str, Mapping[str, Any]]) -> None:
    def share(row: Mapping[str, Any], name: str) -> str:
        if row[name] is None:
            return "not measured"
        return f"{row[name]:.2f} ({row[name + '_low']:.2f}–{row[name + '_high']:.2f})"

    def area(value: float | None) -> str:
        return "not measured" if value is None else f"{value:.2f}"

    kinds = ("accuracy", "precision", "recall", "f1")
    page.table(
        ("genre", "tracks", "accuracy", "precision", "recall", "F1", "average precision", "AUC"),
        [
            (
                label,
                row["n"],
                *(share(row, kind) for kind in kinds),
                area(row["average_precision"]),
                area(row["roc_auc"]),
            )
            for label, row in rows.items()
        ],
    )
    page.paragraph(
        "In brackets: 95 % intervals (Wilson), which assume independent tracks; tracks of one "
        "artist are not quite independent. Accuracy counts true positives and true negatives, so "
        "with many genres it is high for all of them.",
        "note",
    )


def _lists(page: Page, told: Mapping[str, Any]) -> None:
    seen, left_out = told["seen_tracks"], told["left_out"]
    if left_out:
        page.heading(f"Not measured: {len(left_out)}")
        page.table(("track", "why"), list(left_out.items())[:LISTED], texts=(1,))
    if seen:
        page.heading(f"Seen in training: {len(seen)}")
        page.paragraph(", ".join(seen[:LISTED]))
    if max(len(seen), len(left_out)) > LISTED:
        page.paragraph(f"The first {LISTED}; {METRICS} has all of them.", "note")
