"""What the tests of tags share: a change to write, and a demuxer's view of the sound."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import av

from tagger.containers.formats import Format
from tagger.containers.parts import digest_of
from tagger.containers.read import open_or_explain
from tagger.containers.recognise import identify
from tagger.containers.snapshot import restore, same_fields, snapshot
from tagger.containers.verify import check_kept
from tagger.containers.write import Change, write_change

CHANGE = Change(("Hip-Hop",), ("Hip-Hop",), 0.87, "cnn-1")
TWO = Change(("Polka", "Hip-Hop"), ("Hip-Hop",), 0.5, "cnn-1")


def packets(path: Path) -> list[str]:
    """A hash of each packet of sound, by ffmpeg's demuxers: they know nothing of gtag."""
    found = []
    with av.open(str(path), metadata_errors="replace") as container:
        stream = container.streams.audio[0]
        try:
            for packet in container.demux(stream):
                if packet.size:
                    found.append(hashlib.sha1(bytes(packet)).hexdigest())
        except av.error.InvalidDataError:
            found.append("an APE tag before ID3v1: ffmpeg stumbles over it in a WavPack file")
    return found


def form(path: Path) -> Format:
    found = identify(path)
    assert found is not None
    return found


def content_hash(path: Path, format: Format) -> str:
    """Of all in a file that is no tag."""
    with open(path, "rb") as file:
        return digest_of(open_or_explain(file, format, path).content())


def write(
    path: Path, change: Change = CHANGE, *, preserve_mtime: bool = False, in_place: bool = False
) -> None:
    write_change(path, form(path), change, preserve_mtime=preserve_mtime, in_place=in_place)


def write_and_restore(path: Path, change: Change = CHANGE) -> bytes:
    """Write, restore from a snapshot that went through JSON; returns what stood between."""
    before = path.read_bytes()
    found = form(path)
    old = json.loads(json.dumps(snapshot(path, found, change.roles)))
    write_change(path, found, change)
    between = path.read_bytes()
    assert not same_fields(path, found, old)
    restore(path, found, old)
    assert same_fields(path, found, old)
    original = path.with_name("original" + path.suffix)
    original.write_bytes(before)
    check_kept(original, path, found, change.roles)
    return between
