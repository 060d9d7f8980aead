"""gtag listens to music files and writes genre and confidence into their tags.

For programmers, all that `__all__` names; it stands in `tagger.api` and is imported when first
asked for, so that `import tagger` takes no time. docs/python.md shows how to use it.

`tagger.training` and `tagger.model_zoo` lie inside an installed gtag. In a checkout they lie beside
`tagger`; two symbolic links show them to type checkers, and where git makes no links (Windows),
`__path__` leads there.
"""

import os.path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tagger.api import (
        Classification,
        ConfigurationError,
        GtagError,
        Model,
        ModelError,
        NothingToHearError,
        Prediction,
        RefusedError,
        ResourceError,
        RunRecord,
        Status,
        TagState,
        TrackResult,
        Undone,
        UndoStatus,
        UnreadableError,
        WriteFailedError,
        load_model,
        read,
        runs,
        scan,
        undo,
        write,
    )

__all__ = [
    "Classification",
    "ConfigurationError",
    "GtagError",
    "Model",
    "ModelError",
    "NothingToHearError",
    "Prediction",
    "RefusedError",
    "ResourceError",
    "RunRecord",
    "Status",
    "TagState",
    "TrackResult",
    "UndoStatus",
    "Undone",
    "UnreadableError",
    "WriteFailedError",
    "load_model",
    "read",
    "runs",
    "scan",
    "undo",
    "write",
]

if not os.path.isdir(os.path.join(__path__[0], "training")):  # noqa: PTH112, PTH118
    __path__.append(os.path.dirname(__path__[0]))  # noqa: PTH120


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from tagger import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
