"""Requests that are too large or too slow end their connection."""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator

import pytest
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler

from tornado_webrtc.web import httpserver
from tornado_webrtc.web.httpserver import MAX_BODY_BYTES, MAX_HEADER_BYTES, Gate, make_http_server

DEADLINE_S = 15.0


class Echo(RequestHandler):
    def post(self) -> None:
        self.finish(str(len(self.request.body)))


class Site:
    """Servers for one test, each on a port of its own."""

    def __init__(self) -> None:
        self.servers: list[HTTPServer] = []

    async def ask(self, request: bytes) -> bytes:
        """Whatever a new server answers, until it closes the connection."""
        server = make_http_server(Application([("/", Echo)], log_function=lambda _handler: None))
        self.servers.append(server)
        listening, port = bind_unused_port()
        server.add_socket(listening)
        async with asyncio.timeout(DEADLINE_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request)
            answer = await reader.read()
            writer.close()
            await writer.wait_closed()
            return answer


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    yield site
    for server in site.servers:
        server.stop()
        await server.close_all_connections()


def post(length: int, body: bytes, headers: bytes = b"") -> bytes:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n" % length
    return head + headers + b"\r\n" + body


async def test_largest_body(site: Site) -> None:
    answer = await site.ask(post(MAX_BODY_BYTES, bytes(MAX_BODY_BYTES)))
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(b"\r\n\r\n65536")


async def test_larger_body(site: Site) -> None:
    answer = await site.ask(post(MAX_BODY_BYTES + 1, b""))
    assert answer.startswith(b"HTTP/1.1 400 ")


async def test_headers_that_are_too_large(site: Site) -> None:
    assert await site.ask(b"POST / HTTP/1.1\r\nX: " + bytes(MAX_HEADER_BYTES)) == b""


@pytest.mark.parametrize(
    ("limit", "request_part"),
    [("IDLE_TIMEOUT_S", b"POST / HTTP/1.1\r\n"), ("BODY_TIMEOUT_S", post(2, b"x"))],
)
async def test_request_that_does_not_go_on(
    site: Site, limit: str, request_part: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(httpserver, limit, 0.05)
    assert await site.ask(request_part) == b""


# --- the gate -----------------------------------------------------------------------------


class Entrance:
    """A gate on real sockets, that notes who came and what went wrong."""

    def __init__(self) -> None:
        self.sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
        for each in self.sockets:
            each.setblocking(False)
        self.complaints: list[str] = []
        self.came: list[tuple[str, int]] = []
        self.gate = Gate(self.sockets, self._admit, self.complaints.append)

    def _admit(self, connection: socket.socket, address: tuple[str, int]) -> None:
        connection.close()
        self.came.append(address)

    async def knock(self, number: int = 0) -> None:
        """Connect to one of the sockets, and wait until the connection is closed."""
        reader, writer = await asyncio.open_connection(*self.sockets[number].getsockname())
        assert await asyncio.wait_for(reader.read(), DEADLINE_S) == b""
        assert self.came[-1] == writer.get_extra_info("sockname")
        writer.close()
        await writer.wait_closed()


@pytest.fixture
async def entrance() -> AsyncIterator[Entrance]:
    made = Entrance()
    yield made
    made.gate.close()
    for each in made.sockets:
        each.close()


async def test_gate_admits_on_every_socket(entrance: Entrance) -> None:
    for number in (0, 1, 0):
        await entrance.knock(number)


async def test_gate_pauses_when_there_is_no_file(
    entrance: Entrance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It tries again later, on all sockets, and does not keep the event loop busy meanwhile."""
    monkeypatch.setattr(httpserver, "PAUSE_S", 0.2)
    tried = 0

    class Exhausted:
        def accept(self) -> None:
            nonlocal tried
            tried += 1
            raise OSError(errno.EMFILE, "Too many open files")

    for _ in range(2):
        entrance.gate._accept(Exhausted(), 0)  # type: ignore[arg-type]
    began = asyncio.get_running_loop().time()
    await entrance.knock(1)
    assert asyncio.get_running_loop().time() - began >= 0.15, "after the pause"
    await entrance.knock(0)
    assert tried == 2
    assert entrance.complaints == ["Too many open files; trying again every 0.2 s"]


@pytest.mark.parametrize("pausing", [False, True])
async def test_gate_that_is_closed_stays_so(
    entrance: Entrance, monkeypatch: pytest.MonkeyPatch, pausing: bool
) -> None:
    monkeypatch.setattr(httpserver, "PAUSE_S", 0.05)
    if pausing:
        entrance.gate._wait(OSError(errno.EMFILE, "Too many open files"))
    entrance.gate.close()
    reader, writer = await asyncio.open_connection(*entrance.sockets[0].getsockname())
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(), 0.2)
    assert entrance.came == []
    writer.close()
    await writer.wait_closed()
    entrance.gate._open()  # for the fixture


async def test_client_that_is_gone_before_it_was_accepted(entrance: Entrance) -> None:
    entrance.gate._accept(entrance.sockets[0], 0)
    assert entrance.came == []
    assert entrance.complaints == []
    await entrance.knock()


@pytest.mark.parametrize("error", [BlockingIOError, ConnectionAbortedError])
async def test_connection_that_is_lost_before_it_was_accepted_is_no_trouble(
    entrance: Entrance, error: type[OSError]
) -> None:
    class Lost:
        def accept(self) -> None:
            raise error

    entrance.gate._accept(Lost(), 0)  # type: ignore[arg-type]
    await entrance.knock()
    assert entrance.complaints == []
