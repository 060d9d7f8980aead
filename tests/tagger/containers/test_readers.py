"""A write takes nothing away from what programs see: not by hiding it either."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from mutagen.apev2 import APEv2
from mutagen.asf import ASF as MutagenAsf
from mutagen.flac import FLAC as MutagenFlac
from mutagen.id3 import COMM, ID3, TALB, TDRC, TIT2, TPE1, TPOS, TRCK, TXXX

from tagger.containers import write as write_module
from tagger.containers.read import read_tags
from tagger.containers.snapshot import restore, same_fields, snapshot
from tagger.containers.verify import both_open, check_seen, read_by_mutagen
from tagger.containers.write import apply_change
from tagger.system.errors import WriteFailedError
from tests.tagger.containers.helpers import CHANGE, TWO, form, packets, write
from tests.tagger.readers import as_programs_see, genres_seen, lost

ID3V1 = b"TAG" + b"Song of songs".ljust(30, b"\0") + b"Solomon".ljust(30) + b"Album\0".ljust(30)
ID3V1 += b"1999" + b"from the attic".ljust(28, b"\0") + b"\0\x07"
NO_GENRE = b"\xff"


def with_id3v1(path: Path) -> None:
    path.write_bytes(path.read_bytes() + ID3V1 + NO_GENRE)


def with_old_id3v1(path: Path) -> None:
    """Version 1.0, whose comment takes the place of the track's number."""
    data = ID3V1[:97] + b"a comment of thirty characters" + NO_GENRE
    path.write_bytes(path.read_bytes() + data)


def with_apev2(path: Path) -> None:
    tags = APEv2()
    tags.update({"Title": "Ťitle", "Artist": ["One", "Two"], "Album Artist": "Various"})
    tags.update({"Year": "2001", "Track": "3/12", "Disc": "1/2", "REPLAYGAIN_TRACK_GAIN": "-3 dB"})
    tags.save(path)


def with_gain(path: Path) -> None:
    tags = APEv2()
    tags["REPLAYGAIN_TRACK_GAIN"] = "-3 dB"
    tags.save(path)


def with_all_but_id3v2(path: Path) -> None:
    with_apev2(path)
    with_id3v1(path)


def with_gain_and_id3v1(path: Path) -> None:
    with_gain(path)
    with_id3v1(path)


def with_empty_id3v2(path: Path) -> None:
    path.write_bytes(b"ID3\x03\0\0\0\0\x01\0" + bytes(128) + path.read_bytes() + ID3V1 + NO_GENRE)


def with_id3v2(path: Path) -> None:
    tags = ID3()
    for frame in (TIT2(3, ["Ťitle"]), TPE1(3, ["One"]), TALB(3, ["Album"])):
        tags.add(frame)
    for frame in (TDRC(3, ["2001-02-03"]), TRCK(3, ["3/12"]), TPOS(3, ["1/2"])):
        tags.add(frame)
    tags.add(COMM(3, "eng", "", ["a comment"]))
    tags.add(TXXX(3, "MOOD", ["blue"]))
    tags.save(path, v1=0)


def with_id3v2_and_apev2(path: Path) -> None:
    with_apev2(path)
    with_id3v2(path)


INFO_IDS = (
    "INAM IART IPRD IBPM ICMT ICNT ICOP ICRD IDIT IEDT IENG ILNG IMED IMUS IPRT IPUB ISFT ISRC "
    "ISTR ITCH IWRI IKEY"
)


def with_info(path: Path) -> None:
    items = b""
    for kind in INFO_IDS.encode().split():
        text = b"2001-02-03" if kind == b"ICRD" else b"what " + kind + " ťells".encode()
        items += kind + struct.pack("<I", len(text) + 1) + text + b"\0" + bytes((len(text) + 1) % 2)
    add_chunk(path, b"LIST", b"INFO" + items)


def add_chunk(path: Path, kind: bytes, data: bytes) -> None:
    body = path.read_bytes()[8:] + kind + struct.pack("<I", len(data)) + data
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)


def with_vague_date(path: Path) -> None:
    """Of which an ID3v2 tag can keep the words, but not as a date."""
    text = b"in May\0\0"
    add_chunk(path, b"LIST", b"INFOICRD" + struct.pack("<I", 7) + text)


CASES = [
    (".mp3", with_id3v1),
    (".mp3", with_old_id3v1),
    (".mp3", with_apev2),
    (".mp3", with_gain),
    (".mp3", with_all_but_id3v2),
    (".mp3", with_gain_and_id3v1),
    (".mp3", with_empty_id3v2),
    (".mp3", with_id3v2),
    (".mp3", with_id3v2_and_apev2),
    (".tta", with_id3v2_and_apev2),
    (".tta", with_id3v1),
    (".tta", with_apev2),
    (".tta", with_all_but_id3v2),
    (".tta", with_gain_and_id3v1),
    (".wv", with_id3v1),
    (".wv", with_all_but_id3v2),
    (".flac", with_id3v1),
    (".flac", with_id3v2),
    (".wav", with_info),
    (".wav", with_vague_date),
]


@pytest.mark.parametrize(
    ("suffix", "tagged"), CASES, ids=lambda v: v if isinstance(v, str) else v.__name__
)
def test_programs_see_every_other_field_as_before(make_audio, suffix, tagged):
    path = make_audio(suffix, duration_s=1.0)
    tagged(path)
    before, seen, sound = path.read_bytes(), as_programs_see(path), packets(path)
    assert any(seen.values())
    found = form(path)
    old = snapshot(path, found)

    write(path, TWO)

    assert lost(seen, as_programs_see(path)) == []
    assert read_tags(path, found).genres == ("Polka", "Hip-Hop")
    assert read_tags(path, found).gtag_genre == ("Hip-Hop",)
    # Each program that showed a title shows the genre, too.
    if tagged == with_id3v2_and_apev2:
        assert list(APEv2(path)["Genre"]) == ["Polka", "Hip-Hop"]
    titled = {reader for reader in ("taglib", "ffmpeg") if "TITLE" in seen[reader]}
    assert titled <= genres_seen(path).keys()
    assert packets(path)[: len(sound) - 1] == sound[:-1]
    written = path.read_bytes()
    again = snapshot(path, found)

    restore(path, found, old)
    assert same_fields(path, found, old)
    assert path.read_bytes() == before
    assert as_programs_see(path) == seen
    restore(path, found, again)  # an undo that is taken back
    assert same_fields(path, found, again)
    assert lost(seen, as_programs_see(path)) == []
    restore(path, found, old)
    assert path.read_bytes() == before
    assert written != before


def test_what_id3v1_had_in_another_alphabet_keeps_its_bytes(make_audio):
    """Programs that guess the alphabet of such a tag still can."""
    path = make_audio(".mp3")
    title = "Песня".encode("cp1251")
    path.write_bytes(path.read_bytes() + b"TAG" + title.ljust(124, b"\0") + NO_GENRE)
    write(path)
    assert b"TIT2\0\0\0\x06\0\0\0" + title in path.read_bytes()


def test_fields_of_a_person_that_equal_those_of_id3v1_survive_an_undo(make_audio):
    path = make_audio(".mp3")
    with_id3v1(path)
    write(path)
    found = form(path)
    tags = ID3(path, load_v1=False)
    for key in ("TCON", "TXXX:GTAG_GENRE", "TXXX:GTAG_CONFIDENCE", "TXXX:GTAG_MODEL"):
        del tags[key]
    tags.save(path, v1=0)  # now they are that person's
    before, old = path.read_bytes(), snapshot(path, found)
    assert b"TIT2" in before
    write(path, TWO)
    restore(path, found, old)
    assert ID3(path, load_v1=False)["TIT2"].text == ["Song of songs"]
    assert path.read_bytes() == before


def test_a_write_that_would_hide_other_fields_is_thrown_away(make_audio, monkeypatch):
    path = make_audio(".mp3")
    with_id3v1(path)
    before = path.read_bytes()

    def forgetful(copy, format, change):
        with monkeypatch.context() as patch:
            patch.setattr("tagger.containers.opened.Container.carried", lambda self: [])
            apply_change(copy, format, change)

    monkeypatch.setattr(write_module, "apply_change", forgetful)
    with pytest.raises(WriteFailedError, match="programs would no longer see"):
        write(path)
    assert path.read_bytes() == before


def see(path: Path, copy: Path) -> None:
    with both_open(path, copy, form(path)) as (old, new, _):
        tags = read_by_mutagen(copy, form(path), new.main)
        check_seen(path, form(path), old, new, tags)


def test_a_field_that_mutagen_no_longer_sees_is_noticed(make_audio):
    path = make_audio(".flac")
    file = MutagenFlac(path)
    file["title"] = "Title"
    file.save()
    copy = path.with_name("copy.flac")
    copy.write_bytes(path.read_bytes())
    apply_change(copy, form(path), CHANGE)
    see(path, copy)
    copy.write_bytes(copy.read_bytes().replace(b"itle=Title", b"itle=title"))
    with pytest.raises(WriteFailedError, match="programs would no longer see"):
        see(path, copy)


def test_gtags_fields_in_an_ape_tag_count_when_an_id3_tag_is_added_later(make_audio):
    path = make_audio(".mp3")
    with_apev2(path)
    write(path)
    assert path.read_bytes()[:3] != b"ID3"
    tags = ID3()
    tags.add(TIT2(3, ["Title"]))
    tags.save(path)
    state = read_tags(path, form(path))
    assert state.user_genres == ()
    assert (state.gtag_genre, state.gtag_model) == (("Hip-Hop",), "cnn-1")
    write(path, TWO)
    assert read_tags(path, form(path)).user_genres == ("Polka",)
    assert ID3(path)["TXXX:GTAG_GENRE"].text == ["Hip-Hop"]
    assert not [key for key in APEv2(path) if key.startswith("GTAG")]


def test_all_programs_read_the_genres_of_a_wma_in_one_order(make_audio):
    """TagLib reads objects in the order of the file, mutagen the extended description first.

    ffmpeg, which shows a single genre, shows what it reads last.
    """
    path = make_audio(".wma")
    before = path.read_bytes()
    found = form(path)
    old = snapshot(path, found)
    write(path, TWO)
    assert genres_seen(path) == {"taglib": "Polka\nHip-Hop", "ffmpeg": "Hip-Hop"}
    assert [str(v) for v in MutagenAsf(path)["WM/Genre"]] == ["Polka", "Hip-Hop"]
    restore(path, found, old)
    assert path.read_bytes() == before


@pytest.mark.parametrize("split", [False, True])
def test_the_order_of_other_attributes_of_a_wma_is_left_to_them(make_audio, split):
    path = make_audio(".wma")
    file = MutagenAsf(path)
    file.tags["WM/Composer"] = ["One", "Two"] if split else ["One"]
    file.tags["WM/Genre"] = ["Bebop", "Swing"]
    file.save()
    before, seen, found = path.read_bytes(), as_programs_see(path), form(path)
    old = snapshot(path, found)
    write(path, TWO)
    assert lost(seen, as_programs_see(path)) == []
    expected = "Hip-Hop\nPolka" if split else "Polka\nHip-Hop"
    assert genres_seen(path)["taglib"] == expected
    restore(path, found, old)
    assert path.read_bytes() == before
