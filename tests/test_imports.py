"""The order of modules, as docs/architecture.md draws it: each imports only what stands above."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tagger.cli import COMMANDS
from tagger.training.recipes import RECIPES

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
    "tagger": (
        "system",
        "genres",
        "storage",
        "containers",
        "library",
        "sound",
        "models",
        "deciding",
        "journal",
        "pipeline",
        "reports",
        "reviewing",
    ),
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


FILES = {name_of(file): file for file in MODULES + OF_TRAINING}


def layer(module: str, package: str = "tagger") -> str | None:
    """The part below a package: ``cli`` of ``tagger.cli.show``; None of others' modules.

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


@cache
def imports(module: str, *, everywhere: bool, types: bool = False) -> frozenset[str]:
    """Dotted names that a module imports.

    At its top alone, or in every function, too; with or without what only types need.
    """
    return frozenset(_imports(_parsed(FILES[module]), everywhere=everywhere, types=types))


def _imports(tree: ast.AST, *, everywhere: bool, types: bool) -> Iterator[str]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING" and not types:
            continue  # not executed
        elif everywhere or not isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield from _imports(node, everywhere=everywhere, types=types)


@cache
def _parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"), str(file))


def module_of(name: str) -> str | None:
    """The module of ours that an imported name is, or is in."""
    return next((m for m in (name, name.rpartition(".")[0]) if m in FILES), None)


def root_of(module: str) -> str:
    """The package that a module belongs to; training counts as one."""
    return "training" if module.startswith("tagger.training.") else module.split(".")[0]


@pytest.mark.parametrize("package", ROOMS)
def test_a_module_imports_only_what_stands_above_it(package):
    modules = {name: layer(name, package) for name in FILES}
    layers = order(package)
    assert {*modules.values()} - {None, "__main__"} == {*layers}
    assert len(layers) == len({*layers})
    position = {name: i for i, name in enumerate(layers)}
    against = {
        f"{module} imports {name}, which stands below it"
        for module, own in modules.items()
        for name in imports(module, everywhere=True)
        for other in [layer(name, package)]
        if own in position and other in position and position[other] > position[own]
    }
    assert not against


def test_no_two_modules_import_each_other_on_any_way():
    """Nor in the bodies of functions, nor for types alone, nor within a package."""
    arrows = {
        module: {module_of(name) for name in imports(module, everywhere=True, types=True)} - {None}
        for module in FILES
    }
    # Those that are imported by their names.
    arrows["tagger.cli"] |= {f"tagger.cli.{command}" for command in COMMANDS}
    recipes = "tagger.training.recipes"
    arrows[recipes] |= {f"{recipes}.{r.function.partition(':')[0]}" for r in RECIPES.values()}
    circles = []
    while True:
        try:
            TopologicalSorter(arrows).prepare()
        except CycleError as error:
            circle = error.args[1]
            circles.append(" → ".join(reversed(circle)))
            arrows[circle[1]] -= {circle[0]}
        else:
            break
    assert not circles


def test_no_room_is_below_and_above_another():
    """Rooms are `tagger.models`, `tagger.sound` and so on; what lies at the door is one each."""
    rooms = {module: ".".join(module.split(".")[:2]) for module in FILES}
    arrows: dict[str, set[str]] = {}
    for module, room in rooms.items():
        if root_of(module) == "tagger" and module != "tagger":
            names = imports(module, everywhere=True, types=True)
            others = {rooms[other] for name in names if (other := module_of(name))}
            arrows.setdefault(room, set()).update(others - {room, "tagger", "tagger.training"})
    TopologicalSorter(arrows).prepare()


def test_who_may_import_what():
    against = set()
    for module in FILES:
        own = layer(module)
        anywhere = {root_of(name) for name in imports(module, everywhere=True)}
        at_the_top = {root_of(name) for name in imports(module, everywhere=False)}
        forbidden = set()
        if root_of(module) == "training":
            forbidden |= {
                name
                for name in imports(module, everywhere=True)
                if f"{name}.".startswith("tagger.cli.")
            }
        else:
            forbidden |= {"pickle"} & anywhere | {"training"} & at_the_top
            if module not in ("tagger.cli.train", "tagger.cli.evaluate"):
                forbidden |= {"training"} & anywhere
            if not module.startswith("tagger.containers."):
                forbidden |= {"mutagen"} & anywhere
            if own in (
                "system.errors",
                "system.screen",
                "genres.vocabulary",
                "containers.recognise",
                "library.walk",
            ):
                forbidden |= at_the_top & HEAVY
        against |= {(module, name) for name in forbidden}
    assert not against


def test_every_module_says_what_it_is_for():
    assert not [name for name, file in FILES.items() if not ast.get_docstring(_parsed(file))]
