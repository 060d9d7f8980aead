"""Making the bundled models again: interrupted, gone on with, and put in place all at once."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from tagger.models.card import CARD, read_card
from tagger.training import bundled
from tests.training.archives import write_archive


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return write_archive(tmp_path_factory.mktemp("sets") / "hills", tracks_per_genre=12)


@pytest.fixture(autouse=True)
def quick_recipes(monkeypatch):
    """What is tested is the way: networks take minutes."""
    monkeypatch.setattr(bundled, "RECIPES", {"one": "logistic", "two": "logistic"})


def make(archive, folder, *options):
    arguments = ["--data", archive, "--models", folder / "zoo", "--pictures", folder / "pictures"]
    return CliRunner().invoke(bundled.main, [*map(str, arguments), *options])


def test_models_are_made_measured_and_drawn(archive, tmp_path):
    first = make(archive, tmp_path)
    assert first.exit_code == 0, first.output
    cards = {name: read_card(tmp_path / "zoo" / name) for name in ("one", "two", "ensemble")}
    assert [m.partition("-")[0] for m in cards["ensemble"].members] == ["one", "two"]
    for name, card in cards.items():
        assert {row["protocol"] for row in card.figures} == set(bundled.MEASURED)
        assert (tmp_path / "pictures" / f"{name}-coverage.png").read_bytes()[1:4] == b"PNG"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["pictures", "zoo"]
    assert "before" not in first.output

    # The same seed and data give the same model.
    weights = (tmp_path / "zoo" / "one" / cards["one"].data["weights"]["file"]).read_bytes()
    second = make(archive, tmp_path)
    assert f"{cards['one'].figures[0]['accuracy']:.1%} before" in second.output
    assert (tmp_path / "zoo" / "one" / cards["one"].data["weights"]["file"]).read_bytes() == weights


def test_what_was_interrupted_goes_on(archive, tmp_path, monkeypatch):
    real = bundled.train_model

    def interrupted(recipe, data, output, **options):
        if output.name == "two":
            raise KeyboardInterrupt
        return real(recipe, data, output, **options)

    monkeypatch.setattr(bundled, "train_model", interrupted)
    assert make(archive, tmp_path).exit_code != 0
    assert not (tmp_path / "zoo").exists()
    kept = (tmp_path / "zoo.work" / "one" / CARD).stat().st_mtime_ns

    monkeypatch.setattr(bundled, "train_model", real)
    assert make(archive, tmp_path, "--resume").exit_code == 0
    assert (tmp_path / "zoo" / "one" / CARD).stat().st_mtime_ns == kept
    assert (tmp_path / "zoo" / "ensemble" / CARD).is_file()
