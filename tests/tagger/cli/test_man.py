"""The man page says what --help says, and lies in the wheel where `man` finds it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import click
import pytest

from tagger.cli import COMMANDS, cli
from tagger.cli.man import _escaped, man_page

ROOT = Path(__file__).resolve().parents[3]
WIDE = {"terminal_width": 1000, "max_content_width": 1000}
MAN_PAGE = "share/man/man1/gtag.1"


def plain(roff):
    """What stands on a page, without what roff needs."""
    lines = (re.sub(r"^\.(B|SS|SH) ", "", line) for line in roff.splitlines())
    text = " ".join(line for line in lines if not line.startswith("."))
    for mark, character in (("\\-", "-"), ("\\&", ""), ("\\(dq", '"'), ("\\fB", ""), ("\\fR", "")):
        text = text.replace(mark, character)
    return " ".join(text.replace("\\e", "\\").split())


def helps(command, context):
    yield context.command_path, command.get_help(context)
    for name in command.list_commands(context) if isinstance(command, click.Group) else ():
        below = command.get_command(context, name)
        yield from helps(below, click.Context(below, info_name=name, parent=context, **WIDE))


def test_it_has_every_word_of_every_help():
    page = plain(man_page("0.0"))
    context = click.Context(cli, info_name="gtag", **cli.context_settings | WIDE)
    seen = dict(helps(cli, context))
    assert set(seen) >= {f"gtag {name}" for name in COMMANDS} | {"gtag models install"}
    for command, said in seen.items():
        said = said.partition("\nCommands:")[0]  # each stands in the page with all of its help
        for line in said.replace("Usage:", "").replace("Options:", "").splitlines():
            for part in re.split(r" {2,}", line.strip()):
                # What help says on one line may stand in two pieces: "…  [default: 1]".
                assert " ".join(part.split()) in page, f"{command}: {part}"


def test_roff_has_nothing_to_complain_of():
    if not shutil.which("groff"):
        pytest.skip("no groff here")
    command = ["groff", "-man", "-Tutf8", "-ww", "-z"]
    ran = subprocess.run(command, input=man_page("0.0"), capture_output=True, text=True, check=True)
    assert ran.stderr == ""


def test_a_line_that_begins_like_a_request_is_text():
    assert _escaped(".TH or a back\\slash") == "\\&.TH or a back\\eslash"


def test_the_wheel_has_it(tmp_path):
    """Built as pip builds it, by the hook that hatchling finds."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        (inside,) = (name for name in opened.namelist() if name.endswith(f".data/data/{MAN_PAGE}"))
        page = opened.read(inside).decode()
    # In a process of its own: click keeps a help option as other tests' contexts named it.
    version = wheel.name.split("-")[1]
    code = f"from tagger.cli.man import man_page; print(man_page({version!r}), end='')"
    made = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True)
    assert made.stdout.decode() == page


def test_a_wheel_can_be_built_where_only_click_is():
    """Where a wheel is built nothing of gtag's dependencies is there: the commands need click."""
    code = """
import sys
before = set(sys.modules)
from tagger.cli.man import man_page
man_page("0.0")
print(*{name.partition(".")[0] for name in set(sys.modules) - before})
"""
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert set(ran.stdout.split()) - sys.stdlib_module_names <= {"tagger", "click", "colorama"}
    assert ran.returncode == 0, ran.stderr
