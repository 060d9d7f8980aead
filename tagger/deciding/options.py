"""The options of a scan: names, kinds, ranges, defaults and help, each stated once.

click's options are made from this (`tagger.cli.click_options`), so that config.toml and the
environment go by it, too; the Python API, and beets through it, make a `ScanOptions` of what they
are given. What does not fit raises an error before anything is done.
"""

# ruff: noqa: RUF009 - `_option` makes a field

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from numbers import Integral, Real
from os import PathLike, fsdecode
from typing import Any, Literal, Self, SupportsFloat, get_args

from tagger.genres.profiles import PROFILES
from tagger.storage.at_rest import MIN_AGE_S
from tagger.system.errors import ConfigurationError
from tagger.system.suggest import did_you_mean

Existing = Literal["keep", "replace", "append"]
Detail = Literal["genre", "style", "both"]
Album = Literal["off", "vote", "one"]
Kind = Literal["flag", "whole", "number", "choice", "text", "path", "model"]

# No number of gtag's needs to be higher; one with thousands of digits helps nobody.
HIGHEST = 10**9


@dataclass(frozen=True)
class Option:
    """What an option takes.

    Attributes
    ----------
    kind : str
        One of `Kind`. A path may be given as a path-like object, and a model, too.
    help : str
        For ``--help`` and config.toml.
    default : object
    low, high : float
        The range of a whole number or a number. Never infinite: NaN and infinity are no numbers.
    choices : tuple of str
    many : bool
        A list of them; the command line repeats the option.
    metavar : str or None
    flag : str or None
        Its name on the command line, where that is not the field's name with dashes.
    show_default : bool
        Whether the help says the default.
    """

    kind: Kind
    help: str
    default: object = None
    low: float | None = None
    high: float = HIGHEST
    choices: tuple[str, ...] = ()
    many: bool = False
    metavar: str | None = None
    flag: str | None = None
    show_default: bool = False

    def checked(self, value: object) -> object:
        """Return one value alone, as `ScanOptions` holds it.

        Raises
        ------
        ValueError
            It does not fit; the text says what would.
        """
        if not self.many:
            return self._one(value)
        if isinstance(value, str | bytes) or not isinstance(value, Iterable):
            raise ValueError(f"has to be a list of texts, not {_shown(value)}")
        return tuple(self._one(item) for item in value)

    def _one(self, value: object) -> object:
        match self.kind:
            case "flag":
                if not isinstance(value, bool):
                    raise ValueError(f"has to be true or false, not {_shown(value)}")
                return value
            case "whole":
                if isinstance(value, bool) or not isinstance(value, Integral):
                    raise ValueError(f"has to be a whole number, not {_shown(value)}")
                return self._in_range(int(value))
            case "number":
                if isinstance(value, bool) or not isinstance(value, Real):
                    raise ValueError(f"has to be a number, not {_shown(value)}")
                if not _is_finite(value):
                    raise ValueError(f"has to be a finite number, not {_shown(value)}")
                return self._in_range(float(value))
            case "choice":
                if value not in self.choices:
                    near = did_you_mean(value, self.choices) if isinstance(value, str) else ""
                    there = f"{', '.join(self.choices[:-1])} or {self.choices[-1]}"
                    raise ValueError(
                        f"has to be {there}, not {_shown(value)}" + (f" ({near})" if near else "")
                    )
                return str(value)
        if self.kind != "text" and isinstance(value, PathLike):
            value = fsdecode(value)
        if not isinstance(value, str):
            raise ValueError(f"has to be a text, not {_shown(value)}")
        if "\0" in value:
            raise ValueError("holds a NUL character")
        return value

    def _in_range(self, value: float) -> float:
        if (self.low is not None and value < self.low) or value > self.high:
            low = "" if self.low is None else f"from {self.low:g} "
            raise ValueError(f"has to be {low}to {self.high:g}, not {_shown(value)}")
        return value


def _is_finite(value: SupportsFloat) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond all floats
        return False


def _shown(value: object) -> str:
    try:
        shown = repr(value)
    except ValueError:  # a whole number with too many digits to be shown
        return "a number of thousands of digits"
    return shown if len(shown) <= 60 else f"{shown[:60]}…"


def _option(kind: Kind, help: str, default: object = None, **more: Any) -> Any:
    return field(default=default, metadata={"option": Option(kind, help, default, **more)})


@dataclass(frozen=True, kw_only=True)
class ScanOptions:
    """How a scan goes; of the command line, the settings, the Python API or beets.

    The fields are described by `OPTIONS`. None, where it is the
    default, means that nothing was said.

    Raises
    ------
    ConfigurationError
        A value does not fit; the message names it, and what would.

    >>> ScanOptions(exclude=["*.wav"]).exclude
    ('*.wav',)
    """

    model: str | None = _option(
        "model", "A model of the zoo (see gtag models) or a folder.", metavar="NAME|DIR"
    )
    min_confidence: float | None = _option(
        "number",
        "Leave alone what is less sure and, unless P is 0, what does not sound like music. "
        "Default: the model's own threshold for each genre.",
        low=0,
        high=1,
        metavar="P",
    )
    aim: float | None = _option(
        "number",
        "Name what is right in a share P of the cases, as measured for each genre; in place of "
        "--min-confidence.",
        low=0.5,
        high=0.99,
        metavar="P",
    )
    genres: int = _option(
        "whole",
        "Name up to N genres, where the model is sure of several.",
        1,
        low=1,
        high=1000,
        metavar="N",
        show_default=True,
    )
    detail: Detail = _option(
        "choice",
        "Name the style in place of its genre, or both, where the model is sure of it.",
        "genre",
        choices=get_args(Detail),
        show_default=True,
    )
    album: Album = _option(
        "choice",
        "Let a clear majority of an album's tracks decide for the unsure ones; or give all of "
        "them one genre.",
        "vote",
        choices=get_args(Album),
        show_default=True,
    )
    existing: Existing = _option(
        "choice",
        "What happens to a genre that a person wrote.",
        "keep",
        choices=get_args(Existing),
        show_default=True,
    )
    placeholders: tuple[str, ...] = _option(
        "text",
        "A genre of this name means that there is none, as Unknown does; repeatable.",
        (),
        many=True,
        metavar="WORD",
        flag="placeholder",
    )
    no_default_placeholders: bool = _option(
        "flag", "Unknown, Other, Misc and the like are genres, too.", False
    )
    mood: bool = _option(
        "flag",
        "Also write the mood (Energetic, Tense, Sad or Calm), where it is sure and none is there.",
        False,
    )
    genre_map: str | None = _option(
        "path",
        "Genres under your own names: renamed, merged, dropped (see gtag genres).",
        metavar="FILE.toml",
    )
    profile: str | None = _option(
        "choice",
        "Write what this program reads: the version of new ID3 tags, one genre or several.",
        choices=tuple(PROFILES),
    )
    comment: bool = _option(
        "flag",
        "With --profile rekordbox: put the genre at the end of the comment, too: [gtag: Techno].",
        False,
    )
    jobs: int | None = _option(
        "whole", "Worker processes. Default: one a core.", low=1, high=4096, metavar="N"
    )
    exclude: tuple[str, ...] = _option(
        "text", "Leave out what matches; repeatable.", (), many=True, metavar="GLOB"
    )
    no_default_excludes: bool = _option(
        "flag", "Do not leave out trash, older versions, transfers and temporary files.", False
    )
    limit: int | None = _option("whole", "Stop after N tracks.", low=1, metavar="N")
    preserve_mtime: bool = _option("flag", "Keep the modification time of files.", False)
    in_place: bool = _option(
        "flag",
        "Write files that no copy can replace (hard links, another owner) into the file itself.",
        False,
    )
    min_age: float = _option(
        "number",
        "Write no file that changed within so many seconds: another program may still write it.",
        MIN_AGE_S,
        low=0,
        metavar="S",
        show_default=True,
    )
    write_incomplete: bool = _option(
        "flag", "Write files too that are cut off or hold zeros.", False
    )
    no_cache: bool = _option("flag", "Decode every file, and store nothing in the cache.", False)
    journal: str | None = _option("path", "Journal file, which gtag undo reads.", metavar="FILE")
    trust: bool = _option("flag", "Use a journal that belongs to another user.", False)

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if value is None and each.default is None:
                continue
            object.__setattr__(self, each.name, _checked(OPTIONS[each.name], each.name, value))
        if self.aim is not None and self.min_confidence is not None:
            raise ConfigurationError(
                "an aim and a minimum confidence exclude each other", hint="say one of them"
            )

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Self:
        """Return those of a command's parameters that are options of a scan."""
        return cls(
            **{each.name: options[each.name] for each in fields(cls) if each.name in options}
        )


# By the names of their fields.
OPTIONS: dict[str, Option] = {each.name: each.metadata["option"] for each in fields(ScanOptions)}


def flag(name: str, value: object) -> bool:
    """Return a true or false value that is no option of a scan.

    Raises
    ------
    ConfigurationError
    """
    return bool(_checked(Option("flag", ""), name, value))


def _checked(option: Option, name: str, value: object) -> object:
    try:
        return option.checked(value)
    except ValueError as error:
        raise ConfigurationError(f"{name} {error}") from error
