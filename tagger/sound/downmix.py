"""Mixes channels down to one: their mean, or one of them where the mean loses the sound.

Out-of-phase stereo cancels itself out, and beside an empty channel the other is half as loud.
"""

from __future__ import annotations

from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

# The mean keeps all of the louder channel's energy where both channels are equal, a half where they
# are uncorrelated, a quarter where one is silent, and nothing where they are opposite.
LEAST_KEPT = 0.3

Samples = NDArray[np.float32]


class Downmix:
    """Mixes a track down, in the same way from its start to its end.

    Parameters
    ----------
    channel : int, optional
        The one of two channels to take. By default all channels are averaged.
    """

    def __init__(self, channel: int | None = None) -> None:
        self._channel = channel
        self._energies = np.zeros(3)  # of the left channel, the right one and their mean

    def better(self) -> Downmix | None:
        """One that takes the louder channel, where this one lost most of the sound."""
        louder = int(self._energies[1] > self._energies[0])
        if self._energies[2] < LEAST_KEPT * self._energies[louder]:
            return Downmix(louder)
        return None

    def mono(self, frame: Any) -> Samples:
        """One channel of a frame: float32 [n], full scale 1."""
        channels = frame.layout.nb_channels
        if frame.format.is_planar and channels >= 8:
            # PyAV would read a ninth plane, which is not there: let ffmpeg interleave them first.
            (frame,) = av.AudioResampler(frame.format.packed).resample(frame)
        rows = frame.to_ndarray()
        if not frame.format.is_planar:
            rows = rows.reshape(-1, channels).T
        return self.of_rows(rows)

    def of_rows(self, rows: NDArray[Any]) -> Samples:
        """One channel of samples [channels, n] of any type: float32 [n], full scale 1."""
        if len(rows) != 2:
            return mean_of_channels(rows)
        if self._channel is not None:
            return mean_of_channels(rows[self._channel : self._channel + 1])
        left, right = mean_of_channels(rows[:1]), mean_of_channels(rows[1:])
        mono = left + right
        mono *= 0.5
        self._energies += [float(np.dot(y, y)) for y in (left, right, mono)]
        return mono


def mean_of_channels(rows: NDArray[Any]) -> Samples:
    """What `librosa.to_mono` makes of samples [channels, n] of any type: float32 [n]."""
    mono = rows[0].astype(np.float32)
    for row in rows[1:]:
        mono += row
    channels = len(rows)
    if rows.dtype.kind == "u":  # 8-bit, its zero is 128
        mono -= 128 * channels
        mono *= 1 / (128 * channels)
    elif rows.dtype.kind == "i":
        mono *= 1 / (2.0 ** (8 * rows.dtype.itemsize - 1) * channels)
    elif channels > 1:
        mono *= 1 / channels
    return mono
