"""Serve a deck for the time of a talk: telephones step it, and the audience votes on its questions.

There are two servers. That of the screen is reached from this machine alone, whatever others do;
that of the telephones from the network, if the speaker says so, and it bears only so much
(:mod:`filmkit.serving.limits`). The screen, the speaker and the audience have a secret each.
Nothing is written, and nothing is kept when the servers end.
"""

from __future__ import annotations

import re
import secrets
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from io import StringIO

import segno
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.types import ASGIApp
from starlette.websockets import WebSocket, WebSocketDisconnect

from extract.support.printing import echo
from filmkit.decks.hall import Hall
from filmkit.decks.talk import Talk
from filmkit.serving.guard import LOCAL, LOCAL_HEADERS, Entrance, Guard, hosts_of
from filmkit.serving.limits import BOUNDED, MAX_MESSAGE, allow_many_files
from filmkit.serving.running import listening, open_in_browser, run, server_of

__all__ = ["ROLES", "TalkServer", "serve_talk"]

LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
"""What secrets are made of: none looks like another, and a telephone needs no key for capitals."""

ROLES = {"screen": 52, "speaker": 26, "vote": 8}
"""The parts of the server, by the first names of their paths, and the lengths of their secrets.

Short ones make codes that are read from far away, and can be typed. Those of screen and speaker
have 256 and 128 bits; the shortest lets people vote and do nothing else, and who guesses may try as
often as :mod:`filmkit.serving.limits` lets a machine come.
"""

# Pages say themselves what they may load and run.
PAGE_HEADERS = {
    "Content-Security-Policy": "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}
PICTURE_HEADERS = {"Cache-Control": "private, max-age=86400, immutable"}

VOTER = re.compile(r"[\w-]{22}", re.ASCII)
VOTER_BYTES = 16

LOCAL_ONLY = (
    "only this machine can reach these addresses; --network lets telephones of the same network in"
)
OPEN = (
    "every device of your network can reach this server until Ctrl-C, and http is not encrypted: "
    "use it only in a network that you trust. Who has the code of your telephone steps the slides; "
    "who has that of a question votes"
)


class TalkServer:
    """The applications that show a talk.

    Parameters
    ----------
    talk
        What they show.
    inside, outside
        Ports of the server that only this machine reaches, and of that for telephones.
    addresses
        Addresses of this machine in its networks; empty if only this machine may enter.

    Attributes
    ----------
    entrances
        Where each role enters, by its name.
    """

    def __init__(self, talk: Talk, *, inside: int, outside: int, addresses: Sequence[str]) -> None:
        self.entrances = {
            role: Entrance(
                f"/{role}/",
                f"talk-{port}-{role}",
                hosts_of(() if role == "screen" else addresses, port),
                "".join(secrets.choice(LETTERS) for _ in range(length)),
                lead="",
            )
            for (role, length), port in zip(ROLES.items(), (inside, outside, outside), strict=True)
        }
        self._talk = talk
        self._voter_cookie = f"talk-{outside}-voter"
        joining = {"telephone": _joining(self.entrances["speaker"])}
        joining |= {"audience": _joining(self.entrances["vote"])}
        hello = {**joining, "network": bool(addresses)}
        self._hall = Hall(talk.slides, talk.questions, hello)

    def inside(self) -> ASGIApp:
        """Return the application with the deck itself."""
        return Starlette(routes=[self._screen()])

    def outside(self) -> ASGIApp:
        """Return the application for telephones."""
        return Starlette(routes=[self._speaker(), self._vote()])

    def _screen(self) -> BaseRoute:
        films = self._talk.films

        async def show_film(request: Request) -> Response:
            file = films.get(request.path_params["name"])
            return FileResponse(file) if file and file.is_file() else _nothing()

        more = [Route("/{name:path}", show_film)]
        return self._part("screen", self._talk.screen, self._hall.attend_screen, more)

    def _speaker(self) -> BaseRoute:
        async def show_picture(request: Request) -> Response:
            picture = self._talk.pictures.get(request.path_params["name"])
            if picture is None:
                return _nothing()
            return Response(picture, media_type="image/webp", headers=PICTURE_HEADERS)

        more = [Route("/pictures/{name}", show_picture)]
        return self._part("speaker", self._talk.telephone, self._hall.attend_speaker, more)

    def _vote(self) -> BaseRoute:
        async def attend(websocket: WebSocket) -> None:
            voter = websocket.cookies.get(self._voter_cookie, "")
            if VOTER.fullmatch(voter):
                await self._hall.attend_audience(websocket, voter)
            else:
                await websocket.close()

        return self._part("vote", self._talk.voting, attend)

    def _part(
        self,
        role: str,
        page: str,
        attend: Callable[[WebSocket], Awaitable[None]],
        more: Iterable[BaseRoute] = (),
    ) -> BaseRoute:
        """Return the part of a role: its page, its websocket, and further routes."""
        entrance, content = self.entrances[role], page.encode()

        async def show_page(request: Request) -> Response:
            response = HTMLResponse(content, headers=PAGE_HEADERS)
            entrance.remember(response)
            if role == "vote" and not VOTER.fullmatch(request.cookies.get(self._voter_cookie, "")):
                voter = secrets.token_urlsafe(VOTER_BYTES)
                response.set_cookie(
                    self._voter_cookie, voter, path=entrance.home, httponly=True, samesite="strict"
                )
            return response

        async def attend_session(websocket: WebSocket) -> None:
            with suppress(WebSocketDisconnect):
                await attend(websocket)

        routes = [Route("/", show_page), WebSocketRoute("/session", attend_session), *more]
        more_headers = LOCAL_HEADERS if role == "screen" else {}
        guard = Guard(Starlette(routes=routes), entrance, self._talk.refusal, more_headers)
        return Mount(entrance.home.rstrip("/"), guard)


def _nothing() -> Response:
    return PlainTextResponse("There is no such file.\n", 404)


def _joining(entrance: Entrance) -> Mapping[str, str]:
    """Return an address, and its code as the address of a picture."""
    code = segno.make(entrance.address, error="m", micro=False)
    picture = code.svg_data_uri(border=4, light="#fff", dark="#000", omitsize=True)
    return {"address": entrance.address, "code": picture}


def serve_talk(talk: Talk, addresses: Sequence[str], *, quiet: bool) -> None:
    """Serve a talk until Ctrl-C is pressed, which is its end.

    Parameters
    ----------
    talk
        What is shown.
    addresses
        Addresses of this machine in its networks, which may enter; empty for this machine alone.
    quiet
        Whether to print the addresses only.
    """
    allow_many_files()
    with listening() as inside, listening("0.0.0.0" if addresses else LOCAL) as outside:
        server = TalkServer(
            talk,
            inside=inside.getsockname()[1],
            outside=outside.getsockname()[1],
            addresses=addresses,
        )
        screen, speaker = (server.entrances[role] for role in ("screen", "speaker"))
        echo(f"the deck: {screen.address}")
        for address in speaker.addresses[: max(1, len(addresses))]:
            echo(f"your telephone: {address}")
        if not quiet:
            if addresses:
                _print_code(speaker.address)
            echo(OPEN if addresses else LOCAL_ONLY, err=True)
            echo("Ctrl-C ends the talk", err=True)
        open_in_browser(screen.address)
        run(
            server_of(server.inside(), inside, ws_max_size=MAX_MESSAGE),
            server_of(server.outside(), outside, **BOUNDED),
        )


def _print_code(address: str) -> None:
    """Print a code to scan, if the terminal has the blocks of which it is made."""
    drawn = StringIO()
    segno.make(address, error="l", micro=False).terminal(drawn, compact=True)
    with suppress(UnicodeEncodeError):
        drawn.getvalue().encode(sys.stdout.encoding or "ascii")
        echo(drawn.getvalue())
