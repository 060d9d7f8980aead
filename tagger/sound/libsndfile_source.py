"""An Ogg file read by libsndfile, with the interface of `decoder.Source`: where ffmpeg refuses it.

ffmpeg requires headers of exactly the standard's length; libvorbis, which libsndfile and most
players use, does not.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tagger.sound.decoder import SAMPLE_RATE
from tagger.sound.downmix import Downmix, Samples
from tagger.sound.ogg_links import MAGIC

MAX_CHANNELS = 8  # defined by Vorbis
RATES = range(1000, 192_001)  # Hz
_MARGIN_S = 0.05  # more than half of the resampler's filter, at each end of what is read


class LibsndfileSource:
    """The sound of one open file.

    Parameters
    ----------
    path : str
    downmix : Downmix, optional
        How its channels become one; it learns what becomes of them.

    Attributes
    ----------
    claimed_s : float or None
        Length by the last page.
    end_s : float or None
        Where the sound was found to end, once a `read` has come there.
    bad_packets : int
        libsndfile does not count them: 0.

    Raises
    ------
    ValueError
        libsndfile cannot read it either.
    OSError
    """

    def __init__(self, path: str, downmix: Downmix | None = None) -> None:
        self._downmix = downmix or Downmix()
        self._file = open(path, "rb")  # noqa: SIM115 - until `close`
        try:
            self._sound = self._opened()
        except BaseException:
            self._file.close()
            raise
        self._rate = self._sound.samplerate
        self.claimed_s: float | None = self._sound.frames / self._rate or None
        self.end_s: float | None = None
        self.bad_packets = 0

    def _opened(self) -> Any:
        if self._file.read(len(MAGIC)) != MAGIC:
            raise ValueError("no Ogg file")
        import soundfile

        self._file.seek(0)
        try:
            sound = soundfile.SoundFile(self._file)
        except soundfile.LibsndfileError as error:
            raise ValueError(str(error)) from error
        # One read allocates for all channels at this rate.
        if sound.channels > MAX_CHANNELS or sound.samplerate not in RATES:
            raise ValueError(f"claims {sound.channels} channels at {sound.samplerate} Hz")
        return sound

    def close(self) -> None:
        self._sound.close()
        self._file.close()

    def seek(self, seconds: float) -> bool:
        """Whether the file has such a place; `read` goes there itself."""
        return self.claimed_s is not None and seconds < self.claimed_s

    def count_s(self) -> float | None:
        """The length by the last page."""
        return self.claimed_s

    def read(self, begin_s: float, n: int) -> tuple[float, Samples]:
        """Decode from `begin_s` on.

        Returns
        -------
        float
            `begin_s`.
        float32 [<= n]
            Fewer than n where the sound ends.

        Raises
        ------
        ValueError
            Where it is damaged.
        """
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
