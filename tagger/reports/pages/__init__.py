"""Self-contained HTML pages: one look, and one place where text is escaped.

Templates escape every text, and make control characters visible.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from tagger.system.screen import printable

if TYPE_CHECKING:
    from jinja2 import Environment


def pieces(
    template: str, *, script: str | None = None, served: bool = False, **values: Any
) -> Iterator[str]:
    """Yield a page, piece by piece, so that a long one need not be in memory.

    Parameters
    ----------
    template : str
        Name of a file of this package.
    script : str, optional
        Name of the one script that the page may run.
    served : bool
        It may ask the server that it is from, and nobody else.
    **values
        What the template needs. `Markup` is not escaped.
    """
    from markupsafe import Markup

    allowed, code = Markup(policy(script, served=served)), Markup(_text(script) if script else "")
    yield from (
        _environment().get_template(template).generate(policy=allowed, script=code, **values)
    )


def policy(script: str | None = None, *, served: bool = False) -> str:
    """Return what a page may do, as a Content-Security-Policy.

    Even if a hole were found in the escaping: nothing is fetched, nothing else runs.
    """
    rules = ["default-src 'none'", "style-src 'unsafe-inline'"]
    if served:
        rules += ["img-src 'self' data:", "media-src 'self' blob:", "connect-src 'self'"]
        rules += ["base-uri 'none'", "form-action 'none'"]
    else:
        rules.append("img-src data:")
    if script:
        digest = b64encode(sha256(_text(script).encode()).digest()).decode()
        rules.append(f"script-src 'sha256-{digest}'")
    return "; ".join(rules)


def page(template: str, **values: Any) -> str:
    """Return a page as one text."""
    return "".join(pieces(template, **values))


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    return Environment(
        loader=FunctionLoader(_text),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _shown(value: Any) -> Any:
    """Return a value as the page shows it, before it is escaped."""
    return value if hasattr(value, "__html__") else printable(str(value))


def _text(name: str) -> str:
    return files("tagger.reports.pages").joinpath(name).read_text(encoding="utf-8")
