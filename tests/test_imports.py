"""The order of modules, as docs/architecture.md draws it: each imports only what stands above."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OF_TRAINING = sorted(ROOT.glob("training/**/*.py"))
LINKS = ("training", "model_zoo")  # tagger/training shows training/ to type checkers
MODULES = sorted(
    file
    for file in ROOT.glob("tagger/**/*.py")
    if file.relative_to(ROOT / "tagger").parts[0] not in LINKS
)

# Packages whose modules the tables name one by one.
ROOMS = {
    "tagger": ("files", "sound", "journal", "reports"),
    "training": ("data", "measure", "report"),
}
# What takes long to import, and what the command line must not wait for.
HEAVY = {
    *("numpy", "scipy", "librosa", "av", "mutagen", "loky", "xgboost", "ai_edge_litert"),
    *("rich", "tqdm", "platformdirs", "sqlite3", "tensorflow", "keras", "sklearn", "matplotlib"),
}


def order(package: str = "tagger") -> list[str]:
    """The layers, from the tables in docs/architecture.md."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    heading = {"tagger": "| module |", "training": "| module of training |"}[package]
    table = text.partition(heading)[2].partition("\n\n")[0]
    first_cells = re.findall(r"^\| (`.*?) \|", table, re.M)
    return [name.rstrip("/") for cell in first_cells for name in re.findall(r"`([^`]+)`", cell)]


def name_of(file: Path) -> str:
    """The name it is imported by: training lies in tagger."""
    parts = file.relative_to(ROOT).with_suffix("").parts
    within = () if parts[0] == "tagger" else ("tagger",)
    return ".".join((*within, *parts)).removesuffix(".__init__")


def layer(module: str, package: str = "tagger") -> str | None:
    """The part below a package: ``tags`` of ``tagger.tags.write``; None of others' modules.

    In a room, whose modules have an order of their own, that is room and module.
    """
    parts = module.removeprefix("tagger.training.").split(".")
    if module.startswith("tagger.training."):
        return _in_room(parts, package) if package == "training" else None
    return _in_room(parts[1:], package) if parts[0] == package and len(parts) > 1 else None


def _in_room(parts: list[str], package: str) -> str | None:
    if parts[0] not in ROOMS[package]:
        return parts[0]
    return ".".join(parts[:2]) if len(parts) > 1 else None


def imports(tree: ast.AST, *, everywhere: bool) -> Iterator[str]:
    """Dotted names that are imported; only at the top of the module, or in every function too."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue  # not executed
        elif everywhere or not isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield from imports(node, everywhere=everywhere)


def root_of(module: str) -> str:
    """The package that a module belongs to; training counts as one."""
    return "training" if module.startswith("tagger.training.") else module.split(".")[0]


def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"), str(file))


def test_the_order_names_every_module():
    there = {layer(name_of(file)) for file in MODULES} - {None, "__main__"}
    assert set(order()) == there
    assert len(order()) == len(set(order()))


@pytest.mark.parametrize("file", MODULES, ids=name_of)
def test_a_module_imports_only_what_stands_above_it(file):
    own = layer(name_of(file))
    if own in (None, "__main__"):
        return
    position = {name: i for i, name in enumerate(order())}
    for name in imports(parsed(file), everywhere=True):
        other = layer(name)
        if other is not None and other != own:
            assert position[other] < position[own], f"{own} imports {other}, which stands below it"


@pytest.mark.parametrize("file", OF_TRAINING, ids=name_of)
def test_training_has_an_order_too(file):
    layers = order("training")
    assert {layer(name_of(f), "training") for f in OF_TRAINING} - {None} == set(layers)
    position = {name: i for i, name in enumerate(layers)}
    own = layer(name_of(file), "training")
    for name in imports(parsed(file), everywhere=True):
        other = layer(name, "training")
        if own is not None and other is not None and other != own:
            assert position[other] < position[own], f"{own} imports {other}, which stands below it"


@pytest.mark.parametrize("file", OF_TRAINING, ids=name_of)
def test_training_knows_nothing_of_the_command_line(file):
    """Not in the body of a function either."""
    for name in imports(parsed(file), everywhere=True):
        assert not f"{name}.".startswith("tagger.cli.")


@pytest.mark.parametrize("file", MODULES, ids=name_of)
def test_who_may_import_what(file):
    own, tree = layer(name_of(file)), parsed(file)
    anywhere = {root_of(name) for name in imports(tree, everywhere=True)}
    at_the_top = {root_of(name) for name in imports(tree, everywhere=False)}
    if own not in ("files.formats", "tags"):
        assert "mutagen" not in anywhere
    assert "training" not in at_the_top
    if name_of(file) not in ("tagger.cli.train", "tagger.cli.evaluate"):
        assert "training" not in anywhere
    assert "pickle" not in anywhere
    if own in ("errors", "genres", "screen", "files.formats", "files.library"):
        assert at_the_top & HEAVY == set()


@pytest.mark.parametrize("file", MODULES + OF_TRAINING, ids=name_of)
def test_a_module_says_what_it_is_for(file):
    assert ast.get_docstring(parsed(file))
