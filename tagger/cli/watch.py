"""`gtag watch`: scans what arrives in folders, when it has come to rest, until somebody ends it."""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter
from contextlib import ExitStack, closing
from itertools import chain
from typing import TYPE_CHECKING, Any

import click

from tagger.cli.scan import scan
from tagger.errors import ConfigurationError, ExitStatus
from tagger.exhausted import check_memory

if TYPE_CHECKING:
    from tagger.batch import TrackResult

# The options that mean the same as in `gtag scan`.
_AS_IN_SCAN = (
    *("write_tags", "model", "min_confidence", "genres", "detail", "album", "existing"),
    *(
        "placeholders",
        "no_default_placeholders",
        "genre_map",
        "profile",
        "as_json",
        "jobs",
        "exclude",
    ),
    *("no_default_excludes", "preserve_mtime", "in_place", "min_age", "write_incomplete"),
    *("no_cache", "journal", "log_file"),
)


@click.command(params=[option for option in scan.params if option.name in _AS_IN_SCAN])
@click.argument("paths", nargs=-1, required=True, type=click.Path())
@click.option("--scan-first", is_flag=True, help="Begin with a scan of what is there.")
@click.option(
    "--poll",
    is_flag=True,
    help="Look at all files every few seconds: for network folders that others write to.",
)
@click.option("-v", "--verbose", is_flag=True, help="Say the reasons, too.")
@click.option("-q", "--quiet", is_flag=True, help="Show errors only.")
def watch(
    paths: tuple[str, ...],
    *,
    scan_first: bool,
    poll: bool,
    verbose: bool,
    quiet: bool,
    **options: Any,
) -> ExitStatus:
    """Wait for music to arrive in folders, and scan it when it is all there.

    PATHS are folders. A file is listened to when it has not changed for --min-age seconds and no
    program has it open for writing. Nothing is written without --write-tags. Ctrl-C and SIGTERM
    end it, never in the middle of a write.
    """
    check_memory()

    from tagger.arrivals import arrivals
    from tagger.batch import scan_library
    from tagger.cache import Cache, default_cache_path
    from tagger.classify import classifier
    from tagger.cli.files import not_music
    from tagger.cli.listing import Listing
    from tagger.cli.logs import log_to
    from tagger.cli.policy import policy_of
    from tagger.files.library import Library
    from tagger.interrupt import Interrupts
    from tagger.models import zoo
    from tagger.reports.csv_report import json_line
    from tagger.screen import printable
    from tagger.sound.native_messages import native_messages_hidden
    from tagger.writing import Care

    folders = [os.path.realpath(path) for path in paths]
    for path, folder in zip(paths, folders, strict=True):
        if os.path.exists(folder) and not os.path.isdir(folder):  # noqa: PTH110, PTH112
            raise ConfigurationError("is a file", path=path, hint="name its folder, or gtag scan")
    exclude = options["exclude"]
    library = Library(folders, exclude=exclude, default_excludes=not options["no_default_excludes"])
    log_to(options["log_file"])
    journal, writes = options["journal"], options["write_tags"]
    if journal and writes:
        not_music(journal, "--journal")
    care = Care(
        options["min_age"],
        not options["write_incomplete"],
        options["preserve_mtime"],
        options["in_place"],
    )
    as_json, model = options["as_json"], options["model"] or zoo.DEFAULT
    listing = Listing(sys.stderr if as_json else sys.stdout, reasons=verbose)
    problems = Listing(sys.stderr)
    counts: Counter[str] = Counter()

    def tell(result: TrackResult) -> None:
        counts[result.status] += 1
        if as_json:
            click.echo(json_line(result))
        if result.status.is_problem:
            click.echo(problems.line(result), err=True)
        elif not quiet and not as_json:
            click.echo(listing.line(result))

    with ExitStack() as stack:
        interrupts = stack.enter_context(Interrupts(signal.SIGINT, signal.SIGTERM))
        try:
            with native_messages_hidden():  # a model that cannot be used ends the command here
                card = classifier(model).card
            policy = policy_of(options, card)
            file = None if options["no_cache"] else default_cache_path()
            cache = stack.enter_context(Cache(file, card))
            batches = arrivals(library, folders, care, journal=journal, first=scan_first, poll=poll)
            with closing(batches):
                there = next(batches)
                if not quiet:
                    named = ", ".join(map(printable, paths))
                    click.echo(f"gtag: watching {named}; Ctrl-C ends it", err=True)
                for tracks in chain([there] if scan_first else [], batches):
                    results = scan_library(
                        Library([]),
                        tracks,
                        model=model,
                        policy=policy,
                        care=care,
                        writes=writes,
                        journal=journal,
                        command=sys.argv[1:],
                        jobs=options["jobs"],
                        apart=True,
                        interrupts=interrupts,
                        cache=cache,
                    )
                    with closing(results):
                        for result in results:
                            tell(result)
                    cache.flush()
        except KeyboardInterrupt:
            pass
    if not quiet:
        said = ", ".join(f"{n} {status}" for status, n in counts.items())
        click.echo(f"gtag: ended; {said or 'nothing arrived'}", err=True)
    return ExitStatus.OK if interrupts.last == signal.SIGTERM else ExitStatus.INTERRUPTED
