"""Finds files again that were moved or renamed since a run: by their content, or by their sound.

It reads files and changes nothing. What cannot be one of them is passed over as cheaply as
possible: by its size, then by its container, then by the first bytes of its sound.
"""

# Strings, not Paths: all files of a library are looked at.
# ruff: noqa: PTH116, PTH118, PTH119, PTH120

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from tagger.containers.recognise import identify
from tagger.containers.snapshot import obstacle, sound_begins, sound_of
from tagger.journal.journal import Lineage
from tagger.journal.rows import ChangeRecord
from tagger.storage.identity import Identity
from tagger.storage.replace_file import TEMPORARY_PREFIX
from tagger.system.errors import GtagError

# Tags that were edited since, with their covers, make a file so much larger or smaller.
_MOST_EDITED = 32 << 20


def folders_of(paths: Iterable[str]) -> list[str]:
    """Return the folders where moved files may lie: those below which all files of a run stood.

    One folder where they have one in common that is not the root. Of a folder that is gone itself,
    renamed perhaps, the next one above.
    """
    folders = sorted({os.path.dirname(path) for path in paths})
    with suppress(ValueError):  # no files; on Windows, files on different drives
        common = os.path.commonpath(folders)
        if Path(common).parent != Path(common):
            folders = [common]
    there: list[str] = []
    for folder in map(Path, folders):
        while not folder.is_dir() and folder.parent != folder:
            folder = folder.parent
        inside = any(folder.is_relative_to(other) for other in there)
        if folder.parent != folder and not inside:
            there = [other for other in there if not Path(other).is_relative_to(folder)]
            there.append(str(folder))
    return there


def find_by_content(
    places: list[str], changes: list[ChangeRecord], lineage: Lineage, known: set[str]
) -> Iterator[tuple[str, ChangeRecord | None]]:
    """Look in places for files that hold the results of changes, to the byte.

    Parameters
    ----------
    places : list of str
        Files, and folders with all below.
    changes : list of ChangeRecord
        What is looked for. Those that are found are taken out of it.
    lineage : Lineage
    known : set of str
        Paths to pass over.

    Yields
    ------
    path : str
    change : ChangeRecord or None
        None for a file that was named itself but holds none of the results.
    """
    sizes = lineage.sizes | {change.after.size for change in changes}
    passed = set(known)
    for place in places:
        for path in _files_in(place):
            if path in passed:
                continue
            passed.add(path)
            change = None
            with suppress(OSError):
                if os.stat(path).st_size in sizes:
                    digest = lineage.root(Identity.of(path).digest)
                    fitting = [c for c in changes if lineage.root(c.after.digest) == digest]
                    change = next(iter(_namesakes_or_all(path, fitting)), None)
            if change is not None:
                changes.remove(change)
            if change is not None or path == place:
                yield path, change


def find_by_sound(
    places: Iterable[str],
    sought: list[ChangeRecord],
    lineage: Lineage,
    known: set[str],
    *,
    watch: Callable[[Iterable[str]], Iterable[str]],
) -> list[tuple[str, ChangeRecord | None]]:
    """Look in places for files with the sound of changes.

    A file of that sound which does not say what gtag wrote is left out where another one does. All
    that do are found: a copy of a file that gtag wrote says what gtag wrote, too.

    Parameters
    ----------
    places : iterable of str
        Files, and folders with all below.
    sought : list of ChangeRecord
    lineage : Lineage
    known : set of str
        Paths to pass over.
    watch : function of paths
        Hands them on; for those who show how the search goes on, or stop it.

    Returns
    -------
    list of (str, ChangeRecord or None)
        None where several changes are as likely, and it makes a difference which.
    """
    if not sought:
        return []
    formats: dict[str, list[ChangeRecord]] = {}
    for one in sought:
        formats.setdefault(one.format, []).append(one)
    saying: list[tuple[str, ChangeRecord | None]] = []
    others: list[tuple[str, ChangeRecord]] = []
    for path in watch(_once_each(places, known)):
        try:
            fitting, says = _fitting(path, formats, lineage)
        except (OSError, GtagError):  # a file that cannot be read or taken apart is none of them
            continue
        change = fitting[0] if fitting and _are_alike(fitting) else None
        if fitting and says:
            saying.append((path, change))
        elif change is not None:
            others.append((path, change))
    told = {change.id for _, change in saying if change}
    return [*saying, *((path, change) for path, change in others if change.id not in told)]


def has_its_sound(path: str, change: ChangeRecord) -> bool:
    """Tell whether a file still has the sound of when gtag wrote it; True where nobody can tell."""
    try:
        format = identify(path)
        if format is None or format.name != change.format:
            return False
        return _noted(change, "sound") in (None, sound_of(path, format))
    except (OSError, GtagError):
        return True


def _files_in(place: str) -> Iterator[str]:
    """Yield the place itself, or all files below it, in order."""
    for folder, below, names in os.walk(place) if Path(place).is_dir() else [("", [], [place])]:
        below.sort()
        yield from (os.path.join(folder, name) for name in sorted(names))


def _once_each(places: Iterable[str], known: set[str]) -> Iterator[str]:
    passed: set[tuple[int, int]] = set()
    for path in (path for place in places for path in _files_in(place)):
        if path in known or os.path.basename(path).startswith(TEMPORARY_PREFIX):
            continue
        try:
            status = os.lstat(path)
        except OSError:
            continue
        # Links are not followed: what they lead to is met where it lies.
        if not stat.S_ISLNK(status.st_mode) and (status.st_dev, status.st_ino) not in passed:
            passed.add((status.st_dev, status.st_ino))
            yield path


def _fitting(
    path: str, formats: dict[str, list[ChangeRecord]], lineage: Lineage
) -> tuple[list[ChangeRecord], bool]:
    """Return the likeliest changes that a file may be of, and whether it says what gtag wrote."""
    size = os.stat(path).st_size

    def is_near(change: ChangeRecord) -> bool:
        return abs(change.after.size - size) <= _MOST_EDITED

    if not any(is_near(c) for changes in formats.values() for c in changes):
        return [], False
    format = identify(path)
    changes = [c for c in formats.get(format.name, []) if is_near(c)] if format else []
    if format is None or not changes:
        return [], False
    begins = sound_begins(path, format)
    sounding = [c for c in changes if _noted(c, "sound_begins") == begins]
    if sounding:
        sound = sound_of(path, format)
        sounding = [c for c in sounding if _noted(c, "sound") == sound]
    # To the byte: what an older gtag wrote without a note of the sound, or one of several.
    equal = [c for c in changes if c.after.size == size and _noted(c, "sound") is None]
    if equal or len(sounding) > 1:
        digest = lineage.root(Identity.of(path).digest)
        equal = [c for c in (*equal, *sounding) if lineage.root(c.after.digest) == digest]
    saying = equal or [c for c in sounding if obstacle(path, format, c.old, c.new) is None]
    return _namesakes_or_all(path, saying or sounding), bool(saying)


def _namesakes_or_all(path: str, changes: list[ChangeRecord]) -> list[ChangeRecord]:
    """Return those of files with the same name, or all where there are none."""
    name = os.path.basename(path)
    return [c for c in changes if os.path.basename(c.path) == name] or changes


def _noted(change: ChangeRecord, what: str) -> object:
    return change.old.get(what) if isinstance(change.old, dict) else None


def _are_alike(changes: list[ChangeRecord]) -> bool:
    """Tell whether it makes no difference which of these changes is taken back."""
    return all(_noted(c, "blocks") == _noted(changes[0], "blocks") for c in changes)
