"""Makes the bundled models again: computes features, trains, measures, calibrates, publishes.

    python -m tagger.training.bundled.musicnn
    python -m tagger.training.bundled.yamnet yamnet_spectra_in.tflite yamnet_class_map.csv
    python -m tagger.training.bundled --data GTZAN --data PANDA --data MIREX --data EMOTIFY \\
        --data ISHKUR --data NO_MUSIC

About a quarter of an hour on two cores. The first set is the one of single genres that accuracy is
measured on. Interrupted, the same command with --resume does not decode tracks again. The models
that stand there are replaced at the very end.
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import click
import numpy as np

from tagger.genres.vocabulary import vocabulary
from tagger.models import zoo
from tagger.models.card import OUT_OF_FOLD, Card, read_card
from tagger.models.feature_columns import NARROW_FEATURES, logit_columns
from tagger.models.head import EMBEDDING, NARROW, SPREAD, YAMNET_EMBEDDING, YAMNET_LOGITS
from tagger.models.multi_label import MultiLabelWeights
from tagger.models.prediction import logit
from tagger.models.registry import bundled_folder
from tagger.storage.durable_io import write_whole
from tagger.system.errors import DataError
from tagger.training import multi_label
from tagger.training.bundled.styles import fit_styles
from tagger.training.data.company import FILE
from tagger.training.data.datasets import BACKBONE_TAG, YAMNET_TAG, read_arrays, yamnet
from tagger.training.data.track_views import Item, Tracks, compute_views
from tagger.training.measure.metrics import Measured, calibration_error
from tagger.training.multi_label import NOT_NAMED, Fit, LabelFigures, Predict, Report
from tagger.training.publish import learned_from, write_model
from tagger.training.recipes import multi_label as networks
from tagger.training.recipes import multi_label_trees as trees
from tagger.training.report.plots import coverage, reliability_diagram
from tagger.training.reporter import Reporter, TerminalReporter, Tool

VERSION = 3
WEIGHTS_OF_TREES = (0.1, 0.2, 0.3, 0.4, 0.5)  # in the ensemble
SEED = 0
DRAWS = 3  # of the folds
# In the sample for own genres: of each kind of input so many principal components (with some dozens
# of tracks more serve nothing); sets of one genre, of which every second track will do.
PER_KIND, HALF = 40, ("ishkur",)


@dataclass(frozen=True)
class Trained:
    """A model's out-of-fold logits, and what follows from them.

    Attributes
    ----------
    logits, probabilities : np.ndarray [shape=(n, n_labels)]
    """

    logits: np.ndarray
    probabilities: np.ndarray
    figures: list[LabelFigures]
    report: Report


@dataclass(frozen=True)
class Lesson:
    """What all models learn from: tracks, their targets, and the folds."""

    tracks: Tracks
    labels: tuple[str, ...]

    @cached_property
    def table(self) -> np.ndarray:
        return multi_label.targets(self.tracks.items, self.labels)

    @cached_property
    def artists(self) -> list[str]:
        return [item.artist for item in self.tracks.items]

    @cached_property
    def folds(self) -> np.ndarray:
        return multi_label.fold_of(self.artists, SEED)

    @cached_property
    def calibration(self) -> np.ndarray:
        return multi_label.weights_of(self.tracks, "calibration")

    @cached_property
    def music(self) -> np.ndarray:
        """Music whose input is not estimated: that is less exact, and must not set a threshold."""
        return ~self.tracks.estimated & [not item.kind for item in self.tracks.items]

    def platt(self, logits: np.ndarray) -> np.ndarray:
        """Return each label's slope and offset for a scan [shape=(n_labels, 2)]."""
        return multi_label.platt_by_label(logits, self.table, self.calibration)

    def judge(self, logits: np.ndarray) -> Trained:
        """Calibrate and measure out-of-fold logits."""
        probabilities = multi_label.cross_calibrated(
            logits, self.table, self.calibration, self.folds
        )
        counted = self.music & ~self.tracks.doubted
        figures = multi_label.find_thresholds(
            probabilities,
            self.table,
            self.labels,
            counted * multi_label.weights_of(self.tracks, "validation"),
            np.array([item.source for item in self.tracks.items]),
        )
        report = multi_label.measure(self.tracks, probabilities, self.table, self.labels, figures)
        return Trained(logits, probabilities, figures, report)

    def train(self, fit: Fit, rows: np.ndarray) -> Trained:
        """Out-of-fold predictions: of each track by models that did not learn from its artist.

        The mean over several draws of the folds: with one alone, the accuracy on 152 tracks is five
        points higher or lower by chance.
        """
        draws = (multi_label.fold_of(self.artists, SEED + draw) for draw in range(DRAWS))
        weights = multi_label.weights_of(self.tracks, "learning")
        said = [multi_label.out_of_fold(fit, rows, self.table, weights, folds) for folds in draws]
        return self.judge(np.mean(said, axis=0))

    def measured(self, trained: Trained) -> Measured:
        """Return the predictions for music of known genres, as the reports show them.

        Of several genres that a track has, the best guess counts as the true one if it is one.
        """
        counted = self.music & (multi_label.weights_of(self.tracks, "validation") > 0)
        best = trained.probabilities.argmax(axis=1)
        said = self.table[np.arange(len(best)), best]
        counted &= ~np.isnan(said)
        known = np.nan_to_num(self.table)
        another = np.where(known.any(axis=1), known.argmax(axis=1), (best + 1) % len(self.labels))
        return Measured(
            self.labels,
            np.where(said == 1, best, another)[counted],
            trained.probabilities[counted],
            tuple(i.track for i, m in zip(self.tracks.items, counted, strict=True) if m),
        )

    def card(self, name: str, trained: Trained) -> dict[str, Any]:
        """Return the part of a model's card that is the same for all kinds."""
        reference = self.tracks.items[0].source
        return {
            "name": name,
            "version": VERSION,
            "labels": list(self.labels),
            **multi_label.described(
                trained.figures,
                multi_label.platt_by_label(trained.logits, self.table, self.calibration),
                trained.report,
                f"right, of {reference}, best of its genres",
                protocol="artist",
                measured_on=reference,
                fitted_on="out-of-fold predictions, artists apart",
                why=f"each label's own, from where {multi_label.AIM:.0%} of what is named is "
                "right, out of fold; this is their median",
            ),
            "learned_from": learned_from(self.tracks.items, self.tracks.fingerprint),
        }

    def extras(self, trained: Trained) -> dict[str, bytes]:
        content = networks.packed(
            {"logits": trained.logits, "targets": np.nan_to_num(self.table, nan=-1.0)}
        )
        return {OUT_OF_FOLD: content}


def networks_fit(kinds: Sequence[int]) -> Fit:
    """Return how networks are fitted to rows of these kinds of inputs, see `fit_networks`."""

    def fit(rows: np.ndarray, table: np.ndarray, weights: np.ndarray, seed: int) -> Predict:
        # One for each draw; what is averaged over the draws is an ensemble, like what ships.
        arrays = networks.fit_networks(
            rows, table, kinds=kinds, weights=weights, networks=1, seed=seed
        )
        return lambda asked: networks.predict(arrays, asked)

    return fit


def trees_fit(rows: np.ndarray, table: np.ndarray, weights: np.ndarray, seed: int) -> Predict:
    booster = trees.fit_trees(rows, table, weights=weights, seed=seed)
    return lambda asked: trees.predict(booster, asked)


# What each model of networks looks at, in the names of its card.
BACKBONES = {"cnn": (BACKBONE_TAG, YAMNET_TAG), "fast": (YAMNET_TAG,)}
INPUTS = {
    "cnn": (EMBEDDING, SPREAD, YAMNET_EMBEDDING, YAMNET_LOGITS, NARROW),
    "fast": (YAMNET_EMBEDDING, YAMNET_LOGITS, NARROW),
}


def inputs_of(model: str, tracks: Tracks) -> tuple[np.ndarray, list[int]]:
    """Return the inputs of a model [shape=(n, n_inputs)], and how many columns each kind has."""
    views = {
        EMBEDDING: tracks.embedding,
        SPREAD: tracks.spread,
        YAMNET_EMBEDDING: tracks.yamnet,
        YAMNET_LOGITS: tracks.yamnet_logits,
        NARROW: tracks.narrow,
    }
    parts = [views[name] for name in INPUTS[model]]
    return np.concatenate(parts, axis=1), [part.shape[1] for part in parts]


def make(tracks: Tracks, work: Path, reporter: Reporter) -> dict[str, tuple[Card, Measured]]:
    """Train and publish all models below `work`; each with what it was measured on."""
    every = Lesson(tracks, tuple(vocabulary()))
    rows, kinds = inputs_of("cnn", tracks)
    tried = every.train(networks_fit(kinds), rows)
    kept = tuple(f.label for f in tried.figures if f.threshold < NOT_NAMED)
    left_out = [f.label for f in tried.figures if f.threshold >= NOT_NAMED]
    for figures in tried.figures:
        if figures.label in left_out:
            reporter.tell(f"left out: {figures.label}: too few of {figures.n} are named rightly")
    lesson = Lesson(tracks, kept)
    weights = multi_label.weights_of(tracks, "learning")
    made: dict[str, tuple[Card, Measured]] = {}
    company: dict[str, bytes] = {}

    def publish(name: str, trained: Trained, card: dict[str, Any], files: dict[str, bytes]) -> None:
        card = lesson.card(name, trained) | card
        published = write_model(work / name, card, files, lesson.extras(trained) | company)
        made[name] = published, lesson.measured(trained)
        for line in trained.report.lines():
            reporter.tell(f"{name}: {line}")

    trained: dict[str, Trained] = {}
    styles: dict[str, list[dict[str, Any]]] = {}
    for name in ("cnn", "fast"):
        rows, kinds = inputs_of(name, tracks)
        trained[name] = lesson.train(networks_fit(kinds), rows)
        arrays = networks.fit_networks(rows, lesson.table, kinds=kinds, weights=weights, seed=SEED)
        fitted = MultiLabelWeights(networks.packed(arrays))
        of_styles, styles[name] = fit_styles(tracks, fitted.components(rows), lesson.folds)
        arrays |= of_styles
        card = {
            "kind": "multi-label",
            "backbone": list(BACKBONES[name]),
            "inputs": list(INPUTS[name]),
            "style": styles[name],
            "tried": left_out,
        }
        sample = packed_company(tracks, fitted, rows, kinds, trained[name].logits)
        company = {FILE: sample} if name == zoo.DEFAULT else {}
        publish(name, trained[name], card, {"multi_label.npz": networks.packed(arrays)})

    company = {}
    rows = np.concatenate([tracks.narrow, tracks.yamnet_logits], axis=1)
    grown = lesson.train(trees_fit, rows)
    booster = trees.fit_trees(rows, lesson.table, weights=weights, seed=SEED)
    card = {
        "kind": "boosted-trees",
        "backbone": YAMNET_TAG,
        "features": [*NARROW_FEATURES, *logit_columns(yamnet().card)],
    }
    publish("trees", grown, card, {"trees.ubj": bytes(booster.save_raw("ubj"))})

    weight, ensemble = join(lesson, trained["cnn"], grown)
    card = {
        "kind": "ensemble",
        "members": [
            {"model": f"cnn-{VERSION}", "weight": 1 - weight},
            {"model": f"trees-{VERSION}", "weight": weight},
        ],
        "style": styles["cnn"],
    }
    publish("ensemble", ensemble, card, {})
    return made


def company_of(tracks: Tracks, card: Card) -> bytes:
    """Return the sample for own genres of a model that learned from these tracks."""
    logits, learned = read_arrays(card.folder / OUT_OF_FOLD, ("logits", "targets"))
    table = multi_label.targets(tracks.items, card.labels)
    if not np.array_equal(np.nan_to_num(table, nan=-1.0), learned):
        raise DataError("learned from other tracks", path=card.folder)
    rows, kinds = inputs_of(card.name, tracks)
    return packed_company(tracks, card.load_weights(MultiLabelWeights), rows, kinds, logits)


def packed_company(
    tracks: Tracks,
    weights: MultiLabelWeights,
    rows: np.ndarray,
    kinds: list[int],
    logits: np.ndarray,
) -> bytes:
    """Return the sample's file.

    Parameters
    ----------
    rows : np.ndarray [shape=(n, n_inputs)]
        The model's inputs for these tracks, and how many columns each kind of them has.
    logits : np.ndarray [shape=(n, n_labels)]
        Out of fold.
    """
    chosen = [i for i, item in enumerate(tracks.items) if _is_chosen(tracks, i, item)]
    components = weights.components(rows[chosen])
    columns = leading_components(weights, kinds)
    items = [tracks.items[i] for i in chosen]
    genres = sorted({g for item in items for g in item.known.genres | item.known.open})
    known = np.zeros((len(items), len(genres)), dtype=np.uint8)
    for row, item in zip(known, items, strict=True):
        for j, genre in enumerate(genres):
            row[j] = 1 if genre in item.known.genres else 2 * (genre in item.known.open)
    content = io.BytesIO()
    np.savez_compressed(
        content,
        columns=columns.astype(np.uint16),
        components=components[:, columns].astype(np.float16),
        logits=logits[chosen].astype(np.float16),
        artists=np.array([sha256(item.artist.encode()).hexdigest()[:12] for item in items]),
        genres=np.array(genres),
        known=known,
    )
    return content.getvalue()


def leading_components(weights: MultiLabelWeights, kinds: list[int]) -> np.ndarray:
    """Return the places of the first components of each kind of input."""
    of_kind = np.repeat(np.arange(len(kinds)), kinds)[np.abs(weights.projection).argmax(axis=0)]
    return np.concatenate([np.flatnonzero(of_kind == k)[:PER_KIND] for k in range(len(kinds))])


def _is_chosen(tracks: Tracks, i: int, item: Item) -> bool:
    return bool(
        item.source != tracks.items[0].source
        and item.known.genres
        and not item.kind
        and not tracks.estimated[i]
        and not tracks.doubted[i]
        and (item.source not in HALF or i % 2 == 0)
    )


def join(lesson: Lesson, cnn: Trained, grown: Trained) -> tuple[float, Trained]:
    """Return the ensemble of both, the mean of calibrated logits: best weight of the trees, and
    model.
    """
    known = ~np.isnan(lesson.table) & ~lesson.tracks.estimated[:, None]
    # Calibrated as in a scan. `probabilities` are calibrated by folds, and `judge` would do it
    # again: where a fold has more of a genre than the others, that would count against it twice.
    said = [
        logit(multi_label.calibrated(each.logits, lesson.platt(each.logits)))
        for each in (cnn, grown)
    ]

    def joined(weight: float) -> np.ndarray:
        return (1 - weight) * said[0] + weight * said[1]

    def surprise(weight: float) -> float:
        odds = joined(weight)[known]
        return float(np.logaddexp(0, -(2 * lesson.table[known] - 1) * odds).mean())

    weight = min(WEIGHTS_OF_TREES, key=surprise)
    return weight, lesson.judge(joined(weight))


@click.command(cls=Tool)
@click.option("--data", required=True, multiple=True, type=click.Path(exists=True, path_type=Path))
@click.option("--models", type=click.Path(file_okay=False, path_type=Path), help="Where they go.")
@click.option("--pictures", type=click.Path(file_okay=False, path_type=Path))
@click.option("--jobs", type=click.IntRange(1), default=2, show_default=True)
@click.option("--resume", is_flag=True, help="Go on where an interrupted call stopped.")
@click.option("--company", is_flag=True, help="Only the sample for own genres, of what is there.")
def main(
    data: tuple[Path, ...],
    models: Path | None,
    pictures: Path | None,
    jobs: int,
    resume: bool,
    company: bool,
) -> None:
    """Make the bundled models again, with the pictures of docs/models.md."""
    models = (models or bundled_folder()).resolve()  # in a checkout it is a link
    pictures = pictures or models.parent / "docs" / "models"
    work = models.with_name(models.name + ".work")
    if not resume:
        shutil.rmtree(work, ignore_errors=True)
    reporter = TerminalReporter()
    tracks = compute_views(data, work, jobs=jobs, reporter=reporter)
    if company:
        sample = company_of(tracks, read_card(models / zoo.DEFAULT))
        write_whole(models / zoo.DEFAULT / FILE, sample)
        return
    made = make(tracks, work, reporter)
    pictures.mkdir(parents=True, exist_ok=True)
    for name, (card, measured) in made.items():
        ece = calibration_error(measured.bins)
        (pictures / f"{name}-reliability.png").write_bytes(reliability_diagram(measured, ece))
        (pictures / f"{name}-coverage.png").write_bytes(coverage(measured, card.threshold))
    # Copied, not moved: what is interrupted here goes on without another training.
    for name in made:
        shutil.rmtree(models / name, ignore_errors=True)
        shutil.copytree(work / name, models / name)
    shutil.rmtree(work)


if __name__ == "__main__":
    main()
