"""ID3: versions, raw frames, numbered genres, and genres hidden beside it in an MP3."""

from __future__ import annotations

import io
import re
import struct
import zlib
from pathlib import Path

import mutagen.id3
import numpy as np
import pytest
from mutagen.apev2 import APEv2
from mutagen.id3 import ID3

from tagger.containers.formats import MP3
from tagger.containers.id3 import id3v2_length
from tagger.containers.read import read_tags
from tagger.containers.write import Change, check_change, write_change
from tagger.deciding.decide import Policy, Status, decide
from tagger.models.prediction import Prediction
from tagger.system.errors import RefusedError, UnreadableError
from tests.tagger.containers.helpers import CHANGE, TWO, packets, write, write_and_restore

PREDICTION = Prediction(("Jazz", "Rock"), np.array([0.9, 0.1]), "x-1")


def synchsafe(number: int) -> bytes:
    return bytes(number >> shift & 0x7F for shift in (21, 14, 7, 0))


def frame(kind: str, body: bytes, version: int, flags: bytes = b"\0\0") -> bytes:
    if version == 2:
        return kind.encode() + struct.pack(">I", len(body))[1:] + body
    size = synchsafe(len(body)) if version == 4 else struct.pack(">I", len(body))
    return kind.encode() + size + flags + body


def tag(version: int, *frames: bytes, flags: int = 0, padding: int = 0) -> bytes:
    body = b"".join(frames) + bytes(padding)
    return b"ID3" + bytes((version, 0, flags)) + synchsafe(len(body)) + body


# Frames that careless rewriting would translate, join, sort, drop or decode anew.
AWKWARD_23 = [
    frame("TYER", b"\x001999", 3),
    frame("TDAT", b"\x002412", 3),
    frame("TPE1", b"\x00One/Two", 3),
    frame("TPE2", b"\x01\xff\xfeA\0\0\0\xff\xfeB\0", 3),  # two values, which 2.3 does not know
    frame("APIC", b"\x00JPG\x00\x03\x00" + bytes(range(256)) * 9, 3),
    frame("APIC", b"\x00image/png\x00\x03\x00" + bytes(50), 3),
    frame("XYZW", b"unknown", 3),
    frame("RVAD", b"\x03\x10\0\0\0\0", 3),
    frame("TIT2", b"\x07no such encoding", 3),
    frame("PRIV", b"owner\0\xff\xe0\xff\x00", 3),
    frame("TSIZ", b"", 3),
    frame("COMM", b"\x00eng\x00one", 3),
    frame("COMM", b"\x00eng\x00again with the same key", 3),
    frame("TXXX", b"\x00replaygain\x00-3 dB", 3),
    frame("TCOM", b"\x00secret", 3, flags=b"\0\x40"),  # encrypted
    frame("IPLS", b"\x00guitar\0Someone", 3),
    frame("TIT1", b"\x00zzz\0\0\0", 3),
]
AWKWARD_24 = [
    frame("TDRC", b"\x031999-12-24", 4),
    frame("TPE1", b"\x03One\0Two", 4),
    frame("APIC", b"\x00JPG\x00\x03\x00" + bytes(range(256)) * 9, 4),
    frame("XYZW", b"unknown", 4),
    frame("TYER", b"\x031999", 4),  # of 2.3
    frame("TSST", b"\x02\0A", 4),
    frame("PRIV", b"owner\0\xff\0\xe0", 4, flags=b"\0\x02"),  # unsynchronised
    frame("TXXX", b"\x03" + b"REPLAYGAIN\x00-3 dB", 4),
    frame("UFID", b"http://musicbrainz.org\0abc", 4, flags=b"\x20\0"),
    frame("TCOM", b"\x00secret", 4, flags=b"\0\x04"),
]


def mp3_with(make_audio, front: bytes, behind: bytes = b"") -> Path:
    path = make_audio(".mp3")
    path.write_bytes(front + path.read_bytes() + behind)
    return path


def raw_frames(path: Path) -> list[bytes]:
    data = path.read_bytes()
    end, position, frames, version = id3v2_length(data[:10]), 10, [], data[3]
    while position < end and data[position]:
        a, b, c, d = data[position + 4 : position + 8]
        size = a << 21 | b << 14 | c << 7 | d
        if version == 3:
            size = int.from_bytes(data[position + 4 : position + 8])
        frames.append(data[position : position + 10 + size])
        position += 10 + size
    return frames


@pytest.mark.parametrize(("version", "frames"), [(3, AWKWARD_23), (4, AWKWARD_24)])
@pytest.mark.parametrize("padding", [0, 2000])
def test_every_other_frame_keeps_its_bytes_and_place(make_audio, version, frames, padding):
    genre = frame("TCON", b"\x00(17)Old", version)
    path = mp3_with(make_audio, tag(version, *frames[:4], genre, *frames[4:], padding=padding))
    before, sound = path.read_bytes(), packets(path)

    write(path, TWO)

    data = path.read_bytes()
    assert data[3] == version
    now = raw_frames(path)
    assert [f for f in now if f in frames] == frames
    assert now[4].startswith(b"TCON")
    assert len(now) == len(frames) + 4
    assert packets(path) == sound
    assert (len(data) == len(before)) == (padding > 0)
    path.write_bytes(before)
    write_and_restore(path, TWO)
    assert path.read_bytes() == before


def test_in_23_genres_are_joined(make_audio):
    path = mp3_with(make_audio, tag(3, *AWKWARD_23))
    write(path, TWO)
    genre = next(f for f in raw_frames(path) if f.startswith(b"TCON"))
    assert genre[10:] == b"\x00Polka; Hip-Hop"
    state = read_tags(path, MP3)
    assert state.genres == ("Polka", "Hip-Hop")
    assert state.user_genres == ("Polka",)


def test_in_24_genres_are_several(make_audio):
    path = make_audio(".mp3")
    write(path, TWO)
    assert path.read_bytes()[:4] == b"ID3\x04"
    genre = next(f for f in raw_frames(path) if f.startswith(b"TCON"))
    assert genre[10:] == b"\x03Polka\0Hip-Hop"
    assert path.read_bytes()[-128:-125] != b"TAG"


def test_22_becomes_23(make_audio):
    frames = [
        frame("TT2", b"\x00Title", 2),
        frame("TP1", b"\x00One/Two", 2),
        frame("TYE", b"\x001999", 2),
        frame("TCO", b"\x00(17)", 2),
        frame("PIC", b"\x00JPG\x03\0" + bytes(range(200)), 2),
        frame("COM", b"\x00eng\x00comment", 2),
        frame("TXX", b"\x00key\x00value", 2),
    ]
    path = mp3_with(make_audio, tag(2, *frames, padding=100))
    before = path.read_bytes()
    assert read_tags(path, MP3).genres == ("Rock",)
    write(path)
    assert path.read_bytes()[3] == 3
    now = ID3(path, v2_version=3)
    assert now["TIT2"].text == ["Title"]
    assert now["TPE1"].text == ["One/Two"]
    assert now["TYER"].text == ["1999"]
    assert now["TCON"].text == ["Hip-Hop"]
    assert now["APIC:"].data == bytes(range(200))
    assert now["COMM::eng"].text == ["comment"]
    assert now["TXXX:key"].text == ["value"]
    path.write_bytes(before)
    write_and_restore(path)
    assert path.read_bytes() == before


def test_22_with_frames_that_23_does_not_know_is_refused(make_audio):
    path = mp3_with(make_audio, tag(2, frame("TT2", b"\x00Title", 2), frame("XYZ", b"abc", 2)))
    before = path.read_bytes()
    with pytest.raises(RefusedError, match=r"2\.3 does not know"):
        write(path)
    assert path.read_bytes() == before


def test_unsynchronised_tags_stay_so(make_audio):
    """A false synchronisation in a picture, in the way of 2.3 (the whole tag)."""
    picture = frame("APIC", b"\x00image/jpeg\x00\x03\x00\xff\xe0\xff\x00" * 20, 3)
    title = frame("TIT2", b"\x01\xff\xfeT\0", 3)
    plain = picture + title + bytes(64)
    encoded = plain.replace(b"\xff\x00", b"\xff\x00\x00").replace(b"\xff\xe0", b"\xff\x00\xe0")
    encoded = encoded.replace(b"\xff\xfe", b"\xff\x00\xfe")
    path = mp3_with(make_audio, b"ID3\x03\0\x80" + synchsafe(len(encoded)) + encoded)
    before = path.read_bytes()
    write(path, Change(("Škola",), ("Škola",), 0.5, "cnn-1"))
    data = path.read_bytes()
    assert data[5] == 0x80
    assert not re.search(rb"\xff[\xe0-\xff]", data[: id3v2_length(data[:10])])
    now = ID3(path)
    assert now["APIC:"].data == ID3(io.BytesIO(before))["APIC:"].data
    assert now["TCON"].text == ["Škola"]
    path.write_bytes(before)
    write_and_restore(path)
    assert path.read_bytes() == before


def test_unsynchronised_24(make_audio):
    comment = frame("PRIV", b"o\0\xff\x00\xe0abc", 4, flags=b"\0\x02")
    path = mp3_with(make_audio, tag(4, comment, flags=0x80))
    write(path)
    assert comment in raw_frames(path)
    assert path.read_bytes()[5] == 0x80
    assert ID3(path)["PRIV:o:\xff\xe0abc"].data == b"\xff\xe0abc"
    assert ID3(path)["TCON"].text == ["Hip-Hop"]


@pytest.mark.parametrize(
    ("version", "extended"),
    [
        (3, struct.pack(">IHI", 6, 0, 0)),
        (3, struct.pack(">IHII", 10, 0x8000, 0, 0xDEADBEEF)),
        (4, synchsafe(6) + b"\x01\x00"),
        (4, synchsafe(12) + b"\x01\x20\x05\x00\x11\x22\x33\x44"),
    ],
)
def test_an_extended_header_goes_and_comes_back(make_audio, version, extended):
    """Its check sum would no longer be true; the frames stay."""
    title = frame("TIT2", b"\x00Title", version)
    path = mp3_with(make_audio, tag(version, extended, title, flags=0x40, padding=10))
    before = path.read_bytes()
    write(path)
    assert path.read_bytes()[5] == 0
    assert raw_frames(path)[0] == title
    path.write_bytes(before)
    write_and_restore(path)
    assert path.read_bytes() == before


def test_the_flag_of_an_extended_header_without_one(make_audio):
    title = frame("TIT2", b"\x00Title", 3)
    path = mp3_with(make_audio, tag(3, title, flags=0x40))
    write(path)
    assert raw_frames(path)[0] == title


def test_a_footer_stays(make_audio):
    body = frame("TIT2", b"\x03Title", 4)
    header = b"\x04\0\x10" + synchsafe(len(body))
    path = mp3_with(make_audio, b"ID3" + header + body + b"3DI" + header)
    before, sound = path.read_bytes(), packets(path)
    write(path)
    data = path.read_bytes()
    end = data.index(b"3DI")
    assert data[3:10] == data[end + 3 : end + 10]
    assert packets(path) == sound
    path.write_bytes(before)
    write_and_restore(path)
    assert path.read_bytes() == before


def test_sizes_of_old_itunes(make_audio):
    """2.4 with sizes that are not synchsafe."""
    long = b"TALB" + struct.pack(">I", 301) + b"\0\0" + b"\x03" + b"a" * 300
    path = mp3_with(make_audio, tag(4, long, frame("TCON", b"\x03Rock", 4), padding=400))
    assert read_tags(path, MP3).genres == ("Rock",)
    genre = "Long " * 50
    write(path, Change((genre,), (genre,), 0.5, "cnn-1"))
    assert long in path.read_bytes()
    assert ID3(path)["TALB"].text == ["a" * 300]
    assert ID3(path)["TCON"].text == [genre.strip()]


def test_a_frame_cut_short_stays_last(make_audio):
    title = frame("TIT2", b"\x00Title", 3)
    cut = frame("TALB", b"\x00Album" + b"m" * 50, 3)[:-20]
    path = mp3_with(make_audio, tag(3, title, cut))
    before = path.read_bytes()
    write(path)
    assert path.read_bytes()[: path.read_bytes().index(cut) + len(cut)].endswith(cut)
    assert ID3(path)["TALB"].text == ["Album" + "m" * 30]
    path.write_bytes(before)
    write_and_restore(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("text", "genres"),
    [
        (b"(17)", ("Rock",)),
        (b"17", ("Rock",)),
        (b"(17)Rock", ("Rock",)),
        (b"(4)Eurodisco", ("Disco", "Eurodisco")),
        (b"(31)(39)", ("Trance", "Noise")),
        (b"(RX)", ("Remix",)),
        (b"((Foo)", ("(Foo)",)),
        (b"255", ()),
        (b"(255)", ()),
        (b"", ()),
        (b"  ", ()),
        (b"Rock/Pop", ("Rock/Pop",)),
        (b"Rock; Pop", ("Rock", "Pop")),
        (b"Rock\0Pop\0Rock", ("Rock", "Pop")),
    ],
)
def test_numbered_and_joined_genres_of_23(make_audio, text, genres):
    path = mp3_with(make_audio, tag(3, frame("TCON", b"\x00" + text, 3)))
    assert read_tags(path, MP3).genres == genres
    assert read_tags(path, MP3).user_genres == genres


def test_24_is_not_split_where_no_zero_stands(make_audio):
    path = mp3_with(make_audio, tag(4, frame("TCON", b"\x03Rock; Pop\0(17)\x0017", 4)))
    assert read_tags(path, MP3).genres == ("Rock; Pop", "Rock")


def test_compressed_genre_is_read(make_audio):
    body = zlib.compress(b"\x00Bebop")
    flagged = frame("TCON", struct.pack(">I", 6) + body, 3, flags=b"\0\x80")
    path = mp3_with(make_audio, tag(3, flagged))
    assert read_tags(path, MP3).genres == ("Bebop",)


# --- hidden genres ---

ID3V1 = b"TAG" + b"Title".ljust(30, b"\0") + b"Artist".ljust(94, b"\0")


def test_id3v1_is_found_and_kept_in_step(make_audio):
    path = mp3_with(make_audio, b"", ID3V1 + b"\x11")
    state = read_tags(path, MP3)
    assert state.genres == ()
    assert state.hidden == (("ID3v1", ("Rock",)),)
    assert state.user_genres == ("Rock",)
    before, sound = path.read_bytes(), packets(path)
    write(path)
    assert path.read_bytes()[-128:] == ID3V1 + b"\x07"
    assert read_tags(path, MP3).user_genres == ()
    assert packets(path) == sound
    path.write_bytes(before)
    write_and_restore(path)
    assert path.read_bytes() == before


def test_id3v1_without_a_number_for_the_genre(make_audio):
    path = mp3_with(make_audio, b"", ID3V1 + b"\x11")
    write(path, Change(("Škola",), ("Škola",), 0.5, "cnn-1"))
    assert path.read_bytes()[-1] == 255
    assert read_tags(path, MP3).hidden == ()


def test_id3v1_with_no_genre_comes_back_as_it_was(make_audio):
    path = mp3_with(make_audio, b"", ID3V1 + b"\xfe")
    assert read_tags(path, MP3).hidden == ()
    before = path.read_bytes()
    assert write_and_restore(path)[-1] == 7
    assert path.read_bytes() == before


@pytest.mark.parametrize("behind", [b"", ID3V1 + b"\x11"])
def test_an_ape_tag_that_is_the_only_one_of_an_mp3_gets_all(make_audio, behind):
    path = make_audio(".mp3")
    sound = packets(path)
    ape = APEv2()
    ape.update({"Genre": ["Bossa Nova", "Rock"], "Title": "Ťitle", "MP3GAIN_MINMAX": "1,2"})
    ape["Cover"] = mutagen.apev2.APEValue(bytes(range(256)), mutagen.apev2.BINARY)
    ape.save(path)
    path.write_bytes(path.read_bytes() + behind)
    assert read_tags(path, MP3).user_genres == ("Bossa Nova", "Rock")
    assert read_tags(path, MP3).genres == ("Bossa Nova", "Rock")
    before = path.read_bytes()

    write(path, TWO)

    now = APEv2(path)
    assert list(now["Genre"]) == ["Polka", "Hip-Hop"]
    assert [now["GTAG_GENRE"], now["GTAG_CONFIDENCE"], now["GTAG_MODEL"]] == [
        "Hip-Hop",
        "0.5000",
        "cnn-1",
    ]
    assert {k: now[k] for k in now if k in ape and k != "Genre"} == {
        k: ape[k] for k in ape if k != "Genre"
    }
    assert path.read_bytes()[:3] != b"ID3"  # which would take the title away in most programs
    assert read_tags(path, MP3).user_genres == ("Polka",)
    assert packets(path) == sound
    path.write_bytes(before)
    write_and_restore(path, TWO)
    assert path.read_bytes() == before


@pytest.mark.parametrize("behind", [b"", ID3V1 + b"\xff"])
def test_an_ape_tag_that_names_no_track_is_left_alone(make_audio, behind):
    """That of a program which measures loudness; the genre belongs where the title would."""
    path = make_audio(".mp3")
    ape = APEv2()
    ape["MP3GAIN_MINMAX"] = "1,2"
    ape.save(path)
    path.write_bytes(path.read_bytes() + behind)
    before = path.read_bytes()
    tail = path.read_bytes()[-200:-1]
    write(path)
    assert path.read_bytes()[-200:-1] == tail
    assert ID3(path)["TCON"].text == ["Hip-Hop"]
    assert ID3(path)["TXXX:MP3GAIN_MINMAX"].text == ["1,2"]
    path.write_bytes(before)
    write_and_restore(path)
    assert path.read_bytes() == before


def test_a_damaged_ape_tag_is_left_alone(make_audio):
    path = make_audio(".mp3")
    ape = APEv2()
    ape["Genre"] = "Rock"
    ape.save(path)
    data = path.read_bytes()
    path.write_bytes(data[:-32] + data[-32:].replace(b"\x01\0\0\0", b"\x09\0\0\0", 1))
    damaged = path.read_bytes()[-80:]
    assert read_tags(path, MP3).hidden == ()
    write(path)
    assert path.read_bytes()[-80:] == damaged


def test_ape_before_lyrics3(make_audio):
    path = make_audio(".mp3")
    ape = APEv2()
    ape["Genre"] = "Bebop"
    ape.save(path)
    lyrics = b"LYRICSBEGIN" + b"INF00002010"
    lyrics += b"%06d" % len(lyrics) + b"LYRICS200"
    path.write_bytes(path.read_bytes() + lyrics + ID3V1 + b"\xff")
    assert read_tags(path, MP3).hidden == (("APEv2", ("Bebop",)),)
    write(path)
    assert path.read_bytes().endswith(lyrics + ID3V1 + b"\x07")
    assert read_tags(path, MP3).hidden == (("APEv2", ("Hip-Hop",)), ("ID3v1", ("Hip-Hop",)))


def test_a_second_id3_tag_is_hidden(make_audio):
    """Some taggers put a tag in front of one that they do not understand."""
    first = tag(4, frame("TIT2", b"\x03Title", 4))
    second = tag(3, frame("TCON", b"\x00Bebop", 3), frame("TIT2", b"\x00Title", 3))
    path = mp3_with(make_audio, first + second)
    assert read_tags(path, MP3).hidden == (("ID3v2", ("Bebop",)),)
    before, sound = path.read_bytes(), packets(path)
    write(path)
    state = read_tags(path, MP3)
    assert state.genres == ("Hip-Hop",)
    assert state.hidden == (("ID3v2", ("Hip-Hop",)),)
    assert packets(path) == sound
    path.write_bytes(before)
    write_and_restore(path)
    assert path.read_bytes() == before


def test_a_genre_is_gtags_only_while_it_equals_what_gtag_noted(make_audio):
    path = make_audio(".mp3")
    write(path, CHANGE)
    assert read_tags(path, MP3).user_genres == ()
    tags = ID3(path)
    tags["TCON"] = mutagen.id3.TCON(3, ["Trap"])
    tags.save()
    state = read_tags(path, MP3)
    assert state.gtag_genre == ("Hip-Hop",)
    assert state.user_genres == ("Trap",)


@pytest.mark.parametrize("text", ["", "nonsense", "nan", "1.5", "-1", "inf"])
def test_a_confidence_that_makes_no_sense_is_none(make_audio, text):
    path = mp3_with(make_audio, tag(4, frame("TXXX", b"\x03GTAG_CONFIDENCE\0" + text.encode(), 4)))
    assert read_tags(path, MP3).gtag_confidence is None


def test_unknown_versions_are_unreadable(make_audio):
    path = mp3_with(make_audio, tag(1, frame("TIT2", b"\x00T", 3)))
    with pytest.raises(UnreadableError, match="unknown version"):
        read_tags(path, MP3)


def test_a_tag_made_to_fill_the_memory_is_refused(make_audio):
    path = mp3_with(make_audio, tag(3, frame("TIT2", b"", 3) * 2_001))
    with pytest.raises(RefusedError, match="more than 2,000 frames"):
        read_tags(path, MP3)


def test_id3v1_has_one_spelling_for_each_number(make_audio):
    path = mp3_with(make_audio, b"", ID3V1 + b"\x11")
    write(path, Change(("hip-hop",), ("hip-hop",), 0.5, "own-1"))
    state = read_tags(path, MP3)
    assert state.hidden == (("ID3v1", ("Hip-Hop",)),)
    assert state.user_genres == ()


@pytest.mark.parametrize("text", ["200", "(200)", "(4)(199)", "254"])
def test_a_number_that_no_genre_has_is_what_somebody_wrote(make_audio, text):
    """Regression: "200" was read as the placeholder Unknown, and replaced."""
    piece = make_audio(".mp3")
    body = tag(4, frame("TCON", b"\x03" + text.encode(), 4))
    piece.write_bytes(body + piece.read_bytes())
    state = read_tags(piece, MP3)
    assert state.genres == (text,)
    decision = decide(PREDICTION, state, Policy(0.0))
    assert decision.status is Status.KEPT
    appended = Change((text, "Jazz"), ("Jazz",), 0.9, "x-1")
    for refuses in (check_change, write_change):
        with pytest.raises(RefusedError, match="number of a genre"):
            refuses(piece, MP3, appended)
    assert read_tags(piece, MP3).genres == (text,)
