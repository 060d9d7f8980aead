"""Cached predictions (SQLite): a file that is unchanged, or only renamed or tagged, is not decoded
again.

A file is known by path, size, times of modification and change, and inode; its sound by a hash of
its packets. A cache that cannot be used costs the time that it would have saved, and nothing else.
"""

from __future__ import annotations

import io
import json
import logging
import os
import sqlite3
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from tagger.files.formats import FORMATS, Format
from tagger.files.library import Stamp, Track
from tagger.models import zoo
from tagger.models.card import CARD, Card
from tagger.models.detector import WITH_EMBEDDING, WITHOUT
from tagger.models.prediction import Prediction, Style
from tagger.places import cache_folder
from tagger.tags.credits import Credits
from tagger.tags.read import TagState

log = logging.getLogger(__name__)

# Raise it when front ends, detectors or tag readers change: the cache is then made anew.
VERSION = 3
_APPLICATION = 0x67746167  # "gtag"
_SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS files (
    folder BLOB, name BLOB, size INTEGER, mtime_ns INTEGER, ctime_ns INTEGER, inode INTEGER,
    format TEXT, sound BLOB, tags TEXT, used INTEGER, PRIMARY KEY (folder, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS heard (
    sound BLOB, model TEXT, duration_s REAL, probabilities BLOB, styles BLOB, non_music_reason TEXT,
    reason TEXT, PRIMARY KEY (sound, model)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS views (
    sound BLOB PRIMARY KEY, duration_s REAL, arrays BLOB
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS files_by_sound ON files (sound);
PRAGMA application_id = {_APPLICATION};
PRAGMA user_version = {VERSION};
COMMIT;
"""
_FORMATS = {format.name: format for format in FORMATS}
_DAY_S = 86_400
_USED_AGAIN = 30  # days after which a row's last use is noted again
_FOLDERS = 4  # whose rows are kept in memory
_NOTES = 500  # rows written at once
_BUSY_S = 10.0  # how long another scan may hold the file
_COARSE_S = 3.0  # file systems without fractions of a second cannot tell two changes within it

T = TypeVar("T")


@dataclass(frozen=True)
class Known:
    """What is cached for a sound.

    Attributes
    ----------
    sound : bytes
        Hash of its packets, see `decoder.packets_hash`.
    prediction : Prediction or None
    duration_s : float or None
    nothing : str
        Why there is no prediction, as for silence; else empty.
    """

    sound: bytes
    prediction: Prediction | None
    duration_s: float | None
    nothing: str = ""


@dataclass
class _File:
    stamp: Stamp
    format: str
    sound: bytes | None
    tags: str | None
    used: int
    row: tuple[Any, ...] | None  # of `heard`, without its key


class Cache:
    """The cache in one file. Without a path, or where the file cannot be used, it is empty.

    Parameters
    ----------
    path : path-like or None
    model : Card, optional
        The model of the predictions.
    """

    def __init__(self, path: str | os.PathLike[str] | None, model: Card | None = None) -> None:
        self.path = None if path is None else Path(path)
        self._model = model
        self._key = "" if model is None or path is None else fingerprint(model)
        self._thresholds = np.zeros(0) if model is None else model.thresholds
        self._connections = threading.local()  # the progress bar's thread reads, too
        self._lock = threading.Lock()
        self._folders: OrderedDict[bytes, dict[bytes, _File]] = OrderedDict()
        self._files: dict[tuple[bytes, bytes], tuple[Any, ...]] = {}
        self._heard: list[tuple[Any, ...]] = []
        self._views: list[tuple[Any, ...]] = []
        self._last: tuple[str, Stamp, _File | None] | None = None
        self._rebuilt = False

    def __enter__(self) -> Cache:
        return self

    def __exit__(self, *_: object) -> None:
        self.flush()
        self._close()

    def _close(self) -> None:
        connection = getattr(self._connections, "database", None)
        if connection is not None:
            connection.close()
            self._connections.database = None

    # Of files

    def format_of(self, path: str, stamp: Stamp) -> Format | None:
        """The container of an unchanged file; None where it is not cached."""
        file = self._file(path, stamp)
        return None if file is None else _FORMATS.get(file.format)

    def recall(self, track: Track) -> Known | None:
        """The prediction for an unchanged file; None where it is not cached."""
        file = self._file(track.path, track.stamp)
        if file is None or file.row is None or file.sound is None:
            return None
        return self._known(file.sound, file.row)

    def tags_of(self, track: Track) -> tuple[TagState, Credits] | None:
        """The tags of an unchanged file; None where they are not cached."""
        file = self._file(track.path, track.stamp)
        if file is None or file.tags is None:
            return None
        with suppress(ValueError, TypeError, KeyError):
            state, credits = json.loads(file.tags)
            state["genres"], state["gtag_genre"] = map(
                tuple, (state["genres"], state["gtag_genre"])
            )
            state["hidden"] = tuple((place, tuple(values)) for place, values in state["hidden"])
            return TagState(**state), Credits(**credits)
        return None

    def note_use(self, track: Track) -> bool:
        """Note that a file is still there; False where not all of it is cached."""
        file = self._file(track.path, track.stamp)
        if file is None or file.row is None or file.tags is None:
            return False
        if _today() - file.used >= _USED_AGAIN:
            self._note_file(track.path, file.stamp, file.format, file.sound, file.tags)
        return True

    def _note_file(
        self, path: str, stamp: Stamp, format: str, sound: bytes | None, tags: str | None
    ) -> None:
        key = _split(path)
        self._files[key] = (*key, *stamp, format, sound, tags, _today())
        if len(self._files) >= _NOTES:
            self.flush()

    def note(
        self,
        track: Track,
        known: Known,
        kept: Mapping[str, np.ndarray],
        tags: TagState | None,
        credits: Credits,
        stamp: Stamp | None,
    ) -> None:
        """Add a track, unless all of it is cached already.

        Parameters
        ----------
        track : Track
        known : Known
        kept : mapping of str to np.ndarray
            Features of the sound, as `TrackFeatures.kept` gives them; empty where they are cached.
        tags : TagState or None
            None where they have changed, or were not read.
        credits : Credits
        stamp : Stamp or None
            Of the file as it is now.
        """
        if self.path is None or track.format is None or stamp is None:
            return
        if _is_coarse(stamp.mtime_ns):
            return
        file = self._file(track.path, stamp)
        told = None if tags is None else json.dumps([asdict(tags), asdict(credits)])
        if file is None or (file.sound, file.tags) != (known.sound, told):
            self._note_file(track.path, stamp, track.format.name, known.sound, told)
        if file is None or file.row is None or file.sound != known.sound:
            self._heard.append((known.sound, self._key, *_row_of(known, self._model)))
        if kept:
            self._views.append((known.sound, known.duration_s, _packed(kept)))
        if len(self._heard) + len(self._views) >= _NOTES:
            self.flush()

    def flush(self) -> None:
        """Write what was noted to the file."""
        files, heard, views = list(self._files.values()), self._heard, self._views
        self._files, self._heard, self._views = {}, [], []
        if not (files or heard or views):
            return

        def write(database: sqlite3.Connection) -> None:
            with database:
                for table, rows in (("files", files), ("heard", heard), ("views", views)):
                    if rows:
                        marks = ", ".join("?" * len(rows[0]))
                        database.executemany(
                            f"INSERT OR REPLACE INTO {table} VALUES ({marks})", rows
                        )

        self._ask(write, None)
        self._last = None
        with self._lock:
            self._folders.clear()

    # Of sounds

    def known_sound(self, sound: bytes) -> Known | None:
        """The prediction for a sound; None where it is not cached."""
        query = (
            "SELECT duration_s, probabilities, styles, non_music_reason, reason FROM heard"
            " WHERE sound = ? AND model = ?"
        )
        row = self._ask(lambda db: db.execute(query, (sound, self._key)).fetchone(), None)
        return None if row is None else self._known(sound, row)

    def views_of(self, sound: bytes) -> tuple[dict[str, np.ndarray], float | None]:
        """The features of a sound that are cached, and the length of its track."""
        query = "SELECT arrays, duration_s FROM views WHERE sound = ?"
        row = self._ask(lambda db: db.execute(query, (sound,)).fetchone(), None)
        return ({}, None) if row is None else (_unpacked(row[0]), row[1])

    # For people

    def info(self) -> dict[str, int]:
        """How many files, sounds and predictions it holds, and its bytes."""

        def count(database: sqlite3.Connection) -> dict[str, int]:
            return {
                table: database.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0]
                for table in ("files", "heard", "views")
            }

        found = self._ask(count, {"files": 0, "heard": 0, "views": 0})
        return {**found, "bytes": sum(f.stat().st_size for f in self._all_files() if f.exists())}

    def prune(self, unused_days: int) -> int:
        """Forget files that are gone or long unused, and sounds of no file; the number of files."""
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
                for table in ("heard", "views"):
                    database.execute(
                        f"DELETE FROM {table} WHERE sound NOT IN"
                        " (SELECT sound FROM files WHERE sound IS NOT NULL)"
                    )
            database.execute("VACUUM")
            return len(gone)

        return self._ask(forget, 0)

    def clear(self) -> None:
        """Delete the file, and forget what was noted for it."""
        self._files, self._heard, self._views = {}, [], []
        self._last = None
        self._close()
        for file in self._all_files():
            file.unlink(missing_ok=True)

    def _all_files(self) -> list[Path]:
        if self.path is None:
            return []
        return [self.path.with_name(self.path.name + end) for end in ("", "-wal", "-shm")]

    # The file

    def _file(self, path: str, stamp: Stamp | None) -> _File | None:
        """What is cached of a file, if it has not changed since."""
        if self.path is None or stamp is None:
            return None
        last = self._last  # format, sound, tags and use of one file are asked for in a row
        if last is not None and (last[0], last[1]) == (path, stamp):
            return last[2]
        folder, name = _split(path)
        with self._lock:
            rows = self._folders.get(folder)
        if rows is None:
            nothing: dict[bytes, _File] = {}
            rows = self._ask(lambda db: dict(self._rows(db, folder)), nothing)
            with self._lock:
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
            " duration_s, probabilities, styles, non_music_reason, reason FROM files"
            " LEFT JOIN heard ON heard.sound = files.sound AND heard.model = ? WHERE folder = ?",
            (self._key, folder),
        ):
            stamp, heard = Stamp(*others[:4]), tuple(others[4:])
            row = heard if heard[1] is not None or heard[4] else None
            yield name, _File(stamp, format, sound, tags, used, row)

    def _known(self, sound: bytes, row: Sequence[Any]) -> Known | None:
        duration_s, probabilities, styles, non_music_reason, nothing = row
        if nothing:
            return Known(sound, None, duration_s, nothing)
        card = self._model
        if card is None or len(probabilities) != 8 * len(card.labels):
            return None
        by_style = zip(
            card.styles, np.frombuffer(styles, dtype="<f8").tolist(), strict=bool(styles)
        )
        named = [Style(s.name, s.genre, probability, s.threshold) for s, probability in by_style]
        prediction = Prediction(
            labels=card.labels,
            probabilities=np.frombuffer(probabilities, dtype="<f8"),
            model=card.tag,
            thresholds=self._thresholds,
            independent=card.independent,
            styles=tuple(sorted(named, key=lambda style: -style.probability)),
            non_music_reason=non_music_reason,
        )
        return Known(sound, prediction, duration_s)

    def _ask(self, question: Callable[[sqlite3.Connection], T], otherwise: T) -> T:
        """The answer of the database; `otherwise` where it cannot be used."""
        if self.path is None:
            return otherwise
        try:
            return question(self._database())
        except (sqlite3.OperationalError, OSError) as error:  # locked, full, not to be opened
            log.warning("the cache %s cannot be used: %s", self.path, error)
        except (sqlite3.DatabaseError, ValueError, TypeError) as error:
            log.warning("the cache %s is damaged, it is made anew: %s", self.path, error)
            with suppress(OSError, sqlite3.Error):
                if not self._rebuilt:
                    self._rebuilt = True
                    self.clear()
                    return otherwise
        self.path = None
        return otherwise

    def _database(self) -> sqlite3.Connection:
        assert self.path is not None
        database: sqlite3.Connection | None = getattr(self._connections, "database", None)
        if database is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            database = self._connections.database = _opened(self.path)
        return database


def default_cache_path() -> Path:
    """The cache that all scans share by default."""
    return cache_folder() / "heard.sqlite"


def fingerprint(card: Card) -> str:
    """Name and hash of a model, with all models that it uses and the detectors of music."""
    detectors = (zoo.bundled_folder() / name for name in (WITH_EMBEDDING, WITHOUT))
    folders = [*(c.folder for c in (card, *zoo.used_by(card))), *detectors]
    digest = blake2b(digest_size=8)
    for folder in folders:
        if (folder / CARD).is_file():
            digest.update(blake2b((folder / CARD).read_bytes()).digest())
    return f"{card.tag} {digest.hexdigest()}"


def sound_of_file(path: str, stamp: Stamp | None) -> bytes:
    """In place of a hash of packets, where those cannot be read: a hash of path and stamp."""
    return blake2b(repr((path, stamp)).encode("utf-8", "surrogateescape"), digest_size=16).digest()


def _opened(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=_BUSY_S)
    try:
        version = database.execute("PRAGMA user_version").fetchone()[0]
        application = database.execute("PRAGMA application_id").fetchone()[0]
        if (application, version) != (_APPLICATION, VERSION):
            with closing(database.execute("SELECT COUNT(*) FROM sqlite_master")) as rows:
                is_empty = rows.fetchone()[0] == 0
            if not is_empty:
                raise sqlite3.DatabaseError("another version, or not a gtag cache")
            database.execute("PRAGMA journal_mode = WAL")
            with database:
                database.executescript(_SCHEMA)
        database.execute("PRAGMA synchronous = NORMAL")
    except BaseException:
        database.close()
        raise
    return database


def _row_of(known: Known, card: Card | None) -> tuple[Any, ...]:
    prediction = known.prediction
    if prediction is None:
        return (known.duration_s, None, None, None, known.nothing)
    by_name = {(s.genre, s.name): s.probability for s in prediction.styles}
    styles = [by_name[s.genre, s.name] for s in card.styles] if card and prediction.styles else []
    return (
        known.duration_s,
        np.asarray(prediction.probabilities, dtype="<f8").tobytes(),
        np.asarray(styles, dtype="<f8").tobytes(),
        prediction.non_music_reason,
        "",
    )


def _packed(arrays: Mapping[str, np.ndarray]) -> bytes:
    content = io.BytesIO()
    np.savez_compressed(content, **{n: np.asarray(a) for n, a in arrays.items()})  # type: ignore[arg-type]
    return content.getvalue()


def _unpacked(content: bytes) -> dict[str, np.ndarray]:
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return dict(arrays)


def _today() -> int:
    return int(time.time() // _DAY_S)


def _split(path: str) -> tuple[bytes, bytes]:
    folder, name = os.path.split(os.path.abspath(path))  # noqa: PTH100
    return os.fsencode(folder), os.fsencode(name)


def _is_coarse(mtime_ns: int) -> bool:
    """Whether the file may change again without its time of modification saying so."""
    return mtime_ns % 1_000_000_000 == 0 and abs(time.time() - mtime_ns / 1e9) < _COARSE_S
