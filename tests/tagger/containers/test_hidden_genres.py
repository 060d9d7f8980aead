"""A genre that a person wrote counts wherever it stands in a file."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from mutagen.asf import ASF as MutagenAsf
from mutagen.mp4 import MP4 as MutagenMp4
from mutagen.mp4 import MP4FreeForm

from tagger.containers.read import read_tags
from tagger.containers.write import Change
from tagger.deciding.decide import Policy, Status, decide
from tagger.models.prediction import Prediction
from tagger.system.errors import RefusedError
from tests.tagger.containers.helpers import TWO, form, packets, write, write_and_restore
from tests.tagger.readers import as_programs_see, lost

BLUES = b"\0"  # number of a genre in ID3v1
ID3V1 = b"TAG" + b"Title".ljust(30, b"\0") + bytes(94) + BLUES
LONG = Change(("x" * 3000,), ("x" * 3000,), 0.5, "cnn-1")


def ape(*, header: bool = True, footer: bool = True, genre: bytes = b"Blues") -> bytes:
    items = struct.pack("<2I", len(genre), 0) + b"Genre\0" + genre
    numbers = struct.pack("<3I", 2000, len(items) + 32 * footer, 1)
    flags = header << 31 | (not footer) << 30
    head = b"APETAGEX" + numbers + struct.pack("<I", flags | 1 << 29) + bytes(8)
    foot = b"APETAGEX" + numbers + struct.pack("<I", flags) + bytes(8)
    return (head if header else b"") + items + (foot if footer else b"")


def id3v2(*, footer: bool = False, room: int = 0) -> bytes:
    frame = b"TCON\0\0\0\x06\0\0\x03Blues" + bytes(room)
    size = bytes(len(frame) >> shift & 0x7F for shift in (21, 14, 7, 0))
    header = bytes((4, 0, 0x10 * footer)) + size
    return b"ID3" + header + frame + (b"3DI" + header if footer else b"")


def id3v1_extension() -> bytes:
    text = b"Title".ljust(60, b"\0") + bytes(120) + b"\0" + b"Blues".ljust(30, b"\0") + bytes(12)
    return b"TAG+" + text


def behind(*tags: bytes) -> Callable[[Path], None]:
    def put(path: Path) -> None:
        path.write_bytes(path.read_bytes() + b"".join(tags))

    return put


def in_front(*tags: bytes) -> Callable[[Path], None]:
    def put(path: Path) -> None:
        path.write_bytes(b"".join(tags) + path.read_bytes())

    return put


def genre_id(path: Path) -> None:
    file = MutagenAsf(path)
    file.tags["WM/GenreID"] = "(0)"
    file.save()


def freeform(path: Path) -> None:
    file = MutagenMp4(path)
    file["----:com.apple.iTunes:GENRE"] = [MP4FreeForm(b"Blues")]
    file.save()


NO_GENRE = ID3V1[:-1] + b"\xff"
PLACES = {
    "mp3, ID3v2 at the end": (".mp3", behind(id3v2(footer=True))),
    "mp3, ID3v2 before ID3v1": (".mp3", behind(id3v2(footer=True), NO_GENRE)),
    "mp3, APE in front": (".mp3", in_front(ape())),
    "mp3, APE in front without a footer": (".mp3", in_front(ape(footer=False))),
    "mp3, ID3v1 before APE": (".mp3", behind(ID3V1, ape(genre=b""))),
    "mp3, ID3v1 extension": (".mp3", behind(id3v1_extension(), NO_GENRE)),
    "wv, ID3v1 before APE": (".wv", behind(ID3V1, ape(genre=b""))),
    "flac, APE": (".flac", behind(ape(header=False))),
    "ogg, APE": (".ogg", behind(ape())),
    "ogg, ID3v1": (".ogg", behind(ID3V1)),
    "ogg, ID3v2 behind": (".ogg", behind(id3v2())),
    "ogg, ID3v2 behind, and ID3v1": (".ogg", behind(id3v2(room=20_000), NO_GENRE)),
    "ogg, ID3v2 in front": (".ogg", in_front(id3v2())),
    "opus, ID3v1": (".opus", behind(ID3V1)),
    "m4a, APE": (".m4a", behind(ape())),
    "m4a, ID3v1": (".m4a", behind(ID3V1)),
    "m4a, ID3v2 in front": (".m4a", in_front(id3v2())),
    "m4a, freeform": (".m4a", freeform),
    "wma, genre ID": (".wma", genre_id),
    "wma, ID3v1": (".wma", behind(ID3V1)),
    "wav, ID3v2 in front": (".wav", in_front(id3v2())),
    "wav, ID3v2 behind": (".wav", behind(id3v2())),
    "wav, ID3v1": (".wav", behind(ID3V1)),
    "aiff, ID3v2 behind, and ID3v1": (".aiff", behind(id3v2(), NO_GENRE)),
    "tta, APE": (".tta", behind(ape())),
}

# mutagen does not pass over such a tag, and gtag writes nothing that mutagen cannot check.
UNWRITABLE = {"ogg, ID3v2 in front", "m4a, ID3v2 in front", "wav, ID3v2 in front"}


@pytest.mark.parametrize("place", PLACES)
def test_a_genre_is_kept_wherever_a_person_wrote_it(make_audio, place):
    suffix, put = PLACES[place]
    path = make_audio(suffix, duration_s=1.0)
    sound = packets(path)
    put(path)
    before, found, seen = path.read_bytes(), form(path), as_programs_see(path)
    tags = read_tags(path, found)
    assert tags.user_genres == ("Blues",)
    heard = Prediction(("Jazz", "Rock"), np.array([0.9, 0.1]), "cnn-1")
    decision = decide(heard, tags, Policy(min_confidence=0.5))
    assert (decision.status, decision.reason) == (Status.KEPT, "a person wrote Blues")

    if place in UNWRITABLE:
        with pytest.raises(RefusedError, match="mutagen cannot read it"):
            write(path, TWO)
        assert path.read_bytes() == before
        return

    write(path, TWO)  # as with `--existing replace`: then nothing contradicts

    assert read_tags(path, found).user_genres == ("Polka",)
    assert b"Blues" not in path.read_bytes()
    assert lost(seen, as_programs_see(path)) == []
    assert packets(path)[: len(sound) - 1] == sound[:-1]
    path.write_bytes(before)
    write_and_restore(path, TWO)
    assert path.read_bytes() == before


@pytest.mark.parametrize("suffix", [".ogg", ".m4a", ".wma", ".wav", ".aiff"])
def test_the_letters_of_a_tag_in_the_sound_are_none(make_audio, suffix):
    """Behind the end of what is the container's own a tag is one, before it never."""
    path = make_audio(suffix, duration_s=1.0)
    data = path.read_bytes()
    path.write_bytes(data[:-128] + ID3V1)
    assert read_tags(path, form(path)).user_genres == ()


@pytest.mark.parametrize("place", [8, 12, 40, 60, -24])
def test_a_damaged_tag_in_front_is_content(make_audio, place):
    path = make_audio(".mp3", duration_s=1.0)
    damaged = bytearray(ape())
    damaged[place] ^= 0x82
    in_front(bytes(damaged))(path)
    before = path.read_bytes()
    write(path)
    assert bytes(damaged) in path.read_bytes()
    path.write_bytes(before)
    write_and_restore(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("damaged", [ape()[:-40] + ape()[-32:], id3v2()[:-3], b"TAG" + bytes(50)])
@pytest.mark.parametrize("suffix", [".ogg", ".m4a", ".wav"])
def test_a_damaged_tag_behind_is_content(make_audio, suffix, damaged):
    path = make_audio(suffix, duration_s=1.0)
    path.write_bytes(path.read_bytes() + damaged)
    before = path.read_bytes()
    write(path, LONG)
    assert path.read_bytes().endswith(damaged)
    path.write_bytes(before)
    write_and_restore(path, LONG)
    assert path.read_bytes() == before


@pytest.mark.parametrize("suffix", [".mp3", ".ogg", ".wav"])
@pytest.mark.parametrize(
    "put", [in_front(id3v2() * 5000), behind(ID3V1 * 5000), behind(id3v2(footer=True) * 99)]
)
def test_a_file_of_nothing_but_tags_is_refused(make_audio, suffix, put):
    """Each of them would be opened anew for each that is written."""
    path = make_audio(suffix, duration_s=1.0)
    put(path)
    with pytest.raises(RefusedError, match="more than 32 tags"):
        read_tags(path, form(path))
