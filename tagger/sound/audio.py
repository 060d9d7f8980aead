"""Bounded excerpts of a track: three stretches of 12 s, however long it is or claims to be.

Usually the header's length is right: seek to three places and decode there. Where the sound ends
early, the length was wrong and the places are chosen again. Where seeking fails, the packets are
counted from the start without decoding them, which gives the real length; a second pass decodes
those of the excerpts only. Silence is left out: a model would take it for a genre.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from os import PathLike

import numpy as np

from tagger.containers.ogg import ogg_links
from tagger.sound.decoder import DECODER_ERRORS, SAMPLE_RATE, SoundSource, Source, reason
from tagger.sound.downmix import Downmix, Samples
from tagger.sound.special_sources import Chain, LibsndfileSource, Opener, Section
from tagger.system.errors import NothingToHearError, UnreadableError
from tagger.system.one_thread import one_thread

EXCERPT_S = 12.0
PLACES = (1 / 6, 1 / 2, 5 / 6)  # of the track: where the excerpts' middles lie
WHOLE_BELOW_S = len(PLACES) * EXCERPT_S  # shorter tracks are decoded whole
EDGE = 1024  # more samples decoded at each edge of an excerpt, so that no padding is needed
MIN_SOUND_S = 1.0
SILENCE = 10 ** (-70 / 20)  # peak
PAUSE_S = 2.0  # silence of this length is cut out
# Where to look next, in this order, for each excerpt that is silent: finds sound that lasts for a
# twelfth of the track's length, and its beginning and end.
FURTHER_PLACES = (*(n / 24 for n in (1, 23, 7, 17, 3, 21, 9, 15, 5, 19, 11, 13)), 0.0, 1.0)

_EXCERPT = round(EXCERPT_S * SAMPLE_RATE)
_WHOLE = round(WHOLE_BELOW_S * SAMPLE_RATE)
_WINDOW = round(0.1 * SAMPLE_RATE)  # whose peak decides whether it is silent
_PAUSE = round(PAUSE_S / 0.1)  # windows
_LATE_S = 1.0  # a seek that lands further behind its target has failed
_HINT = "see whether a player can play it"


@dataclass(frozen=True)
class Excerpt:
    """A stretch of a track.

    Attributes
    ----------
    samples : float32 [edge_before + n + edge_after]
        Mono at `SAMPLE_RATE` as decoded, full scale 1.
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
    """What was decoded of a track: its excerpts in order, and its length where known."""

    excerpts: tuple[Excerpt, ...]
    duration_s: float | None


@one_thread()
def read_excerpts(
    path: str | PathLike[str],
    begin_s: float = 0.0,
    end_s: float | None = None,
    *,
    hashed: Source | None = None,
) -> Sound:
    """Decode three excerpts of 12 s around 1/6, 1/2 and 5/6 of a track.

    A track under 36 s comes as one excerpt, whole and without edges. From a damaged one come as
    many excerpts, and as much of them, as can be decoded. Silence of 2 s and more is cut out, and
    for an excerpt that is silent another one is looked for, at up to 14 further places.

    Parameters
    ----------
    begin_s, end_s : float
        Where the track begins and ends in the file. Its excerpts' times count from there.
    hashed : Source, optional
        The file, open after `packets_hash`: it is used once and closed, where that is as good.

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

    again = [] if hashed is None else [hashed]

    def opened(downmix: Downmix) -> SoundSource:
        if links:
            return Chain(name, downmix, links)
        return again.pop() if again and again[0].rewind(downmix) else Source(name, downmix)

    try:
        links = ogg_links(name)
        sound = read(opened)
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
    sound = _read_with(downmix, path, opened)
    better = downmix.better()
    return sound if better is None else _read_with(better, path, opened)


def _read_with(downmix: Downmix, path: str, opened: Opener) -> Sound:
    with opened(downmix) as source:
        if source.claimed_s is not None and source.claimed_s < WHOLE_BELOW_S:
            sound = _whole(source, path)
        else:
            sound = _by_seeking(source)
    if sound is None:
        with opened(downmix) as source:
            sound = _whole(source, path)
    if sound is None:
        # Seeking fails, or the length is wrong: count.
        with opened(downmix) as source:
            duration_s = max(source.count_s() or 0.0, WHOLE_BELOW_S)
        with opened(downmix) as source:
            excerpts = list(_excerpts(source, _starts(duration_s, PLACES)))
        _refuse_too_short(excerpts, path)
        with opened(downmix) as source:
            further_starts = _apart(_starts(duration_s, FURTHER_PLACES))
            found = _without_silence(source, excerpts, further_starts)
            sound = Sound(found, duration_s)
    return sound


def _refuse_too_short(excerpts: list[Excerpt], path: str) -> None:
    n = sum(len(excerpt.samples) for excerpt in excerpts)
    if n < MIN_SOUND_S * SAMPLE_RATE:
        raise NothingToHearError(f"only {n / SAMPLE_RATE:.2f} s of sound", path=path)


def _whole(source: SoundSource, path: str) -> Sound | None:
    """Return the whole of a short track; None: it is longer."""
    _, samples = source.read(0.0, _WHOLE)
    if len(samples) == 0 and (source.bad_packets or (source.claimed_s or 0.0) >= MIN_SOUND_S):
        raise UnreadableError("no sound in it can be decoded", path=path, hint=_HINT)
    if source.end_s is None:
        return None
    excerpt = Excerpt(samples, 0.0)
    _refuse_too_short([excerpt], path)
    return Sound(_sounding(excerpt), source.end_s)


def _by_seeking(source: SoundSource) -> Sound | None:
    """Three whole excerpts; None: the track is short, or seeking does not lead to them."""
    duration_s = source.claimed_s
    for _ in range(3):
        if duration_s is None or duration_s < WHOLE_BELOW_S:
            return None
        source.end_s = None
        excerpts: list[Excerpt] = []
        for start_s in reversed(_starts(duration_s, PLACES)):  # the last proves the length
            if not source.seek(start_s - EDGE / SAMPLE_RATE):
                return None
            excerpt = _excerpt(source, start_s)
            if excerpt is None or len(excerpt.samples) < excerpt.edge_before + _EXCERPT:
                break
            excerpts.append(excerpt)
        else:
            further_starts = _starts(duration_s, FURTHER_PLACES)
            found = _without_silence(source, excerpts, further_starts, seek=True)
            return Sound(found, duration_s)
        duration_s = source.end_s  # known, if the excerpt ran into it
    return None


def _excerpts(
    source: SoundSource, starts: Iterable[float], *, seek: bool = False
) -> Iterator[Excerpt]:
    """Yield the excerpts at these places that exist; without seeking they must be in ascending
    order.
    """
    for start_s in starts:
        if seek and not source.seek(start_s - EDGE / SAMPLE_RATE):
            continue
        if (excerpt := _excerpt(source, start_s)) is not None:
            yield excerpt


def _starts(duration_s: float, places: Iterable[float]) -> list[float]:
    """Return where excerpts start whose middles are at these places of a track, within it."""
    last_s = duration_s - EXCERPT_S
    return [min(max(0.0, duration_s * place - EXCERPT_S / 2), last_s) for place in places]


def _apart(starts: Iterable[float]) -> Iterator[float]:
    """Return those of these places, in ascending order, that do not overlap."""
    end_s = 0.0
    for start_s in sorted(starts):
        if start_s >= end_s:
            yield start_s
            end_s = start_s + EXCERPT_S + _LATE_S


def _without_silence(
    source: SoundSource,
    excerpts: list[Excerpt],
    further_starts: Iterable[float],
    *,
    seek: bool = False,
) -> tuple[Excerpt, ...]:
    """Cut out silence, and take another place for each excerpt that is silent."""
    found = {e.start_s: pieces for e in excerpts if (pieces := _sounding(e))}
    # `found` grows while this is read.
    free = (s for s in further_starts if all(abs(s - other) >= EXCERPT_S for other in found))
    further = _excerpts(source, free, seek=seek)
    while len(found) < len(excerpts) and (excerpt := next(further, None)) is not None:
        if pieces := _sounding(excerpt):
            found[excerpt.start_s] = pieces
    return tuple(piece for start_s in sorted(found) for piece in found[start_s])


def _sounding(excerpt: Excerpt) -> tuple[Excerpt, ...]:
    """Return the parts of an excerpt between its pauses: itself where it has none."""
    samples = excerpt.samples
    if len(samples) == 0:
        return ()
    peaks = np.maximum.reduceat(np.abs(samples), np.arange(0, len(samples), _WINDOW))
    loud = np.flatnonzero(peaks >= SILENCE)
    if len(loud) == 0:
        return ()
    stretches = np.split(loud, np.flatnonzero(np.diff(loud) > _PAUSE) + 1)
    # Where the pause at an end is short, that end stays.
    begin = 0 if loud[0] < _PAUSE else loud[0]
    end = len(peaks) if len(peaks) - 1 - loud[-1] < _PAUSE else loud[-1] + 1
    starts = [begin, *(stretch[0] for stretch in stretches[1:])]
    ends = [*(stretch[-1] + 1 for stretch in stretches[:-1]), end]
    if (starts, ends) == ([0], [len(peaks)]):
        return (excerpt,)
    pieces = (_piece(excerpt, a * _WINDOW, b * _WINDOW) for a, b in zip(starts, ends, strict=True))
    return tuple(piece for piece in pieces if piece is not None)


def _piece(excerpt: Excerpt, first: int, last: int) -> Excerpt | None:
    """Cut samples `first` to `last` of an excerpt, with their edges; None: too few."""
    inner_end = len(excerpt.samples) - excerpt.edge_after
    first, last = max(first, excerpt.edge_before), min(last, inner_end)
    if last - first < MIN_SOUND_S * SAMPLE_RATE:
        return None
    before, after = min(EDGE, first), min(EDGE, len(excerpt.samples) - last)
    start_s = excerpt.start_s + (first - excerpt.edge_before) / SAMPLE_RATE
    return Excerpt(excerpt.samples[first - before : last + after], start_s, before, after)


def _excerpt(source: SoundSource, start_s: float) -> Excerpt | None:
    """Return the excerpt at `start_s`, shorter where the sound ends; None: no sound there."""
    begin_s = max(0.0, start_s - EDGE / SAMPLE_RATE)
    before = round((start_s - begin_s) * SAMPLE_RATE)
    found_s, samples = source.read(begin_s, before + _EXCERPT + EDGE)
    if len(samples) == 0 or found_s > start_s + _LATE_S:
        return None
    before = max(0, round((start_s - found_s) * SAMPLE_RATE))
    after = max(0, len(samples) - before - _EXCERPT)
    return Excerpt(samples, max(start_s, found_s), before, after)
