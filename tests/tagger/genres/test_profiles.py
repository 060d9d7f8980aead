"""What is written for one program to read, as TagLib and mutagen see it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import taglib
from mutagen.id3 import ID3

from tagger.containers.read import read_tags
from tagger.containers.snapshot import restore, snapshot
from tagger.containers.write import Change
from tagger.deciding.decide import Policy
from tagger.genres.profiles import PROFILES, Profile
from tagger.system.errors import ConfigurationError
from tests.tagger.containers.helpers import form, packets, write


@pytest.mark.parametrize("suffix", [".mp3", ".wav", ".aiff", ".tta"])
@pytest.mark.parametrize(("version", "joined"), [(3, True), (4, False)])
def test_a_new_tag_is_of_the_version_that_is_asked_for(make_audio, suffix, version, joined):
    path = make_audio(suffix)
    before, sound = path.read_bytes(), packets(path)
    old = snapshot(path, form(path))
    genres = ("Jazz", "Ťango", "R&B")
    write(path, Change(genres, genres, 0.5, "m-1", version))
    assert path.read_bytes().count(b"ID3" + bytes((version, 0))) == 1
    assert read_tags(path, form(path)).genres == genres
    assert packets(path) == sound
    with taglib.File(path) as seen:
        assert seen.tags["GENRE"] == (["; ".join(genres)] if joined else list(genres))
    # Once there, it stays, whatever is asked for.
    write(path, Change(("Rock",), ("Rock",), 0.5, "m-1", 7 - version))
    assert path.read_bytes().count(b"ID3" + bytes((version, 0))) == 1
    restore(path, form(path), old)
    assert path.read_bytes() == before


def test_what_is_carried_over_is_told_in_the_version_that_is_asked_for(make_audio):
    """A new 2.3 tag that hides an ID3v1 tag says what that said, as 2.3 does."""
    path = make_audio(".mp3")
    fields = (b"A title", b"An artist", b"An album", b"1999", b"A comment", b"\xff")
    sizes = (30, 30, 30, 4, 30, 1)
    old = b"TAG" + b"".join(f.ljust(n, b"\0") for f, n in zip(fields, sizes, strict=True))
    path.write_bytes(path.read_bytes() + old)
    write(path, Change(("Rock",), ("Rock",), 0.5, "m-1", 3))
    tags = ID3(path, translate=False, load_v1=False)
    assert tags.version == (2, 3, 0)
    assert tags["TYER"].text == ["1999"] and "TDRC" not in tags
    with taglib.File(path) as seen:
        assert [seen.tags[k] for k in ("GENRE", "TITLE", "DATE")] == [
            ["Rock"],
            ["A title"],
            ["1999"],
        ]


def test_a_policy_for_one_genre_writes_one():
    one = PROFILES["itunes"]
    Policy(profile=one, existing="replace")
    for wrong in ({"genres": 2}, {"existing": "append"}):
        with pytest.raises(ConfigurationError, match="iTunes and Music reads only one genre"):
            Policy(profile=one, **wrong)


def test_the_docs_show_every_profile():
    text = (Path(__file__).parents[3] / "docs" / "commands.md").read_text(encoding="utf-8")
    section = text.partition("### Profiles")[2].partition("\n### ")[0]
    shown = re.findall(r"^\| `(\w+)` \| (.*?) \| ID3v2\.(\d) \| (.*?) \|$", section, re.M)
    said = {
        n: Profile(p, int(version), genres[:3] != "one", "--comment" in genres)
        for n, p, version, genres in shown
    }
    assert said == PROFILES
