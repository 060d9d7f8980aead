"""Cue sheets: where each track of a long file begins, from a `.cue` beside it."""

# Strings, not Paths, as `library` has them.
# ruff: noqa: PTH118, PTH122, PTH208

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

MAX_BYTES = 1 << 20  # of a sheet: a hundred times what 99 tracks need
FRAMES_PER_S = 75  # of a CD

_WORDS = re.compile(r'"[^"]*"|\S+')
_TIME = re.compile(r"(\d{1,4}):(\d{1,2}):(\d{1,2})")


@dataclass(frozen=True)
class CueTrack:
    """A track within a file.

    Attributes
    ----------
    number : int
    title : str
        Empty where the sheet says none.
    begin_s, end_s : float
        In the file; None: to its end.
    """

    number: int
    title: str
    begin_s: float
    end_s: float | None


@dataclass(frozen=True)
class CueSheet:
    """The tracks of one file, in order.

    Attributes
    ----------
    path : str
        Of the sheet.
    tracks : tuple of CueTrack
        At least two.
    """

    path: str
    tracks: tuple[CueTrack, ...]


def cue_sheet_of(path: str) -> CueSheet | None:
    """The sheet in a file's folder that cuts the file into tracks; None: there is none.

    A sheet means the file that it names; where no such file is there (a rip was encoded since),
    the file of that name, or of the sheet's name, with another extension.
    """
    folder, name = os.path.split(path)
    try:
        changed = os.stat(folder or os.curdir).st_mtime_ns  # noqa: PTH116
        sheets, names = _sheets(folder or os.curdir, changed)
    except OSError:
        return None
    for cue, files in sheets:
        for named, tracks in files:
            alike = named not in names and (
                _stem(named) == _stem(name)
                or (len(files) == 1 and _stem(cue) in (_stem(name), name))
            )
            if (named == name or alike) and len(tracks) > 1:
                return CueSheet(os.path.join(folder, cue), tracks)
    return None


def _stem(name: str) -> str:
    return os.path.splitext(name)[0]


@lru_cache(maxsize=8)
def _sheets(
    folder: str, changed_ns: int
) -> tuple[list[tuple[str, list[tuple[str, tuple[CueTrack, ...]]]]], frozenset[str]]:
    """What the sheets of a folder say, and the folder's names; read again when it has changed."""
    names = sorted(os.listdir(folder))
    sheets = []
    for name in names:
        if name.lower().endswith(".cue"):
            try:
                with open(os.path.join(folder, name), "rb") as file:
                    content = file.read(MAX_BYTES + 1)
            except OSError:
                continue
            if len(content) <= MAX_BYTES:
                sheets.append((name, parse_cue(content)))
    return sheets, frozenset(names)


def parse_cue(content: bytes) -> list[tuple[str, tuple[CueTrack, ...]]]:
    """The files that a sheet names, each with its tracks.

    What is no sheet names no file. A file whose tracks do not begin one after the other has none.

    Parameters
    ----------
    content : bytes
        UTF-8, or UTF-16 with a mark; otherwise taken for Windows-1252.
    """
    files: list[tuple[str, list[tuple[int, str, bool, float]]]] = []
    number, title, sound = 0, "", False
    for line in _decoded(content).splitlines():
        words = [word.strip('"') for word in _WORDS.findall(line)]
        match [words[0].upper() if words else "", *words[1:]]:
            case ["FILE", named, *_]:
                files.append((re.split(r"[\\/]", named)[-1], []))
            case ["TRACK", digits, kind, *_] if digits.isdecimal():
                number, title, sound = int(digits), "", kind.upper() == "AUDIO"
            case ["TITLE", named, *_]:
                title = named
            case ["INDEX", index, time, *_] if index.isdecimal() and int(index) == 1:
                found = _TIME.fullmatch(time)
                if found and files:
                    minutes, seconds, frames = map(int, found.groups())
                    begin_s = minutes * 60 + seconds + frames / FRAMES_PER_S
                    files[-1][1].append((number, title, sound, begin_s))
    return [(named, _in_order(tracks)) for named, tracks in files]


def _in_order(tracks: list[tuple[int, str, bool, float]]) -> tuple[CueTrack, ...]:
    begins = [begin_s for *_, begin_s in tracks]
    if any(later <= earlier for earlier, later in pairwise(begins)):
        return ()
    ends: list[float | None] = [*begins[1:], None]
    return tuple(
        CueTrack(number, title, begin_s, end_s)
        for (number, title, sound, begin_s), end_s in zip(tracks, ends, strict=True)
        if sound
    )


def _decoded(content: bytes) -> str:
    encodings = ("utf-16",) if content[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig",)
    for encoding in encodings:
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            pass
    return content.decode("cp1252", "replace")
