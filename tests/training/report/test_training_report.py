"""A training ends with a report, made from nothing but the model's folder."""

from __future__ import annotations

import json

import pytest

from tagger.models.card import read_card
from tagger.training.measure.training_history import read_history
from tagger.training.report.training_report import report_training
from tagger.training.run import train_model
from tests.training.archives import write_archive


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sets") / "hills"
    return write_archive(folder, tracks_per_genre=6, columns=130)


def test_under_each_protocol_and_side_by_side(archive, tmp_path):
    card = train_model("head", [archive], tmp_path / "model", protocols=["track-random", "artist"])
    folder = report_training(card)
    assert folder == card.folder / "report"
    rows = json.loads((folder / "metrics.json").read_text())["rows"]
    assert [row["protocol"] for row in rows] == ["track-random", "artist"]
    for row, figures in zip(rows, card.figures, strict=True):
        own = json.loads((folder / row["protocol"] / "metrics.json").read_text())
        # What the card says, measured anew from what was kept.
        assert own["accuracy"] == pytest.approx(figures["accuracy"], abs=1e-4)
        assert own["threshold"] == card.threshold
    # The report does no harm to the model.
    assert read_card(card.folder).tag == card.tag


def test_curves_of_training_and_of_what_was_set_aside(archive, tmp_path):
    card = train_model(
        "dense", [archive], tmp_path / "model", protocols=["fault-filtered"], epochs=2
    )
    history = read_history(card).history
    assert len(history) == 2
    assert all(
        {"loss", "accuracy", "val_loss", "val_accuracy"} <= epoch.keys() for epoch in history
    )
    folder = report_training(card)
    assert folder is not None
    assert (folder / "training.png").read_bytes().startswith(b"\x89PNG")
    # The last epoch of what was watched is what was measured.
    measured = json.loads((folder / "metrics.json").read_text())
    assert history[-1]["val_accuracy"] == pytest.approx(measured["accuracy"], abs=1e-3)


def test_without_figures_the_page_says_so(archive, tmp_path):
    card = train_model("dense", [archive], tmp_path / "model", epochs=1)
    folder = report_training(card)
    assert folder is not None and (folder / "training.png").exists()
    assert "Nothing was measured" in (folder / "report.html").read_text(encoding="utf-8")


def test_without_anything_to_tell_there_is_no_report(archive, tmp_path):
    card = train_model("head", [archive], tmp_path / "model")
    assert report_training(card) is None
    assert not (card.folder / "report").exists()


def test_what_a_training_could_not_measure_is_said(tmp_path):
    """Regression: a genre of one artist had a recall of 0.00, and "0 left out" stood above it."""
    archive = write_archive(tmp_path / "hills", tracks_per_genre=6, columns=130)
    rows = (archive / "tracks.csv").read_text().splitlines()
    lone = [row.replace(f",{row.split(',')[2]},", ",9,") for row in rows if row.startswith("rock")]
    others = [row for row in rows if not row.startswith("rock")]
    lines = [row.rpartition(",")[0] for row in (*others, *lone)]  # without the set's own folds
    (archive / "tracks.csv").write_text("\n".join(lines))
    card = train_model("logistic", [archive], tmp_path / "model", protocols=["artist"])
    folder = report_training(card)
    assert folder is not None
    told = json.loads((folder / "metrics.json").read_text())
    assert len(told["left_out"]) == 6 and told["per_genre"]["Rock"]["recall"] is None
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "Not measured: Rock." in page and "6 not measured" in page
