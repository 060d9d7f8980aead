"""A small file of every container that gtag tags, and tags as people have them, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mutagen
import pytest
from mutagen.apev2 import APEv2
from mutagen.id3 import APIC, COMM, TCON, TIT2

from tagger.formats import MP3, Format, identify

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
        path = made.rename(folder / f"track{name}")
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
