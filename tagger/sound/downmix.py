"""Mixes channels down to one: their mean, or one of them where the mean loses the sound.

Out-of-phase channels cancel each other out, and beside an empty channel the other is half as loud.
"""

from __future__ import annotations

from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

# The mean keeps all of the louder channel's energy where both channels are equal, a half where they
# are uncorrelated, a quarter where one is silent, and nothing where they are opposite.
LEAST_KEPT = 0.3
# Of more than two channels, in which some are often silent: the least energy of the sum, as a share
# of what uncorrelated channels would have.
LEAST_OF_SUM = 0.3
_LFE, _WITH_LFE = 3, 6  # the fourth channel of 5.1 and 7.1 has the bass alone

FLOAT_PLANES = "fltp"  # what most decoders give

Samples = NDArray[np.float32]
Rows = NDArray[Any] | list[Samples]  # of channels


class Downmix:
    """Mixes a track down, in the same way from its start to its end.

    Parameters
    ----------
    channel : int, optional
        The one of several to take. By default all channels are averaged.
    """

    def __init__(self, channel: int | None = None) -> None:
        self._channel = channel
        # By the number of channels: the energy of each, and of their mean.
        self._energies: dict[int, np.ndarray] = {}

    def better(self) -> Downmix | None:
        """Return a downmix that takes the louder channel, where this one lost most of the sound."""
        if not self._energies:
            return None
        channels, energies = max(self._energies.items(), key=lambda item: item[1].sum())
        each, mean = energies[:-1], energies[-1]
        heard = each.copy()
        if channels >= _WITH_LFE:
            heard[_LFE] = 0.0
        louder = int(heard.argmax())
        if channels == 2:
            lost = mean < LEAST_KEPT * each[louder]
        else:
            lost = channels**2 * mean < LEAST_OF_SUM * each.sum() and heard[louder] > 0
        return Downmix(louder) if lost else None

    def mono(self, frame: Any) -> Samples:
        """Return one channel of a frame: float32 [n], full scale 1."""
        channels = frame.layout.nb_channels
        if frame.format.is_planar and channels >= 8:
            # PyAV would read a ninth plane, which is not there: let ffmpeg interleave them first.
            (frame,) = av.AudioResampler(frame.format.packed).resample(frame)
        if frame.format.name == FLOAT_PLANES:
            return self.of_rows(float_planes(frame))
        rows = frame.to_ndarray()
        if not frame.format.is_planar:
            rows = rows.reshape(-1, channels).T
        return self.of_rows(rows)

    def of_rows(self, rows: Rows) -> Samples:
        """Return one channel of samples [channels, n] of any type: float32 [n], full scale 1.

        It may be the row itself.
        """
        if len(rows) == 1:
            return mean_of_channels(rows)
        if self._channel is not None:
            taken = rows[self._channel : self._channel + 1]
            return mean_of_channels(taken if len(taken) else rows)
        each = [mean_of_channels(rows[i : i + 1]) for i in range(len(rows))]
        if len(rows) == 2:
            mono = each[0] + each[1]
            mono *= 0.5
        else:
            mono = mean_of_channels(rows)
        energies = self._energies.setdefault(len(rows), np.zeros(len(rows) + 1))
        energies += [float(np.dot(y, y)) for y in (*each, mono)]
        return mono


def float_planes(frame: Any) -> list[Samples]:
    """Return the channels of a frame of the format `FLOAT_PLANES`, not copied."""
    return [np.frombuffer(plane, np.float32, frame.samples) for plane in frame.planes]


def mean_of_channels(rows: Rows) -> Samples:
    """Average samples [channels, n] of any type, as `librosa.to_mono` does: float32 [n]."""
    channels, kind = len(rows), rows[0].dtype
    mono = rows[0].astype(np.float32, order="C", copy=channels > 1)
    for row in rows[1:]:
        mono += row
    if kind.kind == "u":  # 8-bit, its zero is 128
        mono -= 128 * channels
        mono *= 1 / (128 * channels)
    elif kind.kind == "i":
        mono *= 1 / (2.0 ** (8 * kind.itemsize - 1) * channels)
    elif channels > 1:
        mono *= 1 / channels
    return mono
