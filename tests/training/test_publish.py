"""A model's folder is written whole, and what stood there stands until then."""

from __future__ import annotations

from pathlib import Path

import pytest

from tagger.models.card import read_card
from tagger.training import publish
from tagger.training.publish import write_model

CARD = {"name": "mine", "kind": "cnn", "labels": ["A", "B"]}


def written(folder: Path, version: int) -> None:
    write_model(folder, CARD | {"version": version}, {"cnn.tflite": b"weights"})


@pytest.mark.parametrize("moment", ["first", "second", "cleaning"])
def test_a_model_is_there_whatever_happens_while_it_is_replaced(tmp_path, monkeypatch, moment):
    """Regression: interrupted while the old model was deleted, neither was left."""
    folder = tmp_path / "mine"
    written(folder, 1)
    rename, calls = Path.rename, []

    def interrupted(self: Path, target: Path) -> Path:
        calls.append(target)
        if len(calls) == {"first": 1, "second": 2}.get(moment):
            raise KeyboardInterrupt
        return rename(self, target)

    def cut_off(path: Path, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "rename", interrupted)
    if moment == "cleaning":
        monkeypatch.setattr(publish.shutil, "rmtree", cut_off)
    with pytest.raises(KeyboardInterrupt):
        written(folder, 2)
    monkeypatch.undo()
    card = read_card(folder)
    assert card.version == (2 if moment == "cleaning" else 1) and card.weights() == b"weights"
    if moment != "cleaning":
        assert [p.name for p in tmp_path.iterdir()] == ["mine"]
    written(folder, 3)
    assert read_card(folder).version == 3
