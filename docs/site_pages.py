"""A hook of MkDocs for pages of the site that are no files in docs/.

README, CHANGELOG and the like stand once, above docs/. What --help and docstrings say is taken from
there.
"""

from __future__ import annotations

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

import tagger
from tagger.cli.man import markdown_page

ROOT = Path(__file__).parents[1]
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "CHANGELOG.md": "changelog.md",
    "LICENSE": "licence.md",
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages."""
    pages = {page: _from_above(name) for name, page in PAGES.items()}
    pages |= {"reference.md": _reference(), "api.md": _api()}
    for page, text in pages.items():
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, **_: object) -> str:
    """Lead links out of docs/ to the pages of the site, and read tables as repositories show them.

    There a cell's bar has a backslash before it, in code, too; here it would be shown.
    """
    for above, page in PAGES.items():
        markdown = markdown.replace(f"](../{above}", f"]({page}")
    return re.sub(r"`[^`\n]*`", lambda code: code[0].replace("\\|", "|"), markdown)


def on_page_content(html: str, **_: object) -> str:
    """mkdocstrings takes the type "path-like" for a subtraction."""
    return html.replace("path - like", "path-like")


def _from_above(name: str) -> str:
    """Return a file's text, with links as they are seen from docs/."""
    text = (ROOT / name).read_text(encoding="utf-8")
    heading = "" if text.startswith("# ") else "# Licence\n\n"
    links = re.compile(r"\]\((?:docs/)?([^):#]+)")
    return heading + links.sub(lambda link: "](" + PAGES.get(link[1], link[1]), text)


def _reference() -> str:
    said = "What `--help` says of each command. [Commands](commands.md) explains it."
    return f"# Options in short\n\n{said}\n\n{markdown_page()}"


def _api() -> str:
    errors = [name for name in tagger.__all__ if name.endswith("Error")]
    functions = [name for name in tagger.__all__ if name.islower()]
    results = [name for name in tagger.__all__ if name not in (*errors, *functions)]
    said = "All that `import tagger` offers. [gtag from Python](python.md) shows how to use it."
    parts = ["# Python reference", said]
    for heading, names in (("Functions", functions), ("Results", results), ("Errors", errors)):
        parts += [f"## {heading}", *(f"::: tagger.{name}" for name in names)]
    return "\n\n".join(parts)
