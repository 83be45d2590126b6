"""The server of the studio: its page, what it made, and a websocket for each page."""

from __future__ import annotations

import asyncio
import secrets
import socket
import sys
import threading
import webbrowser
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from importlib.resources import files
from os import environ
from typing import NoReturn

import uvicorn
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.requests import HTTPConnection, Request
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from extract.support.printing import echo
from extract.support.temporary import temporary_folder
from filmkit.core.scene_entry import SceneEntry
from filmkit.core.theme import DARK, LIGHT
from filmkit.decks.web import colours_of, fonts
from filmkit.render.cache import open_cache
from filmkit.render.clean_process import start_server
from filmkit.render.processes import children_ignore_ctrl_c
from filmkit.render.request import RenderRequest, load_trace
from filmkit.studio.controls import choices_of
from filmkit.studio.session import MadeFiles, Session
from filmkit.studio.tracer import SentenceTracer

__all__ = ["Studio", "application", "serve"]

HOST = "127.0.0.1"
NAMES = (HOST, "localhost")
SHUTDOWN_SECONDS = 5

REFUSAL = "Refused: open the address that the studio printed in its terminal, token included.\n"

SCRIPTS = {"cells.js": "filmkit.decks", "studio.js": "filmkit.studio"}
"""Scripts of the page, and the packages in whose templates they are."""

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; font-src data:; media-src 'self'; "
    "connect-src 'self' {websockets}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
MADE_CACHING = "private, max-age=86400, immutable"  # the name of what was made says all about it


@dataclass(frozen=True)
class Studio:
    """What the server needs to know.

    Attributes
    ----------
    entries
        The scenes that pages may show, by name.
    initial
        Name of the scene to begin with; "" to let pages choose.
    request
        How scenes are drawn; it keeps its cache.
    aspect
        Aspect of the pictures to begin with.
    made
        What was drawn.
    token
        The secret that a page must have.
    port
        The port of the server.
    tracer
        Traces sentences that are typed on pages.
    """

    entries: dict[str, SceneEntry]
    initial: str
    request: RenderRequest
    aspect: str
    made: MadeFiles
    token: str
    port: int
    tracer: SentenceTracer = field(default_factory=SentenceTracer)

    @property
    def cookie(self) -> str:
        """Name of the cookie that holds the token; ports share cookies, so each has its own."""
        return f"studio-{self.port}"

    @property
    def address(self) -> str:
        """The address of the page, token included."""
        return f"http://{HOST}:{self.port}/?token={self.token}"

    @property
    def hosts(self) -> tuple[str, ...]:
        """What a browser may call this server."""
        return tuple(f"{name}:{self.port}" for name in NAMES)


class Guard:
    """Refuses every request of somebody else: without the token, or for another host.

    Another page in the same browser could send requests here too, with the cookie if it comes from
    another port of this machine. What browsers say of where a request comes from must be this
    server's own page, or the user.

    Parameters
    ----------
    app
        The application to guard.
    studio
        The token, and the port.
    """

    def __init__(self, app: ASGIApp, studio: Studio) -> None:
        self._app = app
        self._studio = studio
        sources = " ".join(f"ws://{host}" for host in studio.hosts)
        self._headers = {
            name: value.replace("{websockets}", sources) for name, value in HEADERS.items()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        if self._admits(scope):
            await self._app(scope, receive, send_with_headers)
        elif scope["type"] == "http":
            refusal = PlainTextResponse(REFUSAL, 403)
            await refusal(scope, receive, send_with_headers)
        else:
            # Before a websocket is accepted this is answered with 403.
            await send({"type": "websocket.close", "code": 1008})

    def _admits(self, scope: Scope) -> bool:
        headers, studio = Headers(scope=scope), self._studio
        origins = [f"http://{host}" for host in studio.hosts]
        if headers.get("host") not in studio.hosts:
            return False
        if headers.get("origin", origins[0]) not in origins:
            return False
        if scope["type"] == "http" and scope["path"] == "/":
            given = QueryParams(scope["query_string"]).get("token", "")
            # A link with the token may be opened from any page, such as a terminal in the browser.
            if self._is_token(given):
                return True
        if headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            return False
        return self._is_token(HTTPConnection(scope).cookies.get(studio.cookie, ""))

    def _is_token(self, given: str) -> bool:
        return secrets.compare_digest(given.encode(), self._studio.token.encode())


def application(studio: Studio) -> ASGIApp:
    """Return the application: the page, its scripts, what was made, and the websocket."""
    environment = Environment(
        loader=ChoiceLoader([PackageLoader("filmkit.studio"), PackageLoader("filmkit.decks")]),
        autoescape=True,
        undefined=StrictUndefined,
    )
    page = environment.get_template("studio.html").render()
    style = environment.get_template("studio.css").render(
        colours=colours_of(DARK), light=colours_of(LIGHT), scheme="dark", fonts=fonts()
    )

    async def show_page(request: Request) -> Response:
        response = HTMLResponse(page)
        # The page takes the token out of its address, so that no history keeps it.
        response.set_cookie(studio.cookie, studio.token, httponly=True, samesite="strict")
        return response

    async def show_style(request: Request) -> Response:
        return Response(style, media_type="text/css")

    async def show_script(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in SCRIPTS:
            return PlainTextResponse("There is no such script.\n", 404)
        text = (files(SCRIPTS[name]) / "templates" / name).read_text(encoding="utf-8")
        return Response(text, media_type="text/javascript")

    async def show_made(request: Request) -> Response:
        file = studio.made.find(request.path_params["name"])
        if file is None:
            return PlainTextResponse("The studio made no such file.\n", 404)
        return FileResponse(file, headers={"Cache-Control": MADE_CACHING})

    async def attend(websocket: WebSocket) -> None:
        await Session(
            websocket,
            entries=studio.entries,
            initial=studio.initial,
            request=studio.request,
            choices=choices_of(studio.request, studio.aspect),
            made=studio.made,
            tracer=studio.tracer,
        ).run()

    routes = [
        Route("/", show_page),
        Route("/studio.css", show_style),
        Route("/made/{name}", show_made),
        Route("/{name}", show_script),
        WebSocketRoute("/session", attend),
    ]
    return Guard(Starlette(routes=routes), studio)


def serve(
    request: RenderRequest, entries: Sequence[SceneEntry], *, aspect: str, browser: bool
) -> NoReturn:
    """Serve the studio until Ctrl-C is pressed.

    Parameters
    ----------
    request
        How scenes are drawn; if it names a scene, pages begin with that one.
    entries
        The scenes to choose from.
    aspect
        Aspect of the pictures to begin with.
    browser
        Whether to open the page in the user's browser.

    Raises
    ------
    KeyboardInterrupt
        On Ctrl-C or SIGTERM, as every command that is stopped.
    """
    load_trace(request)
    # The server that forks processes has to outlive Ctrl-C while it loads libraries too.
    with children_ignore_ctrl_c():
        start_server()
    with (
        temporary_folder() as folder,
        open_cache(request.cache, keep=request.keep_cache) as cache,
        socket.socket() as listening,
    ):
        listening.bind((HOST, 0))
        listening.listen()  # whoever reads the address may be quicker than the server
        studio = Studio(
            entries={entry.slug: entry for entry in (*request.scenes, *entries)},
            initial=request.scenes[0].slug if request.scenes else "",
            # All processes share one cache, even if it is a temporary one.
            request=replace(request, cache=cache.folder, keep_cache=True),
            aspect=aspect,
            made=MadeFiles(folder),
            token=secrets.token_urlsafe(),
            port=listening.getsockname()[1],
        )
        config = uvicorn.Config(
            application(studio),
            log_config=None,
            log_level="critical",
            access_log=False,
            ws_max_size=1 << 16,
            timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        )
        echo(studio.address)
        echo("Ctrl-C ends the studio", err=True)
        if browser and _has_display():
            # In a thread, because some browsers keep their caller waiting.
            threading.Thread(target=_open, args=(studio.address,), daemon=True).start()
        asyncio.run(uvicorn.Server(config).serve(sockets=[listening]))
    raise KeyboardInterrupt  # uvicorn has handled the signal


def _has_display() -> bool:
    """Whether a browser would open a window, instead of taking over the terminal."""
    return sys.platform != "linux" or bool(environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY"))


def _open(address: str) -> None:
    with suppress(webbrowser.Error):
        webbrowser.open(address)
