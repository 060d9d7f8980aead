"""The review: what a scan was unsure of, one track after the other, and what a person says.

An answer is written as carefully as any change, and as the person's own word: it is kept by later
scans, and learned from by `gtag train --from-tags`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from tagger.containers.credits import Credits, read_credits
from tagger.containers.read import TagState, read_tags
from tagger.containers.recognise import supported_format
from tagger.containers.write import Change, refuse_untagged
from tagger.deciding.albums import MOST_TRACKS, place, together
from tagger.deciding.decide import Status
from tagger.genres.placeholders import Placeholders
from tagger.genres.vocabulary import canonical, spelled, vocabulary, why_no_name
from tagger.library.walk import Track
from tagger.pipeline.road import TrackResult
from tagger.pipeline.writing import Writer
from tagger.reports.csv_report import possible_paths, read_report
from tagger.reports.tally import by_doubt
from tagger.storage.durable_io import write_whole
from tagger.system.errors import ConfigurationError, GtagError, RefusedError, UnreadableError
from tagger.system.places import state_folder
from tagger.system.suggest import near_names


def default_report(*, disagree: bool = False) -> Path:
    """Return the report of the tracks that a review itself looked for."""
    return state_folder() / ("disagree.csv" if disagree else "review.csv")


def disagreeing(results: Iterable[TrackResult]) -> list[TrackResult]:
    """Return the tracks whose own genre a prediction disagrees with, the least probable first."""
    return sorted((one for one in results if one.own_confidence is not None), key=by_doubt)


def _by_folder(results: Iterable[TrackResult]) -> list[TrackResult]:
    """Put the tracks of a folder together, which may be an album, where its first one stands."""
    folders: dict[Path, list[TrackResult]] = {}
    for result in results:
        folders.setdefault(Path(result.path).parent, []).append(result)
    return [result for folder in folders.values() for result in folder]


@dataclass(frozen=True)
class Question:
    """One track that a person is asked about.

    Attributes
    ----------
    number : int
        Its place among the unsure tracks, from 0.
    track : Track
    result : TrackResult
        Its row in the report.
    tags : TagState
    credits : Credits
    answered : bool
        Whether a person said its genre, or another than the report has, here or with another
        program.
    """

    number: int
    track: Track
    result: TrackResult
    tags: TagState
    credits: Credits
    answered: bool


class Review:
    """The unsure tracks of a report, or those that it disagrees with, and which were skipped.

    What is answered shows in the files themselves; what was skipped is noted beside the journal,
    until all tracks were seen or the report is a new one.

    Parameters
    ----------
    report : path-like
    write : Writer
    placeholders : Placeholders, optional
        Words that are no genre, and so no answer.
    disagree : bool
        Ask about the tracks whose own genre a prediction disagrees with, not the unsure ones.

    Attributes
    ----------
    skipped : set of int
        Numbers of the tracks that were skipped, in this session or before.
    answered_now, skipped_now : set of int
        Of this session.
    disagree : bool

    Raises
    ------
    ConfigurationError
        It is not a report.
    """

    def __init__(
        self,
        report: str | os.PathLike[str],
        write: Writer,
        placeholders: Placeholders | None = None,
        *,
        disagree: bool = False,
    ) -> None:
        rows = read_report(os.fspath(report))
        unsure = (row for row in rows if row.status is Status.UNSURE)
        self._rows = _by_folder(disagreeing(rows)) if disagree else list(unsure)
        self.disagree = disagree
        self._write = write
        self._placeholders = placeholders or Placeholders()
        key = sha256(os.fsencode(os.path.realpath(report)) + b"\0" * disagree).hexdigest()[:16]
        self._notes = state_folder() / f"review-{key}.json"
        skipped: set[str] = set()
        # None yet; or damaged: then they are asked for again.
        with suppress(OSError, ValueError, TypeError):
            if self._notes.stat().st_mtime >= Path(report).stat().st_mtime:
                skipped = set(json.loads(self._notes.read_bytes()))
        self.skipped = {i for i, row in enumerate(self._rows) if row.path in skipped}
        self.answered_now: set[int] = set()
        self.skipped_now: set[int] = set()

    def __len__(self) -> int:
        return len(self._rows)

    def row(self, number: int) -> TrackResult:
        """Return the report's row of a track."""
        return self._rows[number]

    def question(self, number: int) -> Question:
        """Return the question about a track.

        Raises
        ------
        GtagError
            The track cannot be found, read or written.
        """
        row = self._rows[number]
        track, tags = found_again(row.path)
        assert track.format is not None, "it was found"
        answered = bool(self._placeholders.without(tags.user_genres))
        if row.own_confidence is not None:
            said = "; ".join(tags.genres or tags.user_genres)
            answered = said not in possible_paths(row.old_genre)
        credits = read_credits(track.path, track.format)
        return Question(number, track, row, tags, credits, answered)

    def album(self, question: Question) -> list[Question]:
        """Return the track with its neighbours of the same album that have no answer yet."""
        before = list(self._neighbours(question, -1))
        return [*reversed(before), question, *self._neighbours(question, 1)]

    def _neighbours(self, question: Question, step: int) -> Iterator[Question]:
        here = place(question.track.path, question.credits)
        number = question.number + step
        while 0 <= number < len(self) and abs(number - question.number) < MOST_TRACKS:
            try:
                other = self.question(number)
            except GtagError:
                return
            there = place(other.track.path, other.credits)
            if not together(here, there):
                return
            if not other.answered:
                yield other
            here, number = there, number + step

    def answer(self, question: Question, genres: tuple[str, ...]) -> str | None:
        """Write what the person says; returns what could not be done behind it, in words.

        Raises
        ------
        GtagError
            A name cannot be written, or as `Writer` does; the file is as it was.
        """
        if not genres:
            raise RefusedError("no genre is named", path=question.track.path)
        refuse_no_names(genres, question.track.path)
        self.ask_again(question.number)
        remark = self._write(question.track, Change(genres))
        self.answered_now.add(question.number)
        return remark

    def take_back(self, question: Question) -> None:
        """Take the last answer of this session back.

        Raises
        ------
        RefusedError
            It cannot be: somebody changed the file since.
        """
        undone = self._write.take_back(question.track.path)
        problem = next((one for one in undone if one.status.is_problem), None)
        if problem or not undone:
            reason = problem.message if problem else "there is no answer to take back"
            raise RefusedError(reason, path=question.track.path)
        self.answered_now.discard(question.number)

    def ask_again(self, number: int) -> None:
        """Forget that a track was skipped, if it was; raises as `skip`."""
        self.skipped_now.discard(number)
        if number in self.skipped:
            self.skipped.discard(number)
            self._note()

    def skip(self, number: int) -> None:
        """Note that a track was skipped, for the next review of this report.

        Raises
        ------
        ConfigurationError
            The note cannot be written.
        """
        self.skipped.add(number)
        self.skipped_now.add(number)
        self._note()

    def _note(self) -> None:
        paths = [self._rows[i].path for i in sorted(self.skipped)]
        try:
            self._notes.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self._notes, json.dumps(paths).encode("ascii"))
        except OSError as error:
            raise ConfigurationError.of_system(error, self._notes) from error

    def is_open(self) -> bool:
        """Tell whether a track has neither an answer nor was skipped."""
        for number in range(len(self)):
            with suppress(GtagError):
                if number not in self.skipped and not self.question(number).answered:
                    return True
        return False

    def finish(self) -> None:
        """Forget the skipped tracks when all were seen: the next review asks for them again.

        Where a genre was doubted, skipping it was the answer: it stays.
        """
        if not self.disagree:
            self._notes.unlink(missing_ok=True)


def as_genres(typed: str, own: Collection[str] = ()) -> tuple[str, ...]:
    """Return the genres in a typed line, the word for each as the person chose it.

    Only letter case and punctuation become the vocabulary's, where `own` has not that spelling.

    >>> as_genres(" hip hop; Rap; Polka "), as_genres("hip hop", ["hip hop"])
    (('Hip-Hop', 'Rap', 'Polka'), ('hip hop',))
    """
    names = (" ".join(name.split()) for name in typed.split(";"))
    return tuple(dict.fromkeys(n if n in own else spelled(n) for n in names if n))


def meant_instead(typed: str, own: Iterable[str] = ()) -> str | None:
    """Return the genre that a person may have meant by a word; None where it is one, or no other
    is near.
    """
    known = [*known_genres(), *own]
    near = [] if canonical(typed) or typed in known else near_names(typed, known)
    return near[0] if near else None


def refuse_no_names(genres: tuple[str, ...], path: str) -> None:
    """Raise RefusedError where one of these cannot be written as the name of a genre."""
    for genre in genres:
        if why := why_no_name(genre):
            raise RefusedError(f'"{genre[:40]}" cannot be a genre: {why}', path=path)


def known_genres() -> list[str]:
    """Return the genres and styles of the vocabulary."""
    return [name for genre, styles in vocabulary().items() for name in (genre, *styles)]


def found_again(shown: str) -> tuple[Track, TagState]:
    """Return the track of a report's row, and what its tags say now.

    Raises
    ------
    GtagError
        It cannot be found, read or written.
    """
    path = _restored(shown)
    format = supported_format(path)
    refuse_untagged(format, path)
    return Track(path, format), read_tags(path, format)


def _restored(shown: str) -> str:
    """Return the path that a report shows, where a file tells which one it was."""
    there = [path for path in possible_paths(shown) if os.path.lexists(path)]
    if len(there) == 1:
        return there[0]
    if there:
        raise RefusedError("could be one of several files with odd characters", path=shown)
    relative = None if Path(shown).is_absolute() else "go to the folder that was scanned from"
    raise UnreadableError("no longer exists", path=shown, hint=relative)
