"""`gtag scan`: options in, rows and a summary out."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from itertools import islice
from typing import TYPE_CHECKING, Any, TextIO

import click

from tagger.cli.click_options import scan_option
from tagger.cli.results import Asked, each
from tagger.deciding.options import ScanOptions
from tagger.system.errors import ExitStatus, WriteFailedError
from tagger.system.exhausted import check_memory
from tagger.system.screen import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tagger.cli.outputs import Outputs
    from tagger.library.walk import Library, Track
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
            *("placeholders", "no_default_placeholders", "mood", "genre_map", "profile", "comment"),
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
        ["--then"],
        metavar="COMMAND",
        help="Let the shell run this when files were written: a scan of your media server, say.",
    ),
    click.Option(
        ["-v", "--verbose"],
        count=True,
        help="Say more: list each track, then the reasons, too.",
    ),
    click.Option(
        ["-q", "--quiet"],
        count=True,
        help="Say less: list no tracks; -qq, or where none are listed: errors only.",
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
    report: str | None,
    resume_report: bool,
    html: str | None,
    playlists: str | None,
    cluster: str | None,
    files_from: str | None,
    null: bool,
    limit: int | None,
    **options: Any,
) -> ExitStatus:
    """Find the genres of music, and show or write them.

    PATHS are files and folders; a folder that holds a file .nogtag is left alone. Nothing is
    written without --write-tags. What gtag wrote can be taken back with gtag undo.
    """
    for wrong, told in (
        (null and not files_from, "-0 needs --files-from."),
        (resume_report and not report, "--resume-report needs --report."),
        (cluster and options["jobs"], "--jobs does not apply to a cluster: leave it out."),
        (not (paths or files_from), "Name files or folders to scan, or a list: --files-from."),
    ):
        if wrong:
            raise click.UsageError(told)
    check_memory()

    from tagger.cli.listing import teller
    from tagger.cli.outputs import outputs
    from tagger.cli.progress import Progress
    from tagger.library.walk import read_file_list
    from tagger.pipeline.scanning import Scanning
    from tagger.reports.tally import Tally
    from tagger.system.interrupt import Interrupts

    listed = read_file_list(files_from, null_separated=null) if files_from else ()
    everything, asked = [*paths, *listed], Asked(options, lists=True)
    scanning = Scanning(ScanOptions.of(options), writes=asked.writes, command=sys.argv[1:])
    tracks, tally, interrupted = scanning.library(everything), Tally(), False
    with ExitStack() as stack:
        progress = Progress(shown=asked.level > 0, before="loading the model")
        stack.callback(progress.close)
        scanning.load(stack)
        made = stack.enter_context(
            outputs(
                report,
                resumed=resume_report,
                writes=asked.writes,
                html=html,
                playlists=playlists,
                placeholders=scanning.policy.placeholders,
            )
        )

        def pending(library: Library) -> Iterator[Track]:
            return islice((track for track in library if track.path not in made.done), limit)

        interrupts = stack.enter_context(Interrupts())
        progress.expect(lambda: pending(scanning.library(everything)))
        results = scanning.results(tracks, pending(tracks), interrupts=interrupts, cluster=cluster)
        tell = teller(asked.level, as_json=asked.as_json, say=progress.say)
        try:
            interrupted = not each(results, tally.add, made.add, tell, progress.step)
        except WriteFailedError as error:  # of a report, a page or playlists: the tags are rows
            made.failures.append(error)
        made.finish(partial=interrupted or bool(made.failures))
    if asked.level > 0:
        complete = not interrupted and not made.failures
        _summarise(tally, tracks, made, playlists if complete else None, asked.file)
        if not asked.writes and tally.would_write and complete:
            click.echo("\nNothing was written. --write-tags writes.", file=asked.file)
    return asked.ended(
        tally,
        [*tracks.problems, *made.not_listed, *made.failures],
        interrupted=interrupted and _how_to_go_on(tally, report, playlists, wrote=asked.writes),
    )


def _summarise(
    tally: Tally, tracks: Library, made: Outputs, playlists: str | None, file: TextIO
) -> None:
    from tagger.cli.summary import print_summary

    print_summary(tally, tracks, in_report=len(made.done), file=file)
    if playlists and made.playlists:
        click.echo(f"\n{made.lists_written} playlists in {printable(playlists)}", file=file)
        if made.playlists.unnamable:
            why = "line breaks or bytes that are not UTF-8 in the name"
            click.echo(f"{made.playlists.unnamable} tracks in none: {why}", file=file)


# Options that other commands have as well: those that write, that walk through folders, and all.
WRITING = (
    *("write_tags", "dry_run", "preserve_mtime", "in_place", "min_age", "write_incomplete"),
    *("journal", "trust", "then"),
)
WALKING = ("exclude", "no_default_excludes")
TELLING = ("as_json", "verbose", "quiet", "log_file")


def options_of_scan(*names: str) -> list[click.Parameter]:
    """Return those options of `gtag scan` that another command has as well."""
    return [option for option in scan.params if option.name in names]


def _how_to_go_on(tally: Tally, report: str | None, playlists: str | None, *, wrote: bool) -> str:
    from tagger.deciding.decide import Status

    before = f"after {tally.tracks} track{'s' * (tally.tracks != 1)}"
    lines = [f" {before if tally.tracks else 'before the first track'}."]
    if report and tally.tracks:
        lines.append("The report has them. To continue, run the same command with --resume-report.")
    elif wrote and tally.tracks:
        lines.append("To continue, run the same command again: what is written is not changed.")
    written = wrote and tally.statuses[Status.WRITTEN]
    lines.append("To undo what was written: gtag undo" if written else "Nothing was written.")
    if playlists:
        lines.append("No playlists were written: they would lack tracks.")
    return "\n".join(lines)
