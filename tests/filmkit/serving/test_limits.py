"""What a server bears of others: connections, silence, floods, and readers that do not read."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from filmkit.serving import addresses, limits
from filmkit.serving.addresses import network_addresses
from filmkit.serving.limits import BOUNDED, Rate
from filmkit.serving.running import listening, serve_all, server_of

LARGE = 8 << 20  # bytes; more than the system keeps for a reader
HELLO = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"

Connect = Callable[[], socket.socket]


async def _answer(request: Request) -> Response:
    return PlainTextResponse("hello")


async def _answer_long(request: Request) -> Response:
    return PlainTextResponse(LARGE * "x")


async def _echo(websocket: WebSocket) -> None:
    await websocket.accept()
    with suppress(WebSocketDisconnect):
        while True:
            await websocket.send_text(await websocket.receive_text())


@contextmanager
def _serving() -> Iterator[int]:
    """Serve with the bounds, and yield the port."""
    routes = [Route("/", _answer), Route("/long", _answer_long), WebSocketRoute("/echo", _echo)]
    with listening() as place:
        server = server_of(Starlette(routes=routes), place, **BOUNDED)
        thread = threading.Thread(target=lambda: asyncio.run(serve_all(server)))
        thread.start()
        try:
            yield place.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with _serving() as port:
        yield port


@pytest.fixture
def open_one(port: int) -> Iterator[Connect]:
    opened: list[socket.socket] = []

    def open_one() -> socket.socket:
        opened.append(socket.create_connection(("127.0.0.1", port), timeout=10))
        return opened[-1]

    yield open_one
    for each in opened:
        each.close()


def is_ended(connection: socket.socket) -> bool:
    """Wait until a connection is closed, and return True; False if an answer came."""
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True


def answers(connection: socket.socket) -> bool:
    """Return whether a request is answered."""
    with suppress(ConnectionError):
        connection.sendall(HELLO)
        return connection.recv(12) == b"HTTP/1.1 200"
    return False


def test_a_rate_allows_so_much_at_once_and_then_so_much_a_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    rate = Rate(2.0, 3.0)
    assert [rate.allows() for _ in range(4)] == [True, True, True, False]
    now = 1.0
    assert [rate.allows() for _ in range(2)] == [True, False]
    now = 100.0
    assert not rate.allows(4.0)


def test_one_address_gets_so_many_connections_and_no_more(
    open_one: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_CONNECTIONS_EACH", 3)
    first = [open_one() for _ in range(3)]
    assert all(map(answers, first))
    assert not answers(open_one())
    first[0].close()
    deadline = time.monotonic() + 5
    while not answers(open_one()):
        assert time.monotonic() < deadline, "the place of one that has left is free"


def test_all_together_get_so_many_connections(
    open_one: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_CONNECTIONS", 0)
    assert not answers(open_one())


def test_one_that_says_nothing_is_closed(
    open_one: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "REQUEST_SECONDS", 0.1)
    slow, silent = open_one(), open_one()
    slow.sendall(HELLO[:10])  # a request that never ends is none
    assert is_ended(silent)
    assert is_ended(slow)
    assert answers(open_one())


def test_long_headers_are_refused(open_one: Connect) -> None:
    connection = open_one()
    connection.sendall(HELLO[:-2] + b"X: " + b"x" * limits.MAX_HEADER)
    assert connection.recv(12) == b"HTTP/1.1 400"


def test_one_that_reads_nothing_is_closed(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "STUCK_SECONDS", 0.2)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(HELLO.replace(b"/ ", b"/long "))
        time.sleep(0.6)
        received = 0
        with suppress(ConnectionError):
            while part := connection.recv(1 << 20):
                received += len(part)
        assert received < LARGE


@pytest.mark.parametrize("kind", ["messages", "pings"])
def test_a_flood_through_a_websocket_ends_it(port: int, kind: str) -> None:
    with connect(f"ws://127.0.0.1:{port}/echo", compression=None) as websocket:
        websocket.send("hello")
        assert websocket.recv(timeout=10) == "hello"
        with pytest.raises((ConnectionClosed, OSError)):
            for number in range(2000):
                text = f"{number:0120}"
                if kind == "messages":
                    websocket.send(text)
                else:
                    websocket.ping(text.encode())


def test_a_long_message_ends_the_websocket(port: int) -> None:
    with connect(f"ws://127.0.0.1:{port}/echo", compression=None) as websocket:
        websocket.send((limits.MAX_MESSAGE + 1) * "x")
        with pytest.raises(ConnectionClosed) as ended:
            websocket.recv(timeout=10)
        assert ended.value.rcvd is not None
        assert ended.value.rcvd.code == 1009


def test_addresses_are_those_that_others_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    class Outward(socket.socket):
        def connect(self, _: object) -> None:
            pass

        def getsockname(self) -> tuple[str, int]:
            return "192.0.2.7", 5

    monkeypatch.setattr(addresses.socket, "socket", Outward)
    known = ["127.0.1.1", "10.0.0.3", "192.0.2.7"]
    monkeypatch.setattr(socket, "gethostbyname_ex", lambda _: ("name", [], known))
    assert network_addresses() == ["192.0.2.7", "10.0.0.3"]


def test_without_a_network_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError

    monkeypatch.setattr(addresses.socket, "socket", fail)
    monkeypatch.setattr(socket, "gethostbyname_ex", fail)
    assert network_addresses() == []
