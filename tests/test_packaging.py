"""What an installation has: the names that gtag takes, its dependencies and its extras."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from importlib.resources import files
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tagger.system.extras import EXTRAS, how_to_install
from tests.tagger.models.made import model_saying

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
IMPORTED = packages_distributions()  # by the name that is imported, what was installed
# The only modules of tagger that may import what an extra brings, and which.
WITH_AN_EXTRA = {
    "reports/plot.py": "plot",
    "reviewing/web.py": "web",
    "pipeline/cluster.py": "cluster",
}
WITHOUT = """
import sys
sys.modules.update(dict.fromkeys({blocked}))
from tagger.cli import main
main()
"""


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


def brought_by(requirements: Iterable[str], extra: str = "") -> set[str]:
    """The distributions that these bring, with all that they need themselves."""
    found: set[str] = set()
    waiting = [*requirements]
    while waiting:
        wanted = Requirement(waiting.pop())
        name = canonicalize_name(wanted.name)
        if wanted.marker and not any(
            wanted.marker.evaluate({"extra": e}) for e in {"", extra, *wanted.extras}
        ):
            continue
        if name == "gtag-music":
            waiting += [r for own in wanted.extras for r in PROJECT["optional-dependencies"][own]]
        elif name not in found:
            found.add(name)
            try:
                waiting += requires(name) or ()
            except PackageNotFoundError:
                found.remove(name)  # of another platform
    return found


def with_base_alone(*arguments: str | Path, status: int = 0, without: Sequence[str] = ()) -> str:
    """What gtag says where nothing can be imported but what `pip install .` brings.

    Or where all can be imported but the packages in `without`.
    """
    base = brought_by(PROJECT["dependencies"]) | {"gtag-music"}
    blocked = set(without) or {
        name
        for name, distributions in IMPORTED.items()
        if not {canonicalize_name(d) for d in distributions} & base
    }
    ran = subprocess.run(
        [sys.executable, "-c", WITHOUT.format(blocked=blocked), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    assert ran.returncode == status, ran.stderr
    return ran.stdout + ran.stderr


def test_the_base_dependencies_scan_review_show_and_undo(make_audio, tmp_path, monkeypatch):
    """Regression: `pip install .` brought 250 MB that no scan imports."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    piece = make_audio(".mp3")
    rows, page, lists = tmp_path / "rows.csv", tmp_path / "page.html", tmp_path / "lists"
    reports = ("--report", rows, "--html", page, "--playlists", lists)
    write = ("--write-tags", "--min-confidence", "0", "--jobs", "2")
    assert "written" in with_base_alone("scan", piece, *write, *reports)
    assert rows.stat().st_size and page.stat().st_size
    assert "GTAG_GENRE" in with_base_alone("show", piece)
    assert "needs a terminal" in with_base_alone("review", rows, status=2)
    assert "restored" in with_base_alone("undo")
    assert "GTAG_GENRE" not in with_base_alone("show", "--model", "trees", piece)
    assert with_base_alone("scan", piece, "--json", "--model", "ensemble").count('"path"') == 1


def test_the_doctor_says_which_extras_are_there():
    told = [json.loads(line) for line in with_base_alone("doctor", "--json").splitlines()]
    extras = {f["name"]: f["said"] for f in told if f["part"] == "extras"}
    assert [*extras] == [f"[{name}]" for name in EXTRAS]
    assert all(said.startswith("not installed: ") for said in extras.values())
    assert "scikit-learn" in extras["[learn]"] and "gtag train" in extras["[learn]"]
    without_keras = with_base_alone("doctor", "--json", without=["keras"])
    told = [json.loads(line) for line in without_keras.splitlines()]
    extras = {f["name"]: f["said"] for f in told if f["part"] == "extras"}
    assert extras["[train]"].startswith("not installed: Keras;")
    assert re.fullmatch(r"matplotlib [\d.]+", extras["[plot]"])


@pytest.mark.parametrize(
    ("command", "without", "needs", "extra"),
    [
        ("show {piece} --plot {folder}/plot.png", "matplotlib", "--plot needs matplotlib", "plot"),
        ("train --from-tags {folder}", "sklearn", "gtag train needs scikit-learn", "learn"),
        (
            "train --from-tags {folder}",
            "scipy sklearn matplotlib",
            "gtag train needs matplotlib and scikit-learn and scipy",
            "learn",
        ),
        ("train --from-tags {folder}", "matplotlib", "gtag train needs matplotlib", "plot"),
        ("evaluate --model cnn --data {folder}", "scipy", "gtag evaluate needs scipy", "learn"),
        (
            "train --data {folder} --output {folder}/model",
            "tensorflow keras",
            "the recipe chunk-cnn needs TensorFlow and Keras",
            "train",
        ),
        (
            "train --recipe boosted-trees --data {folder} --output {folder}/model",
            "xgboost",
            "the recipe boosted-trees needs XGBoost",
            "train",
        ),
        (
            "evaluate --recipe random-forest --data {folder}",
            "xgboost",
            "the recipe random-forest needs XGBoost",
            "train",
        ),
        (
            "evaluate --recipe svm --tune 3 --data {folder}",
            "optuna",
            "--tune needs Optuna",
            "train",
        ),
        (
            "review --web {folder}/report.csv",
            "starlette uvicorn",
            "gtag review --web needs Starlette and uvicorn",
            "web",
        ),
        (
            "scan {folder} --model trees --cluster tcp://localhost:1",
            "distributed",
            "--cluster needs Dask",
            "cluster",
        ),
    ],
)
def test_a_command_that_lacks_an_extra_names_it(
    make_audio, tmp_path, command, without, needs, extra
):
    piece = make_audio(".mp3")
    arguments = command.format(piece=piece, folder=tmp_path).split()
    told = with_base_alone(*arguments, status=2, without=without.split())
    assert told.splitlines()[-1] == f"gtag: {needs} ({how_to_install(extra)})"
    assert [*tmp_path.iterdir()] == [piece]


def test_tagger_imports_what_its_dependencies_bring():
    """In the bodies of functions, too."""
    base = brought_by(PROJECT["dependencies"])
    allowed = {name for name, made in IMPORTED.items() if {*map(canonicalize_name, made)} & base}
    allowed |= {*sys.stdlib_module_names, "tagger"}
    against = set()
    for file in ROOT.glob("tagger/**/*.py"):
        own = file.relative_to(ROOT / "tagger")
        if own.parts[0] in ("training", "model_zoo"):
            continue
        extra = WITH_AN_EXTRA.get(own.as_posix())
        also = {*EXTRAS[extra].packages} if extra else set()
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            roots = {name.partition(".")[0] for name in names}
            against |= {(own.as_posix(), root) for root in roots - allowed - also}
    assert not against


@pytest.mark.parametrize("name", EXTRAS)
def test_an_extra_brings_what_it_is_said_to_bring(name):
    if missing := EXTRAS[name].missing():
        pytest.skip(f"not installed: {', '.join(missing)}")
    brings = brought_by(PROJECT["optional-dependencies"][name])
    base = brought_by(PROJECT["dependencies"])
    for package in EXTRAS[name].packages:
        made = {canonicalize_name(distribution) for distribution in IMPORTED[package]}
        assert made & brings, f"[{name}] does not bring {package}"
        assert not made & base, f"{package} comes with every installation"


def test_everything_names_the_same_versions_of_python():
    """Regression: CONTRIBUTING.md said 3.11 to 3.14."""
    named = [c.split()[-1] for c in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", c)]
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    job = workflow["jobs"]["checks"]
    may_fail = [v for v in job["strategy"]["matrix"]["python"] if v in job["continue-on-error"]]
    assert named == [v for v in job["strategy"]["matrix"]["python"] if v not in may_fail]
    said = f"{named[0]} to {named[-1]}"
    for file in ("README.md", "CONTRIBUTING.md", "docs/tutorial.md", ".ci/run"):
        assert set(re.findall(r"3\.\d+ to 3\.\d+", (ROOT / file).read_text("utf-8"))) == {said}


def test_a_missing_part_is_no_bug_in_gtag():
    command = [sys.executable, "-c", WITHOUT.format(blocked=["av"]), "scan", str(ROOT / "docs")]
    told = subprocess.run(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True)
    assert told.returncode == 2
    assert b"missing or broken: " in told.stderr and b"Install gtag again" in told.stderr


@pytest.mark.parametrize("model", ["cnn", "ensemble", "fast", "trees", "own"])
@pytest.mark.parametrize("raised", ["ImportError", "OSError"])
def test_without_litert_a_scan_says_so_once_whatever_the_model(model, raised, make_audio, tmp_path):
    """Regression: with a model that has no network of its own, each file was unreadable."""
    broken = tmp_path / "broken" / "ai_edge_litert"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text(f"raise {raised}('of another machine')\n")
    if model == "own":
        model = model_saying(tmp_path / "own", {"Jazz": 0.9, "Rock": 0.1})
    piece = make_audio(".flac")
    told = subprocess.run(
        [sys.executable, "-m", "tagger", "scan", "--model", str(model), piece.parent],
        env={
            **os.environ,
            **dict.fromkeys(("XDG_STATE_HOME", "XDG_CACHE_HOME"), str(tmp_path / "state")),
            "PYTHONPATH": os.pathsep.join((str(broken.parent), str(ROOT))),
        },
        capture_output=True,
        text=True,
    )
    assert told.returncode == 2 and told.stdout == ""
    (line,) = told.stderr.splitlines()
    assert line.startswith("gtag: networks need LiteRT (ai-edge-litert), which cannot be loaded")
    assert "of another machine" in line and "pip install --force-reinstall ai-edge-litert" in line
