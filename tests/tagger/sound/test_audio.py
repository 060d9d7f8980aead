"""Excerpts of sound files that are as they should be; `test_hostile_audio.py` has the others."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import wave
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import mutagen
import numpy as np
import pytest
import soundfile
from mutagen import flac, id3, mp4
from mutagen.ogg import OggPage

from tagger.sound import audio, demo
from tagger.sound.audio import EDGE, EXCERPT_S, read_excerpts
from tagger.sound.decoder import SAMPLE_RATE
from tagger.system.errors import NothingToHearError, UnreadableError

LENGTH = round(EXCERPT_S * SAMPLE_RATE)


def noise(seconds, rate=44100, seed=0):
    """Noise up to 6 kHz, which lossy codecs keep, nowhere like itself: float32 [n]."""
    n = round(seconds * rate)
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(n))
    spectrum[round(6000 * seconds) :] = 0
    samples = np.fft.irfft(spectrum, n)
    return (0.2 * samples / samples.std()).clip(-1, 1).astype(np.float32)


def sine(seconds=2.0, rate=44100, frequency=440.0, amplitude=0.5):
    t = np.arange(round(seconds * rate)) / rate
    return (amplitude * np.sin(2 * np.pi * frequency * t)).astype(np.float32)


def at_our_rate(samples):
    """A half of the 44,100 Hz of `noise`, which has nothing above 6 kHz."""
    return samples[::2]


def displacement(excerpt, reference):
    """By how many samples later in the reference the excerpt is found than it says."""
    says = round(excerpt.start_s * SAMPLE_RATE) - excerpt.edge_before
    margin = min(says, 40_000)
    around = reference[says - margin : says + len(excerpt.samples) + 40_000]
    size = 1 << (len(around) + len(excerpt.samples)).bit_length()
    spectrum = np.fft.rfft(around, size) * np.conj(np.fft.rfft(excerpt.samples, size))
    return int(np.argmax(np.fft.irfft(spectrum, size)[: len(around)])) - margin


@pytest.fixture(scope="module")
def long_noise():
    return noise(48.3)


EXACT = {
    ".wav": {},
    ".flac": {},
    ".oga": {},
    ".aiff": {},
    ".wv": {},
    ".tta": {},
    ".m4a": {"codec": "alac"},
    ".ogg": {},
    ".opus": {},
    ".aac.m4a": {},
}


@pytest.mark.parametrize("suffix", EXACT)
def test_three_excerpts_lie_where_they_say(tmp_path, long_noise, suffix):
    file = tmp_path / f"a{suffix}"
    channels = 2 if suffix == ".ogg" else 1  # all that this encoder can
    demo.encode(long_noise, file, channels=channels, **EXACT[suffix])
    sound = read_excerpts(file)
    assert sound.duration_s == pytest.approx(48.3, abs=0.05)
    for excerpt, place in zip(sound.excerpts, (1 / 6, 1 / 2, 5 / 6), strict=True):
        assert excerpt.start_s + EXCERPT_S / 2 == pytest.approx(48.3 * place, abs=0.05)
        assert (excerpt.edge_before, excerpt.edge_after) == (EDGE, EDGE)
        assert excerpt.samples.shape == (EDGE + LENGTH + EDGE,)
        assert excerpt.samples.dtype == np.float32
        assert abs(displacement(excerpt, at_our_rate(long_noise))) <= 1


VBR = {"flags": "+bitexact+qscale", "global_quality": str(4 * 118)}


@pytest.mark.parametrize(
    ("encoding", "within"),
    [
        ({}, 1152),  # a frame or two, in samples of ours
        ({"options": {"write_xing": "0"}}, 4 * 576),  # nobody knows the encoder's delay
        # The seek table has a hundred entries, with a 256th of the file as its unit.
        ({"codec_options": VBR}, 48 * SAMPLE_RATE // 100),
    ],
    ids=["CBR", "CBR without a header", "VBR"],
)
def test_excerpts_of_an_mp3_lie_near_where_they_say(tmp_path, long_noise, encoding, within):
    file = tmp_path / "a.mp3"
    demo.encode(long_noise, file, channels=1, **encoding)
    sound = read_excerpts(file)
    assert sound.duration_s == pytest.approx(48.3, abs=0.1)
    assert [len(excerpt.samples) for excerpt in sound.excerpts] == 3 * [LENGTH + 2 * EDGE]
    for excerpt in sound.excerpts:
        assert abs(displacement(excerpt, at_our_rate(long_noise))) <= within


def test_an_excerpt_is_as_if_all_had_been_decoded(tmp_path):
    samples = noise(48.0)  # whose excerpts start at samples of both rates
    demo.encode(samples, tmp_path / "a.wav", channels=1)
    frame = av.AudioFrame.from_ndarray(samples[None], "flt", "mono")
    frame.sample_rate = 44100
    resampler = av.AudioResampler("flt", "mono", SAMPLE_RATE)
    whole = np.concatenate(
        [out.to_ndarray()[0] for out in resampler.resample(frame) + resampler.resample(None)]
    )
    for excerpt, start_s in zip(
        read_excerpts(tmp_path / "a.wav").excerpts, (2, 18, 34), strict=True
    ):
        start = start_s * SAMPLE_RATE - EDGE
        expected = whole[start : start + len(excerpt.samples)]
        np.testing.assert_allclose(excerpt.samples, expected, atol=5e-5)  # 16 bit


@pytest.mark.parametrize("seconds", [1.0, 2.5, 12.0, 35.9])
@pytest.mark.parametrize("suffix", [".flac", ".mp3", ".opus", ".m4a"])
def test_a_short_track_comes_whole(tmp_path, suffix, seconds):
    demo.encode(sine(seconds + 0.05), tmp_path / f"a{suffix}")
    sound = read_excerpts(tmp_path / f"a{suffix}")
    (excerpt,) = sound.excerpts
    assert (excerpt.start_s, excerpt.edge_before, excerpt.edge_after) == (0.0, 0, 0)
    assert len(excerpt.samples) == pytest.approx(seconds * SAMPLE_RATE, abs=0.1 * SAMPLE_RATE)
    assert sound.duration_s == pytest.approx(len(excerpt.samples) / SAMPLE_RATE)


def test_the_shortest_long_track_has_real_sound_at_its_inner_edges_only(tmp_path):
    demo.encode(sine(36.0), tmp_path / "a.flac")
    sound = read_excerpts(tmp_path / "a.flac")
    edges = [(excerpt.edge_before, excerpt.edge_after) for excerpt in sound.excerpts]
    assert edges == [(0, EDGE), (EDGE, EDGE), (EDGE, 0)]
    assert [excerpt.start_s for excerpt in sound.excerpts] == [0.0, 12.0, 24.0]


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".mp3", ".opus"])
def test_under_a_second_is_nothing_to_hear(tmp_path, suffix):
    demo.encode(sine(0.8), tmp_path / f"a{suffix}")
    with pytest.raises(NothingToHearError, match=r"only 0\.8\d? s of sound"):
        read_excerpts(tmp_path / f"a{suffix}")


def test_a_wav_without_a_sample_is_nothing_to_hear(tmp_path):
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setparams((2, 2, 44100, 0, "NONE", ""))
    with pytest.raises(NothingToHearError, match="only 0"):
        read_excerpts(tmp_path / "a.wav")


@pytest.mark.parametrize("seconds", [5.0, 50.0])
def test_silence_is_nothing_to_hear(tmp_path, seconds):
    file = tmp_path / "a.flac"
    demo.encode(sine(seconds, amplitude=0.0), file)
    with pytest.raises(NothingToHearError, match="silent") as caught:
        read_excerpts(file)
    assert caught.value.path == str(file)
    demo.encode(sine(seconds, amplitude=0.0002), file)  # -74 dBFS
    with pytest.raises(NothingToHearError, match="silent"):
        read_excerpts(file)
    demo.encode(sine(seconds, amplitude=0.0005), file)  # -66 dBFS
    read_excerpts(file)


def heard_seconds(sound):
    return sum(len(e.samples) - e.edge_before - e.edge_after for e in sound.excerpts) / SAMPLE_RATE


def loudest(excerpt):
    return np.abs(excerpt.samples).max()


@pytest.mark.parametrize(
    ("suffix", "layout"),
    [
        (".flac", (30, -400)),
        (".flac", (-400, 30)),
        (".flac", (180, -600)),
        (".flac", (240, -600, 60)),
        (".mp3", (120, -300, 30)),
        (".ogg", (120, -300, 30)),
    ],
)
def test_a_track_is_judged_by_what_sounds(tmp_path, suffix, layout):
    """Regression: silent excerpts were classified, and read as Classical."""
    rate = 8000
    second = noise(1.0, rate)
    parts = [np.tile(second if s > 0 else 0 * second, abs(s)) for s in layout]
    demo.encode(np.concatenate(parts), tmp_path / f"a{suffix}", rate=rate)
    sound = read_excerpts(tmp_path / f"a{suffix}")
    assert 12 <= heard_seconds(sound) <= 36.5
    assert all(loudest(excerpt) > 0.1 for excerpt in sound.excerpts)
    assert all(a.start_s < b.start_s for a, b in pairwise(sound.excerpts))
    ends = np.cumsum(np.abs(layout))
    for excerpt in sound.excerpts:
        assert layout[int(np.searchsorted(ends, excerpt.start_s + 0.5))] > 0


def test_a_pause_is_cut_out_and_a_short_one_is_music(tmp_path):
    samples = noise(20.0)
    samples[5 * 44100 : 6 * 44100] = 0
    demo.encode(samples, tmp_path / "short.flac")
    (whole,) = read_excerpts(tmp_path / "short.flac").excerpts
    assert len(whole.samples) == pytest.approx(20 * SAMPLE_RATE, abs=2)
    samples[5 * 44100 : 12 * 44100] = 0
    demo.encode(samples, tmp_path / "long.flac")
    first, second = read_excerpts(tmp_path / "long.flac").excerpts
    assert (first.start_s, second.start_s) == (0, pytest.approx(12, abs=0.11))
    assert heard_seconds(read_excerpts(tmp_path / "long.flac")) == pytest.approx(13, abs=0.3)


def test_silence_costs_a_bounded_number_of_looks(tmp_path, monkeypatch):
    demo.encode(np.zeros(8000 * 600, np.float32), tmp_path / "a.flac", rate=8000)
    reads = 0

    class Counted(audio.Source):
        def read(self, *arguments):
            nonlocal reads
            reads += 1
            return super().read(*arguments)

    monkeypatch.setattr(audio, "Source", Counted)
    with pytest.raises(NothingToHearError, match="silent"):
        read_excerpts(tmp_path / "a.flac")
    assert 3 < reads <= 20


KINDS = {
    "8 bit": ("a.wav", {"codec": "pcm_u8"}),
    "16 bit big-endian": ("a.aiff", {}),
    "24 bit": ("a.wav", {"codec": "pcm_s24le"}),
    "32 bit": ("a.wav", {"codec": "pcm_s32le"}),
    "32 bit float": ("a.wav", {"codec": "pcm_f32le"}),
    "64 bit float": ("a.wav", {"codec": "pcm_f64le"}),
    "A-law": ("a.wav", {"codec": "pcm_alaw"}),
    "ADPCM": ("a.wav", {"codec": "adpcm_ima_wav"}),
    "8 kHz": ("a.wav", {"rate": 8000}),
    "11,025 Hz": ("a.mp3", {"rate": 11025}),
    "22,050 Hz": ("a.flac", {"rate": 22050}),
    "48 kHz": ("a.flac", {"rate": 48000}),
    "192 kHz": ("a.flac", {"rate": 192000}),
    "768 kHz": ("a.wav", {"rate": 768000}),
    "mono": ("a.m4a", {"channels": 1}),
    "5.1": ("a.flac", {"channels": 6}),
    "7.1": ("a.wav", {"channels": 8}),
    "7.1, planar": ("a.m4a", {"channels": 8}),
    "MP3 in WAV": ("a.wav", {"codec": "libmp3lame"}),
    "MP2": ("a.mp3", {"codec": "mp2", "container": "mp2"}),
    "raw AAC": ("a.aac", {"codec": "aac", "container": "adts"}),
}


# Those that differ in how they are sought are tried with a long track too.
SOUGHT = ("8 bit", "24 bit", "ADPCM", "22,050 Hz", "5.1", "MP3 in WAV", "MP2", "raw AAC")


@pytest.mark.parametrize(
    ("kind", "seconds"), [(kind, 3.0) for kind in KINDS] + [(kind, 40.0) for kind in SOUGHT]
)
def test_a_tone_is_the_same_tone_in_every_kind_of_file(tmp_path, kind, seconds):
    name, encoding = KINDS[kind]
    demo.encode(sine(seconds, encoding.get("rate", 44100)), tmp_path / name, **encoding)
    sound = read_excerpts(tmp_path / name)
    assert sound.duration_s == pytest.approx(seconds, abs=0.5)
    assert len(sound.excerpts) == (1 if seconds < 36 else 3)
    for excerpt in sound.excerpts:
        inner = excerpt.samples[SAMPLE_RATE : 2 * SAMPLE_RATE].astype(float)
        spectrum = np.abs(np.fft.rfft(inner)) / SAMPLE_RATE * 2
        assert np.argmax(spectrum) == 440
        assert spectrum[440] == pytest.approx(0.5, rel=0.12)  # AAC has a dull LFE
        assert abs(inner.mean()) < 0.01


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
@pytest.mark.parametrize(
    ("left", "right", "loudest"),
    [(1, 1, 0.5), (1, 0, 0.5), (0, 1, 0.5), (1, -1, 0.5), (1, -0.6, 0.5), (1, 0.5, 0.375)],
    ids=["alike", "left alone", "right alone", "opposite", "nearly opposite", "panned"],
)
def test_of_two_channels_what_sounds_is_heard(tmp_path, suffix, left, right, loudest):
    """Regression: out-of-phase stereo was silent, and one channel alone half as loud."""
    demo.encode(np.stack([left * sine(), right * sine()]), tmp_path / f"a{suffix}")
    (excerpt,) = read_excerpts(tmp_path / f"a{suffix}").excerpts
    assert np.abs(excerpt.samples[9999:-9999]).max() == pytest.approx(loudest, abs=0.01)


@pytest.mark.parametrize(
    ("gains", "loudest"),
    [
        ((1, -1, 0, 0.1, 0, 0), 0.5),  # the fronts, and a little bass
        ((1, -1, 0.2, 0, 0.1, -0.1), 0.5),
        ((0.6, 0.6, 0, 0, 0, 0), 0.1),  # a sixth of the sum: nothing is lost
        ((0, 0, 0, 1, 0, 0), 0.5 / 6),  # bass alone is what there is
        ((1, 0, 0, 0, 0, 0), 0.5 / 6),
    ],
    ids=["opposite fronts", "and others", "equal fronts", "bass", "one"],
)
def test_of_six_channels_what_sounds_is_heard(tmp_path, gains, loudest):
    """Regression: fronts in antiphase cancelled each other out."""
    rows = np.stack([gain * sine() for gain in gains])
    soundfile.write(tmp_path / "a.wav", rows.T, SAMPLE_RATE, subtype="FLOAT")
    (excerpt,) = read_excerpts(tmp_path / "a.wav").excerpts
    assert np.abs(excerpt.samples[9999:-9999]).max() == pytest.approx(loudest, abs=0.01)


def test_unrelated_channels_are_averaged(tmp_path):
    left, right = noise(4.0, seed=1), noise(4.0, seed=2)
    demo.encode(np.stack([left, right]), tmp_path / "a.wav")
    (excerpt,) = read_excerpts(tmp_path / "a.wav").excerpts
    expected = at_our_rate((left + right) / 2)
    assert np.corrcoef(excerpt.samples[1000:-1000], expected[1000:-1000])[0, 1] > 0.99


def write_dsf(file, samples):
    """A DSD64 file of one channel, by a sigma-delta modulator of the first order."""
    held = np.repeat(samples.astype(float), 64)
    # Its error never exceeds 1 bit, so the bits are the differences of the rounded integral.
    integral = np.floor(np.cumsum((held + 1) / 2))
    bits = np.diff(integral, prepend=0).astype(np.uint8)
    data = np.packbits(bits, bitorder="little").tobytes()
    blocks = -(-len(data) // 4096)
    fmt = b"fmt " + (52).to_bytes(8, "little")
    for value in (1, 0, 1, 1, 64 * 44100, 1):
        fmt += value.to_bytes(4, "little")
    fmt += len(bits).to_bytes(8, "little") + (4096).to_bytes(4, "little") + bytes(4)
    data = data.ljust(blocks * 4096, b"\x69")
    chunk = b"data" + (12 + len(data)).to_bytes(8, "little") + data
    size = (28 + len(fmt) + len(chunk)).to_bytes(8, "little")
    file.write_bytes(b"DSD " + (28).to_bytes(8, "little") + size + bytes(8) + fmt + chunk)


def test_dsd(tmp_path):
    write_dsf(tmp_path / "a.dsf", sine(3.0))
    sound = read_excerpts(tmp_path / "a.dsf")
    assert sound.duration_s == pytest.approx(3.0, abs=0.1)
    inner = sound.excerpts[-1].samples[SAMPLE_RATE : 2 * SAMPLE_RATE]
    spectrum = np.abs(np.fft.rfft(inner)) / SAMPLE_RATE * 2
    assert np.argmax(spectrum) == 440
    assert spectrum[440] == pytest.approx(0.5, rel=0.1)


def picture(codec, pix_fmt):
    """An encoded image of 64 × 64."""
    context = av.CodecContext.create(codec, "w")
    context.width = context.height = 64
    context.pix_fmt = pix_fmt
    context.time_base = Fraction(1, 25)
    image = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), "rgb24")
    packets = context.encode(image) + context.encode(None)
    return b"".join(bytes(packet) for packet in packets)


@pytest.mark.parametrize("suffix", [".mp3", ".flac", ".m4a", ".wav", ".aiff", ".wma"])
def test_cover_art_is_no_sound(make_audio, suffix):
    file = make_audio(suffix, duration_s=37.0, channels=1)
    without = read_excerpts(file)
    tagged = mutagen.File(file)
    data = picture("png", "rgb24")
    if suffix == ".flac":
        art = flac.Picture()
        art.data, art.mime, art.type = data, "image/png", 3
        tagged.add_picture(art)
    elif suffix == ".m4a":
        tagged["covr"] = [mp4.MP4Cover(data, mp4.MP4Cover.FORMAT_PNG)]
    elif suffix == ".wma":
        art = b"\x03" + len(data).to_bytes(4, "little") + "image/png\0\0".encode("utf-16-le")
        tagged["WM/Picture"] = [mutagen.asf.ASFByteArrayAttribute(art + data)]
    else:
        if tagged.tags is None:
            tagged.add_tags()
        tagged.tags.add(id3.APIC(mime="image/png", type=3, data=data))
    tagged.save()
    with av.open(file) as container:
        assert container.streams.video, "the picture is no stream here: this shows nothing"
    sound = read_excerpts(file)
    for one, other in zip(without.excerpts, sound.excerpts, strict=True):
        np.testing.assert_array_equal(one.samples, other.samples)


NAMES = [
    "-rf.flac",
    "concat:a.flac|b.flac",
    "http:a.flac",
    "pipe:0",
    "data:,a.flac",
    "%d.flac",
    "a?b#c.flac",
    "\x1b]0;title\x07.flac",
    "a\nb.flac",
    "caf\udce9.flac",
    "x" * 250 + ".flac",
]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_any_name_is_a_file(make_audio, tmp_path, monkeypatch, name):
    try:
        file = make_audio(".flac", duration_s=2.0, name=name)
    except OSError:
        pytest.skip("this file system does not take the name")
    monkeypatch.chdir(tmp_path)
    for path in (name, os.path.join(tmp_path, name), file):  # noqa: PTH118
        assert read_excerpts(path).duration_s == pytest.approx(2.0)


def test_what_is_no_sound_file_says_so(tmp_path):
    with pytest.raises(UnreadableError, match="No such file"):
        read_excerpts(tmp_path / "nowhere.mp3")
    with pytest.raises(UnreadableError, match="not a regular file"):
        read_excerpts(tmp_path)
    (tmp_path / "empty.mp3").touch()
    with pytest.raises(UnreadableError, match="empty"):
        read_excerpts(tmp_path / "empty.mp3")
    (tmp_path / "text.mp3").write_text("This is no music.\n" * 1000)
    with pytest.raises(UnreadableError, match="damaged, or no sound file") as caught:
        read_excerpts(tmp_path / "text.mp3")
    assert caught.value.path == str(tmp_path / "text.mp3")
    assert caught.value.hint


PEAK = """
import resource, sys
from tagger.sound.audio import read_excerpts
read_excerpts(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
sound = read_excerpts(sys.argv[2])
assert sound.duration_s > 3500, sound
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in kilobytes on Linux")
@pytest.mark.parametrize("suffix", [".mp3", ".flac", ".wav", ".m4a"])
@pytest.mark.slow
def test_an_hour_takes_the_memory_of_a_song(tmp_path, suffix):
    minute = demo.compose("classical", duration_s=60.0)
    for minutes, name in ((4, "song"), (60, "mix")):
        # At half the rate it is twice as long.
        piece = np.tile(minute, minutes // 2)
        demo.encode(
            piece, tmp_path / f"{name}{suffix}", rate=SAMPLE_RATE, channels=1, bit_rate=64000
        )
    command = [sys.executable, "-c", PEAK, tmp_path / f"song{suffix}", tmp_path / f"mix{suffix}"]
    grown = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert grown < 16 * 1024, f"{grown} KiB"


def bytes_read():
    return int(Path("/proc/self/io").read_text().split()[1])


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="no /proc/self/io")
def test_a_long_mp3_without_a_seek_table_is_not_read_through(tmp_path):
    minute = tmp_path / "minute.mp3"
    demo.encode(noise(60.0), minute, channels=1, options={"write_xing": "0"})
    file = tmp_path / "mix.mp3"
    with open(file, "wb") as out:
        for _ in range(60):
            out.write(minute.read_bytes())
    before = bytes_read()
    sound = read_excerpts(file)
    assert bytes_read() - before < 5e6 < file.stat().st_size / 10
    assert sound.duration_s == pytest.approx(3600, rel=0.01)
    assert all(one.start_s + 1000 < other.start_s for one, other in pairwise(sound.excerpts))


def with_longer_header(vorbis: bytes) -> bytes:
    """An Ogg Vorbis file whose first packet, on a page of its own, has four bytes more."""
    ogg = OggPage(io.BytesIO(vorbis))
    rest = vorbis[ogg.size :]
    ogg.packets = [ogg.packets[0] + bytes(4)]
    return ogg.write() + rest


@pytest.mark.parametrize("seconds", [20.0, 60.0])
@pytest.mark.parametrize("channels", [1, 2])
def test_an_ogg_file_that_ffmpeg_refuses_is_heard(tmp_path, seconds, channels):
    """Regression: healthy files, to libsndfile and mutagen, were unreadable."""
    healthy, odd = tmp_path / "healthy.ogg", tmp_path / "odd.ogg"
    samples = noise(seconds)
    demo.encode(np.stack([samples, -samples]) if channels == 2 else samples, healthy)
    odd.write_bytes(with_longer_header(healthy.read_bytes()))
    with pytest.raises(av.InvalidDataError):
        av.open(str(odd))
    expected, heard = read_excerpts(healthy), read_excerpts(odd)
    assert heard.duration_s == pytest.approx(expected.duration_s, abs=0.05)
    assert len(heard.excerpts) == len(expected.excerpts)
    for ours, theirs in zip(heard.excerpts, expected.excerpts, strict=True):
        assert ours.start_s == pytest.approx(theirs.start_s, abs=0.02)
        assert len(ours.samples) == pytest.approx(len(theirs.samples), abs=300)
        n = min(len(ours.samples), len(theirs.samples)) - 200
        spectra = [np.abs(np.fft.rfft(e.samples[100:n])) for e in (ours, theirs)]
        assert np.corrcoef(*spectra)[0, 1] > 0.98


def test_what_neither_reads_is_unreadable(tmp_path):
    (tmp_path / "a.ogg").write_bytes(b"OggS" + bytes(range(256)) * 20)
    with pytest.raises(UnreadableError, match="ffmpeg"):
        read_excerpts(tmp_path / "a.ogg")
