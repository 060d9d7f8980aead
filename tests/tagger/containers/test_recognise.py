"""Containers are known by content, never by name."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from tagger.containers import formats
from tagger.containers.formats import has_audio_extension
from tagger.containers.recognise import identify
from tagger.system.errors import UnreadableError
from tests.tagger.specimens import add_theora

MADE = {
    ".mp3": "MP3",
    ".flac": "FLAC",
    ".ogg": "Ogg Vorbis",
    ".oga": "Ogg FLAC",
    ".opus": "Opus",
    ".m4a": "MP4",
    ".wma": "ASF",
    ".wav": "WAV",
    ".aiff": "AIFF",
    ".wv": "WavPack",
    ".tta": "TTA",
}
ID3 = b"ID3\x04\0\0\0\0\x01\x00" + bytes(128)


@pytest.mark.parametrize("suffix", MADE)
def test_content_counts_and_the_name_does_not(make_audio, suffix):
    path = make_audio(suffix, name="holiday.jpg")
    found = identify(path)
    assert found is not None
    assert found.name == MADE[suffix]


@pytest.mark.parametrize("suffix", [".mp3", ".flac", ".tta", ".wv"])
def test_id3_tags_in_front_are_skipped(make_audio, suffix):
    path = make_audio(suffix)
    path.write_bytes(ID3 + ID3 + path.read_bytes())
    found = identify(path)
    assert found is not None
    assert found.name == MADE[suffix]


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"MAC \x96\x0f" + bytes(30), "Monkey's Audio"),
        (b"MP+\x07" + bytes(30), "Musepack"),
        (b"MP+\x17" + bytes(30), "Musepack"),
        (b"MPCKSH" + bytes(30), "Musepack"),
        (b"MP+\x05" + bytes(30), None),
        (b"DSD " + bytes(30), "DSF"),
        (b"RF64\xff\xff\xff\xffWAVEds64", "RF64"),
        (b"RIFF\0\0\0\0AVI LIST", None),
        (b"FORM\0\0\0\x04AIFC", "AIFF"),
        (b"FORM\0\0\0\x048SVX", None),
        (b"OggS\0\x02" + bytes(20) + b"\x01\x08Speex   ", "Speex"),
        (b"OggS\0\x02" + bytes(20) + b"\x01\x07\x80theora", None),
        (b"", None),
        (b"ID3", None),
        (ID3, None),
        (bytes(100_000), None),
        (b"\xff" * 100_000, None),
        (b"#!/bin/sh\n" * 1000, None),
        (b"\xff\xf1\x50\x80\x02\x1f\xfc" * 100, None),  # raw AAC
    ],
)
def test_first_bytes(tmp_path, content, name):
    path = tmp_path / "x.mp3"
    path.write_bytes(content)
    found = identify(path)
    assert (found and found.name) == name


def test_an_ogg_with_pictures_is_a_film(tmp_path, make_audio):
    sound = make_audio(".ogg").read_bytes()
    theora = b"OggS\0\x02" + bytes(20) + b"\x01\x0a\x80theora\x03\x02\x01"
    film = tmp_path / "film.ogg"
    film.write_bytes(theora + sound)
    assert identify(film) is None
    film.write_bytes(sound[:58] + theora + sound[58:])  # behind Vorbis's own first page
    assert identify(film) is None


def test_vorbis_with_a_cover_as_a_theora_stream_is_sound(make_audio):
    """What ffmpeg makes of a FLAC with a cover: a film of one frame."""
    for frames, expected in ((1, formats.OGG_VORBIS), (2, None), (40, None)):
        path = make_audio(".ogg")
        add_theora(path, frames)
        assert identify(path) == expected


def test_mp4_with_pictures_is_a_film_unless_its_brand_says_sound(make_audio):
    path = make_audio(".m4a")
    data = path.read_bytes()
    handler = data.index(b"soun")
    track_start = data.rindex(b"trak", 0, handler) - 4
    size = int.from_bytes(data[track_start : track_start + 4])
    video = data[track_start : track_start + size].replace(b"soun", b"vide")
    moov = data.index(b"moov") - 4
    moov_size = int.from_bytes(data[moov : moov + 4]) + size
    film = data[:moov] + moov_size.to_bytes(4) + data[moov + 4 : track_start] + video
    film += data[track_start:]
    path.write_bytes(film)
    assert film[8:12] == b"M4A "
    assert identify(path) == formats.MP4
    path.write_bytes(film[:8] + b"isom" + film[12:])
    assert identify(path) is None
    path.write_bytes(data.replace(b"soun", b"text"))
    assert identify(path) is None


def test_sound_behind_junk_needs_several_frames_in_a_row(make_audio):
    path = make_audio(".mp3")
    sound = path.read_bytes()
    path.write_bytes(b"junk" * 5000 + sound)
    assert identify(path) == formats.MP3
    path.write_bytes(b"junk" * 5000 + sound[:800])
    assert identify(path) is None
    path.write_bytes(b"junk" * 75_000 + sound)
    assert identify(path) == formats.MP3
    path.write_bytes(b"junk" * 150_000 + sound)
    assert identify(path) is None


def test_a_fifo_is_not_opened_and_a_missing_file_is_named(tmp_path):
    os.mkfifo(tmp_path / "a.mp3")
    assert identify(tmp_path / "a.mp3") is None
    assert identify(tmp_path) is None
    with pytest.raises(UnreadableError, match=r"gone\.mp3"):
        identify(tmp_path / "gone.mp3")


def test_names_that_are_no_utf8_nor_harmless(make_audio):
    path = Path(os.fsdecode(os.fsencode(make_audio(".mp3").parent) + b"/-\x1b[31m\xff.MP3"))
    path.write_bytes(make_audio(".mp3").read_bytes())
    assert identify(path) == formats.MP3
    assert has_audio_extension(path)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.mp3", True),
        ("A.FLAC", True),
        ("a.m4b", True),
        ("a.mp4", False),
        ("a.aac", True),
        ("a.mkv", False),
        ("a.jpg", False),
        ("mp3", False),
        (".mp3", False),
    ],
)
def test_extensions(name, expected):
    assert has_audio_extension(name) is expected


@pytest.mark.shared_data
def test_corpora_by_content(shared_data):
    files = [p for p in (shared_data / "corpora").rglob("*") if p.is_file()]
    found = Counter(f.name if (f := identify(p)) else None for p in files)
    assert found == {
        "MP3": 30,
        "FLAC": 14,
        "Ogg Vorbis": 11,
        "Opus": 4,
        "Ogg FLAC": 1,
        "Speex": 2,
        "MP4": 19,
        "ASF": 9,
        "WAV": 8,
        "AIFF": 9,
        "Monkey's Audio": 8,
        "WavPack": 6,
        "Musepack": 5,
        "TTA": 1,
        "DSF": 7,
        "AAC without a container": 1,
        "AC-3": 2,
        "DSDIFF": 3,
        "TAK": 2,
        None: 27,
    }


@pytest.mark.shared_data
def test_nothing_but_sound_is_taken_for_sound(shared_data):
    """Pictures, a MIDI file, text, other tag holders and formats that are not in the table."""
    strangers = {".jpg", ".png", ".tiff", ".mid", ".apev2", ".tak", ".aac", ".ac3", ".eac3"}
    strangers |= {".dff", ".ofr", ".ofs", ".oggtheora", ""}
    files = [p for p in (shared_data / "corpora").rglob("*") if p.suffix in strangers]
    files = [p for p in files if p.is_file()]
    assert len(files) > 20
    assert [p.name for p in files if (f := identify(p)) and f.is_tagged] == []
