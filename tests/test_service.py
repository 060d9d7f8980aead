"""The Dockerfile, and the command lines of docs/watch.md, as far as they show without a daemon."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import click
import pytest

from tagger.cli import cli

ROOT = Path(__file__).parents[1]
DOCUMENT = (ROOT / "docs" / "watch.md").read_text("utf-8")
DOCKERFILE = dict(
    line.split(" ", 1)
    for line in (ROOT / "Dockerfile").read_text("utf-8").splitlines()
    if re.match("[A-Z]+ ", line)
)


def commands() -> list[str]:
    return [
        *re.findall(r"^ExecStart=\S+/gtag (.+)$", DOCUMENT, re.M),
        *re.findall(r"^ +command: (.+)$", DOCUMENT, re.M),
        *re.findall(r"^gtag (watch .+)$", DOCUMENT, re.M),
        *re.findall(r"compose run --rm gtag ([^#\n]+)", DOCUMENT),
        shlex.join(json.loads(DOCKERFILE["CMD"])),
    ]


@pytest.mark.parametrize("line", commands())
def test_every_command_line_is_one(line):
    name, *arguments = shlex.split(line)
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    command.make_context(name, arguments, parent=click.Context(cli))


def test_there_are_as_many_as_there_should_be():
    assert len(commands()) == 6


def test_the_image_runs_as_nobody_special_and_writes_nothing_by_itself():
    assert DOCKERFILE["USER"] == "gtag"
    assert json.loads(DOCKERFILE["ENTRYPOINT"]) == ["gtag"]
    assert "--write-tags" not in DOCKERFILE["CMD"]
    assert json.loads(DOCKERFILE["VOLUME"]) == ["/music", "/state"]
