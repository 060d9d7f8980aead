"""An open sound file, decoded from any position: float32, mono, 22,050 Hz.

ffmpeg's libraries (PyAV) decode and resample, in one thread: workers run side by side. Only the
file itself is ever opened, also where it names others, and what one call decodes is bounded,
whatever the header claims.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from functools import partial
from hashlib import blake2b
from itertools import chain, islice
from typing import Any, NamedTuple, Self

import av
import numpy as np

from tagger.containers.id3 import skip_id3v2
from tagger.containers.recognise import sound_start
from tagger.sound.downmix import Downmix, Samples, float_planes
from tagger.system.errors import UnreadableError
from tagger.system.exhausted import what_ran_out

SAMPLE_RATE = 22050  # Hz

# Codecs need packets before the wanted ones (an MP3 frame may lean on nine earlier ones, Opus
# wants 80 ms), a resampler needs half its filter.
_PREROLL_S = 0.25
_RESAMPLER_S = 64 / SAMPLE_RATE
_MAX_HELD_BACK = 32  # samples, at the lower of both rates: the resampler holds 16 back
_BLOCK = 1 << 15  # samples resampled at once: small enough for the cache and for any file
_LEAST_BYTES_PER_S = 500  # half of what speech needs at its worst
_MAX_DECODED_S = 120.0  # by one call
_MAX_PACKETS = 1_000_000  # read by one call: 7 h of MP3
_MAX_BAD_PACKETS = 500  # in one file
_HASHED_BYTES, _HASHED_PACKETS = 1 << 15, 200  # at each place
_MAX_SEARCHED = 1 << 26  # bytes read between two packets: more than any picture in a tag has
# Hz; up to DSD1024, as ffmpeg hands it out. Above, the filter would fill the memory (1.6 GB at
# 268 MHz), below, what one block becomes.
_RATES = range(1000, 6_000_000)
_MAX_FRAME = 1 << 22  # samples: no codec needs as many
_LOUDEST = 1e5  # float files may exceed full scale, some by the factor 32,768

# Only these demuxers and decoders may see a file. Others open what it names (hls, concat, dash,
# sdp), or would decode its cover art just to know the size (90 ms for a large PNG).
_DEMUXERS = (
    "mp3,flac,ogg,mov,asf,wav,w64,aiff,ape,wv,mpc,mpc8,tta,dsf,aac,matroska,webm,ac3,eac3,dts,dtshd,"
    "caf,au,rm,amr,oma,shn,tak,iff"
)
_DECODERS = frozenset(
    {"mp3float", "mp3", "mp2float", "mp2", "mp1float", "mp1", "aac", "aac_latm", "ac3", "eac3"}
    | {"flac", "vorbis", "opus", "speex", "alac", "wmav1", "wmav2", "wmapro", "wmalossless"}
    | {"wmavoice", "ape", "wavpack", "mpc7", "mpc8", "tta", "gsm", "gsm_ms", "dca", "truehd", "mlp"}
    | {"cook", "real_144", "real_288", "sipr", "ralf", "atrac1", "atrac3", "atrac3al", "atrac3plus"}
    | {"atrac3plusal", "shorten", "tak", "amrnb", "amrwb", "mace3", "mace6", "qdm2", "dst"}
)
_CODEC_WHITELIST = ",".join(
    name
    for name in sorted(av.codecs_available)
    if name in _DECODERS or name.startswith(("pcm_", "adpcm_", "dsd_"))
)
_OPTIONS = {
    "format_whitelist": _DEMUXERS,
    "codec_whitelist": _CODEC_WHITELIST,
    "protocol_whitelist": "file",
    # MP3 without a seek table: jump by proportion instead of reading all packets up to there.
    "fflags": "+fastseek",
    # Enough to know every codec by. ffmpeg's defaults cost 20 ms in search of DTS in a WAV.
    "probesize": str(1 << 17),
    "max_probe_packets": "1",
}
_CODEC_OPTIONS = {"codec_whitelist": _CODEC_WHITELIST, "max_samples": str(_MAX_FRAME)}
# What PyAV raises for broken files besides its own errors, which are OSErrors and ValueErrors.
DECODER_ERRORS = (av.FFmpegError, OSError, ValueError, ArithmeticError, MemoryError)


def reason(error: BaseException) -> str:
    """Say what one of the `DECODER_ERRORS` means."""
    words = str(getattr(error, "strerror", None) or error or type(error).__name__)
    if isinstance(error, av.InvalidDataError):
        return f"damaged, or no sound file (ffmpeg: {words})"
    if isinstance(error, av.EOFError):
        return f"cut off at its beginning (ffmpeg: {words})"
    if isinstance(error, av.ArgumentError):
        return f"not a sound format that gtag supports (ffmpeg: {words})"
    return words


class _Bytes:
    """A file's bytes from `start` to `end`, for ffmpeg to read.

    Between two packets only `_MAX_SEARCHED` can be read: a demuxer that searches gigabytes of
    zeros for the next one finds the end of the file instead.
    """

    def __init__(self, path: str, start: int = 0, end: int | None = None) -> None:
        self._file = open(path, "rb")  # noqa: SIM115 - until `close`
        self._start, self._end = start, end
        self.searched = 0  # bytes since the last packet
        self._file.seek(start)

    def read(self, n: int = -1) -> bytes:
        if self._end is not None:
            left = max(0, self._end - self._file.tell())
            n = left if n < 0 else min(n, left)
        content = self._file.read(n) if self.searched < _MAX_SEARCHED else b""
        self.searched += len(content)
        return content

    def tell(self) -> int:
        return self._file.tell() - self._start

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_SET:
            offset += self._start
        elif whence == os.SEEK_END and self._end is not None:
            offset, whence = offset + self._end, os.SEEK_SET
        return self._file.seek(offset, whence) - self._start

    def behind_tags(self) -> int:
        """Find the end of the ID3 tags in front; 0 where there are none, or none that end."""
        start = skip_id3v2(self._file)
        length = self._file.seek(0, os.SEEK_END)
        self._file.seek(self._start)
        return start if start < length else 0

    def sound_start(self, path: str) -> int:
        return sound_start(self._file, path)

    def close(self) -> None:
        self._file.close()


class SoundSource(ABC):
    """An open sound file, or a part of one.

    Attributes
    ----------
    claimed_s : float or None
        Length by the header, unless that is absurd.
    end_s : float or None
        Where the sound ends, once a `read` has reached it.
    """

    claimed_s: float | None = None
    end_s: float | None = None

    @property
    def bad_packets(self) -> int:
        """How many packets could not be decoded so far."""
        return 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @abstractmethod
    def close(self) -> None: ...

    @abstractmethod
    def seek(self, seconds: float) -> bool:
        """Go to a little before; False: the container cannot."""

    def count_s(self) -> float | None:
        """Return the length, without decoding; None where unknown."""
        return self.claimed_s

    @abstractmethod
    def read(self, begin_s: float, n: int) -> tuple[float, Samples]:
        """Decode forwards from the current position.

        Returns
        -------
        float
            Where the samples start: `begin_s`, or later where there is nothing so early.
        float32 [<= n]
            Fewer than n where the sound ends.

        Raises
        ------
        One of the `DECODER_ERRORS`.
        """


class _Look(NamedTuple):
    """What a packet is known by."""

    pts: int | None
    dts: int | None
    duration: int | None
    is_discarded: bool
    cuts_samples: bool  # as an encoder's padding
    content: bytes


def _look_of(packet: Any) -> _Look:
    return _Look(
        *(packet.pts, packet.dts, packet.duration),
        *(packet.is_discard, packet.has_sidedata("skip_samples"), bytes(packet)),
    )


class Source(SoundSource):
    """The sound of a file, decoded by ffmpeg.

    Parameters
    ----------
    downmix : Downmix, optional
        How its channels become one; it measures what the mean loses.
    within : (int, int), optional
        Only these bytes of the file, [start, end).
    """

    bad_packets = 0

    def __init__(
        self, path: str, downmix: Downmix | None = None, *, within: tuple[int, int] | None = None
    ) -> None:
        self._downmix = downmix or Downmix()
        self._file = _Bytes(path, *(within or ()))
        with ExitStack() as undo:
            undo.callback(lambda: self._file.close())
            self._container: Any = self._open(path, within)
            undo.callback(self._container.close)
            self._stream = self._container.streams.best("audio")
            if self._stream is None or not self._stream.time_base:
                raise UnreadableError("no audio stream", path=path)
            self._codec = self._stream.codec_context
            if self._codec is None:
                raise UnreadableError("unknown audio codec", path=path)
            self._codec.thread_count = 1
            self._codec.options = _CODEC_OPTIONS
            self._close_all = undo.pop_all().close
        self._time_base = float(self._stream.time_base)
        self._origin = self._stream.start_time or 0
        self.claimed_s = self._claimed_s()
        self._packets: Iterator[Any] = self._container.demux(self._stream)
        self._first: _Look | None = None

    def _open(self, path: str, within: tuple[int, int] | None) -> Any:
        open_file = partial(av.open, options=_OPTIONS, metadata_errors="ignore", mode="r")
        if within is None and (start := self._file.behind_tags()):
            # ffmpeg would read the tag, and inflate what is compressed in it, by gigabytes.
            with suppress(av.InvalidDataError, av.ArgumentError):
                return open_file(self._bytes_from(path, start))
            self._bytes_from(path, 0)
        try:
            return open_file(self._file)
        except (av.InvalidDataError, av.ArgumentError):
            # ffmpeg does not find every format behind an ID3 tag or junk: open it without those.
            start = self._file.sound_start(path)
            if not start:
                raise
            return open_file(self._bytes_from(path, start))

    def _bytes_from(self, path: str, start: int) -> _Bytes:
        self._file.close()
        self._file = _Bytes(path, start)
        return self._file

    def close(self) -> None:
        self._close_all()

    def _claimed_s(self) -> float | None:
        if self._stream.duration is not None:
            seconds = self._stream.duration * self._time_base
        elif self._container.duration is not None:
            seconds = self._container.duration / av.time_base
        else:
            return None
        # No music has so few bytes a second.
        return seconds if 0 < seconds * _LEAST_BYTES_PER_S < self._container.size else None

    def seek(self, seconds: float) -> bool:
        target = round(max(0.0, seconds - _PREROLL_S) / self._time_base) + self._origin
        try:
            self._container.seek(target, stream=self._stream, backward=True)
        except DECODER_ERRORS as error:
            if what_ran_out(error):
                raise
            return False
        self._packets = self._container.demux(self._stream)
        return True

    def packets_hash(self) -> bytes | None:
        """Hash of a recording's sound, without decoding: 16 bytes. The source ends up anywhere.

        Of the first packets, those in the middle, and the claimed length, which do not change when
        the file is tagged or renamed. None: the file cannot be read in that way.
        """
        digest = blake2b(digest_size=16)
        digest.update(f"{self.claimed_s or 0:.3f}".encode())
        try:
            for begin_s in (0.0, (self.claimed_s or 0.0) / 2):
                if begin_s and not self.seek(begin_s):
                    return None
                hashed = 0
                for packet in islice(self.packets(), _HASHED_PACKETS):
                    self._first = self._first or _look_of(packet)
                    content = bytes(packet)
                    digest.update(content)
                    hashed += len(content)
                    if hashed >= _HASHED_BYTES:
                        break
                if not hashed:
                    return None
        except DECODER_ERRORS:
            return None
        return digest.digest()

    def rewind(self, downmix: Downmix) -> bool:
        """Go back to the first packet after `packets_hash`; False: open the file again.

        ffmpeg does not find every file's first packet again: Opus is sought from further on.
        """
        if self._first is None or self._first.pts is None or self.bad_packets:
            return False
        try:
            self._container.seek(self._first.pts, stream=self._stream, backward=True)
            packets = self._container.demux(self._stream)
            packet = next(packets, None)
        except DECODER_ERRORS:
            return False
        if packet is None or _look_of(packet) != self._first:
            return False
        self._downmix, self._packets = downmix, chain((packet,), packets)
        return True

    def count_s(self) -> float | None:
        end = None
        for packet in islice(self.packets(), _MAX_PACKETS):
            if packet.pts is not None:
                end = max(end or 0, packet.pts + (packet.duration or 0) - self._origin)
        return None if end is None else end * self._time_base

    def read(self, begin_s: float, n: int) -> tuple[float, Samples]:
        mono = _Mono(self._downmix)
        wanted_s = max(0.0, begin_s - _RESAMPLER_S)
        first_s = position_s = 0.0  # of the first sample kept; of the next frame
        decoded_s = 0.0
        surplus = 0  # resampled samples before begin_s
        for frame in self._frames(wanted_s):
            frame_s = frame.samples / frame.sample_rate
            decoded_s += frame_s
            if not mono.started:
                if frame.pts is not None:
                    position_s = (frame.pts - self._origin) * self._time_base
                skip = max(0, round((wanted_s - position_s) * frame.sample_rate))
                position_s += frame_s
                if skip < frame.samples:
                    first_s = position_s - frame_s + skip / frame.sample_rate
                    surplus = max(0, round((begin_s - first_s) * SAMPLE_RATE))
                    mono.add(frame, skip)
            else:
                mono.add(frame)
            if mono.count >= n + surplus or decoded_s > _MAX_DECODED_S:
                break
        else:
            mono.finish()
            if mono.started:
                self.end_s = first_s + mono.count / SAMPLE_RATE
        return first_s + surplus / SAMPLE_RATE, mono.samples()[surplus : surplus + n]

    def _frames(self, from_s: float) -> Iterator[Any]:
        """Frames from a little before `from_s` on."""
        longest = _MAX_FRAME / max(1, self._codec.sample_rate) / self._time_base
        earliest = (from_s - _PREROLL_S) / self._time_base + self._origin
        for packet in islice(self.packets(), _MAX_PACKETS):
            if packet.pts is not None and packet.pts + (packet.duration or 0) < earliest:
                continue
            try:
                if (packet.duration or 0) > longest:  # it would be decoded in one go
                    raise ValueError("a packet as long as a track")
                yield from packet.decode()
            except DECODER_ERRORS as error:
                if what_ran_out(error):  # the machine's fault: the track is not shorter by this
                    raise
                self.bad_packets += 1
                if self.bad_packets > _MAX_BAD_PACKETS:
                    return

    def packets(self) -> Iterator[Any]:
        """Packets from the current position on, as far as the container can be read."""
        while self.bad_packets <= _MAX_BAD_PACKETS:
            try:
                for packet in self._packets:
                    self._file.searched = 0
                    yield packet
                return
            except DECODER_ERRORS as error:  # some demuxers continue after the damage
                if what_ran_out(error):
                    raise
                self.bad_packets += 1
                self._packets = self._container.demux(self._stream)


class _Mono:
    """Turns frames of any format into mono samples at `SAMPLE_RATE`.

    Frames are collected into blocks first: a block costs the resampler as much as a frame.
    """

    def __init__(self, downmix: Downmix) -> None:
        self._downmix = downmix
        self.started = False
        self.count = 0  # samples that came out so far
        self._out: list[Samples] = []
        self._kind: tuple[str, str, int] | None = None  # format, layout, rate of the frames
        self._missing_s = 0.0  # fed to the resampler, but not yet resampled

    def add(self, frame: Any, skip: int = 0) -> None:
        """Append a frame, without its first `skip` samples."""
        kind = (frame.format.name, frame.layout.name, frame.sample_rate)
        if frame.sample_rate not in _RATES:
            raise ValueError(f"claims {frame.sample_rate} samples a second")
        if kind != self._kind:  # some streams change in the middle
            self.finish()
            self._kind, self._missing_s = kind, 0.0
            self._fifo = av.AudioFifo()
            self._resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)
        self.started = True
        frame.pts = None
        self._fifo.write(frame)
        if skip:
            self._fifo.read(skip)
        while self._fifo.samples >= _BLOCK:
            self._resample(self._fifo.read(_BLOCK))

    def finish(self) -> None:
        """Flush the block and the resampler."""
        if self._kind is not None:
            if self._fifo.samples:
                self._resample(self._fifo.read())
            if self._kind[2] != SAMPLE_RATE:
                self._keep(self._resampler.resample(None))
        self._kind = None

    def samples(self) -> Samples:
        """Return all samples so far, float32 [count], all finite."""
        samples = np.concatenate([np.zeros(0, np.float32), *self._out])
        if not np.isfinite(samples).all():
            np.nan_to_num(samples, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
        return np.clip(samples, -_LOUDEST, _LOUDEST, out=samples)

    def _resample(self, block: Any) -> None:
        mono = av.AudioFrame.from_ndarray(self._downmix.mono(block)[None], "flt", "mono")
        mono.sample_rate = block.sample_rate
        self._missing_s += block.samples / block.sample_rate
        # At the same rate, PyAV's resampler would hand the frame back and then forget to end.
        self._keep(self._resampler.resample(mono) if block.sample_rate != SAMPLE_RATE else [mono])
        if self._missing_s * min(block.sample_rate, SAMPLE_RATE) > _MAX_HELD_BACK:
            # libavfilter says nothing where it finds no memory: it hands out nothing.
            raise MemoryError("the resampler lost samples")

    def _keep(self, frames: list[Any]) -> None:
        for frame in frames:
            (samples,) = float_planes(frame)
            self._out.append(samples)
            self.count += len(samples)
            self._missing_s -= len(samples) / SAMPLE_RATE
