"""A small file of every container that gtag tags, and tags as people have them, for tests."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import mutagen
import pytest
from mutagen.apev2 import APEv2
from mutagen.id3 import APIC, COMM, TCON, TIT2
from mutagen.ogg import OggPage

from tagger.containers.formats import MP3, Format
from tagger.containers.recognise import identify

# Containers that gtag itself can encode, by suffix.
ENCODED = [".mp3", ".flac", ".ogg", ".opus", ".oga", ".m4a", ".wma", ".wav", ".aiff", ".wv", ".tta"]
# Containers that need a file from the shared corpora.
BORROWED = ["empty.spx", "mac-399.ape", "sv8_header.mpc", "click.mpc", "with-id3.dsf"]

EVERY_CONTAINER = [
    *(pytest.param(suffix, id=suffix[1:]) for suffix in ENCODED),
    *(pytest.param(name, id=name, marks=pytest.mark.shared_data) for name in BORROWED),
]


def specimen(name: str, request: pytest.FixtureRequest, folder: Path) -> tuple[Path, Format]:
    """A file of a container of `EVERY_CONTAINER`, in a folder of its own, and its format."""
    folder.mkdir(exist_ok=True)
    if name.startswith("."):
        made = request.getfixturevalue("make_audio")(name, duration_s=1.0)
        path = Path(shutil.move(made, folder / f"track{name}"))
    else:
        source = request.getfixturevalue("shared_data") / "corpora" / "mutagen" / name
        path = folder / name
        path.write_bytes(source.read_bytes())
    format = identify(path)
    assert format is not None
    return path, format


def tag_as_people_do(path: Path, format: Format) -> None:
    """Give a file a genre, a title, a picture where they are common, and old tags beside."""
    file: Any = format.open_with_mutagen(str(path))
    if file.tags is None:
        file.add_tags()
    match format.family:
        case "id3":
            file.tags.add(TCON(encoding=3, text=["Krautrock", "Ambient"]))
            file.tags.add(TIT2(encoding=1, text="Für Elise — エリーゼ"))
            file.tags.add(COMM(encoding=0, lang="deu", desc="", text="from the attic"))
            file.tags.add(APIC(encoding=0, mime="image/png", type=3, desc="", data=bytes(3000)))
        case "mp4":
            file["\xa9gen"] = ["Krautrock"]
            file["\xa9nam"] = ["Für Elise"]
        case "asf":
            file["WM/Genre"] = ["Krautrock"]
            file["Title"] = ["Für Elise"]
        case _:
            file["Genre"] = ["Krautrock", "Ambient"]
            file["Title"] = ["Für Elise"]
    if format == MP3:
        file.save(v1=2, v2_version=3)
        old = APEv2()
        old["Genre"], old["Album"] = "Progressive", "Attic"
        old.save(str(path))
    else:
        file.save()


def as_mutagen_says(path: Path) -> dict[str, str]:
    """Every field of the main tag as text, in mutagen's words; empty where there is no tag."""
    file = mutagen.File(path)
    return {str(key): str(value) for key, value in (file.tags or {}).items()}


# What a Theora stream of 320 by 320 pixels begins with, as libtheora writes it.
_THEORA = bytes.fromhex(
    "807468656f726103020100140014000140000140000000015f900000000100000100000100030d4000d8"
)


def add_theora(path: Path, frames: int) -> None:
    """Give an Ogg Vorbis file pictures: one frame, as ffmpeg makes of a cover, or a film."""
    pages = []
    with path.open("rb") as file:
        while file.read(1):
            file.seek(-1, 1)
            pages.append(OggPage(file))
    comment = b"\x81theora" + b"\x04\0\0\0test" + bytes(4)
    headers = [_THEORA, comment, b"\x82theora" + bytes(range(256)) * 12]
    shown = [b"\x00\x06b\x93,~\xb4\xcb" + bytes(6)] + [b"@"] * (frames - 1)
    made = []
    for number, packets in enumerate(([_THEORA], headers[1:], shown)):
        page = OggPage()
        page.serial, page.sequence, page.packets, page.position = 4711, number, packets, 0
        made.append(page)
    made[0].first, made[2].last, made[2].position = True, True, 64 + frames - 1
    headers_end = next(i for i, page in enumerate(pages) if page.position > 0)
    order = [made[0], pages[0], made[1], *pages[1:headers_end], made[2], *pages[headers_end:]]
    path.write_bytes(b"".join(page.write() for page in order))
