"""Genre maps: predicted genres renamed, merged, mapped to parents or dropped, as a user likes.

A map is a TOML file; docs/genre-map.md shows one. It maps names regardless of the track: the whole
prediction is converted to the map's names, and then treated as if the model had used them.
"""

from __future__ import annotations

import string
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from os import PathLike
from typing import TYPE_CHECKING

import numpy as np

from tagger.deciding.options import Detail
from tagger.genres.placeholders import Placeholders
from tagger.genres.vocabulary import LONGEST_NAME, canonical, same_name, vocabulary, why_no_name
from tagger.models import zoo
from tagger.models.prediction import Prediction, Style
from tagger.system.errors import ConfigurationError
from tagger.system.regular import read_regular
from tagger.system.suggest import did_you_mean
from tagger.system.toml_file import Key, TomlFile

if TYPE_CHECKING:
    from tagger.models.card import Card

_TABLES = ("rename", "merge", "parents", "aliases")
_LISTS = ("drop", "only")
_PLACEHOLDERS = Placeholders()
_LONGEST_CIRCLE = 10  # names of it that a message shows


@dataclass(frozen=True, eq=False)  # a map is itself: answers can be cached for it
class GenreMap:
    """Maps genre names; an empty one changes none. `read_genre_map` reads one from a file.

    All spellings of a name have one key (`same_name`).

    Attributes
    ----------
    leads : dict of str to str
        From one key to another: renamed, merged, or an alias.
    parents : dict of str to str
        The same for keys that are not in `leads`; followed up to a key in `only`, or to the top.
    drop : frozenset of str
        Keys that are not written, nor any that are mapped to them.
    only : frozenset of str or None
        Keys that may be written; None: all.
    spelled : dict of str to str
        How a key is written. Every key that another one is mapped to has a spelling.
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
        """Return the name to write for a genre; None: none. Idempotent."""
        path = [*self._path(same_name(name))]
        if not self.drop.isdisjoint(path) or (self.only is not None and path[-1] not in self.only):
            return None
        return self.spelled.get(path[-1], name)

    def key(self, name: str) -> str:
        """Return the key of the name that this map gives; equal for all names of one genre."""
        *_, end = self._path(same_name(name))
        return end

    def _path(self, key: str) -> Iterator[str]:
        """Yield a key, and those that it is mapped to one after the other."""
        yield key
        while True:
            if key in self.leads:
                key = self.leads[key]
            elif key in self.parents and not (self.only and key in self.only):
                key = self.parents[key]
            else:
                return
            yield key

    def of(self, prediction: Prediction, detail: Detail = "genre") -> Prediction:
        """Return the same prediction in the names of the map.

        Of genres that are merged, independent probabilities give the highest one, and the lowest
        threshold among those that are reached; probabilities that exclude each other add up. So do
        those of the styles of one genre. A genre stays below another one where all that became it
        were below what became the other.

        Parameters
        ----------
        detail : {"genre", "style", "both"}
            With the latter two, a style whose genre is dropped becomes a genre.
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
        alone = sorted(alone, key=lambda s: s.name) if detail != "genre" else []
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
            aims=(),  # the thresholds of some aim were chosen before
            parents=_parents(prediction, names),
        )

    def _styles(
        self, styles: tuple[Style, ...], genres: dict[str, str | None]
    ) -> tuple[Style, ...]:
        """Styles by their new names; their genre is empty where it is dropped."""
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


def _parents(prediction: Prediction, names: Mapping[str, str | None]) -> dict[str, str]:
    """Return the parent of each new name that has one."""
    above: dict[str, set[str | None]] = {}
    for label, name in names.items():
        if name is not None:
            above.setdefault(name, set()).add(names.get(prediction.tree.get(label, "")))
    parents = {name: parents.pop() for name, parents in above.items() if len(parents) == 1}
    return {name: parent for name, parent in parents.items() if parent and parent != name}


def _merged(prediction: Prediction, members: list[int]) -> tuple[float, float]:
    """Probability and threshold of several labels that are merged."""
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
    known : iterable of str
        The models' names that are not in the vocabulary: those and the vocabulary's can be
        renamed, merged and dropped.

    Raises
    ------
    ConfigurationError
        The file cannot be used; the message names the line.
    """
    return _Reader(TomlFile(path), known).read()


def genre_map_for(path: str | PathLike[str], card: Card, detail: Detail = "genre") -> GenreMap:
    """Read a map for a model.

    Raises
    ------
    ConfigurationError
        The file cannot be used, or it drops all genres of the model.
    """
    styles = [style.name for style in card.styles]
    known = [name for genre, below in names_of_models().items() for name in (genre, *below)]
    read = read_genre_map(path, [*known, *card.labels, *styles])
    if not any(map(read, (*card.labels, *(styles if detail != "genre" else ())))):
        raise ConfigurationError(
            f"drops every genre of {card.tag}",
            path=path,
            hint="gtag genres --genre-map FILE shows what each is mapped to",
        )
    return read


def names_of_models() -> dict[str, list[str]]:
    """Return all genres of the installed models, each with its styles."""
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
        self._likely = (*vocabulary(), *known)  # few models have the vocabulary's styles
        self._known = {same_name(n): n for n in (*styles, *self._likely)}
        self._leads: dict[str, str] = {}
        self._parents: dict[str, str] = {}
        self._spelled: dict[str, str] = {}
        # Where in the file a key is mapped or spelled, for messages; and how it is written there.
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
                raise self._file.error(f"{name} has to be {kind}", name)
        # Renamed and merged names first: their spelling counts.
        for old, new in data.get("rename", {}).items():
            self._lead(self._leads, old, new, ("rename", old), of_model=True)
        for table in ("merge", "aliases"):
            for new, olds in data.get(table, {}).items():
                if not isinstance(olds, list):
                    raise self._file.error(f"{new!r} has to be a list of names", table, new)
                for i, old in enumerate(olds):
                    at, of_model = (table, new, i), table == "merge"
                    self._lead(self._leads, old, new, at, of_model=of_model)
        for child, parent in data.get("parents", {}).items():
            self._lead(self._parents, child, parent, ("parents", child))
        self._check_circles()
        drop = frozenset(self._dropped(name, i) for i, name in enumerate(data.get("drop", [])))
        read = GenreMap(self._leads, self._parents, drop, None, self._spelled)
        return self._with_only(read, data["only"]) if "only" in data else read

    def _lead(
        self, leads: dict[str, str], old: object, new: object, at: Key, *, of_model: bool = False
    ) -> None:
        """Map one name to another.

        The old name of a model must be known, and the new one is spelled as in the file, otherwise
        as in the vocabulary.
        """
        old, new = self._name(old, at), self._name(new, at)
        if not _PLACEHOLDERS.without((new,)):
            raise self._file.error(
                f"{new!r} means that there is no genre: the next scan would replace it",
                *at,
                hint="drop the genre instead",
            )
        if of_model:
            self._check_known(old, at)
        start, end = same_name(old), same_name(new)
        self._shown.setdefault(start, old)
        if of_model and self._spelled.get(end, new) != new:
            before = self._file.line(*self._spelled_at[end])
            raise self._file.error(
                f"{new!r} means the same as {self._spelled[end]!r} in line {before}: "
                "choose one spelling",
                *at,
            )
        self._spelled.setdefault(end, new if of_model else canonical(new) or new)
        self._spelled_at.setdefault(end, at)
        if start == end:
            return  # another spelling
        if leads.get(start, end) != end:
            before = self._file.line(*self._led_at[start])
            raise self._file.error(f"{old!r} is mapped to another name in line {before}", *at)
        leads[start] = end
        self._led_at.setdefault(start, at)

    def _dropped(self, given: object, i: int) -> str:
        name = self._name(given, ("drop", i))
        self._check_known(name, ("drop", i))
        key = same_name(name)
        if key in self._leads:
            before = self._file.line(*self._led_at[key])
            raise self._file.error(
                f"{name!r} is dropped, and mapped to another name in line {before}", "drop", i
            )
        return key

    def _with_only(self, read: GenreMap, given: list[object]) -> GenreMap:
        names = [self._name(name, ("only", i)) for i, name in enumerate(given)]
        there = self._known | self._spelled | {key: self._shown[key] for key in self._parents}
        for i, name in enumerate(names):
            if same_name(name) not in there:
                hint = did_you_mean(name, there.values())
                raise self._file.error(
                    f"no genre is mapped to {name!r}", "only", i, hint=hint or None
                )
            self._spelled.setdefault(same_name(name), canonical(name) or name)
        read = replace(read, only=frozenset(map(same_name, names)))
        for i, name in enumerate(names):
            if read(name) is None or read.key(name) != same_name(name):
                raise self._file.error(
                    f"{name!r} is never written: it is dropped, or mapped to another name",
                    *("only", i),
                )
        return read

    def _check_known(self, name: str, at: Key) -> None:
        if same_name(name) not in self._known:
            near = did_you_mean(name, self._likely) or did_you_mean(name, self._known.values())
            hint = near or "gtag genres lists them; names that only tags have go into [aliases]"
            raise self._file.error(f"no model has a genre {name!r}", *at, hint=hint)

    def _check_circles(self) -> None:
        steps = self._parents | self._leads
        ended: set[str] = set()  # whatever leads there has an end, too
        for start in steps:
            seen, key = dict[str, None](), start
            while key in steps and key not in seen and key not in ended:
                seen[key] = None
                key = steps[key]
            if key in seen:
                names = [*seen]
                names = names[names.index(key) :]
                shown = [self._shown[name] for name in [*names, key]]
                if len(shown) > _LONGEST_CIRCLE:
                    shown[_LONGEST_CIRCLE // 2 : -_LONGEST_CIRCLE // 2] = ["…"]
                raise self._file.error(f"goes in a circle: {' → '.join(shown)}", *self._led_at[key])
            ended.update(seen)

    def _name(self, value: object, at: Key) -> str:
        """Return the value as a genre name that can be written, or raise an error."""
        if not isinstance(value, str):
            raise self._file.error(f"{value!r} has to be a name in quotes", *at)
        if why := why_no_name(value):
            shown = repr(value if len(value) <= LONGEST_NAME else f"{value[:20]}…")
            raise self._file.error(f"{shown} is not a valid genre name: {why}", *at)
        return value.strip()


def map_of_tree(path: str | PathLike[str]) -> str:
    """Convert beets' tree of genres (``genres-tree.yaml``) to the text of a map.

    Names of the vocabulary are spelled as there, others with capitals, as beets writes them. Of
    several places of a name the first counts.

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
        # Not known yet, nor its own ancestor: two names of the tree may be spellings of one.
        if same_name(child) not in keys and key != same_name(child):
            keys[same_name(child)] = same_name(parent)
            parents[child] = parent
    if not parents:
        raise ConfigurationError("contains no tree of genres", path=path)
    return tomli_w.dumps({"parents": parents})


def _branches(path: str | PathLike[str]) -> Iterator[tuple[str, str]]:
    """Yield every name of a tree with the name above it."""
    import yaml

    try:
        text = read_regular(path).decode("utf-8-sig")
        root = yaml.load(text, Loader=yaml.BaseLoader)  # strings, lists and dicts only
    except (UnicodeDecodeError, RecursionError) as error:
        raise ConfigurationError("is not a YAML tree in UTF-8", path=path) from error
    except (OSError, ValueError) as error:
        raise ConfigurationError.of_system(error, path) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark else ""
        problem = getattr(error, "problem", None) or error
        raise ConfigurationError(f"{line}invalid YAML: {problem}", path=path) from error

    seen: set[int] = set()
    waiting: list[tuple[object, str]] = [(root, "")]
    while waiting:
        node, parent = waiting.pop()
        if isinstance(node, str):
            if parent and node.strip():
                yield node.strip(), parent
        elif (
            isinstance(node, dict | list) and id(node) not in seen
        ):  # an anchor's content counts once
            seen.add(id(node))
            if isinstance(node, dict):
                pairs = (((name, parent), (inner, name.strip())) for name, inner in node.items())
                below = [*chain.from_iterable(pairs)]
            else:
                below = [(inner, parent) for inner in node]
            waiting += reversed(below)
