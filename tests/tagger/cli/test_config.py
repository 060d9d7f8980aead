"""config.toml and the environment."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest

from tagger.cli import COMMANDS, cli
from tagger.cli.config import example
from tagger.cli.settings import SETTABLE, as_in_scan, options_of, variable, with_settings

DOCS = Path(__file__).parents[3] / "docs" / "commands.md"


@pytest.fixture
def config(tmp_path):
    def write(text):
        file = tmp_path / "config" / "gtag" / "config.toml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    return write


def settings(gtag, *arguments):
    """From `gtag config show`: option → (value, where it comes from)."""
    ran = gtag("config", "show", *arguments)
    assert ran.status == 0, ran.err
    rows = re.findall(r"^  (\S+) +(\S.*?) {2,}(\S.*?) *$", ran.out, re.M)
    return {name: (value, source) for name, value, source in rows}


def test_every_command_with_options_of_its_own_has_a_table():
    context = click.Context(cli)
    with_options = {
        name
        for name in COMMANDS
        if not isinstance(command := cli.get_command(context, name), click.Group)
        and any(isinstance(param, click.Option) for param in command.params)
    }
    assert set(SETTABLE) == with_options - {"doctor"}  # which looks at the settings themselves


def test_flags_then_environment_then_file_then_default(gtag, make_audio, config, monkeypatch):
    piece = make_audio(".mp3")

    def status(*options):
        ran = gtag("scan", piece, "--json", "--jobs", "1", *options)
        assert ran.status == 0, ran.err
        return json.loads(ran.out)["status"]

    assert status("--min-confidence", "0") == "would-write"
    assert status("--min-confidence", "1") == "unsure"
    config("[scan]\nmin-confidence = 0\n")
    assert status() == "would-write"
    monkeypatch.setenv("GTAG_SCAN_MIN_CONFIDENCE", "1")
    assert status() == "unsure"
    assert status("--min-confidence", "0") == "would-write"


def test_where_each_value_comes_from(gtag, config, monkeypatch):
    config(
        '[scan]\ngenres = 2\nexclude = ["*.wav", "a b"]\n\n[watch]\ngenres = 3\n'
        "[undo]\nverbose = true\n"
    )
    monkeypatch.setenv("GTAG_SCAN_DETAIL", "style")
    scan = settings(gtag, "scan")
    assert scan["genres"] == ("2", "line 2")
    assert scan["exclude"] == ("*.wav, a b", "line 3")
    assert scan["detail"] == ("style", "GTAG_SCAN_DETAIL")
    assert scan["existing"] == ("keep", "default")
    watch = settings(gtag, "watch")
    assert watch["genres"] == ("3", "line 6")
    assert watch["exclude"] == ("*.wav, a b", "line 3 of [scan]")
    assert watch["detail"] == ("style", "GTAG_SCAN_DETAIL")
    monkeypatch.setenv("GTAG_WATCH_DETAIL", "genre")
    assert settings(gtag, "watch")["detail"] == ("genre", "GTAG_WATCH_DETAIL")
    assert settings(gtag, "undo", "--changed") == {"verbose": ("true", "line 8")}
    assert len(settings(gtag)) >= 40
    assert max(map(len, gtag("config", "show").out.splitlines()[1:])) <= 80


def test_undo_finds_the_journal_that_scan_was_given(gtag, make_audio, config):
    """And -v, which scan counts and undo does not, is each command's own."""
    piece = make_audio(".mp3")
    config('[scan]\njournal = "own.sqlite"\nmin-confidence = 0\nverbose = 2\n')
    assert gtag("scan", piece, "--write-tags", "--jobs", "1").status == 0
    assert settings(gtag, "undo", "--changed")["journal"][1] == "line 2 of [scan]"
    assert gtag("undo").out.startswith("1 restored")
    assert "verbose" not in settings(gtag, "watch", "--changed")


def test_what_scan_is_told_holds_for_show(gtag, make_audio, config):
    piece = make_audio(".mp3")
    config("[scan]\nmin-confidence = 1\n")
    assert "the threshold is 1.00" in gtag("show", piece).out
    config("[scan]\nmin-confidence = 0\n")
    assert "A scan would write" in gtag("show", piece).out


def test_paths_are_seen_from_the_folder_of_the_file(gtag, make_audio, config, tmp_path):
    piece = make_audio(".mp3")
    file = config('[scan]\ngenre-map = "map.toml"\nmin-confidence = 0\nreport = "../report.csv"\n')
    (file.parent / "map.toml").write_text("[rename]\n")
    ran = gtag("scan", piece, "--jobs", "1")
    assert ran.status == 0, ran.err
    assert (tmp_path / "config" / "report.csv").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "[scan]\n\nmodle = 'cnn'",
            r"line 3: gtag scan has no option 'modle' \(did you mean model",
        ),
        (
            "[scan]\nmin_confidence = 0",
            r"line 2: .*no option 'min_confidence' \(did you mean min-con",
        ),
        ("[scna]\n", r"line 1: no command has a table 'scna' \(did you mean scan\?\)"),
        ("\nmodel = 'cnn'", "line 2: no command has a table 'model'"),
        ("scan = 3", r"line 1: scan has to be a table: \[scan\]"),
        ("[models]\njson = true", "line 1: no command has a table 'models'"),
        ("[scan]\njobs = 'two'", "line 2: jobs has to be a whole number, not 'two'"),
        ("[scan]\njobs = true", "line 2: jobs has to be a whole number, not True"),
        ("[scan]\njobs = 0", "line 2: jobs: 0 is not in the range"),
        ("[scan]\nmin-confidence = '1'", "line 2: min-confidence has to be a number"),
        ("[scan]\nmin-confidence = 1.5", "line 2: min-confidence: 1.5 is not in the range"),
        ("[scan]\nexisting = 'kep'", r"line 2: existing: .*did you mean keep"),
        ("[scan]\nexclude = '*.wav'", "line 2: exclude has to be a list"),
        ("[scan]\nexclude = [\n'*.wav',\n3]", "line 4: exclude has to be a text"),
        ("[scan]\nno-cache = 1", "line 2: no-cache has to be true or false"),
        ("[scan]\nmin-confidence = nan", "line 2: min-confidence: It has to be a finite number"),
        ("[scan]\nmin-age = inf", "line 2: min-age: It has to be a finite number"),
        ("[scan]\njobs = 99999999999999999999", "line 2: jobs: 9+ is not in the range"),
        ("[scan]\nlimit = 99999999999999999999", "line 2: limit: It has to be from 1 to 1e"),
        ("[scan]\njobs = " + "9" * 5000, "is not valid TOML: a number has thousands of digits"),
        ('[scan]\nreport = "a\\u0000b"', "line 2: report holds a NUL character"),
        ('[scan]\nexclude = ["a", "\\u0000"]', "line 2: exclude holds a NUL character"),
        ("[undo]\nkeep-days = nan", "line 2: keep-days: It has to be a finite number"),
        ("[scan]\nmodel = 5", "line 2: model has to be a text"),
        ("[scan]\nverbose = true", "line 2: verbose has to be a whole number"),
        ("[scan]\nmodel = ", "line 2: invalid TOML"),
        ("[scan]\nwrite-tags = true", "line 2: gtag never writes unless the command line says so"),
        ("[undo]\nprune = true", "line 2: --prune belongs to one run"),
        ("[scan]\ndry-run = true", "line 2: --dry-run belongs to one run"),
    ],
)
def test_mistakes_end_a_command_before_it_begins(gtag, make_audio, config, text, said):
    file = config(text)
    commands = (("undo",) if "[undo]" in text else ("scan", make_audio(".mp3")), ("config", "show"))
    for arguments in commands:
        ran = gtag(*arguments)
        assert ran.status == 2
        assert re.search(f"gtag: {re.escape(str(file))}: {said}", ran.err), ran.err


def test_a_broken_file_does_not_stand_in_the_way_of_help(gtag, config):
    config("[scan")
    for arguments in (
        ("scan", "--help"),
        ("--help",),
        ("config", "path"),
        ("models",),
        ("cache", "info"),
    ):
        assert gtag(*arguments).status == 0, arguments


def test_nothing_but_the_command_line_makes_gtag_write(gtag, make_audio, config, monkeypatch):
    piece = make_audio(".mp3")
    before = piece.read_bytes()
    for name in ("GTAG_SCAN_WRITE_TAGS", "GTAG_SCAN_DRY_RUN"):
        monkeypatch.setenv(name, "1")
        ran = gtag("scan", piece, "--jobs", "1", "--min-confidence", "0")
        assert ran.status == 2 and f"gtag: {name} in the environment: " in ran.err
        monkeypatch.delenv(name)
    context = click.Context(cli)
    for name in SETTABLE:
        command = cli.get_command(context, name)
        unsettable = set(command.params) - set(options_of(command).values())
        assert all(not param.envvar for param in unsettable)
        assert not {"write-tags", "force"} & set(options_of(command))
    assert piece.read_bytes() == before


def test_a_wrong_value_in_the_environment_is_named(gtag, make_audio, monkeypatch):
    monkeypatch.setenv("GTAG_SCAN_JOBS", "two")
    ran = gtag("scan", make_audio(".mp3"))
    assert ran.status == 2
    assert "gtag: GTAG_SCAN_JOBS in the environment: Invalid value for '--jobs'" in ran.err
    assert "environment" not in gtag("scan", ".", "--jobs", "three").err


def test_nan_in_the_environment_is_refused(gtag, make_audio, monkeypatch):
    """Regression: with `nan` gtag named what it was unsure of, and wrote what just changed."""
    for name in ("GTAG_SCAN_MIN_CONFIDENCE", "GTAG_SCAN_MIN_AGE"):
        monkeypatch.setenv(name, "nan")
        ran = gtag("scan", make_audio(".mp3"))
        assert ran.status == 2 and "has to be a finite number" in ran.err
        assert name in ran.err
        monkeypatch.delenv(name)


def test_names_in_the_environment_mean_one_thing():
    context = click.Context(cli)
    names = [
        variable(name, long)
        for name in SETTABLE
        for long in options_of(cli.get_command(context, name))
    ]
    assert len(set(names)) == len(names)
    assert not {"GTAG_TRACEBACK", "_GTAG_COMPLETE"} & set(names)
    # Commands themselves stay as they are: gtag demo runs scan as gtag has it.
    from tagger.cli.scan import scan

    assert not any(param.envvar for param in scan.params)
    assert with_settings("demo", scan) is scan


def test_init_explains_every_setting_and_never_overwrites(gtag, tmp_path):
    assert gtag("config", "init").status == 0
    file = Path(gtag("config", "path").out.strip())
    assert file == tmp_path / "config" / "gtag" / "config.toml"
    assert settings(gtag, "--changed") == {}
    file.write_text("[scan]\ngenres = 2\n")
    again = gtag("config", "init")
    assert again.status == 2 and "was not changed" in again.err
    assert file.read_text() == "[scan]\ngenres = 2\n"


def test_what_init_shows_is_what_can_be_set():
    with click.Context(cli):
        text = example()
    said = tomllib.loads(re.sub(r"^# (?=[\w-]+ = )", "", text, flags=re.M))
    context = click.Context(cli)
    for name in SETTABLE:
        command = cli.get_command(context, name)
        assert set(said[name]) == set(options_of(command)) - as_in_scan(name, command)
    assert "journal" in said["scan"] and "journal" not in said["undo"]
    assert tomllib.loads(text) == {name: {} for name in SETTABLE}
    assert max(map(len, text.splitlines())) <= 100


def test_the_example_of_the_docs_loads(gtag, config):
    section = DOCS.read_text(encoding="utf-8").partition("## gtag config")[2]
    file = config(re.findall(r"```toml\n(.*?)```", section, re.S)[0])
    assert settings(gtag, "scan")["genre-map"][0] != "–"
    assert settings(gtag, "undo")["verbose"] == ("true", "line 8")
    (said,) = re.findall(r"`config\.toml: (line \d+: .*?)`\.", section)
    file.write_text(file.read_text().replace("min-confidence", "min-confidense"))
    assert said in gtag("config", "show").err


def test_completion_reads_no_file(tmp_path):
    (tmp_path / "gtag").mkdir()
    (tmp_path / "gtag" / "config.toml").write_text("[scan")
    ran = subprocess.run(
        [sys.executable, "-m", "tagger"],
        env=os.environ
        | {
            "XDG_CONFIG_HOME": str(tmp_path),
            "GTAG_SCAN_JOBS": "two",
            "_GTAG_COMPLETE": "bash_complete",
            "COMP_WORDS": "gtag scan --min-c",
            "COMP_CWORD": "2",
        },
        capture_output=True,
        text=True,
    )
    assert "--min-confidence" in ran.stdout and not ran.stderr


def test_a_file_named_like_help_is_scanned_with_the_settings(gtag, make_audio, config, monkeypatch):
    piece = make_audio(".mp3")
    piece.rename(piece.parent / "--help")
    monkeypatch.chdir(piece.parent)
    config("[scan]\njson = true\nmin-confidence = 1\n")
    ran = gtag("scan", "--jobs", "1", "--", "--help")
    assert json.loads(ran.out)["status"] == "unsure", ran.err
