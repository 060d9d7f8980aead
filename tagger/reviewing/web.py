"""The server behind the page of a review: on this machine alone, for one person, without a net.

Whoever wants something of it has to know the random word in its address, which other programs and
other people's pages do not; nor do those get through that lead a browser here by another name
(checked by Host) or from another page (by Origin). It serves the page, and what belongs to the
tracks of the report.

The server runs in a thread of its own, but all work is done where `serve` was called: the main
thread, which alone reads tags, writes, and gets Ctrl-C.
"""

from __future__ import annotations

import asyncio
import io
import itertools
import json
import logging
import os
import queue
import secrets
import socket
import threading
import wave
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from tagger.reports.pages import page, policy
from tagger.reviewing.desk import Desk, Json
from tagger.sound.audio import Sound
from tagger.sound.decoder import SAMPLE_RATE
from tagger.system.errors import ConfigurationError, GtagError
from tagger.system.exhausted import what_ran_out

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger(__name__)

T = TypeVar("T")

# Of what browsers play; whatever they do not, they play as excerpts.
_MEDIA_TYPES = {
    "MP3": "audio/mpeg",
    "FLAC": "audio/flac",
    "Ogg Vorbis": "audio/ogg",
    "Opus": "audio/ogg",
    "MP4": "audio/mp4",
    "WAV": "audio/wav",
}

_LARGEST_BODY = 1 << 20  # bytes
_LONGEST_ANSWER = 1000  # characters
_WAIT_S = 0.5  # until Ctrl-C is noticed where waiting cannot be interrupted
# In this order, where several wait: what a person does, what is shown, what may be shown next.
_ANSWERS, _SHOWN, _AHEAD = range(3)


class Jobs:
    """Work that other threads hand to the one that calls `work_off`."""

    def __init__(self) -> None:
        self._waiting: queue.PriorityQueue[tuple[int, int, Callable[[], None]]]
        self._waiting = queue.PriorityQueue()
        self._numbers = itertools.count()
        self._ended = False

    async def do(self, priority: int, work: Callable[[], T]) -> T:
        """Wait for a piece of work; it is not begun where nobody waits any more."""
        future: Future[T] = Future()

        def job() -> None:
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(work())
                except Exception as error:
                    future.set_exception(error)

        self._waiting.put((priority, next(self._numbers), job))
        return await asyncio.wrap_future(future)

    def end(self) -> None:
        """Let `work_off` return."""
        self._waiting.put((_ANSWERS, next(self._numbers), self._end))

    def _end(self) -> None:
        self._ended = True

    def work_off(self) -> None:
        """Do what is handed over, until the end."""
        while not self._ended:
            try:
                _, _, job = self._waiting.get(timeout=_WAIT_S)
            except queue.Empty:
                continue
            job()


def serve(desk: Desk, opened: Callable[[str, str], None], port: int = 0) -> None:
    """Serve the page until it says that it is done.

    Parameters
    ----------
    desk : Desk
    opened : function of two addresses
        Called when the page can be loaded, with its address, and with one that leads there once:
        for a command line, which all users of the machine can see.
    port : int
        Where to listen; 0: at any port that is free.

    Raises
    ------
    ConfigurationError
        Another program listens at that port.
    """
    import uvicorn

    jobs, token, once = Jobs(), secrets.token_urlsafe(24), secrets.token_urlsafe(24)
    with socket.socket() as listening:
        if os.name == "posix":  # elsewhere this lets two programs listen at one port
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind(("127.0.0.1", port))
        except OSError as error:
            why = error.strerror or str(error)
            raise ConfigurationError(
                f"port {port} cannot be used: {why}", hint="name another --port, or none"
            ) from error
        port = listening.getsockname()[1]
        hosts = (f"127.0.0.1:{port}", f"localhost:{port}")
        app = Guard(site(desk, jobs), token, once, hosts)
        config = uvicorn.Config(
            app,
            log_config=None,
            log_level="critical",  # `failed` tells
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        listening.listen()
        thread.start()
        try:
            opened(f"http://{hosts[0]}/{token}/", f"http://{hosts[0]}/{once}/")
            jobs.work_off()
        finally:
            server.should_exit = True
            thread.join(5)


class Guard:
    """Lets through what is asked for by the right name, word and page; says what pages may do."""

    def __init__(self, app: ASGIApp, token: str, once: str, hosts: Sequence[str]) -> None:
        self._app, self._token, self._once, self._hosts = app, token, once, hosts
        allowed = f"{policy('review.js', served=True)}; frame-ancestors 'none'"
        self._headers = [
            (b"content-security-policy", allowed.encode()),
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"no-referrer"),
            (b"cross-origin-resource-policy", b"same-origin"),
            (b"cross-origin-opener-policy", b"same-origin"),
            (b"cache-control", b"no-store"),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        from starlette.datastructures import Headers
        from starlette.responses import PlainTextResponse, RedirectResponse

        headers = Headers(scope=scope)
        host, origin = headers.get("host"), headers.get("origin")
        reads = scope["method"] in ("GET", "HEAD")
        word, _, rest = scope["path"].removeprefix("/").partition("/")

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *self._headers]
            await send(message)

        app: ASGIApp
        if host not in self._hosts or not (origin == f"http://{host}" or (reads and not origin)):
            app = PlainTextResponse("another page or name", 403)
        elif secrets.compare_digest(word.encode(), self._token.encode()):
            scope, app = {**scope, "path": f"/{rest}"}, self._app
        elif secrets.compare_digest(word.encode(), self._once.encode()):
            app, self._once = RedirectResponse(f"/{self._token}/", 303), secrets.token_urlsafe(24)
        else:
            app = PlainTextResponse("not found", 404)
        await app(scope, receive, send_guarded)


def site(desk: Desk, jobs: Jobs) -> ASGIApp:
    """Return the server's application; it trusts whoever gets through the `Guard`."""
    from starlette.applications import Starlette
    from starlette.responses import FileResponse, HTMLResponse, Response
    from starlette.routing import Route

    def told(value: Json, status: int = 200) -> Response:
        # ASCII: names may hold bytes that are no UTF-8.
        return Response(json.dumps(value), status, media_type="application/json")

    def number_in(request: Request) -> int:
        return desk.checked(request.path_params["number"])

    async def root(request: Request) -> Response:
        return HTMLResponse(page("review.html", script="review.js", served=True, title="Review"))

    async def start(request: Request) -> Response:
        return told(await jobs.do(_SHOWN, desk.start))

    async def tracks(request: Request) -> Response:
        return told(await jobs.do(_SHOWN, lambda: desk.queue(number_in(request))))

    async def track(request: Request) -> Response:
        priority = _AHEAD if "ahead" in request.query_params else _SHOWN
        return told(await jobs.do(priority, lambda: desk.track(number_in(request))))

    async def cover(request: Request) -> Response:
        found = await jobs.do(_SHOWN, lambda: desk.cover(number_in(request)))
        return Response(found[1], media_type=found[0]) if found else Response(status_code=404)

    async def audio(request: Request) -> Response:
        question = await jobs.do(_SHOWN, lambda: desk.question(number_in(request)))
        format = question.track.format
        kind = _MEDIA_TYPES.get(format.name if format else "", "application/octet-stream")
        return FileResponse(question.track.path, media_type=kind)

    async def excerpts(request: Request) -> Response:
        sound = await jobs.do(_SHOWN, lambda: desk.sound(number_in(request)))
        if sound is None:
            return Response(status_code=404)
        return Response(_wave(sound), media_type="audio/wav")

    async def act(request: Request) -> Response:
        if request.headers.get("content-type") != "application/json":
            return told({"error": "not JSON"}, 415)
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > _LARGEST_BODY:
                return told({"error": "too long"}, 413)
        action = request.path_params["action"]
        return told(await jobs.do(_ANSWERS, lambda: _acted(desk, action, json.loads(body))))

    async def done(request: Request) -> Response:
        jobs.end()
        return told({})

    async def failed(request: Request, error: Exception) -> Response:
        if isinstance(error, GtagError):
            return told({"error": error.message}, 409)
        if isinstance(error, ValueError | KeyError | TypeError | RecursionError):
            return told({"error": "not understood"}, 400)
        log.error("unexpected: %r", error, exc_info=error)
        lacking = what_ran_out(error)
        return told({"error": lacking.message if lacking else f"a bug in gtag: {error!r}"}, 500)

    known = (GtagError, ValueError, KeyError, TypeError, Exception)
    return Starlette(
        routes=[
            Route("/", root),
            Route("/start", start),
            Route("/queue/{number:int}", tracks),
            Route("/track/{number:int}", track),
            Route("/cover/{number:int}", cover),
            Route("/audio/{number:int}", audio),
            Route("/excerpts/{number:int}", excerpts),
            Route("/do/{action}", act, methods=["POST"]),
            Route("/done", done, methods=["POST"]),
        ],
        exception_handlers=dict.fromkeys(known, failed),
    )


def _acted(desk: Desk, action: str, told: Json) -> Json:
    """Carry out what the page says; raises ValueError and the like where it makes no sense."""
    if action == "undo":
        return desk.undo()
    numbers = told["numbers"]
    if not isinstance(numbers, list):
        raise TypeError(numbers)
    numbers = [desk.checked(number) for number in numbers]
    if action == "skip":
        return desk.skip(numbers)
    text = told["genres"]
    if action != "answer" or not isinstance(text, str) or not 0 < len(text) < _LONGEST_ANSWER:
        raise ValueError(action)
    return desk.answer(numbers, text, as_typed=told.get("as_typed") is True)


def _wave(sound: Sound) -> bytes:
    """Return the excerpts one after the other as a WAV file, for formats that no browser plays."""
    parts = [excerpt.samples[excerpt.edge_before :] for excerpt in sound.excerpts]
    samples = np.clip(np.concatenate(parts), -1, 1) * 32767
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setparams((1, 2, SAMPLE_RATE, 0, "NONE", ""))
        writer.writeframes(samples.astype("<i2").tobytes())
    return file.getvalue()
