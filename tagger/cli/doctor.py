"""`gtag doctor`: whether all that gtag needs works here, in one table for a bug report."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from itertools import chain
from typing import TYPE_CHECKING

import click

from tagger.cli.settings import SETTABLE, ConfigFile
from tagger.system.errors import ExitStatus, GtagError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tagger.pipeline.doctor import Finding

_STYLES = {"ok": "green", "note": "yellow", "broken": "bold red"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def doctor(*, as_json: bool) -> ExitStatus:
    """Check the installation, and print one table.

    It tries decoders, models, folders, settings, journal and cache, and changes nothing. Copy the
    table into a bug report: it names none of your files, and shows your home folder as ~.
    """
    from tagger.pipeline.doctor import examine

    findings = []
    for finding in chain(_noticed(examine()), [_settings()]):
        findings.append(finding)
        if as_json:
            click.echo(json.dumps(asdict(finding)))
    broken = sum(finding.state == "broken" for finding in findings)
    if not as_json:
        _print(findings)
        click.echo(f"\n{f'{broken} broken.' if broken else 'Nothing is broken.'}")
    return ExitStatus.PROBLEMS if broken else ExitStatus.OK


def _noticed(findings: Iterator[Finding]) -> Iterator[Finding]:
    """Yield the checks, showing on stderr which part is being checked."""
    shown = sys.stderr.isatty()
    part = ""
    for finding in findings:
        if shown and finding.part != part:
            part = finding.part
            click.echo(f"\r\x1b[Kchecking {part} …", err=True, nl=False)
        yield finding
    if shown:
        click.echo("\r\x1b[K", err=True, nl=False)


def _settings() -> Finding:
    from tagger.pipeline.doctor import Finding, explained, without_home

    settings = ConfigFile()
    try:
        said = {name: settings.values(name) for name in SETTABLE}
        exists = settings.path.exists()
    except GtagError as error:
        return Finding("settings", "config.toml", "broken", explained(error))
    if not exists:
        return Finding("settings", "config.toml", "ok", "none")
    own = {(table, option) for values in said.values() for option, (_, table, _) in values.items()}
    where = without_home(str(settings.path))
    return Finding("settings", "config.toml", "ok", f"{where}: {len(own)} set")


def _print(findings: list[Finding]) -> None:
    from tagger.cli.console import Column, cell, console, plain_table

    fixed = (Column(heading, no_wrap=True) for heading in ("Part", "What", "State"))
    table = plain_table(*fixed, Column(overflow="fold"))
    part = ""
    for finding in findings:
        table.add_row(
            cell(finding.part if finding.part != part else "", "bold"),
            cell(finding.name),
            cell(finding.state, _STYLES[finding.state]),
            cell(finding.said),
        )
        part = finding.part
    console().print(table)
