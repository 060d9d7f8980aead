"""Caches predictions (SQLite): a file that is unchanged, renamed or tagged is not decoded again.

The key of a file is its path, size, times of modification and change, and inode; the key of its
sound is a hash of its packets. A damaged or locked cache costs time, and nothing else.
"""

from __future__ import annotations

import json
import logging
import math
import os
import sqlite3
import threading
import time
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from tagger.containers.credits import Credits
from tagger.containers.formats import FORMATS, Format
from tagger.containers.read import TagState
from tagger.library.walk import Stamp, Track
from tagger.models import zoo
from tagger.models.card import CARD, Card
from tagger.models.moods import a_mood, moods_card
from tagger.models.not_music import yamnet_card
from tagger.models.prediction import Prediction, Style
from tagger.models.registry import code_of
from tagger.system.places import cache_folder

log = logging.getLogger(__name__)

# Raise it when results of front ends, `heard` or tag readers change: the cache is then rebuilt.
VERSION = 5
_APPLICATION = 0x67746167  # "gtag"
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS files (
    folder BLOB, name BLOB, size INTEGER, mtime_ns INTEGER, ctime_ns INTEGER, inode INTEGER,
    format TEXT, sound BLOB, tags TEXT, used INTEGER, PRIMARY KEY (folder, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS predictions (
    sound BLOB, model TEXT, duration_s REAL, probabilities BLOB, styles BLOB, non_music_reason TEXT,
    reason TEXT, mood TEXT, mood_confidence REAL, PRIMARY KEY (sound, model)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS features (
    sound BLOB PRIMARY KEY, duration_s REAL, arrays BLOB
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS files_by_sound ON files (sound);
PRAGMA application_id = {_APPLICATION}; PRAGMA user_version = {VERSION};
"""
_TABLES = ("files", "predictions", "features")
_FORMATS = {format.name: format for format in FORMATS}
_DAY_S = 86_400
_USED_AGAIN = 30  # days after which the date of a row's last use is updated
_FOLDERS = 4  # whose rows are kept in memory
_NOTES = 500  # rows written at once
_BUSY_S = 10.0  # how long to wait while another scan writes
_COARSE_S = 3.0  # within it, times without fractions of a second may hide a second change

_FLOATS: dict[str, np.dtype[Any]] = {kind: np.dtype(kind) for kind in ("<f4", "<f8")}

T = TypeVar("T")


@dataclass(frozen=True)
class CachedPrediction:
    """A model's result for one sound.

    Attributes
    ----------
    sound : bytes
        The key of the sound.
    prediction : Prediction or None
    duration_s : float or None
    reason : str
        Why there is no prediction, such as silence; empty where there is one.
    """

    sound: bytes
    prediction: Prediction | None
    duration_s: float | None
    reason: str = ""


@dataclass
class _File:
    stamp: Stamp
    format: str
    sound: bytes | None
    tags: str | None
    used: int
    row: tuple[Any, ...] | None  # of `predictions`, without its key


class Cache:
    """Predictions, features and tags in one file. Without a path it stores nothing.

    Parameters
    ----------
    model : Card, optional
        Whose predictions are read and stored.
    """

    def __init__(self, path: str | os.PathLike[str] | None, model: Card | None = None) -> None:
        self._path = None if path is None else Path(path)
        self._model = model
        self._key = "" if model is None or path is None else model_key(model)
        self._thresholds = np.zeros(0) if model is None else model.thresholds
        self._connection: sqlite3.Connection | None = None
        self._lock = threading.RLock()  # the progress bar counts files in a thread
        self._folders: OrderedDict[bytes, dict[bytes, _File]] = OrderedDict()
        self._files: dict[tuple[bytes, bytes], tuple[Any, ...]] = {}
        self._predictions: list[tuple[Any, ...]] = []
        self._features: list[tuple[Any, ...]] = []
        self._last: tuple[str, Stamp, _File | None] | None = None
        self._rebuilt = False

    @property
    def path(self) -> Path | None:
        """Its file; None: it stores nothing."""
        return self._path

    def __enter__(self) -> Cache:
        return self

    def __exit__(self, *_: object) -> None:
        self.flush()
        self._close()

    def _close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    # Files

    def format_of(self, path: str, stamp: Stamp) -> Format | None:
        """Return the container of an unchanged file; None: not cached."""
        file = self._file(path, stamp)
        return None if file is None else _FORMATS.get(file.format)

    def prediction_of(self, track: Track) -> CachedPrediction | None:
        """Return the model's result for an unchanged file; None: not cached."""
        file = self._file(track.path, track.stamp)
        if file is None or file.row is None or file.sound is None:
            return None
        return self._cached(file.sound, file.row)

    def tags_of(self, track: Track) -> tuple[TagState, Credits] | None:
        """Return the tags of an unchanged file; None: not cached."""
        file = self._file(track.path, track.stamp)
        if file is None or file.tags is None:
            return None
        with suppress(ValueError, TypeError, KeyError):
            state, credits = json.loads(file.tags)
            for name in ("genres", "gtag_genre", "moods", "gtag_mood", "comments"):
                state[name] = tuple(state[name])
            state["hidden"] = tuple((place, tuple(values)) for place, values in state["hidden"])
            return TagState(**state), Credits(**credits)
        return None

    def note_use(self, track: Track) -> bool:
        """Note that a file still exists; False: prediction or tags are not cached."""
        file = self._file(track.path, track.stamp)
        if file is None or file.row is None or file.tags is None:
            return False
        if _today() - file.used >= _USED_AGAIN:
            self._note_file(track.path, file.stamp, file.format, file.sound, file.tags)
        return True

    def _note_file(
        self, path: str, stamp: Stamp, format: str, sound: bytes | None, tags: str | None
    ) -> None:
        folder, name = _split(path)
        self._files[folder, name] = (folder, name, *stamp, format, sound, tags, _today())
        if len(self._files) >= _NOTES:
            self.flush()

    def note(
        self,
        track: Track,
        cached: CachedPrediction,
        kept: Mapping[str, np.ndarray],
        tags: TagState | None,
        credits: Credits,
        *,
        stamp: Stamp | None = None,
    ) -> None:
        """Store the results of a track, as far as they are not stored already.

        Parameters
        ----------
        kept : mapping of str to np.ndarray
            Features of the sound, as `TrackFeatures.kept` gives them; empty where they are stored.
        tags : TagState or None
            None: they have changed, or were not read.
        stamp : Stamp, optional
            The file's after a write; by default the track's.
        """
        stamp = stamp or track.stamp
        if self._path is None or track.format is None or stamp is None:
            return
        if _is_coarse(stamp.mtime_ns) or not all(-_INT64 <= n < _INT64 for n in stamp):
            return  # a time after 2262, or a number of a file beyond what SQLite holds
        file = self._file(track.path, stamp)
        text = None if tags is None else json.dumps([asdict(tags), asdict(credits)])
        if file is None or (file.sound, file.tags) != (cached.sound, text):
            self._note_file(track.path, stamp, track.format.name, cached.sound, text)
        if file is None or file.row is None or file.sound != cached.sound:
            self._predictions.append((cached.sound, self._key, *_row_of(cached, self._model)))
        if kept:
            self._features.append((cached.sound, cached.duration_s, _packed(kept)))
        if len(self._predictions) + len(self._features) >= _NOTES:
            self.flush()

    def flush(self) -> None:
        """Write what was noted."""
        noted = (list(self._files.values()), self._predictions, self._features)
        if not any(noted):
            return
        self._forget_notes()

        def write(database: sqlite3.Connection) -> None:
            with database:
                for table, rows in zip(_TABLES, noted, strict=True):
                    if rows:
                        marks = ", ".join("?" * len(rows[0]))
                        database.executemany(
                            f"INSERT OR REPLACE INTO {table} VALUES ({marks})", rows
                        )

        self._ask(write, None)
        with self._lock:
            self._folders.clear()
            self._last = None

    def _forget_notes(self) -> None:
        self._files, self._predictions, self._features = {}, [], []

    # Sounds

    def prediction_for_sound(self, sound: bytes) -> CachedPrediction | None:
        """Return the model's result for a sound; None: not cached."""
        query = (
            "SELECT duration_s, probabilities, styles, non_music_reason, reason, mood,"
            " mood_confidence FROM predictions WHERE sound = ? AND model = ?"
        )
        row = self._ask(lambda db: db.execute(query, (sound, self._key)).fetchone(), None)
        return None if row is None else self._cached(sound, row)

    def features_of(self, sound: bytes) -> tuple[dict[str, np.ndarray], float | None]:
        """Return the cached features of a sound, and the length of its track in seconds."""
        query = "SELECT arrays, duration_s FROM features WHERE sound = ?"

        def look(database: sqlite3.Connection) -> tuple[dict[str, np.ndarray], float | None]:
            row = database.execute(query, (sound,)).fetchone()
            return ({}, None) if row is None else (_unpacked(row[0]), row[1])

        nothing: tuple[dict[str, np.ndarray], float | None] = ({}, None)
        return self._ask(look, nothing)

    # Maintenance

    def info(self) -> dict[str, int]:
        """Count the rows of each table, and its size in bytes."""
        query = "SELECT " + ", ".join(f"(SELECT COUNT(*) FROM {table})" for table in _TABLES)
        counts = self._ask(lambda db: db.execute(query).fetchone(), (0, 0, 0))
        size = sum(f.stat().st_size for f in self._all_files() if f.exists())
        return {**dict(zip(_TABLES, counts, strict=True)), "bytes": size}

    def prune(self, unused_days: int) -> int:
        """Forget files that are gone or unused, and sounds without a file; how many files."""
        oldest = _today() - unused_days

        def forget(database: sqlite3.Connection) -> int:
            rows = database.execute("SELECT folder, name, used FROM files").fetchall()
            gone = [
                (folder, name)
                for folder, name, used in rows
                if used < oldest or not os.path.lexists(os.path.join(folder, name))  # noqa: PTH118
            ]
            with database:
                database.executemany("DELETE FROM files WHERE folder = ? AND name = ?", gone)
                for table in ("predictions", "features"):
                    database.execute(
                        f"DELETE FROM {table} WHERE sound NOT IN"
                        " (SELECT sound FROM files WHERE sound IS NOT NULL)"
                    )
            database.execute("VACUUM")
            return len(gone)

        return self._ask(forget, 0)

    def clear(self) -> None:
        """Delete the file, and forget what is not written yet."""
        self._forget_notes()
        self._last = None
        self._close()
        for file in self._all_files():
            file.unlink(missing_ok=True)

    def _all_files(self) -> list[Path]:
        if self._path is None:
            return []
        return [self._path.with_name(self._path.name + end) for end in ("", "-wal", "-shm")]

    # The file

    def _file(self, path: str, stamp: Stamp | None) -> _File | None:
        """Return the row of a file, if the file has not changed since."""
        if self._path is None or stamp is None:
            return None
        last = self._last  # format, prediction, tags and use of one file are read in a row
        if last is not None and (last[0], last[1]) == (path, stamp):
            return last[2]
        folder, name = _split(path)
        with self._lock:
            rows = self._folders.get(folder)
            if rows is None:
                nothing: dict[bytes, _File] = {}
                rows = self._ask(lambda db: dict(self._rows(db, folder)), nothing)
                self._folders[folder] = rows
                if len(self._folders) > _FOLDERS:
                    self._folders.popitem(last=False)
        file = rows.get(name)
        file = file if file is not None and file.stamp == stamp else None
        self._last = path, stamp, file
        return file

    def _rows(self, database: sqlite3.Connection, folder: bytes) -> Iterator[tuple[bytes, _File]]:
        for name, format, sound, tags, used, *others in database.execute(
            "SELECT name, format, files.sound, tags, used, size, mtime_ns, ctime_ns, inode,"
            " duration_s, probabilities, styles, non_music_reason, reason, mood, mood_confidence"
            " FROM files"
            " LEFT JOIN predictions ON predictions.sound = files.sound AND model = ?"
            " WHERE folder = ?",
            (self._key, folder),
        ):
            stamp, result = Stamp(*others[:4]), tuple(others[4:])
            row = result if result[1] is not None or result[4] else None
            yield name, _File(stamp, format, sound, tags, used, row)

    def _cached(self, sound: bytes, row: Sequence[Any]) -> CachedPrediction | None:
        duration_s, probabilities, styles, non_music_reason, reason, *mood = row
        if reason:
            return CachedPrediction(sound, None, duration_s, reason)
        card = self._model
        if card is None or len(probabilities) != 8 * len(card.labels):
            return None
        prediction = Prediction(
            labels=card.labels,
            probabilities=np.frombuffer(probabilities, dtype="<f8"),
            model=card.tag,
            thresholds=self._thresholds,
            independent=card.independent,
            styles=_styles(card, styles),
            non_music_reason=non_music_reason,
            aims=card.aims,
            mood=None if mood[0] is None else a_mood(*mood),
        )
        return CachedPrediction(sound, prediction, duration_s)

    def _ask(self, question: Callable[[sqlite3.Connection], T], otherwise: T) -> T:
        """Return the answer of the database; `otherwise` where it cannot be used."""
        if self._path is None:
            return otherwise
        try:
            with self._lock:
                if self._connection is None:
                    self._path.parent.mkdir(parents=True, exist_ok=True)
                    self._connection = _opened(self._path)
                return question(self._connection)
        except (sqlite3.OperationalError, OSError) as error:  # locked, full, not to be opened
            log.warning("the cache %s cannot be used: %s", self._path, error)
        except (sqlite3.DatabaseError, ValueError, TypeError) as error:
            if isinstance(error, _OtherVersionError):  # after an update, nothing to worry about
                log.info("the cache %s %s, and is rebuilt", self._path, error)
            else:
                log.warning("the cache %s is damaged and is rebuilt: %s", self._path, error)
            with suppress(OSError, sqlite3.Error):
                if not self._rebuilt:
                    self._rebuilt = True
                    self.clear()
                    return otherwise
        self._path = None
        return otherwise


def default_cache_path() -> Path:
    """Return the cache that all scans share."""
    return cache_folder() / "predictions.sqlite"


def model_key(card: Card) -> str:
    """Return what identifies a model, with the models that it uses."""
    digest = blake2b(digest_size=8)
    for each in (card, *zoo.used_by(card), yamnet_card(), moods_card()):
        if (each.folder / CARD).is_file():
            digest.update(blake2b((each.folder / CARD).read_bytes()).digest())
        digest.update(code_of(each.kind).encode())
    return f"{card.tag} {digest.hexdigest()}"


def sound_of_file(path: str, stamp: Stamp | None) -> bytes:
    """Return the key of a sound whose packets cannot be read: no other file has it."""
    return blake2b(repr((path, stamp)).encode("utf-8", "surrogateescape"), digest_size=16).digest()


class _OtherVersionError(sqlite3.DatabaseError):
    """A cache that another version of gtag made."""


def _opened(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=_BUSY_S, check_same_thread=False)
    try:
        version = database.execute("PRAGMA user_version").fetchone()[0]
        application = database.execute("PRAGMA application_id").fetchone()[0]
        if (application, version) != (_APPLICATION, VERSION):
            if database.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]:
                if application == _APPLICATION:
                    raise _OtherVersionError(f"is of version {version}, not {VERSION}")
                raise sqlite3.DatabaseError("not a gtag cache")
            database.execute("PRAGMA journal_mode = WAL")
            with database:
                database.executescript(f"BEGIN IMMEDIATE;{_SCHEMA}COMMIT;")
        database.execute("PRAGMA synchronous = NORMAL")
    except BaseException:
        database.close()
        raise
    return database


def _row_of(cached: CachedPrediction, card: Card | None) -> tuple[Any, ...]:
    prediction = cached.prediction
    if prediction is None:
        return (cached.duration_s, None, None, None, cached.reason, None, None)
    by_name = {(s.genre, s.name): s.probability for s in prediction.styles}
    styles = [by_name[s.genre, s.name] for s in card.styles] if card and prediction.styles else []
    return (
        cached.duration_s,
        np.asarray(prediction.probabilities, dtype="<f8").tobytes(),
        np.asarray(styles, dtype="<f8").tobytes(),
        prediction.non_music_reason,
        "",
        *((prediction.mood.name, prediction.mood.confidence) if prediction.mood else (None, None)),
    )


def _styles(card: Card, probabilities: bytes) -> tuple[Style, ...]:
    of_styles = np.frombuffer(probabilities, dtype="<f8").tolist()  # empty: the model gave none
    named = [
        Style(s.name, s.genre, p, s.threshold, s.aims)
        for s, p in zip(card.styles if of_styles else (), of_styles, strict=True)
    ]
    return tuple(sorted(named, key=lambda style: -style.probability))


def _packed(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Arrays as a line of JSON and their numbers: numpy's archives take five times as long."""
    kinds = {name: (array.dtype.str, array.shape) for name, array in arrays.items()}
    numbers = (array.tobytes() for array in arrays.values())
    return zlib.compress(b"".join((json.dumps(kinds).encode(), b"\n", *numbers)), 1)


def _unpacked(content: bytes) -> dict[str, np.ndarray]:
    arrays: dict[str, np.ndarray] = {}
    at = 0
    try:
        line, _, numbers = zlib.decompress(content).partition(b"\n")
        for name, (kind, shape) in json.loads(line).items():
            count = math.prod(shape)
            array = np.frombuffer(numbers, _FLOATS[kind], count, at)
            arrays[name], at = array.reshape(shape), at + array.nbytes
    except (TypeError, KeyError, AttributeError, zlib.error) as error:
        raise ValueError(f"features of a track cannot be read: {error}") from error
    return arrays


def _split(path: str) -> tuple[bytes, bytes]:
    folder, name = os.path.split(path)
    here = "" if folder.startswith(os.sep) else os.getcwd()  # noqa: PTH109
    return _absolute(folder, here), os.fsencode(name)


@lru_cache(maxsize=64)
def _absolute(folder: str, here: str) -> bytes:
    """Return a folder's whole path, which depends on the working folder where it is relative."""
    return os.fsencode(os.path.abspath(folder))  # noqa: PTH100


def _today() -> int:
    return int(time.time() // _DAY_S)


_INT64 = 1 << 63


def _is_coarse(mtime_ns: int) -> bool:
    """Tell whether the file may change again without a new time of modification."""
    return mtime_ns % 1_000_000_000 == 0 and abs(time.time() - mtime_ns / 1e9) < _COARSE_S
