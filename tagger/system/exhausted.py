"""Whether an error means that memory, open files or threads ran out: then no file is to blame."""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator

from tagger.system.errors import ResourceError

if sys.platform != "win32":
    import resource

# Address space that a process needs to classify, on two cores. More cores need more.
_NEEDED_MB = 900

_BY_NUMBER = {
    errno.ENOMEM: "memory",
    errno.EMFILE: "the number of open files",
    errno.ENFILE: "the number of open files",
}
# Of errors that have no number: of threads and of libraries.
_BY_WORDS = {
    "can't start new thread": "the number of threads",
    "failed to map segment": "memory",
    "Cannot allocate memory": "memory",
}
_HINTS = {
    "memory": "close other programs, use fewer --jobs, or raise ulimit -v",
    "the number of open files": "use --jobs 1, close other programs, or raise ulimit -n",
    "the number of threads": "use --jobs 1, close other programs, or raise ulimit -u",
}


def what_ran_out(error: BaseException) -> ResourceError | None:
    """Return the resource whose lack raised an error; None where that was not the cause."""
    for one in _with_causes(error):
        lacking = "memory" if isinstance(one, MemoryError) else None
        if isinstance(one, OSError):
            lacking = lacking or _BY_NUMBER.get(one.errno or 0)
        lacking = lacking or next((_BY_WORDS[w] for w in _BY_WORDS if w in str(one)), None)
        if lacking:
            said = "memory ran out" if lacking == "memory" else f"{lacking} is exhausted"
            return ResourceError(said, hint=_HINTS[lacking])
    return None


def check_memory() -> None:
    """Raise ResourceError where the memory that is allowed cannot be enough to classify.

    Libraries that get too little crash, hang or report something else.
    """
    if sys.platform == "win32":
        return
    allowed, _ = resource.getrlimit(resource.RLIMIT_AS)
    if allowed != resource.RLIM_INFINITY and allowed < _NEEDED_MB << 20:
        raise ResourceError(
            f"not enough memory: {_NEEDED_MB} MB needed, {allowed >> 20} MB allowed",
            hint="raise ulimit -v",
        )


def _with_causes(error: BaseException | None) -> Iterator[BaseException]:
    passed: set[int] = set()
    while error is not None and id(error) not in passed:
        passed.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
