"""What a scan leaves beside the tags: the report, the page and the playlists."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tagger.cli.files import not_music, opening, replaceable
from tagger.deciding.decide import Status
from tagger.reports.csv_report import CsvReport, Done, open_report, read_report, resume_report
from tagger.system.errors import ConfigurationError, GtagError, RefusedError, WriteFailedError

if TYPE_CHECKING:
    from tagger.genres.placeholders import Placeholders
    from tagger.pipeline.road import TrackResult
    from tagger.reports.playlists import Playlists
    from tagger.reports.scan_page import ScanPage


@dataclass
class Outputs:
    """Those files that a scan was asked for, and what failed of them.

    Attributes
    ----------
    done : Done
        The tracks that a resumed report has.
    lists_written : int
    """

    report: CsvReport | None = None
    page: ScanPage | None = None
    playlists: Playlists | None = None
    done: Done = field(default_factory=Done)
    failures: list[GtagError] = field(default_factory=list)
    not_listed: list[RefusedError] = field(default_factory=list)
    lists_written: int = 0

    def add(self, result: TrackResult) -> None:
        """Add a track to each of them."""
        if self.report:
            self.report.add(result)
        self.keep(result)

    def keep(self, result: TrackResult) -> None:
        """Add a track to the page and the playlists."""
        if self.page:
            self.page.add(result)
        if self.playlists:
            self.playlists.add(result)

    def finish(self, *, partial: bool) -> None:
        """Write what is written at the end: of an incomplete scan the page alone."""
        try:
            if self.page:
                self.page.write(partial=partial)
        except WriteFailedError as error:
            if str(error) not in map(str, self.failures):
                self.failures.append(error)
        try:
            if self.playlists and not partial:
                self.lists_written, self.not_listed = self.playlists.write()
        except WriteFailedError as error:
            self.failures.append(error)


@contextmanager
def outputs(
    report: str | None,
    *,
    resumed: bool,
    writes: bool,
    html: str | None,
    playlists: str | None,
    placeholders: Placeholders,
) -> Iterator[Outputs]:
    """Open what a scan was asked for; yield it."""
    with ExitStack() as stack:
        made = Outputs()
        if report:
            made.report, made.done = stack.enter_context(
                report_of(report, resumed=resumed, writes=writes)
            )
        if html:
            made.page = stack.enter_context(page_of(html))
        if playlists:
            from tagger.reports.playlists import Playlists

            with opening(playlists):
                made.playlists = stack.enter_context(closing(Playlists(playlists, placeholders)))
        if report and made.done.columns and (made.page or made.playlists):
            for earlier in read_report(report):
                made.keep(earlier)
        yield made


@contextmanager
def report_of(file: str, *, resumed: bool, writes: bool) -> Iterator[tuple[CsvReport, Done]]:
    """Open the report; yield it and the rows that it holds already."""
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
        yield CsvReport(opened, columns=done.columns), done


@contextmanager
def page_of(file: str) -> Iterator[ScanPage]:
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
