"""What a server bears of others: how many connections, how much they send, how long they wait.

Each connection costs memory and a file of this process. One that sends nothing, reads nothing or
sends too much is closed, before any of the application runs. If there is no room for one more, it
takes the place of the oldest that is no open websocket: whoever only holds places keeps nobody out.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import OrderedDict
from contextlib import suppress
from typing import Any
from weakref import WeakKeyDictionary

from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState

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
# Through a websocket it is less, because its shortest frames are six bytes, and each costs time.
# A pointer that moves sends 30 frames of about 50 bytes a second, and a slow network saves them up.
FRAME_BYTES_A_SECOND, FRAME_BYTES_AT_ONCE = 4 << 10, 8 << 10
FRAMES_A_SECOND, FRAMES_AT_ONCE = 80, 160
# Connections and requests of one address, again of several people who come all at once.
ARRIVALS_A_SECOND, ARRIVALS_AT_ONCE = 8, 256
MAX_ADDRESSES = 4096  # whose arrivals are remembered
REQUEST_SECONDS = 10.0  # from a connection, or an answer, to the next request
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


class _Arrivals:
    """How often each address may still come to a server."""

    def __init__(self) -> None:
        self._rates: OrderedDict[str, Rate] = OrderedDict()

    def allows(self, address: str) -> bool:
        """Count an arrival; return whether it is within the bounds."""
        rate = self._rates.setdefault(address, Rate(ARRIVALS_A_SECOND, ARRIVALS_AT_ONCE))
        self._rates.move_to_end(address)
        if len(self._rates) > MAX_ADDRESSES:
            self._rates.popitem(last=False)
        return rate.allows()


_ARRIVALS: WeakKeyDictionary[ServerState, _Arrivals] = WeakKeyDictionary()


class _Bounded(asyncio.Protocol):
    """A connection that may send so much, and whose other end has to read what is sent."""

    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    client: tuple[str, int] | None  # address and port of the other end
    connections: set[Any]  # all of the server

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.since = time.monotonic()
        self.is_left = False
        self._rate = Rate(BYTES_A_SECOND, BYTES_AT_ONCE)
        self._stuck: asyncio.TimerHandle | None = None
        self._silent: asyncio.TimerHandle | None = None

    @property
    def address(self) -> str:
        """The address of the other end."""
        return self.client[0] if self.client else ""

    @property
    def is_open(self) -> bool:
        """Whether this is an open websocket, which nobody else's connection ends."""
        return False

    def leave(self) -> None:
        """Close the connection at once."""
        self.is_left = True
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        # Everything counts, also what no application sees, such as pings, which are answered.
        if self._rate.allows(len(data)):
            super().data_received(data)
        else:
            self.leave()

    def pause_writing(self) -> None:
        self._stuck = self.loop.call_later(STUCK_SECONDS, self.leave)
        super().pause_writing()

    def resume_writing(self) -> None:
        _cancel(self._stuck)
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_times()
        super().connection_lost(exc)

    def _forget_times(self) -> None:
        """Cancel what would close the connection, and would keep it in memory until then."""
        _cancel(self._stuck)
        _cancel(self._silent)


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()


class _BoundedRequests(_Bounded, H11Protocol):
    """HTTP for a bounded number of connections, in each of which a request has to come soon."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self._arrives() and self._finds_room():
            self._wait_for_request()
        else:
            self.leave()

    def on_response_complete(self) -> None:
        self._wait_for_request()
        if not self._arrives():  # the next time
            self.transport.close()
        super().on_response_complete()

    def handle_websocket_upgrade(self, event: Any) -> None:
        self._forget_times()
        super().handle_websocket_upgrade(event)

    def _arrives(self) -> bool:
        return _ARRIVALS.setdefault(self.server_state, _Arrivals()).allows(self.address)

    def _finds_room(self) -> bool:
        """Return whether there is room for this connection, which may take that of another one."""
        others = [each for each in self.connections if each is not self and not each.is_left]
        same = [each for each in others if each.address == self.address]
        for found, bound in ((same, MAX_CONNECTIONS_EACH), (others, MAX_CONNECTIONS)):
            if len(found) < bound:
                continue
            closable = [each for each in found if not each.is_open]
            if not closable:
                return False
            min(closable, key=lambda each: each.since).leave()
            break  # which makes room among all, too
        return True

    def _wait_for_request(self) -> None:
        _cancel(self._silent)
        self._silent = self.loop.call_later(REQUEST_SECONDS, self._end_silence, self.cycle)

    def _end_silence(self, cycle: object) -> None:
        if self.cycle is cycle:  # no other request has come
            self.transport.close()  # once the answer has been read


class _BoundedMessages(_Bounded, WebSocketsSansIOProtocol):
    """A websocket with these bounds and narrower ones."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._frame_bytes = Rate(FRAME_BYTES_A_SECOND, FRAME_BYTES_AT_ONCE)
        self._frames = Rate(FRAMES_A_SECOND, FRAMES_AT_ONCE)

    @property
    def is_open(self) -> bool:
        return self.handshake_complete and not self.close_sent

    def data_received(self, data: bytes) -> None:
        if not self.handshake_initiated or self._frame_bytes.allows(len(data)):
            super().data_received(data)
        else:
            self.leave()

    def handle_events(self) -> None:
        if self._frames.allows(len(self.conn.events)):
            super().handle_events()
        else:
            self.leave()


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
