import csv
import json
import os
from dataclasses import replace

import pytest

from tagger.deciding.decide import Status
from tagger.pipeline.road import TrackResult
from tagger.reports.csv_report import (
    COLUMNS,
    CsvReport,
    json_line,
    open_report,
    possible_paths,
    read_report,
    resume_report,
)
from tagger.system.errors import ConfigurationError


def reported(tmp_path, *results):
    file = tmp_path / "report.csv"
    with open_report(str(file)) as stream:
        report = CsvReport(stream)
        for result in results:
            report.add(result)
    return file


def read_back(file):
    with open(file, encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


FULL = TrackResult(
    path='/music/a, "b".mp3',
    status=Status.WOULD_WRITE,
    genre="Rock",
    confidence=0.87654321,
    runner_up="Pop",
    runner_up_confidence=0.1,
    old_genre="",
    new_genre="Rock",
    model="cnn-1",
    duration_s=181.2345,
    message="had no genre",
)


def test_the_columns_are_the_contract():
    assert ",".join(COLUMNS) == (
        "path,status,genre,confidence,runner_up,runner_up_confidence,old_genre,new_genre,"
        "model,duration_s,message,"  # added since:
        "own_confidence,mood,mood_confidence,old_mood,new_mood,named,named_confidence"
    )


def test_a_report_of_an_older_gtag_is_read_and_resumed(tmp_path):
    file = tmp_path / "old.csv"
    older = COLUMNS[: COLUMNS.index("message") + 1]
    with open_report(str(file)) as stream:
        CsvReport(stream, columns=older)._write(older)
        CsvReport(stream, columns=older).add(FULL)
    stream, done = resume_report(str(file))
    assert (done.columns, FULL.path in done) == (older, True)
    with stream:
        CsvReport(stream, columns=done.columns).add(replace(FULL, path="b.mp3", own_confidence=0.1))
    assert [row.path for row in read_report(str(file))] == [FULL.path, "b.mp3"]
    assert {len(row) for row in csv.reader(file.open(newline=""))} == {len(older)}


def test_a_row(tmp_path):
    file = reported(tmp_path, FULL, TrackResult(path="/music/c.mp3", status=Status.UNREADABLE))
    assert (
        file.read_bytes()
        == (
            ",".join(COLUMNS) + "\r\n"
            '"/music/a, ""b"".mp3",would-write,Rock,0.8765,Pop,0.1000,'
            ",Rock,cnn-1,181.23,had no genre,,,,,,,\r\n"
            "/music/c.mp3,unreadable,,,,,,,,,,,,,,,,\r\n"
        ).encode()
    )


def test_each_row_is_on_disk_before_the_next(tmp_path):
    file = tmp_path / "report.csv"
    with open_report(str(file)) as stream:
        report = CsvReport(stream)
        report.add(FULL)
        assert len(read_back(file)) == 1


@pytest.mark.parametrize(
    ("start", "shown"),
    [*((c, c) for c in "=+-@"), ("\t", "\\u0009"), ("\r", "\\u000d")],
)
def test_what_starts_like_a_formula_is_defused(tmp_path, start, shown):
    path = start + "cmd|' /C calc'!A0.mp3"
    (row,) = read_back(reported(tmp_path, TrackResult(path, Status.KEPT, old_genre=start)))
    assert row["path"] == "'" + shown + path[1:]
    assert row["old_genre"] == "'" + shown
    assert json.loads(json_line(TrackResult(path, Status.KEPT)))["path"] == path


@pytest.mark.parametrize(
    "name",
    [b"caf\xe9.mp3", b"\xff\xfe", "日本\n語\x1b[31m\u202e.mp3".encode(), b"-rf", b"\\udce9"],
)
def test_any_name_makes_valid_rows(tmp_path, name):
    result = TrackResult(os.fsdecode(name), Status.KEPT)
    (row,) = read_back(reported(tmp_path, result))
    assert row["status"] == "kept"
    line = json_line(result)
    assert line.isascii() and len(line.splitlines()) == 1
    assert os.fsencode(json.loads(line)["path"]) == name


def test_bytes_that_are_no_text_show_as_escapes_in_the_report(tmp_path):
    (row,) = read_back(reported(tmp_path, TrackResult(os.fsdecode(b"caf\xe9.mp3"), Status.KEPT)))
    assert row["path"] == "caf\\udce9.mp3"


def test_control_characters_of_a_name_are_escaped(tmp_path):
    """Regression: `cat report.csv` acted on the terminal."""
    control = "".join(map(chr, (*range(32), *range(0x7F, 0xA0), 0x2028, 0x2029)))
    result = TrackResult(f"a{control}b\\c.mp3", Status.KEPT, old_genre=control, message=control)
    file = reported(tmp_path, result)
    text = file.read_bytes().decode()
    assert text.count("\r\n") == 2, "the head and one row, and nothing else ends a line"
    assert not set(control) & set(text.replace("\r\n", ""))
    (row,) = read_back(file)
    assert row["path"].startswith("a\\u0000\\u0001") and row["path"].endswith("\\u2029b\\c.mp3")
    assert json.loads(json_line(result))["path"] == result.path
    _, done = resume_report(str(file))
    assert result.path in done


def test_marks_that_turn_the_direction_of_reading_are_escaped(tmp_path):
    """Regression: U+202E stood raw, and a name looked like another one."""
    marks = "\u061c\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2069\ufeff"
    result = TrackResult(f"a{marks}.mp3", Status.KEPT, old_genre=f"Ro{marks}ck", message=marks)
    file = reported(tmp_path, result)
    assert not set(marks) & set(file.read_text(encoding="utf-8"))
    assert result.path in resume_report(str(file))[1]
    (row,) = read_report(str(file))
    assert result.path in possible_paths(row.path)
    assert json.loads(json_line(result))["path"] == result.path
    file.write_bytes(file.read_bytes().replace(b"\\u202e", "\u202e".encode()))
    assert result.path in resume_report(str(file))[1]  # as gtag wrote it before


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
@pytest.mark.parametrize(
    ("delimiter", "decimals"), [(",", "."), (";", ","), (";", "."), ("\t", ",")]
)
def test_a_report_that_a_spreadsheet_saved_is_read(tmp_path, encoding, delimiter, decimals):
    """Regression: it was "not a report of gtag scan"."""
    numbers = {"confidence": 0.8765, "runner_up_confidence": 0.1, "duration_s": 181.23}
    given = replace(FULL, path="Käse & Café/1.mp3", message='of "two", or; three', **numbers)
    with open(reported(tmp_path, given), encoding="utf-8", newline="") as stream:
        header, row = csv.reader(stream)
    row = [c.replace(".", decimals) if c.replace(".", "").isdigit() else c for c in row]
    saved = tmp_path / "saved.csv"
    with open(saved, "w", encoding=encoding, newline="") as stream:
        csv.writer(stream, delimiter=delimiter).writerows([header, row])
    assert list(read_report(str(saved))) == [given]


def test_json_holds_the_same_fields_as_numbers():
    values = json.loads(json_line(FULL))
    assert tuple(values) == COLUMNS
    assert values["confidence"] == 0.8765
    assert values["status"] == "would-write"
    assert json.loads(json_line(TrackResult("a", Status.UNREADABLE)))["confidence"] is None


@pytest.mark.parametrize(
    "path",
    [
        *("plain.mp3", "=1+1.mp3", "'=1.mp3", "\ttab.mp3", "\rreturn.mp3", "a\nb\x1b.mp3"),
        *("a\u202e3pm.\u200bexe\u2066.mp3", "\ufeff\u061c.mp3", "a\u200db.mp3"),
        *("caf\udce9.mp3", "literal \\u000a.mp3", "\u2028.mp3", "'quoted'.mp3"),
    ],
)
def test_what_a_report_says_can_be_read_back(tmp_path, path):
    given = TrackResult(
        path, Status.UNSURE, "Rock", 0.5, "Pop", 0.25, "-x", "-x", "m-1", 2.5, "why"
    )
    (row,) = read_report(str(reported(tmp_path, given)))
    assert path in possible_paths(row.path)
    assert row == TrackResult(row.path, *(getattr(given, name) for name in COLUMNS[1:]))


@pytest.mark.parametrize("content", [b"", b"a,b\r\n1,2\r\n", b"\xff\xfe", None])
def test_what_is_no_report_cannot_be_read(tmp_path, content):
    file = tmp_path / "x.csv"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigurationError):
        list(read_report(str(file)))


def test_a_report_with_senseless_rows_is_none(tmp_path):
    file = reported(tmp_path, FULL)
    for row in ("a.mp3,eaten,,,,,,,,,", "a.mp3", "a.mp3,unsure,Rock,very,,,,,,,"):
        other = tmp_path / "other.csv"
        other.write_bytes(file.read_bytes() + row.encode())
        with pytest.raises(ConfigurationError):
            list(read_report(str(other)))
