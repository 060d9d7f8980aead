"""From a track to its prediction: all that a worker process does."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tagger.cache import Cache, Known, sound_of_file
from tagger.errors import (
    DataError,
    GtagError,
    NothingToHearError,
    ResourceError,
    UnreadableError,
)
from tagger.exhausted import what_ran_out
from tagger.files.cue_sheet import CueSheet, cue_sheet_of
from tagger.models import zoo
from tagger.models.track_features import TrackFeatures
from tagger.sound.audio import Excerpt, Sound, read_excerpts
from tagger.sound.decoder import SAMPLE_RATE, packets_hash

if TYPE_CHECKING:
    from tagger.files.library import Track
    from tagger.models.prediction import Classifier, Prediction


@dataclass(frozen=True)
class Classified:
    """The result for one track: a prediction, or the reason why there is none.

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
        Cuts the file into several tracks. Then there is neither prediction nor error, but `parts`.
    parts : tuple of Classified
        One for each track of the sheet.
    sound : bytes
        Key of the sound in a cache; empty without a cache.
    kept : dict of str to np.ndarray
        Features of the sound for the cache, for other models.
    """

    prediction: Prediction | None = None
    duration_s: float | None = None
    error: GtagError | None = None
    traceback: str = ""
    sheet: CueSheet | None = None
    parts: tuple[Classified, ...] = ()
    sound: bytes = b""
    kept: dict[str, np.ndarray] = field(default_factory=dict)


def classify_track(
    model: str, track: Track, *, remembered_in: Path | None = None, elsewhere: bool = False
) -> Classified:
    """Classify one track; whatever goes wrong is returned as an error.

    A file that a cue sheet cuts into tracks is classified track by track.

    Parameters
    ----------
    model : str
        As `zoo.load` takes it. Loaded once in each process.
    track : Track
    remembered_in : Path, optional
        A cache in which to look for the sound first. Nothing is written there.
    elsewhere : bool
        Whether the cache is on another machine: then only the key of the sound is computed.
    """
    sheet = cue_sheet_of(track.path) if track.format else None
    if sheet is not None:
        parts = tuple(
            classify_section(model, track, cue.begin_s, cue.end_s) for cue in sheet.tracks
        )
        if any(part.prediction for part in parts):
            return Classified(sheet=sheet, parts=parts, duration_s=_duration_s(sheet, parts))
    if remembered_in is None or track.format is None:
        return classify_section(model, track)
    sound = packets_hash(track.path)
    if sound is None:  # its packets cannot be read: no other file has the same key
        sound = sound_of_file(track.path, track.stamp)
    elif not elsewhere:
        reader = _reader(model, remembered_in)
        known = reader.known_sound(sound) or _from_views(model, reader, sound)
        if known:
            return recalled(track, known)
    return replace(classify_section(model, track), sound=sound)


def recalled(track: Track, known: Known) -> Classified:
    """The result for a track from what a cache has of it."""
    error = NothingToHearError(known.nothing, path=track.path) if known.nothing else None
    return Classified(known.prediction, known.duration_s, error, sound=known.sound)


def _from_views(model: str, reader: Cache, sound: bytes) -> Known | None:
    """The prediction from cached features, where another model left all that this one needs."""
    views, duration_s = reader.views_of(sound)
    if not views:
        return None
    try:
        return Known(sound, classifier(model).predict(TrackFeatures.from_kept(views)), duration_s)
    except DataError:
        return None


@cache
def _reader(model: str, path: Path) -> Cache:
    return Cache(path, classifier(model).card)


def _duration_s(sheet: CueSheet, parts: tuple[Classified, ...]) -> float | None:
    last_s = parts[-1].duration_s
    return None if last_s is None else sheet.tracks[-1].begin_s + last_s


def classify_section(
    model: str, track: Track, begin_s: float = 0.0, end_s: float | None = None
) -> Classified:
    """Classify one section of a track, by default all of it, whatever a cue sheet says."""
    if track.format is None:
        return Classified(error=_unrecognised(track.path))
    try:
        sound = read_excerpts(track.path, begin_s, end_s)
        features = TrackFeatures.from_sound(sound)
        prediction = classifier(model).predict(features)
    except Exception as error:  # must not end the batch
        if isinstance(error, GtagError) and what_ran_out(error) is None:
            return Classified(error=error)
        return Classified(error=_blamed(model, track, error), traceback=traceback.format_exc())
    return Classified(prediction, sound.duration_s, kept=features.kept())


def _blamed(model: str, track: Track, error: Exception) -> GtagError:
    """An unexpected error, blamed on the machine if noise cannot be classified either."""
    lacking = what_ran_out(error)
    try:
        classifier(model).predict(TrackFeatures.from_sound(_noise()))
    except Exception as again:  # no track can be classified
        words = str(again).partition("\n")[0]
        return (
            lacking
            or what_ran_out(again)
            or ResourceError(
                f"no track can be classified: {type(again).__name__}: {words}",
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
    """The model, loaded and checked at the first call."""
    return zoo.load(model)


def _unrecognised(path: str) -> UnreadableError:
    try:
        if Path(path).stat().st_size == 0:
            return UnreadableError("empty file", path=path)
        with open(path, "rb"):
            pass
    except OSError as error:  # a broken link, no permission
        return UnreadableError.of_system(error, path)
    return UnreadableError("not a sound format that gtag supports", path=path)
