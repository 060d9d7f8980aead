"""Makes any text safe to print: the one place where names from files meet a terminal.

File names and tags are other people's text. They may hold escape codes that recolour or rewrite
the screen, carriage returns, marks that reverse the reading direction, bytes that are not text.
Here they become visible escapes such as ``\\x1b``.
"""

from __future__ import annotations

import unicodedata


def printable(text: str) -> str:
    """Replace everything but printable characters in a text by visible escapes.

    Parameters
    ----------
    text : str
        May hold surrogates, as `os.fsdecode` makes them of bytes that are not UTF-8.

    >>> printable("a\\x1b[31mb\\u202ec")
    'a\\\\x1b[31mb\\\\u202ec'
    """
    if text.isprintable():
        return text
    return "".join(c if _is_harmless(c) else _escaped(c) for c in text)


def _is_harmless(c: str) -> bool:
    # Zs: the spaces of other scripts; `isprintable` knows only the ASCII one.
    return c.isprintable() or unicodedata.category(c) == "Zs"


def _escaped(c: str) -> str:
    code = ord(c)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that was not UTF-8, as os.fsdecode hands it over
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
