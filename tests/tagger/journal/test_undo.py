from __future__ import annotations

import os
import shutil
import struct

import pytest
from mutagen.flac import FLAC
from mutagen.id3 import TCON, TXXX
from mutagen.wave import WAVE

from tagger.containers.recognise import identify
from tagger.containers.snapshot import restore, same_fields, snapshot, sound_of
from tagger.containers.write import Change, write_change
from tagger.journal.journal import Journal
from tagger.journal.undo import UndoStatus, undo_run
from tagger.storage.identity import Identity
from tagger.system.errors import ConfigurationError
from tests.tagger.containers.helpers import content_hash
from tests.tagger.readers import as_programs_see, genres_seen, lost
from tests.tagger.specimens import EVERY_CONTAINER, as_mutagen_says, specimen, tag_as_people_do

JAZZ = Change(("Jazz",), ("Jazz",), 0.91, "cnn-1")
METAL = Change(("Metal", "Rock"), ("Metal",), 0.66, "cnn-2")


@pytest.fixture
def journal(tmp_path):
    with Journal(tmp_path / "state" / "journal.sqlite") as journal:
        yield journal


@pytest.fixture
def album(make_audio, tmp_path):
    return [make_audio(".flac", duration_s=1.0, name=f"album/{n}.flac", seed=n) for n in range(3)]


def scan(journal, paths, change=JAZZ, **options):
    with journal.start_run("scan", ["scan", "--write-tags"], change.model) as run:
        for path in paths:
            write_change(path, identify(path), change, journal=run, **options)
    return run.id


def undo(journal, *arguments, **options):
    return [(u.path, u.status.value) for u in undo_run(journal, *arguments, **options)]


def genres(paths):
    return [as_mutagen_says(path).get("genre") for path in paths]


def test_a_file_that_a_run_changed_twice_reads_as_before(album, journal):
    """Regression: the older change was tried first, and refused for the newer one.

    And it was counted once by a dry run, but twice by the list of runs and by the undo.
    """
    run = scan(journal, [album[0], album[1], album[0]])
    with journal.start_run("scan", ["review"], None) as twice:
        for change in (METAL, Change(("Zouk",))):
            write_change(album[0], identify(album[0]), change, journal=twice)
    dry = undo(journal, dry_run=True)
    assert dry == [(str(album[0]), "would-restore")]
    assert journal.runs()[0].in_force == 1
    assert undo(journal) == [(str(album[0]), "restored")]
    assert [(r.in_force, r.undone) for r in journal.runs()][1:] == [(0, 1), (2, 0)]
    assert genres(album) == ["['Jazz']", "['Jazz']", None]
    assert undo(journal, run) == [(str(album[i]), "restored") for i in (0, 1)]
    assert genres(album) == [None] * 3


@pytest.mark.parametrize("tagged", [False, True])
@pytest.mark.parametrize("name", EVERY_CONTAINER)
def test_every_field_reads_as_before(name, tagged, request, tmp_path, journal):
    path, format = specimen(name, request, tmp_path / "music")
    if tagged:
        tag_as_people_do(path, format)
    old, said, sound = snapshot(path, format), as_mutagen_says(path), content_hash(path, format)
    seen = as_programs_see(path)
    first = scan(journal, [path])
    noted = Identity.of(path), sound_of(path, format)
    scan(journal, [path], METAL)
    assert not same_fields(path, format, old)
    (change,) = journal.changes(first)
    assert (change.after, change.old["sound"]) == noted
    assert lost(seen, as_programs_see(path)) == []

    for _ in range(2):
        assert undo(journal) == [(str(path), "restored")]
    assert same_fields(path, format, old)
    assert as_mutagen_says(path) == said
    assert as_programs_see(path) == seen
    assert content_hash(path, format) == sound
    assert list(path.parent.iterdir()) == [path]
    with pytest.raises(ConfigurationError, match="nothing to undo"):
        undo(journal)


def test_takes_back_the_last_scan_then_the_one_before(journal, album):
    first = scan(journal, album)
    second = scan(journal, album[:2], METAL)
    assert undo(journal) == [(str(path), "restored") for path in album[:2]]
    assert genres(album) == ["['Jazz']"] * 3
    assert undo(journal) == [(str(path), "restored") for path in album]
    assert genres(album) == [None] * 3
    assert [(run.id, run.in_force) for run in journal.runs() if run.kind == "scan"] == [
        (second, 0),
        (first, 0),
    ]


def test_an_undo_can_be_undone_and_that_again(journal, album):
    number = scan(journal, album)
    undo(journal, command=["undo"])
    redo = journal.runs()[0]
    assert (redo.kind, redo.command, redo.in_force) == ("undo", ("undo",), 3)
    undo(journal, redo.id)
    assert genres(album) == ["['Jazz']"] * 3
    assert {run.id: run.in_force for run in journal.runs()}[number] == 3
    assert undo(journal) == [(str(path), "restored") for path in album]
    assert genres(album) == [None] * 3


def test_runs_are_undone_in_any_order_that_the_files_allow(journal, album):
    first = scan(journal, album[:1])
    second = scan(journal, album[1:])
    assert undo(journal, first) == [(str(album[0]), "restored")]
    assert undo(journal, second) == [(str(path), "restored") for path in album[1:]]


def test_an_older_run_names_the_later_one_that_is_in_the_way(journal, album):
    first = scan(journal, album)
    second = scan(journal, album[:1], METAL)
    result = list(undo_run(journal, first))
    assert [o.status for o in result].count(UndoStatus.RESTORED) == 2
    (refused,) = [o for o in result if o.status.is_problem]
    assert (refused.path, refused.status) == (str(album[0]), UndoStatus.REFUSED)
    assert f"undo run {second} first" in refused.message
    undo(journal, second)
    assert undo(journal, first) == [(str(album[0]), "restored")]
    assert genres(album) == [None] * 3


@pytest.mark.parametrize("obstacle", ["read-only", "linked"])
def test_a_dry_run_refuses_what_the_undo_refuses(journal, album, obstacle):
    number = scan(journal, album)
    if obstacle == "read-only":
        album[0].chmod(0o444)
    else:
        os.link(album[0], album[0].with_name("other name"))
    rehearsed = list(undo_run(journal, number, dry_run=True))
    assert [result.status.value for result in rehearsed] == ["refused", *["would-restore"] * 2]
    undone, *_ = undo_run(journal, number)
    assert undone == rehearsed[0]


def test_a_dry_run_writes_nothing_at_all(journal, album):
    number = scan(journal, album)
    album[2].unlink()
    before = [journal.path.read_bytes(), *(path.read_bytes() for path in album[:2])]
    assert undo(journal, number, dry_run=True) == [
        (str(album[0]), "would-restore"),
        (str(album[1]), "would-restore"),
        (str(album[2]), "missing"),
    ]
    assert [journal.path.read_bytes(), *(path.read_bytes() for path in album[:2])] == before


def test_a_file_that_somebody_changed_is_refused_and_named(journal, album):
    scan(journal, album)
    with album[1].open("ab") as file:
        file.write(b"theirs")
    theirs = album[1].read_bytes()
    result = list(undo_run(journal))
    assert {(o.path, o.status.value) for o in result} == {
        (str(album[0]), "restored"),
        (str(album[1]), "refused"),
        (str(album[2]), "restored"),
    }
    assert "somebody changed it" in next(o.message for o in result if o.message)
    assert album[1].read_bytes() == theirs


def test_a_file_changed_between_plan_and_write_is_refused(journal, album):
    scan(journal, album)
    results = undo_run(journal)
    assert next(results).status is UndoStatus.RESTORED
    tag_as_people_do(album[1], identify(album[1]))
    theirs = album[1].read_bytes()
    assert next(results).status is UndoStatus.REFUSED
    assert album[1].read_bytes() == theirs
    assert [o.status for o in results] == [UndoStatus.RESTORED]


def test_an_undo_that_can_do_nothing_is_no_run(journal, album):
    number = scan(journal, album)
    for path in album:
        path.unlink()
    assert {status for _, status in undo(journal)} == {"missing"}
    assert [run.id for run in journal.runs()] == [number]


def test_files_are_looked_at_one_by_one(journal, album):
    """Not all before the first: a library on a network takes hours to read."""
    scan(journal, album)
    results = undo_run(journal)
    assert next(results).path == str(album[0])
    album[1].unlink()
    assert next(results).status is UndoStatus.MISSING
    assert [o.status for o in results] == [UndoStatus.RESTORED]


def test_only_the_time_or_place_of_a_file_may_change(journal, album):
    """A restored backup, a synced folder: the content counts."""
    scan(journal, album)
    os.utime(album[0], (1, 1))
    shutil.copyfile(album[1], album[1].with_name("copy"))
    album[1].with_name("copy").replace(album[1])
    assert [status for _, status in undo(journal)] == ["restored"] * 3


def test_paths_narrow_it(journal, album):
    scan(journal, album)
    assert undo(journal, None, [album[1]]) == [(str(album[1]), "restored")]
    assert genres(album) == ["['Jazz']", None, "['Jazz']"]
    assert undo(journal, None, [album[0].parent]) == [
        (str(album[0]), "restored"),
        (str(album[2]), "restored"),
    ]


def test_a_folder_is_not_taken_for_another_whose_name_begins_alike(journal, album):
    scan(journal, album)
    twin = album[0].parent.with_name("albu")
    twin.mkdir()
    assert undo(journal, None, [twin]) == []


def test_a_file_that_the_run_did_not_touch_is_named(journal, album):
    scan(journal, album[:1])
    result = list(undo_run(journal, None, [album[2]]))
    assert [(o.path, o.status) for o in result] == [(str(album[2]), UndoStatus.MISSING)]
    assert "nothing to take back" in result[0].message


def test_moved_files_are_found_where_they_are_said_to_be(journal, album, tmp_path):
    number = scan(journal, album)
    shelf = tmp_path / "shelf" / "deep"
    shelf.mkdir(parents=True)
    moved = [shelf / os.fsdecode(b"renamed \xff.flac"), shelf / "1.flac"]
    for old, new in zip(album, moved, strict=False):
        shutil.move(old, new)
    (shelf / "other.txt").write_bytes(b"x")
    result = list(undo_run(journal, number, dry_run=True))
    assert [(o.path, o.status.value) for o in result] == [
        (str(album[0]), "missing"),
        (str(album[1]), "missing"),
        (str(album[2]), "would-restore"),
    ]
    assert "name its new place" in result[0].message
    assert sorted(undo(journal, number, [tmp_path / "shelf"])) == sorted(
        (str(path), "restored") for path in moved
    )
    assert genres(moved) == [None, None]
    assert undo(journal, number) == [(str(album[2]), "restored")]


def test_a_moved_file_whose_old_place_was_taken_is_found_too(journal, album, tmp_path):
    scan(journal, album[:1])
    new = tmp_path / "new.flac"
    album[0].rename(new)
    album[0].write_bytes(b"something else")
    assert undo(journal, None, [album[0], new]) == [(str(new), "restored")]
    assert album[0].read_bytes() == b"something else"


def test_of_equal_files_that_moved_each_gets_its_own_past(journal, make_audio, tmp_path):
    """Both hold the same bytes after the run, but said different things before."""
    paths = [make_audio(".flac", duration_s=1.0, name=f"{name}.flac") for name in "ab"]
    for path, genre in zip(paths, ("Rock", "Folk"), strict=True):
        file = FLAC(path)
        file["genre"] = genre
        file.save()
    said = [as_mutagen_says(path) for path in paths]
    number = scan(journal, paths)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    place = tmp_path / "new"
    place.mkdir()
    moved = [path.rename(place / path.name) for path in paths]
    assert {status for _, status in undo(journal, number, [place])} == {"restored"}
    assert [as_mutagen_says(path) for path in moved] == said


def test_options_of_the_write_hold_for_its_undo(journal, album):
    os.link(album[0], album[0].with_name("second name.flac"))
    os.utime(album[0], (1, 2))
    scan(journal, album[:1], preserve_mtime=True, in_place=True)
    assert undo(journal) == [(str(album[0]), "restored")]
    assert album[0].stat().st_nlink == 2
    assert album[0].stat().st_mtime == 2


def test_a_file_that_must_not_be_written_any_more_is_refused(journal, album):
    scan(journal, album)
    album[0].chmod(0o444)
    result = list(undo_run(journal))
    assert result[0].status is UndoStatus.REFUSED
    assert result[0].message.startswith("the file is read-only")
    album[0].chmod(0o644)
    assert undo(journal) == [(str(album[0]), "restored")]


def test_a_failed_undo_leaves_the_file_and_the_next_one_works(journal, album, monkeypatch):
    import tagger.journal.undo

    scan(journal, album[:1])
    written = album[0].read_bytes()
    monkeypatch.setattr(tagger.journal.undo, "same_fields", lambda *arguments, **options: False)
    (result,) = undo_run(journal)
    assert (result.status, result.message) == (
        UndoStatus.FAILED,
        "its fields would not read as before",
    )
    assert album[0].read_bytes() == written
    monkeypatch.undo()
    assert undo(journal) == [(str(album[0]), "restored")]


def test_an_interrupt_leaves_a_run_that_can_go_on(journal, album):
    scan(journal, album)
    results = undo_run(journal)
    next(results)
    with pytest.raises(KeyboardInterrupt):
        results.throw(KeyboardInterrupt)
    assert genres(album) == [None, "['Jazz']", "['Jazz']"]
    assert undo(journal) == [(str(path), "restored") for path in album[1:]]


def test_no_such_run_and_a_run_that_goes_on(journal, album):
    with pytest.raises(ConfigurationError, match="nothing to undo"):
        undo(journal)
    scan(journal, album)
    with pytest.raises(ConfigurationError, match="there is no run 7"):
        undo(journal, 7)
    with journal.start_run("scan", ()) as run:
        write_change(album[0], identify(album[0]), METAL, journal=run)
        with pytest.raises(ConfigurationError, match="is still running"):
            undo(journal, run.id)


def test_an_intent_that_was_never_carried_out_is_passed_over(journal, album):
    """A dry run after a crash settles nothing, and yet knows."""
    original = album[0].read_bytes()
    number = scan(journal, album)
    journal._database.execute("UPDATE changes SET state = 'intent'")
    album[0].write_bytes(original)
    assert undo(journal, number, dry_run=True) == [
        (str(path), "would-restore") for path in album[1:]
    ]
    assert undo(journal, number) == [(str(path), "restored") for path in album[1:]]
    assert album[0].read_bytes() == original


def test_a_journal_made_by_somebody_else_cannot_put_foreign_fields_in(journal, album):
    """Only genre and GTAG fields are ever restored, whatever the journal says."""
    scan(journal, album[:1])
    written = album[0].read_bytes()
    (text,) = journal._database.execute("SELECT old FROM changes").fetchone()
    forged = text.replace('"fields": []', '"fields": [[0, "title", "Zm9yZ2Vk"]]')
    assert forged != text
    journal._database.execute("UPDATE changes SET old = ?", (forged,))
    assert [status for _, status in undo(journal)] == ["refused"]
    assert album[0].read_bytes() == written


@pytest.mark.parametrize("suffix", [".mp3", ".tta", ".wv", ".flac", ".wav"])
def test_what_was_carried_over_goes_and_comes_back(make_audio, journal, suffix):
    """The fields of an ID3v1 tag, or of an INFO list, that a new tag would hide."""
    path = make_audio(suffix, duration_s=1.0)
    if suffix == ".wav":
        items = b"INFOINAM\x06\0\0\0Title\0"
        data = path.read_bytes()[8:] + b"LIST" + struct.pack("<I", len(items)) + items
        path.write_bytes(b"RIFF" + struct.pack("<I", len(data)) + data)
    else:
        path.write_bytes(path.read_bytes() + b"TAG" + b"Title".ljust(124, b"\0") + b"\xff")
    before, seen = path.read_bytes(), as_programs_see(path)
    assert seen["taglib"] == {"TITLE": "Title"}
    number = scan(journal, [path])
    assert as_programs_see(path)["taglib"] == {"TITLE": "Title"}
    scan(journal, [path], METAL)
    assert undo(journal) == undo(journal, number) == [(str(path), "restored")]
    assert path.read_bytes() == before
    redo = journal.runs()[0].id
    assert undo(journal, redo) == [(str(path), "restored")]
    assert lost(seen, as_programs_see(path)) == []
    assert genres_seen(path)["taglib"] == "Jazz"
    assert undo(journal, number) == [(str(path), "restored")]
    assert path.read_bytes() == before


def test_a_snapshot_of_a_gtag_that_knew_fewer_tags(make_audio):
    """Journals outlive versions: an INFO list that could be made was not remembered then."""
    path = make_audio(".wav", duration_s=1.0)
    before, format = path.read_bytes(), identify(path)
    old = snapshot(path, format)
    (main, _) = old["blocks"]
    del main["carried"]
    old["blocks"] = [main]
    file = WAVE(path)
    file.add_tags()
    for frame in (TCON(3, ["Jazz"]), TXXX(3, "GTAG_GENRE", ["Jazz"])):
        file.tags.add(frame)
    file.save()
    restore(path, format, old)
    assert same_fields(path, format, old)
    assert path.read_bytes() == before
