"""The features of one track: the output of each front end, computed when a model first needs it.

Made from audio by `gtag scan`, or from an archive by training and evaluation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from tagger.system.errors import DataError

if TYPE_CHECKING:
    from tagger.sound.audio import Excerpt, Sound
    from tagger.sound.patches import Patches
    from tagger.sound.spectrogram import LogMel


# Features that are small enough for the cache; what networks said is kept by their names.
_KEPT = ("log_mel_statistics", "narrow_statistics", "descriptors", "liveliness", "highest_hz")
_MEAN, _SPREAD, _LOGITS, _SCORES = "mean", "spread", "logits", "scores"


class TrackFeatures:
    """The features of one track.

    Parameters
    ----------
    log_mel : callable without arguments, returning LogMel
    descriptors : callable without arguments, returning np.ndarray, optional
        Without it, a model that needs descriptors of the audio gets an error.
    log_mel_statistics : callable without arguments, returning np.ndarray, optional
        If they are known without the spectrogram.
    levelled : callable without arguments, returning the excerpts as `levelled` does, optional
        Without it, a pretrained network that hears them gets an error.
    embeddings : dict of str to np.ndarray [shape=(n_dimensions,)], optional
        Mean embeddings of the track by name and version of the network: given, or computed since.
    over_time : bool
        Whether models answer for each chunk, too, where they need not for the track's genres.

    Attributes
    ----------
    over_time : bool
    embeddings : dict
    embedded : dict of str to np.ndarray [shape=(n_chunks, n_dimensions)]
        The same for each chunk, as far as computed.
    spreads : dict of str to np.ndarray [shape=(n_dimensions,)]
        Its standard deviation over the chunks, as far as computed.
    logits : dict of str to np.ndarray [shape=(n_labels,)]
        Logits of a pretrained network's own labels, in mean over the chunks, as far as computed.
    scores : dict of str to np.ndarray [shape=(n_labels,)]
        The same from 0 to 1: the mean over the chunks of each one's score.
    """

    def __init__(
        self,
        log_mel: Callable[[], LogMel],
        descriptors: Callable[[], np.ndarray] | None = None,
        log_mel_statistics: Callable[[], np.ndarray] | None = None,
        levelled: Callable[[], tuple[Excerpt, ...]] | None = None,
        embeddings: dict[str, np.ndarray] | None = None,
        over_time: bool = True,
    ) -> None:
        self._log_mel = log_mel
        self._descriptors = descriptors
        self._log_mel_statistics = log_mel_statistics
        self._levelled = levelled
        self.over_time = over_time
        self.embeddings = dict(embeddings or {})
        self.embedded: dict[str, np.ndarray] = {}
        self.spreads: dict[str, np.ndarray] = {}
        self.logits: dict[str, np.ndarray] = {}
        self.scores: dict[str, np.ndarray] = {}

    @classmethod
    def from_sound(cls, sound: Sound, *, over_time: bool = True) -> TrackFeatures:
        from tagger.sound.descriptors import describe
        from tagger.sound.levelled import levelled
        from tagger.sound.spectrogram import log_mel

        return cls(
            lambda: log_mel(sound.excerpts),
            lambda: describe(sound.excerpts),
            levelled=lambda: levelled(sound.excerpts),
            over_time=over_time,
        )

    @classmethod
    def from_log_mel(
        cls, log_mel: LogMel, embeddings: dict[str, np.ndarray] | None = None
    ) -> TrackFeatures:
        return cls(lambda: log_mel, embeddings=embeddings)

    @classmethod
    def from_kept(cls, kept: dict[str, np.ndarray]) -> TrackFeatures:
        """Build from features that were kept of the same track; others raise DataError."""

        def not_kept() -> LogMel:
            raise DataError("the spectrogram was not kept")

        features = cls(not_kept)
        features.take(kept)
        return features

    def take(self, kept: Mapping[str, np.ndarray]) -> None:
        """Take features that are known already, by the names of `kept`."""
        by_network = self._by_network()
        for name, array in kept.items():
            view, _, network = name.partition(" ")
            if network:
                by_network[view][network] = array
            else:
                self.__dict__[view] = array  # where a cached property looks first

    def kept(self) -> dict[str, np.ndarray]:
        """Return the small features that were computed so far, by name."""
        views = {name: np.asarray(self.__dict__[name]) for name in _KEPT if name in self.__dict__}
        for view, by_tag in self._by_network().items():
            views |= {f"{view} {tag}": array for tag, array in by_tag.items()}
        return views

    def _by_network(self) -> dict[str, dict[str, np.ndarray]]:
        return {
            _MEAN: self.embeddings,
            _SPREAD: self.spreads,
            _LOGITS: self.logits,
            _SCORES: self.scores,
        }

    @property
    def has_sound(self) -> bool:
        """Whether there is audio, and not only an archive's features."""
        return self._levelled is not None

    @cached_property
    def levelled(self) -> tuple[Excerpt, ...]:
        """The excerpts as pretrained networks hear them.

        Raises
        ------
        DataError
            Where there is no audio: an archive keeps only the spectrogram.
        """
        if self._levelled is None:
            raise DataError("this model needs the audio itself, not only its spectrogram")
        return self._levelled()

    @cached_property
    def patches(self) -> Patches:
        """Log-mel patches for musicnn; errors as `levelled`."""
        from tagger.sound.patches import patches

        return patches(self.levelled)

    @cached_property
    def yamnet_patches(self) -> Patches:
        """Log-mel patches for YAMNet; errors as `levelled`."""
        from tagger.sound.yamnet_patches import yamnet_patches

        return yamnet_patches(self.levelled)

    @cached_property
    def log_mel(self) -> LogMel:
        return self._log_mel()

    @cached_property
    def chunks(self) -> tuple[np.ndarray, np.ndarray]:
        """Chunks [shape=(n_chunks, N_MELS, CHUNK_COLUMNS)] in decibels, and starts in seconds."""
        from tagger.sound.spectrogram import chunks

        return chunks(self.log_mel)

    @cached_property
    def descriptors(self) -> np.ndarray:
        """Descriptors of the sound [shape=(n_features,)], as named by `descriptors.FEATURES`.

        Raises
        ------
        DataError
            Where there is no audio: an archive keeps only the spectrogram.
        """
        if self._descriptors is None:
            raise DataError("this model needs the audio itself, not only its spectrogram")
        return self._descriptors()

    @cached_property
    def log_mel_statistics(self) -> np.ndarray:
        """Descriptors of the log-mel spectrogram [shape=(n_features,)]."""
        if self._log_mel_statistics is not None:
            return self._log_mel_statistics()
        from tagger.sound.log_mel_statistics import describe_log_mel

        return describe_log_mel(self.log_mel.excerpts)

    @cached_property
    def narrow_statistics(self) -> np.ndarray:
        """The same below 7.4 kHz [shape=(n_features,)]."""
        from tagger.sound.log_mel_statistics import below_seven_khz, describe_log_mel

        return describe_log_mel(below_seven_khz(self.log_mel.excerpts))

    @cached_property
    def liveliness(self) -> float:
        """How much the spectrogram changes over time, in decibels."""
        from tagger.sound.steadiness import liveliness

        return liveliness(self.log_mel)

    @cached_property
    def highest_hz(self) -> float:
        """The centre of the highest mel band that is not silent, in hertz."""
        from tagger.sound.steadiness import highest_hz

        return highest_hz(self.log_mel)
