"""`gtag watch`: scans the files that arrive in folders, until it is ended."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import ExitStack, closing
from itertools import chain
from typing import Any

import click

from tagger.cli.files import log_to, not_music
from tagger.cli.results import complain, each, run_then
from tagger.cli.scan import WALKING, options_of_scan
from tagger.deciding.options import ScanOptions
from tagger.system.errors import ConfigurationError, ExitStatus
from tagger.system.exhausted import check_memory
from tagger.system.screen import printable

_AS_IN_SCAN = options_of_scan(
    *("write_tags", "model", "min_confidence", "aim", "genres", "detail", "album", "existing"),
    *("placeholders", "no_default_placeholders", "mood", "genre_map", "profile", "comment"),
    *("as_json", "jobs", *WALKING, "preserve_mtime", "in_place", "min_age", "write_incomplete"),
    *("no_cache", "journal", "trust", "then", "log_file"),
)


@click.command(params=_AS_IN_SCAN)
@click.argument("paths", nargs=-1, required=True, type=click.Path())
@click.option("--scan-first", is_flag=True, help="Begin with a scan of the files that are there.")
@click.option(
    "--poll",
    is_flag=True,
    help="Look at all files every few seconds: for network folders that others write to.",
)
@click.option("-v", "--verbose", is_flag=True, help="Show the reasons, too.")
@click.option("-q", "--quiet", is_flag=True, help="Show errors only.")
def watch(
    paths: tuple[str, ...],
    *,
    write_tags: bool,
    as_json: bool,
    log_file: str | None,
    scan_first: bool,
    poll: bool,
    verbose: bool,
    quiet: bool,
    then: str | None,
    **options: Any,
) -> ExitStatus:
    """Scan new music in folders, when it is complete.

    PATHS are folders. A file is scanned when it has not changed for --min-age seconds and no
    program has it open for writing. Nothing is written without --write-tags. Ctrl-C and SIGTERM
    end it, never in the middle of a write.
    """
    check_memory()

    from tagger.cli.listing import teller
    from tagger.library.walk import Library
    from tagger.pipeline.arrivals import alone, arrivals
    from tagger.pipeline.scanning import Scanning
    from tagger.reports.tally import Tally
    from tagger.system.interrupt import Interrupts

    folders = [os.path.realpath(path) for path in paths]
    for path, folder in zip(paths, folders, strict=True):
        if os.path.exists(folder) and not os.path.isdir(folder):  # noqa: PTH110, PTH112
            raise ConfigurationError(
                "is a file", path=path, hint="name its folder, or use gtag scan"
            )
    log_to(log_file, verbose)
    if write_tags and options["journal"]:
        not_music(options["journal"], "--journal")
    scanning = Scanning(ScanOptions.of(options), writes=write_tags, command=sys.argv[1:])
    library = scanning.library(folders)
    tell = teller(0 if quiet or as_json else 2 + verbose, as_json=as_json, say=click.echo)
    tally = Tally()
    with ExitStack() as stack:
        if write_tags:
            stack.enter_context(alone(folders))
        interrupts = stack.enter_context(Interrupts(signal.SIGINT, signal.SIGTERM))
        try:
            scanning.load(stack)
            batches = stack.enter_context(
                closing(
                    arrivals(
                        *(library, folders, scanning.care),
                        journal=options["journal"],
                        first=scan_first,
                        poll=poll,
                    )
                )
            )
            there = next(batches)
            if not quiet:
                named = ", ".join(map(printable, paths))
                click.echo(f"gtag: watching {named}; Ctrl-C ends it", err=True)
            for tracks in chain([there] if scan_first else [], batches):
                results = scanning.results(Library([]), tracks, interrupts=interrupts, apart=True)
                wrote = tally.wrote
                if not each(results, tally.add, tell):
                    raise KeyboardInterrupt
                for problem in library.problems:
                    complain(problem)
                library.problems.clear()
                scanning.cache.flush()
                run_then(then, tally.wrote - wrote)
        except KeyboardInterrupt:
            pass
    if not quiet:
        said = ", ".join(f"{n} {status}" for status, n in tally.statuses.items())
        click.echo(f"gtag: ended; {said or 'nothing arrived'}", err=True)
    return ExitStatus.OK if interrupts.last == signal.SIGTERM else ExitStatus.INTERRUPTED
