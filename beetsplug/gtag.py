"""The beets plugin `gtag`: `beet gtag [QUERY]`, and what is imported.

gtag classifies and writes the files, with its own checks and journal, as `gtag scan` does; beets'
library gets the genres. A genre that a person wrote, in the file or in the library, is kept.
docs/beets.md shows how to use it.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from contextlib import closing, suppress
from optparse import Values
from typing import Any

from beets import config, ui
from beets.dbcore import types
from beets.library import Album, Item, Library
from beets.plugins import BeetsPlugin
from beets.util import syspath

import tagger
from tagger.deciding.options import flag
from tagger.genres.placeholders import Placeholders
from tagger.system.screen import printable

# beets has several genres; older ones had one text.
FIELD = "genres" if "genres" in Item._fields else "genre"
SEPARATOR = "; "
# Flexible attributes: confidence, the genre by gtag (others are the user's), and the model.
CONFIDENCE, SAID, MODEL = "gtag_confidence", "gtag_genre", "gtag_model"
MOOD = "mood"
AS_IN_SCAN = ("min_confidence", "aim", "detail", "album", "mood", "jobs")


class GtagPlugin(BeetsPlugin):
    """Classifies music and sets its genres."""

    item_types = {CONFIDENCE: types.Float(4)}  # noqa: RUF012 - as beets wants it

    def __init__(self) -> None:
        super().__init__()
        self.config.add(
            {
                "auto": True,
                "force": False,
                "pretend": False,
                "model": "cnn",
                "min_confidence": None,
                "aim": None,
                "count": 1,
                "detail": "genre",
                "album": "vote",
                "mood": False,
                "jobs": None,
            }
        )
        if self.config["auto"].get(bool):
            # Files are where they stay by then: what is written into is beets' copy.
            self.register_listener("album_imported", self._album_imported)
            self.register_listener("item_imported", self._item_imported)

    def commands(self) -> list[ui.Subcommand]:
        command = ui.Subcommand("gtag", help="classify music and set its genres")
        add = command.parser.add_option
        add("-p", "--pretend", action="store_true", help="show what would be set; change nothing")
        add("-f", "--force", action="store_true", help="replace genres that people wrote")
        add("-w", "--write", action="store_true", dest="write", help="write the files' tags")
        add("-W", "--nowrite", action="store_false", dest="write", help="set the library only")

        def run(lib: Library, options: Values, query: list[str]) -> None:
            self.config.set_args({"pretend": options.pretend, "force": options.force})
            try:
                counts = self._tag(lib, lib.items(query), write=ui.should_write(options.write))
            except tagger.GtagError as error:
                raise ui.UserError(printable(str(error))) from error
            said = ", ".join(f"{n} {status}" for status, n in counts.items())
            ui.print_(f"gtag: {said or 'no track matches'}")

        command.func = run
        return [command]

    def _album_imported(self, lib: Library, album: Album) -> None:
        self._imported(lib, album.items())

    def _item_imported(self, lib: Library, item: Item) -> None:
        self._imported(lib, [item])

    def _imported(self, lib: Library, items: Iterable[Item]) -> None:
        try:
            self._tag(lib, items, write=config["import"]["write"].get(bool))
        except tagger.GtagError as error:  # the import continues without genres
            self._log.error("{}", printable(str(error)))

    def _tag(self, lib: Library, items: Iterable[Item], *, write: bool) -> Counter[str]:
        """Classify items and set their genres; returns how many got each status."""
        # Not `get(bool)`, for which the text "no" is true.
        force, pretend = (flag(name, self.config[name].get()) for name in ("force", "pretend"))
        counts: Counter[str] = Counter()
        ids: dict[str, int] = {}
        for item in items:
            path = os.fsdecode(syspath(item.path))
            if not os.path.lexists(path):
                self._log.warning("{}: not there", printable(path))
                counts["missing"] += 1
            elif not force and _written_by_people(item):
                counts["kept"] += 1
            else:
                ids[path] = item.id
        if not ids:
            return counts
        results = tagger.scan(
            ids,
            write_tags=write and not pretend,
            model=self.config["model"].as_str(),
            **{name: self.config[name].get() for name in AS_IN_SCAN},
            genres=self.config["count"].get(),
            existing="replace" if force else "keep",
            default_excludes=False,  # beets knows what is in its library
            min_age_s=0,  # and has just written what it imported
        )
        albums = set()
        with closing(results):
            for result in results:
                if result.path not in ids:  # a part of a file, which a cue sheet names
                    continue
                counts[result.status] += 1
                item = lib.get_item(ids[result.path])
                if item is None:
                    continue
                self._show(item, result)
                if pretend:
                    continue
                if result.status in ("written", "would-write", "unchanged"):
                    _set(item, result.new_genre)
                    item[CONFIDENCE], item[MODEL] = result.named_confidence, result.model
                    albums.add(item.album_id)
                if result.new_mood and not _own(item, MOOD):
                    item[MOOD] = result.new_mood
                if result.wrote:
                    item.mtime = item.current_mtime()  # else `beet update` reads all of it again
                if item._dirty:
                    item.store()
        for number in albums - {None}:
            _store_album(lib.get_album(number), force=force)
        return counts

    def _show(self, item: Item, result: tagger.TrackResult) -> None:
        line = printable(f"{item}: {result.status}")
        told = []
        if result.status in ("written", "would-write"):
            before = f"{SEPARATOR.join(_genres(item))} -> " if _genres(item) else ""
            told.append(f"{before}{result.new_genre} {result.named_confidence:.2f}")
        if result.new_mood != result.old_mood:
            told.append(f"mood {result.new_mood}")
        if told:
            ui.print_(line + printable(f": {', '.join(told)}"))
        elif result.status.is_problem:
            self._log.warning("{}", line + printable(f": {result.message}"))
        else:
            self._log.debug("{}", line + printable(f": {result.message}"))


def _genres(thing: Item | Album) -> list[str]:
    """Return what the library says, of an item or an album itself."""
    return _split(_own(thing, FIELD))


def _own(thing: Item | Album, field: str) -> Any:
    if isinstance(thing, Item):  # which would fall back on its album
        return thing.get(field, with_album=False)
    return thing.get(field)


def _split(value: Any) -> list[str]:
    names = value.split(SEPARATOR) if isinstance(value, str) else value or ()
    return [name for name in names if name]


def _written_by_people(thing: Item | Album) -> bool:
    """Whether the library names a genre that neither it nor the file notes as gtag's."""
    written = Placeholders().without(_genres(thing))
    said = set(_split(_own(thing, SAID)))
    if isinstance(thing, Item) and not said.issuperset(written):
        # `gtag scan` may have been there before beets.
        with suppress(tagger.UnreadableError, tagger.RefusedError):
            said.update(tagger.read(os.fsdecode(syspath(thing.path))).gtag_genre)
    return not said.issuperset(written)


def _store_album(album: Album | None, *, force: bool) -> None:
    """Give an album the genre that more than half of its tracks have, unless a person named one."""
    if album is None or not (force or not _written_by_people(album)):
        return
    tracks = [SEPARATOR.join(_genres(item)) for item in album.items()]
    best, votes = Counter(tracks).most_common(1)[0]
    if best and 2 * votes > len(tracks):
        _set(album, best)
        album.store(inherit=False)


def _set(thing: Item | Album, genres: str) -> None:
    thing[FIELD] = genres.split(SEPARATOR) if FIELD == "genres" else genres
    thing[SAID] = genres
