"""One HTML page that needs nothing beside it: no script, no link, pictures inside."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from tagger.reports.pages import page


class Page:
    """A page that grows from top to bottom."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._parts: list[dict[str, Any]] = []

    def heading(self, text: str) -> None:
        self._add("heading", text=text)

    def paragraph(self, text: str, kind: str = "") -> None:
        """Return a paragraph; `kind` is `warning`, `note` or nothing."""
        self._add("paragraph", text=text, kind=kind)

    def tiles(self, tiles: Iterable[tuple[str, str, str]]) -> None:
        """Key figures: what it is, the figure, what stands below it."""
        self._add("tiles", tiles=tuple(tiles))

    def table(
        self, head: Sequence[str], rows: Iterable[Sequence[object]], texts: Sequence[int] = ()
    ) -> None:
        """Return a table; `texts` are the columns that hold words, beside the first."""
        self._add("table", head=head, rows=tuple(rows), texts=texts)

    def picture(self, png: bytes, alt: str, caption: str) -> None:
        self._add("picture", data=b64encode(png).decode("ascii"), alt=alt, caption=caption)

    def _add(self, what: str, **values: Any) -> None:
        self._parts.append({"what": what, **values})

    def html(self) -> str:
        named = partial(zip, strict=True)
        return page("parts.html", title=self._title, parts=self._parts, zip=named)
