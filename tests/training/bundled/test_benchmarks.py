"""The benchmarks: measured cell by cell, gone on with, and written down as they are."""

from __future__ import annotations

import json
import re

import pytest

from tagger.system.errors import ConfigurationError
from tagger.training.bundled import benchmarks
from tagger.training.bundled.benchmarks import PICTURE, RESULTS, ROWS, Row, read_results, run
from tagger.training.data.datasets import read_log_mel_archive
from tagger.training.data.resume import Call, digest
from tagger.training.measure.metrics import Measurement
from tagger.training.measure.splits import PROTOCOLS
from tagger.training.recipes import RECIPES, on_features
from tagger.training.recipes.fitting import Settings
from tests.training.archives import write_archive
from tests.training.recorder import Recorder

LOGISTIC = Row("logistic", {"variant": "mfcc"}, "1 % | <b>")
IMPOSSIBLE = Row("logistic", {"variant": "of bronze"})
TINY = (LOGISTIC, IMPOSSIBLE)


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sets") / "hills"
    return read_log_mel_archive(write_archive(folder, tracks_per_genre=6, columns=130))


@pytest.fixture(scope="module")
def made(examples, tmp_path_factory):
    output = tmp_path_factory.mktemp("docs")
    recorder = Recorder()
    run(examples, output, rows=TINY, reporter=recorder)
    return output, recorder.lines


def cells(document: str, name: str) -> list[str]:
    row = re.search(rf"^\| {re.escape(name)} \|(.*)\|$", document, re.M)
    assert row is not None
    return [cell.strip() for cell in row[1].split("|")]


def test_the_document_has_what_was_measured(made, examples):
    output, _ = made
    document = (output / "benchmarks.md").read_text(encoding="utf-8")
    results = read_results(output, digest(examples))
    told = cells(document, "logistic mfcc")
    for protocol, cell in zip(PROTOCOLS, told, strict=False):
        figures = results[f"logistic mfcc | {protocol}"].figures
        assert cell.startswith(f"{100 * figures['accuracy']:.1f} (")
    assert all(f"`{protocol}`" in document for protocol in PROTOCOLS)
    assert benchmarks.COMMAND in document
    assert PICTURE in document and (output / PICTURE).read_bytes().startswith(b"\x89PNG")
    assert not (output / benchmarks.WORK).exists()


def test_what_cannot_be_measured_says_why(made):
    output, lines = made
    document = (output / "benchmarks.md").read_text(encoding="utf-8")
    assert cells(document, "logistic of bronze")[:4] == ["–"] * 4
    assert "Not measured: the recipe logistic has no variant 'of bronze'" in document
    assert len(lines) == 8 and any("no variant" in line for line in lines)


def test_only_what_is_missing_is_measured(made, examples, monkeypatch):
    output, _ = made
    kept = json.loads((output / RESULTS).read_text())
    document = (output / "benchmarks.md").read_text(encoding="utf-8")
    fitted = []
    original = on_features.fit_logistic

    def counted(*arguments):
        fitted.append(1)
        return original(*arguments)

    monkeypatch.setattr(on_features, "fit_logistic", counted)
    run(examples, output, rows=TINY)
    assert not fitted
    assert (output / "benchmarks.md").read_text(encoding="utf-8") == document

    del kept["measured"]["logistic mfcc | fault-filtered"]
    (output / RESULTS).write_text(json.dumps(kept))
    run(examples, output, rows=TINY, recipes=["chunk-cnn"])  # not asked for
    assert not fitted
    unfinished = (output / "benchmarks.md").read_text(encoding="utf-8")
    assert cells(unfinished, "logistic mfcc")[3] == "not run yet"
    run(examples, output, rows=TINY, protocols=["fault-filtered"])
    assert len(fitted) == 1

    def same(text: str) -> str:
        return re.sub(r"[\d.]+ minutes", "", text)

    assert same((output / "benchmarks.md").read_text(encoding="utf-8")) == same(document)


def test_figures_of_other_music_are_not_mixed(made, examples):
    """Regression: a table could hold two data sets, and nobody could tell."""
    output, _ = made
    document = (output / "benchmarks.md").read_text(encoding="utf-8")
    with pytest.raises(ConfigurationError, match="measurements of other music"):
        run(examples[1:], output, rows=TINY)
    assert (output / "benchmarks.md").read_text(encoding="utf-8") == document


def test_work_of_an_earlier_version_of_a_row_is_begun_anew(examples, tmp_path):
    """Regression: the document said that the row could not be measured."""
    work = tmp_path / benchmarks.WORK / "logistic-mfcc"
    Call("logistic", Settings(work, seed=7)).learns_from(examples)
    run(examples, tmp_path, rows=TINY[:1], protocols=["fault-filtered"])
    document = (tmp_path / "benchmarks.md").read_text(encoding="utf-8")
    assert cells(document, "logistic mfcc")[3] != "–"


def test_memory_is_leakiest_less_strictest():
    def measured(protocol: str, accuracy: float, note: str = "") -> dict[str, Measurement]:
        return {protocol: Measurement("x", protocol, {"accuracy": accuracy}, note=note)}

    both = measured("track-random", 0.8) | measured("fault-filtered", 0.5)
    assert benchmarks._gap(both) == pytest.approx(30)
    assert benchmarks._gap(both | measured("artist", 0.6)) == pytest.approx(20)
    assert benchmarks._gap(measured("artist", 0.6)) is None
    assert benchmarks._gap(both | measured("track-random", 0.8, "knew them")) is None


def test_every_recipe_has_a_row_with_settings_that_it_knows():
    # Own genres are measured in docs/training.md: beside the bundled model, and on other music.
    assert {row.recipe for row in ROWS} == set(RECIPES) - {"own"}
    assert len({row.name for row in ROWS}) == len(ROWS)
    for row in ROWS:
        entry = RECIPES[row.recipe]
        for option, value in row.settings.items():
            assert value in entry.variants if option == "variant" else option in entry.options
    for variants in (e.variants for e in RECIPES.values()):
        shown = {row.settings.get("variant") for row in ROWS}
        assert set(variants) <= shown
