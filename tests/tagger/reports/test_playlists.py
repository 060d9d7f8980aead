"""Playlists: as a second library reads them, and safe whatever tracks and genres are called."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import m3u8
import pytest
from mediafile import MediaFile

from tagger.deciding.decide import Status
from tagger.genres.placeholders import Placeholders
from tagger.pipeline.road import TrackResult
from tagger.reports.playlists import MARK, Playlists


def made(folder, *results):
    lists = Playlists(folder, Placeholders())
    for result in results:
        lists.add(result)
    written, others = lists.write()
    lists.close()
    return written, others, lists.unnamable


def kept(path, genre, seconds=3.4):
    return TrackResult(str(path), Status.KEPT, new_genre=genre, duration_s=seconds)


def entries(file):
    """What another library sees: path, length and title of each track."""
    return [(one.uri, one.duration, one.title) for one in m3u8.load(str(file)).segments]


def found(file):
    """The files that it leads to."""
    return [Path(file.parent, uri).resolve() for uri, _, _ in entries(file)]


def test_a_track_stands_in_the_list_of_each_of_its_genres(make_audio, tmp_path):
    one, two = make_audio(".flac", name="m/a/one.flac"), make_audio(".mp3", name="m/b/two.mp3")
    media = MediaFile(one)
    media.artist, media.title = "Nina\n Simone", "Sinnerman, live"
    media.save()
    folder = tmp_path / "lists"
    told = made(
        folder, kept(one, "Jazz; Soul"), kept(two, "jazz", None), kept(two, ""), kept(two, "Other")
    )
    assert told == (2, [], 0)
    assert sorted(file.name for file in folder.iterdir()) == ["Jazz.m3u8", "Soul.m3u8"]
    assert entries(folder / "Jazz.m3u8") == [
        ("../m/a/one.flac", 3, "Nina Simone - Sinnerman, live"),
        ("../m/b/two.mp3", -1, "two"),
    ]
    assert found(folder / "Jazz.m3u8") == [one, two] and found(folder / "Soul.m3u8") == [one]
    text = (folder / "Soul.m3u8").read_bytes().decode("utf-8")
    assert text.startswith(f"#EXTM3U\n{MARK}\n#PLAYLIST:Soul\n#EXTINF:3,")


@pytest.mark.skipif(sys.platform == "win32", reason="names that Windows refuses")
@pytest.mark.parametrize(
    "name",
    [
        *("#1 hits/#1.flac", " blank/ x.flac", "http:/x.flac", "-rf.flac", "曲/é.flac"),
        *("%41.flac", "a\\b.flac", "C:/x.flac", "[x]/(y).flac"),
    ],
)
def test_odd_names_lead_to_their_files(make_audio, tmp_path, name):
    piece = make_audio(".flac", name=f"m/{name}")
    made(tmp_path / "m", kept(piece, "Jazz"))
    assert found(tmp_path / "m" / "Jazz.m3u8") == [piece]


@pytest.mark.parametrize("name", ["a\nb.flac", "a\rb.flac", "caf\udce9.flac", "a\u2028b", "x "])
def test_names_that_no_line_can_hold_are_counted(tmp_path, name):
    told = made(tmp_path / "lists", kept(tmp_path / name, "Jazz"), kept(tmp_path / "b", "Jazz"))
    assert told == (1, [], 1)
    assert [uri for uri, _, _ in entries(tmp_path / "lists" / "Jazz.m3u8")] == ["../b"]


def test_genres_have_names_that_every_system_allows(tmp_path):
    genres = ["AC/DC", "ac:dc", "CON", "com1.x", "../../up", "", "\udce9\x1b[2J", "x" * 999, "a."]
    genres += ["Polka", "POLKA", "e\u0301", "\u00e9", "hip hop", "Rap"]
    folder = tmp_path / "lists"
    made(folder, *(kept(tmp_path / f"{i}.mp3", genre) for i, genre in enumerate(genres)))
    names = sorted(file.name.removesuffix(".m3u8") for file in folder.iterdir())
    assert names == sorted(
        [
            *("AC_DC", "ac_dc (2)", "CON_", "com1.x_", "_.._up", "__[2J", "x" * 60, "a"),
            *("Polka", "\u00e9", "Hip-Hop"),
        ]
    )
    assert len(entries(folder / "Polka.m3u8")) == len(entries(folder / "Hip-Hop.m3u8")) == 2
    assert sorted(os.listdir(tmp_path)) == ["lists"]  # noqa: PTH208


def test_lists_of_other_people_stay_and_gtags_own_are_replaced(tmp_path):
    folder = tmp_path / "lists"
    made(folder, kept(tmp_path / "old.mp3", "Jazz"), kept(tmp_path / "old.mp3", "Rock"))
    (folder / "Rock.m3u8").write_text("#EXTM3U\nmine.mp3\n")
    (folder / "Pop.m3u8").mkdir()
    (folder / "Blues.m3u8").symlink_to(tmp_path / "nowhere")
    genres = ("Jazz", "Rock", "Pop", "Blues")
    written, others, _ = made(folder, *(kept(tmp_path / "new.mp3", genre) for genre in genres))
    assert written == 1
    assert [Path(error.path).name for error in others] == ["Blues.m3u8", "Pop.m3u8", "Rock.m3u8"]
    assert (folder / "Rock.m3u8").read_text() == "#EXTM3U\nmine.mp3\n"
    assert [uri for uri, _, _ in entries(folder / "Jazz.m3u8")] == ["../new.mp3"]
    assert len(list(folder.iterdir())) == 4


def test_paths_are_relative_to_where_the_folder_really_lies(make_audio, tmp_path):
    piece = make_audio(".flac", name="m/x.flac")
    (tmp_path / "deep" / "real").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "deep" / "real")
    made(tmp_path / "link", kept(piece, "Jazz"))
    assert found(tmp_path / "link" / "Jazz.m3u8") == [piece]
    assert entries(tmp_path / "link" / "Jazz.m3u8")[0][0] == "../../m/x.flac"
