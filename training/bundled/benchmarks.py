"""Makes docs/benchmarks.md: every recipe under every protocol, beside what tutorials report.

    python -m tagger.training.bundled.benchmarks --data ../shared/data/gtzan --output docs

Figures are kept in `benchmarks.json` one by one, so that an interrupted run can continue, and a
single recipe can be measured again.
"""

from __future__ import annotations

import json
import shutil
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import click

from tagger.storage.durable_io import write_whole
from tagger.system.errors import ConfigurationError, DataError, GtagError
from tagger.training.data.datasets import Example
from tagger.training.data.load_examples import Sources, load_examples
from tagger.training.data.resume import Call, digest
from tagger.training.measure.comparison import extremes, measure_protocols
from tagger.training.measure.metrics import Measurement
from tagger.training.measure.splits import PROTOCOLS
from tagger.training.recipes import RECIPES, usable
from tagger.training.recipes.fitting import Settings
from tagger.training.report.plots import comparison
from tagger.training.reporter import SILENT, Reporter, TerminalReporter, Tool

COMMAND = "python -m tagger.training.bundled.benchmarks --data ../shared/data/gtzan --output docs"
RESULTS, DOCUMENT, PICTURE, WORK = (
    *("benchmarks.json", "benchmarks.md", "benchmarks.png", "benchmarks.work"),
)
SELECTED = 30  # features, in rows with fewer than all
APART = {
    "segment-random": "nothing: 3 s segments of one recording fall on both sides",
    "track-random": "recordings",
    "artist": "artists: nothing of a measured artist is learned from",
    "fault-filtered": "artists, repetitions and faulty recordings, by the set's public split",
}
INTRODUCTION = f"""\
# Benchmarks

Made by `{COMMAND}`;
do not edit. Accuracy in per cent, with the 95 % interval (Wilson) in brackets; seed 0.
Each recipe has its own settings. None was chosen to raise `segment-random`, which is here to show
a leak; where a recipe's settings were chosen by validation within this set, its `artist` figure is
slightly optimistic. Descriptors are the statistics of the log-mel spectrogram, since the archive
has no audio.
"""
LEGEND = """
`memory` is the difference in points between the leakiest and the strictest protocol of a row.
`reported` is the figure of tutorials and papers for the same kind of model, mostly without saying
what was kept apart; those above 90 % split segments of 3 s at random.
"""


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes
    ----------
    settings : dict
        Beside the recipe's own choices.
    reported : str
        What tutorials and papers of the field say of this kind of model.
    """

    recipe: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    reported: str = ""

    @property
    def name(self) -> str:
        weights = {"": "", "none": "from nothing", "imagenet": "ImageNet"}
        features, epochs = self.settings.get("select"), self.settings.get("epochs")
        words = (
            self.recipe,
            self.settings.get("variant"),
            features and f"{features} features",
            epochs and f"{epochs} epochs",
            weights[self.settings.get("weights", "")],
        )
        return " ".join(filter(None, words))


# Fewer epochs than the recipes' own (40, 10): each row of networks is eight trainings.
ROWS = (
    Row("logistic", {"variant": "mfcc"}, "56 %"),
    Row("logistic", {"variant": "all"}),
    Row("svm", {"variant": "mfcc"}, "61 %"),
    Row("svm", {"variant": "all"}),
    Row("random-forest", {"variant": "mfcc"}),
    Row("random-forest", {"variant": "all"}),
    Row("boosted-trees", {}, "91.59 %"),
    Row("boosted-trees", {"select": SELECTED}),
    Row("dense", {"variant": "shallow"}, "72 %"),
    Row("dense", {"variant": "deep"}, "92.89 %"),
    Row("feature-cnn", {}, "90.59 %"),
    Row("feature-cnn", {"select": SELECTED}, "92.99 %"),
    Row("chunk-cnn", {"epochs": 15}, "62 %; on chunks 90 %"),
    Row("head", {"variant": "all"}),
    Row("head", {"variant": "embedding"}),
    Row("transfer", {"variant": "MobileNetV2", "weights": "none", "epochs": 5}),
    Row("transfer", {"variant": "MobileNetV2", "weights": "imagenet"}, "51 %"),
    Row("transfer", {"variant": "EfficientNetLite0", "weights": "imagenet", "epochs": 2}),
    Row("transfer", {"variant": "EfficientNetB0", "weights": "imagenet"}, "62 %"),
    Row("transfer", {"variant": "InceptionV3", "weights": "imagenet"}, "55 %"),
    Row("transfer", {"variant": "ResNet50", "weights": "imagenet"}),
    Row("transfer", {"variant": "VGG16", "weights": "imagenet"}),
    Row("transfer", {"variant": "VGG19", "weights": "imagenet"}, "58 %"),
)


def run(
    examples: Sequence[Example],
    output: Path,
    *,
    rows: Sequence[Row] = ROWS,
    recipes: Sequence[str] = tuple(RECIPES),
    protocols: Sequence[str] = tuple(PROTOCOLS),
    again: bool = False,
    reporter: Reporter = SILENT,
) -> None:
    """Measure what has not been measured yet, and write results, document and picture.

    Parameters
    ----------
    output : Path
        Folder; results in it are not measured again.
    rows : sequence of Row
        What the document holds.
    recipes, protocols : sequence of str
        Measure these only; the document has all that was ever measured.
    again : bool
        Also where there is a figure.
    """
    output.mkdir(parents=True, exist_ok=True)
    data = digest(examples)
    known = read_results(output, data)
    # Missing weights, or an extra that is not installed: tried once, and the row says so.
    impossible: dict[str, GtagError] = {}
    for row in rows:
        for protocol in protocols:
            key = f"{row.name} | {protocol}"
            done = key in known and known[key].figures
            if row.recipe not in recipes or (done and not again):
                continue
            try:
                if row.name in impossible:
                    raise impossible[row.name]
                known[key] = _measure(row, examples, protocol, output / WORK, reporter)
            except GtagError as error:
                if not done:  # else what was measured before stands
                    # Without hint and path, which tell of this machine.
                    known[key] = Measurement(row.name, protocol, note=error.message)
                if not isinstance(error, DataError):  # that one is the protocol's affair
                    impossible[row.name] = error
            said = known[key].figures
            told = f"{said['accuracy']:.1%}" if said else known[key].note
            reporter.tell(f"{key}: {told}")
            cells = {k: asdict(m) for k, m in known.items()}
            content = json.dumps({"data": data, "measured": cells}, indent=1) + "\n"
            write_whole(output / RESULTS, content.encode())
    shutil.rmtree(output / WORK, ignore_errors=True)
    write_document(output, rows, known)


def read_results(output: Path, data: str) -> dict[str, Measurement]:
    """Return what is measured already, by name and protocol.

    Raises
    ------
    ConfigurationError
        Where it was measured on other examples than those with the digest `data`.
    """
    if not (output / RESULTS).exists():
        return {}
    content = json.loads((output / RESULTS).read_text(encoding="utf-8"))
    if content["data"] != data:
        raise ConfigurationError(
            "holds measurements of other music",
            path=output / RESULTS,
            hint="choose another folder for the output",
        )
    return {key: Measurement(**told) for key, told in content["measured"].items()}


def _measure(
    row: Row, examples: Sequence[Example], protocol: str, work: Path, reporter: Reporter
) -> Measurement:
    examples = usable(row.recipe, examples)
    own = work / row.name.replace(" ", "-")
    settings = Settings(own, resume=True, reporter=reporter, **row.settings)
    try:
        call = Call(row.recipe, settings)
    except ConfigurationError:  # of an earlier version of the row
        shutil.rmtree(own)
        call = Call(row.recipe, settings)
    call.learns_from(examples)
    measured, _ = measure_protocols(row.recipe, examples, [protocol], settings)
    shutil.rmtree(own / protocol, ignore_errors=True)
    return replace(measured[0], name=row.name)


def write_document(
    output: Path,
    rows: Sequence[Row],
    known: Mapping[str, Measurement],
) -> None:
    """Write `benchmarks.md` and its picture from what is measured so far."""
    found = {
        row.name: {p: known[f"{row.name} | {p}"] for p in PROTOCOLS if f"{row.name} | {p}" in known}
        for row in rows
    }
    text = "\n".join(_document(rows, found))
    write_whole(output / DOCUMENT, text.encode())
    drawn = [
        replace(m, name=f"{m.name} (knew them)") if m.note else m
        for cells in found.values()
        for m in cells.values()
        if m.figures
    ]
    if drawn:
        (output / PICTURE).write_bytes(comparison(drawn, "Every recipe under every protocol"))


def _document(
    rows: Sequence[Row],
    found: Mapping[str, Mapping[str, Measurement]],
) -> Iterator[str]:
    yield INTRODUCTION
    yield "| protocol | what is kept apart |\n| --- | --- |"
    yield from (f"| `{p}` | {APART[p]} |" for p in PROTOCOLS)
    yield "\n| recipe | " + " | ".join(f"`{p}`" for p in PROTOCOLS) + " | memory | reported |"
    yield "| --- |" + " ---: |" * (len(PROTOCOLS) + 2)
    for row in rows:
        cells = [_cell(found[row.name].get(p)) for p in PROTOCOLS]
        gap = _gap(found[row.name])
        memory = "" if gap is None else f"{gap:+.0f}"
        yield f"| {_plain(row.name)} | {' | '.join(cells)} | {memory} | {_plain(row.reported)} |"
    yield LEGEND
    gaps = [gap for cells in found.values() if (gap := _gap(cells)) is not None]
    if gaps:
        median = statistics.median(gaps)
        yield f"The median of `memory` over {len(gaps)} rows is {median:.0f}: this is how many"
        yield "points are lost on music by artists that are not in the training data.\n"
    if any(m.figures for cells in found.values() for m in cells.values()):
        yield f"![Accuracy of every recipe under every protocol]({PICTURE})\n"
    yield from _notes(rows, found)
    yield ""


def _notes(rows: Sequence[Row], found: Mapping[str, Mapping[str, Measurement]]) -> Iterator[str]:
    yield "## Notes\n"
    for row in rows:
        cells = found[row.name].values()
        seconds = sum(m.seconds for m in cells)
        about = RECIPES[row.recipe].about
        spent = f" {seconds / 60:.1f} minutes for all of the row." if seconds else ""
        yield f"- **{_plain(row.name)}**: {about}.{spent}"
        word = "Note" if any(m.figures for m in cells) else "Not measured"
        for note in dict.fromkeys(m.note for m in cells if m.note):
            yield f"  {word}: {_plain(note)}."


def _cell(measurement: Measurement | None) -> str:
    if measurement is None:
        return "not run yet"
    f = measurement.figures
    if not f:
        return "–"
    low, high = 100 * f["accuracy_low"], 100 * f["accuracy_high"]
    return f"{100 * f['accuracy']:.1f} ({low:.0f}–{high:.0f})"


def _gap(cells: Mapping[str, Measurement]) -> float | None:
    """Points between the leakiest and the strictest protocol that were measured honestly."""
    found = extremes(m for m in cells.values() if not m.note)
    return found and 100 * (found[0].figures["accuracy"] - found[1].figures["accuracy"])


def _plain(text: str) -> str:
    """Text in a table of Markdown: one line, no column of its own."""
    return " ".join(text.replace("|", "/").replace("<", "&lt;").split())


@click.command(cls=Tool)
@click.option("--data", required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--output", required=True, type=click.Path(file_okay=False, path_type=Path))
@click.option("--recipe", "recipes", multiple=True, type=click.Choice(list(RECIPES)))
@click.option("--protocol", "protocols", multiple=True, type=click.Choice(list(PROTOCOLS)))
@click.option("--again", is_flag=True, help="Also where there is a figure already.")
def main(
    data: Path, output: Path, recipes: tuple[str, ...], protocols: tuple[str, ...], again: bool
) -> None:
    """Measure every recipe under every protocol, and write benchmarks.md."""
    output.mkdir(parents=True, exist_ok=True)
    reporter = TerminalReporter()
    examples = load_examples(Sources([data]), output / WORK, reporter=reporter)
    run(
        examples,
        output,
        recipes=recipes or tuple(RECIPES),
        protocols=protocols or tuple(PROTOCOLS),
        again=again,
        reporter=reporter,
    )


if __name__ == "__main__":
    main()
