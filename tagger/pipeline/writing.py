"""How a run writes into files: what is refused, how carefully, and with a journal for undo.

The command line and the Python API both write through here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cache, cached_property
from os import PathLike
from pathlib import Path

from tagger.containers.completeness import check_whole
from tagger.containers.write import Change, check_change, write_change
from tagger.journal.journal import Journal, Run, default_journal_path
from tagger.journal.undo import Undone, undo_run
from tagger.library.walk import Library, Track
from tagger.storage.at_rest import MIN_AGE_S, check_at_rest
from tagger.system.errors import GtagError
from tagger.system.logs import step


@dataclass(frozen=True)
class Care:
    """How careful writes are.

    Attributes
    ----------
    min_age_s : float
        A file that changed within so many seconds is refused.
    whole_only : bool
        Refuse files that are cut off or hold zeros.
    preserve_mtime : bool
        Keep the time of modification.
    in_place : bool
        Write files that no new file can replace (hard links, another's file) too, into the file
        itself: a crash may then tear it.
    trust : bool
        Use a journal that belongs to another user.
    """

    min_age_s: float = MIN_AGE_S
    whole_only: bool = True
    preserve_mtime: bool = False
    in_place: bool = False
    trust: bool = False

    def check(self, track: Track, is_own: Callable[[str], bool]) -> None:
        """Refuse what another program still writes, and what is not all there.

        Raises
        ------
        RefusedError
        """
        assert track.format is not None, "an unrecognised file is never written"
        check_at_rest(track.path, min_age_s=self.min_age_s, is_own=is_own)
        if self.whole_only:
            check_whole(track.path, track.format)


class Writer:
    """Writes changes into files, in one run of the journal; takes them back.

    Called with a track and its change, it returns what could not be done behind a file that is
    written, in words, or None. `writer` makes one.
    """

    def __init__(
        self,
        begin: Callable[[], tuple[Journal, Run]],
        care: Care,
        library: Library | None,
        command: Sequence[str],
    ) -> None:
        self._begin, self._care, self._library, self._command = begin, care, library, command

    @cached_property
    def begun(self) -> tuple[Journal, Run]:
        """The journal and the run, which begins when this is first asked for."""
        return self._begin()

    def __call__(self, track: Track, change: Change) -> str | None:
        """Write a change; raises GtagError where the file is as it was."""
        assert track.format is not None, "an unrecognised file is never written"
        journal, run = self.begun
        self._care.check(track, journal.wrote_last)
        with step("written", track.path):
            remark = write_change(
                track.path,
                track.format,
                change,
                journal=run,
                preserve_mtime=self._care.preserve_mtime,
                in_place=self._care.in_place,
            )
        if self._library is not None:
            self._library.replaced(track.path)
        return remark

    def take_back(self, path: str) -> list[Undone]:
        """Take the last change of a file in this run back; the list is empty if there is none."""
        journal, run = self.begun
        return list(undo_run(journal, run.id, [path], last=True, command=self._command))


@contextmanager
def writer(
    journal_file: str | PathLike[str] | None,
    care: Care,
    *,
    command: Sequence[str],
    model: str | None,
    library: Library | None = None,
    lazily: bool = False,
) -> Iterator[Writer]:
    """Give a `Writer`, with a run of the journal for as long as this lasts.

    Parameters
    ----------
    journal_file : path-like or None
        None: the one that all of a person's runs share.
    care : Care
    command : sequence of str
        What `gtag undo --list` shows.
    model : str or None
        Name and version, as ``cnn-2``; None where a person decides.
    library : Library, optional
        The walk under way, which must not meet a file again that a write replaced.
    lazily : bool
        Begin the run with the first write, so that there is none where nothing is written.

    Raises
    ------
    ConfigurationError
        The journal cannot be used; nothing may be written then.
    """
    with ExitStack() as stack:

        def begin() -> tuple[Journal, Run]:
            journal = stack.enter_context(Journal(journal_file, trust=care.trust))
            return journal, stack.enter_context(journal.start_run("scan", command, model))

        made = Writer(begin, care, library, command)
        if not lazily:
            _ = made.begun
        yield made


@contextmanager
def own_writes(
    journal_file: str | PathLike[str] | None, *, trust: bool = False
) -> Iterator[Callable[[str], bool]]:
    """Tell whether it was gtag that changed a file last, by an existing journal."""
    with ExitStack() as stack:

        @cache  # opened where it is asked for
        def journal() -> Journal | None:
            with suppress(GtagError, OSError):  # a write will report it
                file = Path(journal_file or default_journal_path())
                if file.exists():
                    return stack.enter_context(Journal(file, trust=trust))
            return None

        def is_own(path: str) -> bool:
            opened = journal()
            return opened is not None and opened.wrote_last(path)

        yield is_own


@contextmanager
def rehearsal(
    journal_file: str | PathLike[str] | None, care: Care
) -> Iterator[Callable[[Track, Change], None]]:
    """Yield a function that raises what writing would, for dry runs; it leaves nothing behind."""
    with own_writes(journal_file, trust=care.trust) as is_own:

        def rehearse(track: Track, change: Change) -> None:
            assert track.format is not None, "an unrecognised file is never written"
            care.check(track, is_own)
            check_change(
                track.path,
                track.format,
                change,
                preserve_mtime=care.preserve_mtime,
                in_place=care.in_place,
            )

        yield rehearse


@contextmanager
def writer_or_rehearsal(
    writes: bool,
    journal_file: str | PathLike[str] | None,
    care: Care,
    *,
    command: Sequence[str],
    model: str | None = None,
    library: Library | None = None,
) -> Iterator[tuple[Writer | None, Callable[[Track, Change], None] | None]]:
    """Yield a `writer` or, in a dry run, a `rehearsal` in its place: one of two is None."""
    if writes:
        with writer(journal_file, care, command=command, model=model, library=library) as write:
            yield write, None
    else:
        with rehearsal(journal_file, care) as rehearse:
            yield None, rehearse
