"""Going on after an interruption: with the same settings and data, or not at all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tagger.system.errors import ConfigurationError
from tagger.training.data.datasets import Example, read_log_mel_archive
from tagger.training.data.resume import Call
from tagger.training.recipes import on_features
from tagger.training.recipes.fitting import Settings
from tagger.training.reporter import TerminalReporter
from tagger.training.run import train_model
from tests.training.archives import write_archive
from tests.training.recorder import Recorder


@pytest.fixture
def examples(tmp_path) -> list[Example]:
    return read_log_mel_archive(write_archive(tmp_path / "hills"))


def interrupted(work: Path, examples: list[Example]) -> list[Path]:
    """Folders of a fold that was learned, and of what was heard."""
    Call("dense", Settings(work, epochs=5)).learns_from(examples)
    left = [work / "artist-1", work / "heard-0"]
    for folder in left:
        folder.mkdir()
    return left


def test_the_same_call_goes_on(examples, tmp_path):
    left = interrupted(tmp_path / "w", examples)
    again = Settings(tmp_path / "w", epochs=5, resume=True, reporter=TerminalReporter())
    Call("dense", again).learns_from(list(examples), pytest.fail)
    assert all(folder.is_dir() for folder in left)


@pytest.mark.parametrize(
    ("recipe", "other"), [("svm", {}), ("dense", {"seed": 1}), ("dense", {"epochs": 50})]
)
def test_other_settings_are_refused_and_nothing_is_lost(examples, tmp_path, recipe, other):
    left = interrupted(tmp_path / "w", examples)
    with pytest.raises(ConfigurationError, match="other settings"):
        Call(recipe, replace(Settings(tmp_path / "w", epochs=5, resume=True), **other))
    assert all(folder.is_dir() for folder in left)


@pytest.mark.parametrize("change", ["genre", "sound", "fewer"])
def test_of_other_music_only_what_was_heard_stays(examples, tmp_path, change):
    learned, heard = interrupted(tmp_path / "w", examples)
    if change == "genre":
        examples[0] = replace(examples[0], genre="Polka")
    elif change == "sound":
        examples[0] = replace(examples[0], mel=examples[0].mel[:, ::-1])
    else:
        del examples[0]
    recorder = Recorder()
    Call("dense", Settings(tmp_path / "w", epochs=5, resume=True)).learns_from(examples, recorder)
    assert heard.is_dir() and not learned.exists()
    assert recorder.lines == ["the music has changed since the interruption: training begins anew"]


@pytest.mark.parametrize("resume", [False, True])
def test_a_folder_of_something_else_is_left_alone(tmp_path, resume):
    """Regression: a person's own `thesis.work` was deleted."""
    thesis = tmp_path / "thesis.work" / "chapter-1"
    thesis.mkdir(parents=True)
    with pytest.raises(ConfigurationError, match="nothing that gtag left there"):
        Call("dense", Settings(tmp_path / "thesis.work", resume=resume))
    with pytest.raises(ConfigurationError, match="nothing that gtag left there"):
        train_model("dense", [write_archive(tmp_path / "set")], tmp_path / "thesis")
    assert thesis.is_dir()


def test_an_output_that_cannot_be_is_refused_before_anything_is_learned(tmp_path):
    """Regression: refused, but hours later."""
    (tmp_path / "file").write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes").write_text("mine")
    for name, message in (("file", "is a file"), ("full", "is neither empty nor a model")):
        with pytest.raises(ConfigurationError, match=message):
            train_model("logistic", [tmp_path / "there is no data"], tmp_path / name)
        assert not (tmp_path / f"{name}.work").exists()


@pytest.mark.parametrize("content", ["", "[]", "{", '{"settings": 1}'])
def test_a_damaged_memory_is_none(examples, tmp_path, content):
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / "call.json").write_text(content)
    settings = Settings(tmp_path / "w", resume=True)
    if "settings" in content:
        with pytest.raises(ConfigurationError):
            Call("dense", settings)
    else:
        Call("dense", settings).learns_from(examples)


def test_a_training_never_goes_on_from_one_of_another_seed(tmp_path, monkeypatch):
    """Regression: folds of the interrupted call's seed stood beside those of the new one."""
    archive = write_archive(tmp_path / "hills")
    fit_regression = on_features.fit_regression
    calls = []

    def stop_at_the_second(*given):
        calls.append(given[-1])
        if len(calls) == 2:
            raise KeyboardInterrupt
        return fit_regression(*given)

    monkeypatch.setattr(on_features, "fit_regression", stop_at_the_second)
    output = tmp_path / "model"

    def train(**settings):
        return train_model("logistic", [archive], output, protocols=["track-random"], **settings)

    with pytest.raises(KeyboardInterrupt):
        train(seed=0)
    with pytest.raises(ConfigurationError, match="other settings"):
        train(seed=1, resume=True)
    assert train(seed=0, resume=True).name == "logistic" and calls.count(0) == 5
    assert not output.with_name("model.work").exists()
