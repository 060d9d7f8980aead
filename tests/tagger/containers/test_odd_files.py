"""Files that look odd and that other programs read: written like any, and read back by them."""

from __future__ import annotations

import struct
from pathlib import Path

import av
import mutagen.id3
import mutagen.mp4
import mutagen.wave
import pytest
import taglib

from tagger.containers.formats import MP3
from tagger.containers.read import read_tags
from tagger.containers.recognise import identify
from tagger.containers.snapshot import restore, snapshot
from tagger.containers.write import Change, write_change
from tagger.system.errors import RefusedError

CHANGE = Change(("Jazz",), ("Jazz",), 0.9, "test-1")


def written(path: Path, *, heard: bool = True) -> None:
    """Write, and see that mutagen's neighbours read it and that undo gives back what was there."""
    format = identify(path)
    assert format is not None
    before = path.read_bytes()
    old = snapshot(path, format)
    write_change(path, format, CHANGE)
    assert read_tags(path, format).genres == ("Jazz",)
    with taglib.File(str(path)) as file:
        assert file.tags["GENRE"] == ["Jazz"]
    if heard:
        with av.open(str(path)) as container:
            assert next(container.decode(audio=0)).samples > 0
    after = path.read_bytes()
    restore(path, format, old)
    assert path.read_bytes() == before
    path.write_bytes(after)


def frame22(kind: bytes, body: bytes) -> bytes:
    return kind + len(body).to_bytes(3) + body


def tag22(frames: bytes, room: int = 0) -> bytes:
    size = len(frames) + room
    return b"ID3\x02\0\0" + bytes(size >> s & 0x7F for s in (21, 14, 7, 0)) + frames + bytes(room)


ITUNES_22 = (
    frame22(b"TT2", b"\0A Title\0")
    + frame22(b"TP1", b"\0Somebody\0")
    + frame22(b"TAL", b"\0An Album\0")
    + frame22(b"TCO", b"\0(0)\0")
    + frame22(b"TRK", b"\x003/12\0")
    + frame22(b"TYE", b"\x002004\0")
    + frame22(b"TEN", b"\0iTunes v4.6\0")
    + frame22(b"COM", b"\0eng\0A comment\0")
    + frame22(b"COM", b"\0engiTunNORM\0 000001F4 000001F4 00002F2C\0")
    + frame22(b"COM", b"\0engiTunes_CDDB_IDs\x0012+ABC\0")
    + frame22(b"PIC", b"\0PNG\x03\0" + b"\x89PNG\r\n\x1a\n" + bytes(40))
)


@pytest.mark.parametrize(
    "more",
    [
        b"",
        frame22(b"TCP", b"\x001\0"),  # iTunes' own: part of a compilation
        frame22(b"TS2", b"\0Albums, An\0") + frame22(b"TSA", b"\0Sorted\0"),
        frame22(b"PCS", b"\0\0\0\0"),  # a podcast's
        frame22(b"GP1", b"\0Group\0"),
        frame22(b"RVA", bytes(11)),
        frame22(b"TT2", b"\0A Title\0"),  # twice
        frame22(b"TP3", b"\0"),  # empty
    ],
    ids=("plain", "TCP", "sort", "PCS", "GP1", "RVA", "twice", "empty"),
)
def test_an_itunes_tag_of_version_2_2(make_audio, more):
    path = make_audio(".mp3")
    sound = path.read_bytes()
    sound = sound[sound.index(b"\xff\xfb") :]
    path.write_bytes(tag22(ITUNES_22 + more, room=300) + sound)
    with taglib.File(str(path)) as file:
        before = dict(file.tags)
    written(path)
    with taglib.File(str(path)) as file:
        after = dict(file.tags)
    for key in ("TITLE", "ARTIST", "ALBUM", "TRACKNUMBER", "COMMENT"):
        assert after[key] == before[key], key
    tags = mutagen.id3.ID3(path)
    assert tags.version == (2, 3, 0)
    assert [p.data for p in tags.getall("APIC")] == [b"\x89PNG\r\n\x1a\n" + bytes(40)]


def test_a_frame_that_2_3_has_no_name_for_is_not_dropped(make_audio):
    path = make_audio(".mp3")
    sound = path.read_bytes()
    path.write_bytes(tag22(ITUNES_22 + frame22(b"CM1", b"\0engWords\0")) + sound)
    before = path.read_bytes()
    with pytest.raises(RefusedError, match=r"frames that 2\.3 does not know"):
        write_change(path, MP3, CHANGE)
    assert path.read_bytes() == before


@pytest.mark.parametrize("place", ["before", "behind"])
@pytest.mark.parametrize("kind", [b"JUNK", b"fact", b"\0\0\0\0", b"LIST", b"id3 "])
def test_a_wav_with_a_chunk_of_size_zero(make_audio, kind, place):
    path = make_audio(".wav")
    data = path.read_bytes()
    empty = kind + bytes(4)
    at = data.index(b"data")
    data = data[:at] + empty + data[at:] if place == "before" else data + empty
    path.write_bytes(data[:4] + struct.pack("<I", len(data) - 8) + data[8:])
    written(path, heard=kind != b"LIST")  # FFmpeg stops at an empty list
    assert mutagen.wave.WAVE(path).tags["TCON"].genres == ["Jazz"]


def with_atom(data: bytes, atom: bytes) -> bytes:
    """An M4A whose `moov` stands last, with another atom at the end of `udta.meta.ilst`."""
    moov = data.index(b"moov") - 4
    assert moov + int.from_bytes(data[moov : moov + 4]) == len(data)
    sizes = [moov, *(data.index(kind, moov) - 4 for kind in (b"udta", b"meta", b"ilst"))]
    end = sizes[-1] + int.from_bytes(data[sizes[-1] : sizes[-1] + 4])
    out = bytearray(data[:end] + atom + data[end:])
    for position in sizes:
        size = int.from_bytes(out[position : position + 4]) + len(atom)
        out[position : position + 4] = size.to_bytes(4)
    return bytes(out)


def box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", len(body) + 8, kind) + body


@pytest.mark.parametrize("kind", [b"\0\x01\x02\x03", b"\xa9\xff\0\x7f", b"\0\0\0\0", b"    "])
def test_an_m4a_with_an_atom_that_cannot_be_printed(make_audio, kind):
    path = make_audio(".m4a")
    atom = box(kind, box(b"data", struct.pack(">2I", 1, 0) + b"something"))
    path.write_bytes(with_atom(path.read_bytes(), atom))
    written(path)
    assert mutagen.mp4.MP4(path).tags["\xa9gen"] == ["Jazz"]
    assert atom in path.read_bytes()


def test_an_m4a_whose_meta_is_no_full_box(make_audio):
    """QuickTime's kind, without version and flags; FFmpeg and TagLib read it."""
    path = make_audio(".m4a")
    data = bytearray(path.read_bytes())
    moov = data.index(b"moov") - 4
    assert moov + int.from_bytes(data[moov : moov + 4]) == len(data)
    meta = data.index(b"meta", moov) - 4
    del data[meta + 8 : meta + 12]
    for position in (moov, data.index(b"udta", moov) - 4, meta):
        size = int.from_bytes(data[position : position + 4]) - 4
        data[position : position + 4] = size.to_bytes(4)
    path.write_bytes(data)
    written(path)
