"""The docs as a site: built strictly, with all pages and links; it loads nothing from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

import tagger
from tagger.cli import COMMANDS, cli

ROOT = Path(__file__).parents[1]

pytest.importorskip("material", reason="the extra [docs] is not installed")
pytest.importorskip("mkdocstrings", reason="the extra [docs] is not installed")
pytestmark = pytest.mark.xdist_group("site")  # one process builds it, once


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Every page by its name."""
    folder = tmp_path_factory.mktemp("site")
    # Not --quiet: what is not said is not counted either, and --strict means nothing.
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", str(folder)]
    quiet = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    ran = subprocess.run(command, cwd=ROOT, env=quiet, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return {page.stem: page.read_text(encoding="utf-8") for page in folder.glob("*.html")}


def test_every_page_is_there(site):
    ours = {page.stem for page in (ROOT / "docs").glob("*.md")}
    ours |= {"index", "reference", "api", "contributing", "security", "changelog", "licence"}
    assert set(site) == ours | {"404"}
    assert "It never makes a library worse" in site["index"]


def test_nothing_comes_from_another_server(site):
    for name, page in site.items():
        loaded = re.findall(
            r"<(?:script|link|img|iframe)\b[^>]*(?:src|href)=\"?(https?:[^\s\">]+)", page
        )
        assert loaded == [], name


def test_lists_and_tables_are_such(site):
    """A viewer of repositories takes a line that begins with a dash for a list, MkDocs text."""
    for name, page in site.items():
        for paragraph in re.findall(r"<p>(.*?)</p>", page, re.S):
            assert not re.search(r"^(- |\d+\. |\|)", paragraph, re.M), f"{name}: {paragraph[:200]}"


def test_no_backslash_of_a_table_is_shown(site):
    """Regression: `--model NAME\\|DIR`, since MkDocs takes a bar in code as it is."""
    assert [name for name, page in site.items() if "\\|" in page] == []
    assert "--model NAME|DIR" in site["commands"] and "--model NAME|DIR" in site["reference"]
    assert "0&lt;=x&lt;=1" in site["reference"]


def test_the_reference_has_every_option_and_every_public_name(site):
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        flags = {flag for option in command.params for flag in option.opts if flag[0] == "-"}
        section = site["reference"].partition(f'id="gtag-{name}"')[2].partition("<h2")[0]
        assert flags <= set(re.findall(r"(?<![\w-])--?[\w-]+", section)), name
    for public in tagger.__all__:
        assert f'id="tagger.{public}"' in site["api"] or f'id="tagger.api.{public}"' in site["api"]
