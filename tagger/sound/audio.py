"""Bounded excerpts of a track: three of 12 s, however long it is or claims to be.

Usually: seek to three places by the length in the header, and decode there. Where that comes out
short, the length was wrong and the places are chosen again. Where seeking fails, the packets are
counted from the start without decoding them, which gives the real length; a second pass decodes
those of the excerpts only. Silence is left out: a model would predict a genre for it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from os import PathLike

import numpy as np

from tagger.errors import NothingToHearError, UnreadableError
from tagger.one_thread import one_thread
from tagger.sound.decoder import DECODER_ERRORS, SAMPLE_RATE, Source, reason
from tagger.sound.downmix import Downmix, Samples
from tagger.sound.libsndfile_source import LibsndfileSource
from tagger.sound.ogg_links import ogg_links
from tagger.sound.sources import Chain, Opener, Section, SoundSource

EXCERPT_S = 12.0
PLACES = (1 / 6, 1 / 2, 5 / 6)  # of the track: where the excerpts' middles lie
WHOLE_BELOW_S = len(PLACES) * EXCERPT_S  # shorter tracks are decoded whole
EDGE = 1024  # samples decoded more at each edge of an excerpt, so that no padding shows
MIN_SOUND_S = 1.0
SILENCE = 10 ** (-70 / 20)  # peak
PAUSE_S = 2.0  # silence of this length is cut out
# Further places for excerpts that are silent, in this order. They find whatever sounds for a
# twelfth of the track's length, and its beginning and end.
FURTHER_PLACES = (*(n / 24 for n in (1, 23, 7, 17, 3, 21, 9, 15, 5, 19, 11, 13)), 0.0, 1.0)

_EXCERPT = round(EXCERPT_S * SAMPLE_RATE)
_WHOLE = round(WHOLE_BELOW_S * SAMPLE_RATE)
_WINDOW = round(0.1 * SAMPLE_RATE)  # in which silence is detected
_PAUSE = round(PAUSE_S / 0.1)  # windows
_LATE_S = 1.0  # a seek that lands further behind its target has failed
_HINT = "see whether a player can play it"


@dataclass(frozen=True)
class Excerpt:
    """A section of a track.

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
    """The excerpts of a track in order, and its length where known."""

    excerpts: tuple[Excerpt, ...]
    duration_s: float | None


@one_thread()
def read_excerpts(
    path: str | PathLike[str], begin_s: float = 0.0, end_s: float | None = None
) -> Sound:
    """Decode three excerpts of 12 s around 1/6, 1/2 and 5/6 of a track.

    A track under 36 s comes as one excerpt, whole and without edges. From a damaged one come as
    many excerpts, and as much of them, as can be decoded. Silence of 2 s and more is cut out, and
    for an excerpt that is silent another one is looked for, at up to 14 further places.

    Parameters
    ----------
    path : path-like
    begin_s, end_s : float
        Where the track begins and ends in the file. Its excerpts' times count from there.

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
        raise UnreadableError("is not a regular file", path=path)
    if status.st_size == 0:
        raise UnreadableError("the file is empty", path=path)
    whole = (begin_s, end_s) == (0.0, None)
    name = os.fspath(path)

    def read(opened: Opener) -> Sound:
        if whole:
            return _read(name, opened)
        return _read(name, lambda downmix: Section(opened, downmix, begin_s, end_s))

    try:
        links = ogg_links(name)
        sound = read(
            lambda downmix: Chain(name, downmix, links) if links else Source(name, downmix)
        )
    except DECODER_ERRORS as error:
        try:
            sound = read(partial(LibsndfileSource, name))
        except DECODER_ERRORS:
            raise UnreadableError(reason(error), path=path, hint=_HINT) from error
    if not sound.excerpts:
        raise NothingToHearError("silent", path=path)
    return sound


def _read(path: str, opened: Opener) -> Sound:
    downmix = Downmix()
    sound = _decoded(path, opened, downmix)
    better = downmix.better()
    return sound if better is None else _decoded(path, opened, better)


def _decoded(path: str, opened: Opener, downmix: Downmix) -> Sound:
    with closing(opened(downmix)) as source:
        if source.claimed_s is not None and source.claimed_s < WHOLE_BELOW_S:
            sound = _whole(source, path)
        else:
            sound = _by_seeking(source)
    if sound is None:
        with closing(opened(downmix)) as source:
            sound = _whole(source, path)
    if sound is None:
        # Seeking fails, or the claimed length is wrong: count.
        with closing(opened(downmix)) as source:
            duration_s = max(source.count_s() or 0.0, WHOLE_BELOW_S)
        with closing(opened(downmix)) as source:
            excerpts = list(_in_passing(source, _starts(duration_s)))
        _refuse_too_short(excerpts, path)
        with closing(opened(downmix)) as source:
            further_starts = _apart(_further_starts(duration_s))
            sounding = _what_sounds(excerpts, further_starts, partial(_in_passing, source))
            sound = Sound(sounding, duration_s)
    return sound


def _refuse_too_short(excerpts: list[Excerpt], path: str) -> None:
    n = sum(len(excerpt.samples) for excerpt in excerpts)
    if n < MIN_SOUND_S * SAMPLE_RATE:
        raise NothingToHearError(f"only {n / SAMPLE_RATE:.2f} s of sound", path=path)


def _whole(source: SoundSource, path: str) -> Sound | None:
    """All of a short track; None where it is longer."""
    _, samples = source.read(0.0, _WHOLE)
    if len(samples) == 0 and (source.bad_packets or (source.claimed_s or 0.0) >= MIN_SOUND_S):
        raise UnreadableError("no sound in it can be decoded", path=path, hint=_HINT)
    if source.end_s is None:
        return None
    excerpt = Excerpt(samples, 0.0)
    _refuse_too_short([excerpt], path)
    return Sound(_sounding(excerpt), source.end_s)


def _by_seeking(source: SoundSource) -> Sound | None:
    """Three whole excerpts; None where the track is short, or seeking does not find them."""
    duration_s = source.claimed_s
    for _ in range(3):
        if duration_s is None or duration_s < WHOLE_BELOW_S:
            return None
        source.end_s = None
        excerpts: list[Excerpt] = []
        for start_s in reversed(
            _starts(duration_s)
        ):  # the last one shows whether the length is right
            if not source.seek(start_s - EDGE / SAMPLE_RATE):
                return None
            excerpt = _excerpt(source, start_s)
            if excerpt is None or len(excerpt.samples) < excerpt.edge_before + _EXCERPT:
                break
            excerpts.append(excerpt)
        else:
            further_starts = _further_starts(duration_s)
            sounding = _what_sounds(excerpts, further_starts, partial(_sought, source))
            return Sound(sounding, duration_s)
        duration_s = source.end_s  # known, if the excerpt ran into it
    return None


def _sought(source: SoundSource, starts: Iterable[float]) -> Iterator[Excerpt]:
    """The excerpts at these places, where seeking finds them."""
    for start_s in starts:
        if source.seek(start_s - EDGE / SAMPLE_RATE):
            excerpt = _excerpt(source, start_s)
            if excerpt is not None:
                yield excerpt


def _in_passing(source: SoundSource, starts: Iterable[float]) -> Iterator[Excerpt]:
    """The excerpts at these ascending places, read without seeking, as far as there is sound."""
    return (e for start_s in starts if (e := _excerpt(source, start_s)) is not None)


def _starts(duration_s: float) -> list[float]:
    return [duration_s * place - EXCERPT_S / 2 for place in PLACES]


def _further_starts(duration_s: float) -> list[float]:
    """Where further excerpts start, in the order of `FURTHER_PLACES`."""
    last_s = duration_s - EXCERPT_S
    starts = [duration_s * place - EXCERPT_S / 2 for place in FURTHER_PLACES]
    return [min(max(0.0, start_s), last_s) for start_s in starts]


def _apart(starts: Iterable[float]) -> Iterator[float]:
    """Of these places, in ascending order, those that do not overlap."""
    end_s = 0.0
    for start_s in sorted(starts):
        if start_s >= end_s:
            yield start_s
            end_s = start_s + EXCERPT_S + _LATE_S


def _what_sounds(
    excerpts: list[Excerpt],
    further_starts: Iterable[float],
    read: Callable[[Iterable[float]], Iterator[Excerpt]],
) -> tuple[Excerpt, ...]:
    """These excerpts without silence, and one further excerpt for each that is silent."""
    sounding = {e.start_s: pieces for e in excerpts if (pieces := _sounding(e))}
    # `sounding` grows while this is read.
    free = (s for s in further_starts if all(abs(s - other) >= EXCERPT_S for other in sounding))
    further = read(free)
    while len(sounding) < len(excerpts) and (excerpt := next(further, None)) is not None:
        if pieces := _sounding(excerpt):
            sounding[excerpt.start_s] = pieces
    return tuple(piece for start_s in sorted(sounding) for piece in sounding[start_s])


def _sounding(excerpt: Excerpt) -> tuple[Excerpt, ...]:
    """An excerpt without its pauses of `PAUSE_S` and more, cut into one piece between them each."""
    samples = excerpt.samples
    if len(samples) == 0:
        return ()
    peaks = np.maximum.reduceat(np.abs(samples), np.arange(0, len(samples), _WINDOW))
    loud = np.flatnonzero(peaks >= SILENCE)
    if len(loud) == 0:
        return ()
    stretches = np.split(loud, np.flatnonzero(np.diff(loud) > _PAUSE) + 1)
    # A short pause at an end stays.
    begin = 0 if loud[0] < _PAUSE else loud[0]
    end = len(peaks) if len(peaks) - 1 - loud[-1] < _PAUSE else loud[-1] + 1
    starts = [begin, *(stretch[0] for stretch in stretches[1:])]
    ends = [*(stretch[-1] + 1 for stretch in stretches[:-1]), end]
    if (starts, ends) == ([0], [len(peaks)]):
        return (excerpt,)
    pieces = (_piece(excerpt, a * _WINDOW, b * _WINDOW) for a, b in zip(starts, ends, strict=True))
    return tuple(piece for piece in pieces if piece is not None)


def _piece(excerpt: Excerpt, first: int, last: int) -> Excerpt | None:
    """Samples `first` to `last` of an excerpt, with their edges; None where they are too few."""
    inner_end = len(excerpt.samples) - excerpt.edge_after
    first, last = max(first, excerpt.edge_before), min(last, inner_end)
    if last - first < MIN_SOUND_S * SAMPLE_RATE:
        return None
    before, after = min(EDGE, first), min(EDGE, len(excerpt.samples) - last)
    start_s = excerpt.start_s + (first - excerpt.edge_before) / SAMPLE_RATE
    return Excerpt(excerpt.samples[first - before : last + after], start_s, before, after)


def _excerpt(source: SoundSource, start_s: float) -> Excerpt | None:
    """The excerpt at `start_s`, shorter where the sound ends; None where there is none."""
    begin_s = max(0.0, start_s - EDGE / SAMPLE_RATE)
    before = round((start_s - begin_s) * SAMPLE_RATE)
    found_s, samples = source.read(begin_s, before + _EXCERPT + EDGE)
    if len(samples) == 0 or found_s > start_s + _LATE_S:
        return None
    before = max(0, round((start_s - found_s) * SAMPLE_RATE))
    after = max(0, len(samples) - before - _EXCERPT)
    return Excerpt(samples, max(start_s, found_s), before, after)
