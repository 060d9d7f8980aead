"""Finds files again that were moved or renamed since a run, by their sound.

What cannot be one of them is passed over as cheaply as possible: by its size, then by its
container, then by the first bytes of its sound. It reads files and changes nothing; it must not
know how a file is brought back.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tagger.errors import GtagError
from tagger.files.formats import Format, identify
from tagger.files.replace_file import TEMPORARY_PREFIX, Identity
from tagger.journal.journal import ChangeRecord, Lineage
from tagger.tags.snapshot import obstacle, sound_begins, sound_of

# Tags that were edited since, with their covers, make a file so much larger or smaller.
_MOST_EDITED = 32 << 20

AMBIGUOUS = (
    "several moved files of the run have its sound, and said different things before:"
    " nobody can tell which one this is"
)


@dataclass(frozen=True)
class Found:
    """A file that has the sound of a change.

    Attributes
    ----------
    change : ChangeRecord or None
        None where several are as likely, and it makes a difference which.
    """

    path: str
    change: ChangeRecord | None


def folders_of(paths: Iterable[str]) -> list[str]:
    """Where files may lie that were moved: the folders below which all of a run's files stood.

    One folder where they have one in common that is not the root. Of a folder that is gone itself,
    renamed perhaps, the next one above.
    """
    folders = sorted({os.path.dirname(path) for path in paths})  # noqa: PTH120
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


def find_by_sound(
    places: Iterable[str],
    sought: list[ChangeRecord],
    lineage: Lineage,
    known: set[str],
    *,
    watch: Callable[[Iterable[str]], Iterable[str]],
) -> list[Found]:
    """Look in places for files with the sound of changes.

    A file of that sound which does not say what gtag wrote is nobody's concern where another one
    does. All that do are found: a copy of a file that gtag wrote says what gtag wrote, too.

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
    """
    formats: dict[str, list[ChangeRecord]] = {}
    for change in sought:
        formats.setdefault(change.format, []).append(change)
    saying: list[Found] = []
    others: list[Found] = []
    for path in watch(_files_in(places, known)):
        try:
            fitting, says = _fitting(path, formats, lineage)
        except (OSError, GtagError):  # a file that cannot be read or taken apart is none of them
            continue
        if fitting:
            found = Found(path, fitting[0] if _are_alike(fitting) else None)
            (saying if says else others).append(found)
    told = {one.change.id for one in saying if one.change}
    return [*saying, *(o for o in others if o.change is not None and o.change.id not in told)]


def has_its_sound(path: str, change: ChangeRecord) -> bool:
    """Whether a file still has the sound of when gtag wrote it; True where nobody can tell."""
    try:
        format = identify(path)
        if format is None or format.name != change.format:
            return False
        return _noted(change, "sound") in (None, sound_of(path, format))
    except (OSError, GtagError):
        return True


def _files_in(places: Iterable[str], known: set[str]) -> Iterator[str]:
    passed: set[tuple[int, int]] = set()
    for place in places:
        tree = os.walk(place) if Path(place).is_dir() else [("", [], [place])]
        for folder, below, names in tree:
            below.sort()
            for name in sorted(names):
                path = os.path.join(folder, name)  # noqa: PTH118
                if path in known or name.startswith(TEMPORARY_PREFIX):
                    continue
                try:
                    status = os.lstat(path)
                except OSError:
                    continue
                # Links are not followed: what they lead to is met where it lies.
                if Path(path).is_symlink() or (status.st_dev, status.st_ino) in passed:
                    continue
                passed.add((status.st_dev, status.st_ino))
                yield path


def _fitting(
    path: str, formats: dict[str, list[ChangeRecord]], lineage: Lineage
) -> tuple[list[ChangeRecord], bool]:
    """The likeliest changes that a file may be of, and whether it says what gtag wrote."""
    size = Path(path).stat().st_size

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
    saying = equal or [c for c in sounding if _says(path, format, c)]
    fitting = saying or sounding
    namesakes = [c for c in fitting if Path(c.path).name == Path(path).name]
    return namesakes or fitting, bool(saying)


def _says(path: str, format: Format, change: ChangeRecord) -> bool:
    return obstacle(path, format, change.old, change.new) is None


def _noted(change: ChangeRecord, what: str) -> object:
    return change.old.get(what) if isinstance(change.old, dict) else None


def _are_alike(changes: list[ChangeRecord]) -> bool:
    """Whether it makes no difference which of these changes is taken back."""
    return all(_noted(c, "blocks") == _noted(changes[0], "blocks") for c in changes)
