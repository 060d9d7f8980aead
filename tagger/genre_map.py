"""A user's own names for genres: predicted ones are renamed, merged, led to a parent or dropped.

A map is a TOML file; docs/genre-map.md shows one. It maps names, whatever the track: the prediction
is mapped as a whole, and decided about as if the model had used these names.
"""

from __future__ import annotations

import string
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tagger.errors import ConfigurationError
from tagger.files.toml_file import Key, TomlFile
from tagger.genres import canonical, same_name, vocabulary
from tagger.models import zoo
from tagger.models.prediction import Prediction, Style
from tagger.suggest import did_you_mean

if TYPE_CHECKING:
    from tagger.models.card import Card

_TABLES = ("rename", "merge", "parents", "aliases")
_LISTS = ("drop", "only")
_LONGEST = 100  # characters of a name


@dataclass(frozen=True)
class GenreMap:
    """The new name of each genre. `read_genre_map` reads one; an empty one changes no name.

    The key of a name is the same for all its spellings (`same_name`).

    Attributes
    ----------
    leads : dict of str to str
        From one key to another: renamed, merged, or an alias.
    parents : dict of str to str
        Likewise, for keys that are not in `leads`: up to one in `only`, or to the topmost.
    drop : frozenset of str
        Keys that are not written, nor any that lead there.
    only : frozenset of str or None
        Keys that may be written; None: all.
    spelled : dict of str to str
        How a key is written; each that another leads to is here.
    """

    leads: Mapping[str, str] = field(default_factory=dict)
    parents: Mapping[str, str] = field(default_factory=dict)
    drop: frozenset[str] = frozenset()
    only: frozenset[str] | None = None
    spelled: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.leads or self.parents or self.drop or self.spelled) or (
            self.only is not None
        )

    def __call__(self, name: str) -> str | None:
        """The name under which a genre is written; None where it is dropped. Idempotent."""
        way = [*self._way(same_name(name))]
        if not self.drop.isdisjoint(way) or (self.only is not None and way[-1] not in self.only):
            return None
        return self.spelled.get(way[-1], name)

    def key(self, name: str) -> str:
        """The key at which a name ends: the same for all names that this map makes one genre."""
        *_, end = self._way(same_name(name))
        return end

    def _way(self, key: str) -> Iterator[str]:
        """A key, and those that it leads to, in order."""
        yield key
        while True:
            if key in self.leads:
                key = self.leads[key]
            elif key in self.parents and not (self.only and key in self.only):
                key = self.parents[key]
            else:
                return
            yield key

    def of(self, prediction: Prediction, detail: Literal["genre", "style"] = "genre") -> Prediction:
        """The same prediction in the names of the map.

        Of genres that become one, where labels are independent, the greatest probability counts,
        and the lowest threshold of those that are reached; else the probabilities are added. So are
        those of styles of one genre.

        Parameters
        ----------
        prediction : Prediction
        detail : {"genre", "style"}
            With ``style``, a style whose genre is dropped becomes a genre of its own.
        """
        if not self:
            return prediction
        names = {label: self(label) for label in prediction.labels}
        groups: dict[str, list[int]] = {}
        for i, label in enumerate(prediction.labels):
            if (name := names[label]) is not None:
                groups.setdefault(name, []).append(i)
        styles = self._styles(prediction.styles, names)
        alone = [s for s in styles if not s.genre and s.name not in groups]
        alone = sorted(alone, key=lambda s: s.name) if detail == "style" else []
        assert groups or alone, "genre_map_for refuses a map that leaves nothing"
        merged = [_merged(prediction, members) for members in groups.values()]
        merged += [(s.probability, s.threshold) for s in alone]
        chunks = prediction.chunk_probabilities
        if chunks is not None and not alone:
            add = np.max if prediction.independent else np.sum
            chunks = np.stack([add(chunks[:, m], axis=1) for m in groups.values()], axis=1)
        gone = [(g, p) for g, p in prediction.ranked() if names[g] is None]
        lost = bool(gone) and gone[0][1] >= prediction.threshold(gone[0][0])
        return replace(
            prediction,
            labels=(*groups, *(s.name for s in alone)),
            probabilities=np.array([probability for probability, _ in merged]),
            thresholds=np.array([threshold for _, threshold in merged]),
            styles=tuple(s for s in styles if s.genre),
            chunk_probabilities=None if alone else chunks,
            chunk_starts_s=None if alone else prediction.chunk_starts_s,
            dropped=f"{gone[0][0]} {gone[0][1]:.2f}" if lost else prediction.dropped,
        )

    def _styles(
        self, styles: tuple[Style, ...], genres: dict[str, str | None]
    ) -> tuple[Style, ...]:
        """Styles by their new names; without a genre where that is dropped."""
        merged: dict[tuple[str, str], Style] = {}
        for style in styles:
            name, genre = self(style.name), genres.get(style.genre, style.genre) or ""
            if name is None or name == genre:
                continue
            same = merged.get((genre, name))
            probability = style.probability + (same.probability if same else 0.0)
            threshold = same.threshold if same else style.threshold
            merged[genre, name] = Style(name, genre, probability, threshold)
        return tuple(sorted(merged.values(), key=lambda style: -style.probability))


def _merged(prediction: Prediction, members: list[int]) -> tuple[float, float]:
    """Probability and threshold of several labels that became one."""
    each = [
        (float(prediction.probabilities[i]), prediction.threshold(prediction.labels[i]))
        for i in members
    ]
    best = max(each)
    if not prediction.independent:
        return sum(probability for probability, _ in each), best[1]
    return best[0], min((t for p, t in each if p >= t), default=best[1])


def read_genre_map(path: str | PathLike[str], known: Iterable[str] = ()) -> GenreMap:
    """Read a map from its file.

    Parameters
    ----------
    path : path-like
    known : iterable of str
        Names of models, beside those of the vocabulary: they can be renamed, merged and dropped.

    Raises
    ------
    ConfigurationError
        The file cannot be used; the message names the line.
    """
    return _Reader(TomlFile(path), known).read()


def genre_map_for(
    path: str | PathLike[str], card: Card, detail: Literal["genre", "style"] = "genre"
) -> GenreMap:
    """Read a map for a model.

    Raises
    ------
    ConfigurationError
        The file cannot be used, or drops every genre of the model.
    """
    styles = [style.name for style in card.styles]
    known = [name for genre, below in names_of_models().items() for name in (genre, *below)]
    read = read_genre_map(path, [*known, *card.labels, *styles])
    if not any(map(read, (*card.labels, *(styles if detail == "style" else ())))):
        raise ConfigurationError(
            f"leaves no genre of those that {card.tag} knows",
            path=path,
            hint="gtag genres --genre-map FILE shows what becomes of each",
        )
    return read


def names_of_models() -> dict[str, list[str]]:
    """The genres of all models that have a name, each with its styles."""
    names: dict[str, list[str]] = {}
    for card in zoo.available():
        for label in card.labels:
            names.setdefault(label, [])
        for style in card.styles:
            below = names.setdefault(style.genre, [])
            if style.name not in below:
                below.append(style.name)
    return {genre: sorted(names[genre]) for genre in sorted(names)}


class _Reader:
    def __init__(self, file: TomlFile, known: Iterable[str]) -> None:
        self._file = file
        styles = (style for styles in vocabulary().values() for style in styles)
        self._known = {same_name(n): n for n in (*vocabulary(), *styles, *known)}
        self._leads: dict[str, str] = {}
        self._parents: dict[str, str] = {}
        self._spelled: dict[str, str] = {}
        # Where in the file a key leads elsewhere, or is spelled; and its spelling there.
        self._led_at: dict[str, Key] = {}
        self._spelled_at: dict[str, Key] = {}
        self._shown: dict[str, str] = {}

    def read(self) -> GenreMap:
        data = self._file.data
        for name, value in data.items():
            if name not in (*_TABLES, *_LISTS):
                hint = did_you_mean(name, (*_TABLES, *_LISTS))
                hint = hint or f"there are: {', '.join((*_TABLES, *_LISTS))}"
                raise self._file.error(f"unknown key {name!r}", name, hint=hint)
            wanted, kind = (dict, "a table") if name in _TABLES else (list, "a list of names")
            if not isinstance(value, wanted):
                raise self._file.error(f"{name} must be {kind}", name)
        # Renamed and merged names first: their spelling counts.
        for old, new in data.get("rename", {}).items():
            self._known_name(old, "rename", old)
            self._lead(self._leads, old, new, ("rename", old), own_spelling=True)
        for table in ("merge", "aliases"):
            for new, olds in data.get(table, {}).items():
                if not isinstance(olds, list):
                    raise self._file.error(f"{new!r} must be a list of names", table, new)
                for i, old in enumerate(olds):
                    if table == "merge":
                        self._known_name(old, table, new, i)
                    self._lead(
                        self._leads, old, new, (table, new, i), own_spelling=table == "merge"
                    )
        for child, parent in data.get("parents", {}).items():
            self._lead(self._parents, child, parent, ("parents", child))
        self._check_circles()
        drop = frozenset(self._dropped(name, i) for i, name in enumerate(data.get("drop", [])))
        read = GenreMap(self._leads, self._parents, drop, None, self._spelled)
        return self._with_only(read, data["only"]) if "only" in data else read

    def _lead(
        self,
        leads: dict[str, str],
        old: object,
        new: object,
        at: Key,
        *,
        own_spelling: bool = False,
    ) -> None:
        """Note that one name leads to another, which is spelled as in the file, or as gtag does."""
        old, new = self._name(old, at), self._name(new, at)
        start, end = same_name(old), same_name(new)
        self._shown.setdefault(start, old)
        if own_spelling and self._spelled.get(end, new) != new:
            before = self._file.line(*self._spelled_at[end])
            raise self._file.error(
                f"{new!r} means the same as {self._spelled[end]!r} in line {before}: "
                "choose one spelling",
                *at,
            )
        self._spelled.setdefault(end, new if own_spelling else canonical(new) or new)
        self._spelled_at.setdefault(end, at)
        if start == end:
            return  # another spelling
        if leads.get(start, end) != end:
            before = self._file.line(*self._led_at[start])
            raise self._file.error(f"{old!r} leads to another name in line {before}", *at)
        leads[start] = end
        self._led_at.setdefault(start, at)

    def _dropped(self, given: object, i: int) -> str:
        name = self._known_name(given, "drop", i)
        key = same_name(name)
        if key in self._leads:
            before = self._file.line(*self._led_at[key])
            raise self._file.error(
                f"{name!r} is dropped, and leads to another name in line {before}", "drop", i
            )
        return key

    def _with_only(self, read: GenreMap, given: list[object]) -> GenreMap:
        names = [self._name(name, ("only", i)) for i, name in enumerate(given)]
        there = self._known | self._spelled | {key: self._shown[key] for key in self._parents}
        for i, name in enumerate(names):
            if same_name(name) not in there:
                hint = did_you_mean(name, there.values())
                raise self._file.error(f"nothing becomes {name!r}", "only", i, hint=hint or None)
            self._spelled.setdefault(same_name(name), canonical(name) or name)
        read = replace(read, only=frozenset(map(same_name, names)))
        for i, name in enumerate(names):
            if read(name) is None or read.key(name) != same_name(name):
                raise self._file.error(
                    f"{name!r} is never written: it is dropped, or leads to another name",
                    *("only", i),
                )
        return read

    def _known_name(self, given: object, *at: str | int) -> str:
        """A name that a model has, or an error."""
        name = self._name(given, at)
        if same_name(name) not in self._known:
            near = did_you_mean(name, self._known.values())
            hint = near or "gtag genres lists them; names that no model has go into [aliases]"
            raise self._file.error(f"no model has a genre {name!r}", *at, hint=hint)
        return name

    def _check_circles(self) -> None:
        steps = self._parents | self._leads
        for start in steps:
            seen, key = [start], steps[start]
            while key in steps and key not in seen:
                seen.append(key)
                key = steps[key]
            if key == start:
                circle = " → ".join(self._shown[key] for key in [*seen, start])
                raise self._file.error(f"goes in a circle: {circle}", *self._led_at[start])

    def _name(self, value: object, at: Key) -> str:
        """A name that can be written, or an error."""
        if not isinstance(value, str):
            raise self._file.error(f"{value!r} must be a name in quotes", *at)
        if not value.strip() or len(value) > _LONGEST or not value.isprintable():
            raise self._file.error(f"{value!r} is not a valid name of a genre", *at)
        if ";" in value:
            raise self._file.error(f"{value!r}: a name with ';' would be read as two", *at)
        return value.strip()


def map_of_tree(path: str | PathLike[str]) -> str:
    """Convert a tree of genres of beets (``genres-tree.yaml``) to the text of a map.

    Names of the vocabulary get its spelling, others capitals, as beets writes them. Of several
    places of a name the first counts.

    Raises
    ------
    ConfigurationError
        The file is not such a tree.
    """
    import tomli_w

    parents: dict[str, str] = {}
    keys: dict[str, str] = {}
    for name, above in _branches(path):
        child, parent = (canonical(n) or string.capwords(n) for n in (name, above))
        key = same_name(parent)
        while key != same_name(child) and key in keys:
            key = keys[key]
        # Known already, or its own ancestor: to gtag, two names of the tree may mean the same.
        if same_name(child) not in keys and key != same_name(child):
            keys[same_name(child)] = same_name(parent)
            parents[child] = parent
    if not parents:
        raise ConfigurationError("has no tree of genres", path=path)
    return tomli_w.dumps({"parents": parents})


def _branches(path: str | PathLike[str]) -> Iterator[tuple[str, str]]:
    """Every name of a tree with the name above it."""
    import yaml

    try:
        text = Path(path).read_text(encoding="utf-8-sig")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except (UnicodeDecodeError, RecursionError) as error:
        raise ConfigurationError("is not a YAML tree in UTF-8", path=path) from error
    except (OSError, ValueError) as error:
        raise ConfigurationError.of_system(error, path) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}: " if mark else ""
        said = getattr(error, "problem", None) or str(error)
        raise ConfigurationError(f"{place}not YAML: {said}", path=path) from error

    met: set[int] = set()
    waiting: list[tuple[Any, str]] = [(root, "")] if root else []
    while waiting:
        node, parent = waiting.pop()
        if id(node) in met:
            continue  # the content of an anchor counts once
        met.add(id(node))
        below: list[tuple[Any, str]] = []
        if isinstance(node, yaml.SequenceNode):
            below = [(inner, parent) for inner in node.value]
        elif isinstance(node, yaml.ScalarNode):
            if parent and node.value.strip():
                yield node.value.strip(), parent
        else:
            for key, inner in node.value:
                if not isinstance(key, yaml.ScalarNode):
                    line = key.start_mark.line + 1
                    raise ConfigurationError(f"line {line}: a name was expected", path=path)
                below += [(key, parent), (inner, key.value.strip())]
        waiting += reversed(below)
