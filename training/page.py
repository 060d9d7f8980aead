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
:root { color-scheme: light dark; --text: #1a1a1a; --page: #fff; --soft: #555; --line: #ccc;
  --alarm: #b3261e; }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--text); background: var(--page);
  max-width: 66rem; margin: 0 auto; padding: 1rem 1.5rem 3rem; overflow-wrap: anywhere; }
h1 { font-size: 1.7rem; margin: .8rem 0; }
h2 { font-size: 1.25rem; margin: 2.2rem 0 .6rem; }
.warning { background: var(--alarm); color: #fff; padding: .9rem 1.2rem; font-size: 1.15rem;
  font-weight: 600; border-radius: .3rem; }
.note { color: var(--soft); }
.tiles { display: flex; flex-wrap: wrap; gap: .8rem; }
.tile { border: 1px solid var(--line); border-radius: .3rem; padding: .6rem .9rem;
  min-width: 8rem; }
.tile b { display: block; font-size: 1.5rem; }
.tile span { color: var(--soft); font-size: .9rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { border-bottom: 1px solid var(--line); padding: .25rem .5rem; text-align: right;
  white-space: nowrap; }
th { white-space: normal; overflow-wrap: normal; }
td:first-child, td.text { white-space: normal; min-width: 6rem; }
th { vertical-align: bottom; }
th:first-child, td:first-child, td.text, th.text { text-align: left; }
figure { margin: 1rem 0 2rem; }
img { max-width: 100%; height: auto; }
figcaption { color: var(--soft); max-width: 46rem; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e6e6e6; --page: #161616; --soft: #a8a8a8; --line: #444; }
  /* Pictures are drawn on white: turned around in brightness, not in hue. */
  img { filter: invert(.914) hue-rotate(180deg); }
}
/* No table is as narrow as a phone: there, each row is a list under its first cell. */
@media (max-width: 40rem) {
  body { padding: .5rem 1rem 2rem; }
  table, tbody, tr, td { display: block; }
  tr { border-bottom: 1px solid var(--line); padding: .5rem 0; }
  tr.head { display: none; }
  td, td.text { border: 0; display: flex; justify-content: space-between; gap: 1rem;
    text-align: right; white-space: normal; padding: .1rem 0; }
  td:first-child { display: block; text-align: left; font-weight: 600; }
  td:not(:first-child)::before { content: attr(data-label); color: var(--soft);
    text-align: left; }
}
@media print { :root { --text: #000; --page: #fff; --soft: #444; } img { filter: none; } }
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
            made = ""
            for i, (name, cell) in enumerate(zip(head, row, strict=True)):
                kind = ' class="text"' if i in texts else ""
                label = f' data-label="{safe(name)}"' if tag == "td" else ""
                made += f"<{tag}{kind}{label}>{safe(cell)}</{tag}>"
            return made

        self._parts.append(f'<div class="scroll"><table><tr class="head">{cells("th", head)}</tr>')
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
