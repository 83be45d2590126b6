"""What a server bears of others: how many connections, how much they send, how long they wait.

Each connection costs memory and a file of this process. One that sends nothing, reads nothing or
sends too much is closed, and one too many is not taken, before any of the application runs.
"""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import suppress
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

if sys.platform != "win32":
    import resource

__all__ = [
    "BOUNDED",
    "MAX_CONNECTIONS",
    "MAX_CONNECTIONS_EACH",
    "MAX_MESSAGE",
    "Rate",
    "allow_many_files",
]

MAX_CONNECTIONS = 700
MAX_CONNECTIONS_EACH = 64  # from one address, which several people may share

MAX_HEADER = 8 << 10  # bytes of a request without its body
MAX_MESSAGE = 1 << 10  # bytes
BYTES_A_SECOND, BYTES_AT_ONCE = 16 << 10, 64 << 10  # that a connection may send
REQUEST_SECONDS = 10.0  # from a connection to its first request
STUCK_SECONDS = 20.0  # for which somebody may read nothing of what is sent

FILES = 2048  # that this process may have open; some systems begin with 256


class Rate:
    """How much somebody may do: so much at once, and so much in each second after that.

    Parameters
    ----------
    per_second, at_once
        The bounds, in whatever is counted.
    """

    def __init__(self, per_second: float, at_once: float) -> None:
        self._per_second = per_second
        self._at_once = self._left = at_once
        self._last = time.monotonic()

    def allows(self, amount: float = 1.0) -> bool:
        """Count what somebody does; return whether it is within the bounds."""
        now = time.monotonic()
        self._left = min(self._at_once, self._left + self._per_second * (now - self._last))
        self._last = now
        self._left -= amount
        return self._left >= 0


class _Bounded(asyncio.Protocol):
    """A connection that may send so much, and whose other end has to read what is sent."""

    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._rate = Rate(BYTES_A_SECOND, BYTES_AT_ONCE)
        self._stuck: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        # Everything counts, also what no application sees, such as pings, which are answered.
        if self._rate.allows(len(data)):
            super().data_received(data)
        else:
            self.transport.abort()

    def pause_writing(self) -> None:
        self._stuck = self.loop.call_later(STUCK_SECONDS, self.transport.abort)
        super().pause_writing()

    def resume_writing(self) -> None:
        self._forget_time()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_time()
        super().connection_lost(exc)

    def _forget_time(self) -> None:
        if self._stuck is not None:
            self._stuck.cancel()


class _BoundedRequests(_Bounded, H11Protocol):
    """HTTP for a bounded number of connections, each of which has to begin soon."""

    cycle: Any  # None before the first request
    connections: set[Any]  # all of the server, with their clients' addresses and ports

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        addresses = [each.client and each.client[0] for each in self.connections]
        same = addresses.count(self.client and self.client[0])
        if len(addresses) > MAX_CONNECTIONS or same > MAX_CONNECTIONS_EACH:
            transport.abort()
        else:
            self.loop.call_later(REQUEST_SECONDS, self._end_silence)

    def _end_silence(self) -> None:
        # A websocket has another protocol by now.
        if self.cycle is None and self.transport.get_protocol() is self:
            self.transport.abort()


class _BoundedMessages(_Bounded, WebSocketsSansIOProtocol):
    """A websocket with the same bounds."""


BOUNDED: dict[str, Any] = {
    "http": _BoundedRequests,
    "ws": _BoundedMessages,
    "ws_max_size": MAX_MESSAGE,
    "ws_per_message_deflate": False,
    "h11_max_incomplete_event_size": MAX_HEADER,
}
"""Options of uvicorn for a server with these bounds."""


def allow_many_files() -> None:
    """Let this process have as many files open as its connections may need, if the system does."""
    if sys.platform == "win32":
        return  # which has no such limit
    with suppress(OSError, ValueError):
        most, bound = resource.getrlimit(resource.RLIMIT_NOFILE)
        if most != resource.RLIM_INFINITY and most < FILES:
            wanted = FILES if bound == resource.RLIM_INFINITY else min(FILES, bound)
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, bound))
