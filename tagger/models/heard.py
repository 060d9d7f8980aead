"""What was heard of one track: each front end's view, computed once, when a model first asks.

Made from sound by `gtag scan`, or from what an archive kept by training and evaluation. Knows no
model.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from tagger.errors import DataError

if TYPE_CHECKING:
    from tagger.audio import Sound
    from tagger.patches import Patches
    from tagger.spectrogram import LogMel


class Heard:
    """The views of one track.

    Parameters
    ----------
    log_mel : callable without arguments, returning LogMel
    descriptors : callable without arguments, returning np.ndarray, optional
        Without it, a model that asks for descriptors of the sound gets an error.
    log_mel_statistics : callable without arguments, returning np.ndarray, optional
        Where they are known without the spectrogram.
    patches : callable without arguments, returning Patches, optional
        Without it, a pretrained network that asks for them gets an error.
    embeddings : dict of str to np.ndarray [shape=(n_dimensions,)], optional
        What networks made of the track, in mean over its chunks, by name and version of the
        network: what is known beforehand, and what has been computed since.

    Attributes
    ----------
    embeddings : dict
    embedded : dict of str to np.ndarray [shape=(n_chunks, n_dimensions)]
        The same chunk by chunk, as far as computed.
    """

    def __init__(
        self,
        log_mel: Callable[[], LogMel],
        descriptors: Callable[[], np.ndarray] | None = None,
        log_mel_statistics: Callable[[], np.ndarray] | None = None,
        patches: Callable[[], Patches] | None = None,
        embeddings: dict[str, np.ndarray] | None = None,
    ) -> None:
        self._log_mel = log_mel
        self._descriptors = descriptors
        self._log_mel_statistics = log_mel_statistics
        self._patches = patches
        self.embeddings = dict(embeddings or {})
        self.embedded: dict[str, np.ndarray] = {}

    @classmethod
    def from_sound(cls, sound: Sound) -> Heard:
        from tagger.descriptors import describe
        from tagger.patches import patches
        from tagger.spectrogram import log_mel

        return cls(
            lambda: log_mel(sound.excerpts),
            lambda: describe(sound.excerpts),
            patches=lambda: patches(sound.excerpts),
        )

    @classmethod
    def from_log_mel(
        cls, log_mel: LogMel, embeddings: dict[str, np.ndarray] | None = None
    ) -> Heard:
        return cls(lambda: log_mel, embeddings=embeddings)

    @property
    def has_sound(self) -> bool:
        """Whether there is sound, and not only what an archive kept of it."""
        return self._patches is not None

    @cached_property
    def patches(self) -> Patches:
        """Log-mel patches, as pretrained networks want them.

        Raises
        ------
        DataError
            Where there is no sound: an archive keeps only the spectrogram.
        """
        if self._patches is None:
            raise DataError("this model needs the sound itself, not only its spectrogram")
        return self._patches()

    @cached_property
    def log_mel(self) -> LogMel:
        return self._log_mel()

    @cached_property
    def chunks(self) -> tuple[np.ndarray, np.ndarray]:
        """Chunks [shape=(n_chunks, N_MELS, CHUNK_COLUMNS)] in decibels, and starts in seconds."""
        from tagger.spectrogram import chunks

        return chunks(self.log_mel)

    @cached_property
    def descriptors(self) -> np.ndarray:
        """Descriptors of the sound [shape=(n_features,)], as named by `descriptors.FEATURES`.

        Raises
        ------
        DataError
            Where there is no sound: an archive keeps only the spectrogram.
        """
        if self._descriptors is None:
            raise DataError("this model needs the sound itself, not only its spectrogram")
        return self._descriptors()

    @cached_property
    def log_mel_statistics(self) -> np.ndarray:
        """Descriptors of the log-mel spectrogram [shape=(n_features,)]."""
        if self._log_mel_statistics is not None:
            return self._log_mel_statistics()
        from tagger.log_mel_statistics import describe_log_mel

        return describe_log_mel(self.log_mel.excerpts)

    @cached_property
    def narrow_statistics(self) -> np.ndarray:
        """The same below 7.4 kHz [shape=(n_features,)]."""
        from tagger.log_mel_statistics import below_seven_khz, describe_log_mel

        return describe_log_mel(below_seven_khz(self.log_mel.excerpts))
