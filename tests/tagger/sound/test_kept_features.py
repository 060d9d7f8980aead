"""Containers that gtag hears and does not tag: every file with an audio extension gets a row."""

from __future__ import annotations

import struct

import av
import pytest

from tagger.containers.formats import FORMATS, has_audio_extension
from tagger.containers.read import TagState, read_tags
from tagger.containers.recognise import identify
from tagger.containers.write import Change, check_change, write_change
from tagger.deciding.decide import Policy, Status
from tagger.library.walk import Library
from tagger.models import zoo
from tagger.pipeline.batch import track_results
from tagger.sound import demo
from tagger.system.errors import RefusedError

HEARD = {
    ".aac": ("AAC without a container", {"container": "adts", "codec": "aac"}),
    ".ac3": ("AC-3", {"container": "ac3", "codec": "ac3"}),
    ".eac3": ("AC-3", {"container": "eac3", "codec": "eac3"}),
    ".caf": ("CAF", {"container": "caf", "codec": "pcm_s16be"}),
    ".au": ("AU", {"container": "au", "codec": "pcm_s16be"}),
    ".w64": ("Wave64", {"container": "w64", "codec": "pcm_s16le"}),
    ".mka": ("Matroska", {"container": "matroska", "codec": "flac"}),
    ".mkv": ("Matroska", {"container": "matroska", "codec": "aac"}),
    ".webm": ("WebM", {"container": "webm", "codec": "libopus", "rate": 48000}),
    ".ra": ("RealAudio", {"container": "rm", "codec": "ac3"}),
    ".rf64": ("RF64", {"container": "wav", "codec": "pcm_s16le", "options": {"rf64": "always"}}),
}
CHANGE = Change(("Jazz",), ("Jazz",), 0.9, "test-1")


def scanned(path, **options):
    tracks = Library([str(path)])
    policy = Policy(min_confidence=0.0)
    return list(track_results(tracks, model=zoo.DEFAULT, policy=policy, jobs=1, **options))


def written(track, change):
    write_change(track.path, track.format, change)


@pytest.mark.parametrize("suffix", HEARD)
def test_what_cannot_be_tagged_is_heard_and_refused(make_audio, suffix):
    """Regression: such files were counted among those that are no music, RF64 among the damaged."""
    name, encoding = HEARD[suffix]
    path = make_audio(suffix, duration_s=5.0, **encoding)
    before = path.read_bytes()
    for how in (
        {},
        {"write": written},
        {"rehearse": lambda t, c: check_change(t.path, t.format, c)},
    ):
        (row,) = scanned(path, **how)
        assert row.status is Status.REFUSED, row
        assert row.message == f"this container ({name}) holds no tags that gtag can write"
        assert row.genre and 0 < row.confidence <= 1 and row.model
        assert row.duration_s is None or row.duration_s == pytest.approx(5.0, abs=0.3)
        assert row.new_genre == row.old_genre == ""
    assert path.read_bytes() == before


@pytest.mark.parametrize("suffix", [".aac", ".mka", ".rf64"])
def test_nothing_is_ever_written_into_what_is_only_heard(make_audio, suffix):
    path = make_audio(suffix, **HEARD[suffix][1])
    before = path.read_bytes()
    format = identify(path)
    assert format is not None and not format.is_tagged and format not in FORMATS
    assert read_tags(path, format) == TagState()
    for asked in (format, *FORMATS):
        for refuses in (lambda f: check_change(path, f), lambda f: write_change(path, f, CHANGE)):
            with pytest.raises(RefusedError):
                refuses(asked)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", [".mkv", ".webm", ".mka"])
def test_a_matroska_file_with_pictures_is_a_film(tmp_path, suffix):
    """It is only counted, unless its name promises sound."""
    path = tmp_path / f"film{suffix}"
    kind, codec = ("webm", "libvpx") if suffix == ".webm" else ("matroska", "mpeg4")
    with av.open(str(path), "w", format=kind) as film:
        picture = film.add_stream(codec, rate=25)
        picture.width, picture.height, picture.pix_fmt = 64, 64, "yuv420p"
        sound = film.add_stream("libopus", rate=48000, layout="stereo")
        for number in range(10):
            frame = av.VideoFrame(64, 64, "yuv420p")
            frame.pts = number
            film.mux(picture.encode(frame))
        film.mux(picture.encode(None))
        film.mux(sound.encode(None))
    assert identify(path) is None
    library = Library([str(tmp_path)])
    assert len(list(library)) == (suffix == ".mka")
    assert library.others == (suffix != ".mka")


def test_matroska_that_is_damaged_is_none(make_audio, tmp_path):
    whole = make_audio(".mka", **HEARD[".mka"][1]).read_bytes()
    path = tmp_path / "cut.mka"
    for length in (3, 4, 5, 20, 45, 60):
        path.write_bytes(whole[:length])
        assert identify(path) is None
    for content in (b"\x1a\x45\xdf\xa3", b"\x1a\x45\xdf\xa3" * 5000, whole[:4] + b"\xff" * 5000):
        path.write_bytes(content)
        assert identify(path) is None


def test_elements_inside_themselves_do_not_fill_the_stack(tmp_path):
    """Thousands of segments of unknown length, each inside the last."""
    path = tmp_path / "deep.mka"
    path.write_bytes(bytes.fromhex("1a45dfa380") + bytes.fromhex("18538067ff") * 20_000)
    assert identify(path) is None


def test_aac_and_ac3_need_several_frames_in_a_row(make_audio, tmp_path):
    for suffix in (".aac", ".ac3"):
        whole = make_audio(suffix, **HEARD[suffix][1]).read_bytes()
        path = tmp_path / "cut"
        path.write_bytes(whole[:300])
        assert identify(path) is None
        path.write_bytes(b"ID3\x04\0\0\0\0\x01\x00" + bytes(128) + whole)
        assert identify(path).name == HEARD[suffix][0]


def test_a_long_rf64_is_named_rf64(tmp_path):
    """One beyond 4 GiB, as its header says it."""
    path = tmp_path / "long.wav"
    ds64 = struct.pack("<4sI3QI", b"ds64", 28, 5 << 30, (5 << 30) - 100, 0, 0)
    path.write_bytes(b"RF64\xff\xff\xff\xffWAVE" + ds64)
    assert identify(path).name == "RF64"
    with pytest.raises(RefusedError, match="RF64"):
        check_change(path, identify(path))


@pytest.mark.parametrize("name", ["a.aac", "a.MKA", "a.ac3", "a.dts", "a.caf", "a.w64", "a.ra"])
def test_a_name_that_promises_sound_gets_a_row_whatever_is_in_it(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"no sound at all" * 100)
    assert has_audio_extension(path)
    (row,) = scanned(path)
    assert row.status is Status.UNREADABLE


@pytest.mark.parametrize("name", ["a.mkv", "a.webm", "a.mp4", "a.mid", "a.rm"])
def test_films_and_notes_are_only_counted(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"no sound at all" * 100)
    assert scanned(path) == []


def test_a_folder_with_both_is_heard_on(make_audio, tmp_path):
    make_audio(".aac", **HEARD[".aac"][1])
    demo.encode(demo.compose("disco", 0, 3.0), tmp_path / "z.flac")
    assert [row.status for row in scanned(tmp_path)] == [Status.REFUSED, Status.WOULD_WRITE]
