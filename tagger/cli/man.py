"""The man page: what --help says of every command, on one page of roff.

`python -m tagger.cli.man` prints it; hatch_build.py puts it into the wheel. Importing all commands
takes click alone, so that a wheel can be built where nothing else is installed.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterable, Iterator

import click

from tagger.cli import cli


def man_page(version: str) -> str:
    """Compose gtag(1).

    Parameters
    ----------
    version : str
        gtag's, for the page's foot.

    Returns
    -------
    str
        For `man` and `mandoc`; ends with a line break.
    """
    context = _context(cli, "gtag")
    description = _paragraphs(cli.help)
    name = description[0].rstrip(".")
    _, _, statuses = (cli.epilog or "").rstrip(".").partition(": ")
    lines = [
        f'.TH GTAG 1 "" "gtag {_escaped(version)}" "User Commands"',
        ".nh",  # options are to be found by their whole names
        ".ad l",
        ".SH NAME",
        f"gtag \\- {_escaped(name[0].lower() + name[1:])}",
        ".SH SYNOPSIS",
        *_usage(context),
        ".SH DESCRIPTION",
        *_text(description),
        ".SH OPTIONS",
        *_options(context),
        ".SH COMMANDS",
    ]
    for one in _below(context):
        lines += [f'.SS "{_escaped(one.command_path)}"', *_usage(one)]
        lines += [*_text(_paragraphs(one.command.help)), *_options(one)]
    lines += [".SH EXIT STATUS", *(_escaped(status) + "\n.br" for status in statuses.split(", "))]
    return "\n".join(lines).removesuffix("\n.br") + "\n"


def _context(
    command: click.Command, name: str, parent: click.Context | None = None
) -> click.Context:
    return click.Context(command, info_name=name, parent=parent, **command.context_settings)


def _below(context: click.Context) -> Iterator[click.Context]:
    """All commands below one, each behind the group that it is of."""
    group = context.command
    if isinstance(group, click.Group):
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            if command is not None and not command.hidden:
                below = _context(command, name, context)
                yield below
                yield from _below(below)


def _usage(context: click.Context) -> Iterator[str]:
    pieces = " ".join(context.command.collect_usage_pieces(context))
    yield f".B {_escaped(context.command_path)}"
    yield _escaped(pieces)


def _options(context: click.Context) -> Iterator[str]:
    for option in context.command.get_params(context):
        record = option.get_help_record(context) if isinstance(option, click.Option) else None
        if record is not None:
            yield from (".TP", f"\\fB{_escaped(record[0])}\\fR", _escaped(record[1]))


def _paragraphs(text: str | None) -> list[str]:
    return [re.sub(r"\s+", " ", one) for one in re.split(r"\n\s*\n", inspect.cleandoc(text or ""))]


def _text(paragraphs: Iterable[str]) -> Iterator[str]:
    for paragraph in paragraphs:
        yield from (".PP", _escaped(paragraph))


def _escaped(text: str) -> str:
    """Text as roff prints it: its dashes stay dashes that can be copied, no line is a request."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace('"', "\\(dq")
    return "\\&" + text if text.startswith((".", "'")) else text


if __name__ == "__main__":
    from importlib.metadata import version

    sys.stdout.write(man_page(version("gtag-music")))
