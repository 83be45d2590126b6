"""Refuse requests to a server that lack its secret, or come from pages of others."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["LOCAL", "LOCAL_HEADERS", "Entrance", "Guard", "hosts_of"]

LOCAL = "127.0.0.1"
"""The address of this machine that no other machine reaches."""

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
"""Headers of every answer that does not set them itself."""

LOCAL_HEADERS = {"Cross-Origin-Opener-Policy": "same-origin"}
"""More of them for pages of this machine alone; browsers ignore them in others over http."""


def hosts_of(addresses: Iterable[str], port: int) -> tuple[str, ...]:
    """Return what browsers may call a server, the given addresses first.

    Parameters
    ----------
    addresses
        Addresses on which it listens, besides those of this machine alone.
    port
        Its port.
    """
    return tuple(f"{name}:{port}" for name in dict.fromkeys([*addresses, LOCAL, "localhost"]))


@dataclass(frozen=True)
class Entrance:
    """Where a server, or a part of one, is entered, and with what.

    Attributes
    ----------
    home
        Path of the page that takes the secret from its address, such as "/"; paths below it belong
        to it. The page takes the secret out of the address.
    cookie
        Name of the cookie that holds the secret afterwards; ports share cookies, so it has to name
        the port.
    hosts
        What a browser may call the server, as "name:port"; the first is told to users.
    token
        The secret.
    lead
        What stands before the secret in the address.
    """

    home: str
    cookie: str
    hosts: tuple[str, ...]
    token: str = field(default_factory=secrets.token_urlsafe, repr=False)
    lead: str = "?token="

    @property
    def addresses(self) -> list[str]:
        """The address of the page by each of the names, secret included."""
        return [f"http://{host}{self._door}" for host in self.hosts]

    @property
    def address(self) -> str:
        """The address of the page by the first of the names, secret included."""
        return self.addresses[0]

    def remember(self, response: Response) -> None:
        """Give the browser the secret as a cookie.

        The page takes it out of its address, so that no history keeps it.
        """
        response.set_cookie(
            self.cookie, self.token, path=self.home, httponly=True, samesite="strict"
        )

    @property
    def _door(self) -> str:
        return f"{self.home}{self.lead}{self.token}"

    def is_entered(self, scope: Scope) -> bool:
        """Return whether a request is for the page, with the secret in its address."""
        query = scope["query_string"].decode("latin-1")
        return _is_same(scope["path"] + (f"?{query}" if query else ""), self._door)

    def has_token(self, given: str) -> bool:
        """Return whether a text is the secret."""
        return _is_same(given, self.token)


def _is_same(given: str, secret: str) -> bool:
    """Compare two texts in a time that tells nothing of the secret."""
    return secrets.compare_digest(given.encode(errors="replace"), secret.encode())


class Guard:
    """Refuses every request of somebody else: without the token, or for another host.

    Another page in the same browser could send requests here too, with the cookie if it comes from
    another port of this machine. What browsers say of where a request comes from must be this
    server's own page, or the user.

    Parameters
    ----------
    app
        The application to guard.
    entrance
        The secret, and where it is given.
    refusal
        The page that those see who are refused; see :mod:`filmkit.serving.refusal`.
    headers
        Headers of every answer, instead of :data:`HEADERS` of these names.
    """

    def __init__(
        self,
        app: ASGIApp,
        entrance: Entrance,
        refusal: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._app = app
        self._entrance = entrance
        self._refusal = refusal
        self._headers = HEADERS | dict(headers or {})

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
            if scope["type"] == "http" and self._entrance.is_entered(scope):
                scope = {**scope, "path": self._entrance.home}
            await self._app(scope, receive, send_with_headers)
        elif scope["type"] == "http":
            refusal = HTMLResponse(self._refusal, 403)
            await refusal(scope, receive, send_with_headers)
        else:
            # Before a websocket is accepted this is answered with 403.
            await send({"type": "websocket.close", "code": 1008})

    def _admits(self, scope: Scope) -> bool:
        headers, entrance = Headers(scope=scope), self._entrance
        origins = [f"http://{host}" for host in entrance.hosts]
        if headers.get("host") not in entrance.hosts:
            return False
        if headers.get("origin", origins[0]) not in origins:
            return False
        # A link with the token may be opened from any page, such as a terminal in the browser.
        if scope["type"] == "http" and entrance.is_entered(scope):
            return True
        if headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            return False
        return entrance.has_token(HTTPConnection(scope).cookies.get(entrance.cookie, ""))
