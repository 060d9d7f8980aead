"""The commands that only show: demo, models, show."""

import json
import re

from mediafile import MediaFile

from tagger.models import zoo


def test_demo_composes_and_scans_what_can_be_written_at_once(gtag, tmp_path):
    ran = gtag("demo", tmp_path / "pieces")
    assert ran.status == 0
    assert "synthetic" in ran.out
    assert {path.suffix for path in (tmp_path / "pieces").iterdir()} == {
        *(".mp3", ".flac", ".ogg", ".opus", ".m4a"),
    }
    assert "Nothing was written" in ran.out or "unsure" in ran.out
    ran = gtag("scan", tmp_path / "pieces", "--write-tags", "--min-confidence", 0, "--jobs", 1)
    assert ran.status == 0
    assert "5  written" in ran.out


def test_models_lists_the_zoo_with_figures(gtag):
    ran = gtag("models")
    assert ran.status == 0
    assert max(map(len, ran.out.splitlines()[:-1])) <= 80
    card = zoo.find(zoo.DEFAULT)
    assert "(default)" in ran.out and card.kind in ran.out
    for figures in card.figures:
        assert f"{100 * figures['accuracy']:.1f} %" in ran.out


def test_models_as_json(gtag):
    models = {m["name"]: m for m in map(json.loads, gtag("models", "--json").out.splitlines())}
    assert models[zoo.DEFAULT]["threshold"] == zoo.find(zoo.DEFAULT).threshold


def test_show_tells_what_it_hears_and_what_a_scan_would_do(gtag, make_audio):
    piece = make_audio(".flac", duration_s=50.0)
    before = piece.read_bytes()
    ran = gtag("show", piece)
    assert ran.status == 0
    assert "FLAC, 0:50" in ran.out
    card = zoo.find(zoo.DEFAULT)
    shares = [
        float(share)
        for _, share in re.findall(r"^  ([A-Z]\S*(?: [A-Z]\S+)?) +(0\.\d\d|1\.00)", ran.out, re.M)
    ]
    assert len(shares) == len(card.labels)
    assert shares == sorted(shares, reverse=True)
    assert len(re.findall(r"^ +\d+:\d\d  ", ran.out, re.M)) == 6
    assert re.search(r"^A scan would (write|leave it alone)", ran.out, re.M)
    assert piece.read_bytes() == before


def test_show_says_that_a_scan_would_refuse(gtag, make_audio):
    piece = make_audio(".flac", duration_s=40.0, style="disco")
    assert "A scan would write" in gtag("show", piece).out
    piece.chmod(0o444)
    assert "A scan would not write it: the file is read-only" in gtag("show", piece).out


def test_show_says_what_a_folder_or_an_empty_file_is(gtag, tmp_path):
    """Regression: "not a sound format that gtag supports" was said of both."""
    empty = tmp_path / "empty"
    empty.touch()
    assert "is a folder, not a music file" in gtag("show", tmp_path).err
    assert "empty file" in gtag("show", empty).err
    (tmp_path / "album.mp3").mkdir()
    assert "is a folder" in gtag("show", tmp_path / "album.mp3").err


def test_show_says_where_a_model_hears_no_single_seconds(gtag, make_audio):
    ran = gtag("show", make_audio(".flac"), "--model", "trees")
    assert "predicts for a track as a whole" in ran.out


def test_show_draws(gtag, make_audio, tmp_path):
    piece, picture = make_audio(".flac", duration_s=5.0), tmp_path / "picture.png"
    assert gtag("show", piece, "--plot", picture).status == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    before = piece.read_bytes()
    assert gtag("show", piece, "--plot", piece).status == 2
    assert piece.read_bytes() == before


def test_show_names_whose_genre_it_is(gtag, make_audio):
    piece = make_audio(".mp3")
    media = MediaFile(piece)
    media.genre = "Polka"
    media.save()
    ran = gtag("show", piece)
    assert "A scan would keep the genre: a person wrote Polka" in ran.out


def test_show_of_what_is_no_music_is_an_error(gtag, tmp_path):
    (tmp_path / "a.mp3").write_bytes(b"no music")
    ran = gtag("show", tmp_path / "a.mp3")
    assert ran.status == 1
    assert "a.mp3" in ran.err and "Traceback" not in ran.err
    assert gtag("show", tmp_path / "nowhere.mp3").status != 0
