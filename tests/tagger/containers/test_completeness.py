"""Files that are not all there: cut off anywhere, or with zeros where sound should be."""

from __future__ import annotations

import struct

import pytest

from tagger.containers.completeness import check_whole
from tagger.containers.formats import FLAC, MP3
from tagger.containers.recognise import identify
from tagger.sound.audio import read_excerpts
from tagger.system.errors import RefusedError
from tests.tagger.containers.helpers import write_and_restore
from tests.tagger.containers.test_lying_tags import like
from tests.tagger.specimens import ENCODED

UNCOMPRESSED = (".wav", ".aiff")


def refusal(path, content, format):
    path.write_bytes(content)
    try:
        check_whole(path, format)
    except RefusedError as error:
        return error.message
    return None


@pytest.fixture(params=ENCODED)
def whole(request, make_audio):
    path = make_audio(request.param, duration_s=12.0)
    return path, path.read_bytes(), identify(path)


def test_a_whole_file_is_whole(whole):
    path, content, format = whole
    assert refusal(path, content, format) is None
    id3v1 = b"TAG" + b"title".ljust(124, b"\0") + b"\x0c"
    assert refusal(path, content + id3v1, format) is None


def test_a_file_that_is_cut_off_is_refused(whole):
    path, content, format = whole
    for part in (0.3, 0.5, 0.7, 0.9, 0.96):
        message = refusal(path, content[: int(len(content) * part)], format)
        assert message is not None and message.startswith("cut off: "), part


def test_zeros_where_sound_should_be_are_refused(whole):
    path, content, format = whole
    if path.suffix in UNCOMPRESSED:
        pytest.skip("zeros are silence there")
    for begin, end in ((0.4, 0.6), (0.7, 1.0)):
        a, b = int(len(content) * begin), int(len(content) * end)
        assert b - a >= 32 * 1024
        message = refusal(path, content[:a] + bytes(b - a) + content[b:], format)
        assert message is not None and ("zeros" in message or "cut off" in message)


def test_digital_silence_is_whole(tmp_path):
    import numpy as np

    from tagger.sound import demo

    samples = demo.compose("jazz", 0, 4.0)
    silent = np.concatenate([samples, np.zeros_like(samples), samples])
    for suffix in ENCODED:
        path = tmp_path / f"a{suffix}"
        demo.encode(silent, path)
        assert refusal(path, path.read_bytes(), identify(path)) is None, suffix


@pytest.mark.parametrize("suffix", [".flac", ".mp3", ".m4a", ".ogg", ".opus", ".wma"])
def test_padding_and_pictures_of_zeros_are_whole(make_audio, suffix):
    import mutagen

    path = make_audio(suffix, duration_s=4.0)
    file = mutagen.File(path)
    if file.tags is None:
        file.add_tags()
    before = path.stat().st_size
    file.save(padding=lambda info: 300_000)
    assert path.stat().st_size > before + 200_000
    assert refusal(path, path.read_bytes(), identify(path)) is None


TAG = b"ID3\4\0\0\0\0\0\x10TIT2\0\0\0\6\0\0\3Title"


@pytest.mark.parametrize("front", [TAG, b""], ids=["behind a tag", "at the start"])
@pytest.mark.parametrize("zeros", [70_000, 3_000_000])
def test_zeros_before_the_first_frame_are_padding(make_audio, front, zeros):
    """Regression: 70 kB of them were "incomplete", and 600 kB no MP3 at all."""
    path = make_audio(".mp3", duration_s=6.0)
    sound = read_excerpts(path).excerpts[0].samples
    path.write_bytes(front + bytes(zeros) + path.read_bytes())
    assert identify(path) == MP3
    assert refusal(path, path.read_bytes(), MP3) is None
    nameless = path.rename(path.with_suffix(".bin"))
    assert identify(nameless) == MP3
    assert like(read_excerpts(nameless).excerpts[0].samples, sound)
    write_and_restore(nameless)


def test_zeros_in_place_of_the_first_frames_are_a_loss(make_audio):
    """What was lost ends anywhere, a frame begins only here and there."""
    path = make_audio(".mp3", duration_s=12.0)
    content = path.read_bytes()
    frame = content.index(b"\xff\xfb", len(content) // 2)
    lost = TAG + bytes(frame + 7) + content[frame + 7 :]
    assert "zeros" in str(refusal(path, lost, MP3))


def test_zeros_behind_all_that_the_header_claims_are_padding(make_audio):
    path = make_audio(".mp3", duration_s=6.0)
    content = path.read_bytes()
    assert b"Info" in content[:300] or b"Xing" in content[:300]
    assert refusal(path, content + bytes(70_000), MP3) is None
    assert refusal(path, content + bytes(70_000) + b"TAG" + bytes(125), MP3) is None
    unclaimed = content.replace(b"Info", b"\0\0\0\0", 1).replace(b"Xing", b"\0\0\0\0", 1)
    assert "zeros" in str(refusal(path, unclaimed + bytes(70_000), MP3))


@pytest.mark.parametrize("suffix", [".mp3", ".wv", ".tta", ".flac"])
def test_a_picture_of_zeros_behind_the_sound_is_whole(make_audio, suffix):
    path = make_audio(suffix, duration_s=4.0)
    picture = b"cover.bmp\0BM" + bytes(200_000)
    item = struct.pack("<2I", len(picture), 2) + b"Cover Art (Front)\0" + picture
    numbers = struct.pack("<4I", 2000, len(item) + 32, 1, 0) + bytes(8)
    content = path.read_bytes() + item + b"APETAGEX" + numbers
    assert refusal(path, content, identify(path)) is None
    assert refusal(path, content + b"TAG" + bytes(125), identify(path)) is None


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mutagen/vbri.mp3", "cut off: 7,185 of the 6,478,737 bytes"),
        ("mutagen/variable-block.flac", "cut off: 0.9 of 261.7 s"),
        ("mutagen/issue_29.wma", "cut off: 32,000 of the 680,688 bytes"),
        ("mutagen/mac-399.ape", None),
        ("mutagen/silence-2s-PCM-44100-16-ID3v23.wav", None),
        ("mutagen/with-id3.dsf", None),
        ("mediafile/pure.wma", None),  # its header lies about its own size
        ("mediafile/full.mpc", None),
        ("mediafile/full.ape", None),
        ("mediafile/full.wv", None),
    ],
)
def test_files_of_other_programs(shared_data, name, message):
    path = shared_data / "corpora" / name
    format = identify(path)
    assert format is not None
    if message is None:
        check_whole(path, format)
    else:
        with pytest.raises(RefusedError) as caught:
            check_whole(path, format)
        assert caught.value.message.startswith(message)


@pytest.mark.shared_data
@pytest.mark.parametrize(
    "name", ["mutagen/mac-399.ape", "mutagen/with-id3.dsf", "mutagen/sv8_header.mpc"]
)
def test_their_beginnings_are_cut_off(shared_data, tmp_path, name):
    source = shared_data / "corpora" / name
    content = source.read_bytes()
    message = refusal(tmp_path / source.name, content[: len(content) // 2], identify(source))
    assert message is not None and message.startswith("cut off: ")


def test_a_header_that_reaches_into_a_tag_behind_the_sound_is_no_error(tmp_path):
    """Regression: it was read backwards from there, which ended in a ValueError."""
    picture = struct.pack("<2I", 5000, 2) + b"Cover Art (Front)\0" + bytes(5000)
    numbers = struct.pack("<4I", 2000, len(picture) + 32, 1, 0) + bytes(8)
    metadata = (
        b"fLaC\0\0\0\x22" + bytes(34) + b"\x81\0\0\x64"
    )  # padding of 100 bytes, and none there
    content = metadata + picture + b"APETAGEX" + numbers
    assert refusal(tmp_path / "a.flac", content, FLAC) is None
