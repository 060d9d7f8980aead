"""Small files that would keep a reader of tags busy for minutes, and fill the memory."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import time
import tracemalloc
import zlib
from collections.abc import Iterator
from pathlib import Path

import av
import mutagen
import numpy as np
import pytest
from mutagen.flac import FLAC as MutagenFlac
from mutagen.flac import Picture
from mutagen.mp4 import MP4 as MutagenMp4
from mutagen.mp4 import MP4Cover

import tagger
from tagger.containers import bounds
from tagger.containers.credits import Credits, read_credits
from tagger.containers.formats import FLAC, MP3
from tagger.containers.opened import open_container
from tagger.containers.read import open_or_explain, read_tags
from tagger.containers.recognise import identify
from tagger.containers.write import check_change
from tagger.system.errors import RefusedError, UnreadableError
from tests.tagger.containers.helpers import CHANGE, form, write, write_and_restore
from tests.tagger.containers.test_id3 import frame, tag

MIB = 1 << 20


def zeros_inflated(mib: int, begin: bytes = b"\3", end: bytes = b"") -> bytes:
    """A zlib stream that inflates to so many MiB."""
    stream = zlib.compressobj(9)
    pieces = [stream.compress(begin), *(stream.compress(bytes(MIB)) for _ in range(mib))]
    return b"".join([*pieces, stream.compress(end), stream.flush()])


def compressed(kind: str, stream: bytes, version: int) -> bytes:
    flags, size = (b"\0\x09", bytes(4)) if version == 4 else (b"\0\x80", bytes(4))
    return frame(kind, size + stream, version, flags=flags)


def chapter(*frames: bytes) -> bytes:
    return b"one\0" + bytes(16) + b"".join(frames)


TOO_MUCH = zeros_inflated(65)
BOMBS = {
    "2.4": tag(4, compressed("TCON", TOO_MUCH, 4)),
    "2.3": tag(3, compressed("TCON", TOO_MUCH, 3)),
    "a picture": tag(4, compressed("APIC", TOO_MUCH, 4)),
    "without its size": tag(4, frame("TCON", TOO_MUCH, 4, flags=b"\0\x08")),
    "unsynchronised": tag(
        4, frame("TCON", bytes(4) + TOO_MUCH.replace(b"\xff", b"\xff\0"), 4, flags=b"\0\x0b")
    ),
    "many small ones": tag(4, compressed("TCON", zeros_inflated(7), 4) * 10),
    "in a chapter": tag(
        4, frame("CHAP", chapter(compressed("TIT2", TOO_MUCH, 4)), 4), frame("TIT2", b"\3a", 4)
    ),
    "in a compressed chapter": tag(
        4, compressed("CHAP", zlib.compress(chapter(compressed("TIT2", TOO_MUCH, 4))), 4)
    ),
    "behind a frame of no name": tag(
        4, b"\xff\xff\xff\xff\0\0\0\1\0\0x", compressed("TCON", TOO_MUCH, 4)
    ),
    "2,001 values": tag(4, frame("TXXX", b"\3name" + b"\0value" * 2001, 4)),
    "a text of 3 MiB": tag(4, frame("TXXX", b"\1\xff\xfe" + b"a\0" * (3 * MIB // 2), 4)),
    "2,001 frames": tag(4, frame("XYZW", b"x", 4) * 2001),
}  # fmt: skip


def refused(path: Path, why: str) -> None:
    """See that a file is refused for a reason, and that nothing is written."""
    before, found = path.stat().st_mtime_ns, form(path)
    with pytest.raises(RefusedError, match=why) as raised:
        read_tags(path, found)
    assert raised.value.path == str(path)
    with pytest.raises(RefusedError, match=why):
        check_change(path, found)
    assert read_credits(path, found) == Credits()
    with pytest.raises(RefusedError, match=why):
        write(path)
    assert path.stat().st_mtime_ns == before


@pytest.fixture
def little_memory() -> Iterator[None]:
    """See that the test holds less than 160 MiB; what Python does takes four times as long."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < 160 * MIB
    finally:
        tracemalloc.stop()


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_an_id3_tag_that_would_fill_the_memory_is_refused(make_audio, bomb):
    path = make_audio(".mp3")
    path.write_bytes(bomb + path.read_bytes())
    refused(path, "neither read nor written: more than")


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize("suffix", [".wav", ".aiff", ".tta", ".flac", ".ogg", ".m4a", ".wma"])
def test_a_compressed_frame_is_counted_in_every_container(make_audio, suffix):
    path, bomb = make_audio(suffix), BOMBS["2.4"]
    data = path.read_bytes()
    if suffix in (".wav", ".aiff"):
        number = "<I" if suffix == ".wav" else ">I"
        data += b"ID3 " + struct.pack(number, len(bomb)) + bomb + bytes(len(bomb) % 2)
        data = data[:4] + struct.pack(number, len(data) - 8) + data[8:]
    else:
        data = bomb + data
    path.write_bytes(data)
    refused(path, "compressed frames")


def test_a_compressed_frame_in_a_dsf_is_counted(tmp_path):
    sound, bomb = bytes(4096), BOMBS["2.4"]
    head = b"DSD " + struct.pack("<3Q", 28, 28 + len(sound) + len(bomb), 28 + len(sound))
    path = tmp_path / "song.dsf"
    path.write_bytes(head + sound + bomb)
    with pytest.raises(RefusedError, match="compressed frames"):
        read_tags(path, form(path))


def test_true_compressed_frames_are_read(make_audio):
    """A picture of 8 MB, compressed, and a genre: below every bound."""
    noise = np.random.default_rng(0).bytes(8 * MIB)
    picture = compressed("APIC", zlib.compress(b"\0image/png\0\3\0" + noise, 1), 4)
    path = make_audio(".mp3")
    path.write_bytes(
        tag(4, picture, compressed("TCON", zlib.compress(b"\3Polka"), 4)) + path.read_bytes()
    )
    assert read_tags(path, MP3).genres == ("Polka",)
    write_and_restore(path)


def boxes(count: int) -> bytes:
    return struct.pack(">I4s", 8, b"free") * count


def box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", len(body) + 8, kind) + body


def test_an_m4a_of_countless_boxes_is_refused(make_audio):
    path = make_audio(".m4a")
    path.write_bytes(path.read_bytes() + boxes(100_001))
    refused(path, "more than 100,000 MP4 boxes")


@pytest.mark.parametrize("outer", [b"udta", b"moof", b"meta"])
def test_boxes_that_only_mutagen_would_open_are_counted(make_audio, outer):
    path = make_audio(".m4a")
    version = bytes(4) if outer == b"meta" else b""
    path.write_bytes(path.read_bytes() + box(outer, version + boxes(100_001)))
    refused(path, "more than 100,000 MP4 boxes")


def grown(path: Path, place: int, head: bytes, size: int, behind: bytes = b"") -> None:
    """Put a head and `size` zeros into a file; the zeros take no space on most disks."""
    data = path.read_bytes()
    with open(path, "wb") as file:
        file.write(data[:place] + head)
        file.truncate(file.tell() + size)
        file.seek(0, 2)
        file.write(behind + data[place:])


@pytest.mark.usefixtures("little_memory")
def test_an_index_beyond_reason_is_refused(make_audio):
    path = make_audio(".m4a")
    data = path.read_bytes()
    place = data.index(b"moov") - 4
    (size,) = struct.unpack(">I", data[place : place + 4])
    bigger = struct.pack(">I", size + 8 + 64 * MIB)
    path.write_bytes(data[:place] + bigger + data[place + 4 :])
    grown(path, place + size, struct.pack(">I4s", 8 + 64 * MIB, b"free"), 64 * MIB)
    refused(path, "bytes .64 MiB. in a tag")


@pytest.mark.usefixtures("little_memory")
def test_an_id3_tag_beyond_reason_is_refused(make_audio):
    """A cover of 250 MB took 27 s and 2.4 GB."""
    path = make_audio(".mp3")
    size = bytes(250 * MIB >> shift & 0x7F for shift in (21, 14, 7, 0))
    grown(path, 0, b"ID3\4\0\0" + size, 250 * MIB)
    refused(path, "bytes .64 MiB. in a tag")


def test_a_flac_of_countless_blocks_is_refused(make_audio):
    path = make_audio(".flac")
    data = path.read_bytes()
    path.write_bytes(data[:42] + b"\1\0\0\0" * 2000 + data[42:])
    refused(path, "more than 2,000 blocks")


@pytest.mark.usefixtures("little_memory")
def test_a_flac_of_big_blocks_is_refused(make_audio):
    path = make_audio(".flac")
    for _ in range(5):
        grown(path, 42, b"\1\xff\xff\xff", (1 << 24) - 1)
    refused(path, "bytes .64 MiB. in a tag")


@pytest.mark.usefixtures("little_memory")
def test_a_seek_table_beyond_reason_is_refused(make_audio):
    path = make_audio(".flac")
    size = 18 * 200_001
    grown(path, 42, b"\3" + size.to_bytes(3), size)
    refused(path, "more than 200,000 seek points")


@pytest.mark.parametrize("suffix", [".flac", ".ogg", ".opus", ".oga"])
def test_countless_comments_are_refused(make_audio, suffix):
    path = make_audio(suffix)
    file = mutagen.File(path)
    file["a"] = ["b"] * 10_001
    file.save()
    refused(path, "more than 10,000 fields")


def test_countless_pages_before_the_sound_are_refused(make_audio):
    path = make_audio(".ogg")
    data = path.read_bytes()
    second = data.index(b"OggS", 4)
    # Of another stream, each with its place for a check sum that nobody looks at here.
    page = b"OggS\0\0" + bytes(8) + b"abcd" + bytes(8) + b"\0"
    path.write_bytes(data[:second] + page * 10_001 + data[second:])
    refused(path, "more than 10,000 Ogg pages")


@pytest.mark.parametrize("suffix", [".wv", ".mp3"])
def test_countless_ape_items_are_refused(make_audio, suffix):
    path = make_audio(suffix)
    items = b"".join(struct.pack("<2I", 1, 0) + b"k%05d\0v" % i for i in range(10_001))
    numbers = struct.pack("<4I", 2000, len(items) + 32, 10_001, 0) + bytes(8)
    path.write_bytes(path.read_bytes() + items + b"APETAGEX" + numbers)
    refused(path, "more than 10,000 fields")


@pytest.mark.parametrize(("suffix", "number"), [(".wav", "<I"), (".aiff", ">I")])
def test_countless_chunks_are_refused(make_audio, suffix, number):
    path = make_audio(suffix)
    data = path.read_bytes() + (b"junk" + bytes(4)) * 10_001
    path.write_bytes(data[:4] + struct.pack(number, len(data) - 8) + data[8:])
    refused(path, "more than 10,000 chunks")


def test_countless_items_of_an_info_list_are_refused(make_audio):
    path = make_audio(".wav")
    items = b"INFO" + (b"ICMT" + struct.pack("<I", 2) + b"x\0") * 10_001
    data = path.read_bytes() + b"LIST" + struct.pack("<I", len(items)) + items
    path.write_bytes(data[:4] + struct.pack("<I", len(data) - 8) + data[8:])
    refused(path, "more than 10,000 fields")


def test_countless_objects_of_an_asf_header_are_refused(make_audio):
    path = make_audio(".wma")
    data = path.read_bytes()
    size, count = struct.unpack("<QI", data[16:28])
    more = (bytes(range(16)) + struct.pack("<Q", 24)) * 10_001
    head = data[:16] + struct.pack("<QI", size + len(more), count + 10_001) + data[28:size]
    path.write_bytes(head + more + data[size:])
    refused(path, "more than 10,000 ASF objects")


@pytest.mark.parametrize("suffix", [".mp3", ".m4a", ".flac"])
def test_what_is_beyond_a_bound_is_classified_and_not_written(make_audio, suffix, tmp_path):
    path = make_audio(suffix, duration_s=8.0)
    data = path.read_bytes()
    (plain,) = tagger.scan(path, min_confidence=0.0, jobs=1, cache=False)
    if suffix == ".mp3":
        data = BOMBS["2.4"] + data
    elif suffix == ".m4a":
        data += boxes(100_001)
    else:
        data = data[:42] + b"\1\0\0\0" * 2000 + data[42:]
    path.write_bytes(data)
    (row,) = tagger.scan(
        path, write_tags=True, min_confidence=0.0, jobs=1, min_age_s=0, journal=tmp_path / "journal"
    )
    assert row.status == "refused" and "more than" in row.message
    assert row.genre == plain.genre and row.confidence == pytest.approx(plain.confidence, abs=1e-4)
    assert path.read_bytes() == data


GROWTH = """
import resource, sys
from tagger.sound.audio import read_excerpts
read_excerpts(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
read_excerpts(sys.argv[2])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in kilobytes on Linux")
def test_a_tag_is_not_inflated_to_hear_the_sound(make_audio):
    """Regression: ffmpeg did, in every worker: 1.6 GB for a frame of 1.5 GB."""
    plain, path = make_audio(".mp3"), make_audio(".mp3")
    path.write_bytes(tag(4, compressed("TCON", zeros_inflated(400), 4)) + path.read_bytes())
    command = [sys.executable, "-c", GROWTH, plain, path]
    grown = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert grown < 64 * 1024, f"{grown} KiB"


@pytest.mark.parametrize("suffix", [".mp3", ".m4a", ".flac"])
def test_a_true_big_cover_stays(make_audio, suffix):
    picture = np.random.default_rng(0).bytes(15 * MIB)
    path = make_audio(suffix)
    if suffix == ".mp3":
        path.write_bytes(
            tag(4, frame("APIC", b"\0image/png\0\3\0" + picture, 4)) + path.read_bytes()
        )
    elif suffix == ".m4a":
        file = MutagenMp4(path)
        file["covr"] = [MP4Cover(picture, MP4Cover.FORMAT_PNG)]
        file.save()
    else:
        file = MutagenFlac(path)
        for _ in range(2):
            cover = Picture()
            cover.data, cover.mime = picture, "image/png"
            file.add_picture(cover)
        file.save()
    write_and_restore(path)
    write(path)
    assert picture in path.read_bytes()
    with av.open(str(path)) as container:
        assert [s.type for s in container.streams].count("video") >= 1


class Stuck(io.BytesIO):
    """A file on a disk that does not answer."""

    def read(self, size: int | None = -1, /) -> bytes:
        time.sleep(0.05)
        return super().read(0)

    def seek(self, position: int, whence: int = 0, /) -> int:
        time.sleep(3600)
        return 0


def test_tags_that_never_come_are_given_up(make_audio, monkeypatch):
    monkeypatch.setattr(bounds, "DEADLINE_S", 0.2)
    with pytest.raises(UnreadableError, match=r"cannot be read: not done after 0\.2 s"):
        open_or_explain(Stuck(), FLAC, "song.flac")
    path = make_audio(".flac")  # and the clock is free again
    with open(path, "rb") as file:
        assert open_container(file, FLAC).main.exists


def test_a_clock_that_somebody_else_uses_is_left_to_them(make_audio, monkeypatch):
    signal = pytest.importorskip("signal")
    if not hasattr(signal, "setitimer"):
        pytest.skip("no such clock on this system")
    old = signal.signal(signal.SIGALRM, lambda *_: None)
    try:
        signal.setitimer(signal.ITIMER_REAL, 3600)
        assert read_tags(make_audio(".flac"), FLAC).genres == ()
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 3000
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)


def test_a_genre_among_thousands_of_comments_is_written(make_audio):
    """mutagen's own dictionary of them looks through all for each."""
    path = make_audio(".flac")
    file = MutagenFlac(path)
    for i in range(3000):
        file.tags.append((f"field{i}", "x"))
    file.save()
    write(path, CHANGE)
    assert identify(path) == FLAC and read_tags(path, FLAC).genres == ("Hip-Hop",)
    assert len(MutagenFlac(path).tags) == 3004
