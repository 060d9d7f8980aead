"""One HTML page that needs nothing beside it: no script, no link, pictures inside.

Every text that goes in is other people's until it is escaped, and it is escaped here and nowhere
else. Must not know: what the page is about.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from html import escape

from tagger.screen import printable

STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff; max-width: 66rem;
  margin: 0 auto; padding: 1rem 1.5rem 3rem; overflow-wrap: anywhere; }
h1 { font-size: 1.7rem; margin: .8rem 0; }
h2 { font-size: 1.25rem; margin: 2.2rem 0 .6rem; }
.warning { background: #b3261e; color: #fff; padding: .9rem 1.2rem; font-size: 1.15rem;
  font-weight: 600; border-radius: .3rem; }
.note { color: #555; }
.tiles { display: flex; flex-wrap: wrap; gap: .8rem; }
.tile { border: 1px solid #ccc; border-radius: .3rem; padding: .6rem .9rem; min-width: 8rem; }
.tile b { display: block; font-size: 1.5rem; }
.tile span { color: #555; font-size: .9rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { border-bottom: 1px solid #ddd; padding: .25rem .5rem; text-align: right;
  white-space: nowrap; }
th { white-space: normal; overflow-wrap: normal; }
td:first-child, td.text { white-space: normal; min-width: 6rem; }
th { vertical-align: bottom; }
th:first-child, td:first-child, td.text, th.text { text-align: left; }
figure { margin: 1rem 0 2rem; }
img { max-width: 100%; height: auto; }
figcaption { color: #555; max-width: 46rem; }
"""
# Even if a hole were found in the escaping: nothing is fetched, nothing runs.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def safe(text: object) -> str:
    """Any text as HTML text or attribute value, control characters made visible."""
    return escape(printable(str(text)), quote=True)


class Page:
    """A page that grows from top to bottom.

    Parameters
    ----------
    title : str
    """

    def __init__(self, title: str) -> None:
        self._title = safe(title)
        self._parts = [f"<h1>{self._title}</h1>"]

    def heading(self, text: str) -> None:
        self._parts.append(f"<h2>{safe(text)}</h2>")

    def paragraph(self, text: str, kind: str = "") -> None:
        """A paragraph; `kind` is `warning`, `note` or nothing."""
        self._parts.append(f'<p class="{safe(kind)}">{safe(text)}</p>')

    def tiles(self, tiles: Iterable[tuple[str, str, str]]) -> None:
        """Key figures: what it is, the figure, what stands below it."""
        self._parts.append('<div class="tiles">')
        self._parts += [
            f'<div class="tile">{safe(name)}<b>{safe(figure)}</b><span>{safe(below)}</span></div>'
            for name, figure, below in tiles
        ]
        self._parts.append("</div>")

    def table(
        self, head: Sequence[str], rows: Iterable[Sequence[object]], texts: Sequence[int] = ()
    ) -> None:
        """A table; `texts` are the columns that hold words, beside the first."""

        def cells(tag: str, row: Sequence[object]) -> str:
            kinds = (' class="text"' if i in texts else "" for i in range(len(row)))
            return "".join(f"<{tag}{k}>{safe(c)}</{tag}>" for k, c in zip(kinds, row, strict=True))

        self._parts.append(f'<div class="scroll"><table><tr>{cells("th", head)}</tr>')
        self._parts += [f"<tr>{cells('td', row)}</tr>" for row in rows]
        self._parts.append("</table></div>")

    def picture(self, png: bytes, alt: str, caption: str) -> None:
        data = b64encode(png).decode("ascii")
        self._parts.append(
            f'<figure><img src="data:image/png;base64,{data}" alt="{safe(alt)}">'
            f"<figcaption>{safe(caption)}</figcaption></figure>"
        )

    def html(self) -> str:
        head = (
            '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{self._title}</title><style>{STYLE}</style></head><body>\n"
        )
        return head + "\n".join(self._parts) + "\n</body></html>\n"
