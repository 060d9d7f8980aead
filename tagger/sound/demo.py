"""Short synthetic pieces of music, composed by rule and encoded: for `gtag demo` and for tests.

They differ audibly, but say nothing about a model's accuracy on recordings.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from os import PathLike, fspath
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

RATE = 44100  # Hz, of what `compose` makes

Samples = NDArray[np.float32]
Signal = NDArray[np.float64]

# Container and codec by file extension. ffmpeg's own Vorbis encoder is experimental and takes two
# channels only, but it is in every build.
ENCODINGS: dict[str, tuple[str, str]] = {
    ".mp3": ("mp3", "libmp3lame"),
    ".flac": ("flac", "flac"),
    ".ogg": ("ogg", "vorbis"),
    ".oga": ("ogg", "flac"),
    ".opus": ("ogg", "libopus"),
    ".m4a": ("ipod", "aac"),
    ".wma": ("asf", "wmav2"),
    ".wav": ("wav", "pcm_s16le"),
    ".aiff": ("aiff", "pcm_s16be"),
    ".wv": ("wv", "wavpack"),
    ".tta": ("tta", "tta"),
}
_BLOCK = 1 << 16  # samples handed to the encoder at once

# Style and container of each piece that `gtag demo` makes.
_PIECES = (
    ("disco", ".mp3"),
    ("jazz", ".flac"),
    ("metal", ".ogg"),
    ("classical", ".opus"),
    ("reggae", ".m4a"),
)


def make_demo(folder: str | PathLike[str], *, duration_s: float = 45.0) -> list[str]:
    """Compose and encode a piece of each style, the same at every call.

    Parameters
    ----------
    folder : path-like
        Made if it is not there. Files of the same names are overwritten.
    duration_s : float
        Length of each piece.

    Returns
    -------
    list of str
        The files: MP3, FLAC, Ogg Vorbis, Opus and M4A.
    """
    Path(folder).mkdir(parents=True, exist_ok=True)
    files = []
    for number, (style, suffix) in enumerate(_PIECES, 1):
        file = str(Path(folder) / f"{number:02d} synthetic {style}{suffix}")
        encode(compose(style, 1, duration_s), file)
        files.append(file)
    return files


def compose(genre_like: str, seed: int = 0, duration_s: float = 30.0) -> Samples:
    """Compose one piece.

    Parameters
    ----------
    genre_like : str
        One of `STYLES`.
    seed : int
        Of key, tempo and the notes' variations.
    duration_s : float

    Returns
    -------
    float32 [n]
        Mono at `RATE`, peak 0.9.
    """
    rng = np.random.default_rng([seed, list(STYLES).index(genre_like)])
    samples = STYLES[genre_like](rng, duration_s)
    samples *= 0.9 / max(float(np.abs(samples).max(initial=0.0)), 1e-9)
    return samples.astype(np.float32)


def encode(
    samples: Samples,
    path: str | PathLike[str],
    *,
    rate: int = RATE,
    channels: int = 2,
    container: str | None = None,
    codec: str | None = None,
    bit_rate: int = 128_000,
    options: dict[str, str] | None = None,
    codec_options: dict[str, str] | None = None,
) -> None:
    """Encode with ffmpeg's encoders, without any tag.

    Parameters
    ----------
    samples : float32 [n] or [channels, n]
        Within -1 and 1, at `rate`. One row is played on every channel.
    path : path-like
        Overwritten. Its extension chooses container and codec where those are not given.
    rate, channels : int
        Of the file, in Hz. (Opus is always at 48,000 Hz: PyAV resamples.)
    container, codec : str, optional
        ffmpeg's names, such as "ogg" and "flac".
    bit_rate : int
        Bits per second, for lossy codecs.
    options, codec_options : dict of str, optional
        For the muxer, and for the encoder.
    """
    default_container, default_codec = ENCODINGS.get(Path(path).suffix.lower(), ("", ""))
    codec = codec or default_codec
    # Bit-exact: no "encoder" tag, and the same bytes each time.
    muxer_options = {"fflags": "+bitexact", **(options or {})}
    if (container or default_container) == "mp3":
        muxer_options.setdefault("id3v2_version", "0")
    rows = np.atleast_2d(samples)
    if len(rows) != channels:
        rows = np.repeat(rows[:1], channels, axis=0)
    layout = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}[channels]
    with av.open(
        fspath(path), "w", format=container or default_container, options=muxer_options
    ) as output:
        stream = output.add_stream(
            codec,
            rate=48000 if codec == "libopus" else rate,
            layout=layout,
            options={"flags": "+bitexact", "strict": "experimental", **(codec_options or {})},
        )
        stream.bit_rate = bit_rate
        if codec in ("wavpack", "tta"):  # their encoders' first choice is 8 bit
            stream.format = stream.format.name.replace("u8", "s16")
        for start in range(0, rows.shape[1], _BLOCK):
            # Interleaved: PyAV stumbles over eight planes.
            block = rows[:, start : start + _BLOCK].T.reshape(1, -1).astype(np.float32)
            frame = av.AudioFrame.from_ndarray(block, format="flt", layout=layout)
            frame.sample_rate = rate
            frame.pts = start
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


# --- instruments: each returns float64 [n] ---

_SAW = tuple(1 / k for k in range(1, 25))


@dataclass(frozen=True)
class _Timbre:
    partials: tuple[float, ...]  # strengths of the harmonics
    attack_s: float
    decay: float  # e-folds a second


def _time(seconds: float) -> Signal:
    return np.arange(max(int(seconds * RATE), 1)) / RATE


@lru_cache(maxsize=256)  # music repeats itself
def _note(semitones: float, seconds: float, timbre: _Timbre) -> Signal:
    """Make a tone, counted in semitones above A1 (55 Hz)."""
    frequency = 55.0 * 2 ** (semitones / 12)
    t = _time(seconds)
    tone = np.zeros_like(t)
    for harmonic, strength in enumerate(timbre.partials, 1):
        if harmonic * frequency < 0.45 * RATE:
            tone += strength * np.sin(2 * np.pi * harmonic * frequency * t)
    release = np.clip((seconds - t) / 0.02, 0, 1)  # no click at the end
    return tone * np.clip(t / timbre.attack_s, 0, 1) * np.exp(-timbre.decay * t) * release


def _kick(seconds: float = 0.3) -> Signal:
    t = _time(seconds)
    return np.sin(2 * np.pi * (48 * t - 80 / 30 * np.exp(-30 * t))) * np.exp(-11 * t)


def _noise(rng: np.random.Generator, seconds: float, decay: float) -> Signal:
    t = _time(seconds)
    return rng.standard_normal(len(t)) * np.exp(-decay * t)


def _cymbal(rng: np.random.Generator, seconds: float, decay: float) -> Signal:
    # The second difference is a high-pass good enough for a cymbal.
    return np.convolve(_noise(rng, seconds, decay), (0.3, -0.6, 0.3), "same")


def _snare(rng: np.random.Generator) -> Signal:
    return _note(21, 0.2, _Timbre((1, 0.4), 0.001, 20)) + 0.6 * _noise(rng, 0.2, 22)


class _Score:
    """A stretch of sound on which notes are placed by the beat."""

    def __init__(self, duration_s: float, tempo: float) -> None:
        self.samples: Signal = np.zeros(round(duration_s * RATE))
        self.beat_s = 60 / tempo
        self.bars = range(int(duration_s / (4 * self.beat_s)) + 1)

    def add(self, bar: int, beat: float, loudness: float, sound: Signal) -> None:
        start = int((4 * bar + beat) * self.beat_s * RATE)
        end = min(start + len(sound), len(self.samples))
        if start < end:
            self.samples[start:end] += loudness * sound[: end - start]


# --- styles: a row of chords (root and steps in semitones), and who plays on which beat ---

_MAJOR, _MINOR, _SEVENTH, _MINOR_SEVENTH = (0, 4, 7), (0, 3, 7), (0, 4, 7, 10), (0, 3, 7, 10)


def _disco(rng: np.random.Generator, duration_s: float) -> Signal:
    """Four on the floor, open hats on the off-beat, octave bass, string stabs."""
    score = _Score(duration_s, rng.uniform(116, 124))
    bass, strings = _Timbre(_SAW[:8], 0.004, 6), _Timbre(_SAW, 0.02, 2)
    key = int(rng.integers(0, 12))
    for bar in score.bars:
        root, chord = ((0, _MINOR_SEVENTH), (5, _SEVENTH), (10, _MAJOR), (3, _MAJOR))[bar % 4]
        for beat in range(4):
            score.add(bar, beat, 1.0, _kick())
            score.add(bar, beat + 0.5, 0.45, _cymbal(rng, 0.18, 14))
            score.add(bar, beat, 0.45, _note(key + root, 0.2, bass))
            score.add(bar, beat + 0.5, 0.45, _note(key + root + 12, 0.2, bass))
        for beat in (1, 3):
            score.add(bar, beat, 0.5, _snare(rng))
        for stab in (0, 1.5, 2.75):
            for step in chord:
                score.add(bar, stab, 0.12, _note(key + root + step + 36, 0.35, strings))
    return score.samples


def _jazz(rng: np.random.Generator, duration_s: float) -> Signal:
    """Swung ride cymbal, walking bass, soft chords, a wandering melody."""
    score = _Score(duration_s, rng.uniform(130, 165))
    bass = _Timbre((1, 0.5, 0.25, 0.1), 0.01, 4)
    horn = _Timbre((1, 0.7, 0.4, 0.2, 0.1), 0.03, 2.5)
    piano = _Timbre((1, 0.3, 0.1), 0.005, 5)
    key = int(rng.integers(0, 12))
    for bar in score.bars:
        root, chord = ((2, _MINOR_SEVENTH), (7, _SEVENTH), (0, _SEVENTH), (9, _SEVENTH))[bar % 4]
        for beat in range(4):
            lead_in = int(rng.integers(-1, 2)) if beat == 3 else 0
            score.add(bar, beat, 0.7, _note(key + root + chord[beat] + lead_in, 0.42, bass))
            score.add(bar, beat, 0.1, _cymbal(rng, 0.25, 16))
            if beat % 2:
                score.add(bar, beat + 0.66, 0.08, _cymbal(rng, 0.12, 25))
            if rng.random() < 0.7:
                pitch = key + root + int(rng.choice(chord)) + 36
                score.add(bar, beat + rng.choice((0, 0.66)), 0.25, _note(pitch, 0.3, horn))
        for hit in (0, 2.66):
            for step in chord[1:]:
                score.add(bar, hit, 0.12, _note(key + root + step + 24, 0.6, piano))
    return score.samples


def _metal(rng: np.random.Generator, duration_s: float) -> Signal:
    """Palm-muted distorted fifths in sixteenths, double bass drum, crashes."""
    score = _Score(duration_s, rng.uniform(150, 180))
    guitars = _Score(duration_s, 60 / score.beat_s)
    string = _Timbre(_SAW, 0.001, 3)
    key = int(rng.integers(-5, 2))
    for bar in score.bars:
        root = (0, 0, 1, 3)[bar % 4]
        for sixteenth in range(16):
            seconds = 0.3 if sixteenth in (0, 6, 12) else 0.08
            for step in (0, 7, 12):
                guitars.add(bar, sixteenth / 4, 1.0, _note(key + root + step, seconds, string))
            score.add(bar, sixteenth / 4, 0.5, _kick(0.09))
        for beat in (1, 3):
            score.add(bar, beat, 0.8, _snare(rng))
        score.add(bar, 0, 0.3, _cymbal(rng, 1.2, 3))
    return score.samples + 0.5 * np.tanh(4 * guitars.samples)


def _classical(rng: np.random.Generator, duration_s: float) -> Signal:
    """Slow string pads, two a note and slightly apart, an arpeggio above, no drums."""
    score = _Score(duration_s, rng.uniform(62, 74))
    bow, harp = _Timbre(_SAW[:10], 0.8, 0.15), _Timbre((1, 0.2), 0.01, 4)
    key = int(rng.integers(0, 12))
    for bar in score.bars:
        root, chord = ((0, _MAJOR), (9, _MINOR), (5, _MAJOR), (7, _MAJOR))[bar % 4]
        for step in (-12, *chord, 12):
            for apart in (-0.06, 0.05):
                pitch = key + root + step + 24 + apart
                score.add(bar, 0, 0.12, _note(pitch, 4.2 * score.beat_s, bow))
        for eighth in range(8):
            pitch = key + root + (*chord, 12)[eighth % 4] + 48
            score.add(bar, eighth / 2, rng.uniform(0.14, 0.2), _note(pitch, 0.9, harp))
    return score.samples


def _reggae(rng: np.random.Generator, duration_s: float) -> Signal:
    """Short chords on the off-beats, one drop on three, a deep sparse bass."""
    score = _Score(duration_s, rng.uniform(70, 80))
    bass, organ = _Timbre((1, 0.3), 0.01, 2), _Timbre(_SAW[:6], 0.003, 9)
    key = int(rng.integers(0, 12))
    for bar in score.bars:
        root, chord = ((0, _MINOR), (0, _MINOR), (5, _MINOR), (7, _MINOR))[bar % 4]
        score.add(bar, 2, 1.0, _kick())
        score.add(bar, 2, 0.35, _snare(rng))
        for beat in range(4):
            score.add(bar, beat, 0.15, _cymbal(rng, 0.05, 60))
            for step in chord:
                score.add(bar, beat + 0.5, 0.3, _note(key + root + step + 36, 0.11, organ))
        for place, step in ((0, 0), (0.75, 0), (1.5, 7), (2.5, chord[1]), (3.25, 0)):
            score.add(bar, place, 0.9, _note(key + root + step - 5, 0.4, bass))
    return score.samples


STYLES: dict[str, Callable[[np.random.Generator, float], Signal]] = {
    "disco": _disco,
    "jazz": _jazz,
    "metal": _metal,
    "classical": _classical,
    "reggae": _reggae,
}
