"""What the page of a review asks for, and what it is told: plain values, ready for JSON.

It knows questions and answers (`tagger.reviewing.review`), and nothing of HTTP. Texts from files
come as they may be shown.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

import numpy as np

from tagger.containers.cover import read_cover
from tagger.deciding.albums import place, together
from tagger.genres.vocabulary import parent_of, vocabulary
from tagger.models.prediction import Prediction
from tagger.pipeline.scanning import Scanning
from tagger.reviewing.guesses import guesses, names_of_model
from tagger.reviewing.review import Question, Review, as_genres, known_genres, meant_instead
from tagger.sound.audio import Excerpt, Sound, read_excerpts
from tagger.sound.decoder import SAMPLE_RATE
from tagger.sound.native_messages import native_messages_hidden
from tagger.system.errors import GtagError
from tagger.system.interrupt import Interrupts
from tagger.system.screen import printable

Json = dict[str, object]

PORTION = 60  # tracks of the queue at a time
_PEAKS = 160  # of the outline of one excerpt


class Desk:
    """One review, for one page. Every method runs in the thread that made it.

    Parameters
    ----------
    review : Review
    scanning : Scanning
        Whose model makes the guesses; loaded.
    interrupts : Interrupts
        Held while a file is written.
    """

    def __init__(self, review: Review, scanning: Scanning, interrupts: Interrupts) -> None:
        self.review = review
        self._scanning = scanning
        self._interrupts = interrupts
        self._steps: list[tuple[Callable[[int], None], list[int]]] = []  # that take a step back
        self._typed: dict[str, None] = {}
        self._look = lru_cache(4)(self._looked)
        self.sound = lru_cache(4)(self._decoded)

    def checked(self, number: object) -> int:
        """Return the number of a track; raises ValueError where it is none."""
        if type(number) is not int or not 0 <= number < len(self.review):
            raise ValueError(f"there is no track {number}")
        return number

    def start(self) -> Json:
        """Return what the page shows first: the genres, how many tracks, and what was done."""
        return {
            "total": len(self.review),
            "genres": _tree(names_of_model(self._scanning)),
            "disagree": self.review.disagree,
            "steps": len(self._steps),
            "answered": sorted(self.review.answered_now),
        }

    def queue(self, first: int) -> Json:
        """Return a portion of the queue from a number on."""
        numbers = range(first, min(first + PORTION, len(self.review)))
        return {"tracks": [self._row(number) for number in numbers]}

    def track(self, number: int) -> Json:
        """Return one track in detail: its guesses, its outline and its genres over time."""
        row = self._row(number)
        return row if row["state"] == "problem" else {**row, **self._look(number)}

    def question(self, number: int) -> Question:
        """Return the question about a track; raises GtagError where its file cannot be used."""
        return self.review.question(number)

    def cover(self, number: int) -> tuple[str, bytes] | None:
        """Return the media type and the bytes of a track's cover."""
        track = self.question(number).track
        return None if track.format is None else read_cover(track.path, track.format)

    def answer(self, numbers: Sequence[int], text: str, *, as_typed: bool) -> Json:
        """Write an answer into tracks. A name that is nearly a known one is asked about first."""
        own = [*names_of_model(self._scanning), *self._typed]
        genres = as_genres(text, own)
        for genre in () if as_typed else genres:
            if near := meant_instead(genre, own):
                return {"typed": genre, "near": near}
        self._typed |= dict.fromkeys(genres)
        remarks: Json = {}

        def write(number: int) -> None:
            with self._interrupts.held():
                if remark := self.review.answer(self.question(number), genres):
                    remarks[str(number)] = printable(remark)

        done, told = self._each(numbers, write)
        if done:
            self._steps.append((self._take_back, done))
        return {**told, "remarks": remarks}

    def skip(self, numbers: Sequence[int]) -> Json:
        """Skip tracks."""
        done, told = self._each(numbers, self.review.skip)
        if done:
            self._steps.append((self.review.ask_again, done))
        return told

    def undo(self) -> Json:
        """Take the last step back: an answer in all its tracks, or a skip."""
        if not self._steps:
            return {"tracks": [], "problems": {}}
        back, numbers = self._steps.pop()
        return self._each(list(reversed(numbers)), back)[1]

    def _take_back(self, number: int) -> None:
        with self._interrupts.held():
            self.review.take_back(self.question(number))

    def _each(self, numbers: Iterable[int], do: Callable[[int], None]) -> tuple[list[int], Json]:
        """Do something with each track; what goes wrong with one does not keep the others."""
        done: list[int] = []
        problems: dict[str, str] = {}
        for number in numbers:
            try:
                do(number)
                done.append(number)
            except GtagError as error:
                hint = f" ({error.hint})" if error.hint else ""
                problems[str(number)] = printable(error.message + hint)
        return done, {"tracks": [self._row(n) for n in done], "problems": problems}

    def _row(self, number: int) -> Json:
        """Return one track in the queue."""
        result = self.review.row(number)
        try:
            question = self.question(number)
        except GtagError as error:
            problem = {"state": "problem", "message": printable(error.message)}
            return {**_named(number, result.path), "joins": False, **problem}
        credits, tags = question.credits, question.tags
        skipped = "skipped" if number in self.review.skipped else "open"
        return {
            **_named(number, question.track.path, credits.title),
            "joins": self._joins(question),
            "state": "answered" if question.answered else skipped,
            "message": printable(result.message),
            "artist": printable(credits.artist or credits.album_artist),
            "album": printable(credits.album),
            "album_artist": printable(credits.album_artist or credits.artist),
            "old": printable(result.old_genre),
            "now": printable("; ".join(tags.genres or tags.user_genres)),
            "guess": printable(result.genre),
            "confidence": result.confidence,
        }

    def _joins(self, question: Question) -> bool:
        """Tell whether a track is of the same album as the one before it."""
        if question.number == 0:
            return False
        try:
            before = self.question(question.number - 1)
        except GtagError:
            return False
        one, other = ((q.track.path, q.credits) for q in (before, question))
        return together(place(*one), place(*other))

    def _looked(self, number: int) -> Json:
        question = self.question(number)
        found = guesses(question, self._scanning, over_time=True)
        sound = self.sound(number)
        return {
            "guesses": [{"genre": genre, "p": p} for genre, p in found.named],
            "accepted": found.accepted,
            "cover": self.cover(number) is not None,
            "excerpts": [_outline(excerpt) for excerpt in sound.excerpts] if sound else [],
            "timeline": _timeline(found.prediction),
        }

    def _decoded(self, number: int) -> Sound | None:
        """Return the excerpts of a track; None where nothing can be heard."""
        try:
            with native_messages_hidden():
                return read_excerpts(self.question(number).track.path)
        except GtagError:
            return None


def _named(number: int, path: str, title: str = "") -> Json:
    folder, name = os.path.split(path)
    return {
        "number": number,
        "path": printable(path),
        "name": printable(title or name),
        "folder": printable(os.path.basename(folder)),  # noqa: PTH119 - may be bytes in disguise
    }


def _outline(excerpt: Excerpt) -> Json:
    """Return an excerpt as the heights of its outline, from 0 to 100."""
    samples = excerpt.samples[excerpt.edge_before :]
    parts = np.array_split(np.abs(samples), _PEAKS)
    peaks = [round(100 * min(1.0, float(part.max()))) if len(part) else 0 for part in parts]
    return {"start": excerpt.start_s, "length": len(samples) / SAMPLE_RATE, "peaks": peaks}


def _timeline(prediction: Prediction | None) -> list[Json]:
    """Return the best genre of each chunk; empty where the model predicts for tracks as a whole."""
    if prediction is None or prediction.chunk_probabilities is None:
        return []
    assert prediction.chunk_starts_s is not None, "chunks have a start"
    best = prediction.chunk_probabilities.argmax(axis=1)
    return [
        {"start": float(start), "genre": prediction.labels[i], "p": round(float(row[i]), 3)}
        for start, row, i in zip(
            prediction.chunk_starts_s, prediction.chunk_probabilities, best, strict=True
        )
    ]


def _tree(names_of_model: Iterable[str]) -> list[Json]:
    """Return the genres as a tree; names of a model that the vocabulary lacks stand at its end."""

    def node(name: str) -> Json:
        below = [g for g in vocabulary() if parent_of(g) == name]
        styles = [style for style in vocabulary().get(name, ()) if style not in below]
        return {"name": name, "below": [node(child) for child in (*below, *styles)]}

    known = set(known_genres())
    own = [name for name in names_of_model if name not in known]
    return [node(g) for g in (*(g for g in vocabulary() if parent_of(g) is None), *own)]
