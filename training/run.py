"""One training, whole: measure a recipe honestly, calibrate it, fit it to all tracks, publish it.

Measuring and calibrating use tracks that the measured fit did not learn from; the published model
then learns from all of them.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tagger.errors import ConfigurationError, DataError
from tagger.models import zoo
from tagger.models.card import (
    CORRELATION,
    DEFAULT_THRESHOLD,
    HISTORY,
    IMPORTANCE,
    OUT_OF_FOLD,
    Card,
)
from tagger.training import recipes
from tagger.training.data.datasets import Example, labels_of, targets
from tagger.training.data.feature_table import feature_rows, scannable
from tagger.training.data.fingerprints import fingerprint
from tagger.training.data.load_examples import LeftOut, Sources, load_examples
from tagger.training.data.resume import Call
from tagger.training.measure import splits
from tagger.training.measure.importance import permutation_importance
from tagger.training.measure.out_of_fold import PRECISION, OutOfFoldPredictions, described, pack
from tagger.training.measure.training_history import (
    correlation,
    correlation_table,
    history_table,
    importance,
    importance_table,
)
from tagger.training.publish import check_output, learned_from, with_cost, write_model
from tagger.training.recipes import Fitted, OnDescriptors, Recipe, Settings

TIMED = 20  # tracks
# Between twins of what was learned from, a feature is worth what it tells of a recording.
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
    say: Callable[[str], None] = lambda line: None,
    left_out: LeftOut = lambda track, reason: None,
    **settings: Any,
) -> Card:
    """Train a recipe on labelled tracks and write the model's folder.

    Parameters
    ----------
    recipe : str
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
    say : callable
        Told, line by line, what a person should know of what is done and what is doubtful.
    left_out : callable
        Told of each file that cannot be read or heard, and why.
    **settings
        As in `Settings`: epochs, seed, resume, progress, tune …

    Returns
    -------
    Card

    Raises
    ------
    ConfigurationError, DataError
    """
    work = output.with_name(output.name + ".work")
    how = Settings(work, importance=True, **settings)
    fit = recipes.find(recipe, how)
    if not recipes.RECIPES[recipe].published:
        raise ConfigurationError(
            f"the recipe {recipe} is for benchmarks only: scan could not run it safely",
            hint=f"gtag evaluate --recipe {recipe} measures it",
        )
    check_output(output)
    call = Call(recipe, how)
    sources = data if isinstance(data, Sources) else Sources(data)
    everything = load_examples(
        sources,
        work,
        artists="artist" in protocols and not otherwise,
        progress=how.progress,
        say=say,
        left_out=left_out,
    )
    examples = recipes.usable(recipe, scannable(everything, say), say)
    if len(labels_of(examples)) < 2:
        raise DataError("there are fewer than two genres: nothing to tell apart")
    call.learns_from(examples, say)

    card: dict[str, Any] = {"name": name or recipe, "version": version}
    card["labels"] = list(labels_of(examples))
    by_protocol = {}
    for protocol in dict.fromkeys(protocols):
        try:
            by_protocol[protocol] = measure(fit, examples, protocol, how)
        except DataError as error:
            if not otherwise:
                raise
            say(f"{error.message}: measured under {otherwise} instead, which flatters")
            by_protocol[otherwise] = measure(fit, examples, otherwise, how)
    about = _sets(examples)
    card |= described(by_protocol, about)
    for protocol, predictions in by_protocol.items():
        say_unmeasured(protocol, predictions, examples, say)
    decision = card.get("decision")
    if decision is None:
        say(
            "WARNING: confidence is not calibrated, and a scan names what is surer than "
            f"{DEFAULT_THRESHOLD}; --protocol artist measures and calibrates first"
        )
    elif decision["threshold"] >= 1:
        say(
            f"WARNING: at no confidence are {PRECISION:.0%} right. A scan will name nothing, "
            "unless --min-confidence asks for less"
        )
    fitted = fit(examples, replace(how, work=work / "all", description=f"{recipe} on all"))
    own, weights = fitted.export()
    built_on = own.pop("learned_from", [])
    card |= own
    card["learned_from"] = learned_from(examples, map(_fingerprint, examples)) + built_on
    extras = {OUT_OF_FOLD: pack(by_protocol)} if by_protocol else {}
    extras |= _how_it_learned(fitted, list(by_protocol.values()), examples)
    published = write_model(output, card, weights, extras)
    cost = _milliseconds(published, examples)
    if cost is not None:
        published = with_cost(published, cost)
    shutil.rmtree(work, ignore_errors=True)
    return published


def _fingerprint(example: Example) -> np.ndarray | None:
    return None if example.mel is None else fingerprint(example.log_mel().excerpts)


def _how_it_learned(
    fitted: Fitted, by_protocol: Sequence[OutOfFoldPredictions], examples: Sequence[Example]
) -> dict[str, bytes]:
    """Tables for the model's folder, as far as there is something to tell."""
    tables = {}
    # The measured trainings' curves say more than the last one's, which has nothing set aside.
    histories = [*(o.history for o in by_protocol), getattr(fitted, "history", [])]
    if any(histories):
        tables[HISTORY] = history_table(next(filter(None, histories)))
    if isinstance(fitted, OnDescriptors):
        rises = next((o.importance for o in by_protocol if o.importance), {})
        worth = importance(fitted.features, rises, getattr(fitted, "gain", {}))
        if worth:
            tables[IMPORTANCE] = importance_table(worth)
        together = correlation(fitted.features, feature_rows(examples, fitted.features), worth)
        if together:
            tables[CORRELATION] = correlation_table(together)
    return tables


def _milliseconds(card: Card, examples: Sequence[Example]) -> float | None:
    """Median time to ask a model about a track; None where there are no spectrograms."""
    if examples[0].mel is None:
        return None
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
    """Fit and ask under a protocol; what is done is kept in `settings.work` and not done again."""
    parts: list[np.ndarray] = []
    tested, folds = [], []
    first: dict[str, Any] = {}
    labels = labels_of(examples)
    examples = splits.units(protocol, examples)
    for split in splits.PROTOCOLS[protocol](examples, settings.seed):
        test = [examples[i] for i in split.test]
        work = settings.work / split.name
        done = work / "scores.npz"
        if settings.resume and done.exists():
            with np.load(done, allow_pickle=False) as kept:
                scores = kept["scores"]
                told = json.loads(str(kept["told"])) if "told" in kept.files else {}
        else:
            own = replace(settings, work=work, description=split.name, watch=test)
            fitted = fit([examples[i] for i in split.train], own)
            scores = _in_order(fitted.log_probabilities(test), fitted.labels, labels)
            work.mkdir(parents=True, exist_ok=True)
            fresh = work / "fresh.npz"
            told = {"history": list(getattr(fitted, "history", ()))}
            if settings.importance and not parts and protocol not in WITHOUT_IMPORTANCE:
                told["importance"] = _importance(fitted, test, own)
            np.savez(fresh, scores=scores, told=np.array(json.dumps(told)))
            fresh.replace(done)
        parts.append(scores)
        first = first or told
        tested += test
        folds += [split.name] * len(test)
    tracks = tuple(example.track for example in tested)
    truth = targets(tested, labels)
    return OutOfFoldPredictions(labels, tracks, truth, np.concatenate(parts), folds, **first)


def say_unmeasured(
    protocol: str,
    predictions: OutOfFoldPredictions,
    examples: Sequence[Example],
    say: Callable[[str], None],
) -> None:
    """Tell of tracks that a protocol could not measure, where it should have measured all."""
    reasons = {
        "artist": "nobody knows who plays, or nobody else plays that genre",
        "track-random": "their genre has no other track",
    }
    own = sum(example.source == examples[0].source for example in examples)
    missing = own - len(predictions.tracks)
    if missing and protocol in reasons:
        say(f"not measured under {protocol}: {missing} of {own} tracks: {reasons[protocol]}")


def _importance(fitted: Fitted, test: Sequence[Example], settings: Settings) -> dict[str, float]:
    """What each feature is worth to a fit, on tracks that it did not learn from."""
    if not isinstance(fitted, OnDescriptors):
        return {}
    rises = permutation_importance(
        fitted.ask,
        feature_rows(test, fitted.features),
        targets(test, fitted.labels),
        seed=settings.seed,
        progress=settings.progress,
        description=settings.description,
    )
    return dict(zip(fitted.features, rises.tolist(), strict=True))


def _in_order(scores: np.ndarray, known: Sequence[str], labels: Sequence[str]) -> np.ndarray:
    """Scores under all labels, where a fit may not have met some: those it could not have named."""
    if tuple(known) == tuple(labels):
        return scores
    complete = np.full((len(scores), len(labels)), UNKNOWN)
    complete[:, [labels.index(label) for label in known]] = scores
    return complete


def _sets(examples: Sequence[Example]) -> dict[str, Any]:
    sources = list(dict.fromkeys(e.source for e in examples))
    return {"measured_on": sources[0], "also_learned_from": sources[1:]}
