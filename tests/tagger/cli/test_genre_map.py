"""`--genre-map` and `gtag genres`, from end to end."""

import json
import re

import mutagen
import pytest
from mediafile import MediaFile

from tests.conftest import aged

SURE_OF_ALL = ("--min-confidence", "0", "--jobs", "1", "--json")


@pytest.mark.parametrize("suffix", [".mp3", ".flac", ".m4a"])
def test_the_map_s_names_are_written_and_taken_back(gtag, make_audio, tmp_path, suffix):
    piece = make_audio(suffix)
    first = json.loads(gtag("scan", piece, *SURE_OF_ALL, "--write-tags").out)
    file = tmp_path / "map.toml"
    file.write_text(f'[rename]\n"{first["genre"]}" = "Mine"\n')
    options = ("--genre-map", file, *SURE_OF_ALL)
    row = json.loads(gtag("scan", aged(piece), *options, "--write-tags").out)
    assert (row["status"], row["genre"], row["new_genre"]) == ("written", "Mine", "Mine")
    assert row["old_genre"] == first["genre"]
    assert MediaFile(piece).genre == "Mine"
    said = str(mutagen.File(piece).tags)
    assert said.count("Mine") >= 2 and first["genre"] not in said
    assert json.loads(gtag("scan", piece, *options).out)["status"] == "unchanged"
    assert gtag("undo").status == 0
    assert MediaFile(piece).genre == first["genre"]


def test_what_a_person_wrote_stands_and_is_not_said_twice(gtag, make_audio, tmp_path):
    piece = make_audio(".flac")
    guess = json.loads(gtag("scan", piece, *SURE_OF_ALL).out)["genre"]
    media = MediaFile(piece)
    media.genre = "My Word"
    media.save()
    file = tmp_path / "map.toml"
    options = ("scan", aged(piece), "--existing", "append", *SURE_OF_ALL)
    assert json.loads(gtag(*options).out)["new_genre"] == f"My Word; {guess}"
    file.write_text(f'[aliases]\n"{guess}" = ["my word"]\n')
    row = json.loads(gtag(*options, "--genre-map", file).out)
    assert (row["status"], row["new_genre"]) == ("kept", "My Word")


def test_a_mistake_ends_the_scan_before_it_begins(gtag, make_audio, tmp_path):
    file = tmp_path / "map.toml"
    file.write_text('[rename]\n\nJaz = "Swing"\n')
    ran = gtag("scan", make_audio(".mp3"), "--genre-map", file)
    assert ran.status == 2
    assert f"gtag: {file}: line 3: no model has a genre 'Jaz' (did you mean Jazz?)" in ran.err
    assert gtag("genres", "--genre-map", file).status == 2


def test_genres_shows_what_a_map_does(gtag, tmp_path):
    plain = gtag("genres")
    assert plain.status == 0 and "  House" in plain.out and "written as" not in plain.out
    file = tmp_path / "map.toml"
    file.write_text('drop = ["Pop", "Trance"]\n[merge]\nSoul = ["R&B", "Disco"]\n')
    shown = gtag("genres", "--genre-map", file).out
    rows = dict(re.findall(r"^ *(\S.*?)  +(\S.*?) *$", shown, re.M))
    assert rows["Disco"] == rows["R&B"] == "Soul"
    assert (rows["Pop"], rows["Trance"], rows["Jazz"]) == ("not at all", "its genre", "Jazz")


def test_a_tree_is_imported(gtag, tmp_path):
    tree = tmp_path / "genres-tree.yaml"
    tree.write_text("- rock:\n  - metal\n")
    imported = gtag("genres", "import", tree)
    file = tmp_path / "map.toml"
    file.write_text(imported.out)
    shown = gtag("genres", "--genre-map", file).out
    assert any(line.split() == ["Metal", "Rock"] for line in shown.splitlines())
