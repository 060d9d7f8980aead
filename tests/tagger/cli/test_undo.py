import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime

import pytest
from mediafile import MediaFile

from tagger.containers.recognise import identify
from tagger.containers.write import Change, write_change
from tagger.journal.journal import Journal
from tagger.storage.identity import Identity


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


JAZZ, METAL = (Change((genre,), (genre,), 0.9, "m-1") for genre in ("Jazz", "Metal"))


def test_runs_that_went_on_at_once_are_taken_back_by_the_same_command(gtag, make_audio, tmp_path):
    """Regression: "undo run 1 first", for ever, since run 2 had begun last."""
    a, b = (make_audio(".flac", duration_s=1.0, name=f"music/{name}.flac") for name in "ab")
    with Journal() as journal, journal.start_run("scan", ["scan"]) as first:
        write_change(a, identify(a), JAZZ, journal=first)
        with journal.start_run("scan", ["scan"]) as second:
            for path in (a, b):
                write_change(path, identify(path), METAL, journal=second)
            write_change(b, identify(b), JAZZ, journal=first)
    said = [gtag("undo") for _ in range(4)]
    assert [ran.status for ran in said] == [1, 0, 0, 2]
    assert f"{a}: refused: gtag changed it again since: undo run 2 first (gtag undo 2)" in (
        said[0].err
    )
    assert genres(tmp_path / "music") == [None, None]


def test_the_run_that_is_taken_back_is_named(gtag, written, make_audio, tmp_path):
    """Regression: after a scan that wrote nothing, an older one went without a word."""
    (tmp_path / "other").mkdir()
    assert gtag("scan", tmp_path / "other", "--write-tags").status == 0
    year = datetime.now(UTC).year
    named = rf"gtag: run 1, begun {year}-\d\d-\d\d \d\d:\d\d UTC: 2 files changed in {written}\n"
    for options in (["--dry-run"], []):
        ran = gtag("undo", *options)
        assert ran.status == 0
        assert re.fullmatch(named, ran.err)
    assert ran.out == "2 restored\n", "and where nobody can answer, nothing is asked"
    assert gtag("undo", "1").err == ""


def test_an_older_run_is_named_where_nothing_more_can_be_done(gtag, written, make_audio):
    piece = make_audio(".flac", name="other/c.flac")
    options = ("--write-tags", "--min-confidence", 0, "-q", "--jobs", 1)
    assert gtag("scan", piece, *options).status == 0
    piece.unlink()
    ran = gtag("undo")
    assert ran.status == 1
    assert ran.err.endswith("gtag: to take back the scan before it: gtag undo 1\n")
    assert gtag("undo", "1").status == 0
    assert genres(written) == [None, None]


@pytest.mark.parametrize(
    ("options", "answer", "restored"),
    [((), "n", False), ((), "y", True), (("--yes",), None, True), (("1",), None, True)],
)
def test_a_terminal_is_asked_whether_it_is_that_run(written, options, answer, restored):
    import pty

    ours, theirs = pty.openpty()
    ran = subprocess.Popen(
        [sys.executable, "-m", "tagger", "undo", *options],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
    )
    os.close(theirs)
    said = ""
    while answer and "[Y/n]" not in said:
        said += os.read(ours, 1000).decode()
    if answer:
        assert f"2 files changed in {written}" in said
        os.write(ours, f"{answer}\n".encode())
    out, _ = ran.communicate()
    os.close(ours)
    assert ran.returncode == 0
    assert ("2 restored" in out) == restored
    assert (genres(written) == [None, None]) == restored


def test_ctrl_c_ends_the_run_and_says_how_to_go_on(gtag, make_audio, tmp_path):
    """Regression: "Exception ignored in generator", and a run that had not ended."""
    pieces = [make_audio(".flac", duration_s=1.0, name=f"music/{i:02}.flac") for i in range(40)]
    with Journal() as journal, journal.start_run("scan", ["scan"]) as run:
        for piece in pieces:
            write_change(piece, identify(piece), JAZZ, journal=run)
    command = [sys.executable, "-m", "tagger", "undo", "-v"]
    undo = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert undo.stdout is not None
    assert "restored" in undo.stdout.readline()
    undo.send_signal(signal.SIGINT)
    out, err = undo.communicate()
    assert undo.returncode == 130
    restored = int(re.search(r"^(\d+) restored$", out, re.M)[1])
    assert 0 < restored < 40
    assert sum(genre is None for genre in genres(tmp_path / "music")) == restored
    assert err.splitlines()[1:] == ["gtag: interrupted; to go on: gtag undo 1 -v"]
    assert "not ended" not in gtag("undo", "--list").out
    assert gtag("undo", "1", "-v").out.endswith(f"{40 - restored} restored\n")
    assert genres(tmp_path / "music") == [None] * 40


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_another_users_journal_is_refused_unless_it_is_trusted(gtag, make_audio, tmp_path):
    piece, journal = make_audio(".flac"), tmp_path / "stranger.db"
    options = ("--write-tags", "--min-confidence", 0, "--jobs", 1, "--journal", journal)
    assert gtag("scan", piece, *options).status == 0
    os.chown(journal, 1234, 1234)
    before, more = piece.read_bytes(), make_audio(".flac", seed=1)
    for command in (["undo"], ["undo", "--list"], ["scan", more, *options[:-2]]):
        ran = gtag(*command, "--journal", journal)
        assert ran.status == 2
        assert "belongs to another user (number 1234)" in ran.err and "--trust" in ran.err
    assert piece.read_bytes() == before and MediaFile(more).genre is None
    assert gtag("scan", more, *options, "--trust").status == 0
    assert gtag("undo", "--journal", journal, "--trust").status == 0
    assert gtag("undo", "--journal", journal, "--trust").status == 0
    assert MediaFile(piece).genre is None and MediaFile(more).genre is None


def test_a_file_that_cannot_be_mended_yet_is_named_at_each_start(gtag, make_audio, tmp_path):
    piece = make_audio(".flac", name="music/a.flac")
    other = piece.with_name("b.flac")
    os.link(piece, other)
    with Journal() as journal, journal.start_run("scan", ["scan"]) as run:
        write_change(piece, identify(piece), JAZZ, journal=run, in_place=True)
    backup = piece.with_name(".gtag-0123456789abcdef.flac")
    make_audio(".flac", seed=1).rename(backup)
    with Journal() as journal:
        journal._database.execute(
            "UPDATE changes SET state = 'intent', backup = ?, after = ?",
            (os.fsencode(backup), json.dumps(asdict(Identity(1, 2, 3, 4, "0" * 64)))),
        )
    options = ("--write-tags", "--jobs", 1, "--min-confidence", 0)
    for command in (["undo", "1", tmp_path / "state"], ["scan", tmp_path / "state", *options]):
        ran = gtag(*command)
        assert f"gtag: {piece}: a write into the file itself was cut off" in ran.err
        assert f"The backup {backup} stays" in ran.err
        assert ran.err.count("cut off") == 1
    assert backup.exists()
