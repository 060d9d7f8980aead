"""A write in every container that PyAV can make, read back by tools that are not gtag."""

from __future__ import annotations

import os
from pathlib import Path

import mediafile
import mutagen
import pytest
from mutagen.trueaudio import TrueAudio

from tagger.containers.formats import MP4
from tagger.containers.read import TagState, read_tags
from tagger.containers.write import Change
from tests.tagger.containers.helpers import (
    CHANGE,
    TWO,
    content_hash,
    form,
    packets,
    write,
    write_and_restore,
)

MADE = [
    (".mp3", {}),
    (".flac", {}),
    (".ogg", {}),
    (".oga", {}),
    (".opus", {}),
    (".m4a", {}),
    (".m4a", {"codec": "alac"}),
    (".m4a", {"options": {"movflags": "faststart"}}),
    (".wma", {}),
    (".wav", {}),
    (".aiff", {}),
    (".wv", {}),
    (".tta", {}),
]


def containers(made: list) -> pytest.MarkDecorator:
    names = [suffix[1:] + "".join(map(str, encoding.values())) for suffix, encoding in made]
    return pytest.mark.parametrize(("suffix", "encoding"), made, ids=names)


every_container = containers(MADE)
# MediaFile knows neither Ogg FLAC nor TTA.
containers_of_mediafile = containers([m for m in MADE if m[0] not in (".oga", ".tta")])

KEYS = {  # as mutagen names them: genre, and how a GTAG field begins
    "id3": ("TCON", "TXXX:GTAG_"),
    "vorbis": ("genre", "gtag_"),
    "mp4": ("\xa9gen", "----:com.apple.iTunes:GTAG_"),
    "asf": ("WM/Genre", "GTAG/"),
    "ape": ("Genre", "GTAG_"),
}


def with_mutagen(path: Path, key: str) -> list[str]:
    # By its content mutagen takes a TTA with an ID3 tag for an MP3.
    file = TrueAudio(path) if path.suffix == ".tta" else mutagen.File(path)
    values = getattr(file.tags[key], "text", file.tags[key])
    return [v.decode() if isinstance(v, bytes) else str(v) for v in values]


def said(path: Path, genres: tuple[str, ...], *noted) -> TagState:
    """What a file's tags say after a write; a WAV says the genre in its INFO list, too."""
    return TagState(genres, (("INFO", genres),) if path.suffix == ".wav" else (), *noted)


@every_container
def test_every_field_stands_in_the_container_s_own_place(make_audio, suffix, encoding):
    path = make_audio(suffix, **encoding)
    assert read_tags(path, form(path)) == TagState()
    sound = packets(path)

    write(path, TWO)

    genre, gtag = KEYS[form(path).family]
    assert with_mutagen(path, genre) == ["Polka", "Hip-Hop"]
    assert with_mutagen(path, gtag + "GENRE") == ["Hip-Hop"]
    assert with_mutagen(path, gtag + "CONFIDENCE") == ["0.5000"]
    assert with_mutagen(path, gtag + "MODEL") == ["cnn-1"]
    state = read_tags(path, form(path))
    assert state == said(path, ("Polka", "Hip-Hop"), ("Hip-Hop",), 0.5, "cnn-1")
    assert state.user_genres == ("Polka",)
    assert packets(path) == sound


@containers_of_mediafile
def test_mediafile_reads_it(make_audio, suffix, encoding):
    path = make_audio(suffix, **encoding)
    write(path, TWO)
    assert mediafile.MediaFile(path).genres == ["Polka", "Hip-Hop"]


@every_container
def test_restored_to_the_byte(make_audio, suffix, encoding):
    path = make_audio(suffix, **encoding)
    before = path.read_bytes()
    assert write_and_restore(path) != before
    assert path.read_bytes() == before


@every_container
def test_a_second_write_replaces_the_first_and_adds_nothing(make_audio, suffix, encoding):
    path = make_audio(suffix, **encoding)
    write(path, TWO)
    size = path.stat().st_size
    before = path.read_bytes()
    write_and_restore(path, Change(("Rock",), ("Rock",), 0.9, "cnn-2"))
    assert path.read_bytes() == before
    write(path, Change(("Rock",), ("Rock",), 0.9, "cnn-2"))
    assert read_tags(path, form(path)) == said(path, ("Rock",), ("Rock",), 0.9, "cnn-2")
    assert path.stat().st_size <= size


@containers_of_mediafile
def test_other_fields_of_mediafile_stay(make_audio, suffix, encoding):
    path = make_audio(suffix, **encoding)
    file = mediafile.MediaFile(path)
    fields = {
        "title": "Ťitle\u202e",
        "artist": "Ärtist",
        "year": 1999,
        "track": 3,
        "tracktotal": 12,
        "comments": "a comment",
        "bpm": 120,
        "mb_trackid": "8b882575-08a5-4452-a7a7-cbb8a1531f9e",
        "lyrics": "la\nla",
        "rg_track_gain": -3.25,
        "art": b"\xff\xd8\xff\xe0" + bytes(range(256)) * 300,
        "genre": "Chamber pop",
    }
    for key, value in fields.items():
        setattr(file, key, value)
    file.save()
    stored = {key: getattr(mediafile.MediaFile(path), key) for key in fields}
    sound, content = packets(path), content_hash(path, form(path))

    write(path)

    again = mediafile.MediaFile(path)
    assert {key: getattr(again, key) for key in fields} == {**stored, "genre": "Hip-Hop"}
    assert packets(path) == sound
    assert content_hash(path, form(path)) == content


@every_container
def test_genres_beyond_ascii(make_audio, suffix, encoding):
    path = make_audio(suffix, **encoding)
    genres = ("Škola", "音楽", "(Indie)", "🎷 jazz")
    write(path, Change(genres, genres[:1], 1.0, "modèle-1"))
    assert read_tags(path, form(path)) == said(path, genres, ("Škola",), 1.0, "modèle-1")
    assert write_and_restore(path)


def test_names_of_files_that_are_no_utf8_nor_harmless(make_audio):
    made = make_audio(".m4a")
    path = Path(os.fsdecode(os.fsencode(made.parent) + b"/-rf \x1b[31m\xff\r.m4a"))
    made.rename(path)
    write(path)
    assert read_tags(path, MP4).genres == ("Hip-Hop",)


def test_confidence_has_four_decimals(make_audio):
    path = make_audio(".flac")
    write(path, CHANGE)
    assert with_mutagen(path, "gtag_confidence") == ["0.8700"]


@pytest.mark.shared_data
@pytest.mark.parametrize(
    "name",
    [
        "mediafile/full.ape",
        "mediafile/empty.ape",
        "mediafile/full.mpc",
        "mutagen/click.mpc",
        "mutagen/sv8_header.mpc",
        "mediafile/full.dsf",
        "mutagen/without-id3.dsf",
        "mutagen/empty.spx",
        "mutagen/multiplexed.spx",
        "mutagen/dsd.wv",
    ],
)
def test_containers_that_nobody_here_can_make(shared_data, tmp_path, name):
    path = tmp_path / Path(name).name
    path.write_bytes((shared_data / "corpora" / name).read_bytes())
    before, content = path.read_bytes(), content_hash(path, form(path))
    write(path, TWO)
    genre, gtag = KEYS[form(path).family]
    assert with_mutagen(path, genre) == ["Polka", "Hip-Hop"]
    assert with_mutagen(path, gtag + "MODEL") == ["cnn-1"]
    if path.suffix != ".spx":  # MediaFile does not know Speex
        assert mediafile.MediaFile(path).genres == ["Polka", "Hip-Hop"]
    assert content_hash(path, form(path)) == content
    path.write_bytes(before)
    write_and_restore(path)
    assert path.read_bytes() == before
