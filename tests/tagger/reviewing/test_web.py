"""The page of a review: who gets through, and what a person does on it in a real browser."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from http.client import HTTPConnection
from pathlib import Path

import mutagen
import pytest
from mediafile import Image, ImageType, MediaFile

from tagger.deciding.decide import Status
from tagger.pipeline.road import TrackResult
from tagger.reports.csv_report import CsvReport, open_report
from tagger.reviewing.web import Guard
from tests.conftest import aged

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

HOSTILE = "<img src=x onerror=document.title='owned'>\x1b[31m\u202e.flac"
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489"
    "0000000d49444154789c6360f8cf500f0003860180"
    "5a34c37b0000000049454e44ae426082"
)


class Server:
    """`gtag review --web`, with its address and what it says."""

    def __init__(self, report, folder, *options):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tagger", "review", "--web", str(report), *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            cwd=folder,
            env={k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
            | {"PYTHONPATH": str(Path(__file__).parents[3]), "PYTHONUTF8": "1"}
            | {"XDG_STATE_HOME": str(folder / "state"), "XDG_DATA_HOME": str(folder / "data")},
        )
        said = ""
        for line in self.process.stdout:
            said += line
            if found := re.search(r"http://(127\.0\.0\.1:(\d+))/([\w-]+)/", line):
                break
        else:
            raise AssertionError(said)
        self.url, self.host, self.port, self.token = found[0], found[1], int(found[2]), found[3]

    def ask(self, path, *, method="GET", body=None, **headers):
        """Ask by HTTP, as any program could; `path` begins with a slash."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=120)
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.headers

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        said = self.process.stdout.read()
        return self.process.wait(timeout=120), said


@pytest.fixture
def music(make_audio, tmp_path):
    """An album of three with a cover, a track with a hostile name, one that no browser plays."""
    pieces = []
    for i, suffix in enumerate((".mp3", ".flac", ".m4a")):
        piece = make_audio(suffix, name=f"m/album/{i}{suffix}", seed=i)
        media = MediaFile(piece)
        media.album, media.albumartist, media.title = "<b>An album</b>", "Somebody", f"Song {i}"
        media.images = [Image(PIXEL, type=ImageType.front)]
        media.save()
        pieces.append(aged(piece))
    pieces.append(make_audio(".flac", name=f"m/loose/{HOSTILE}", seed=5))
    pieces.append(make_audio(".wma", name="m/other/last.wma", seed=6))
    return pieces


@pytest.fixture
def served(music, tmp_path):
    report = tmp_path / "report.csv"
    (tmp_path / "secret.txt").write_text("secret")
    with open_report(str(report)) as file:
        rows = CsvReport(file)
        for path in (*music, tmp_path / "secret.txt"):
            rows.add(TrackResult(str(path), Status.UNSURE, "Rock", 0.4, "Pop", 0.3, message="why"))
    server = Server(report, tmp_path)
    yield server
    server.end()


def genres(pieces):
    return [MediaFile(piece).genre for piece in pieces]


def test_only_who_knows_the_address_gets_through(served, music):
    root = f"/{served.token}/"
    status, page, headers = served.ask(root, Host=served.host)
    assert status == 200 and b"<title>Review</title>" in page
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
    assert "unsafe-inline" not in policy.replace("style-src 'unsafe-inline'", "")
    assert headers["referrer-policy"] == "no-referrer" and headers["cache-control"] == "no-store"
    assert served.ask(root, Host=f"localhost:{served.port}")[0] == 200
    # Another word, another name that leads here, another page.
    for path in ("/", "/start", f"/{served.token[:-1]}/start", "/%C3%A9/start"):
        assert served.ask(path, Host=served.host)[0] == 404
    assert served.ask(root, Host="evil.example")[0] == 403
    assert served.ask(root, Host=f"evil.example:{served.port}")[0] == 403
    assert served.ask(root, Host=served.host, Origin="http://evil.example")[0] == 403
    body = json.dumps({"numbers": [0], "genres": "Zouk", "as_typed": True})
    json_type = {"Content_Type": "application/json"}
    for origin in ({}, {"Origin": "null"}, {"Origin": "http://evil.example"}):
        asked = served.ask(
            root + "do/answer", method="POST", body=body, Host=served.host, **json_type, **origin
        )
        assert asked[0] == 403
    own = {"Host": served.host, "Origin": f"http://{served.host}"}
    as_form = {"Content_Type": "text/plain"}
    assert served.ask(root + "do/answer", method="POST", body=body, **own, **as_form)[0] == 415
    for wrong in (
        *("", "[]", '{"numbers": [99], "genres": "Zouk"}', '{"numbers": ["0"]}', "{"),
        *('{"numbers": [true], "genres": "Zouk"}', "[" * 100_000),
    ):
        asked = served.ask(root + "do/answer", method="POST", body=wrong, **own, **json_type)
        assert asked[0] == 400, wrong
    # Regression: an answer without a genre took away the one that was there.
    none = '{"numbers": [0], "genres": " ; ", "as_typed": true}'
    asked = served.ask(root + "do/answer", method="POST", body=none, **own, **json_type)
    assert asked[0] == 200 and b"no genre is named" in asked[1]
    long = json.dumps({"numbers": [0] * 400_000, "genres": "Zouk"})
    assert served.ask(root + "do/answer", method="POST", body=long, **own, **json_type)[0] == 413
    assert genres(music) == [None] * 5


def test_the_address_on_a_command_line_is_good_for_one_visit():
    """Every user of a machine sees the command lines of the others."""
    reached = []

    async def site(scope, receive, send):
        reached.append(scope["path"])

    async def visit(path):
        told = []
        scope = {"type": "http", "method": "GET", "path": path, "headers": [(b"host", b"here:1")]}
        await guard(scope, None, lambda message: keep(told, message))
        return told[0]["status"] if told else 200

    async def keep(told, message):
        told.append(message)

    guard = Guard(site, "word", "once", ["here:1"])
    assert [asyncio.run(visit(path)) for path in ("/once/", "/once/", "/word/x")] == [303, 404, 200]
    assert reached == ["/x"]


def test_only_tracks_of_the_report_are_served(served, music):
    root, host = f"/{served.token}", {"Host": served.host}
    status, sound, _ = served.ask(f"{root}/audio/0", **host)
    assert status == 200 and sound == music[0].read_bytes()
    status, part, headers = served.ask(f"{root}/audio/0", **host, Range="bytes=10-19")
    assert (status, part) == (206, sound[10:20])
    assert headers["content-range"] == f"bytes 10-19/{len(sound)}"
    status, picture, headers = served.ask(f"{root}/cover/1", **host)
    assert (status, picture, headers["content-type"]) == (200, PIXEL, "image/png")
    assert headers["x-content-type-options"] == "nosniff"
    assert served.ask(f"{root}/cover/3", **host)[0] == 404
    status, wave, _ = served.ask(f"{root}/excerpts/4", **host)
    assert status == 200 and wave[:4] == b"RIFF" and len(wave) > 22050
    # A report may name anything: what is no music is not served.
    assert served.ask(f"{root}/audio/5", **host)[0] == 409
    for path in ("audio/6", "audio/-1", "audio/../../secret.txt", "audio/%2e%2e", "secret.txt"):
        assert served.ask(f"{root}/{path}", **host)[0] in (400, 404), path


def test_a_cover_beside_the_track_is_shown_and_no_link_followed(served, music):
    folder = music[3].parent  # that track has none in its tags

    def asked():
        status, picture, headers = served.ask(f"/{served.token}/cover/3", Host=served.host)
        return (status, picture, headers["content-type"]) if status == 200 else status

    (folder / "outside.png").write_bytes(PIXEL)
    (folder / "cover.jpg").symlink_to(folder / "outside.png")
    (folder / "cover.png").write_bytes(b"no picture " + PIXEL)
    (folder / "folder.jpg").write_bytes(PIXEL + bytes(16 << 20))
    (folder / "folder.gif").mkdir()
    assert asked() == 404
    (folder / "Folder.PNG").write_bytes(PIXEL)  # what it holds is told, whatever it is called
    assert asked() == (200, PIXEL, "image/png")


def test_a_port_can_be_chosen_and_one_that_is_taken_is_told(served, tmp_path):
    report, port = tmp_path / "report.csv", served.port
    taken = ("review", "--web", str(report), "--port", str(port))
    command = [sys.executable, "-m", "tagger", *taken]
    home = {"XDG_STATE_HOME": str(tmp_path / "state"), "PYTHONPATH": str(Path.cwd())}
    told = subprocess.run(command, env=os.environ | home, capture_output=True, text=True)
    assert told.returncode == 2 and f"port {port} cannot be used" in told.stderr
    served.end()
    again = Server(report, tmp_path, "--port", str(port))
    assert again.port == port and again.end()[0] == 130


def test_what_the_page_is_told_is_ascii_and_shows_what_is_not_seen(served):
    status, told, _ = served.ask(f"/{served.token}/queue/0", Host=served.host)
    assert status == 200 and told.isascii()
    tracks = json.loads(told)["tracks"]
    assert [track["joins"] for track in tracks[:4]] == [False, True, True, False]
    assert tracks[3]["name"] == "<img src=x onerror=document.title='owned'>\\x1b[31m\\u202e.flac"
    assert tracks[5]["state"] == "problem"


@pytest.fixture(scope="module")
def chromium():
    library = pytest.importorskip("playwright.sync_api")
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if not program:
        pytest.skip("no Chromium here")
    with library.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium, served):
    """The page, with what it fetched and what went wrong on it."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(120_000)
    page.fetched, page.errors = [], []
    page.on("request", lambda request: page.fetched.append(request.url))
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.on("console", lambda m: page.errors.append(m.text) if m.type == "error" else None)
    page.goto(served.url)
    page.wait_for_selector("#guesses li")
    yield page
    assert not page.errors
    assert all(url.startswith((served.url, "data:", "blob:")) for url in page.fetched)
    context.close()


def title_is(page, text):
    page.wait_for_function("t => document.getElementById('title').textContent === t", arg=text)
    page.wait_for_selector("#guesses li")
    page.wait_for_function("() => !document.body.hasAttribute('aria-busy')")


def said_is(page, part):
    page.wait_for_function("t => document.getElementById('said').textContent.includes(t)", arg=part)


def test_a_review_by_keys_alone(opened, served, music, tmp_path):
    page = opened
    before = [mutagen.File(piece).tags for piece in music]
    title_is(page, "Song 0")
    assert page.text_content("#queue h3 span") == "Somebody – <b>An album</b>"
    assert page.get_attribute("#cover", "alt") == "Cover of <b>An album</b>"
    # Regression: the models that are bundled now had no genres over time here.
    page.wait_for_selector("#sound rect")
    assert page.text_content("#legend").strip()
    best = page.text_content("#guesses li:nth-child(2) span")
    page.keyboard.press("2")  # the second guess
    title_is(page, "Song 1")
    assert MediaFile(music[0]).genre == best
    assert page.text_content("#said") == f"Written into Song 0: {best}"
    page.keyboard.press("t")  # a genre of the tree, by search
    page.keyboard.type("electro")  # regression: Electronic, which begins so
    assert page.text_content("#tree [aria-selected=true] > span") == "Electro"
    page.keyboard.press("Escape")
    page.keyboard.press("t")
    page.keyboard.type("drum")
    assert page.text_content("#tree [aria-selected=true] > span") == "Drum and Bass"
    page.keyboard.press("Enter")
    title_is(page, "Song 2")
    assert MediaFile(music[1]).genre == "Drum and Bass"
    page.keyboard.press("s")
    title_is(page, "<img src=x onerror=document.title='owned'>\\x1b[31m\\u202e.flac")
    page.keyboard.press("t")  # a word that is near one, and then as typed
    page.keyboard.type("Rap; Teckno")
    page.keyboard.press("Enter")
    page.wait_for_selector("#near:not([hidden])")
    assert page.text_content("#near").startswith("Did you mean Techno?")
    page.keyboard.press("Enter")
    title_is(page, "last.wma")
    assert MediaFile(music[3]).genres == ["Rap", "Techno"]
    assert page.text_content("#count") == "6 unsure tracks, 1 to go, 3 answered"
    page.reload()  # what was done is not forgotten with the page
    title_is(page, "last.wma")
    assert page.text_content("#count") == "6 unsure tracks, 1 to go, 3 answered"
    page.keyboard.press("u")  # the last answer, then the skip, then the one before
    said_is(page, "Taken")
    title_is(page, "<img src=x onerror=document.title='owned'>\\x1b[31m\\u202e.flac")
    assert MediaFile(music[3]).genre is None
    page.keyboard.press("u")
    title_is(page, "Song 2")
    page.keyboard.press("u")
    title_is(page, "Song 1")
    assert genres(music[:3]) == [best, None, None]
    assert page.title() == "Review" and not page.query_selector("#main img[src=x]")
    # The rest as in the terminal: one run, which gtag undo takes back.
    status, said = served.end()
    assert status == 130 and "1 answered, 0 skipped" in said and "gtag undo" in said
    undone = gtag(tmp_path, "undo", "--yes")
    assert undone.stdout == "1 restored\n", undone.stderr
    assert [mutagen.File(piece).tags for piece in music] == before


def gtag(folder, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "tagger", *arguments],
        env=os.environ | {"XDG_STATE_HOME": str(folder / "state")},
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
    )


def test_several_tracks_at_once_and_what_cannot_be_written(opened, served, music):
    page = opened
    music[2].chmod(0o444)
    page.click("#album")
    assert page.text_content("#whom") == "The answer is for the 3 selected tracks."
    assert page.get_attribute("#album", "aria-pressed") == "true"
    page.fill("#find", "Fado")
    page.keyboard.press("Enter")
    said_is(page, "read-only")
    page.wait_for_function("() => !document.body.hasAttribute('aria-busy')")
    assert genres(music[:3]) == ["Fado", "Fado", None]
    line = page.text_content("#queue li:nth-child(1) small")
    assert line == "no genre → Fado"
    page.click("#undo")
    said_is(page, "Taken")
    assert genres(music[:3]) == [None] * 3
    page.click("#done")
    said_is(page, "ended")
    assert served.process.wait(timeout=120) == 0


def test_sound_is_played_from_the_excerpts(opened):
    """Of a format that the browser knows, the file; of another one, what gtag decoded."""
    page = opened
    playing = "() => document.getElementById('audio').currentTime > 0"
    kind = "() => document.getElementById('audio').src"
    page.click("#sound button")
    page.wait_for_function(playing)
    assert page.get_attribute("#sound button", "aria-label").startswith("Play from 0:00")
    page.keyboard.press("p")
    page.wait_for_function("() => document.getElementById('audio').paused")
    assert any(url.endswith("/audio/0") for url in page.fetched)
    page.click("text=last.wma")
    title_is(page, "last.wma")
    page.keyboard.press("p")
    page.wait_for_function(playing)
    assert page.evaluate(kind).startswith("blob:")


@pytest.mark.parametrize(("columns", "dark"), [(390, True), (1280, False), (1280, True)])
def test_it_fits_a_phone_and_follows_the_system(chromium, served, columns, dark):
    context = chromium.new_context(
        viewport={"width": columns, "height": 844}, color_scheme="dark" if dark else "light"
    )
    page = context.new_page()
    page.goto(served.url)
    page.wait_for_selector("#guesses li")
    wide = page.evaluate("document.documentElement.scrollWidth")
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (wide, ground) == (columns, "rgb(22, 22, 22)" if dark else "rgb(255, 255, 255)")
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll("button, input, img:not([hidden]), nav, main")]
        .filter(e => !(e.textContent.trim() || e.getAttribute("aria-label") || e.alt ||
            (e.labels && e.labels.length) || e.getAttribute("aria-labelledby"))).length"""
    )
    assert unnamed == 0
    context.close()


def test_the_page_asks_about_doubted_genres_too(chromium, make_audio, tmp_path):
    piece = make_audio(".flac", name="m/a.flac")
    media = MediaFile(piece)
    media.genre = "Metal"
    media.save()
    aged(piece)
    report = tmp_path / "report.csv"
    with open_report(str(report)) as file:
        CsvReport(file).add(
            TrackResult(
                str(piece),
                Status.KEPT,
                "Pop",
                0.9,
                "Rock",
                0.1,
                "Metal",
                "Metal",
                own_confidence=0.01,
            )
        )
    server = Server(report, tmp_path, "--disagree")
    page = chromium.new_page()
    page.goto(server.url)
    page.wait_for_selector("#guesses li")
    assert page.text_content("#count") == "1 doubted track, 1 to go, 0 answered"
    assert page.text_content("#change").startswith("Metal → ")
    page.keyboard.press("s")
    said_is(page, "All tracks were seen")
    assert page.text_content("#queue small") == "kept"
    assert MediaFile(piece).genre == "Metal"
    page.close()
    assert server.end()[0] == 130
