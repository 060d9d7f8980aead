import re
import sqlite3
from contextlib import closing

import pytest
from mediafile import MediaFile


@pytest.fixture
def written(gtag, make_audio, tmp_path):
    """A folder of two tracks that a scan has written."""
    for name in ("a.mp3", "b.flac"):
        make_audio(name[1:], name=f"music/{name}")
    folder = tmp_path / "music"
    assert (
        gtag("scan", folder, "--write-tags", "--min-confidence", 0, "-q", "--jobs", 1).status == 0
    )
    assert all(MediaFile(path).genre for path in folder.iterdir())
    return folder


def genres(folder):
    return [MediaFile(path).genre for path in sorted(folder.iterdir())]


def test_takes_back_the_last_scan(gtag, written):
    ran = gtag("undo")
    assert ran.status == 0
    assert ran.out == "2 restored\n"
    assert genres(written) == [None, None]
    ran = gtag("undo")
    assert ran.status == 2
    assert "nothing to undo" in ran.err


def test_dry_run_takes_nothing_back(gtag, written):
    before = genres(written)
    ran = gtag("undo", "--dry-run")
    assert ran.status == 0
    assert ran.out == "2 would-restore\n"
    assert genres(written) == before


def test_by_number_and_path(gtag, written):
    assert gtag("undo", "1", written / "a.mp3").status == 0
    assert genres(written)[0] is None
    assert genres(written)[1]


def test_lists_runs(gtag, written):
    gtag("undo")
    listed = gtag("undo", "--list").out
    runs = re.findall(r"^ *(\d+)  .* (\d+) +(\d+)  gtag (\w+)", listed, re.M)
    assert runs == [("2", "2", "0", "undo"), ("1", "0", "2", "scan")]


def test_verbose_lists_each_file(gtag, written):
    for options, status in ((("--dry-run",), "would-restore"), ((), "restored")):
        ran = gtag("undo", "-v", *options)
        assert ran.out.splitlines() == [
            *(f"{written / name}: {status}" for name in ("a.mp3", "b.flac")),
            f"2 {status}",
        ]


def test_the_list_leaves_out_runs_that_changed_nothing(gtag, written):
    def runs(*options):
        listed = gtag("undo", "--list", *options).out
        return re.findall(r"^ *(\d+)  .* gtag (\w+)", listed, re.M)

    options = ("--write-tags", "--min-confidence", 0, "-q", "--jobs", 1)
    assert gtag("scan", written, *options).status == 0  # all unchanged
    assert runs() == [("1", "scan")]
    assert runs("-v") == [("2", "scan"), ("1", "scan")]


def test_a_list_without_any_change_says_so(gtag, tmp_path):
    assert gtag("undo", "--list").out == "No run yet.\n"
    (tmp_path / "empty").mkdir()
    assert gtag("scan", tmp_path / "empty", "--write-tags").status == 0
    assert gtag("undo", "--list").out == "No run changed anything yet.\n"


def test_what_somebody_changed_since_is_named_and_left_alone(gtag, written):
    media = MediaFile(written / "a.mp3")
    media.genre = "Polka"
    media.save()
    ran = gtag("undo")
    assert ran.status == 1
    assert "a.mp3: refused: " in ran.err
    assert genres(written) == ["Polka", None]


def test_a_journal_of_ones_own(gtag, make_audio, tmp_path):
    piece, journal = make_audio(".wav"), tmp_path / "own.sqlite"
    options = ("--write-tags", "--min-confidence", 0, "--journal", journal)
    assert gtag("scan", piece, *options).status == 0
    assert gtag("undo").status == 2
    assert gtag("undo", "--journal", journal).status == 0
    assert MediaFile(piece).genre is None


def test_no_such_run_is_2(gtag, written):
    assert gtag("undo", "99").status == 2


def test_a_damaged_journal_is_named_and_the_rest_taken_back(gtag, make_audio, tmp_path):
    pieces = [make_audio(".mp3", duration_s=2.0, seed=seed) for seed in range(2)]
    journal = tmp_path / "journal.sqlite"
    options = ("--write-tags", "--min-confidence", "0", "--journal", journal)
    assert gtag("scan", *pieces, *options).status == 0
    with closing(sqlite3.connect(journal)) as database, database:
        database.execute("UPDATE changes SET old = '[null]' WHERE id = 1")
        database.execute("UPDATE changes SET before = '{}', state = 'intent' WHERE id = 2")
        database.execute("UPDATE runs SET command = '{', started = 7")
    listed = gtag("undo", "--list", "--journal", journal)
    assert listed.status == 1
    assert listed.err == "gtag: run 1 is damaged in the journal\n"
    more = make_audio(".mp3", duration_s=2.0, seed=3)
    assert gtag("scan", more, *options).status == 0
    for run, said in (
        (2, "1 restored"),
        (1, f"{pieces[0]}: refused: its tags in the journal are damaged\n"),
        (1, f"{pieces[1]}: failed: its entry in the journal is damaged"),
    ):
        ran = gtag("undo", str(run), "--journal", journal)
        assert said in ran.out + ran.err
        assert "mistake" not in ran.err
        assert ran.status == (0 if run == 2 else 1)


def test_moved_files_that_were_found_are_counted(gtag, written):
    (written / "a.mp3").rename(written / "z.mp3")
    ran = gtag("undo", "-v", "--find")
    assert ran.status == 0
    assert ran.out.splitlines() == [
        f"{written / 'b.flac'}: restored",
        f"{written / 'z.mp3'}: restored (was {written / 'a.mp3'})",
        "2 restored; moved and found: 1",
    ]


def test_prune_forgets_old_runs_only_when_it_is_told_to(gtag, make_audio):
    piece = make_audio(".flac")
    assert gtag("scan", piece, "--write-tags", "--min-confidence", 0).status == 0
    assert "deleted: runs 0, changes 0" in gtag("undo", "--prune").out
    assert gtag("undo", "--prune", "--list").status == 2
    assert "deleted: runs 1, changes 1" in gtag("undo", "--prune", "--keep-days", 0).out
    assert gtag("undo", "--list").out == "No run yet.\n"
