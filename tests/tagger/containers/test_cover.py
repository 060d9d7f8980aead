"""The cover in a file's tags, of every family, and what is no picture."""

from __future__ import annotations

import pytest
from mediafile import Image, ImageType, MediaFile

from tagger.containers.cover import read_cover
from tagger.containers.recognise import identify

PICTURES = {
    "image/png": b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4,
    "image/jpeg": b"\xff\xd8\xff\xe0" + bytes(range(256)) * 4,
}


@pytest.mark.parametrize(
    "suffix", [".mp3", ".flac", ".ogg", ".opus", ".m4a", ".wma", ".wv", ".aiff"]
)
@pytest.mark.parametrize("kind", PICTURES)
def test_a_cover_is_read_back(make_audio, suffix, kind):
    piece = make_audio(suffix)
    assert read_cover(piece, identify(piece)) is None
    media = MediaFile(piece)
    media.images = [Image(PICTURES[kind], desc="front", type=ImageType.front)]
    media.save()
    assert read_cover(piece, identify(piece)) == (kind, PICTURES[kind])


def test_what_is_no_picture_of_the_web_is_no_cover(make_audio):
    piece = make_audio(".mp3")
    media = MediaFile(piece)
    media.images = [Image(b"<svg onload='alert(1)'></svg>" * 50, type=ImageType.front)]
    media.save()
    assert read_cover(piece, identify(piece)) is None
