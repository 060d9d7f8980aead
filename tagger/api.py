"""What `import tagger` offers to programmers: the same code as the command line's.

Names that `tagger.__all__` lists are stable.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING

import numpy as np

from tagger.batch import TrackResult, decide_and_write, scan_library
from tagger.cache import Cache, default_cache_path
from tagger.classify import Classified, classifier, classify_section
from tagger.decide import Album, Detail, Existing, Policy, Status, decide
from tagger.errors import (
    ConfigurationError,
    GtagError,
    ModelError,
    NothingToHearError,
    RefusedError,
    ResourceError,
    UnreadableError,
    WriteFailedError,
)
from tagger.files.at_rest import MIN_AGE_S
from tagger.files.formats import Format, identify
from tagger.files.library import Library, Track
from tagger.genre_map import GenreMap, genre_map_for
from tagger.journal.journal import Journal, RunRecord, default_journal_path
from tagger.journal.undo import Undone, UndoStatus, undo_run
from tagger.models import zoo
from tagger.models.head import mean_embedding
from tagger.models.prediction import Prediction
from tagger.models.track_features import TrackFeatures
from tagger.placeholders import DEFAULT_PLACEHOLDERS, Placeholders
from tagger.profiles import PROFILES, Profile
from tagger.sound.audio import read_excerpts
from tagger.sound.native_messages import native_messages_hidden
from tagger.tags.read import TagState, read_tags
from tagger.writing import Care, writer

if TYPE_CHECKING:
    from tagger.models.prediction import Embedder

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

# Networks are not made for several threads, nor is the descriptor that native libraries write to:
# threads take turns. Who wants more at once asks `scan`, which has processes.
_ONE_AT_A_TIME = RLock()


@dataclass(frozen=True)
class Classification:
    """What a model says of one track.

    Attributes
    ----------
    path : str
    genre : str
        The best guess, however sure.
    confidence : float
        How probable that is, from 0 to 1, calibrated.
    sure : bool
        Whether `gtag scan` would write it, were there no genre yet.
    reason : str
        Why not, in words: too unsure, noise, a voice; empty where `sure`.
    genres : tuple of (str, float)
        All genres that the model knows with their probabilities, the best first. They are
        probabilities each of its own where the model says so (`prediction.independent`).
    style : str or None
        The style within `genre`, where the model is sure of one.
    duration_s : float or None
        Length of the track, where known.
    model : str
        Name and version of the model, as ``cnn-2``.
    prediction : Prediction
        All that the model said: also from chunk to chunk, thresholds, styles.
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
    """A model, ready to listen; `load_model` makes it.

    Threads take turns with it.

    Attributes
    ----------
    name : str
        As `load_model` takes it: a name, or a folder.
    tag : str
        Name and version, as ``cnn-2``.
    genres : tuple of str
        What it knows.
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

    def classify(self, path: AnyPath, *, min_confidence: float | None = None) -> Classification:
        """Listen to one file as a whole. Reads no tags nor cue sheets, and writes nothing.

        Parameters
        ----------
        path : path-like
            Of any container that ``gtag scan`` hears.
        min_confidence : float, optional
            What `sure` asks for, from 0 to 1; by default the model's own threshold for each genre.

        Raises
        ------
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
        track = Track(os.fspath(path), identify(path))
        with _ONE_AT_A_TIME, native_messages_hidden():
            classified = classify_section(self.name, track)
        if classified.prediction is None:
            assert classified.error is not None
            raise classified.error
        prediction = classified.prediction
        decision = decide(prediction, TagState(), Policy(min_confidence))
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
        """What the pretrained network below the model makes of a track, to search by similarity.

        Tracks that sound alike have embeddings with a high cosine similarity. It is the mean over
        the patches of 3 s in the excerpts that the model hears.

        Parameters
        ----------
        path : path-like

        Returns
        -------
        np.ndarray [shape=(n_dimensions,), dtype=float32]
            200 dimensions with the network that comes with gtag; not normalised.

        Raises
        ------
        ConfigurationError
            The model does without such a network, as ``trees`` does.
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
        A name that ``gtag models`` lists, or the folder of a model.

    Raises
    ------
    ModelError
        There is no such model, or it is damaged.

    Examples
    --------
    >>> tagger.load_model("fast").genres[:3]  # doctest: +SKIP
    ('Blues', 'Classical', 'Country')
    """
    return Model(_model_name(model))


def _model_name(model: AnyPath | Model) -> str:
    if isinstance(model, Model):
        return model.name
    # A path that has no separator must not be taken for a name.
    return model if isinstance(model, str) else str(Path(model).absolute())


def scan(
    paths: AnyPath | Iterable[AnyPath],
    *,
    write_tags: bool = False,
    model: AnyPath | Model = zoo.DEFAULT,
    min_confidence: float | None = None,
    genres: int = 1,
    detail: Detail = "genre",
    album: Album = "vote",
    existing: Existing = "keep",
    placeholders: Iterable[str] = DEFAULT_PLACEHOLDERS,
    genre_map: AnyPath | None = None,
    profile: str | None = None,
    jobs: int | None = None,
    exclude: Sequence[str] = (),
    default_excludes: bool = True,
    limit: int | None = None,
    preserve_mtime: bool = False,
    in_place: bool = False,
    min_age_s: float = MIN_AGE_S,
    write_incomplete: bool = False,
    journal: AnyPath | None = None,
    cache: bool = True,
) -> Generator[TrackResult, None, None]:
    """Listen to files and folders, and say, or write, what genre they are: ``gtag scan``.

    It goes on as the results are asked for: a loop that is left early leaves the rest unheard.

    Parameters
    ----------
    paths : path-like, or iterable of path-like
        Files, and folders with all below.
    write_tags : bool
        Write. Without it nothing is changed.
    model : path-like or Model
    min_confidence : float, optional
        Leave alone what is less sure; by default the model's own threshold for each genre.
    genres : int
        Name up to so many, where the model is sure of several.
    detail : {"genre", "style"}
        Whether a style is named in place of its genre, where the model is sure of it.
    album : {"vote", "off", "one"}
        Whether the tracks of an album decide together.
    existing : {"keep", "replace", "append"}
        What happens to a genre that a person wrote.
    placeholders : iterable of str
        Words that mean that there is no genre.
    genre_map : path-like, optional
        A file that gives genres your own names.
    profile : str, optional
        The program that is to read the tags, as ``gtag scan --profile``.
    jobs : int, optional
        Worker processes; by default one a core. 1 listens in this process.
    exclude : sequence of str
        Globs of what to leave out.
    default_excludes : bool
        Leave out trash, older versions and unfinished transfers.
    limit : int, optional
        At most so many tracks.
    preserve_mtime, in_place, write_incomplete : bool
    min_age_s : float
        As the options of ``gtag scan``.
    journal : path-like, optional
        By default the same as the command line's: ``gtag undo`` takes back what this wrote.
    cache : bool
        Whether to remember what is heard, and not to listen again to what is remembered.

    Yields
    ------
    TrackResult
        One for each track, in the library's order: its `path`, `status`, `genre`, `confidence`,
        `old_genre`, `new_genre`, `message`.

    Raises
    ------
    ConfigurationError
        A path is not there, or the model or the journal cannot be used: nothing was done.
    ResourceError
        The machine has too little of something to go on.

    Examples
    --------
    >>> for track in tagger.scan("Music", write_tags=True):  # doctest: +SKIP
    ...     print(track.path, track.status, track.new_genre)
    """
    given = [paths] if isinstance(paths, str | PathLike) else paths
    loaded = model if isinstance(model, Model) else load_model(model)
    remembered = Cache(default_cache_path() if cache else None, loaded.card)
    library = Library(
        [os.fspath(path) for path in given],
        exclude=exclude,
        limit=limit,
        default_excludes=default_excludes,
        format_of=remembered.format_of,
    )
    names = genre_map_for(genre_map, loaded.card, detail) if genre_map else GenreMap()
    if profile is not None and profile not in PROFILES:
        raise ConfigurationError(f"there is no profile {profile!r}", hint=", ".join(PROFILES))
    policy = Policy(
        *(min_confidence, existing, Placeholders(placeholders), genres, detail, album, names),
        PROFILES[profile] if profile else Profile(),
    )
    results = scan_library(
        library,
        model=loaded.name,
        policy=policy,
        care=Care(min_age_s, not write_incomplete, preserve_mtime, in_place),
        writes=write_tags,
        journal=journal,
        command=("(Python: tagger.scan)",),
        jobs=jobs,
        cache=remembered,
    )
    return _closing(remembered, results)


def _closing(
    cache: Cache, results: Generator[TrackResult, None, None]
) -> Generator[TrackResult, None, None]:
    with cache:
        yield from results


def read(path: AnyPath) -> TagState:
    """What a file's tags say of its genre, and who said it.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    TagState
        Its `genres`, those of them that people wrote (`user_genres`), and what gtag noted:
        `gtag_genre`, `gtag_confidence`, `gtag_model`. Empty for a container that gtag only hears.

    Raises
    ------
    UnreadableError

    Examples
    --------
    >>> tagger.read("song.mp3").genres  # doctest: +SKIP
    ('Jazz',)
    """
    return read_tags(path, _format(path))


def _format(path: AnyPath) -> Format:
    format = identify(path)
    if format is None:
        raise UnreadableError("not a sound format that gtag supports", path=path)
    return format


def write(
    path: AnyPath,
    genre: str | Sequence[str] | Classification,
    *,
    confidence: float = 1.0,
    model: str = "python",
    min_confidence: float | None = None,
    existing: Existing = "keep",
    preserve_mtime: bool = False,
    in_place: bool = False,
    min_age_s: float = MIN_AGE_S,
    write_incomplete: bool = False,
    journal: AnyPath | None = None,
) -> TrackResult:
    """Write one file's genre as carefully as a scan: verified copy, journal, undo.

    Each call is a run of its own for `undo`.

    Parameters
    ----------
    path : path-like
    genre : str, sequence of str, or Classification
        What to write, or what a model said of it: that is written where it is sure enough.
    confidence : float
        How sure you are, where you name the genre, from 0 to 1.
    model : str
        Who says so, likewise: what ``GTAG_MODEL`` becomes.
    min_confidence : float, optional
        For a Classification, as in `scan`.
    existing : {"keep", "replace", "append"}
        What happens to a genre that a person wrote.
    preserve_mtime, in_place, write_incomplete : bool
    min_age_s : float
        As the options of ``gtag scan``.
    journal : path-like, optional
        By default the same as the command line's.

    Returns
    -------
    TrackResult
        Its `status` says what became of the file, `message` why. A file that is refused or
        cannot be read raises nothing: the same words as a scan's.

    Raises
    ------
    ConfigurationError
        The journal cannot be used; nothing was done.
    ValueError
        There is no genre to write, or the confidence is not from 0 to 1.

    Examples
    --------
    >>> tagger.write("song.mp3", "Jazz").status  # doctest: +SKIP
    <Status.WRITTEN: 'written'>
    """
    if isinstance(genre, Classification):
        said = Classified(genre.prediction, genre.duration_s)
        policy = Policy(min_confidence, existing)
    else:
        names = tuple(dict.fromkeys([genre] if isinstance(genre, str) else genre))
        if not names or not all(name.strip() for name in names):
            raise ValueError("name a genre to write")
        if not 0 <= confidence <= 1:
            raise ValueError("a confidence lies between 0 and 1")
        said = Classified(Prediction(names, np.full(len(names), confidence), model))
        policy = Policy(0.0, existing, genres=len(names))
    assert said.prediction is not None
    path = os.fspath(path)
    try:
        track = Track(path, _format(path))
    except UnreadableError as error:
        return decide_and_write(Track(path, None), Classified(error=error), policy)
    care = Care(min_age_s, not write_incomplete, preserve_mtime, in_place)
    command = ("(Python: tagger.write)",)
    with writer(journal, care, command=command, model=said.prediction.model) as write_change:
        return decide_and_write(track, said, policy, write=write_change)


def undo(
    run: int | None = None,
    paths: AnyPath | Iterable[AnyPath] = (),
    *,
    dry_run: bool = False,
    force: bool = False,
    find: bool = False,
    journal: AnyPath | None = None,
) -> list[Undone]:
    """Take back what the last scan or `write` did, or what `run` did: ``gtag undo``.

    Parameters
    ----------
    run : int, optional
        The `id` of one of `runs`.
    paths : path-like, or iterable of path-like
        Only what lies there; by default all of the run.
    dry_run : bool
        Only say what would be taken back.
    force : bool
        Bring the old genre back also where it was changed since.
    find : bool
        Look for files that were moved or renamed by their sound.
    journal : path-like, optional

    Returns
    -------
    list of Undone
        What became of each file: `path`, `status`, `message`.

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
    with Journal(journal or default_journal_path()) as opened:
        return list(
            undo_run(
                opened,
                run,
                given,
                dry_run=dry_run,
                force=force,
                find=find,
                command=("(Python: tagger.undo)",),
            )
        )


def runs(journal: AnyPath | None = None) -> list[RunRecord]:
    """What ``gtag undo --list`` lists: all runs that the journal knows, the newest first.

    Parameters
    ----------
    journal : path-like, optional

    Raises
    ------
    ConfigurationError
        The journal cannot be used.
    """
    with Journal(journal or default_journal_path()) as opened:
        return opened.runs()
