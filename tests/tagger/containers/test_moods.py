"""The mood of a track in every container: written, read by others, kept, taken back."""

from __future__ import annotations

import json
from pathlib import Path

import mediafile
import mutagen
import pytest
import taglib
from mutagen.id3 import ID3, TALB, TCON, TMOO, TXXX

from tagger.containers.formats import MP3
from tagger.containers.read import TagState, read_tags
from tagger.containers.snapshot import obstacle, restore, same_fields, snapshot
from tagger.containers.write import Change, check_change
from tagger.journal.journal import Journal
from tests.tagger.containers.helpers import CHANGE, form, packets, write, write_and_restore
from tests.tagger.containers.test_readers import CASES
from tests.tagger.containers.test_round_trips import (
    containers_of_mediafile,
    every_container,
    with_mutagen,
)
from tests.tagger.readers import as_programs_see, genres_seen, lost

CALM = Change(None, mood="Calm")
BOTH = Change(("Hip-Hop",), ("Hip-Hop",), 0.87, "cnn-1", mood="Calm")
KEYS = {  # as mutagen names them: the mood, and gtag's note
    "id3": ("TMOO", "TXXX:GTAG_MOOD"),
    "vorbis": ("mood", "gtag_mood"),
    "mp4": ("----:com.apple.iTunes:MOOD", "----:com.apple.iTunes:GTAG_MOOD"),
    "asf": ("WM/Mood", "GTAG/MOOD"),
    "ape": ("Mood", "GTAG_MOOD"),
}


@every_container
@pytest.mark.parametrize("change", [CALM, BOTH], ids=["mood", "both"])
def test_it_stands_in_the_container_s_own_place(make_audio, suffix, encoding, change):
    path = make_audio(suffix, **encoding)
    sound = packets(path)
    write(path, change)
    mood, gtag = KEYS[form(path).family]
    assert with_mutagen(path, mood) == with_mutagen(path, gtag) == ["Calm"]
    state = read_tags(path, form(path))
    assert (state.moods, state.gtag_mood, state.user_moods) == (("Calm",), ("Calm",), ())
    assert state.genres == (change.genres or ())
    assert state.gtag_genre == change.gtag_genre
    assert packets(path) == sound
    with taglib.File(path) as file:
        assert file.tags["MOOD"] == ["Calm"]


@every_container
@pytest.mark.parametrize("change", [CALM, BOTH], ids=["mood", "both"])
def test_it_is_taken_back_to_the_byte(make_audio, suffix, encoding, change):
    path = make_audio(suffix, **encoding)
    before = path.read_bytes()
    write_and_restore(path, change)
    assert path.read_bytes() == before
    write(path, CHANGE)  # beside a genre of gtag's, which stays
    before, state = path.read_bytes(), read_tags(path, form(path))
    write_and_restore(path, CALM)
    assert path.read_bytes() == before
    assert read_tags(path, form(path)) == state


@containers_of_mediafile
def test_a_genre_is_written_and_taken_back_beside_a_persons_mood(make_audio, suffix, encoding):
    path = make_audio(suffix, **encoding)
    own = KEYS[form(path).family][0]
    file = mutagen.File(path)
    if file.tags is None:
        file.add_tags()
    said = {"TMOO": TMOO(encoding=3, text=["Wistful"])}.get(own, "Wistful")
    file.tags[own] = [said.encode()] if own.startswith("----") else said
    file.save()
    before = path.read_bytes()
    assert read_tags(path, form(path)).user_moods == ("Wistful",)
    write(path)
    assert with_mutagen(path, own) == ["Wistful"]
    assert mediafile.MediaFile(path).genres == ["Hip-Hop"]
    path.write_bytes(before)
    write_and_restore(path, CHANGE)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("suffix", "tagged"), CASES, ids=lambda v: v if isinstance(v, str) else v.__name__
)
def test_programs_see_every_other_field_and_the_genre_as_before(make_audio, suffix, tagged):
    path = make_audio(suffix, duration_s=1.0)
    tagged(path)
    before, seen, genres = path.read_bytes(), as_programs_see(path), genres_seen(path)
    found = form(path)
    if read_tags(path, found).moods:  # some of these have one, which stays
        assert read_tags(path, found).user_moods == ("blue",)
        return
    hidden = tuple(genre for _, said in read_tags(path, found).hidden for genre in said)
    # What is decided where only hidden tags say the genre: it is said in the new tag, too.
    change = Change(None if read_tags(path, found).genres or not hidden else hidden, mood="Calm")
    old = json.loads(json.dumps(snapshot(path, found, change.roles)))
    check_change(path, found, change)
    write(path, change)
    assert read_tags(path, found).moods == ("Calm",)
    assert lost(seen, as_programs_see(path)) == []
    assert genres_seen(path).items() >= genres.items()
    restore(path, found, old)
    assert same_fields(path, found, old) and path.read_bytes() == before


def test_id3v2_3_has_no_such_frame(make_audio):
    path = make_audio(".mp3")
    tags = ID3()
    tags.add(TALB(encoding=1, text=["Album"]))
    tags.save(path, v2_version=3)
    write_and_restore(path, CALM)
    write(path, CALM)
    tags = ID3(path, translate=False)
    assert tags.version == (2, 3, 0) and tags["TXXX:MOOD"].text == ["Calm"] and "TMOO" not in tags
    with taglib.File(path) as file:
        assert file.tags["MOOD"] == ["Calm"] and file.tags["ALBUM"] == ["Album"]


def test_every_place_of_a_persons_mood_is_known(make_audio):
    path = make_audio(".mp3")
    tags = ID3()
    tags.add(TMOO(encoding=3, text=["Sad", "Wistful"]))
    tags.add(TXXX(encoding=3, desc="mood", text=["Blue"]))
    tags.save(path)
    assert sorted(read_tags(path, MP3).user_moods) == ["Blue", "Sad", "Wistful"]


def test_a_mood_in_a_hidden_tag_is_a_persons(make_audio):
    path = make_audio(".flac")
    ID3().save(path)
    tags = ID3(path)
    tags.add(TMOO(encoding=3, text=["Wistful"]))
    tags.save(path)
    assert read_tags(path, form(path)).user_moods == ("Wistful",)


def test_an_undo_looks_only_at_what_was_written(make_audio, tmp_path):
    """A person's new genre does not keep a mood from being taken back, a new mood does."""
    path = make_audio(".mp3")
    old = snapshot(path, MP3, CALM.roles)
    new = {role: list(values) for role, values in CALM.fields().items()}
    write(path, CALM)
    tags = ID3(path)
    tags.add(TCON(encoding=3, text=["Polka"]))
    tags.save()
    assert obstacle(path, MP3, old, new) is None
    restore(path, MP3, old, loosely=True)
    assert read_tags(path, MP3) == TagState(genres=("Polka",))
    write(path, CALM)
    tags = ID3(path)
    tags.add(TMOO(encoding=3, text=["Sad"]))
    tags.save()
    assert obstacle(path, MP3, old, new) == "its mood was changed since"
    old_genre = snapshot(path, MP3)
    genre = {role: list(values) for role, values in CHANGE.fields().items()}
    write(path, CHANGE)
    tags = ID3(path)
    tags.add(TMOO(encoding=3, text=["Glad"]))
    tags.save()
    assert obstacle(path, MP3, old_genre, genre) is None
    restore(path, MP3, old_genre, loosely=True)
    assert (read_tags(path, MP3).moods, read_tags(path, MP3).genres) == (("Glad",), ("Polka",))


def test_a_damaged_list_of_fields_in_the_journal_restores_nothing(make_audio):
    path = make_audio(".mp3")
    write(path, CHANGE)
    before = path.read_bytes()
    old = snapshot(path, MP3, CALM.roles)
    for roles in ("MOOD", ["TITLE"], [["MOOD"]], {"MOOD": 1}, [None], 7):
        with pytest.raises(Exception, match="in the journal are damaged"):
            restore(path, MP3, {**old, "roles": roles})
    assert path.read_bytes() == before


def test_the_journal_keeps_a_mood_for_undo(make_audio, tmp_path: Path):
    from tagger.containers.write import write_change
    from tagger.journal.undo import UndoStatus, undo_run

    path = make_audio(".m4a")
    before = path.read_bytes()
    with Journal(tmp_path / "journal") as journal:
        with journal.start_run("scan", ()) as run:
            write_change(path, form(path), CALM, journal=run)
        ((one),) = undo_run(journal, run.id)
        assert one.status is UndoStatus.RESTORED and path.read_bytes() == before
        again = max(each.id for each in journal.runs())
        ((one),) = undo_run(journal, again)  # an undo that is taken back
        assert one.status is UndoStatus.RESTORED
        assert read_tags(path, form(path)).gtag_mood == ("Calm",)
