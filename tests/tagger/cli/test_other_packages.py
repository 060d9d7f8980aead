"""Kinds of models that other packages bring: the example in docs/python.md, and broken ones."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from tagger.models import registry, zoo
from tagger.pipeline import cache, classify

DOCUMENT = (Path(__file__).parents[3] / "docs" / "python.md").read_text(encoding="utf-8")
CODE, ENTRY, CARD = re.findall(
    r"^```\w+\n(.*?)^```", DOCUMENT.partition("## A kind of model of your own")[2], re.M | re.S
)[:3]


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install packages as pip does: code, and entry points in a .dist-info beside it."""
    site = tmp_path / "site"
    monkeypatch.syspath_prepend(str(site))
    classify.classifier.cache_clear()

    def installed(kind, code, card=CARD, version="1.0"):
        entries = tomllib.loads(ENTRY.replace("bright", kind))["project"]["entry-points"]
        (group,) = entries
        package, about = site / f"gtag_{kind}", site / f"gtag_{kind}-{version}.dist-info"
        package.mkdir(parents=True)
        about.mkdir()
        (package / "__init__.py").write_text(code)
        if card:
            (package / "card.toml").write_text(card.replace("bright", kind))
        (about / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: gtag-{kind}\nVersion: {version}\n"
        )
        lines = [f"{name} = {where}" for name, where in entries[group].items()]
        (about / "entry_points.txt").write_text("\n".join([f"[{group}]", *lines, ""]))
        return package

    return installed


def test_the_example_of_the_docs_scans(gtag, install, make_audio):
    """In worker processes, too; its predictions are cached until its version changes."""
    assert len(CODE.strip().splitlines()) <= 14
    install("bright", CODE)
    pieces = [
        make_audio(".flac", style="disco", duration_s=8.0),
        make_audio(".ogg", style="metal"),
    ]
    ran = gtag("scan", "--json", "--model", "bright", "--jobs", "2", *pieces)
    assert ran.status == 0, ran.err
    rows = [json.loads(line) for line in ran.out.splitlines()]
    assert {row["model"] for row in rows} == {"bright-1"} and len(rows) == 2
    assert {(row["genre"], round(row["confidence"], 2)) for row in rows} == {("Electronic", 0.9)}
    assert "bright" in gtag("models").out
    assert gtag("models", "verify", "bright").out == "ok: bright-1\n"
    assert registry.code_of("bright") == "gtag-bright 1.0"


def test_a_new_version_of_a_package_is_asked_again(install, monkeypatch):
    package = install("older", CODE)
    card = zoo.find(str(package))
    before = cache.model_key(card)
    package.with_name("gtag_older-1.0.dist-info").joinpath("METADATA").write_text(
        "Metadata-Version: 2.1\nName: gtag-older\nVersion: 1.1\n"
    )
    assert cache.model_key(card) != before


BROKEN = {
    "import": ("import nothing_of_this_name", "cannot be imported: ModuleNotFoundError: No module"),
    "exit": ("raise SystemExit('go\\naway')", "cannot be imported: SystemExit: go away"),
    "syntax": ("class Bright(", "cannot be imported: SyntaxError"),
    "absent": ("Dark = 1", "cannot be imported: AttributeError"),
    "number": ("Bright = 1", "is no class"),
    "other": ("class Bright:\n    def __init__(self, *a): pass", "makes no Classifier"),
    "raises": ("def Bright(card, backbones): 1 / 0", "cannot be loaded: ZeroDivisionError"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_package_is_one_line_and_stops_no_other_model(
    gtag,
    install,
    make_audio,
    name,
):
    code, told = BROKEN[name]
    install("sound", CODE)
    install(name, code)
    ran = gtag("scan", "--model", name, make_audio(".flac", duration_s=4.0))
    assert ran.status == 2 and told in ran.err, ran.err
    assert len(ran.err.splitlines()) == 1 and "Traceback" not in ran.err
    assert zoo.load("sound").card.kind == "sound"
    listed = gtag("models")
    assert listed.status == 0 and name in listed.out and "sound" in listed.out
    verified = gtag("models", "verify", name)
    assert verified.status == 1 and told in verified.out


def test_no_package_takes_the_name_of_a_kind_of_gtag(install):
    package = install("linear", CODE)
    assert registry.kind("linear") == registry.OWN["linear"]
    assert package not in registry.folders_of_packages().values()


def test_what_is_not_installed_is_named(gtag, install, tmp_path, make_audio):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "card.toml").write_text(CARD)
    ran = gtag("scan", "--model", folder, make_audio(".flac", duration_s=4.0))
    assert ran.status == 2 and "or one that an installed package brings" in ran.err
