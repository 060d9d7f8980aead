"""One training, whole: measure a recipe, calibrate it, fit it to all tracks, publish it.

Measuring and calibrating use tracks that the measured fit did not learn from; the published model
then learns from all of them.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tagger.models import zoo
from tagger.models.card import (
    CORRELATION,
    DEFAULT_THRESHOLD,
    HISTORY,
    IMPORTANCE,
    OUT_OF_FOLD,
    Card,
)
from tagger.storage.durable_io import take_name
from tagger.system.errors import DataError
from tagger.training import own_genres, recipes
from tagger.training.data.datasets import Example, labels_of, targets
from tagger.training.data.feature_table import feature_rows, scannable
from tagger.training.data.load_examples import Sources, load_examples
from tagger.training.data.resume import Call
from tagger.training.measure import splits
from tagger.training.measure.importance import permutation_importance
from tagger.training.measure.out_of_fold import PRECISION, OutOfFoldPredictions, described, pack
from tagger.training.measure.splits import or_otherwise
from tagger.training.measure.training_history import (
    correlation,
    correlation_table,
    history_table,
    importance,
    importance_table,
)
from tagger.training.publish import (
    check_output,
    known_again,
    learned_from_examples,
    with_cost,
    write_model,
)
from tagger.training.recipes.fitting import Fitted, Recipe, Settings
from tagger.training.recipes.own import base
from tagger.training.reporter import SILENT, Reporter

TIMED = 20  # tracks
# Between segments of the same recordings, importance tells which features identify a recording.
WITHOUT_IMPORTANCE = ("segment-random",)
UNKNOWN = -30.0  # log probability of a genre that a fit never met


def train_model(
    recipe: str,
    data: Sequence[Path] | Sources,
    output: Path,
    *,
    protocols: Sequence[str] = (),
    otherwise: str = "",
    name: str | None = None,
    version: int = 1,
    reporter: Reporter = SILENT,
    **settings: Any,
) -> Card:
    """Train a recipe on labelled tracks and write the model's folder.

    Parameters
    ----------
    data : Sources, or sequence of Path for its `data`
    output : Path
        The model's folder. Work in progress is kept beside it, in ``<output>.work``.
    protocols : sequence of str
        Measure under these first. `artist`, or else `track-random`, also calibrates and sets the
        default threshold.
    otherwise : str
        Measure under this one in place of any that the data does not allow for.
    name, version : str, int
        What the model is called; by default as the recipe.
    **settings
        As in `Settings`: epochs, seed, resume, tune …

    Raises
    ------
    ConfigurationError, DataError
    """
    recipe = recipes.current_name(recipe, reporter)
    work = output.with_name(output.name + ".work")
    how = Settings(work, importance=True, reporter=reporter, **settings)
    fit = recipes.find(recipe, how, to_publish=True)
    sources = data if isinstance(data, Sources) else Sources(data)
    if recipe == own_genres.RECIPE:
        protocols = [own_genres.only_protocol(protocols)]
        sources = replace(sources, heard_by_gtag=base().labels)
    check_output(output)
    artists = "artist" in protocols and not otherwise
    examples = load(recipe, sources, how, artists=artists, for_scan=True)
    if recipe == own_genres.RECIPE:
        card, weights, extras = own_genres.train_own(examples, protocols[0], otherwise, how)
    else:
        how = replace(how, description=f"{recipe} on all")
        card, weights, extras = _train(fit, examples, protocols, otherwise, how)
    learned = learned_from_examples(examples) + card.get("learned_from", [])
    published = write_model(
        output,
        {"name": name or recipe, "version": version, **card, "learned_from": learned},
        weights,
        extras | known_again(examples),
    )
    if examples[0].mel is not None:
        published = with_cost(published, milliseconds(published, examples))
    shutil.rmtree(work, ignore_errors=True)
    return published


def load(
    recipe: str, sources: Sources, settings: Settings, *, artists: bool, for_scan: bool = False
) -> list[Example]:
    """Return the examples that a recipe can learn from; work in progress on other ones is removed.

    Parameters
    ----------
    artists : bool
        The first set has to say who plays.
    for_scan : bool
        Leave out features that a scan does not compute, and ask for two genres.
    """
    reporter = settings.reporter
    call = Call(recipe, settings)
    examples = load_examples(sources, settings.work, artists=artists, reporter=reporter)
    if for_scan:
        examples = scannable(examples, reporter)
    examples = recipes.usable(recipe, examples, reporter)
    if for_scan and len(labels_of(examples)) < 2:
        raise DataError("there are fewer than two genres: nothing to tell apart")
    call.learns_from(examples, reporter)
    return examples


def _train(
    fit: Recipe,
    examples: Sequence[Example],
    protocols: Sequence[str],
    otherwise: str,
    settings: Settings,
) -> tuple[dict[str, Any], Mapping[str, bytes], dict[str, bytes]]:
    """Measure a recipe and fit it to all; return its part of the card, weights and other files."""
    reporter = settings.reporter
    by_protocol = dict(
        or_otherwise(lambda p: measure(fit, examples, p, settings), protocol, otherwise, reporter)
        for protocol in dict.fromkeys(protocols)
    )
    tell_unmeasured(by_protocol, examples, reporter)
    first, *others = dict.fromkeys(e.source for e in examples)
    card = {
        "labels": list(labels_of(examples)),
        **described(by_protocol, {"measured_on": first, "also_learned_from": others}),
    }
    _warn_of_confidence(card, reporter)
    fitted = fit(examples, replace(settings, work=settings.work / "all"))
    extras = _history_tables(fitted, list(by_protocol.values()), examples)
    if by_protocol:
        extras[OUT_OF_FOLD] = pack(by_protocol)
    return {**card, **fitted.card}, fitted.weights, extras


def _warn_of_confidence(card: Mapping[str, Any], reporter: Reporter) -> None:
    if "decision" not in card:
        reporter.tell(
            "WARNING: confidence is not calibrated, and a scan names what is surer than "
            f"{DEFAULT_THRESHOLD}; --protocol artist measures and calibrates first"
        )
    elif card["decision"]["threshold"] >= 1:
        reporter.tell(
            f"WARNING: too few tracks were measured, or too few rightly, to know from which "
            f"confidence on {PRECISION:.0%} are right. A scan names only with --min-confidence"
        )


def _history_tables(
    fitted: Fitted, by_protocol: Sequence[OutOfFoldPredictions], examples: Sequence[Example]
) -> dict[str, bytes]:
    """Training curves, feature importance and correlation, as files for the model's folder."""
    tables = {}
    # The measured trainings' curves say more than the last one's, which has nothing set aside.
    histories = [*(o.history for o in by_protocol), fitted.history]
    if any(histories):
        tables[HISTORY] = history_table(next(filter(None, histories)))
    if fitted.features:
        rises = next((o.importance for o in by_protocol if o.importance), {})
        worth = importance(fitted.features, rises, fitted.gain)
        if worth:
            tables[IMPORTANCE] = importance_table(worth)
        together = correlation(fitted.features, feature_rows(examples, fitted.features), worth)
        if together:
            tables[CORRELATION] = correlation_table(together)
    return tables


def milliseconds(card: Card, examples: Sequence[Example]) -> float:
    """Median time of a prediction for a track whose spectrogram is there."""
    model = zoo.load_card(card)
    times = []
    for example in [examples[0], *examples[:TIMED]]:  # the first one also loads libraries
        features = example.track_features()
        started = time.perf_counter()
        model.scores(features)
        times.append(1000 * (time.perf_counter() - started))
    return float(np.median(times[1:]))


def measure(
    fit: Recipe, examples: Sequence[Example], protocol: str, settings: Settings
) -> OutOfFoldPredictions:
    """Fit and predict under a protocol; finished splits in `settings.work` are not repeated."""
    parts: list[np.ndarray] = []
    tested, folds = [], []
    first: dict[str, Any] = {}
    labels = labels_of(examples)
    examples = splits.units(protocol, examples)
    for split in splits.PROTOCOLS[protocol](examples, settings.seed, settings.folds):
        test = [examples[i] for i in split.test]
        own = replace(
            settings,
            work=settings.work / split.name,
            description=split.name,
            watch=test,
            importance=settings.importance and not parts and protocol not in WITHOUT_IMPORTANCE,
        )
        scores, told = measure_split(fit, [examples[i] for i in split.train], labels, own)
        parts.append(scores)
        first = first or told
        tested += test
        folds += [split.name] * len(test)
    tracks = tuple(example.track for example in tested)
    truth = targets(tested, labels)
    return OutOfFoldPredictions(labels, tracks, truth, np.concatenate(parts), folds, **first)


def measure_split(
    fit: Recipe, train: Sequence[Example], labels: Sequence[str], settings: Settings
) -> tuple[np.ndarray, dict[str, Any]]:
    """Return log probabilities of the examples that are watched, and history and importance."""
    done = settings.work / "scores.npz"
    if settings.resume and done.exists():
        with np.load(done, allow_pickle=False) as kept:
            told = json.loads(str(kept["told"])) if "told" in kept.files else {}
            return kept["scores"], told
    fitted = fit(train, settings)
    scores = _in_order(fitted.log_probabilities(settings.watch), fitted.labels, labels)
    told = {"history": list(fitted.history)}
    if settings.importance:
        told["importance"] = _importance(fitted, settings)
    settings.work.mkdir(parents=True, exist_ok=True)
    fresh = settings.work / "fresh.npz"
    np.savez(fresh, scores=scores, told=np.array(json.dumps(told)))
    take_name(fresh, done)
    return scores, told


def tell_unmeasured(
    by_protocol: Mapping[str, OutOfFoldPredictions],
    examples: Sequence[Example],
    reporter: Reporter,
) -> None:
    """Tell of tracks that a protocol could not measure, where it should have measured all."""
    own = [example for example in examples if example.source == examples[0].source]
    for protocol, reason in splits.NOT_MEASURED.items():
        if protocol not in by_protocol:
            continue
        measured = {*by_protocol[protocol].tracks}
        missing = [example for example in own if example.track not in measured]
        if missing:
            known = {example.genre for example in own if example.track in measured}
            nothing = sorted({example.genre for example in missing} - known)
            of = f"; nothing of {', '.join(nothing)}" if nothing else ""
            reporter.tell(
                f"not measured under {protocol}: {len(missing)} of {len(own)} tracks: {reason}{of}"
            )


def _importance(fitted: Fitted, settings: Settings) -> dict[str, float]:
    """Return what each feature is worth to a fit, on tracks that it did not learn from."""
    if fitted.predict is None:
        return {}
    rises = permutation_importance(
        fitted.predict,
        feature_rows(settings.watch, fitted.features),
        targets(settings.watch, fitted.labels),
        seed=settings.seed,
        bar=lambda columns: settings.bar(columns, step="importance", unit="features"),
    )
    return dict(zip(fitted.features, rises.tolist(), strict=True))


def _in_order(scores: np.ndarray, known: Sequence[str], labels: Sequence[str]) -> np.ndarray:
    """Scores of all labels; those that a fit never met get `UNKNOWN`."""
    if tuple(known) == tuple(labels):
        return scores
    complete = np.full((len(scores), len(labels)), UNKNOWN)
    complete[:, [labels.index(label) for label in known]] = scores
    return complete
