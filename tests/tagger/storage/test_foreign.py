"""What another format's reader opens is never written, whatever MPEG frames stand in it."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import av
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tagger.containers.formats import FORMATS, MP3
from tagger.containers.recognise import identify
from tagger.containers.write import Change, check_change, write_change
from tagger.system.errors import GtagError, RefusedError

CHANGE = Change(("Jazz",), ("Jazz",), 0.9, "test-1")


def old_tar(name: str, content: bytes) -> bytes:
    """A tar of before 1988, which has no signature."""
    header = bytearray(512)
    header[: len(name)] = name.encode()
    header[100:124] = b"0000644\0" + b"0001750\0" + b"0001750\0"
    header[124:136] = f"{len(content):011o} ".encode()
    header[136:148] = b"14000000000 "
    header[148:156] = b" " * 8
    header[148:156] = f"{sum(header):06o}\0 ".encode()
    return bytes(header) + content + bytes(-len(content) % 512 + 1024)


def archive(kind: str, sound: Path) -> bytes:
    content, made = sound.read_bytes(), io.BytesIO()
    if kind == "old tar":
        return old_tar("a.mp3", content)
    if kind.startswith("tar"):
        with tarfile.open(fileobj=made, mode="w", format=int(kind[-1])) as tar:
            tar.add(sound, arcname="a.mp3")
    else:
        if kind == "zip behind junk":
            made.write(b"junk" * 100)
        with zipfile.ZipFile(made, "a", zipfile.ZIP_STORED) as packed:
            packed.write(sound, "a.mp3")
    return made.getvalue()


def remuxed(kind: str, sound: Path) -> bytes:
    """The same packets in another container."""
    made = io.BytesIO()
    with av.open(str(sound)) as source, av.open(made, "w", format=kind) as target:
        stream = source.streams.audio[0]
        copy = target.add_stream_from_template(stream)
        for packet in source.demux(stream):
            if packet.dts is not None:
                packet.stream = copy
                target.mux(packet)
    return made.getvalue()


ARCHIVES = ("tar 0", "tar 1", "tar 2", "old tar", "zip", "zip behind junk")
CONTAINERS = ("matroska", "avi", "mov", "mpegts", "nut", "asf", "flv")


def refused_and_untouched(path: Path) -> None:
    before = hashlib.sha256(path.read_bytes()).digest()
    for format in FORMATS:
        if identify(path) == format:
            continue
        with pytest.raises(GtagError):
            check_change(path, format)
        with pytest.raises(GtagError):
            write_change(path, format, CHANGE)
        assert hashlib.sha256(path.read_bytes()).digest() == before
    assert {p.name for p in path.parent.iterdir()} == {path.name}


@pytest.mark.parametrize("suffix", [".mp3", ".tar", ""])
@pytest.mark.parametrize("kind", ARCHIVES)
def test_an_archive_of_mp3s_is_no_mp3(make_audio, tmp_path, kind, suffix):
    """Regression: four frames anywhere in the first 64 KiB were enough."""
    path = tmp_path / "in" / f"all{suffix}"
    path.parent.mkdir()
    path.write_bytes(archive(kind, make_audio(".mp3")))
    assert identify(path) is None
    refused_and_untouched(path)


@pytest.mark.parametrize("kind", CONTAINERS)
def test_mpeg_sound_in_another_container_is_no_mp3(make_audio, tmp_path, kind):
    path = tmp_path / "in" / "song.mp3"
    path.parent.mkdir()
    try:
        path.write_bytes(remuxed(kind, make_audio(".mp3")))
    except (av.FFmpegError, ValueError, AttributeError) as error:
        pytest.skip(f"this FFmpeg does not write {kind}: {error}")
    found = identify(path)
    assert (
        found is None
        or not found.is_tagged
        or (kind, found.name) in (("asf", "ASF"), ("mov", "MP4"))
    )
    refused_and_untouched(path)


def test_an_archive_with_an_id3_tag_in_front_is_none_either(make_audio, tmp_path):
    path = tmp_path / "all.mp3"
    tag = b"ID3\x04\0\0\0\0\x01\x00" + bytes(128)
    path.write_bytes(tag + archive("tar 0", make_audio(".mp3")))
    assert identify(path) is None


def test_a_scan_leaves_an_archive_alone(make_audio, tmp_path):
    folder = tmp_path / "music"
    folder.mkdir()
    path = folder / "all.tar"
    path.write_bytes(archive("tar 0", make_audio(".mp3")))
    before = path.read_bytes()
    command = [sys.executable, "-m", "tagger", "scan", str(folder), "--write-tags"]
    options = ["--min-confidence", "0", "--min-age", "0", "--journal", str(tmp_path / "j")]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert path.read_bytes() == before
    with tarfile.open(path) as tar:
        assert tar.getnames() == ["a.mp3"]


def test_frames_behind_junk_count_only_where_the_name_says_so(make_audio, tmp_path):
    sound = make_audio(".mp3").read_bytes()
    for name, expected in (("a.mp3", MP3), ("a.MP3", MP3), ("a.pak", None), ("a", None)):
        path = tmp_path / name
        path.write_bytes(b"level one" * 900 + sound)
        assert identify(path) == expected, name


def test_another_format_under_the_hands_is_refused(make_audio):
    """The writer looks for itself: a file may have been replaced since it was recognised."""
    path = make_audio(".flac")
    with pytest.raises(RefusedError, match="its content is FLAC, not MP3"):
        write_change(path, MP3, CHANGE)


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(
    kind=st.sampled_from([*ARCHIVES, "matroska", "avi", "mov"]),
    name=st.sampled_from(["x.mp3", "x.flac", "x"]),
    front=st.sampled_from([b"", bytes(100), b"ID3\x03\0\0\0\0\0\x0a" + bytes(10)]),
    back=st.binary(max_size=64),
)
def test_no_file_that_another_formats_reader_opens_is_written(
    make_audio, tmp_path_factory, kind, name, front, back
):
    sound = make_audio(".mp3")
    content = archive(kind, sound) if kind in ARCHIVES else remuxed(kind, sound)
    path = tmp_path_factory.mktemp("any") / name
    path.write_bytes(front + content + back)
    opens = False
    if kind in ARCHIVES:
        opens = zipfile.is_zipfile(path) or tarfile.is_tarfile(path)
    else:
        try:
            with av.open(str(path)) as opened:
                opens = opened.format.name.split(",")[0] in ("matroska", "avi", "mov")
        except av.FFmpegError:
            pass
    if opens:
        assert identify(path) != MP3
        refused_and_untouched(path)
