"""Bounded excerpts of a track: three stretches of 12 s, however long it is or claims to be.

The usual way: believe the length that the header claims, seek to three places, decode there.
Where that comes out short, the claim was wrong and the places are chosen again. Where seeking
fails, the packets are counted from the start without decoding them, to know the real length;
a second pass decodes those of the excerpts only. It must not know of spectrograms, models, tags.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from os import PathLike

import numpy as np

from tagger.decoder import DECODER_ERRORS, SAMPLE_RATE, Samples, Source, reason
from tagger.errors import NothingToHearError, UnreadableError

EXCERPT_S = 12.0
PLACES = (1 / 6, 1 / 2, 5 / 6)  # of the track: where the excerpts' middles lie
WHOLE_BELOW_S = len(PLACES) * EXCERPT_S  # shorter tracks are heard whole
EDGE = 1024  # samples decoded more at each edge of an excerpt, so that no padding shows
MIN_SOUND_S = 1.0
SILENCE = 10 ** (-70 / 20)  # peak

_EXCERPT = round(EXCERPT_S * SAMPLE_RATE)
_WHOLE = round(WHOLE_BELOW_S * SAMPLE_RATE)
_LATE_S = 1.0  # a seek that lands further behind its target has failed
_HINT = "see whether a player can play it"


@dataclass(frozen=True)
class Excerpt:
    """A stretch of a track.

    Attributes
    ----------
    samples : float32 [edge_before + n + edge_after]
        Mono at `SAMPLE_RATE`, full scale 1.
    start_s : float
        Where the excerpt proper, after the edge, starts in the track.
    edge_before, edge_after : int
        Samples of real sound around the excerpt proper, 0 to `EDGE`.
    """

    samples: Samples
    start_s: float
    edge_before: int = 0
    edge_after: int = 0


@dataclass(frozen=True)
class Sound:
    """What was heard of a track: its excerpts in order, and its length where known."""

    excerpts: tuple[Excerpt, ...]
    duration_s: float | None


def read_excerpts(path: str | PathLike[str]) -> Sound:
    """Decode three excerpts of 12 s around 1/6, 1/2 and 5/6 of a track.

    A track under 36 s comes as one excerpt, whole and without edges. From a damaged one come as
    many excerpts, and as much of them, as can be decoded.

    Raises
    ------
    UnreadableError
        When nothing can be decoded.
    NothingToHearError
        When there is less than 1 s of sound, or only silence (below -70 dBFS).
    """
    try:
        status = os.stat(path)  # noqa: PTH116 - the name may be bytes in disguise
    except OSError as error:
        raise UnreadableError(error.strerror or str(error), path=path) from error
    if not stat.S_ISREG(status.st_mode):
        raise UnreadableError("is no regular file", path=path)
    if status.st_size == 0:
        raise UnreadableError("the file is empty", path=path)
    try:
        sound = _read(os.fspath(path))
    except DECODER_ERRORS as error:
        raise UnreadableError(reason(error), path=path, hint=_HINT) from error
    heard = sum(len(excerpt.samples) for excerpt in sound.excerpts)
    if heard < MIN_SOUND_S * SAMPLE_RATE:
        raise NothingToHearError(f"only {heard / SAMPLE_RATE:.2f} s of sound", path=path)
    if max(float(np.abs(excerpt.samples).max()) for excerpt in sound.excerpts) < SILENCE:
        raise NothingToHearError("silent", path=path)
    return sound


def _read(path: str) -> Sound:
    with Source(path) as source:
        if source.claimed_s is not None and source.claimed_s < WHOLE_BELOW_S:
            sound = _whole(source, path)
        else:
            sound = _by_seeking(source)
    if sound is None:
        with Source(path) as source:
            sound = _whole(source, path)
    if sound is None:
        # No use seeking, or the length is a lie: count.
        with Source(path) as source:
            duration_s = source.count_s()
        with Source(path) as source:
            sound = _in_passing(source, duration_s or WHOLE_BELOW_S)
    return sound


def _whole(source: Source, path: str) -> Sound | None:
    """The whole of a short track; None: it is longer."""
    _, samples = source.read(0.0, _WHOLE)
    if len(samples) == 0 and (source.bad_packets or (source.claimed_s or 0.0) >= MIN_SOUND_S):
        raise UnreadableError("no sound in it can be decoded", path=path, hint=_HINT)
    return None if source.end_s is None else Sound((Excerpt(samples, 0.0),), source.end_s)


def _by_seeking(source: Source) -> Sound | None:
    """Three whole excerpts, or None: the track is short, or they are not where they should be."""
    duration_s = source.claimed_s
    for _ in range(3):
        if duration_s is None or duration_s < WHOLE_BELOW_S:
            return None
        source.end_s = None
        excerpts: list[Excerpt] = []
        for start_s in reversed(_starts(duration_s)):  # the last shows whether the length is true
            if not source.seek(start_s - EDGE / SAMPLE_RATE):
                return None
            excerpt = _excerpt(source, start_s)
            if excerpt is None or len(excerpt.samples) < excerpt.edge_before + _EXCERPT:
                break
            excerpts.append(excerpt)
        else:
            return Sound(tuple(reversed(excerpts)), duration_s)
        duration_s = source.end_s  # known, if the excerpt ran into it
    return None


def _in_passing(source: Source, duration_s: float) -> Sound:
    """As many excerpts as there are, each as much as there is of it."""
    excerpts = [_excerpt(source, start_s) for start_s in _starts(max(duration_s, WHOLE_BELOW_S))]
    return Sound(tuple(excerpt for excerpt in excerpts if excerpt is not None), duration_s)


def _starts(duration_s: float) -> list[float]:
    return [duration_s * place - EXCERPT_S / 2 for place in PLACES]


def _excerpt(source: Source, start_s: float) -> Excerpt | None:
    """The excerpt at `start_s`, shorter where the sound ends; None: no sound there."""
    begin_s = max(0.0, start_s - EDGE / SAMPLE_RATE)
    before = round((start_s - begin_s) * SAMPLE_RATE)
    found_s, samples = source.read(begin_s, before + _EXCERPT + EDGE)
    if len(samples) == 0 or found_s > start_s + _LATE_S:
        return None
    before = max(0, round((start_s - found_s) * SAMPLE_RATE))
    after = max(0, len(samples) - before - _EXCERPT)
    return Excerpt(samples, max(start_s, found_s), before, after)
