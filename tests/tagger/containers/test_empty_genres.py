"""A genre field that says nothing is replaced: with two of them, a reader may show nothing.

Regression: an empty `TCON` stayed, a second one was added behind it, and TagLib showed none.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path

import mutagen
import pytest
from mutagen.asf import ASF as MutagenAsf
from mutagen.asf import ASFByteArrayAttribute, ASFUnicodeAttribute
from mutagen.id3 import ID3
from mutagen.mp4 import MP4 as MutagenMp4

from tagger.containers.blocks import GENRE
from tagger.containers.opened import open_container
from tagger.containers.read import read_tags
from tagger.containers.snapshot import restore, same_fields, snapshot
from tests.tagger.containers.helpers import form, write
from tests.tagger.containers.test_id3 import frame, tag
from tests.tagger.readers import as_programs_see, genres_seen, lost

# An encoding, perhaps a byte order, and no text.
EMPTY = [
    b"",
    b"\0",
    b"\1",
    b"\2",
    b"\3",
    b"\1\xff\xfe",
    b"\1\xff\xfe\0\0",
    b"\0\0",
    b"\3\0\0",
    b"\3  ",
]


READERS = ("taglib", "ffmpeg")


def genre_fields(path: Path) -> int:
    """How many fields there are for the genre, in all tags, understood or not."""
    with open(path, "rb") as file:
        blocks = open_container(file, form(path)).blocks
        entries = [e for b in blocks for e in b.entries]
        return sum(e.role == GENRE or e.raw[:3] == b"TCO" or b"Genre\0" in e.raw for e in entries)


def check_replaced(path: Path, *, tags: int = 1, readers: tuple[str, ...] = READERS) -> None:
    """Write, see one genre in each tag by every reader, and bring the empty one back."""
    before, seen, found = path.read_bytes(), as_programs_see(path), form(path)
    assert read_tags(path, found).user_genres == ()
    old = json.loads(json.dumps(snapshot(path, found)))
    write(path)
    assert genre_fields(path) == tags
    assert genres_seen(path) == dict.fromkeys(readers, "Hip-Hop")
    assert lost(seen, as_programs_see(path)) == []
    restore(path, found, old)
    assert same_fields(path, found, old)
    assert snapshot(path, found)["blocks"][0]["fields"] == old["blocks"][0]["fields"]
    assert read_tags(path, found).user_genres == () and len(path.read_bytes()) >= len(before)


@pytest.mark.parametrize("version", [3, 4])
@pytest.mark.parametrize("body", EMPTY)
def test_an_empty_id3_frame(make_audio, version, body):
    path = make_audio(".mp3")
    frames = (
        frame("TIT2", b"\0Title", version),
        frame("TCON", body, version),
        frame("TPE1", b"\0Artist", version),
    )
    path.write_bytes(tag(version, *frames) + path.read_bytes())
    check_replaced(path)
    write(path)
    assert ID3(path)["TCON"].text == ["Hip-Hop"] and ID3(path)["TPE1"].text == ["Artist"]


def test_two_empty_id3_frames(make_audio):
    path = make_audio(".mp3")
    empty = frame("TCON", b"\3", 4)
    path.write_bytes(tag(4, empty, frame("TIT2", b"\3Title", 4), empty) + path.read_bytes())
    write(path)
    assert genre_fields(path) == 1
    assert genres_seen(path) == {"taglib": "Hip-Hop", "ffmpeg": "Hip-Hop"}


def test_an_empty_frame_of_22(make_audio):
    path = make_audio(".mp3")
    body = b"TT2\0\0\6\0Title" + b"TCO\0\0\0" + b"TP1\0\0\7\0Artist"
    size = bytes(len(body) >> shift & 0x7F for shift in (21, 14, 7, 0))
    path.write_bytes(b"ID3\2\0\0" + size + body + path.read_bytes())
    write(path)
    assert genre_fields(path) == 1
    assert genres_seen(path) == {"taglib": "Hip-Hop", "ffmpeg": "Hip-Hop"}
    assert ID3(path)["TPE1"].text == ["Artist"]


def test_a_genre_goes_before_an_empty_frame_of_another_kind(make_audio):
    """TagLib reads no further than to a frame without a byte."""
    path = make_audio(".mp3")
    frames = (frame("TIT2", b"\3Title", 4), frame("TPE1", b"", 4), frame("TALB", b"\3Album", 4))
    path.write_bytes(tag(4, *frames) + path.read_bytes())
    check_replaced(path)


@pytest.mark.parametrize("suffix", [".wav", ".aiff"])
def test_an_empty_frame_in_a_chunk(make_audio, suffix):
    path = make_audio(suffix)
    number = "<I" if suffix == ".wav" else ">I"
    data, front = path.read_bytes(), tag(4, frame("TIT2", b"\3Title", 4), frame("TCON", b"", 4))
    data += b"ID3 " + struct.pack(number, len(front)) + front + bytes(len(front) % 2)
    path.write_bytes(data[:4] + struct.pack(number, len(data) - 8) + data[8:])
    write(path)
    assert genre_fields(path) == 1
    assert genres_seen(path)["taglib"] == "Hip-Hop"


@pytest.mark.parametrize("suffix", [".flac", ".ogg", ".opus", ".oga"])
def test_empty_vorbis_comments(make_audio, suffix):
    path = make_audio(suffix)
    file = mutagen.File(path)
    file["title"], file["genre"] = ["Title"], ["", "  "]
    file.save()
    check_replaced(path)


@pytest.mark.parametrize("atoms", [[], [b""], [b"", b""], [b"\0"]])
def test_an_empty_mp4_atom(make_audio, atoms):
    path = make_audio(".m4a")
    file = MutagenMp4(path)
    file["\xa9nam"], file["\xa9gen"] = ["Title"], ["x" * 30]
    file.save()
    data = path.read_bytes()
    place = data.index(b"\xa9gen") - 4
    old = struct.unpack(">I", data[place : place + 4])[0]
    values = b"".join(struct.pack(">I4s2I", 16 + len(a), b"data", 1, 0) + a for a in atoms)
    new = struct.pack(">I4s", 8 + len(values), b"\xa9gen") + values
    free = old - len(new)  # goes into an atom that is no field
    new += struct.pack(">I4s", free, b"free") + bytes(free - 8)
    path.write_bytes(data[:place] + new + data[place + old :])
    write(path)
    assert genre_fields(path) == 1
    assert genres_seen(path) == {"taglib": "Hip-Hop", "ffmpeg": "Hip-Hop"}
    assert MutagenMp4(path)["\xa9gen"] == ["Hip-Hop"] and MutagenMp4(path)["\xa9nam"] == ["Title"]


@pytest.mark.parametrize(
    "values",
    [
        [ASFUnicodeAttribute("")],
        [ASFByteArrayAttribute(b"")],
        [ASFUnicodeAttribute(""), ASFUnicodeAttribute(" ")],
    ],
)
def test_an_empty_asf_attribute(make_audio, values):
    path = make_audio(".wma")
    file = MutagenAsf(path)
    file["Title"], file["WM/Genre"] = ["Title"], values
    file.save()
    check_replaced(path)


@pytest.mark.parametrize("kind", [0, 2, 4])  # text, bytes, a link
@pytest.mark.parametrize("suffix", [".wv", ".mp3"])
def test_an_empty_ape_item(make_audio, suffix, kind):
    path = make_audio(suffix)
    items = [(b"Title", b"Title", 0), (b"Genre", b"", kind)]
    data = b"".join(struct.pack("<2I", len(v), f) + k + b"\0" + v for k, v, f in items)
    numbers = struct.pack("<4I", 2000, len(data) + 32, len(items), 0) + bytes(8)
    path.write_bytes(path.read_bytes() + data + b"APETAGEX" + numbers)
    # ffmpeg reads no APE tag in an MP3.
    check_replaced(path, readers=READERS[: 1 + (suffix == ".wv")])


@pytest.mark.parametrize("value", [b"", b"\0", b"\0\0", b" \0"])
def test_an_empty_info_item(make_audio, value):
    path = make_audio(".wav")
    items = b"INFO" + b"INAM" + struct.pack("<I", 6) + b"Title\0"
    items += b"IGNR" + struct.pack("<I", len(value)) + value + bytes(len(value) % 2)
    data = path.read_bytes() + b"LIST" + struct.pack("<I", len(items)) + items
    path.write_bytes(data[:4] + struct.pack("<I", len(data) - 8) + data[8:])
    check_replaced(path, tags=2)  # the INFO list, and an ID3 tag


def test_a_genre_that_cannot_be_read_is_no_empty_one(make_audio):
    """What stands in a frame of an unknown encoding may be a person's word: it stays."""
    path = make_audio(".mp3")
    odd = frame("TCON", b"\7Polka", 4)
    path.write_bytes(tag(4, odd) + path.read_bytes())
    write(path)
    assert odd in path.read_bytes()
