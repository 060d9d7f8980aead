import contextlib
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import mutagen
import pytest
from mediafile import MediaFile
from mutagen.id3 import ID3, TCON

from tagger.deciding.decide import Status
from tagger.pipeline.road import TrackResult
from tagger.reports.csv_report import COLUMNS
from tagger.reports.tally import Tally
from tests.conftest import aged
from tests.tagger.cli.conftest import rows


@pytest.fixture
def music(make_audio, tmp_path):
    """Three tracks, one of them with a person's genre, one that is none, and a text."""
    for i, suffix in enumerate((".mp3", ".flac", ".m4a")):
        make_audio(suffix, name=f"music/{i}{suffix}")
    folder = tmp_path / "music"
    media = MediaFile(folder / "1.flac")
    media.genre = "Polka"
    media.save()
    aged(folder / "1.flac")
    (folder / "notes.txt").write_text("no music")
    return folder


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# Most of what follows is about one process: starting more would only take time.
ONE = ("--jobs", "1")
SURE_OF_ALL = ("--min-confidence", "0", *ONE)


def test_changes_nothing_by_default(gtag, music):
    before = contents(music)
    ran = gtag("scan", music, *SURE_OF_ALL)
    assert ran.status == 0
    assert contents(music) == before
    assert "would-write" in ran.out and "--write-tags" in ran.out


def test_dry_run_wins(gtag, music):
    before = contents(music)
    assert gtag("scan", music, "--write-tags", "--dry-run", *SURE_OF_ALL).status == 0
    assert contents(music) == before


def test_writes_what_the_report_says_and_then_nothing_more(gtag, music, tmp_path):
    report = tmp_path / "report.csv"
    ran = gtag("scan", music, "--write-tags", *SURE_OF_ALL, "--report", report)
    assert ran.status == 0
    written = rows(report)
    assert [Path(row["path"]).name for row in written] == ["0.mp3", "1.flac", "2.m4a"]
    assert [row["status"] for row in written] == ["written", "kept", "written"]
    for row in written:
        assert MediaFile(row["path"]).genre == row["new_genre"]
    after = contents(music)

    assert gtag("scan", music, "--write-tags", *SURE_OF_ALL, "--report", report).status == 0
    assert [row["status"] for row in rows(report)] == ["unchanged", "kept", "unchanged"]
    assert contents(music) == after


def test_a_dry_run_tells_what_writing_would_refuse(gtag, music):
    os.link(music / "0.mp3", music.parent / "second name")
    (music / "2.m4a").chmod(0o444)
    for options in ((), ("--write-tags",)):
        ran = gtag("scan", music, "--json", *SURE_OF_ALL, *options)
        assert ran.status == 1
        statuses = [json.loads(line)["status"] for line in ran.out.splitlines()]
        assert statuses == ["refused", "kept", "refused"]
    options = ("--in-place", "--limit", 1)
    assert gtag("scan", music, "--json", *SURE_OF_ALL, *options).status == 0


@pytest.mark.parametrize(("suffix", "word"), [(".mp3", "(12)"), (".flac", "<unknown>")])
def test_a_placeholder_is_replaced_shown_and_brought_back(gtag, make_audio, suffix, word):
    piece = make_audio(suffix)
    if suffix == ".mp3":
        tags = ID3()
        tags.add(TCON(encoding=0, text=["12"]))
        tags.save(piece, v1=2)
        word = "Other"
    else:
        media = MediaFile(piece)
        media.genre = word
        media.save()
    before = mutagen.File(aged(piece)).tags
    kept = gtag("scan", piece, "--no-default-placeholders", "--json", *SURE_OF_ALL)
    assert json.loads(kept.out)["status"] == "kept"

    row = json.loads(gtag("scan", piece, "--write-tags", "--json", *SURE_OF_ALL).out)
    assert (row["status"], row["old_genre"]) == ("written", word)
    assert MediaFile(piece).genre == row["genre"]
    assert gtag("undo").status == 0
    assert mutagen.File(piece).tags == before
    assert MediaFile(piece).genre == word


def test_a_word_of_ones_own_can_mean_no_genre(gtag, music):
    ran = gtag("scan", music, "--placeholder", "polka", "--json", *SURE_OF_ALL)
    assert [json.loads(line)["status"] for line in ran.out.splitlines()] == ["would-write"] * 3


def test_the_summary_says_what_was_left_out(gtag, music):
    shutil.copy2(music / "0.mp3", music / "new.mp3.part")
    ran = gtag("scan", music, *ONE)
    assert re.search(r"^ *1 +left out +\*\.part: see --no-default-excludes", ran.out, re.M)
    assert len(gtag("scan", music, "--no-default-excludes", "--json", *ONE).out.splitlines()) == 4


def test_the_summary_says_what_was_left_alone(gtag, music):
    """Regression: folders with a .nogtag were passed over without a word."""
    (music / "podcasts").mkdir()
    (music / "podcasts" / ".nogtag").touch()
    shutil.copy2(music / "0.mp3", music / "podcasts" / "1.mp3")
    said = re.compile(r"^ *1 +left alone +where a file \.nogtag lies *$", re.M)
    assert said.search(gtag("scan", music, *ONE).out)
    assert said.search(gtag("scan", music / "podcasts" / "1.mp3", *ONE).out)
    assert "left alone:" not in gtag("scan", music / "0.mp3", *ONE).out
    assert ".nogtag" in gtag("scan", "--help").out


def test_the_models_own_threshold_is_the_default(gtag, music):
    from tagger.models import zoo

    threshold = zoo.find(zoo.DEFAULT).threshold
    for row in map(json.loads, gtag("scan", music, "--json", *ONE).out.splitlines()):
        if row["status"] != "kept":
            assert (row["status"] == "would-write") == (row["confidence"] >= threshold)


def test_json_is_one_object_a_line_and_nothing_else_on_stdout(gtag, music):
    ran = gtag("scan", music, "--json", "-v", *SURE_OF_ALL)
    values = [json.loads(line) for line in ran.out.splitlines()]
    assert len(values) == 3
    assert all(tuple(value) == COLUMNS for value in values)
    assert "kept" in ran.err


def test_verbose_lists_each_track(gtag, music):
    ran = gtag("scan", music, "-v", *SURE_OF_ALL)
    lines = ran.out.splitlines()[:3]
    heard = r"([\w-]+) 0\.\d\d +"
    assert re.fullmatch(rf"would-write  {heard}no genre → \1 +{music}/0\.mp3", lines[0])
    assert re.fullmatch(rf"kept         {heard}Polka stays +{music}/1\.flac", lines[1])
    assert "a person wrote Polka" not in ran.out
    assert "a person wrote Polka" in gtag("scan", music, "-vv", *SURE_OF_ALL).out


def test_without_a_terminal_only_the_summary_is_printed(gtag, music):
    ran = gtag("scan", music, *SURE_OF_ALL)
    assert str(music) not in ran.out
    assert ran.out.splitlines()[0].split()[0] == "Genre"


def test_an_unsure_track_is_listed_with_both_guesses(gtag, music):
    ran = gtag("scan", music / "0.mp3", "-v", "--min-confidence", 1, *ONE)
    guess = r"[\w& -]+ 0\.\d\d"
    assert re.match(rf"unsure +{guess} or {guess} +{music}/0\.mp3\n", ran.out)


def test_quiet_says_only_what_is_wrong(gtag, music):
    assert gtag("scan", music, "-q", *ONE).out == ""
    (music / "broken.mp3").write_bytes(b"")
    ran = gtag("scan", music, "-q", *ONE)
    assert ran.status == 1
    assert ran.out == ""
    assert ran.err.splitlines() == [f"{music / 'broken.mp3'}: unreadable: empty file"]


def test_the_summary_fits_80_columns_and_counts_everything(gtag, music):
    (music / "broken.mp3").write_bytes(b"")
    ran = gtag("scan", music, *SURE_OF_ALL)
    assert ran.status == 1
    assert max(map(len, ran.out.splitlines())) <= 80
    counts = dict(re.findall(r"^ *(\d+) +([a-z-]+)", ran.out, re.M))
    assert {name: int(n) for n, name in re.findall(r"^ *(\d+) +([a-z-]+)", ran.out, re.M)} == {
        "would-write": 2, "kept": 1, "unreadable": 1, "other": 1,
    }, counts  # fmt: skip


def test_lists_of_files(gtag, music, tmp_path):
    names = tmp_path / "names"
    names.write_bytes(b"".join(os.fsencode(music / name) + b"\0" for name in ("2.m4a", "0.mp3")))
    ran = gtag("scan", "--files-from", names, "-0", "--json", *ONE)
    assert ran.status == 0
    found = [Path(json.loads(line)["path"]).name for line in ran.out.splitlines()]
    assert sorted(found) == ["0.mp3", "2.m4a"]


def test_a_file_that_was_just_written_is_not_met_again(gtag, music, tmp_path):
    names = tmp_path / "names"
    names.write_text("".join(f"{music / name}\n" for name in ("0.mp3", "1.flac", "2.m4a", "0.mp3")))
    ran = gtag("scan", "--files-from", names, "--json", "--write-tags", *SURE_OF_ALL)
    assert [Path(json.loads(line)["path"]).name for line in ran.out.splitlines()] == [
        *("0.mp3", "1.flac", "2.m4a"),
    ]


def test_limit_and_exclude(gtag, music):
    found = gtag("scan", music, "--json", "--exclude", "*.mp3", "--limit", 1).out.splitlines()
    assert [Path(json.loads(line)["path"]).name for line in found] == ["1.flac"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--model", "no-such-model"),
        ("--min-confidence", "1.5"),
        ("--jobs", "0"),
        ("--report", "no/such/folder/report.csv"),
        ("--log-file", "no/such/folder/log"),
        ("-0",),
    ],
)
def test_what_cannot_be_done_is_2_and_touches_nothing(gtag, music, arguments):
    before = contents(music)
    ran = gtag("scan", music, "--write-tags", *SURE_OF_ALL, *arguments)
    assert ran.status == 2
    assert "gtag:" in ran.err and "Traceback" not in ran.err
    assert contents(music) == before


def test_a_path_that_is_not_there_is_2(gtag, tmp_path):
    ran = gtag("scan", tmp_path / "nowhere")
    assert ran.status == 2
    assert "nowhere" in ran.err


@pytest.mark.parametrize("option", ["--report", "--html", "--log-file", "--journal"])
def test_no_slip_of_the_hand_costs_a_song(gtag, music, option):
    before = contents(music)
    shutil.copy2(music / "0.mp3", music / "disguised")
    for name in ("0.mp3", "disguised"):
        ran = gtag("scan", music, "--write-tags", *SURE_OF_ALL, option, music / name)
        assert ran.status == 2
        assert "music file" in ran.err
        assert {k: v for k, v in contents(music).items() if k in before} == before


def test_names_do_not_act_on_the_terminal(gtag, make_audio, tmp_path):
    make_audio(".wav", name="m/\x1b]0;owned\x07[bold]\u202e.wav")
    (tmp_path / "m" / "\x1b[2J.mp3").write_bytes(b"")
    ran = gtag("scan", tmp_path / "m", "-v", *SURE_OF_ALL)
    assert ran.status == 1
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u202e]", ran.out + ran.err)
    assert "\\x1b]0;owned\\x07[bold]\\u202e.wav" in ran.out
    assert "\\x1b[2J.mp3" in ran.err


def test_the_log_names_what_was_unexpected(gtag, make_audio, tmp_path):
    log = tmp_path / "log"
    assert gtag("scan", make_audio(".wav"), "--log-file", log).status == 0
    assert log.exists()


def many(make_audio, tmp_path, n):
    first = make_audio(".wav", duration_s=4.0, name="many/000.wav")
    for i in range(1, n):
        shutil.copy2(first, first.with_name(f"{i:03d}.wav"))
    return first.parent


def start(folder, *options, **environment):
    return subprocess.Popen(
        [sys.executable, "-m", "tagger", "scan", str(folder), "--json", *map(str, options)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
        start_new_session=True,
    )


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("jobs", [1, 2])
def test_ctrl_c_keeps_what_was_done(make_audio, tmp_path, jobs):
    folder, report = many(make_audio, tmp_path, 300), tmp_path / "report.csv"
    process = start(
        folder,
        *("--write-tags", "--min-confidence", 0, "--jobs", jobs, "--report", report),
        *("--album", "off"),  # lines come one at a time: none is read ahead
        *("--html", tmp_path / "page.html"),
        XDG_STATE_HOME=str(tmp_path / "state"),
    )
    for _ in range(3):
        process.stdout.readline()
    os.killpg(process.pid, signal.SIGINT)  # the terminal sends it to the whole group
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "gtag undo" in err and "Traceback" not in err
    assert "same command with --resume-report" in err
    done = rows(report)
    assert 3 <= len(done) < 300
    assert len(done) == 3 + len(out.splitlines())
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "was interrupted" in page and page.count('","written","') == len(done)
    for row in done:
        assert row["status"] == "written"
        assert MediaFile(row["path"]).genre == row["genre"]
    tagged = [path for path in sorted(folder.iterdir()) if MediaFile(path).genre]
    assert len(tagged) == len(done)
    assert len(list(folder.iterdir())) == 300


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_second_ctrl_c_leaves_no_half_written_file(make_audio, tmp_path):
    folder = many(make_audio, tmp_path, 200)
    process = start(
        folder,
        *("--write-tags", *SURE_OF_ALL),
        XDG_STATE_HOME=str(tmp_path / "state"),
    )
    process.stdout.readline()
    for _ in range(2):
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(0.01)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert len(list(folder.iterdir())) == 200
    for path in folder.iterdir():
        assert MediaFile(path).length == pytest.approx(4.0, abs=0.1)


def in_terminal(*arguments, columns=80):
    """What a command prints in a terminal, and its exit status."""
    import fcntl
    import pty
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, columns, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "tagger", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        env=os.environ | {"TERM": "xterm-256color", "NO_COLOR": "", "PYTHONUTF8": "1"},
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            block = os.read(ours, 4096)
        except OSError:
            break
        if not block:
            break
        shown += block
    os.close(ours)
    return process.wait(), shown.decode()


terminals = pytest.mark.skipif(sys.platform == "win32", reason="POSIX terminals")


@terminals
def test_progress_shows_on_a_terminal_and_nowhere_else(make_audio, tmp_path, gtag):
    folder = many(make_audio, tmp_path, 6)
    assert "track" not in gtag("scan", folder, "--json", "-q", *ONE).err
    status, shown = in_terminal("scan", folder, *ONE)
    assert status == 0
    assert re.search(r"6/6 .*tracks/s", shown)
    assert "INFO" not in shown and "WARNING" not in shown


@terminals
def test_the_bar_says_what_it_waits_for_before_the_first_track(make_audio, tmp_path):
    _, shown = in_terminal("scan", many(make_audio, tmp_path, 2), *ONE)
    before, _, after = shown.partition("loading the model")
    assert "tracks/s" not in before and before.strip("\r\x1b[A") == ""
    assert "2/2" in after


@terminals
@pytest.mark.parametrize("columns", [80, 120])
def test_a_terminal_shows_one_line_a_track(music, columns):
    (music / "broken.mp3").write_bytes(b"")
    long = music / f"{'ä very lông name ' * 8}.mp3"
    shutil.copy2(music / "0.mp3", long)
    status, shown = in_terminal("scan", music, *SURE_OF_ALL, columns=columns)
    assert status == 1
    plain = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", shown)
    lines = [line.rpartition("\r")[2] for line in plain.replace("\r\n", "\n").split("\n")]
    listed = [line for line in lines if re.match(r"(would-write|kept|unreadable) +", line)]
    assert len(listed) == 5
    assert all(len(line) < columns for line in listed if not line.startswith("unreadable"))
    assert any(line.endswith("name .mp3") and "…" in line for line in listed)
    assert "\x1b[36mwould-write" in shown  # cyan


@terminals
def test_fresh_copies_are_shown_with_their_genres_and_one_reason(music):
    """Regression: a wall of "refused", without what gtag would name them; yet counted as genres."""
    for piece in music.iterdir():
        piece.touch()
    status, shown = in_terminal("scan", music, *SURE_OF_ALL)
    assert status == 1
    plain = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", shown).replace("\r\n", "\n")
    lines = [line.rpartition("\r")[2] for line in plain.split("\n")]
    refused = [line for line in lines if line.startswith("refused  ")]
    assert len(refused) == 2
    for line in refused:
        assert re.match(r"refused +(\S+) [01]\.\d\d +no genre → \1 ", line), line
    assert len(re.findall("too new to write", shown)) == 1
    (genre,) = re.findall(r"^(\S+) +\d+ +[01]\.\d\d +━+$", plain, re.M)  # of what is kept
    assert plain.count("━" * 24) == 1 and genre


def test_what_was_interrupted_before_the_first_track_left_nothing_to_go_on_with():
    """Regression: "interrupted after 0 tracks. The report has them."."""
    from tagger.cli.scan import _how_to_go_on

    for wrote in (False, True):
        said = _how_to_go_on(Tally(), "report.csv", None, wrote=wrote)
        assert said == " before the first track.\nNothing was written."
    tally = Tally()
    tally.add(TrackResult("a.mp3", Status.WRITTEN))
    said = _how_to_go_on(tally, "report.csv", None, wrote=True)
    assert "after 1 track.\nThe report has them. To continue" in said and "gtag undo" in said


@terminals
def test_quiet_in_a_terminal_is_the_summary_only(music):
    status, shown = in_terminal("scan", music, "-q", *SURE_OF_ALL)
    assert status == 0
    assert "0.mp3" not in shown and "Mean confidence" in shown
    status, shown = in_terminal("scan", music, "-qq", *SURE_OF_ALL)
    assert (status, shown) == (0, "")


def test_a_report_is_gone_on_with(gtag, music, tmp_path):
    whole, report = tmp_path / "whole.csv", tmp_path / "report.csv"
    options = ("--resume-report", *SURE_OF_ALL)
    assert gtag("scan", music, "--report", whole, *options).status == 0  # there was none: begun
    assert gtag("scan", music, "--report", report, "--limit", 1, *SURE_OF_ALL).status == 0
    ran = gtag("scan", music, "--report", report, "--limit", 1, *options)
    assert re.search(r"^1 +done before", ran.out, re.M)
    assert len(rows(report)) == 2
    ran = gtag("scan", music, "--report", report, *options)
    assert ran.status == 0
    assert re.search(r"^2 +done before", ran.out, re.M)
    assert report.read_bytes() == whole.read_bytes()


@pytest.mark.skipif(sys.platform in ("darwin", "win32"), reason="file names are Unicode there")
def test_a_report_knows_tracks_of_any_name(gtag, make_audio, tmp_path):
    piece = make_audio(".wav", name="m/a.wav")
    names = (b"a.wav", b"=1+1.wav", b'a, "b".wav', b"caf\xe9.wav", b"line\nend.wav")
    for name in names[1:]:
        shutil.copy2(piece, os.fsencode(piece.parent) + b"/" + name)
    report = tmp_path / "report.csv"
    listed = tmp_path / "list"
    listed.write_bytes(b"\0".join(names))
    options = ("--files-from", listed, "-0", "--report", report, "--resume-report", *ONE)
    with contextlib.chdir(piece.parent):
        assert gtag("scan", *options).status == 0
        assert re.search(r"^5 +done before", gtag("scan", *options).out, re.M)
    assert len(rows(report)) == 5


def test_a_row_that_a_crash_cut_off_is_made_anew(gtag, music, tmp_path):
    report = tmp_path / "report.csv"
    options = ("--report", report, "--resume-report", *SURE_OF_ALL)
    assert gtag("scan", music, *options).status == 0
    whole = report.read_bytes()
    for end in (3, 40, len(whole) - 200):
        report.write_bytes(whole[:-end])
        assert gtag("scan", music, *options).status == 0
        assert report.read_bytes() == whole


def test_what_is_no_report_is_not_gone_on_with(gtag, music, tmp_path):
    other = tmp_path / "mine.csv"
    for content in (b"a,b\r\n1,2\r\n", b"\xff\xfe\r\n", b"no table\n"):
        other.write_bytes(content)
        ran = gtag("scan", music, "--report", other, "--resume-report", *ONE)
        assert ran.status == 2
        assert "is not a report" in ran.err
        assert other.read_bytes() == content
    assert gtag("scan", music, "--resume-report", *ONE).status == 2


def test_a_dry_runs_report_does_not_keep_tracks_from_being_written(gtag, music, tmp_path):
    report = tmp_path / "report.csv"
    assert gtag("scan", music, "--report", report, *SURE_OF_ALL).status == 0
    before = contents(music)
    options = ("--report", report, "--resume-report", "--write-tags")
    ran = gtag("scan", music, *options, *SURE_OF_ALL)
    assert ran.status == 2
    assert "dry run" in ran.err
    assert contents(music) == before


@pytest.mark.parametrize("options", [(), ("--write-tags",)])
def test_what_changed_just_now_is_left_alone(gtag, music, options):
    os.utime(music / "0.mp3")
    before = (music / "0.mp3").read_bytes()
    ran = gtag("scan", music / "0.mp3", *options, *SURE_OF_ALL)
    assert ran.status == 1
    assert re.search(
        r"0\.mp3: refused: too new to write: it changed within the last 60 s, and another program"
        r" may still write it \(try again when 60 s have passed, or with --min-age 0\)$",
        ran.err.strip(),
    )
    assert (music / "0.mp3").read_bytes() == before

    aged(music / "0.mp3", by_s=600)
    assert gtag("scan", music / "0.mp3", *options, "--min-age", 900, *SURE_OF_ALL).status == 1
    aged(music / "0.mp3", by_s=-5)  # by the clock of a network storage
    assert gtag("scan", music / "0.mp3", *options, *SURE_OF_ALL).status == 1
    assert gtag("scan", music / "0.mp3", *options, "--min-age", 0, *SURE_OF_ALL).status == 0


def test_a_download_that_has_not_ended_is_left_alone(gtag, music):
    (music / "0.mp3.aria2").write_bytes(b"")
    ran = gtag("scan", music / "0.mp3", *SURE_OF_ALL)
    assert ran.status == 1
    assert "refused: its download has not finished (0.mp3.aria2 lies beside it" in ran.err


def test_what_gtag_itself_wrote_just_now_is_no_other_programs(gtag, music):
    piece = music / "0.mp3"
    assert gtag("scan", piece, "--write-tags", *SURE_OF_ALL).status == 0
    assert gtag("undo").status == 0
    assert "would-write" in gtag("scan", piece, *SURE_OF_ALL).out
    assert gtag("scan", piece, "--write-tags", *SURE_OF_ALL).status == 0
    media = MediaFile(piece)
    media.genre = None
    media.save()
    for options in ((), ("--write-tags",)):
        assert "too new to write" in gtag("scan", piece, *options, *SURE_OF_ALL).err


def test_a_dry_run_makes_no_journal(gtag, music, tmp_path):
    assert gtag("scan", music, *SURE_OF_ALL).status == 0
    assert not (tmp_path / "state").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell")
@pytest.mark.parametrize("options", [(), ("--write-tags",)])
def test_what_another_program_has_open_for_writing_is_left_alone(gtag, music, options):
    piece = music / "0.mp3"
    with open(piece, "rb"):  # whoever only reads is in nobody's way
        assert "would-write" in gtag("scan", piece, *SURE_OF_ALL).out
    code = "import sys; f = open(sys.argv[1], 'ab'); print(flush=True); sys.stdin.read()"
    other = subprocess.Popen(
        [sys.executable, "-c", code, piece], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert other.stdin and other.stdout
    other.stdout.readline()
    before = piece.read_bytes()
    ran = gtag("scan", piece, *options, "--min-age", 0, *SURE_OF_ALL)
    assert ran.status == 1
    assert "refused: another program has it open for writing" in ran.err
    assert piece.read_bytes() == before
    other.stdin.close()
    other.wait()
    assert gtag("scan", piece, *options, "--min-age", 0, *SURE_OF_ALL).status == 0


@pytest.mark.parametrize("options", [(), ("--write-tags",)])
def test_a_file_that_is_not_all_there_is_refused_unless_asked_for(gtag, make_audio, options):
    piece = make_audio(".flac", duration_s=10.0)
    content = piece.read_bytes()
    piece.write_bytes(content[: len(content) * 2 // 3])
    aged(piece)
    ran = gtag("scan", piece, *options, *SURE_OF_ALL)
    assert ran.status == 1
    assert re.search(r"refused: cut off: 6\.\d of 10\.0 s .* \(.*--write-incomplete\)", ran.err)
    assert piece.stat().st_size == len(content) * 2 // 3
    ran = gtag("scan", piece, *options, "--write-incomplete", *SURE_OF_ALL)
    assert ran.status == 0
