"""What several commands can do is said with the same options, and does the same."""

from __future__ import annotations

import importlib
import json

import pytest
from mediafile import MediaFile

from tagger.cli.scan import TELLING, WALKING, WRITING
from tests.conftest import aged

WALKS, WRITES, TELLS = (frozenset(names) for names in (WALKING, WRITING, TELLING))


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("scan", WALKS | WRITES | TELLS),
        ("watch", (WALKS | WRITES | TELLS) - {"dry_run"}),
        ("tidy", WALKS | WRITES | TELLS),
        ("apply", WRITES | TELLS),
        ("audit", WALKS | TELLS),
        ("review", WALKS | {"journal", "trust", "then", "log_file"}),
        ("undo", {"dry_run", "journal", "trust", "then", "verbose", "quiet"}),
    ],
)
def test_a_command_has_what_others_like_it_have(command, options):
    params = getattr(importlib.import_module(f"tagger.cli.{command}"), command).params
    assert options <= {param.name for param in params}


@pytest.fixture
def music(make_audio, tmp_path):
    for i, genre in enumerate(("hip hop", "Jazz")):
        media = MediaFile(make_audio(".flac", name=f"music/{i}.flac", seed=i))
        media.genre = genre
        media.save()
        aged(media.path)
    (tmp_path / "music" / "b.mp3").write_bytes(b"no sound")
    return tmp_path / "music"


def test_tidy_tells_as_much_as_it_is_asked_to(gtag, music, tmp_path):
    log = tmp_path / "log"
    quiet = gtag("tidy", music, "-q", "--log-file", log)
    assert (quiet.status, quiet.out, log.exists()) == (1, "", True)
    assert quiet.err.splitlines() == [
        f"{music / 'b.mp3'}: unreadable: not a sound format that gtag supports"
    ]
    loud = gtag("tidy", music, "-v").out
    assert "hip hop → Hip-Hop" in loud and "Jazz stays" in loud
    told = gtag("tidy", music, "--json")
    lines = [json.loads(line) for line in told.out.splitlines()]
    assert [line["new_genre"] for line in lines] == ["Hip-Hop", "Jazz", ""]
    assert "1 of 3 tracks would be written" in told.err


def test_apply_tells_in_json_and_lets_a_command_run(gtag, make_audio, tmp_path):
    piece, report = make_audio(".flac", name="music/a.flac"), tmp_path / "report.csv"
    gtag("scan", piece, "--report", report, "--min-confidence", "0", "--jobs", "1")
    ran = gtag("apply", report, "--json", "--write-tags", "--then", "echo behind >&2")
    assert ran.status == 0 and "behind" in ran.err and "1  written" in ran.err
    assert json.loads(ran.out)["new_genre"] == MediaFile(piece).genre
    ran = gtag("undo", "-y", "--then", "echo behind >&2")
    assert ran.status == 0 and "behind" in ran.err and MediaFile(piece).genre is None


def test_audit_says_nothing_but_errors_where_it_is_quiet(gtag, music, tmp_path):
    ran = gtag("audit", music, "-q", "--jobs", "1", "--html", tmp_path / "a.html")
    assert (ran.status, ran.out) == (1, "") and "b.mp3: unreadable" in ran.err
    assert (tmp_path / "a.html").exists()
    ran = gtag("audit", music, "-v", "--json", "--jobs", "1")
    assert all(json.loads(line)["own_confidence"] for line in ran.out.splitlines())
    assert "0.flac" in ran.err and "1.flac" in ran.err
