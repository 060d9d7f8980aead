"""Verification notices what a write must not do, and a failed one leaves the original."""

from __future__ import annotations

import struct
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mutagen.apev2 import APEv2
from mutagen.id3 import ID3, TIT2

from tagger.containers import write as write_module
from tagger.containers.formats import FLAC, MP3
from tagger.containers.parts import same_bytes
from tagger.containers.read import read_tags
from tagger.containers.verify import check_kept, check_written
from tagger.containers.write import Change, apply_change, write_change
from tagger.system.errors import WriteFailedError
from tests.tagger.containers.helpers import CHANGE, content_hash, form, packets, write


def tagged_copy(make_audio, suffix):
    path = make_audio(suffix)
    copy = path.with_name("copy" + suffix)
    copy.write_bytes(path.read_bytes())
    apply_change(copy, form(path), CHANGE)
    return path, copy


SUFFIXES = [".mp3", ".flac", ".ogg", ".oga", ".opus", ".m4a", ".wma", ".wav", ".aiff", ".wv"]


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".tta"])
def test_any_flipped_byte_of_the_sound_is_noticed(make_audio, suffix):
    path, copy = tagged_copy(make_audio, suffix)
    check_kept(path, copy, form(path))
    data = copy.read_bytes()
    # In the sound and never in a tag: those are at the ends.
    for place in (len(data) // 3, len(data) // 2, len(data) * 2 // 3):
        copy.write_bytes(data[:place] + bytes((data[place] ^ 1,)) + data[place + 1 :])
        with pytest.raises(WriteFailedError, match="sound would change"):
            check_kept(path, copy, form(path))


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".tta"])
def test_a_missing_end_is_noticed(make_audio, suffix):
    path, copy = tagged_copy(make_audio, suffix)
    sound = copy.read_bytes()
    copy.write_bytes(sound[: len(sound) // 2])
    with pytest.raises(WriteFailedError):
        check_kept(path, copy, form(path))


def test_offsets_that_no_longer_point_to_the_sound_are_noticed(make_audio):
    path, copy = tagged_copy(make_audio, ".m4a")
    data = copy.read_bytes()
    place = data.index(b"stco") + 12
    offset = int.from_bytes(data[place : place + 4])
    copy.write_bytes(data[:place] + struct.pack(">I", offset + 1) + data[place + 4 :])
    with pytest.raises(WriteFailedError, match="sound would change"):
        check_kept(path, copy, form(path))


def test_a_page_number_out_of_order_is_noticed(make_audio):
    path, copy = tagged_copy(make_audio, ".ogg")
    data = copy.read_bytes()
    place = data.rindex(b"OggS") + 18
    copy.write_bytes(data[:place] + bytes((data[place] + 1,)) + data[place + 1 :])
    with pytest.raises(WriteFailedError, match="sound would change"):
        check_kept(path, copy, form(path))


def test_a_changed_lost_or_added_field_is_noticed(make_audio):
    path = make_audio(".mp3")
    tags = ID3()
    tags.add(TIT2(3, ["Title"]))
    tags.save(path)
    copy = path.with_name("copy.mp3")
    data = path.read_bytes()
    for damaged in (data.replace(b"Title", b"title"), data.replace(b"TIT2", b"TIT3")):
        copy.write_bytes(damaged)
        with pytest.raises(WriteFailedError, match="another field of its ID3v2"):
            check_kept(path, copy, MP3)
    copy.write_bytes(data)
    ape = APEv2()
    ape["Title"] = "x"
    ape.save(copy)
    with pytest.raises(WriteFailedError, match="lost or added"):
        check_kept(path, copy, MP3)


@pytest.mark.parametrize(
    "other",
    [
        Change(("Rock",), ("Hip-Hop",), 0.87, "cnn-1"),
        Change(("Hip-Hop", "Rock"), ("Hip-Hop",), 0.87, "cnn-1"),
        Change(("Hip-Hop",), ("Rock",), 0.87, "cnn-1"),
        Change(("Hip-Hop",), ("Hip-Hop",), 0.88, "cnn-1"),
        Change(("Hip-Hop",), ("Hip-Hop",), 0.87, "cnn-2"),
    ],
)
def test_what_was_not_planned_is_noticed(make_audio, other):
    path, copy = tagged_copy(make_audio, ".flac")
    check_written(path, copy, FLAC, CHANGE.fields())
    with pytest.raises(WriteFailedError, match="planned"):
        check_written(path, copy, FLAC, other.fields())


def test_a_hidden_genre_that_contradicts_is_noticed(make_audio):
    path, copy = tagged_copy(make_audio, ".mp3")
    for file in (path, copy):
        file.write_bytes(file.read_bytes() + b"TAG" + bytes(124) + b"\x11")
    with pytest.raises(WriteFailedError, match="ID3v1 would name another genre"):
        check_written(path, copy, MP3, CHANGE.fields())


def test_a_write_that_goes_wrong_leaves_the_original(make_audio, monkeypatch):
    """A fault in the writer itself: the wrong bytes in the copy."""
    path = make_audio(".mp3")
    before = path.read_bytes()

    def faulty(copy, format, change):
        apply_change(copy, format, change)
        with open(copy, "r+b") as file:
            file.seek(-100, 2)
            file.write(b"oops")

    monkeypatch.setattr(write_module, "apply_change", faulty)
    with pytest.raises(WriteFailedError, match="sound would change"):
        write(path)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".tta"])
def test_the_hash_of_the_content_knows_the_sound_and_not_the_tags(make_audio, suffix):
    path = make_audio(suffix)
    before = content_hash(path, form(path))
    write(path)
    assert content_hash(path, form(path)) == before
    other = make_audio(suffix, seed=1)
    assert packets(other) != packets(path)
    assert content_hash(other, form(other)) != before


class Recorder:
    """A journal that keeps what it is told."""

    def __init__(self):
        self.calls, self.old = [], None

    def change(self, path, format_name, **options):
        self.calls.append(("change", str(path), format_name, options))
        return self

    def before_copy(self, copy, backup):
        self.calls.append(("before_copy", self.old))

    def before_swap(self, before, after, copy):
        self.calls.append(("before_swap", before.digest != after.digest))

    def after_swap(self):
        self.calls.append(("after_swap",))


def test_the_journal_has_the_old_values_before_the_swap(make_audio):
    path = make_audio(".mp3")
    write(path)
    journal = Recorder()
    change = Change(("Rock",), ("Rock",), 0.9, "cnn-2")
    write_change(path, MP3, change, journal=journal, preserve_mtime=True)
    new = {
        "genre": ["Rock"],
        "GTAG_GENRE": ["Rock"],
        "GTAG_CONFIDENCE": ["0.9000"],
        "GTAG_MODEL": ["cnn-2"],
    }
    options = {"new": new, "preserve_mtime": True, "in_place": False}
    assert journal.calls == [
        ("change", str(path), "MP3", options),
        ("before_copy", None),
        ("before_swap", True),
        ("after_swap",),
    ]
    assert journal.old["format"] == "MP3"
    assert [role for _, role, _ in journal.old["blocks"][0]["fields"]] == list(new)
    assert read_tags(path, MP3).genres == ("Rock",)


@given(data=st.binary(max_size=30), cuts=st.lists(st.lists(st.integers(0, 30)), min_size=2))
def test_the_same_bytes_are_the_same_however_they_are_cut(data, cuts):
    def cut(content, places):
        places = sorted({0, len(content), *(min(place, len(content)) for place in places)})
        return [content[a:b] for a, b in pairwise(places)] + [b""]

    assert same_bytes(cut(data, cuts[0]), cut(data, cuts[1]))
    for other in (data + b"x", data[:-1] if data else b"x", bytes([b ^ 1 for b in data]) or b"x"):
        assert not same_bytes(cut(data, cuts[0]), cut(other, cuts[1]))
