"""Run servers until Ctrl-C is pressed, and open their pages."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import threading
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from os import environ
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from filmkit.serving.guard import LOCAL

__all__ = ["Server", "listening", "open_in_browser", "run", "serve_all", "server_of"]

SHUTDOWN_SECONDS = 5


@contextmanager
def listening(host: str = LOCAL) -> Iterator[socket.socket]:
    """Yield a socket that listens on a free port, for the duration of a ``with`` block.

    It listens at once: whoever reads the address may be quicker than the server.
    """
    with socket.socket() as found:
        found.bind((host, 0))
        found.listen()
        yield found


def server_of(application: ASGIApp, place: socket.socket, **options: Any) -> Server:
    """Return a server for an application.

    Parameters
    ----------
    application
        The application.
    place
        The socket on which it is reached.
    **options
        More of uvicorn's options.
    """
    return Server(
        uvicorn.Config(
            application,
            log_config=None,
            log_level="critical",
            access_log=False,
            proxy_headers=False,  # nobody stands before it, who could say whom they speak for
            timeout_graceful_shutdown=SHUTDOWN_SECONDS,
            **options,
        ),
        place,
    )


def run(*servers: Server) -> None:
    """Run servers until Ctrl-C or SIGTERM.

    At a second signal they do not wait for their connections.
    """

    def stop(*_: object) -> None:
        for server in servers:
            server.force_exit, server.should_exit = server.should_exit, True

    before = {name: signal.signal(name, stop) for name in (signal.SIGINT, signal.SIGTERM)}
    try:
        asyncio.run(serve_all(*servers))
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)


async def serve_all(*servers: Server) -> None:
    """Run servers until each of them should exit."""
    await asyncio.gather(*(server.serve([server.place]) for server in servers))


class Server(uvicorn.Server):
    """One of several servers of a process, which leaves signals to :func:`run`."""

    def __init__(self, config: uvicorn.Config, place: socket.socket) -> None:
        super().__init__(config)
        self.place = place

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def open_in_browser(address: str) -> None:
    """Open a page in the user's browser, if that has a window."""
    if _has_display():
        # In a thread, because some browsers keep their caller waiting.
        threading.Thread(target=_open, args=(address,), daemon=True).start()


def _has_display() -> bool:
    """Whether a browser would open a window, instead of taking over the terminal."""
    return sys.platform != "linux" or bool(environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY"))


def _open(address: str) -> None:
    with suppress(webbrowser.Error):
        webbrowser.open(address)
