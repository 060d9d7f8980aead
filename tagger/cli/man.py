"""The help of every command on one page: in roff, for `man`, or in Markdown, for the docs' site.

`python -m tagger.cli.man` prints the man page; hatch_build.py puts it into the wheel. Importing all
commands needs click only, so that a wheel can be built where nothing else is installed.
"""

from __future__ import annotations

import html
import inspect
import re
import sys
from collections.abc import Iterable, Iterator

import click

from tagger.cli import cli


def man_page(version: str) -> str:
    """Return gtag(1), for `man` and `mandoc`; gtag's version is shown at its foot."""
    context, *below = _contexts(cli, "gtag")
    description = _paragraphs(cli.help)
    name = description[0].rstrip(".")
    _, _, statuses = (cli.epilog or "").rstrip(".").partition(": ")
    lines = [
        f'.TH GTAG 1 "" "gtag {_escaped(version)}" "User Commands"',
        ".nh",  # no hyphens in the names of options
        ".ad l",
        ".SH NAME",
        f"gtag \\- {_escaped(name[0].lower() + name[1:])}",
        ".SH SYNOPSIS",
        *_usage(context),
        ".SH DESCRIPTION",
        *_text(description),
        ".SH OPTIONS",
        *_roff_options(context),
        ".SH COMMANDS",
    ]
    for one in below:
        lines += [f'.SS "{_escaped(one.command_path)}"', *_usage(one)]
        lines += [*_text(_paragraphs(one.command.help)), *_roff_options(one)]
    lines += [".SH EXIT STATUS", *(_escaped(status) + "\n.br" for status in statuses.split(", "))]
    return "\n".join(lines).removesuffix("\n.br") + "\n"


def markdown_page() -> str:
    """Return the manual as Markdown: a heading and a table for each command."""
    lines: list[str] = []
    for one in _contexts(cli, "gtag"):
        lines += [f"## {one.command_path}", "", f"    {one.command_path} {_pieces(one)}", ""]
        lines += [f"{_marked(text)}\n" for text in _paragraphs(one.command.help)]
        lines += ["| option | |", "| --- | --- |"]
        lines += [f"| `{_celled(flags)}` | {_marked(text)} |" for flags, text in _options(one)]
        lines += [""]
    return "\n".join(lines)


def _contexts(
    command: click.Command, name: str, parent: click.Context | None = None
) -> Iterator[click.Context]:
    """Yield a command's context, and those of all commands below it."""
    context = click.Context(command, info_name=name, parent=parent, **command.context_settings)
    yield context
    if isinstance(command, click.Group):
        for name_below in command.list_commands(context):
            below = command.get_command(context, name_below)
            if below is not None and not below.hidden:
                yield from _contexts(below, name_below, context)


def _pieces(context: click.Context) -> str:
    return " ".join(context.command.collect_usage_pieces(context))


def _options(context: click.Context) -> Iterator[tuple[str, str]]:
    """Yield each option's names and its help."""
    for option in context.command.get_params(context):
        record = option.get_help_record(context) if isinstance(option, click.Option) else None
        if record is not None:
            yield record


def _paragraphs(text: str | None) -> list[str]:
    return [re.sub(r"\s+", " ", one) for one in re.split(r"\n\s*\n", inspect.cleandoc(text or ""))]


def _usage(context: click.Context) -> Iterator[str]:
    yield f".B {_escaped(context.command_path)}"
    yield _escaped(_pieces(context))


def _roff_options(context: click.Context) -> Iterator[str]:
    for flags, text in _options(context):
        yield from (".TP", f"\\fB{_escaped(flags)}\\fR", _escaped(text))


def _text(paragraphs: Iterable[str]) -> Iterator[str]:
    for paragraph in paragraphs:
        yield from (".PP", _escaped(paragraph))


def _escaped(text: str) -> str:
    """Text as roff prints it: dashes can be copied, and no line is a request."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace('"', "\\(dq")
    return "\\&" + text if text.startswith((".", "'")) else text


def _celled(text: str) -> str:
    return text.replace("|", "\\|")


def _marked(text: str) -> str:
    """Text without Markdown or HTML markup."""
    return html.escape(_celled(re.sub(r"([\\`*_\[\]#])", r"\\\1", text)), quote=False)


if __name__ == "__main__":
    from importlib.metadata import version

    sys.stdout.write(man_page(version("gtag-music")))
