"""Playlists: outcomes in, one after the other; one UTF-8 M3U8 a genre out, at the end.

A track is in the list of each genre that its tags name after the run; of a dry run, would name.
Entries wait in a temporary database, so that memory does not grow with the library. It must not
know how outcomes come about.
"""

from __future__ import annotations

import os
import re
import sqlite3
import tempfile
import unicodedata
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tagger.decide import Status
from tagger.errors import GtagError, RefusedError, WriteFailedError
from tagger.files.durable_io import new_file
from tagger.files.formats import identify
from tagger.genres import canonical
from tagger.placeholders import Placeholders
from tagger.tags.credits import read_credits

if TYPE_CHECKING:
    from tagger.batch import TrackResult

# Second line of each: what lacks it is somebody else's, and stays.
MARK = "# Made by gtag scan --playlists, which replaces it."
_NAME_LENGTH = 60  # characters; of up to four bytes, and file systems allow 255
# What Windows keeps for itself, with whatever extension.
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.I)


class Playlists:
    """Gathers outcomes for playlists.

    Parameters
    ----------
    folder : path
        Made where it is missing.
    placeholders : Placeholders
        Words that are no genre, and so get no list.

    Attributes
    ----------
    folder : Path
    unnamable : int
        Tracks whose path cannot stand in a playlist: with line breaks, or bytes that are no UTF-8.

    Raises
    ------
    OSError
        Nothing can be written there.
    """

    def __init__(self, folder: str | os.PathLike[str], placeholders: Placeholders) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=self.folder):
            pass  # it can be written to: better known before the scan than after it
        # ".." leads from where a folder really lies, not from where a link to it does.
        self._real = os.path.realpath(self.folder)
        self._placeholders = placeholders
        self._names: dict[str, str] = {}  # of genres, by key
        self._entries = sqlite3.connect("")  # a file of SQLite's own, gone when it is closed
        self._entries.execute("CREATE TABLE entries (genre TEXT, entry TEXT)")
        self.unnamable = 0

    def add(self, result: TrackResult) -> None:
        """Take in what became of one track.

        Raises
        ------
        WriteFailedError
            There is no room for what waits.
        """
        if result.status is Status.HEARD:  # a part of a file has no tags
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
        keys = dict.fromkeys(self._key(genre) for genre in genres)
        values = [(key, entry) for key in keys]
        try:
            self._entries.executemany("INSERT INTO entries VALUES (?, ?)", values)
        except sqlite3.Error as error:
            raise self._no_room(error) from error

    def _key(self, genre: str) -> str:
        """Spellings of one genre have one list, named after the first that was met."""
        name = canonical(genre) or unicodedata.normalize("NFC", _one_line(genre))
        key = name.casefold()
        self._names.setdefault(key, name)
        return key

    def write(self) -> tuple[int, list[RefusedError]]:
        """Write the playlists, each whole or not at all.

        Returns
        -------
        int
            How many were written.
        list of RefusedError
            Lists of other people, which stand where these would.

        Raises
        ------
        WriteFailedError
        """
        try:
            self._entries.execute("CREATE INDEX by_genre ON entries (genre)")
        except sqlite3.Error as error:
            raise self._no_room(error) from error
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

    def _no_room(self, error: sqlite3.Error) -> WriteFailedError:
        message = f"what is to stand in the playlists cannot be kept: {error}"
        return WriteFailedError(
            message, path=self.folder, hint="the folder for temporary files may be full"
        )

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
            "this playlist is not gtag's: left as it is",
            path=target,
            hint="rename it, or name another folder",
        )


def _entry_path(path: str, folder: str) -> str | None:
    """A path as a playlist in a folder says it; None where no line can hold it."""
    whole = os.path.abspath(path)  # noqa: PTH100 - links in it stay as they are
    try:
        shown = os.path.relpath(whole, folder)
    except ValueError:  # on another drive
        shown = whole
    shown = shown.replace(os.sep, "/")
    # A comment, a scheme and blanks at the beginning are no part of a path to a player.
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
    """A name that every system allows, and that no other list has, in whatever case.

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
