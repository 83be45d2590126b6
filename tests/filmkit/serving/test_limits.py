"""What a server bears of others: connections, silence, floods, and readers that do not read."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from filmkit.serving import addresses, limits
from filmkit.serving.addresses import network_addresses
from filmkit.serving.limits import BOUNDED, Rate
from filmkit.serving.running import listening, server_of
from tests.support.serving import serving

LARGE = 8 << 20  # bytes; more than the system keeps for a reader
PATIENCE = 30.0  # seconds that a test waits
SILENCE = 60.0  # seconds that a busy machine may let pass between two requests
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
    options = BOUNDED | {"timeout_keep_alive": SILENCE}
    with listening() as place, serving(server_of(Starlette(routes=routes), place, **options)):
        yield place.getsockname()[1]


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with _serving() as port:
        yield port


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence may be long; only tests about silence end it."""
    monkeypatch.setattr(limits, "REQUEST_SECONDS", SILENCE)


@pytest.fixture
def open_one(port: int) -> Iterator[Connect]:
    opened: list[socket.socket] = []

    def open_one() -> socket.socket:
        opened.append(socket.create_connection(("127.0.0.1", port), timeout=PATIENCE))
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
    """Send a request; return whether it is answered, and the whole answer was read."""
    received = b""
    with suppress(ConnectionError):
        connection.sendall(HELLO)
        while not received.endswith(b"hello") and (part := connection.recv(1 << 10)):
            received += part
    return received.startswith(b"HTTP/1.1 200") and received.endswith(b"hello")


@contextmanager
def echo_at(port: int) -> Iterator[ClientConnection]:
    """Open a websocket that sends back what it is sent, once it has done so."""
    with connect(
        f"ws://127.0.0.1:{port}/echo",
        compression=None,
        open_timeout=PATIENCE,
        close_timeout=PATIENCE,
    ) as websocket:
        websocket.send("hello")
        assert websocket.recv(timeout=PATIENCE) == "hello"
        yield websocket


def test_a_rate_allows_so_much_at_once_and_then_so_much_a_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0.0
    monkeypatch.setattr(limits, "time", SimpleNamespace(monotonic=lambda: now))
    rate = Rate(2.0, 3.0)
    assert [rate.allows() for _ in range(4)] == [True, True, True, False]
    now = 1.0
    assert [rate.allows() for _ in range(2)] == [True, False]
    now = 100.0
    assert not rate.allows(4.0)


def test_one_address_gets_so_many_websockets_and_no_more(
    port: int, open_one: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_CONNECTIONS_EACH", 2)
    with ExitStack() as stack:
        echoes = [stack.enter_context(echo_at(port)) for _ in range(2)]
        assert not answers(open_one())
        for echo in echoes:
            echo.send("hello")
            assert echo.recv(timeout=PATIENCE) == "hello"
    assert answers(open_one()), "the place of one that has left is free"


@pytest.mark.parametrize("bound", ["MAX_CONNECTIONS", "MAX_CONNECTIONS_EACH"])
def test_who_only_holds_places_keeps_nobody_out(
    port: int, open_one: Connect, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    monkeypatch.setattr(limits, bound, 3)
    with echo_at(port) as echo:
        oldest, newer = open_one(), open_one()
        assert answers(newer)
        assert answers(open_one())
        assert is_ended(oldest)
        assert answers(newer)
        echo.send("hello")
        assert echo.recv(timeout=PATIENCE) == "hello"


def test_an_address_comes_so_often_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """By connections, and by requests in them; an open websocket goes on."""
    monkeypatch.setattr(limits, "ARRIVALS_A_SECOND", 0.0)
    monkeypatch.setattr(limits, "ARRIVALS_AT_ONCE", 5)
    with _serving() as port, echo_at(port) as echo:
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as one:
            assert [answers(one) for _ in range(5)] == [True] * 4 + [False]
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as other:
            assert not answers(other)
        echo.send("still here")
        assert echo.recv(timeout=PATIENCE) == "still here"


def test_the_addresses_that_are_remembered_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_ADDRESSES", 2)
    monkeypatch.setattr(limits, "ARRIVALS_A_SECOND", 0.0)
    monkeypatch.setattr(limits, "ARRIVALS_AT_ONCE", 1)
    arrivals = limits._Arrivals()
    came = [arrivals.allows(address) for address in "abacab"]
    assert came == [True, True, False, True, False, True], "the longest absent is forgotten"


def test_all_together_get_so_many_connections(
    open_one: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_CONNECTIONS", 0)
    assert not answers(open_one())


def test_one_that_says_nothing_is_closed(
    open_one: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow_again = open_one()
    assert answers(slow_again), "it has time, however busy the machine is"
    with monkeypatch.context() as patch:
        patch.setattr(limits, "REQUEST_SECONDS", 0.1)
        assert answers(slow_again)
        slow, silent = open_one(), open_one()
        for each in (slow, slow_again):
            each.sendall(HELLO[:10])  # a request that never ends is none
        assert all(map(is_ended, (silent, slow, slow_again)))
    assert answers(open_one())


@pytest.mark.parametrize("more", [b"Transfer-Encoding: chunked\r\n", 150 * b"A: b\r\n"])
def test_a_request_that_begins_no_websocket_is_refused(open_one: Connect, more: bytes) -> None:
    """HTTP allows it, and the library for websockets does not."""
    connection = open_one()
    upgrade = b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
    connection.sendall(HELLO[:-2] + upgrade + more + b"\r\n")
    with connection.makefile("rb") as answer:
        assert answer.read().startswith(b"HTTP/1.1 4"), "it is answered, and then closed"


def test_long_headers_are_refused(open_one: Connect) -> None:
    connection = open_one()
    connection.sendall(HELLO[:-2] + b"X: " + b"x" * limits.MAX_HEADER)
    assert connection.recv(12) == b"HTTP/1.1 400"


def test_one_that_reads_nothing_is_closed(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "STUCK_SECONDS", 0.2)
    leave, is_left = limits._Bounded.leave, threading.Event()

    def leave_and_tell(connection: Any) -> None:
        leave(connection)
        is_left.set()

    monkeypatch.setattr(limits._Bounded, "leave", leave_and_tell)
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
        connection.sendall(HELLO.replace(b"/ ", b"/long "))
        assert is_left.wait(60)
        received = 0
        with suppress(ConnectionError):
            while part := connection.recv(1 << 20):
                received += len(part)
        assert received < LARGE


@pytest.mark.parametrize("kind", ["messages", "pings", "fragments"])
def test_a_flood_through_a_websocket_ends_it(
    port: int, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one of frames without content, which are few bytes."""
    monkeypatch.setattr(limits, "FRAME_BYTES_AT_ONCE", 1 << 20)
    # Or it would be no flood on a machine that stands still.
    monkeypatch.setattr(limits, "FRAMES_A_SECOND", 0.0)
    with echo_at(port) as websocket:
        with suppress(ConnectionClosed):  # all may be under way before the first is read
            for number in range(2000):
                if kind == "messages":
                    websocket.send(f"{number}")
                elif kind == "pings":
                    websocket.ping(f"{number}")
                else:
                    websocket.send(iter(["a", *100 * [""]]))
        with pytest.raises(ConnectionClosed):
            while True:
                websocket.recv(timeout=PATIENCE)


def test_many_bytes_through_a_websocket_end_it(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # Or a machine that stands still would allow more of them.
    monkeypatch.setattr(limits, "FRAME_BYTES_A_SECOND", 0.0)
    with echo_at(port) as websocket, pytest.raises((ConnectionClosed, OSError)):
        for _ in range(limits.FRAMES_AT_ONCE // 2):
            websocket.send(200 * "x")
            websocket.recv(timeout=PATIENCE)


def test_a_long_message_ends_the_websocket(port: int) -> None:
    with echo_at(port) as websocket:
        websocket.send((limits.MAX_MESSAGE + 1) * "x")
        with pytest.raises(ConnectionClosed) as ended:
            websocket.recv(timeout=PATIENCE)
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
