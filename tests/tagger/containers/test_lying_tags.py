"""Sound behind junk, or behind an ID3 tag that lies about its size, is found and heard."""

from __future__ import annotations

import numpy as np
import pytest

from tagger.containers.formats import MP3
from tagger.containers.read import read_tags
from tagger.containers.recognise import identify
from tagger.containers.write import check_change
from tagger.sound.audio import read_excerpts
from tagger.system.errors import RefusedError, UnreadableError
from tests.tagger.containers.helpers import write_and_restore

TITLE = b"TIT2\0\0\0\x06\0\0\x03Title"
BEHIND = (".wav", ".aiff", ".m4a", ".wma", ".ogg", ".flac", ".wv", ".tta", ".mp3", ".opus")


def tag(claims: int, body: bytes) -> bytes:
    return b"ID3\x04\0\0" + bytes(claims >> k & 0x7F for k in (21, 14, 7, 0)) + body


LIES = {
    "too short": lambda sound: tag(5, TITLE + bytes(1000)) + sound,
    "too short, with a picture": lambda sound: tag(50, TITLE + b"\xff\xd8\xff" * 3000) + sound,
    "too long": lambda sound: tag(5000, TITLE) + sound,
    "no size": lambda sound: b"ID3\x04\0\0\xff\xff\xff\xff" + TITLE + sound,
    "240 kB of junk": lambda sound: b"junkjunk" * 30_000 + sound,
}


def like(heard, original) -> bool:
    """Whether both are the same music; what a tag took of the start may be missing."""
    n = min(len(heard), len(original)) - 8000
    spectra = [np.abs(np.fft.rfft(x[-n:])) for x in (heard, original)]
    return float(np.corrcoef(spectra)[0, 1]) > 0.9


@pytest.mark.parametrize("suffix", BEHIND)
def test_every_container_is_heard_behind_an_id3_tag(make_audio, suffix):
    """Regression: WAV, AIFF, M4A, WMA and WavPack were recognised there and then not decoded."""
    path = make_audio(suffix, duration_s=6.0)
    original, format = read_excerpts(path).excerpts[0].samples, identify(path)
    path.write_bytes(tag(300, bytes(300)) + path.read_bytes())
    assert identify(path) == format
    np.testing.assert_array_equal(read_excerpts(path).excerpts[0].samples, original)


def test_places_far_into_a_wav_behind_an_id3_tag_are_heard(make_audio):
    path = make_audio(".wav", duration_s=50.0)
    original = read_excerpts(path)
    path.write_bytes(tag(300, bytes(300)) + path.read_bytes())
    heard = read_excerpts(path)
    assert len(heard.excerpts) == 3
    for one, other in zip(heard.excerpts, original.excerpts, strict=True):
        np.testing.assert_array_equal(one.samples, other.samples)


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_an_mp3_behind_a_tag_that_lies_is_heard_written_and_brought_back(make_audio, lie):
    path = make_audio(".mp3", duration_s=6.0)
    sound, original = path.read_bytes(), read_excerpts(path).excerpts[0].samples
    path.write_bytes(lie(sound))
    before = path.read_bytes()
    assert identify(path) == MP3
    assert like(read_excerpts(path).excerpts[0].samples, original)
    between = write_and_restore(path)
    assert sound in between
    assert path.read_bytes() == before
    path.write_bytes(between)
    assert like(read_excerpts(path).excerpts[0].samples, original)


def test_a_tag_that_claims_more_than_the_file_has_is_heard_and_left_alone(make_audio):
    path = make_audio(".mp3", duration_s=6.0)
    original = read_excerpts(path).excerpts[0].samples
    path.write_bytes(tag(1 << 20, TITLE) + path.read_bytes())
    assert identify(path) == MP3
    assert like(read_excerpts(path).excerpts[0].samples, original)
    with pytest.raises(UnreadableError, match="in the middle of its tag"):
        read_tags(path, MP3)
    with pytest.raises((UnreadableError, RefusedError)):
        check_change(path, MP3)


def test_a_tag_that_claims_more_than_the_file_has_makes_no_mp3_of_anything(tmp_path):
    path = tmp_path / "a.mp3"
    for behind in (b"", bytes(3000), b"\xff" * 3000, b"PK\x03\x04" * 999, b"text " * 999):
        path.write_bytes(tag(1 << 20, behind))
        assert identify(path) is None
