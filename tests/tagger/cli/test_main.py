"""What holds for every command."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import mutagen
import pytest

from tagger.cli import COMMANDS, cli

ROOT = Path(__file__).resolve().parents[3]


def commands():
    context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        yield name, command


def test_help_answers_at_once():
    # Time of the processor, and the best of a few: what else the machine does is not ours.
    took = []
    for _ in range(5):
        before = os.times()
        subprocess.run([sys.executable, "-m", "tagger", "--help"], check=True, capture_output=True)
        after = os.times()
        took.append(
            after.children_user
            + after.children_system
            - before.children_user
            - before.children_system
        )
    assert min(took) < 0.2


def test_help_imports_nothing_heavy():
    code = """
import sys
from tagger.cli import main
try:
    main()
except SystemExit:
    print(*sys.modules, file=sys.stderr)
"""
    ran = subprocess.run(
        [sys.executable, "-c", code, "--help"], capture_output=True, text=True, check=True
    )
    assert "scan" in ran.stdout
    heavy = {
        "numpy",
        "av",
        "mutagen",
        "rich",
        "tqdm",
        "loky",
        "sqlite3",
        "jinja2",
        "tagger.pipeline.batch",
    }
    assert heavy & set(ran.stderr.split()) == set()


@pytest.mark.parametrize("command", ["scan --model ensemble", "show"])
def test_listening_imports_nothing_heavy(make_audio, command):
    """scipy takes 1 s to start, librosa brings numba: what both were needed for is numpy here."""
    code = """
import sys
from tagger.cli import main
try:
    main()
except SystemExit as end:
    print(end.code or 0, *sys.modules, file=sys.stderr)
"""
    piece = make_audio(".mp3", duration_s=2.0)
    ran = subprocess.run(
        [sys.executable, "-c", code, *command.split(), str(piece)], capture_output=True, text=True
    )
    status, *modules = ran.stderr.splitlines()[-1].split()
    assert status == "0" and "tagger.models.multi_label" in modules
    heavy = {"librosa", "numba", "joblib", "sklearn", "scipy", "matplotlib", "xgboost", "asyncio"}
    assert heavy & set(modules) == set()


def test_help_names_every_command(gtag):
    ran = gtag("--help")
    assert ran.status == 0
    for name, command in commands():
        assert name in ran.out
        assert command.help, f"gtag {name} does not say what it does"
        assert all(option.help for option in command.params if isinstance(option, click.Option)), (
            f"an option of gtag {name} has no help"
        )


def test_every_command_and_option_is_documented():
    text = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## gtag (\w+)\n(.*?)(?=^## |\Z)", text, re.M | re.S))
    assert list(sections) == list(COMMANDS)
    for name, command in commands():
        below = command.commands.values() if isinstance(command, click.Group) else ()
        options = {
            flag
            for one in (command, *below)
            for option in one.params
            if isinstance(option, click.Option)
            for flag in (*option.opts, *option.secondary_opts)
        }
        documented = set(re.findall(r"(?<![\w-])--?[a-z0-9][a-z0-9-]*", sections[name]))
        # What a section says about another command's options stands in that command's section.
        own = {flag for flag in documented if f"`{flag}" in sections[name]}
        assert options - documented == set(), f"undocumented options of gtag {name}"
        assert own - options == set(), f"documented, but not there: gtag {name}"


def test_command_lines_in_the_docs_can_be_typed():
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    seen = 0
    for name, command in commands():
        below = command.commands.values() if isinstance(command, click.Group) else ()
        params = [param for one in (command, *below) for param in one.params]
        flags = {flag for param in params for flag in (*param.opts, *param.secondary_opts)}
        # In a block of code, where a remark begins with "  #", or in code between words.
        for line in re.findall(rf"(?:^|`)gtag {name}\b(.*?)(?:`|  #|$)", text, re.M):
            asked = set(re.findall(r"(?<=\s)--[a-z][a-z-]*", line))
            assert asked <= flags, f"gtag {name}{line}"
            seen += bool(asked)
    assert seen > 30


def test_version(gtag):
    ran = gtag("--version")
    assert ran.status == 0
    assert re.fullmatch(r"gtag, version \d+\.\d+\.\d+\n", ran.out)


@pytest.mark.parametrize(
    "arguments",
    [("nonsense",), ("scan",), ("scan", "--nonsense", "."), ("scan", ".", "--existing", "eat")],
)
def test_wrong_usage_is_2_and_says_what(gtag, arguments):
    ran = gtag(*arguments)
    assert ran.status == 2
    assert "gtag:" in ran.err
    assert "Traceback" not in ran.err


def test_wrong_usage_does_not_act_on_the_terminal(gtag):
    ran = gtag("scan", "--\x1b]0;owned\x07")
    assert ran.status == 2
    assert "\x1b" not in ran.err
    assert "\\x1b]0;owned\\x07" in ran.err


def test_a_closed_pipe_is_no_drama(make_audio):
    piece = make_audio(".wav")
    process = subprocess.Popen(
        [sys.executable, "-m", "tagger", "scan", "--json", str(piece)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert b"Traceback" not in process.stderr.read()
    process.wait()


def redirected(redirection, *arguments):
    """What a command ends with, and what it says, when a shell closes or redirects its streams."""
    script = f'"$0" -m tagger "$@" {redirection}'
    return subprocess.run(
        ["sh", "-c", script, sys.executable, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


@pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell")
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-", "2>/dev/full"])
def test_streams_that_are_closed_change_no_status(make_audio, tmp_path, monkeypatch, closed):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    piece, broken = make_audio(".mp3", duration_s=2.0), tmp_path / "broken.mp3"
    broken.write_bytes(b"no sound")
    lists = (("models",), ("undo", "--list")) if closed == ">&-" else ()
    for arguments, status in (
        (("--help",), 0),
        (("scan", tmp_path / "nowhere"), 2),
        (("scan", broken), 1),
        (("scan", "--write-tags", "--min-confidence", "0", piece), 0),
        *((command, 0) for command in lists),
    ):
        ran = redirected(closed, *arguments)
        assert ran.returncode == status, arguments
        assert "Traceback" not in ran.stderr
    assert mutagen.File(piece)["TCON"].text


@pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell")
def test_nothing_that_is_printed_goes_into_a_file(make_audio, tmp_path, monkeypatch):
    """The first file to be opened gets the number of a closed stream, and its messages."""
    code = (
        "import os, sys, tagger.cli.streams as s; s.make_streams_usable();"
        "file = open(sys.argv[1], 'r+b'); os.write(1, b'one'); os.write(2, b'two')"
    )
    piece = make_audio(".mp3", duration_s=2.0)
    before = piece.read_bytes()
    script = f'"$0" -c "{code}" "$1" <&- >&- 2>&-'
    subprocess.run(["sh", "-c", script, sys.executable, str(piece)], check=True)
    assert piece.read_bytes() == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_output_is_named(make_audio, tmp_path):
    for arguments in (("--help",), ("models",), ("scan", "--json", make_audio(".wav"))):
        ran = redirected(">/dev/full", *arguments)
        assert ran.returncode == 1
        assert "gtag: the standard output cannot be written: No space left" in ran.stderr
        assert "Traceback" not in ran.stderr and "Exception" not in ran.stderr
    ran = redirected("", "scan", "--report", "/dev/full", make_audio(".wav"))
    assert ran.returncode == 1
    assert "gtag: /dev/full: the report cannot be written: No space left" in ran.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="limits as Linux keeps them")
@pytest.mark.parametrize(
    ("limit", "jobs", "said"),
    [
        ("ulimit -v 600000", "1", "not enough memory: 900 MB needed, 585 MB allowed"),
        ("ulimit -v 600000", "2", "not enough memory: 900 MB needed, 585 MB allowed"),
        ("ulimit -n 12", "2", "the number of open files is exhausted"),
    ],
)
def test_what_ran_out_is_named_and_no_track_blamed(make_audio, tmp_path, limit, jobs, said):
    pieces = [make_audio(".mp3", duration_s=2.0, seed=seed) for seed in range(2)]
    command = [sys.executable, "-m", "tagger", "scan", "--jobs", jobs, *map(str, pieces)]
    ran = subprocess.run(
        ["sh", "-c", f'{limit}; exec "$@"', "sh", *command],
        env=os.environ | {"XDG_STATE_HOME": str(tmp_path / "state")},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 2
    assert f"gtag: {said}" in ran.stderr
    assert "Traceback" not in ran.stderr and "unreadable" not in ran.stderr


def completion(**environment):
    return subprocess.run(
        [sys.executable, "-m", "tagger"],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shell_completion(shell):
    assert "_GTAG_COMPLETE" in completion(_GTAG_COMPLETE=f"{shell}_source")


def test_completion_knows_the_commands():
    said = completion(_GTAG_COMPLETE="bash_complete", COMP_WORDS="gtag s", COMP_CWORD="1")
    assert {"plain,scan", "plain,show"} <= set(said.split())


@pytest.fixture
def shell(tmp_path, monkeypatch):
    """Runs a script in a real shell, where `gtag` is this one and a model of one's own is there."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "gtag"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m tagger "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    own = tmp_path / "data" / "gtag" / "models" / "my-genres"
    own.mkdir(parents=True)
    (own / "card.toml").write_text("")

    def run(name, script):
        if not shutil.which(name):
            pytest.skip(f"no {name} here")
        ran = subprocess.run([name, "-c", script], capture_output=True, text=True, cwd=ROOT)
        assert ran.stderr == ""
        return {line.partition("\t")[0] for line in ran.stdout.splitlines()}

    return run


COMPLETED = [
    ("gtag sc", {"scan"}),
    ("gtag scan --mod", {"--model"}),
    ("gtag scan --model ", {"cnn", "ensemble", "fast", "my-genres", "trees"}),
    ("gtag evaluate --model my", {"my-genres"}),
    ("gtag models remove ", {"my-genres"}),
    ("gtag models ver", {"verify"}),
]


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX shells")
@pytest.mark.parametrize(("line", "offered"), COMPLETED)
def test_bash_completes_commands_options_and_models(shell, line, offered):
    words = " ".join(f'"{word}"' for word in line.split(" "))
    script = f"""
        eval "$(_GTAG_COMPLETE=bash_source gtag)"
        COMP_WORDS=({words}); COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 ))
        _gtag_completion gtag
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    assert shell("bash", script) == offered


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX shells")
@pytest.mark.parametrize(("line", "offered"), COMPLETED)
def test_fish_completes_commands_options_and_models(shell, line, offered):
    script = f"_GTAG_COMPLETE=fish_source gtag | source; complete -C '{line}'"
    assert shell("fish", script) == offered


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX shells")
def test_zsh_takes_the_completion(shell):
    # Its completion runs only while somebody types; that it loads is what can be asked here.
    script = """
        autoload -Uz compinit && compinit -D -u
        eval "$(_GTAG_COMPLETE=zsh_source gtag)"
        print $_comps[gtag]
    """
    assert shell("zsh", script) == {"_gtag_completion"}
    said = completion(
        _GTAG_COMPLETE="zsh_complete", COMP_WORDS="gtag scan --model m", COMP_CWORD="3"
    )
    assert said.split() == ["plain", "my-genres", "_"]


@pytest.mark.parametrize("group", [(), ("config",), ("cache",)])
def test_a_bare_gtag_shows_readable_help(gtag, group):
    """Regression: the line breaks in the help of gtag config and gtag cache were escaped."""
    ran = gtag(*group)
    assert ran.status == 2  # a script that lost its arguments must not go on
    assert ran.out == ""
    assert ran.err.splitlines() == gtag(*group, "--help").out.splitlines()
    assert "\\x0a" not in ran.err


def test_what_cannot_be_written_is_said_without_python_words(gtag, make_audio, tmp_path):
    """Regression: `cannot go on: [Errno 2] No such file or directory: 'x'`."""
    piece, there = make_audio(".flac", duration_s=2.0), tmp_path / "a file"
    there.write_text("")
    for arguments, said in (
        (("show", piece, "--plot", tmp_path / "no" / "x.png"), "x.png: cannot be written: No such"),
        (("demo", there), "a file: is a file, not a folder"),
        (("scan", piece, "--playlists", there), "a file: is a file, not a folder"),
    ):
        ran = gtag(*arguments)
        assert ran.status == 2 and said in ran.err and "Errno" not in ran.err, ran.err


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (("scna", "."), "scan"),
        (("Scan", "."), "scan"),
        (("evalute",), "evaluate"),
        (("models", "instal", "x"), "install"),
        (("scan", "--model", "cn", "."), "cnn"),
        (("scan", "--model", "ensembel", "."), "ensemble"),
        (("show", "--model", "Trees", "x"), "trees"),
        (("evaluate", "--recipe", "boosted-tree", "--data", "."), "boosted-trees"),
    ],
)
def test_a_mistyped_name_is_answered_with_the_nearest(gtag, make_audio, arguments, meant):
    arguments = [make_audio(".wav") if word == "x" else word for word in arguments]
    ran = gtag(*arguments)
    assert ran.status == 2
    assert f"did you mean {meant}" in ran.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("scan",),
        ("show",),
        ("scan", "--files-from"),
        ("train", "--from-tags"),
        ("train", "--output", "new", "--data"),
        ("evaluate", "--model", "cnn", "--data"),
    ],
)
def test_a_mistyped_path_is_answered_with_the_nearest(gtag, tmp_path, arguments):
    (tmp_path / "Music").mkdir()
    ran = gtag(*arguments, tmp_path / "Musik")
    assert ran.status in (1, 2)
    assert f"No such file or directory (did you mean {tmp_path / 'Music'}?)" in ran.err


def test_a_name_like_no_other_is_answered_with_all(gtag):
    assert "there are: scan, watch, show, audit, review, apply, tidy, undo" in gtag("xyzzy").err
