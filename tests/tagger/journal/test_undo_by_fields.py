"""Undo of files that somebody edited since: it is about gtag's fields, and leaves all others."""

from __future__ import annotations

import mutagen
import pytest
from mutagen.flac import Picture
from mutagen.id3 import APIC, TCON, TIT2
from mutagen.mp4 import MP4Cover

from tagger.containers.snapshot import snapshot
from tagger.journal.journal import Journal
from tagger.journal.undo import UndoStatus, undo_run
from tests.tagger.containers.helpers import content_hash
from tests.tagger.journal.test_undo import METAL, scan, undo
from tests.tagger.specimens import EVERY_CONTAINER, as_mutagen_says, specimen, tag_as_people_do

_OURS = ("tcon", "genre", "\xa9gen", "gtag")


@pytest.fixture
def journal(tmp_path):
    with Journal(tmp_path / "state" / "journal.sqlite") as journal:
        yield journal


def edit_as_people_do(path, format):
    """A new title and, where they are common, a cover that makes the file larger."""
    file = format.open_with_mutagen(str(path))
    version = {}
    match format.family:
        case "id3":
            version = {"v2_version": file.tags.version[1]}
            file.tags.add(TIT2(encoding=1, text="Corrected"))
            file.tags.add(APIC(encoding=0, mime="image/png", type=4, desc="b", data=bytes(200_000)))
        case "mp4":
            file["\xa9nam"] = ["Corrected"]
            file["covr"] = [MP4Cover(bytes(200_000))]
        case _:
            file["Title"] = ["Corrected" * 10_000]
            if hasattr(file, "add_picture"):
                picture = Picture()
                picture.data = bytes(200_000)
                file.add_picture(picture)
    file.save(**version)


def others(path):
    return {
        k: v for k, v in as_mutagen_says(path).items() if not any(o in k.lower() for o in _OURS)
    }


def ours(path, format):
    blocks = snapshot(path, format)["blocks"]
    return [sorted(field[1:] for field in block["fields"]) for block in blocks]


@pytest.mark.parametrize("tagged", [False, True])
@pytest.mark.parametrize("name", EVERY_CONTAINER)
def test_an_edit_of_other_fields_is_not_in_the_way(name, tagged, request, tmp_path, journal):
    path, format = specimen(name, request, tmp_path / "music")
    if tagged:
        tag_as_people_do(path, format)
    before = ours(path, format)
    number = scan(journal, [path])
    edit_as_people_do(path, format)
    edited, sound = others(path), content_hash(path, format)
    assert undo(journal, number, dry_run=True) == [(str(path), "would-restore")]
    assert [(o.status, o.message) for o in undo_run(journal, number)] == [("restored", "")]
    assert ours(path, format) == before
    assert others(path) == edited
    assert content_hash(path, format) == sound


@pytest.fixture
def song(make_audio):
    return make_audio(".mp3", duration_s=2.0)


def test_a_genre_that_was_changed_since_is_refused_with_both_values(journal, song):
    number = scan(journal, [song], METAL)
    file = mutagen.File(song)
    file["TCON"] = TCON(encoding=3, text=["Folk"])
    file.save()
    theirs = song.read_bytes()
    for dry_run in (True, False):
        (result,) = undo_run(journal, number, dry_run=dry_run)
        assert result.status is UndoStatus.REFUSED
        assert result.message == (
            "its genre was changed since: gtag wrote Metal; Rock, it says Folk now"
        )
        assert song.read_bytes() == theirs
    assert undo(journal, number, force=True) == [(str(song), "restored")]
    assert "TCON" not in (mutagen.File(song).tags or {})


@pytest.mark.parametrize("force", [False, True])
def test_other_sound_under_the_same_name_is_refused(journal, song, make_audio, force):
    number = scan(journal, [song])
    tags = mutagen.File(song).tags
    again = make_audio(".mp3", duration_s=2.0, bit_rate=64_000)
    tags.save(again)
    song.write_bytes(again.read_bytes())
    (result,) = undo_run(journal, number, force=force)
    assert (result.status, result.message) == ("refused", "somebody changed its sound since")


def test_an_undo_of_an_edited_file_can_be_undone(journal, song):
    scan(journal, [song])
    written = as_mutagen_says(song)
    file = mutagen.File(song)
    file["TIT2"] = TIT2(encoding=3, text=["Corrected"])
    file.save()
    assert undo(journal) == [(str(song), "restored")]
    redo = journal.runs()[0].id
    assert undo(journal, redo) == [(str(song), "restored")]
    assert as_mutagen_says(song) == written | {"TIT2": "Corrected"}


@pytest.mark.parametrize("genre", [None, "Krautrock"])
@pytest.mark.parametrize(("before", "after"), [(3, 3), (3, 4), (4, 3), (4, 4)])
@pytest.mark.parametrize("suffix", [".mp3", ".aiff", ".wav"])
def test_a_tag_that_another_program_saved_anew(journal, make_audio, suffix, before, after, genre):
    """Regression: a tag that was saved in another version of ID3 could not be taken back."""
    path = make_audio(suffix, duration_s=1.0)
    file = mutagen.File(path)
    file.add_tags()
    file.tags.add(TIT2(encoding=1, text="Title"))
    if genre:
        file.tags.add(TCON(encoding=1, text=[genre]))
    file.save(v2_version=before)
    number = scan(journal, [path], METAL)
    file = mutagen.File(path)
    file.tags["TIT2"] = TIT2(encoding=1, text="Corrected")
    file.save(v2_version=after, v23_sep="; ")
    (result,) = undo_run(journal, number)
    assert (result.status, result.message) == (UndoStatus.RESTORED, "")
    tags = mutagen.File(path).tags
    assert (tags["TCON"].genres if genre else tags.get("TCON")) == ([genre] if genre else None)
    assert str(tags["TIT2"]) == "Corrected"
    assert not [key for key in tags if "GTAG" in key]
    assert tags.version[1] == after
