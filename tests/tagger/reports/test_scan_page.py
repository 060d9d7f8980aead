"""The page of a scan: whole, self-contained, and safe whatever the tracks are called."""

from __future__ import annotations

import json
import os
import re
import tracemalloc
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from tagger.deciding.decide import Status
from tagger.pipeline.road import TrackResult
from tagger.reports.scan_page import DISTINCT_CHANGES, LISTED, ScanPage
from tagger.system.screen import printable
from tests.browser import FITS, seen_in_browser

HOSTILE = (
    "a/</script><script>document.title='owned'</script>.mp3",
    "<!--<script>.mp3",
    '"><img src=x onerror=alert(1)>.mp3',
    "{{ 7 * 7 }}{% raw %}.mp3",
    "\x1b[31mred\x07.mp3",
    "caf\udce9.mp3",
    "\u202egpj.mp3",
    "line\nbreak\u2028\u2029.mp3",
    "&lt;b&gt;.mp3",
    "曲" * 80 + ".mp3",
)


class Words(HTMLParser):
    """What is told without scripts, and which elements there are."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for name, value in attrs:
            assert not name.startswith("on") and name not in ("style", "href", "srcdoc")
            assert name != "src" or value.startswith("data:")

    def handle_data(self, data):
        if self.tags and self.tags[-1] not in ("script", "style"):
            self.words.append(data)


def made(tmp_path, results, *, partial=False) -> str:
    page = ScanPage(tmp_path / "page.html")
    for result in results:
        page.add(result)
    page.write(partial=partial)
    page.close()
    return (tmp_path / "page.html").read_bytes().decode("utf-8")


def rows_of(page: str) -> list[list]:
    (told,) = re.findall(r'<script type="application/json" id="rows">(.*?)</script>', page, re.S)
    return json.loads(told)


def some(names=HOSTILE):
    for i, name in enumerate(names):
        status = list(Status)[i % len(Status)]
        said = (name, 0.91 - i / 20, "Jazz", 0.05) if i % 3 else ("Rock", 0.91 - i / 20, "Pop", 0.1)
        yield TrackResult(name, status, *said, old_genre=name, new_genre=name[::-1], message=name)


def test_hostile_names_stay_text(tmp_path):
    page = made(tmp_path, (replace(one, status=Status.UNSURE) for one in some()))
    told = rows_of(page)
    assert [row[0] for row in told] == [printable(name) for name in HOSTILE]
    words = Words()
    words.feed(page)
    assert words.tags.count("script") == 2 and "img" not in words.tags
    text = " ".join(words.words)
    for name in HOSTILE:
        assert printable(name) in text
    assert not any(c in page for c in "\x1b\x07\u202e\u2028")


def test_without_scripts_all_but_the_long_table_is_there(tmp_path):
    many = [
        TrackResult(f"{i}.mp3", Status.UNSURE, "Rock", 0.4, "Pop", 0.3) for i in range(LISTED + 7)
    ]
    wrong = TrackResult("w.mp3", Status.UNREADABLE, message="empty file")
    new = [
        TrackResult(f"n{i}.mp3", Status.WRITTEN, "Jazz", 0.9, "Pop", 0.1, "", "Jazz")
        for i in (1, 2)
    ]
    words = Words()
    words.feed(made(tmp_path, [*many, wrong, *new]))
    text = " ".join(" ".join(words.words).split())
    assert "tracks 110" in text and "unsure 107" in text
    assert "w.mp3 unreadable empty file" in text
    assert "0.mp3 Rock 0.40 Pop 0.30" in text and "And 7 more." in text
    assert "no genre Jazz 2" in text
    assert "Jazz 2 0.90" in text
    assert "interrupted" not in text
    assert "was interrupted" in made(tmp_path, new, partial=True)


def test_an_empty_scan_has_a_page_too(tmp_path):
    page = made(tmp_path, [])
    assert rows_of(page) == []
    assert "Genres" not in page


def test_memory_does_not_grow_with_the_library(tmp_path):
    def results(n):
        for i in range(n):
            yield TrackResult(
                f"{'folder/' * 30}{i}.mp3", Status.WRITTEN, "Jazz", 0.9, old_genre=f"old {i}"
            )

    page = ScanPage(tmp_path / "page.html")
    for result in results(DISTINCT_CHANGES):
        page.add(result)
    tracemalloc.start()
    for result in results(2000):
        page.add(result)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    page.close()
    assert held < 100_000
    assert os.listdir(tmp_path) == []  # noqa: PTH208


@pytest.mark.parametrize(("columns", "dark"), [(390, True), (1280, False)])
def test_a_browser_shows_finds_and_sorts(tmp_path, columns, dark):
    """Also that the policy lets the page's own script run, and no name ends up as markup."""
    asked = f"""(() => {{
        const all = () => [...document.querySelectorAll("#body tr")].map(
            tr => tr.firstChild.firstChild.textContent);
        const button = name => [...document.querySelectorAll("#head button")].find(
            b => b.textContent === name);
        const first = all();
        button("confidence").click(); const rising = all();
        button("confidence").click(); const falling = all();
        const find = document.getElementById("find");
        find.value = "GPJ rock"; find.dispatchEvent(new Event("input"));
        return [{FITS}, document.title, first, rising[0], falling[0], all(),
            document.getElementById("count").textContent];
    }})()"""
    page = made(tmp_path, some())
    fits, title, first, rising, falling, found, count = seen_in_browser(
        page, asked, tmp_path, columns=columns, dark=dark
    )
    assert fits == [columns, "rgb(22, 22, 22)" if dark else "rgb(255, 255, 255)", []]
    assert title == "Results of gtag scan"
    assert first == [printable(name) for name in HOSTILE]
    assert (rising, falling) == (first[-1], first[0])
    assert found == [printable(HOSTILE[6])] and count == "1 of 10 tracks"


@pytest.mark.parametrize("mood", ["", "Calm"])
def test_moods_have_a_column_where_there_are_any(tmp_path, mood):
    result = TrackResult("a.mp3", Status.KEPT, old_genre="Polka", new_genre="Polka", new_mood=mood)
    asked = """[...document.querySelectorAll("#body td.text")].map(
        td => td.dataset.label + "=" + td.textContent)"""
    seen = seen_in_browser(made(tmp_path, [result]), asked, tmp_path)
    told = ["status=kept", "genre=", "old=Polka", "new=Polka"]
    assert seen == [*told, *(["mood=Calm"] if mood else [])]


def test_a_browser_shows_long_tables_by_portions(tmp_path):
    page = made(tmp_path, (TrackResult(f"{i}.mp3", Status.KEPT) for i in range(350)))
    asked = """(() => {
        const n = () => document.querySelectorAll("#body tr").length, before = n();
        document.getElementById("more").click();
        const more = n();
        dispatchEvent(new Event("beforeprint"));
        return [before, more, n(), document.getElementById("more").hidden];
    })()"""
    assert seen_in_browser(page, asked, tmp_path) == [100, 200, 350, True]


def test_sixty_tracks_are_no_long_way_on_a_phone(tmp_path):
    """Regression: 22,000 pixels, with the same reason again and again."""
    refused = {"genre": "Rock", "confidence": 0.9, "runner_up": "Pop"}
    page = made(
        tmp_path,
        (
            TrackResult(f"Music/{i}.mp3", Status.REFUSED, **refused, message="too new to write")
            for i in range(60)
        ),
    )
    assert page.count("too new to write</td>") == 1 and page.count("<div>Music/") == 60
    asked = """(() => {
        document.getElementById("more").click(); document.getElementById("more").click();
        return [document.querySelectorAll("#body tr").length, document.body.scrollHeight];
    })()"""
    rows, height = seen_in_browser(page, asked, tmp_path, columns=390)
    assert rows == 60 and height < 7000
