"""Servers that run while a test asks them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from filmkit.serving.running import Server, serve_all

__all__ = ["serving"]


@contextmanager
def serving(*servers: Server) -> Iterator[None]:
    """Run servers in a thread, for the duration of a ``with`` block."""
    thread = threading.Thread(target=lambda: asyncio.run(serve_all(*servers)))
    thread.start()
    try:
        yield
    finally:
        for server in servers:
            server.should_exit = True
        thread.join()
