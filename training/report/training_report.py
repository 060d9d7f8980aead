"""The report of a training: from what the finished model's folder tells, so that it can be made
again at any time.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tagger.models.card import OUT_OF_FOLD, Card
from tagger.training.measure.comparison import (
    as_evaluation,
    meaning,
    write_comparison,
)
from tagger.training.measure.metrics import Measurement, figures
from tagger.training.measure.out_of_fold import CALIBRATION_PROTOCOL, calibrated, unpack
from tagger.training.measure.training_history import TrainingHistory, read_history
from tagger.training.report.page import Page
from tagger.training.report.report import (
    learning_pictures,
    show_learning,
    write_files,
    write_report,
)

FOLDER = "report"  # in the model's own


def report_training(card: Card) -> Path | None:
    """Write the report of a model that was just trained, into its folder.

    Returns
    -------
    Path or None
        The report's folder; None where there is nothing to tell.
    """
    folder = card.folder / FOLDER
    learning = read_history(card)
    by_protocol = (
        unpack(card.folder / OUT_OF_FOLD, card.labels)
        if (card.folder / OUT_OF_FOLD).is_file()
        else {}
    )
    measured = {protocol: calibrated(by_protocol, protocol) for protocol in by_protocol}
    doubts = {row.get("protocol"): str(row.get("note", "")) for row in card.figures}
    rows = [
        Measurement(card.tag, p, figures(measured[p]), note=doubts.get(p, "")) for p in by_protocol
    ]
    if not rows:
        return _learning_alone(card, learning, folder)
    first = next((r for r in rows if r.protocol == CALIBRATION_PROTOCOL), rows[0])
    data = next((str(row["measured_on"]) for row in card.figures if "measured_on" in row), "")
    for row in rows:
        tracks = sorted(card.learned_from.get(data, ()))
        evaluation = as_evaluation(row, data, measured[row.protocol], tracks)
        evaluation = replace(
            evaluation,
            remark=" ".join(_shares(card)) or evaluation.remark,
            threshold=card.threshold,
            # How it learned is told once, beside the figures that count most.
            learning=learning if row is first else TrainingHistory(),
        )
        write_report(evaluation, folder if len(rows) == 1 else folder / row.protocol)
    if len(rows) > 1:
        write_comparison(folder, f"Training of {card.tag}", rows, meaning(rows))
    return folder


def _shares(card: Card) -> list[str]:
    """Return what a scan would do with groups of tracks, of own genres each with its threshold."""
    rows = [
        f"{row['of'][0].upper()}{row['of'][1:]}: {row['share']:.1%} of {row['n']}"
        f" ({row['low']:.1%} to {row['high']:.1%})."
        for row in card.data.get("shares", ())
    ]
    each = (
        f"{label} from {own.threshold:.2f} on" if own.threshold < 1 else f"{label} never"
        for label, own in zip(card.labels, card.calibrated_labels, strict=True)
    )
    kept = card.data.get("bundled_decision")
    return [
        *rows,
        *([f"Named by default: {', '.join(each)}."] if rows else ()),
        *([f"With the bundled model's own decision: {', '.join(kept)}."] if kept else ()),
    ]


def _learning_alone(card: Card, learning: TrainingHistory, folder: Path) -> Path | None:
    pictures = learning_pictures(learning)
    if not pictures:
        return None
    page = Page(f"Training of {card.tag}")
    page.paragraph("Nothing was measured: gtag train measures with --protocol artist.", "warning")
    show_learning(page, pictures)
    write_files(folder, {"model": card.tag}, pictures, page)
    return folder
