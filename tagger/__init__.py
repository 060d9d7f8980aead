"""gtag classifies music files and writes genre and confidence into their tags.

For programmers, all that `tagger.api.__all__` names. `tagger.api` is imported when a name is first
asked for, so that `import tagger` takes no time. docs/python.md shows how to use it.

`tagger.training` and `tagger.model_zoo` lie inside an installed gtag. In a checkout they lie beside
`tagger`; two symbolic links show them to type checkers, and where git makes no links (Windows),
`__path__` leads there.
"""

# ruff: noqa: F405
import os.path
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tagger.api import *  # noqa: F403 - what `__all__` there names

if not os.path.isdir(os.path.join(__path__[0], "training")):  # noqa: PTH112, PTH118
    __path__.append(os.path.dirname(__path__[0]))  # noqa: PTH120


def __getattr__(name: str) -> Any:
    # `from tagger import system` asks here first, and must not import the whole API.
    if name == "__all__" or not (name.startswith("_") or find_spec(f"tagger.{name}")):
        api = import_module("tagger.api")
        if name == "__all__" or name in api.__all__:
            return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__getattr__("__all__")})
