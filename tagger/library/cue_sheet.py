"""Cue sheets: where each track of a long file begins, from a `.cue` beside it."""

# Strings, not Paths, as `library` has them.
# ruff: noqa: PTH118, PTH122, PTH208

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Set
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain, pairwise

from tagger.containers.formats import has_audio_extension
from tagger.system.regular import read_regular

MAX_BYTES = 1 << 20  # of a sheet: a hundred times what 99 tracks need
FRAMES_PER_S = 75  # of a CD
LEAST_BYTES_PER_S = 4000  # of music; no long file has fewer

# What wrote sheets before UTF-8 did: Russia, Central Europe, China, Japan, Taiwan, Korea, Greece.
_OLD_ENCODINGS = ("cp1251", "cp1250", "gb18030", "cp932", "big5", "euc_kr", "cp1253")

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
    guessed : bool
        The file is neither named nor called like the sheet: it is only the one that may be meant.
    """

    path: str
    tracks: tuple[CueTrack, ...]
    guessed: bool = False


def cue_sheet_of(path: str) -> CueSheet | None:
    """Return the sheet in a file's folder that cuts the file into tracks; None: there is none.

    A sheet means the file that it names; where no such file is there (a rip was encoded since),
    the file of that name, or of the sheet's name, with another extension; and the only sheet of a
    folder, where none of these is there, the only long file. Upper and lower case, and the two
    forms of accents in Unicode, count only where several files differ in nothing else.
    """
    folder, name = os.path.split(path)
    sheets, _ = _folder(folder or os.curdir)
    sheet = sheets.get(name)
    return sheet and replace(sheet, path=os.path.join(folder, sheet.path))


def unused_sheet(path: str) -> str:
    """Return the sheet in a file's folder that belongs to no file, and why; empty: none that
    matters.

    One of an album that lies there track by track is none that matters.
    """
    folder, name = os.path.split(path)
    sheets, unused = _folder(folder or os.curdir)
    if name not in sheets:
        return unused
    guessed = sheets[name].guessed
    return f"{sheets[name].path} is not used: its tracks do not fit" if guessed else ""


Files = list[tuple[str, tuple[CueTrack, ...]]]


def _folder(folder: str) -> tuple[dict[str, CueSheet], str]:
    try:
        return _sheets(folder, os.stat(folder).st_mtime_ns)  # noqa: PTH116
    except OSError:
        return {}, ""


@lru_cache(maxsize=8)
def _sheets(folder: str, changed_ns: int) -> tuple[dict[str, CueSheet], str]:
    """Return the sheet of each file in a folder, and why one has none; anew when it has changed."""
    names = _Names(os.listdir(folder))
    found: dict[str, CueSheet] = {}
    unused: dict[str, tuple[str, tuple[CueTrack, ...]]] = {}
    for cue in names.cues:
        files = _read(os.path.join(folder, cue), names.keys)
        if isinstance(files, str):
            unused[cue] = (files, ())
            continue
        if not files:
            unused[cue] = ("it names no file", ())
        for named, tracks in files:
            meant = names.meant(named, cue if len(files) == 1 else None)
            if not meant:
                unused[cue] = (f"it names {named}, which is not here", tracks)
            elif len(tracks) > 1:
                for name in meant:
                    found.setdefault(name, CueSheet(cue, tracks))
            elif not tracks and len(files) == 1:
                unused[cue] = ("its tracks do not begin one after the other", ())
    for cue, (_, tracks) in unused.items() if len(names.cues) == 1 else ():
        long = [n for n in names.sounds if tracks and _may_last(folder, n, tracks[-1].begin_s)]
        if len(tracks) > 1 and len(long) == 1 and long[0] not in found:
            found[long[0]] = CueSheet(cue, tracks, guessed=True)
            return found, ""
    told = (
        f"{cue} is not used: {why}"
        for cue, (why, tracks) in unused.items()
        if len(names.sounds) < max(2, len(tracks))
    )
    return found, next(told, "")


class _Names:
    """The names in a folder, to be found by what a sheet calls them."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = sorted(names)
        self.cues = [name for name in self._names if name.lower().endswith(".cue")]
        self.sounds = [name for name in self._names if has_audio_extension(name)]
        self._by_key: dict[str, list[str]] = {}
        self._by_stem: dict[str, list[str]] = {}
        for name in self._names:
            if name not in self.cues:
                self._by_key.setdefault(_key(name), []).append(name)
                self._by_stem.setdefault(_key(_stem(name)), []).append(name)
        self.keys = {*self._by_key, *self._by_stem}

    def meant(self, named: str, cue: str | None) -> list[str]:
        """Return the files that a sheet may mean by a name; `cue`: the sheet's own counts, too."""
        alike = self._by_key.get(_key(named), [])
        if alike:
            return [named] if named in alike else alike[:1]
        others = self._by_stem.get(_key(_stem(named)), [])
        if cue is not None:
            stem = _key(_stem(cue))
            others = [*others, *self._by_stem.get(stem, []), *self._by_key.get(stem, [])]
        return others


def _may_last(folder: str, name: str, begin_s: float) -> bool:
    """Tell whether a file is big enough for a track that begins there."""
    try:
        size = os.stat(os.path.join(folder, name)).st_size  # noqa: PTH116
    except OSError:
        return False
    return size > begin_s * LEAST_BYTES_PER_S


def _stem(name: str) -> str:
    return os.path.splitext(name)[0]


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _read(path: str, there: Set[str]) -> Files | str:
    """Return a sheet's text, in the encoding in which a file that it names is there, or why there
    is none.
    """
    try:
        content = read_regular(path)
    except OSError as error:
        return f"it cannot be read ({error.strerror})"
    if len(content) > MAX_BYTES:
        return "it is too large for a sheet"
    readings = (_parsed(text) for text in _decoded(content))
    first = next(readings)
    for files in chain([first], readings):
        if any(_key(named) in there or _key(_stem(named)) in there for named, _ in files):
            return files
    return first


def parse_cue(content: bytes) -> list[tuple[str, tuple[CueTrack, ...]]]:
    """Return the files that a sheet names, each with its tracks.

    What is no sheet names no file. A file whose tracks do not begin one after the other has none.

    Parameters
    ----------
    content : bytes
        UTF-8, or UTF-16 with a mark; otherwise taken for Windows-1252.
    """
    return _parsed(next(_decoded(content)))


def _parsed(text: str) -> Files:
    files: list[tuple[str, list[tuple[int, str, bool, float]]]] = []
    number, title, sound = 0, "", False
    for line in text.splitlines():
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


def _decoded(content: bytes) -> Iterator[str]:
    """Decode a sheet; without a mark of the encoding, in those that old programs wrote."""
    marked = content[:2] in (b"\xff\xfe", b"\xfe\xff")
    with suppress(UnicodeDecodeError):
        yield content.decode("utf-16" if marked else "utf-8-sig")
        return
    yield content.decode("cp1252", "replace")
    for encoding in _OLD_ENCODINGS:
        with suppress(UnicodeDecodeError):
            yield content.decode(encoding)
    yield os.fsdecode(content)  # the names of the files may be as old
