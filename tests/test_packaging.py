"""The names that gtag takes in an environment: `tagger`, and `gtag` among beets' plugins."""

from __future__ import annotations

import subprocess
import sys
from importlib.resources import files
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_training_leaves_users_own_training_alone(tmp_path):
    """Regression: `training.mine` no longer imported beside gtag, also an editable one."""
    own = tmp_path / "training"
    own.mkdir()
    (own / "mine.py").write_text("ANSWER = 42\n", encoding="utf-8")
    code = "import tagger.training.recipes, training.mine; print(training.mine.ANSWER)"
    # The user's folder behind the checkout: the order in which a regular package would win.
    paths = f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(tmp_path)!r}]; "
    told = subprocess.run(
        [sys.executable, "-c", paths + code], capture_output=True, text=True, cwd=tmp_path
    )
    assert told.stdout.strip() == "42", told.stderr


def test_a_checkout_without_symbolic_links_finds_training(tmp_path):
    """git on Windows leaves a small text file where a link is."""
    package = tmp_path / "tagger"
    package.mkdir()
    (package / "__init__.py").write_text((ROOT / "tagger" / "__init__.py").read_text("utf-8"))
    (package / "training").write_text("../training")
    (tmp_path / "training").mkdir()
    (tmp_path / "training" / "here.py").write_text("ANSWER = 42\n")
    told = subprocess.run(
        [sys.executable, "-c", "from tagger.training.here import ANSWER; print(ANSWER)"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert told.stdout.strip() == "42", told.stderr


def test_models_and_the_mark_of_types_are_found():
    assert files("tagger.model_zoo").joinpath("cnn", "card.toml").is_file()
    assert files("tagger").joinpath("py.typed").is_file()


def test_beets_plugins_of_others_stand_beside_ours():
    """An __init__.py here would hide beets' own."""
    assert [file.name for file in (ROOT / "beetsplug").glob("*.py")] == ["gtag.py"]
