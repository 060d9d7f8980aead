"""`import tagger`, as programs use it: on made audio, with the bundled models."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from mediafile import MediaFile

import tagger
from tagger import api
from tagger.training.run import train_model
from tests.conftest import aged
from tests.training.archives import write_archive

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def own_journal(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


@pytest.fixture(scope="module")
def model():
    return tagger.load_model()


def examples(document: str) -> str:
    return "\n".join(
        re.findall(r"^```python\n(.*?)^```", (ROOT / document).read_text("utf-8"), re.M | re.S)
    )


@pytest.mark.parametrize("document", ["README.md", "docs/python.md"])
def test_the_examples_of_the_documents_run(document, make_audio, monkeypatch, tmp_path, capsys):
    make_audio(".mp3", name="song.mp3")
    make_audio(".flac", name="Music/other.flac", seed=1)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(compile(examples(document), document, "exec"), names)
    assert capsys.readouterr().out
    if document == "README.md":
        assert [result.status.is_problem for result in names["written"]] == [False]
    else:
        assert names["track"].status == "written"
        assert names["file"].status == "restored"
        assert MediaFile(tmp_path / "song.mp3").genre != "Jazz"


def test_every_name_is_there_and_documented():
    assert tagger.__all__ == api.__all__ and len(tagger.__all__) > 20
    for name in tagger.__all__:
        assert getattr(tagger, name).__doc__
        assert name in dir(tagger)
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        _ = tagger.nothing_of_the_kind


def test_importing_it_imports_nothing_heavy():
    code = "import sys; import tagger; print({n.split('.')[0] for n in sys.modules})"
    told = subprocess.run([sys.executable, "-Sc", code], capture_output=True, text=True, cwd=ROOT)
    assert eval(told.stdout) - sys.stdlib_module_names - {"__main__"} == {"tagger"}, told.stderr


def test_importing_a_module_of_it_does_not_import_the_api():
    """Regression: `from tagger import errors` (a module then) took as long as all of it."""
    code = "import sys; from tagger import system; print('tagger.api' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert told.stdout == "False\n", told.stderr


def test_classify_says_what_a_scan_says(model, make_audio):
    piece = make_audio(".mp3")
    song = model.classify(piece)
    assert song.genres == tuple(song.prediction.ranked())
    assert (song.genre, song.confidence) == song.genres[0]
    assert song.model == model.tag
    assert {genre for genre, _ in song.genres} == set(model.genres)
    (result,) = tagger.scan(piece, model=model)
    assert (result.genre, result.confidence) == (song.genre, song.confidence)
    assert (result.status == tagger.Status.WOULD_WRITE) == song.sure
    assert song.sure or song.reason == result.message
    assert model.classify(piece, min_confidence=0).sure
    assert not model.classify(piece, min_confidence=1).sure


def test_classify_hears_the_whole_file_whatever_a_cue_sheet_says(model, make_audio):
    piece = make_audio(".flac", duration_s=6.0)
    alone = model.classify(piece)
    tracks = "".join(f"  TRACK 0{n} AUDIO\n    INDEX 01 00:0{3 * n - 3}:00\n" for n in (1, 2))
    piece.with_suffix(".cue").write_text(f'FILE "{piece.name}" WAVE\n{tracks}')
    assert [o.status for o in tagger.scan(piece, min_confidence=0)][1:] == [
        "cue-track",
        "cue-track",
    ]
    assert model.classify(piece).genres == alone.genres


def test_errors_are_typed(model, tmp_path):
    with pytest.raises(tagger.ModelError, match="there is no model"):
        tagger.load_model("nothing-of-the-kind")
    with pytest.raises(tagger.UnreadableError) as caught:
        model.classify(tmp_path / "missing.mp3")
    assert caught.value.path == str(tmp_path / "missing.mp3")
    text = tmp_path / "notes.mp3"
    text.write_text("no music")
    with pytest.raises(tagger.UnreadableError, match=r"not a sound format|no sound file"):
        model.classify(text)
    with pytest.raises(tagger.ConfigurationError):  # at once, not with the first result
        tagger.scan(tmp_path / "missing")


def test_a_model_without_a_network_has_no_embedding(make_audio, tmp_path):
    archive = write_archive(tmp_path / "hills")
    train_model("logistic", [archive], tmp_path / "lines", name="lines")
    with pytest.raises(tagger.ConfigurationError, match=r"no embedding.*cnn"):
        tagger.load_model(tmp_path / "lines").embedding(make_audio(".ogg"))


def test_an_embedding_is_of_the_models_first_network(model, make_audio):
    piece = make_audio(".ogg")
    embedding = model.embedding(piece)
    assert (embedding.shape, embedding.dtype) == ((200,), np.dtype(np.float32))
    assert np.array_equal(embedding, tagger.load_model("ensemble").embedding(piece))
    assert tagger.load_model("trees").embedding(piece).shape == (1024,)
    other = model.embedding(make_audio(".ogg", style="metal", seed=3))
    assert not np.allclose(embedding, other)


def test_threads_take_turns(model, make_audio):
    """Two threads that hide native messages at once would leave the standard error hidden."""
    pieces = [make_audio(".mp3", seed=seed, duration_s=1.5) for seed in range(3)]
    before, found = os.fstat(2), {}
    threads = [
        threading.Thread(target=lambda p=p: found.update({p: model.classify(p)})) for p in pieces
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[p].genres for p in pieces] == [model.classify(p).genres for p in pieces]
    assert os.fstat(2) == before


def test_scan_writes_only_when_told_and_undo_takes_it_back(make_audio, tmp_path):
    piece = make_audio(".m4a", name="Music/a.m4a")
    before = piece.read_bytes()
    (shown,) = tagger.scan([tmp_path / "Music"], min_confidence=0)
    assert (shown.status, piece.read_bytes()) == ("would-write", before)
    assert not (tmp_path / "state").exists()
    (written,) = tagger.scan([tmp_path / "Music"], min_confidence=0, write_tags=True)
    assert written.status is tagger.Status.WRITTEN
    assert MediaFile(piece).genre == written.new_genre
    (run,) = tagger.runs()
    assert (run.kind, run.in_force) == ("scan", 1)
    assert [file.status for file in tagger.undo(run.id, dry_run=True)] == ["would-restore"]
    assert [file.status for file in tagger.undo(paths=piece)] == [tagger.UndoStatus.RESTORED]
    assert MediaFile(piece).genre is None


@pytest.mark.skipif(sys.platform == "win32", reason="long names and links")
def test_scan_tells_what_it_could_not_look_at(make_audio):
    """Regression: a folder that could not be read was left out without a word."""
    piece = make_audio(".flac", name="music/a.flac")
    (piece.parent / "link").symlink_to("long" * 100)
    problems: list[tagger.GtagError] = []
    (result,) = tagger.scan(piece.parent, model="fast", jobs=1, problems=problems)
    assert result.path == str(piece)
    assert [problem.path for problem in problems] == [str(piece.parent / "link")]


def test_write_keeps_a_persons_genre_unless_told(make_audio):
    piece = make_audio(".flac")
    media = MediaFile(piece)
    media.genre = "Polka"
    media.save()
    aged(piece)
    assert tagger.write(piece, "Jazz").status == "kept"
    both = tagger.write(piece, "Jazz", existing="append", model="mine", confidence=0.5)
    assert (both.status, both.new_genre, both.model) == ("written", "Polka; Jazz", "mine")
    assert MediaFile(piece).genres == ["Polka", "Jazz"]
    # Just written, and by gtag itself: no other program is at it.
    only = tagger.write(piece, ["Jazz", "Blues"], existing="replace")
    said = tagger.read(piece)
    assert (said.genres, said.user_genres, said.gtag_model) == (("Jazz", "Blues"), (), "python")
    assert (only.status, MediaFile(piece).genres) == ("written", ["Jazz", "Blues"])
    assert tagger.write(piece, ["Jazz", "Blues"]).status == "unchanged"


def test_write_says_what_it_refuses(model, make_audio, tmp_path):
    piece = make_audio(".mp3")
    song = model.classify(piece)
    assert tagger.write(piece, song, min_confidence=1).status == "unsure"
    os.utime(piece)
    refused = tagger.write(piece, song, min_confidence=0)
    assert refused.status == "refused" and "changed" in refused.message
    assert tagger.write(piece, song, min_confidence=0, min_age_s=0).status == "written"
    assert tagger.write(tmp_path / "missing.mp3", "Jazz").status == "unreadable"
    text = tmp_path / "notes.mp3"
    text.write_text("no music")
    assert tagger.write(text, "Jazz").status == "unreadable"
    with pytest.raises(tagger.UnreadableError):
        tagger.read(text)
    for wrong in ("", [], ["Jazz", " "], "Rock; Pop", "Ro\u202eck", "a\0b", "x" * 101, [5]):
        with pytest.raises(ValueError, match="genre"):
            tagger.write(piece, wrong)
    with pytest.raises(ValueError, match="model"):
        tagger.write(piece, "Jazz", model="a\nb")
    with pytest.raises(ValueError, match="confidence"):
        tagger.write(piece, "Jazz", confidence=70)


@pytest.mark.parametrize("function", [tagger.scan, tagger.write])
def test_of_choices_the_default_is_named_first(function):
    """Regression: the reference said "off" of `album`: it takes the first."""
    for name, first in re.findall(r'(\w+) : \{"(\w+)"', function.__doc__):
        assert inspect.signature(function).parameters[name].default == first


@pytest.mark.parametrize(
    "wrong",
    [
        {"existing": "Keep"},
        {"existing": "KEEP "},
        {"album": "no"},
        {"detail": "Genre"},
        {"genres": 0},
        {"min_confidence": 7},
        {"min_confidence": float("nan")},
        {"jobs": 0},
        {"limit": -1},
        {"min_age_s": float("nan")},
        {"exclude": "*.wav"},
        {"placeholders": "Polka"},
        {"profile": "winamp"},
        {"write_tags": "no"},
        {"in_place": "no"},
        {"cache": "no"},
        {"journal": 7},
    ],
    ids=str,
)
def test_a_value_that_does_not_fit_is_refused_before_anything_is_done(wrong, make_audio, tmp_path):
    """Regression: `existing="Keep"` replaced people's genres."""
    piece = make_audio(".mp3")
    media = MediaFile(piece)
    media.genre = "Polka"
    media.save()
    aged(piece)
    before = piece.read_bytes()
    with pytest.raises(tagger.ConfigurationError):
        tagger.scan(piece, **{"write_tags": True, "min_confidence": 0, **wrong})
    of_write = inspect.signature(tagger.write).parameters
    if set(wrong) <= set(of_write):
        with pytest.raises(tagger.ConfigurationError):
            tagger.write(piece, "Jazz", **wrong)
    assert piece.read_bytes() == before
    assert not (tmp_path / "state").exists()


def test_an_undo_takes_true_or_false(make_audio):
    piece = make_audio(".mp3")
    assert tagger.write(piece, "Jazz").status == "written"
    before = piece.read_bytes()
    with pytest.raises(tagger.ConfigurationError, match="dry_run has to be true or false"):
        tagger.undo(dry_run="yes")
    assert piece.read_bytes() == before
    with pytest.raises(tagger.ConfigurationError, match="min_confidence"):
        tagger.load_model("fast").classify(piece, min_confidence=float("nan"))
