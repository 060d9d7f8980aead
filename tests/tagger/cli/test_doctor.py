"""`gtag doctor`: finds what is broken, and tells nobody where a person lives."""

import json
import re
import sqlite3

import pytest

from tagger.journal.journal import default_journal_path
from tagger.models import zoo
from tagger.pipeline.cache import default_cache_path
from tagger.pipeline.doctor import examine, without_home
from tagger.sound.demo import ENCODINGS


@pytest.fixture
def at_home(monkeypatch, tmp_path):
    """The folder of the test is the home folder, too."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    return tmp_path


def test_all_is_well_on_a_machine_that_passes_the_tests(gtag, at_home):
    before = sorted(at_home.rglob("*"))
    ran = gtag("doctor")
    assert ran.status == 0, ran.out
    assert "Nothing is broken." in ran.out and "broken " not in ran.out
    assert max(map(len, ran.out.splitlines())) <= 80
    assert str(at_home) not in ran.out and "~" in ran.out
    for suffix, (_, codec) in ENCODINGS.items():
        assert re.search(rf"^ .*{re.escape(suffix)} {codec} +ok ", ran.out, re.M) or (
            suffix == ".mp3" and f"{suffix} {codec}" in ran.out
        )
    for word in ("gtag", "Python", "ffmpeg", zoo.find("cnn").tag, "none yet", "GB free"):
        assert word in ran.out
    assert sorted(at_home.rglob("*")) == before


def test_what_is_broken_is_named_and_makes_the_status_1(gtag, at_home, make_audio):
    piece = make_audio(".mp3")
    assert gtag("scan", piece, "--write-tags", "--min-confidence", "0", "--jobs", "1").status == 0
    journal = sqlite3.connect(default_journal_path())
    with journal:
        journal.execute("UPDATE changes SET state = 'intent'")
    journal.close()
    for beside in default_cache_path().parent.glob("*.sqlite-*"):
        beside.unlink()
    default_cache_path().write_bytes(b"no database" * 500)
    (at_home / "data" / "gtag" / "models" / "mine").mkdir(parents=True)
    (at_home / "data" / "gtag" / "models" / "mine" / "card.toml").write_text("name = 3")
    (at_home / "config" / "gtag").mkdir(parents=True)
    (at_home / "config" / "gtag" / "config.toml").write_text("[scna]")
    ran = gtag("doctor", "--json")
    assert ran.status == 1
    found = [json.loads(line) for line in ran.out.splitlines()]
    broken = {(f["part"], f["name"]): f["said"] for f in found if f["state"] == "broken"}
    assert set(broken) == {("models", "mine"), ("settings", "config.toml")}
    assert "did you mean scan?" in broken["settings", "config.toml"]
    notes = {(f["part"], f["name"]): f["said"] for f in found if f["state"] == "note"}
    assert notes["journal", "writes"].startswith("1 were cut off")
    assert "the next scan makes a new one" in notes["cache", "cache"]
    assert str(at_home) not in ran.out


def test_a_damaged_journal_and_a_folder_that_is_none(monkeypatch, at_home):
    state = at_home / "state"
    monkeypatch.setenv("XDG_STATE_HOME", str(state))
    monkeypatch.setattr("tagger.pipeline.doctor._models", lambda: iter(()))
    monkeypatch.setattr("tagger.pipeline.doctor._decoders", lambda: iter(()))
    (state / "gtag").mkdir(parents=True)
    (state / "gtag" / "journal.sqlite").write_bytes(b"no database" * 500)
    broken = {f.part: f.said for f in examine() if f.state == "broken"}
    assert set(broken) == {"journal"}
    assert broken["journal"].startswith("~/state/gtag/journal.sqlite: ")
    (state / "gtag" / "journal.sqlite").unlink()
    (state / "gtag").rmdir()
    (state / "gtag").write_text("a file")
    broken = {f"{f.part} {f.name}": f.said for f in examine() if f.state == "broken"}
    assert "cannot be written" in broken["folders journal"]


def test_sound_that_is_not_heard_is_broken(tmp_path):
    from tagger.pipeline.doctor import _decoded

    file = tmp_path / "piece.mp3"
    file.write_bytes(b"no sound at all")
    assert _decoded(file)[0] == "broken"


def test_home_is_not_told(at_home):
    assert without_home(f"{at_home}/Music/x") == "~/Music/x"
