"""Sound files that are damaged, lie, or mean harm: typed errors, or what sound there is."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import time
import wave

import av
import numpy as np
import pytest

from tagger.sound import decoder, demo
from tagger.sound.audio import EDGE, EXCERPT_S, read_excerpts
from tagger.sound.decoder import SAMPLE_RATE
from tagger.system.errors import GtagError, NothingToHearError, UnreadableError
from tests.conftest import SEED
from tests.tagger.specimens import ENCODED

OTHERS = [SEED] if SEED else []  # other random files than usual

LENGTH = round(EXCERPT_S * SAMPLE_RATE)
SECONDS = 80.0
RATE = 22050  # a quarter of the work, for a file as good to spoil


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    """80 s of the same music in every container."""
    folder = tmp_path_factory.mktemp("originals")
    piece = demo.compose("jazz", duration_s=SECONDS / 2)  # at half the rate twice as long
    encoded = {}
    for suffix in ENCODED:
        channels = 2 if suffix == ".ogg" else 1
        demo.encode(piece, folder / f"a{suffix}", rate=RATE, channels=channels, bit_rate=32_000)
        encoded[suffix] = (folder / f"a{suffix}").read_bytes()
    return encoded


def patched(content, at, new):
    return content[:at] + new + content[at + len(new) :]


def assert_three_within(sound, seconds, tolerance):
    """Three whole excerpts around 1/6, 1/2 and 5/6 of so many seconds."""
    assert [len(excerpt.samples) for excerpt in sound.excerpts] == 3 * [LENGTH + 2 * EDGE]
    middles = [excerpt.start_s + EXCERPT_S / 2 for excerpt in sound.excerpts]
    assert middles == pytest.approx([seconds / 6, seconds / 2, 5 * seconds / 6], abs=tolerance)
    assert sound.duration_s == pytest.approx(seconds, abs=tolerance)


@pytest.mark.parametrize("suffix", sorted(set(ENCODED) - {".m4a"}))
def test_of_a_truncated_file_the_places_are_within_what_is_left(tmp_path, originals, suffix):
    content = originals[suffix]
    file = tmp_path / f"a{suffix}"
    file.write_bytes(content[: len(content) * 3 // 4])
    assert_three_within(read_excerpts(file), 60.0, 6.0)
    file.write_bytes(content[: len(content) // 8])
    (excerpt,) = read_excerpts(file).excerpts
    assert len(excerpt.samples) == pytest.approx(10 * SAMPLE_RATE, rel=0.3)


def test_an_mp4_whose_index_is_cut_off_is_unreadable(tmp_path, originals):
    (tmp_path / "a.m4a").write_bytes(originals[".m4a"][:-1000])
    with pytest.raises(UnreadableError):
        read_excerpts(tmp_path / "a.m4a")


@pytest.mark.parametrize("claimed_s", [1, 10, 35, 50, 800, 60_000])
def test_a_flac_header_may_lie_about_the_length(tmp_path, originals, claimed_s):
    # The last 36 bits of eight bytes that also hold rate, channels and bits.
    (packed,) = struct.unpack(">Q", originals[".flac"][18:26])
    packed = packed >> 36 << 36 | claimed_s * RATE
    file = tmp_path / "a.flac"
    file.write_bytes(patched(originals[".flac"], 18, struct.pack(">Q", packed)))
    sound = read_excerpts(file)
    # A claim that is too short and yet long enough for three excerpts is never found out.
    assert_three_within(sound, 50.0 if claimed_s == 50 else SECONDS, 0.2)


@pytest.mark.parametrize("factor", [0.1, 10, 1000])
def test_a_xing_header_may_lie_about_the_length(tmp_path, originals, factor):
    content = originals[".mp3"]
    at = content.index(b"Info") + 8
    frames = int(int.from_bytes(content[at : at + 4], "big") * factor)
    file = tmp_path / "a.mp3"
    file.write_bytes(patched(content, at, frames.to_bytes(4, "big")))
    assert_three_within(read_excerpts(file), SECONDS, 1.0)


@pytest.mark.parametrize("size", [0, 1000, 0x7FFFFFFF, 0xFFFFFFFF])
def test_a_wav_header_may_lie_about_the_length(tmp_path, originals, size):
    content = originals[".wav"]
    file = tmp_path / "a.wav"
    at = content.index(b"data") + 4
    file.write_bytes(patched(content, at, struct.pack("<I", size)))
    try:
        sound = read_excerpts(file)
    except NothingToHearError:
        assert size == 1000
    else:
        assert_three_within(sound, SECONDS, 0.1)


def test_a_wav_may_claim_to_hold_days(tmp_path):
    file = tmp_path / "a.wav"
    with wave.open(str(file), "wb") as out:
        out.setparams((1, 1, 1000, 0, "NONE", ""))
        out.writeframes(b"\x80" * 2000)
    with file.open("r+b") as out:  # a sparse file
        out.seek(40)
        out.write(struct.pack("<I", 0xFFFFFF00))
        out.truncate(0xFFFFFF00)
    started = time.process_time()  # not of the others on a busy machine
    sound = read_excerpts(file)
    assert time.process_time() - started < 5
    assert sum(len(excerpt.samples) for excerpt in sound.excerpts) <= 3 * (LENGTH + 2 * EDGE)


@pytest.mark.parametrize("suffix", [".mp3", ".flac"])
@pytest.mark.parametrize("whole", [3000, 100_000])
def test_gigabytes_of_zeros_are_not_searched_to_the_end(
    tmp_path, originals, monkeypatch, suffix, whole
):
    """Regression: a sparse file of 5 GiB took a worker more than a minute."""
    file = tmp_path / f"a{suffix}"
    file.write_bytes(originals[suffix][:whole])
    os.truncate(file, 5 << 30)
    read = 0

    class Counted(decoder._Bytes):
        def read(self, n: int = -1) -> bytes:
            nonlocal read
            content = super().read(n)
            read += len(content)
            return content

    monkeypatch.setattr(decoder, "_Bytes", Counted)
    monkeypatch.setattr(decoder, "_MAX_SEARCHED", 1 << 22)
    with contextlib.suppress(GtagError):
        read_excerpts(file)
    assert 0 < read < 20 * (1 << 22), "a few searches, each of them bounded"


@pytest.mark.parametrize("rate", [0, 1, 7, 999, 1000, 768_000, 6_000_000, 0x7FFFFFFF, 0xFFFFFFFF])
def test_a_wav_may_claim_any_sampling_rate(tmp_path, originals, rate):
    file = tmp_path / "a.wav"
    file.write_bytes(patched(originals[".wav"], 24, struct.pack("<I", rate)))
    if 1000 <= rate < 6_000_000:  # beyond, the resampler would fill the memory
        sound = read_excerpts(file)
        assert sum(len(excerpt.samples) for excerpt in sound.excerpts) <= 37 * SAMPLE_RATE
    else:
        with pytest.raises(GtagError):
            read_excerpts(file)


@pytest.mark.parametrize(
    "suffix", [".mp3", ".flac", ".ogg", ".opus", ".m4a", ".wma", ".wv", ".tta"]
)
def test_damage_in_the_middle_is_skipped(tmp_path, originals, suffix):
    content = originals[suffix]
    rubbish = np.random.default_rng(0).bytes(3000)
    for place in (1 / 6, 1 / 2, 5 / 6):
        content = patched(content, int(len(content) * place), rubbish)
    file = tmp_path / f"a{suffix}"
    file.write_bytes(content)
    assert_three_within(read_excerpts(file), SECONDS, 2.0)


def test_a_file_that_is_nothing_but_damage_is_unreadable(tmp_path, originals):
    content = originals[".flac"]
    rubbish = np.random.default_rng(0).bytes(len(content) - 100)
    (tmp_path / "a.flac").write_bytes(content[:100] + rubbish)
    with pytest.raises(UnreadableError) as caught:
        read_excerpts(tmp_path / "a.flac")
    assert caught.value.hint


@pytest.mark.parametrize("seconds", [3.0, 40.0])
def test_every_value_is_finite(tmp_path, seconds):
    samples = demo.compose("jazz", duration_s=seconds).astype("<f4")
    samples[1000::5000] = np.nan
    samples[2000::5000] = np.inf
    samples[3000::5000] = -3e38
    data = samples.tobytes()
    head = struct.pack(
        "<4sI8sIHHIIHH", b"RIFF", 36 + len(data), b"WAVEfmt ", 16, 3, 1, 44100, 176400, 4, 32
    )
    (tmp_path / "a.wav").write_bytes(head + b"data" + struct.pack("<I", len(data)) + data)
    for excerpt in read_excerpts(tmp_path / "a.wav").excerpts:
        assert np.isfinite(excerpt.samples).all()
        assert np.isfinite(np.square(excerpt.samples, dtype=np.float32)).all()


def test_a_stream_may_change_in_the_middle(tmp_path, originals):
    demo.encode(demo.compose("disco", duration_s=20), tmp_path / "b.mp3", rate=32000, channels=2)
    file = tmp_path / "a.mp3"
    file.write_bytes(originals[".mp3"] + (tmp_path / "b.mp3").read_bytes())
    assert [len(excerpt.samples) for excerpt in read_excerpts(file).excerpts] == 3 * [
        LENGTH + 2 * EDGE
    ]
    short = originals[".mp3"][: len(originals[".mp3"]) // 8]
    file.write_bytes(short + (tmp_path / "b.mp3").read_bytes()[:50_000])
    assert sum(len(excerpt.samples) for excerpt in read_excerpts(file).excerpts) > 11 * SAMPLE_RATE


@pytest.fixture
def listener():
    """A port of this machine, and a function that says whether somebody called."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)

        def called():
            try:
                server.accept()[0].close()
            except TimeoutError:
                return False
            return True

        yield server.getsockname()[1], called


HLS = "#EXTM3U\n#EXT-X-TARGETDURATION:40\n#EXTINF:40,\n{}\n#EXT-X-ENDLIST\n"
DASH = (
    '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period>'
    '<AdaptationSet><Representation id="1" bandwidth="1"><BaseURL>{}</BaseURL>'
    "</Representation></AdaptationSet></Period></MPD>"
)
LISTS = {
    "concat": "ffconcat version 1.0\nfile {}\n",
    "hls": HLS,
    "dash": DASH,
    "sdp": "v=0\ns={}\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
    "pls": "[playlist]\nFile1={}\nNumberOfEntries=1\n",
}


@pytest.mark.parametrize("suffix", [".mp3", ".wav", ".m3u8", ".mpd", ".sdp"])
@pytest.mark.parametrize("kind", LISTS)
def test_a_list_in_disguise_opens_nothing(make_audio, tmp_path, listener, kind, suffix):
    make_audio(".wav", name="other.wav")
    port, called = listener
    for target in ("other.wav", f"http://127.0.0.1:{port}/a.wav"):
        file = tmp_path / f"list{suffix}"
        file.write_text(LISTS[kind].format(target))
        with pytest.raises(UnreadableError):
            read_excerpts(file)
    assert not called()


def test_without_precautions_a_list_is_followed(make_audio, tmp_path):
    # What the test above would not see: that ffmpeg itself has become careful.
    make_audio(".wav", name="other.wav")
    (tmp_path / "list.mp3").write_text(LISTS["concat"].format("other.wav"))
    with av.open(str(tmp_path / "list.mp3")) as container:
        assert next(container.decode(audio=0)).samples > 0


def test_an_mp4_that_refers_to_another_file_opens_nothing(tmp_path, originals, listener):
    port, called = listener
    url = b"\x0c\0\0\0" + f"http://127.0.0.1:{port}/a".encode() + b"\0"
    content = originals[".m4a"]
    at = content.index(b"url ")
    assert content[at + 4 : at + 8] == b"\0\0\0\1", "no reference to the file itself"
    # "Not in this file", and where instead: over the bytes behind, which spoils the file besides.
    (tmp_path / "a.m4a").write_bytes(patched(content, at + 7, b"\0" + url))
    with pytest.raises(GtagError):
        read_excerpts(tmp_path / "a.m4a")
    assert not called()


def test_native_messages_stay_off_the_terminal(tmp_path, originals, capfd):
    content = bytearray(originals[".mp3"])
    for at in range(5000, len(content), 700):
        content[at] ^= 0x55
    (tmp_path / "a.mp3").write_bytes(content)
    read_excerpts(tmp_path / "a.mp3")
    assert capfd.readouterr() == ("", "")


def flipped(content, rng):
    """A few bits turned, more of them in the header than elsewhere."""
    spoilt = bytearray(content)
    for _ in range(rng.integers(1, 20)):
        end = len(spoilt) if rng.random() < 0.5 else min(2000, len(spoilt))
        spoilt[rng.integers(end)] ^= 1 << rng.integers(8)
    return bytes(spoilt)


def try_spoilt(content, file, rng):
    """Truncated or with bits turned, it is heard or refused in words, and soon."""
    for spoil in (flipped, lambda content, rng: content[: rng.integers(1, len(content))]):
        file.write_bytes(spoil(content, rng))
        started = time.process_time()
        try:
            sound = read_excerpts(file)
        except GtagError as error:
            assert error.message
        else:
            for excerpt in sound.excerpts:
                assert len(excerpt.samples) <= 37 * SAMPLE_RATE
                assert np.isfinite(excerpt.samples).all()
        assert time.process_time() - started < 20


@pytest.mark.parametrize("suffix", ENCODED)
def test_spoilt_files(tmp_path, originals, suffix):
    rng = np.random.default_rng(ENCODED.index(suffix))
    for _ in range(3):
        try_spoilt(originals[suffix], tmp_path / f"a{suffix}", rng)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ENCODED)
def test_many_spoilt_files(tmp_path, originals, suffix):
    rng = np.random.default_rng([1, ENCODED.index(suffix), *OTHERS])
    for _ in range(100):
        try_spoilt(originals[suffix], tmp_path / f"a{suffix}", rng)


@pytest.mark.shared_data
def test_the_corpora_of_odd_files(shared_data):
    files = [path for path in (shared_data / "corpora").rglob("*") if path.is_file()]
    assert len(files) > 150
    for file in files:
        try:
            read_excerpts(file)
        except (UnreadableError, NothingToHearError) as error:
            assert error.message


@pytest.mark.shared_data
def test_a_packet_as_long_as_a_track_is_not_decoded(shared_data, tmp_path):
    content = (shared_data / "corpora" / "mutagen" / "mac-399.ape").read_bytes()
    (tmp_path / "a.ape").write_bytes(content)
    with pytest.raises(NothingToHearError, match="silent"):
        read_excerpts(tmp_path / "a.ape")
    # Blocks in each of its three frames: 67 million, which would be decoded in one go.
    (tmp_path / "a.ape").write_bytes(patched(content, 56, struct.pack("<I", 0x0401_2000)))
    with pytest.raises(NothingToHearError, match="only 0"):
        read_excerpts(tmp_path / "a.ape")


@pytest.mark.slow
@pytest.mark.shared_data
def test_spoilt_corpora(shared_data, tmp_path):
    rng = np.random.default_rng([2, *OTHERS])
    for file in sorted((shared_data / "corpora").rglob("*")):
        if file.is_file() and file.stat().st_size:
            for _ in range(10):
                try_spoilt(file.read_bytes(), tmp_path / f"a{file.suffix}", rng)
