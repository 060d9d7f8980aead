"""Classifies one track: all that a worker process does."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tagger.library.cue_sheet import CueSheet, cue_sheet_of
from tagger.models import zoo
from tagger.models.moods import a_mood, mood_of
from tagger.models.not_music import yamnet, yamnet_card
from tagger.models.track_features import TrackFeatures
from tagger.pipeline.cache import Cache, CachedPrediction, sound_of_file
from tagger.sound.audio import Excerpt, Sound, read_excerpts
from tagger.sound.decoder import DECODER_ERRORS, SAMPLE_RATE, Source
from tagger.system.errors import (
    DataError,
    GtagError,
    ModelError,
    NothingToHearError,
    ResourceError,
    UnreadableError,
)
from tagger.system.exhausted import what_ran_out
from tagger.system.logs import step

if TYPE_CHECKING:
    from tagger.library.walk import Track
    from tagger.models.card import Card
    from tagger.models.classifier import Classifier
    from tagger.models.prediction import Mood, Prediction


@dataclass(frozen=True)
class Classified:
    """The result of one track: a prediction, or the reason why there is none.

    Attributes
    ----------
    prediction : Prediction or None
    duration_s : float or None
        Length of the track, where known.
    error : GtagError or None
        Set exactly where there is no prediction.
    traceback : str
        Of an unexpected error; for the log.
    sheet : CueSheet or None
        Cuts the file into tracks. Then there is neither prediction nor error, but:
    parts : tuple of Classified
        One for each track of the sheet.
    sound : bytes
        The key of the sound in a cache; empty without one.
    kept : dict of str to np.ndarray
        Features of the sound for a cache, which other models may use.
    remark : str
        What the reason of its decision says beside.
    """

    prediction: Prediction | None = None
    duration_s: float | None = None
    error: GtagError | None = None
    traceback: str = ""
    sheet: CueSheet | None = None
    parts: tuple[Classified, ...] = ()
    sound: bytes = b""
    kept: dict[str, np.ndarray] = field(default_factory=dict)
    remark: str = ""


def classify_track(
    model: str,
    track: Track,
    *,
    cache_file: Path | None = None,
    elsewhere: bool = False,
    over_time: bool = False,
) -> Classified:
    """Classify one track; every fault is returned as an error.

    A file that a cue sheet cuts into tracks is classified track by track.

    Parameters
    ----------
    model : str
        As `zoo.load` takes it. Loaded once in each process.
    cache_file : Path, optional
        Where to look for the sound before decoding it. Nothing is written there.
    elsewhere : bool
        Whether the cache is on another machine: only the key of the sound is computed.
    over_time : bool
        Whether the prediction is wanted from second to second, too, where the model can. A scan
        does without: it takes 5 ms a track.
    """
    sheet = cue_sheet_of(track.path) if track.format else None
    if sheet is not None:
        parts = tuple(
            classify_section(model, track, cue.begin_s, cue.end_s) for cue in sheet.tracks
        )
        fits = not sheet.guessed or not any(part.error for part in parts)
        if fits and any(part.prediction for part in parts):
            last_s = parts[-1].duration_s
            duration_s = None if last_s is None else sheet.tracks[-1].begin_s + last_s
            return Classified(sheet=sheet, parts=parts, duration_s=duration_s)
    if cache_file is None or track.format is None:
        return classify_section(model, track, over_time=over_time)
    with _hashed(track.path) as (sound, source):
        if sound is not None and not elsewhere:
            reader = _reader(model, cache_file)
            cached = reader.prediction_for_sound(sound) or _from_features(model, reader, sound)
            if cached:
                return from_cache(track, cached)
        key = sound or sound_of_file(track.path, track.stamp)
        classified = classify_section(model, track, hashed=source, over_time=over_time)
        return replace(classified, sound=key)


@contextmanager
def _hashed(path: str) -> Iterator[tuple[bytes | None, Source | None]]:
    """Yield the hash of a file's packets, and the file, open; None where it has none."""
    try:
        source = Source(path)
    except (*DECODER_ERRORS, UnreadableError):
        yield None, None
        return
    with source:
        sound = source.packets_hash()
        yield sound, None if sound is None else source


def from_cache(track: Track, cached: CachedPrediction) -> Classified:
    """Return the cached result of a track."""
    error = NothingToHearError(cached.reason, path=track.path) if cached.reason else None
    return Classified(cached.prediction, cached.duration_s, error, sound=cached.sound)


def _from_features(model: str, reader: Cache, sound: bytes) -> CachedPrediction | None:
    """Return the model's prediction from features that another model's run cached, if any."""
    features, duration_s = reader.features_of(sound)
    if not features:
        return None
    try:
        prediction = _predicted(classifier(model), TrackFeatures.from_kept(features))
    except DataError:
        return None
    return CachedPrediction(sound, prediction, duration_s)


@cache
def _reader(model: str, path: Path) -> Cache:
    return Cache(path, classifier(model).card)


def classify_section(
    model: str,
    track: Track,
    begin_s: float = 0.0,
    end_s: float | None = None,
    *,
    hashed: Source | None = None,
    over_time: bool = False,
) -> Classified:
    """Classify one stretch of a track, by default all of it, without its cue sheet."""
    if track.format is None:
        return Classified(error=_unrecognised(track.path))
    try:
        with step("decoded", track.path):
            sound = read_excerpts(track.path, begin_s, end_s, hashed=hashed)
        features = TrackFeatures.from_sound(sound, over_time=over_time)
        loaded = classifier(model)
        with step(f"classified by {loaded.card.tag}", track.path):
            prediction = _predicted(loaded, features)
    except Exception as error:  # of a decoder or our own: it must not stop the batch
        if isinstance(error, GtagError) and what_ran_out(error) is None:
            return Classified(error=error)
        return Classified(error=_blamed(model, track, error), traceback=traceback.format_exc())
    return Classified(prediction, sound.duration_s, kept=features.kept())


def _predicted(model: Classifier, features: TrackFeatures) -> Prediction:
    """Return the model's prediction with the mood, which depends on no model of genres."""
    return replace(model.predict(features), mood=mood_of(features))


def _blamed(model: str, track: Track, error: Exception) -> GtagError:
    """Whose fault an unexpected error is: the machine's, or the track's."""
    lacking = what_ran_out(error)
    try:
        classifier(model).predict(TrackFeatures.from_sound(_noise()))
    except Exception as again:  # nothing else can be classified either
        words = str(again).partition("\n")[0]
        return (
            lacking
            or what_ran_out(again)
            or ResourceError(
                f"no sound can be classified on this machine: {type(again).__name__}: {words}",
                hint="memory or another resource may be short, or the installation is damaged",
            )
        )
    if lacking is None:
        return UnreadableError(f"{type(error).__name__}: {error}", path=track.path)
    if isinstance(error.__cause__ or error, MemoryError):
        return UnreadableError(f"{lacking.message} while it was classified", path=track.path)
    return lacking


def _noise() -> Sound:
    samples = np.random.default_rng(0).uniform(-0.1, 0.1, round(5 * SAMPLE_RATE))
    return Sound((Excerpt(samples.astype(np.float32), 0.0),), 5.0)


@cache
def classifier(model: str) -> Classifier:
    """Return the model, loaded and checked on the first call.

    So is the network that tells music from noise with every model: what keeps it from being loaded
    is no fault of a track.

    Raises
    ------
    ModelError
        As `zoo.load`; or LiteRT, which runs all networks, is missing or broken.
    """
    loaded = zoo.load(model)
    if yamnet_card().tag not in (used.tag for used in zoo.used_by(loaded.card)):
        yamnet()
    return loaded


def forget_models() -> None:
    """Load models again when they are next used."""
    classifier.cache_clear()
    _reader.cache_clear()


def why_unusable(result: object, card: Card) -> str | None:
    """Say why what came from another machine is no result of this model; None where it is one."""
    try:
        usable = isinstance(result, Classified) and _is_of(result, card)
    except Exception:  # whatever somebody else's objects do when they are looked at
        usable = False
    if not usable:
        return "answers what is no result of the model"
    assert isinstance(result, Classified)
    if isinstance(result.error, ModelError | ResourceError):
        return result.error.message
    return None


def _is_of(result: Classified, card: Card) -> bool:
    prediction, error, length = result.prediction, result.error, result.duration_s
    if result.sheet is not None:
        return (
            isinstance(result.sheet, CueSheet)
            and (prediction, error) == (None, None)
            and len(result.parts) == len(result.sheet.tracks)
            and all(part.sheet is None and _is_of(part, card) for part in result.parts)
        )
    return (
        (prediction is None) != (error is None)
        and (error is None or (isinstance(error, GtagError) and type(error.message) is str))
        and (prediction is None or _predicts(prediction, card))
        and (length is None or 0 <= length < inf)
        and type(result.sound) is bytes
        and all(np.all(np.isfinite(array)) for array in result.kept.values())
    )


def _predicts(prediction: Prediction, card: Card) -> bool:
    values = [prediction.probabilities, [style.probability for style in prediction.styles]]
    return (
        (prediction.model, prediction.labels) == (card.tag, card.labels)
        and prediction.independent == card.independent
        and np.array_equal(np.asarray(prediction.thresholds), card.thresholds)
        and np.shape(prediction.probabilities) == (len(card.labels),)
        and all(np.all((np.asarray(p) >= 0) & (np.asarray(p) <= 1)) for p in values)
        and prediction.aims == card.aims
        and {(s.genre, s.name, s.threshold, s.aims) for s in prediction.styles}
        <= {(s.genre, s.name, s.threshold, s.aims) for s in card.styles}
        and type(prediction.non_music_reason) is str
        and prediction.dropped == ""
        and (prediction.mood is None or _is_mood(prediction.mood))
    )


def _is_mood(mood: Mood) -> bool:
    known = mood == a_mood(mood.name, mood.confidence) and mood.threshold <= 1
    return known and 0 <= mood.confidence <= 1


def _unrecognised(path: str) -> UnreadableError:
    try:
        if Path(path).stat().st_size == 0:
            return UnreadableError("empty file", path=path)
        with open(path, "rb"):
            pass
    except OSError as error:  # a broken link, no permission
        return UnreadableError.of_system(error, path)
    return UnreadableError("not a sound format that gtag supports", path=path)
