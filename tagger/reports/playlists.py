"""Playlists: results in, one after the other; one UTF-8 M3U8 file a genre out, at the end.

A track is in the list of each genre that its tags have after the run (after a dry run: would have).
Entries are kept in a temporary database, so that memory does not grow with the library.
"""

from __future__ import annotations

import os
import re
import sqlite3
import tempfile
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tagger.containers.credits import read_credits
from tagger.containers.recognise import identify
from tagger.deciding.decide import Status
from tagger.genres.placeholders import Placeholders
from tagger.genres.vocabulary import canonical
from tagger.storage.durable_io import new_file
from tagger.system.errors import GtagError, RefusedError, WriteFailedError

if TYPE_CHECKING:
    from tagger.pipeline.road import TrackResult

# Second line of each. Playlists without it are not overwritten.
MARK = "# Made by gtag scan --playlists, which replaces it."
_NAME_LENGTH = 60  # characters; of up to four bytes, and file systems allow 255
# Reserved by Windows, with any extension.
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.I)


class Playlists:
    """Collects results for playlists.

    Parameters
    ----------
    folder : path
        Made where it is missing.
    placeholders : Placeholders
        Words that are no genre, and so get no list.

    Attributes
    ----------
    unnamable : int
        Tracks that no playlist can hold: their paths have line breaks, or bytes that are not UTF-8.

    Raises
    ------
    OSError
        Nothing can be written there.
    """

    def __init__(self, folder: str | os.PathLike[str], placeholders: Placeholders) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=self.folder):
            pass  # fails here, before the scan, where it cannot be written to
        # ".." is resolved from the folder itself, not from a link to it.
        self._real = os.path.realpath(self.folder)
        self._placeholders = placeholders
        self._names: dict[str, str] = {}  # of genres, by key
        self._entries = sqlite3.connect("")  # a file of SQLite's own, gone when it is closed
        self._entries.execute("CREATE TABLE entries (genre TEXT, entry TEXT)")
        self.unnamable = 0

    def add(self, result: TrackResult) -> None:
        """Add one track.

        Raises
        ------
        WriteFailedError
            The disk is full.
        """
        if result.status is Status.CUE_TRACK:  # a part of a file has no tags
            return
        genres = self._placeholders.without(filter(None, result.new_genre.split("; ")))
        if not genres:
            return
        place = _entry_path(result.path, self._real)
        if place is None:
            self.unnamable += 1
            return
        seconds = -1 if result.duration_s is None else round(result.duration_s)
        entry = f"#EXTINF:{seconds},{_title(result.path)}\n{place}\n"
        keys = set()
        for genre in genres:  # spellings of one genre share a list, named after the first
            name = canonical(genre) or unicodedata.normalize("NFC", _one_line(genre))
            keys.add(name.casefold())
            self._names.setdefault(name.casefold(), name)
        with self._disk_errors():
            self._entries.executemany(
                "INSERT INTO entries VALUES (?, ?)", [(key, entry) for key in keys]
            )

    def write(self) -> tuple[int, list[RefusedError]]:
        """Write the playlists, each whole or not at all.

        Returns
        -------
        int
            How many were written.
        list of RefusedError
            Playlists of other programs that have the same names.

        Raises
        ------
        WriteFailedError
        """
        with self._disk_errors():
            self._entries.execute("CREATE INDEX by_genre ON entries (genre)")
        taken: set[str] = set()
        others = []
        for key, genre in sorted(self._names.items()):
            target = self.folder / f"{_file_name(genre, taken)}.m3u8"
            try:
                _refuse_others(target)
                self._write(target, key, genre)
            except RefusedError as error:
                others.append(error)
            except OSError as error:
                message = f"the playlist cannot be written: {error.strerror or error}"
                raise WriteFailedError(message, path=target) from error
        return len(self._names) - len(others), others

    def _write(self, target: Path, key: str, genre: str) -> None:
        with new_file(target) as file:
            file.write(f"#EXTM3U\n{MARK}\n#PLAYLIST:{genre}\n")
            for (entry,) in self._entries.execute(
                "SELECT entry FROM entries WHERE genre = ? ORDER BY rowid", (key,)
            ):
                file.write(entry)

    @contextmanager
    def _disk_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            message = f"the tracks for the playlists cannot be stored: {error}"
            hint = "the folder for temporary files may be full"
            raise WriteFailedError(message, path=self.folder, hint=hint) from error

    def close(self) -> None:
        self._entries.close()


def _refuse_others(target: Path) -> None:
    try:
        with open(target, "rb") as file:
            theirs = MARK.encode() not in file.read(1024)
    except FileNotFoundError:
        theirs = target.is_symlink()
    except IsADirectoryError:
        theirs = True
    if theirs:
        raise RefusedError(
            "this playlist was not made by gtag: left as it is",
            path=target,
            hint="rename it, or name another folder",
        )


def _entry_path(path: str, folder: str) -> str | None:
    """Return a path relative to a playlist's folder; None where a line cannot hold it."""
    whole = os.path.abspath(path)  # noqa: PTH100 - does not resolve links
    try:
        shown = os.path.relpath(whole, folder)
    except ValueError:  # on another drive
        shown = whole
    shown = shown.replace(os.sep, "/")
    # Players take a path that begins with "#", a scheme or blanks for something else.
    if not re.match(r"\.\./|/|[A-Za-z]:/", shown) and not re.match(r"\w[^:/]*(/|$)", shown):
        shown = f"./{shown}"
    try:
        shown.encode()
    except UnicodeEncodeError:
        return None
    return shown if shown.splitlines() == [shown.strip()] else None


def _title(path: str) -> str:
    """Artist and title by the tags, else the file's name."""
    with suppress(GtagError):
        format = identify(path)
        if format is not None:
            credits = read_credits(path, format)
            if credits.title:
                return _one_line(" - ".join(filter(None, (credits.artist, credits.title))))
    return _one_line(Path(path).stem)


def _one_line(text: str) -> str:
    return " ".join(text.encode("utf-8", "replace").decode().split())


def _file_name(genre: str, taken: set[str]) -> str:
    """Return a name that every system allows and no other list has, regardless of case.

    >>> taken = set()
    >>> [_file_name(genre, taken) for genre in ("AC/DC", "ac:dc", "Con", "..", "Rock ")]
    ['AC_DC', 'ac_dc (2)', 'Con_', '_', 'Rock']
    """
    safe = "".join(c if c.isprintable() and c not in '/\\:*?"<>|' else "_" for c in genre)
    safe = safe[:_NAME_LENGTH].strip().strip(".").strip() or "_"
    if _RESERVED.fullmatch(safe):
        safe += "_"
    name, number = safe, 1
    while unicodedata.normalize("NFKC", name).casefold() in taken:
        number += 1
        name = f"{safe} ({number})"
    taken.add(unicodedata.normalize("NFKC", name).casefold())
    return name
