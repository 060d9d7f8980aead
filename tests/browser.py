"""What a real browser makes of a page: Chromium, where there is one."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

# The width, the ground's colour, and whatever is wider than the place that it has.
FITS = """[innerWidth, getComputedStyle(document.body).backgroundColor,
    [...document.querySelectorAll("*")].filter(e => e instanceof HTMLElement &&
        e.clientWidth && e.scrollWidth > e.clientWidth + 1).map(e => e.tagName + e.className)]"""


def seen_in_browser(
    page: str, asked: str, folder: Path, *, columns: int = 1280, dark: bool = False
) -> Any:
    """The value of an expression of JavaScript, at the end of a page; skips without a browser."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if not chromium:
        pytest.skip("no Chromium here")
    script = f'parent.postMessage(JSON.stringify({asked}), "*")'
    page = _allowed(page, script).replace("</body>", f"<script>{script}</script></body>")
    (folder / "page.html").write_text(page, encoding="utf-8")
    # In a frame, since no window of Chromium is as narrow as a phone.
    (folder / "frame.html").write_text(f"""<meta name="color-scheme" content="light dark">
        <script>onmessage = e => document.body.dataset.seen = e.data</script>
        <body><iframe src="page.html" style="border: 0; width: {columns}px; height: 900px">""")
    ran = subprocess.run(
        [
            *(chromium, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"),
            *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
            *(f"--user-data-dir={folder / 'profile'}", "--window-size=1400,900"),
            f"--blink-settings=preferredColorScheme={0 if dark else 1}",
            *("--hide-scrollbars", "--virtual-time-budget=2000", "--dump-dom"),
            (folder / "frame.html").as_uri(),
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    (seen,) = re.findall(r'data-seen="([^"]*)"', ran.stdout)
    return json.loads(html.unescape(seen))


def _allowed(page: str, script: str) -> str:
    """The page, with a policy that lets one more script run and is as strict otherwise."""
    hashed = b64encode(sha256(script.encode()).digest()).decode()
    if "script-src" in page:
        return page.replace("script-src ", f"script-src 'sha256-{hashed}' ", 1)
    return page.replace(
        "default-src 'none'", f"default-src 'none'; script-src 'sha256-{hashed}'", 1
    )
