"""What `import tagger` offers to programmers: the same code as the command line's.

The names in `__all__` are those of `tagger`, and stable.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING

import numpy as np

from tagger.containers.read import TagState, read_tags
from tagger.containers.recognise import identify, supported_format
from tagger.deciding.decide import Policy, Status
from tagger.deciding.options import Album, Detail, Existing, ScanOptions, flag
from tagger.genres.placeholders import DEFAULT_PLACEHOLDERS
from tagger.genres.vocabulary import why_no_name
from tagger.journal.journal import Journal
from tagger.journal.rows import RunRecord
from tagger.journal.undo import Undone, UndoStatus, undo_run
from tagger.library.walk import Library, Track
from tagger.models import zoo
from tagger.models.embeddings import mean_embedding
from tagger.models.prediction import Prediction
from tagger.models.track_features import TrackFeatures
from tagger.pipeline.classify import Classified, classifier, classify_section
from tagger.pipeline.road import TagsOf, TrackResult, decided, finished
from tagger.pipeline.road import read as as_policy_reads
from tagger.pipeline.scanning import Scanning, care_of, policy_of
from tagger.pipeline.writing import writer
from tagger.sound.audio import read_excerpts
from tagger.sound.native_messages import native_messages_hidden
from tagger.storage.at_rest import MIN_AGE_S
from tagger.system.errors import (
    ConfigurationError,
    GtagError,
    ModelError,
    NothingToHearError,
    RefusedError,
    ResourceError,
    UnreadableError,
    WriteFailedError,
)

if TYPE_CHECKING:
    from tagger.models.embeddings import Embedder

__all__ = [
    "Classification",
    "ConfigurationError",
    "GtagError",
    "Model",
    "ModelError",
    "NothingToHearError",
    "Prediction",
    "RefusedError",
    "ResourceError",
    "RunRecord",
    "Status",
    "TagState",
    "TrackResult",
    "UndoStatus",
    "Undone",
    "UnreadableError",
    "WriteFailedError",
    "load_model",
    "read",
    "runs",
    "scan",
    "undo",
    "write",
]

AnyPath = str | PathLike[str]

# Neither the networks nor the descriptor that native libraries print to can be shared by threads:
# they take turns. `scan` uses several processes.
_ONE_AT_A_TIME = RLock()


@dataclass(frozen=True)
class Classification:
    """A model's prediction for one track.

    Attributes
    ----------
    genre : str
        The most probable genre, however sure.
    confidence : float
        Its calibrated probability, from 0 to 1.
    sure : bool
        Whether `gtag scan` would write a genre into a file without one: this one or, where the
        model is sure of one below or above it, that one.
    reason : str
        Why not: too unsure, noise, a voice; empty where `sure`.
    genres : tuple of (str, float)
        All genres that the model knows with their probabilities, the most probable first. They do
        not add up to 1 where each is predicted by itself (`prediction.independent`).
    style : str or None
        The style within `genre`, or the genre below it (Punk below Rock), where the model is sure
        of one.
    duration_s : float or None
        Length of the track, where known.
    model : str
        Name and version, as ``cnn-2``.
    prediction : Prediction
        All of it: also chunk by chunk, thresholds, styles.
    """

    path: str
    genre: str
    confidence: float
    sure: bool
    reason: str
    genres: tuple[tuple[str, float], ...]
    style: str | None
    duration_s: float | None
    model: str
    prediction: Prediction = field(repr=False)


class Model:
    """A loaded model; `load_model` makes it. Threads take turns with it.

    Attributes
    ----------
    name : str
        A name or a folder, as given to `load_model`.
    tag : str
        Name and version, as ``cnn-2``.
    genres : tuple of str
        The genres that it knows.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        with _ONE_AT_A_TIME, native_messages_hidden():
            self.card = classifier(name).card
        self.tag: str = self.card.tag
        self.genres: tuple[str, ...] = self.card.labels
        self._backbone: Embedder | None = None

    def __repr__(self) -> str:
        return f"<tagger.Model {self.tag}>"

    def classify(
        self, path: AnyPath, *, min_confidence: float | None = None, aim: float | None = None
    ) -> Classification:
        """Classify one file as a whole. Reads no tags nor cue sheets, and writes nothing.

        Parameters
        ----------
        path : path-like
        min_confidence : float, optional
            The threshold of `sure`, from 0 to 1; by default the model's own for each genre.
        aim : float, optional
            In its place: the share of sure names that has to be right, from 0.5 to 0.99.

        Raises
        ------
        ConfigurationError
            `min_confidence` is not from 0 to 1, `aim` not from 0.5 to 0.99, both are given, or the
            model was not measured for an aim.
        UnreadableError
            The sound cannot be read.
        NothingToHearError
            There is only silence, or less than a second of sound.
        ResourceError
            Memory or open files ran out.

        Examples
        --------
        >>> song = tagger.load_model().classify("song.mp3")  # doctest: +SKIP
        >>> song.genre, song.confidence, song.sure  # doctest: +SKIP
        ('Jazz', 0.93, True)
        """
        policy = policy_of(ScanOptions(min_confidence=min_confidence, aim=aim), self.card)
        track = Track(os.fspath(path), identify(path))
        with _ONE_AT_A_TIME, native_messages_hidden():
            classified = as_policy_reads(classify_section(self.name, track, over_time=True), policy)
        prediction = classified.prediction
        if prediction is None:
            assert classified.error is not None
            raise classified.error
        decision = decided(track, classified, None, policy)
        style = prediction.style_of(prediction.genre)
        return Classification(
            path=track.path,
            genre=prediction.genre,
            confidence=prediction.confidence,
            sure=decision.change is not None,
            reason="" if decision.change else decision.reason,
            genres=tuple(prediction.ranked()),
            style=None if style is None else style.name,
            duration_s=classified.duration_s,
            model=prediction.model,
            prediction=prediction,
        )

    def embedding(self, path: AnyPath) -> np.ndarray:
        """Return a track's embedding by the model's backbone, to search by similarity.

        Tracks that sound alike have embeddings with a high cosine similarity.

        Returns
        -------
        np.ndarray [shape=(n_dimensions,), dtype=float32]
            The mean over the patches of the track's excerpts, not normalised: 200 dimensions of
            musicnn (``cnn``, ``ensemble``), 1,024 of YAMNet (``fast``, ``trees``).

        Raises
        ------
        ConfigurationError
            The model has no backbone, as one trained on statistics alone.
        UnreadableError, NothingToHearError
            As `classify`.

        Examples
        --------
        >>> a, b = (model.embedding(path) for path in ("a.mp3", "b.mp3"))  # doctest: +SKIP
        >>> float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))  # doctest: +SKIP
        0.87
        """
        with _ONE_AT_A_TIME, native_messages_hidden():
            if self._backbone is None:
                self._backbone = zoo.load_backbone_below(self.card)
            features = TrackFeatures.from_sound(read_excerpts(path))
            return mean_embedding(self._backbone, features).astype(np.float32)


def load_model(model: AnyPath = zoo.DEFAULT) -> Model:
    """Load a model of the zoo, or from a folder.

    Parameters
    ----------
    model : path-like
        A name that ``gtag models`` lists, or a model's folder.

    Raises
    ------
    ModelError
        There is no such model, or it is damaged.

    Examples
    --------
    >>> tagger.load_model("fast").genres[:3]  # doctest: +SKIP
    ('Blues', 'Classical', 'Country')
    """
    # A Path without a separator must not be taken for a name.
    return Model(model if isinstance(model, str) else str(Path(model).absolute()))


def scan(
    paths: AnyPath | Iterable[AnyPath],
    *,
    write_tags: bool = False,
    model: AnyPath | Model = zoo.DEFAULT,
    min_confidence: float | None = None,
    aim: float | None = None,
    genres: int = 1,
    detail: Detail = "genre",
    album: Album = "vote",
    existing: Existing = "keep",
    placeholders: Iterable[str] = DEFAULT_PLACEHOLDERS,
    mood: bool = False,
    genre_map: AnyPath | None = None,
    profile: str | None = None,
    comment: bool = False,
    jobs: int | None = None,
    exclude: Sequence[str] = (),
    default_excludes: bool = True,
    limit: int | None = None,
    preserve_mtime: bool = False,
    in_place: bool = False,
    min_age_s: float = MIN_AGE_S,
    write_incomplete: bool = False,
    journal: AnyPath | None = None,
    trust: bool = False,
    cache: bool = True,
    problems: list[GtagError] | None = None,
) -> Generator[TrackResult, None, None]:
    """Classify files and folders, and write their genres where asked to: ``gtag scan``.

    Tracks are classified as the results are asked for: a loop that is left early ends the scan.

    Parameters
    ----------
    paths : path-like, or iterable of path-like
        Files, and folders with all below.
    write_tags : bool
        Without it nothing is changed.
    min_confidence : float, optional
        Leave alone what is less sure, from 0 to 1; by default the model's own threshold for each
        genre.
    aim : float, optional
        In its place: the share of what is named that has to be right, from 0.5 to 0.99.
    existing : {"keep", "replace", "append"}
        What happens to a genre that a person wrote.
    placeholders : iterable of str
        Words that mean that there is no genre.
    jobs : int, optional
        Worker processes; by default one a core. 1 uses this process.
    default_excludes : bool
        Leave out trash, older versions and unfinished transfers.
    journal : path-like, optional
        By default the same as the command line's: ``gtag undo`` takes back what this wrote.
    trust : bool
        Use a journal that belongs to another user.
    cache : bool
        Whether to use and keep cached predictions.
    problems : list, optional
        Gets, at the end, an error for each file or folder that cannot be looked at, and so has no
        result.
    model, genres, detail, album, mood, genre_map, profile, comment, exclude, limit
        As the options of ``gtag scan``.
    preserve_mtime, in_place, min_age_s, write_incomplete
        Likewise.

    Yields
    ------
    TrackResult
        One for each track, in the library's order: its `path`, `status`, `genre`, `confidence`,
        `old_genre`, `new_genre`, `message`.

    Raises
    ------
    ConfigurationError
        An option has a value that does not fit, a path is not there, or the model or the journal
        cannot be used: nothing was done.
    ResourceError
        Memory, disk space or open files ran out.

    Examples
    --------
    >>> for track in tagger.scan("Music", write_tags=True):  # doctest: +SKIP
    ...     print(track.path, track.status, track.new_genre)
    """
    options = ScanOptions.of(
        locals()  # the options by their names
        | {
            "model": None,
            "no_default_placeholders": True,
            "no_default_excludes": not flag("default_excludes", default_excludes),
            "min_age": min_age_s,
            "no_cache": not flag("cache", cache),
        }
    )
    loaded = model if isinstance(model, Model) else load_model(model)
    scanning = Scanning(
        replace(options, model=loaded.name),
        writes=flag("write_tags", write_tags),
        command=("(Python: tagger.scan)",),
    )
    given = [paths] if isinstance(paths, str | PathLike) else paths
    with ExitStack() as stack:
        with _ONE_AT_A_TIME:
            scanning.load(stack)
        library = scanning.library([os.fspath(path) for path in given], limit=options.limit)
        results, found = scanning.results(library), [] if problems is None else problems
        return _closing(stack.pop_all(), results, library, found)


def _closing(
    stack: ExitStack,
    results: Generator[TrackResult, None, None],
    library: Library,
    problems: list[GtagError],
) -> Generator[TrackResult, None, None]:
    with stack:
        try:
            yield from results
        finally:
            problems += library.problems


def read(path: AnyPath) -> TagState:
    """Read a file's genres, and what gtag noted about them.

    Returns
    -------
    TagState
        Its `genres`, those of them that people wrote (`user_genres`), and what gtag noted:
        `gtag_genre`, `gtag_confidence`, `gtag_model`. Empty for a container whose tags gtag does
        not support.

    Raises
    ------
    UnreadableError, RefusedError

    Examples
    --------
    >>> tagger.read("song.mp3").genres  # doctest: +SKIP
    ('Jazz',)
    """
    return read_tags(path, supported_format(path))


def write(
    path: AnyPath,
    genre: str | Sequence[str] | Classification,
    *,
    confidence: float = 1.0,
    model: str = "python",
    min_confidence: float | None = None,
    aim: float | None = None,
    existing: Existing = "keep",
    preserve_mtime: bool = False,
    in_place: bool = False,
    min_age_s: float = MIN_AGE_S,
    write_incomplete: bool = False,
    journal: AnyPath | None = None,
    trust: bool = False,
) -> TrackResult:
    """Write one file's genre as carefully as a scan: verified copy, journal, undo.

    Each call is a run of its own for `undo`.

    Parameters
    ----------
    path : path-like
    genre : str, sequence of str, or Classification
        What to write. A Classification is written where it is sure enough.
    confidence : float
        How sure you are, where you name the genre, from 0 to 1.
    model : str
        The value of ``GTAG_MODEL``, where you name the genre.
    min_confidence, aim : float, optional
        For a Classification, as in `scan`.
    existing, preserve_mtime, in_place, min_age_s, write_incomplete, journal, trust
        As in `scan`.

    Returns
    -------
    TrackResult
        Its `status` says what became of the file, `message` why. A file that is refused or
        cannot be read raises nothing, as in a scan.

    Raises
    ------
    ConfigurationError
        An option has a value that does not fit, or the journal cannot be used; nothing was done.
    ValueError
        There is no genre to write; a genre or the model has a name that tags cannot hold (blank,
        with ``;`` or invisible characters, longer than 100); or the confidence is not from 0 to 1.

    Examples
    --------
    >>> tagger.write("song.mp3", "Jazz").status  # doctest: +SKIP
    <Status.WRITTEN: 'written'>
    """
    options = ScanOptions.of(locals() | {"model": None, "min_age": min_age_s})
    if isinstance(genre, Classification):
        policy = Policy(options.min_confidence, options.existing, aim=options.aim)
        said = as_policy_reads(Classified(genre.prediction, genre.duration_s), policy)
    else:
        names = tuple(dict.fromkeys([genre] if isinstance(genre, str) else genre))
        if not names:
            raise ValueError("name a genre to write")
        for name in (*names, model):
            if why := why_no_name(name) if isinstance(name, str) else "it is no text":
                raise ValueError(f"no name of a genre or model: {why}")
        if not 0 <= confidence <= 1:
            raise ValueError("a confidence lies between 0 and 1")
        said = Classified(Prediction(names, np.full(len(names), confidence), model))
        policy = Policy(0.0, options.existing, genres=len(names))
    assert said.prediction is not None
    path = os.fspath(path)
    made_by = said.prediction.model
    track, care, command = Track(path, None), care_of(options), ("(Python: tagger.write)",)
    with ExitStack() as stack:
        write_change = None
        try:
            track = Track(path, supported_format(path))
        except UnreadableError as error:
            said = Classified(error=error)
        else:
            run = writer(options.journal, care, command=command, model=made_by)
            write_change = stack.enter_context(run)
        decision = decided(track, said, TagsOf(track), policy)
        return finished(track, said, decision, policy, write=write_change)


def undo(
    run: int | None = None,
    paths: AnyPath | Iterable[AnyPath] = (),
    *,
    dry_run: bool = False,
    force: bool = False,
    find: bool = False,
    journal: AnyPath | None = None,
    trust: bool = False,
) -> list[Undone]:
    """Take back what the last scan or `write` did, or what `run` did: ``gtag undo``.

    Parameters
    ----------
    run : int, optional
        The `id` of one of `runs`; by default the last that wrote.
    paths : path-like, or iterable of path-like
        Only files there; by default all of the run.
    dry_run, force, find, journal, trust
        As the options of ``gtag undo``.

    Returns
    -------
    list of Undone
        One for each file: its `path`, `status`, `message`.

    Raises
    ------
    ConfigurationError
        There is no such run, or the journal cannot be used.

    Examples
    --------
    >>> [file.status for file in tagger.undo()]  # doctest: +SKIP
    [<UndoStatus.RESTORED: 'restored'>]
    """
    given = [paths] if isinstance(paths, str | PathLike) else paths
    dry_run, force, find = flag("dry_run", dry_run), flag("force", force), flag("find", find)
    command = ("(Python: tagger.undo)",)
    with Journal(journal, trust=trust) as opened:
        undone = undo_run(
            *(opened, run, given), dry_run=dry_run, force=force, find=find, command=command
        )
        with closing(undone):  # ends its run, also where it is interrupted
            return list(undone)


def runs(journal: AnyPath | None = None, *, trust: bool = False) -> list[RunRecord]:
    """Return all runs in the journal, the newest first: ``gtag undo --list``.

    Raises
    ------
    ConfigurationError
        The journal cannot be used.
    """
    with Journal(journal, trust=trust) as opened:
        return opened.runs()
