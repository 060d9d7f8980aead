"""What three libraries that know nothing of gtag see in a file besides the genre."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import av
import taglib
from av.logging import Capture

from tagger.containers.formats import TTA
from tagger.containers.recognise import identify

Seen = dict[str, dict[str, str]]

# The genre and gtag's own fields, as one of the three names them.
_OURS = ("GENRE", "TCON", "TXXX:GTAG", "GTAG", "©GEN", "GNRE", "WM/GENRE")
_FREEFORM = "----:COM.APPLE.ITUNES:"


def as_programs_see(path: Path) -> Seen:
    """Every other field, by reader: TagLib's, ffmpeg's and mutagen's words; keys in capitals."""
    return {
        "taglib": _others(_by_taglib(path)),
        "ffmpeg": _others(_by_ffmpeg(path)),
        "mutagen": _others(_by_mutagen(path)),
    }


def genres_seen(path: Path) -> dict[str, str]:
    """The genre as each of the three says it; those that see none are left out."""
    said = {
        "taglib": _by_taglib(path).get("GENRE"),
        "ffmpeg": _by_ffmpeg(path).get("GENRE"),
    }
    return {reader: genre for reader, genre in said.items() if genre is not None}


def lost(before: Seen, after: Seen) -> list[str]:
    """Fields that a reader saw before and does not see now, or not with the same words."""
    return [
        f"{reader}: {key}: {value!r} became {after[reader].get(key)!r}"
        for reader, fields in before.items()
        for key, value in fields.items()
        if after[reader].get(key) != value
    ]


def _others(fields: dict[str, str]) -> dict[str, str]:
    return {k: v for k, v in fields.items() if not k.removeprefix(_FREEFORM).startswith(_OURS)}


def _by_taglib(path: Path) -> dict[str, str]:
    with _quiet():
        try:
            with taglib.File(path) as file:
                return {k.upper(): "\n".join(v) for k, v in file.tags.items()}
        except (OSError, UnicodeDecodeError):
            return {}


def _by_ffmpeg(path: Path) -> dict[str, str]:
    with Capture():
        try:
            with av.open(str(path), metadata_errors="replace") as container:
                streams = [s.metadata for s in container.streams]
                fields = [*container.metadata.items(), *(i for s in streams for i in s.items())]
                return {str(k).upper(): str(v) for k, v in fields}
        except av.error.FFmpegError:
            return {}


def _by_mutagen(path: Path) -> dict[str, str]:
    import mutagen
    from mutagen.trueaudio import TrueAudio

    try:
        # By its content mutagen takes a TTA with an ID3 tag for an MP3.
        file = TrueAudio(path) if identify(path) == TTA else mutagen.File(path)
    except mutagen.MutagenError:
        return {}
    if file is None or file.tags is None:
        return {}
    tags = file.tags.as_dict() if hasattr(file.tags, "as_dict") else dict(file.tags)
    return {k.upper(): str(v) for k, v in tags.items()}


@contextlib.contextmanager
def _quiet():
    """TagLib talks to descriptor 2."""
    saved, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)
