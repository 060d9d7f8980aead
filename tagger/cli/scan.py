"""`gtag scan`: options in, rows and a summary out."""

from __future__ import annotations

import sys
from contextlib import ExitStack, closing, contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tagger.cli.files import (
    log_to,
    not_music,
    opening,
    replaceable,
)
from tagger.cli.scan_options import scan_option
from tagger.pipeline.options import ScanOptions
from tagger.system.errors import (
    ConfigurationError,
    ExitStatus,
    GtagError,
    RefusedError,
    WriteFailedError,
)
from tagger.system.exhausted import check_memory
from tagger.system.screen import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tagger.library.walk import Library, Track
    from tagger.reports.csv_report import CsvReport, Done
    from tagger.reports.scan_page import ScanPage
    from tagger.reports.tally import Tally

_PATH = click.Path()
# In the order of the help.
_PARAMS: list[click.Parameter] = [
    click.Argument(["paths"], nargs=-1, type=_PATH),
    click.Option(["--write-tags"], is_flag=True, help="Write. Without it nothing is changed."),
    click.Option(["--dry-run"], is_flag=True, help="Write nothing, even with --write-tags."),
    *map(
        scan_option,
        (
            *("model", "min_confidence", "aim", "genres", "detail", "album", "existing"),
            *("placeholders", "no_default_placeholders", "genre_map", "profile"),
        ),
    ),
    click.Option(["--report"], type=_PATH, metavar="FILE.csv", help="One row for each track."),
    click.Option(
        ["--resume-report"],
        is_flag=True,
        help="Continue that report: leave out the tracks that it has.",
    ),
    click.Option(
        ["--html"],
        type=_PATH,
        metavar="FILE",
        help="One page for a browser: genres, confidence, changes, and all tracks.",
    ),
    click.Option(
        ["--playlists"],
        type=_PATH,
        metavar="DIR",
        help="One M3U8 playlist a genre, of what the tags say after the run.",
    ),
    click.Option(["--json", "as_json"], is_flag=True, help="One JSON object a line on stdout."),
    scan_option("jobs"),
    click.Option(
        ["--cluster"],
        metavar="ADDRESS",
        help="Classify on the workers of a Dask scheduler, such as tcp://host:8786.",
    ),
    *map(scan_option, ("exclude", "no_default_excludes")),
    click.Option(
        ["--files-from"],
        type=_PATH,
        metavar="FILE|-",
        help="Also scan the paths listed, one a line.",
    ),
    click.Option(
        ["-0", "--null"], is_flag=True, help="The list's paths end with NUL, not newline."
    ),
    *map(
        scan_option,
        (
            *("limit", "preserve_mtime", "in_place", "min_age", "write_incomplete", "no_cache"),
            *("journal", "trust"),
        ),
    ),
    click.Option(
        ["-v", "--verbose"],
        count=True,
        help="Say more: list each track, then the reasons, too.",
    ),
    click.Option(
        ["-q", "--quiet"],
        count=True,
        help="Say less: in a terminal the summary only, elsewhere errors only; -qq: errors only.",
    ),
    click.Option(
        ["--log-file"],
        type=_PATH,
        metavar="FILE",
        help="Append details and unexpected errors.",
    ),
]


@click.command(params=_PARAMS)
def scan(
    paths: tuple[str, ...],
    *,
    write_tags: bool,
    dry_run: bool,
    report: str | None,
    resume_report: bool,
    html: str | None,
    playlists: str | None,
    as_json: bool,
    cluster: str | None,
    files_from: str | None,
    null: bool,
    limit: int | None,
    verbose: int,
    quiet: int,
    log_file: str | None,
    **options: Any,
) -> ExitStatus:
    """Find the genres of music, and show or write them.

    PATHS are files and folders. Nothing is written without --write-tags. What gtag wrote can be
    taken back with gtag undo.
    """
    if null and not files_from:
        raise click.UsageError("-0 needs --files-from.")
    if resume_report and not report:
        raise click.UsageError("--resume-report needs --report.")
    if cluster and options["jobs"]:
        raise click.UsageError("--jobs does not apply to a cluster: leave it out.")
    if not paths and not files_from:
        raise click.UsageError("Name files or folders to scan, or a list of them: --files-from.")
    check_memory()

    from tagger.cli.listing import teller
    from tagger.cli.progress import Progress
    from tagger.cli.summary import print_summary
    from tagger.deciding.decide import Status
    from tagger.library.walk import read_file_list
    from tagger.pipeline.scanning import Scanning
    from tagger.reports.csv_report import Done, read_report
    from tagger.reports.tally import Tally
    from tagger.system.interrupt import Interrupts

    log_to(log_file, verbose)
    # What is shown: 0 errors, 1 the summary too, 2 each track too, 3 the reasons too.
    level = (2 if sys.stdout.isatty() and not as_json else 1) + verbose - quiet
    writes = write_tags and not dry_run
    if writes and options["journal"]:
        not_music(options["journal"], "--journal")
    scanning = Scanning(ScanOptions.of(options), writes=writes, command=sys.argv[1:])
    everything = [*paths, *(read_file_list(files_from, null_separated=null) if files_from else ())]
    tracks, tally, interrupted = scanning.library(everything), Tally(), False
    failures: list[GtagError] = []
    lists_written, not_listed = 0, list[RefusedError]()
    with ExitStack() as stack:
        progress = Progress(shown=level > 0, before="loading the model")
        stack.callback(progress.close)
        scanning.load(stack)
        csv_report, done = None, Done()
        if report:
            opened = _report(report, resumed=resume_report, writes=writes)
            csv_report, done = stack.enter_context(opened)
        page = stack.enter_context(_page(html)) if html else None
        lists = None
        if playlists:
            from tagger.reports.playlists import Playlists

            with opening(playlists):
                lists = Playlists(playlists, scanning.policy.placeholders)
            stack.callback(lists.close)
        kept = [keeper for keeper in (page, lists) if keeper]
        if kept and report and done.resumed:
            for earlier in read_report(report):
                for keeper in kept:
                    keeper.add(earlier)

        def pending(library: Library) -> Iterator[Track]:
            return islice((track for track in library if track.path not in done), limit)

        interrupts = stack.enter_context(Interrupts())
        progress.expect(lambda: pending(scanning.library(everything)))
        results = scanning.results(tracks, pending(tracks), interrupts=interrupts, cluster=cluster)
        tell = teller(level, as_json=as_json, say=progress.say)
        try:
            for result in stack.enter_context(closing(results)):
                tally.add(result)
                if csv_report:
                    csv_report.add(result)
                for keeper in kept:
                    keeper.add(result)
                tell(result)
                if result.status is not Status.CUE_TRACK:  # a part of the file before
                    progress.step()
        except KeyboardInterrupt:
            interrupted = True
        except WriteFailedError as error:  # of a report, a page or playlists: the tags are rows
            failures.append(error)
        partial = interrupted or bool(failures)
        try:
            if page:
                page.write(partial=partial)
        except WriteFailedError as error:
            failures += [error][: str(error) not in map(str, failures)]
        try:
            if lists and not partial:
                lists_written, not_listed = lists.write()
        except WriteFailedError as error:
            failures.append(error)
    if level > 0:
        summary = sys.stderr if as_json else sys.stdout
        print_summary(tally, tracks, in_report=len(done), file=summary)
        if playlists and lists and not interrupted and not failures:
            click.echo(f"\n{lists_written} playlists in {printable(playlists)}", file=summary)
            if lists.unnamable:
                why = "line breaks or bytes that are not UTF-8 in the name"
                click.echo(f"{lists.unnamable} tracks in none: {why}", file=summary)
        if not writes and tally.would_write and not interrupted and not failures:
            click.echo("\nNothing was written. --write-tags writes.", file=summary)
    problems = [*tracks.problems, *not_listed, *failures]
    for problem in problems:
        click.echo(f"gtag: {printable(str(problem))}", err=True)
    if interrupted:
        click.echo(_how_to_go_on(tally, report=report, wrote=writes), err=True)
        if lists:
            click.echo("No playlists were written: they would lack tracks.", err=True)
        return ExitStatus.INTERRUPTED
    return ExitStatus.PROBLEMS if tally.problems or problems else ExitStatus.OK


def options_of_scan(*names: str) -> list[click.Parameter]:
    """Return those options of `gtag scan` that another command has as well."""
    return [option for option in scan.params if option.name in names]


@contextmanager
def _report(file: str, *, resumed: bool, writes: bool) -> Iterator[tuple[CsvReport, Done]]:
    """Open the report; yield it and the rows that it holds already."""
    from tagger.deciding.decide import Status
    from tagger.reports.csv_report import CsvReport, Done, open_report, resume_report

    not_music(file, "--report")
    with opening(file):
        if resumed and Path(file).exists():
            opened, done = resume_report(file)
        else:
            opened, done = open_report(file), Done()
    with opened:
        if writes and Status.WOULD_WRITE in done.statuses:
            raise ConfigurationError(
                "is the report of a dry run: its tracks would not be written",
                path=file,
                hint="name another --report",
            )
        yield CsvReport(opened, resumed=done.resumed), done


@contextmanager
def _page(file: str) -> Iterator[ScanPage]:
    """Yield the page; it is written, as partial, also where an error ends the scan."""
    from tagger.reports.scan_page import ScanPage

    with opening(file):
        opened = ScanPage(replaceable(file, "--html"))
    with closing(opened):
        try:
            yield opened
        except (GtagError, OSError):
            if opened.tracks:
                with suppress(GtagError):
                    opened.write(partial=True)
            raise


def _how_to_go_on(tally: Tally, *, report: str | None, wrote: bool) -> str:
    lines = [f"gtag: interrupted after {tally.tracks} tracks."]
    if report:
        lines.append("The report has them. To continue, run the same command with --resume-report.")
    elif wrote:
        lines.append("To continue, run the same command again: what is written is not changed.")
    lines.append("To undo what was written: gtag undo" if wrote else "Nothing was written.")
    return "\n".join(lines)
