"""The server of the studio: its page, what it made, and a websocket for each page."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import NoReturn

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp
from starlette.websockets import WebSocket

from extract.support.printing import echo
from extract.support.temporary import temporary_folder
from filmkit.core.language import KIT_CATALOGUES, catalogue_folder, use_language
from filmkit.core.scene_entry import SceneEntry
from filmkit.core.theme import DARK, LIGHT
from filmkit.decks.web import colours_of, render_page
from filmkit.render.cache import open_cache
from filmkit.render.clean_process import start_server
from filmkit.render.processes import children_ignore_ctrl_c
from filmkit.render.request import RenderRequest, load_trace
from filmkit.serving.guard import LOCAL_HEADERS, Entrance, Guard, hosts_of
from filmkit.serving.refusal import refusal_page
from filmkit.serving.running import listening, open_in_browser, run, server_of
from filmkit.studio.controls import choices_of
from filmkit.studio.session import MadeFiles, Session
from filmkit.studio.tracer import SentenceTracer

__all__ = ["Studio", "application", "serve"]

REFUSAL = refusal_page(
    "Refused", "Open the address that the studio printed in its terminal, token included."
)

SCRIPTS = {
    "filled.js": "filmkit.decks",
    "cells.js": "filmkit.decks",
    "studio.js": "filmkit.studio",
}
"""Scripts of the page, and the packages in whose templates they are."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src data:; media-src 'self'; connect-src 'self' {websockets}; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
# Of words that are written while the page is open: Latin ones with marks, and Greek ones.
LETTERS = "".join(map(chr, (*range(0xA1, 0x180), *range(0x391, 0x3CA))))
MAX_MESSAGE = 1 << 16  # bytes
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
        How scenes are drawn; it keeps its cache. The page is in its language.
    aspect
        Aspect of the pictures to begin with.
    made
        What was drawn.
    token
        The secret that a page must have.
    port
        The port of the server.
    words
        Those of the trace to begin with.
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
    words: str = ""
    tracer: SentenceTracer = field(default_factory=SentenceTracer)

    @property
    def entrance(self) -> Entrance:
        """Where the page is opened, and with what."""
        return Entrance("/", f"studio-{self.port}", hosts_of((), self.port), self.token)


def application(studio: Studio) -> ASGIApp:
    """Return the application: the page, its scripts, what was made, and the websocket."""
    entrance = studio.entrance
    scripts = {
        name: (files(package) / "templates" / name).read_text(encoding="utf-8")
        for name, package in SCRIPTS.items()
    }
    with use_language(studio.request.settings.language):
        page = render_page("studio.html", DARK, package="filmkit.studio", scripts=tuple(SCRIPTS))
    told = "".join((page, *scripts.values(), *_words(studio)))
    style = render_page(
        "studio.css", DARK, package="filmkit.studio", told=told, light=colours_of(LIGHT)
    )

    async def show_page(request: Request) -> Response:
        response = HTMLResponse(page)
        entrance.remember(response)
        return response

    async def show_style(request: Request) -> Response:
        return Response(style, media_type="text/css")

    async def show_script(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in scripts:
            return PlainTextResponse("There is no such script.\n", 404)
        return Response(scripts[name], media_type="text/javascript")

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
    sources = " ".join(f"ws://{host}" for host in entrance.hosts)
    policy = {"Content-Security-Policy": POLICY.format(websockets=sources)}
    return Guard(Starlette(routes=routes), entrance, REFUSAL, LOCAL_HEADERS | policy)


def _words(studio: Studio) -> Iterator[str]:
    """Yield texts whose letters the page needs: of scenes, in all languages, and of the trace."""
    yield LETTERS
    yield studio.words
    sources = [Path(entry.source_file) for entry in studio.entries.values()]
    folders = {KIT_CATALOGUES, *map(catalogue_folder, sources)}
    for path in (*sources, *(file for folder in folders for file in folder.glob("*.po"))):
        if path.is_file():
            yield path.read_text(encoding="utf-8", errors="ignore")


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
    trace = load_trace(request)
    # The server that forks processes has to outlive Ctrl-C while it loads libraries too.
    with children_ignore_ctrl_c():
        start_server()
    with (
        temporary_folder() as folder,
        open_cache(request.cache, keep=request.keep_cache) as cache,
        listening() as place,
    ):
        studio = Studio(
            entries={entry.slug: entry for entry in (*request.scenes, *entries)},
            initial=request.scenes[0].slug if request.scenes else "",
            # All processes share one cache, even if it is a temporary one.
            request=replace(request, cache=cache.folder, keep_cache=True),
            aspect=aspect,
            made=MadeFiles(folder),
            token=secrets.token_urlsafe(),
            port=place.getsockname()[1],
            words="".join(trace.meta.tokens),
        )
        address = studio.entrance.address
        echo(address)
        echo("Ctrl-C ends the studio", err=True)
        if browser:
            open_in_browser(address)
        try:
            run(server_of(application(studio), place, ws_max_size=MAX_MESSAGE))
        finally:
            studio.tracer.end()  # which would wait for its page to return
    raise KeyboardInterrupt  # the servers have handled the signal
