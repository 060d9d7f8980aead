"""A track's cover: the picture in its tags, or the one beside it. Only read, never written."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import suppress
from os import PathLike
from pathlib import Path

from tagger.containers.formats import Format
from tagger.containers.read import open_by_mutagen
from tagger.system.regular import open_regular

_LARGEST = 16 << 20  # bytes
# How the pictures begin that every browser shows, and nothing else: SVG can hold scripts.
_KINDS = {
    b"\xff\xd8\xff": "image/jpeg",
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"GIF8": "image/gif",
    b"RIFF": "image/webp",
}
_HEAD = 1024  # bytes in front of the picture within a value: its type and description
# As players look for them, in this order, with capitals or without.
_BESIDE = [
    f"{name}.{suffix}"
    for name in ("cover", "folder", "front", "album")
    for suffix in ("jpg", "jpeg", "png", "webp", "gif")
]


def read_cover(path: str | PathLike[str], format: Format) -> tuple[str, bytes] | None:
    """Return a track's cover and its media type: of its tags, else of its folder; or None."""
    return _in_tags(path, format) or _in_folder(Path(path).parent)


def _in_folder(folder: Path) -> tuple[str, bytes] | None:
    """Return the picture that lies in a folder for all of its tracks.

    No link is followed: it may lead out of the music.
    """
    with suppress(OSError):
        there = {file.name.casefold(): file for file in sorted(folder.iterdir())}
        for name in filter(there.__contains__, _BESIDE):
            with (
                suppress(OSError),  # a link, a pipe, somebody else's
                open_regular(there[name], follow=False) as file,
            ):
                content = file.read(_LARGEST + 1)
                found = _picture(content)
                if found and found[1] == content:
                    return found
    return None


def _in_tags(path: str | PathLike[str], format: Format) -> tuple[str, bytes] | None:
    """Return the first picture in a file's tags and its media type; None where there is none."""
    try:
        for value in _values(open_by_mutagen(path, format), format.family):
            if found := _picture(value):
                return found
    except Exception:  # hostile bytes: nothing depends on it
        return None
    return None


def _values(opened: object, family: str) -> Iterator[bytes]:
    """Yield what may hold a picture."""
    for picture in getattr(opened, "pictures", ()):  # FLAC's blocks
        yield picture.data
    tags = getattr(opened, "tags", None)
    if tags is None:
        return
    match family:
        case "id3":
            yield from (frame.data for frame in tags.getall("APIC"))
        case "vorbis":
            for text in tags.get("metadata_block_picture", []):
                yield base64.b64decode(text)
        case "mp4":
            yield from map(bytes, tags.get("covr", []))
        case "asf":
            yield from (value.value for value in tags.get("WM/Picture", []))
        case "ape":
            yield from (tags[key].value for key in tags if key.lower().startswith("cover art"))


def _picture(value: bytes) -> tuple[str, bytes] | None:
    if len(value) > _LARGEST:
        return None
    found = [
        (at, kind) for magic, kind in _KINDS.items() if (at := value.find(magic, 0, _HEAD)) >= 0
    ]
    if not found:
        return None
    at, kind = min(found)
    return kind, value[at:]
