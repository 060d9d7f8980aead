"""Whether all that gtag needs works here: versions, decoders, models, folders, journal, cache.

Each check does the real thing on a small scale, and leaves nothing behind.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import Literal

from tagger.system.errors import GtagError, ModelError
from tagger.system.extras import EXTRAS
from tagger.system.places import home

State = Literal["ok", "note", "broken"]
Found = Iterator[tuple[str, State, str]]  # name, state, words

# Distributions that every scan needs.
_LIBRARIES = ("av", "ai-edge-litert", "mutagen", "numpy", "soxr", "loky", "click", "rich")
# Formats without an encoder to try them with: the names of their decoders.
_DECODE_ONLY = {
    "Monkey's Audio": ("ape",),
    "Musepack": ("mpc7", "mpc8"),
    "DSF": ("dsd_lsbf", "dsd_lsbf_planar"),
    "Speex": ("speex",),
    "AC-3": ("ac3",),
    "DTS": ("dca",),
}
_PIECE_S = 3.0
_LITTLE_BYTES = 200 * 1024 * 1024  # of free space: less than a large track and its copy need


@dataclass(frozen=True)
class Finding:
    """The result of one check, of a part such as ``decoders``.

    A note is not a fault, but worth knowing. The home folder is shown as ``~``.
    """

    part: str
    name: str
    state: State
    said: str


def examine() -> Iterator[Finding]:
    """Check everything, one finding at a time; nothing that is broken ends it."""
    parts = {
        "versions": _versions,
        "extras": _extras,
        "decoders": _decoders,
        "models": _models,
        "folders": _folders,
        "journal": _journal,
        "cache": _cache,
    }
    for part, check in parts.items():
        try:
            for name, state, said in check():
                yield Finding(part, name, state, without_home(said))
        except Exception as error:
            yield Finding(part, "", "broken", explained(error))


def explained(error: BaseException) -> str:
    """Format an error, the home folder shown as ``~``."""
    said = str(error) if isinstance(error, GtagError) else f"{type(error).__name__}: {error}"
    return without_home(said)


def without_home(text: str) -> str:
    """Return the same text, the home folder shown as ``~``."""
    own = str(home() or "")
    return text.replace(own, "~") if len(own) > 1 else text


def _versions() -> Found:
    yield "gtag", "ok", version("gtag-music")
    yield "Python", "ok", f"{platform.python_version()} ({platform.python_implementation()})"
    yield "system", "ok", f"{platform.platform()}, {os.cpu_count()} cores"
    encoding = f"{sys.getfilesystemencoding()} names, {sys.stdout.encoding} terminal"
    yield "encoding", "ok", encoding
    for name in _LIBRARIES:
        try:
            yield name, "ok", version(name)
        except PackageNotFoundError:
            yield name, "broken", "is not installed"


def _extras() -> Found:
    distributions = packages_distributions()
    for name, extra in EXTRAS.items():
        if missing := extra.missing():
            said = f"not installed: {', '.join(missing)}; {extra.purpose} needs it"
            yield f"[{name}]", "ok", said
            continue
        there = (distributions[package][0] for package in extra.packages)
        yield f"[{name}]", "ok", ", ".join(f"{d} {version(d)}" for d in there)


def _decoders() -> Found:
    import av

    from tagger.sound.demo import ENCODINGS, compose, encode

    ffmpeg = getattr(av, "ffmpeg_version_info", "") or ".".join(
        map(str, av.library_versions["libavcodec"])
    )
    yield "ffmpeg", "ok", f"{ffmpeg}, within PyAV {av.__version__}"
    samples = compose("disco", duration_s=_PIECE_S)
    with tempfile.TemporaryDirectory(prefix="gtag-doctor-") as folder:
        pieces = [(suffix, codec) for suffix, (_, codec) in ENCODINGS.items()]
        for suffix, codec in (*pieces, (".m4a", "alac")):
            file = Path(folder) / f"{codec}{suffix}"
            try:
                encode(samples, file, codec=codec)
            except (av.FFmpegError, ValueError, LookupError) as error:
                yield f"{suffix} {codec}", "note", f"not tried: no encoder ({error})"
                continue
            yield f"{suffix} {codec}", *_decoded(file)
    for name, codecs in _DECODE_ONLY.items():
        lacking = [codec for codec in codecs if not _is_decoder(codec)]
        said = f"no decoder {', '.join(lacking)}" if lacking else "decoder there, not tried"
        yield name, "note" if lacking else "ok", said


def _decoded(file: Path) -> tuple[State, str]:
    from tagger.containers.recognise import identify
    from tagger.sound.audio import read_excerpts
    from tagger.sound.native_messages import native_messages_hidden

    try:
        format = identify(file)
        with native_messages_hidden():
            sound = read_excerpts(file)
    except Exception as error:
        return "broken", explained(error)
    decoded_s = sound.duration_s or 0.0
    if format is None or abs(decoded_s - _PIECE_S) > 0.5:
        return "broken", f"{_PIECE_S:g} s of sound were decoded as {decoded_s:.2f} s"
    return "ok", f"{format.name}, decoded"


def _is_decoder(name: str) -> bool:
    import av

    try:
        av.Codec(name, "r")
    except (av.FFmpegError, ValueError, LookupError):
        return False
    return True


def _models() -> Found:
    from tagger.models import install, zoo
    from tagger.models.card import read_card

    folders = install.all_folders()
    if not any(folder.name == zoo.DEFAULT for folder in folders):
        yield zoo.DEFAULT, "broken", "the default model is missing: install gtag again"
    for folder in folders:
        try:
            card = read_card(folder)
            install.verify(card)
        except ModelError as error:
            yield folder.name, "broken", explained(error)
        else:
            yield card.tag, "ok", f"{card.kind}, checksum right, answers"


def _folders() -> Found:
    from tagger.system.places import cache_folder, config_folder, data_folder, state_folder

    folders = {
        "models": data_folder() / "models",
        "settings": config_folder(),
        "journal": state_folder(),
        "cache": cache_folder(),
        "temporary": Path(tempfile.gettempdir()),
    }
    for name, folder in folders.items():
        there = folder
        while not there.exists() and there.parent != there:
            there = there.parent
        free = shutil.disk_usage(there).free
        said = f"{folder}, {free / 1e9:,.1f} GB free"
        if there != folder:
            said += ", not there yet"
        try:
            with tempfile.TemporaryFile(dir=there):
                pass
        except OSError as error:
            # Folders of models, settings and cache may be read-only.
            state: State = "broken" if name in ("journal", "temporary") else "note"
            yield name, state, f"{said}, cannot be written: {error.strerror}"
        else:
            yield name, "ok" if free >= _LITTLE_BYTES else "note", said


def _journal() -> Found:
    from tagger.journal.journal import Journal, default_journal_path

    path = default_journal_path()
    if not path.exists():
        yield "journal", "ok", "none yet: the first scan that writes makes it"
        return
    with Journal(path) as journal:
        cut_off, runs = journal.cut_off(), journal.runs()
    size = path.stat().st_size / 1e6
    yield "journal", "ok", f"{len(runs):,} runs, {size:,.1f} MB, whole"
    if damaged := sum(run.damaged for run in runs):
        yield "runs", "note", f"{damaged} runs are damaged"
    if cut_off:
        yield (
            "writes",
            "note",
            f"{cut_off} were cut off; the next scan that writes, or undo, repairs them",
        )


def _cache() -> Found:
    import sqlite3
    from contextlib import closing

    from tagger.pipeline.cache import default_cache_path

    path = default_cache_path()
    if not path.exists():
        yield "cache", "ok", "none yet: the first scan makes it"
        return
    # Not by Cache, which replaces a damaged file.
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            (verdict,) = database.execute("PRAGMA quick_check(1)").fetchone()
            (files,) = database.execute("SELECT COUNT(*) FROM files").fetchone()
    except sqlite3.Error as error:
        yield "cache", "note", f"cannot be read ({error}); the next scan makes a new one"
        return
    said = f"{files:,} files, {path.stat().st_size / 1e6:,.1f} MB"
    if verdict == "ok":
        yield "cache", "ok", said
    else:
        yield "cache", "note", f"damaged ({verdict}); the next scan makes a new one"
