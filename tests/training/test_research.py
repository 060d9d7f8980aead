"""What the extra [research] brings: sets of mirdata, TensorBoard's logs, export as ONNX."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tagger.models import zoo
from tagger.system.errors import ConfigurationError, DataError
from tagger.training.data.load_examples import Sources, load_examples
from tagger.training.run import train_model
from tests.training.archives import write_archive
from tests.training.recorder import Recorder


@pytest.fixture
def gtzan(make_audio, tmp_path, monkeypatch):
    """A small GTZAN where mirdata looks for it; its index stands in for the one from the net."""
    core = pytest.importorskip("mirdata.core")
    monkeypatch.setenv("HOME", str(tmp_path))
    index = {}
    for genre in ("jazz", "metal", "disco"):
        for i in range(2):
            track, file = f"{genre}.{i:05d}", f"gtzan_genre/genres/{genre}/{genre}.{i:05d}.wav"
            if genre != "disco":  # in the index, and not downloaded
                make_audio(".wav", name=f"mir_datasets/gtzan_genre/{file}", style=genre, seed=i)
            index[track] = {"audio": [file, None], "beats": [None, None], "tempo": [None, None]}
    monkeypatch.setattr(core.Dataset, "_index", {"tracks": index})


def test_a_set_of_mirdata_is_learned_from(gtzan, tmp_path):
    sources = Sources([Path("mirdata:gtzan_genre")])
    examples = load_examples(sources, tmp_path / "work", reporter=Recorder())
    assert [(e.track, e.genre) for e in examples] == [
        *(("jazz.00000", "Jazz"), ("jazz.00001", "Jazz")),
        *(("metal.00000", "Metal"), ("metal.00001", "Metal")),
    ]
    assert {e.source for e in examples} == {"mirdata:gtzan_genre"}


def test_a_set_that_mirdata_lacks_or_has_not_downloaded_is_named(tmp_path, monkeypatch):
    pytest.importorskip("mirdata")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(ConfigurationError, match="no data set 'gtzan_genres'") as caught:
        load_examples(Sources([Path("mirdata:gtzan_genres")]), tmp_path / "work")
    assert "gtzan_genre" in caught.value.hint
    with pytest.raises(DataError, match="gtzan_genre") as caught:
        load_examples(Sources([Path("mirdata:gtzan_genre")]), tmp_path / "work")
    assert "mirdata.initialize" in caught.value.hint


def test_networks_write_tensorboards_logs(tmp_path):
    pytest.importorskip("tensorboard")
    archive = write_archive(tmp_path / "hills", tracks_per_genre=6, columns=130)
    logs = tmp_path / "logs"
    train_model(
        "dense", [archive], tmp_path / "m", protocols=["fault-filtered"], epochs=2, logs=logs
    )
    parts = {file.relative_to(logs).parts[:2] for file in logs.rglob("events.*")}
    assert {("fault-filtered", "train"), ("fault-filtered", "validation")} <= parts
    assert ("dense on all", "train") in parts


def test_logs_are_for_networks(tmp_path):
    with pytest.raises(ConfigurationError, match="does not support --logs"):
        train_model("logistic", [tmp_path], tmp_path / "m", logs=tmp_path / "logs")


def test_a_network_says_as_onnx_what_it_says_here(tmp_path):
    pytest.importorskip("tf2onnx")
    runtime = pytest.importorskip("onnxruntime")
    from tagger.training.onnx_export import export

    card, file = zoo.find("musicnn"), tmp_path / "musicnn.onnx"
    export(card, file)
    session = runtime.InferenceSession(file)
    patches = np.random.default_rng(0).random((2, 187, 96), dtype=np.float32)
    names = [output.name for output in session.get_outputs()]
    assert sorted(names) == ["embedding", "tags"]
    said = dict(zip(names, session.run(None, {"patches": patches}), strict=True))
    expected = zoo.load_backbone("musicnn").outputs(patches)
    for name in names:
        np.testing.assert_allclose(said[name], expected[name], rtol=1e-3, atol=1e-3)


def test_what_is_no_network_is_not_exported(tmp_path):
    pytest.importorskip("tf2onnx")
    from tagger.training.onnx_export import export

    with pytest.raises(ConfigurationError, match=r"trees-\d+ is no network"):
        export(zoo.find("trees"), tmp_path / "trees.onnx")
