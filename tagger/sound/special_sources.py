"""Sources that are no plain file (`decoder`): a section of one, chained Ogg, Ogg by libsndfile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tagger.containers.ogg import MAGIC
from tagger.sound.decoder import DECODER_ERRORS, SAMPLE_RATE, SoundSource, Source
from tagger.sound.downmix import Downmix, Samples
from tagger.system.errors import UnreadableError
from tagger.system.exhausted import what_ran_out

Opener = Callable[[Downmix], SoundSource]

_VORBIS_CHANNELS = 8  # that Vorbis gives a meaning
_RATES = range(1000, 192_001)  # Hz
_MARGIN_S = 0.05  # more than half of the resampler's filter, at each end of what is read


class Section(SoundSource):
    """A stretch of a source; its times count from `begin_s`.

    Parameters
    ----------
    opened : callable
        Opens the source.
    begin_s, end_s : float
        In the source; None: to its end.
    """

    def __init__(
        self, opened: Opener, downmix: Downmix, begin_s: float, end_s: float | None
    ) -> None:
        self._begin_s = begin_s
        self._length_s = None if end_s is None else max(0.0, end_s - begin_s)
        self._source = opened(downmix)
        if not self._source.seek(begin_s):
            self._source.close()
            self._source = opened(downmix)  # it reads from the beginning up to there
        self.claimed_s = self._within(self._source.claimed_s)

    def _within(self, source_s: float | None) -> float | None:
        """Turn a time of the source into one of this section, at most its length."""
        if source_s is None:
            return self._length_s
        section_s = max(0.0, source_s - self._begin_s)
        return section_s if self._length_s is None else min(section_s, self._length_s)

    @property
    def bad_packets(self) -> int:
        return self._source.bad_packets

    def close(self) -> None:
        self._source.close()

    def seek(self, seconds: float) -> bool:
        return self._source.seek(self._begin_s + max(0.0, seconds))

    def count_s(self) -> float | None:
        return self._within(self._source.count_s())

    def read(self, begin_s: float, n: int) -> tuple[float, Samples]:
        room = n
        if self._length_s is not None:
            room = max(0, min(n, round((self._length_s - begin_s) * SAMPLE_RATE)))
        self._source.end_s = None
        found_s, samples = self._source.read(self._begin_s + begin_s, room)
        if self._source.end_s is not None:
            self.end_s = self._within(self._source.end_s)
        elif room < n:
            self.end_s = self._length_s
        return found_s - self._begin_s, samples


class Chain(SoundSource):
    """The links of a file, one after the other. Those that cannot be opened are skipped.

    Parameters
    ----------
    links : sequence of (int, int)
        Byte ranges [start, end).

    Raises
    ------
    UnreadableError
        None of them can be opened.
    """

    def __init__(self, path: str, downmix: Downmix, links: Sequence[tuple[int, int]]) -> None:
        self._path, self._downmix = path, downmix
        self._links: list[tuple[int, int]] = []
        self._starts_s = [0.0]  # of each link, and the end of the last
        for link in links:
            try:
                with Source(path, within=link) as source:
                    length_s = source.claimed_s or source.count_s()
            except (*DECODER_ERRORS, UnreadableError) as error:
                if what_ran_out(error):
                    raise
                continue
            if length_s:
                self._links.append(link)
                self._starts_s.append(self._starts_s[-1] + length_s)
        if not self._links:
            raise UnreadableError("no sound in it can be decoded", path=path)
        self.claimed_s = self._starts_s[-1]
        self._bad_before = 0
        self._at, self._source = 0, self._opened(0)

    def _opened(self, i: int) -> Source:
        return Source(self._path, self._downmix, within=self._links[i])

    def _go_to(self, i: int) -> None:
        self._bad_before += self._source.bad_packets
        self._source.close()
        self._at, self._source = i, self._opened(i)

    @property
    def bad_packets(self) -> int:
        return self._bad_before + self._source.bad_packets

    def close(self) -> None:
        self._source.close()

    def _link_of(self, seconds: float) -> int:
        i = int(np.searchsorted(self._starts_s, seconds, side="right")) - 1
        return min(max(0, i), len(self._links) - 1)

    def seek(self, seconds: float) -> bool:
        i = self._link_of(seconds)
        self._go_to(i)
        return self._source.seek(seconds - self._starts_s[i])

    def read(self, begin_s: float, n: int) -> tuple[float, Samples]:
        wanted = max(self._at, self._link_of(begin_s))
        if wanted != self._at:
            self._go_to(wanted)
        start_s = self._starts_s[self._at]
        found_s, samples = self._source.read(max(0.0, begin_s - start_s), n)
        found_s += start_s
        pieces, count = [samples], len(samples)
        while count < n and self._source.end_s is not None:
            if self._at == len(self._links) - 1:
                self.end_s = self._starts_s[self._at] + self._source.end_s
                break
            self._go_to(self._at + 1)
            later_s, samples = self._source.read(0.0, n - count)
            if not count:
                found_s = self._starts_s[self._at] + later_s
            pieces.append(samples)
            count += len(samples)
        return found_s, np.concatenate(pieces)


class LibsndfileSource(SoundSource):
    """An Ogg file that ffmpeg refuses; libsndfile does not count bad packets.

    ffmpeg wants headers of exactly the standard's length; libvorbis, which libsndfile uses, accepts
    longer ones, as do most players.

    Raises
    ------
    ValueError
        libsndfile cannot read it either.
    OSError
    """

    def __init__(self, path: str, downmix: Downmix) -> None:
        self._downmix = downmix
        self._file = open(path, "rb")  # noqa: SIM115 - until `close`
        try:
            self._sound = self._opened()
        except BaseException:
            self._file.close()
            raise
        self._rate = self._sound.samplerate
        self.claimed_s = self._sound.frames / self._rate or None  # by the last page

    def _opened(self) -> Any:
        if self._file.read(len(MAGIC)) != MAGIC:
            raise ValueError("no Ogg file")
        import soundfile

        self._file.seek(0)
        try:
            sound = soundfile.SoundFile(self._file)
        except soundfile.LibsndfileError as error:
            raise ValueError(str(error)) from error
        # What is read at once is allocated at once.
        if sound.channels > _VORBIS_CHANNELS or sound.samplerate not in _RATES:
            raise ValueError(f"claims {sound.channels} channels at {sound.samplerate} Hz")
        return sound

    def close(self) -> None:
        self._sound.close()
        self._file.close()

    def seek(self, seconds: float) -> bool:
        # `read` goes there itself.
        return self.claimed_s is not None and seconds < self.claimed_s

    def read(self, begin_s: float, n: int) -> tuple[float, Samples]:
        import soundfile
        import soxr

        first = max(0, round((begin_s - _MARGIN_S) * self._rate))
        wanted_s = begin_s - first / self._rate + n / SAMPLE_RATE + _MARGIN_S
        try:
            self._sound.seek(first)
            rows: Any = self._sound.read(
                round(wanted_s * self._rate), dtype="float32", always_2d=True
            )
        except soundfile.LibsndfileError as error:
            raise ValueError(str(error)) from error
        mono = self._downmix.of_rows(np.nan_to_num(rows.T, posinf=0.0, neginf=0.0))
        if len(mono) < round(wanted_s * self._rate):
            self.end_s = (first + len(mono)) / self._rate
        samples = soxr.resample(mono, self._rate, SAMPLE_RATE)
        skip = round((begin_s - first / self._rate) * SAMPLE_RATE)
        return begin_s, np.ascontiguousarray(samples[skip : skip + n], dtype=np.float32)
