"""The genre at the end of the comment: written, read by others, taken back."""

from __future__ import annotations

import pytest
import taglib
from mediafile import MediaFile
from mutagen.id3 import COMM, ID3

from tagger.containers.formats import MP3
from tagger.containers.read import read_tags
from tagger.containers.snapshot import obstacle, snapshot
from tagger.containers.write import Change
from tests.tagger.containers.helpers import form, write, write_and_restore
from tests.tagger.containers.test_round_trips import containers_of_mediafile

TECHNO = Change(("Techno",), ("Techno",), 0.9, "m-1", 3, comment="Nice one [gtag: Techno]")


@containers_of_mediafile
def test_it_is_read_by_others_and_taken_back_to_the_byte(make_audio, suffix, encoding):
    path = make_audio(suffix, **encoding)
    file = MediaFile(path)
    file.title = "Title"
    file.save()
    write(path, Change(None, comment="Nice one"))
    assert read_tags(path, form(path)).comments == ("Nice one",)
    before = path.read_bytes()
    write_and_restore(path, TECHNO)
    assert path.read_bytes() == before
    write(path, TECHNO)
    assert read_tags(path, form(path)).comments == ("Nice one [gtag: Techno]",)
    said = MediaFile(path)
    assert (said.comments, said.genre, said.title) == (TECHNO.comment, "Techno", "Title")
    if suffix in (".mp3", ".flac", ".m4a", ".wav", ".aiff"):  # what rekordbox plays
        with taglib.File(path) as other:
            assert other.tags["COMMENT"] == [TECHNO.comment]


def test_other_comments_and_the_language_of_an_mp3_stay(make_audio):
    path = make_audio(".mp3")
    tags = ID3()
    tags.add(COMM(encoding=1, lang="deu", desc="", text=["Schön"]))
    tags.add(COMM(encoding=0, lang="eng", desc="iTunNORM", text=[" 0000"]))
    tags.save(path, v2_version=3)
    change = Change(None, comment="Schön [gtag: Techno]")
    write_and_restore(path, change)
    write(path, change)
    tags = ID3(path, translate=False)
    assert tags["COMM::deu"].text == ["Schön [gtag: Techno]"]
    assert tags["COMM:iTunNORM:eng"].text == [" 0000"]
    assert {key for key in tags if key.startswith("COMM")} == {"COMM::deu", "COMM:iTunNORM:eng"}


def test_a_comment_in_id3v1_is_carried_along(make_audio):
    path = make_audio(".mp3")
    title, comment = b"Title".ljust(94, b"\0"), b"Old words".ljust(30, b"\0")
    path.write_bytes(path.read_bytes() + b"TAG" + title + comment + b"\xff")
    assert read_tags(path, MP3).comments == ("Old words",)
    write_and_restore(path, TECHNO)


def test_a_comment_that_was_edited_since_is_not_overwritten_by_an_undo(make_audio):
    path = make_audio(".flac")
    old = snapshot(path, form(path), TECHNO.roles)
    new = {role: list(values) for role, values in TECHNO.fields().items()}
    write(path, TECHNO)
    assert obstacle(path, form(path), old, new) is None
    file = MediaFile(path)
    file.comments = "Mine"
    file.save()
    assert obstacle(path, form(path), old, new) == "its comment was changed since"


@pytest.mark.parametrize("suffix", [".m4a", ".flac"])
def test_a_freeform_field_of_that_name_is_no_comment(make_audio, suffix):
    path = make_audio(suffix)
    write(path, Change(None, comment="x"))
    assert MediaFile(path).comments == "x"
