"""The port of its own: addresses, trouble with them, too many and too slow clients, the end."""

import asyncio
import errno
import logging
import socket
from collections.abc import AsyncIterator

import pytest
from tornado.web import Application, RequestHandler

from tests.conftest import ExpectLog
from tests.plugins.metrics.site import taken_port
from tests.web.rawhttp import fetch
from tests.wire import until
from tornado_webrtc.plugins.metrics import endpoint as module
from tornado_webrtc.plugins.metrics.endpoint import MAX_CONNECTIONS, Endpoint, EndpointError
from tornado_webrtc.web import httpserver

LOG = logging.getLogger("tornado_webrtc.plugins.metrics")
LARGE = 64 * 1024 * 1024


class Page(RequestHandler):
    def get(self) -> None:
        self.finish(b"x" * LARGE if self.request.path == "/large" else b"here")


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    made = Endpoint(Application([("/.*", Page)], log_function=lambda _: None), LOG)
    yield made
    await made.stop()


def port_of(where: str) -> int:
    return int(where.rpartition(":")[2])


async def test_it_answers(endpoint: Endpoint) -> None:
    (where,) = endpoint.listen(["127.0.0.1"], 0)
    assert where.startswith("127.0.0.1:")
    assert (await fetch(port_of(where), "/")).body == b"here"


async def test_one_port_on_every_address(endpoint: Endpoint) -> None:
    places = endpoint.listen(["127.0.0.1", "127.0.0.2", "127.0.0.1"], 0)
    assert [place.rpartition(":")[0] for place in places] == ["127.0.0.1", "127.0.0.2"]
    assert len({port_of(place) for place in places}) == 1


async def test_ipv6(endpoint: Endpoint) -> None:
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    (where,) = endpoint.listen(["::1"], 0)
    assert where.startswith("[::1]:")


async def test_a_port_that_is_taken(endpoint: Endpoint) -> None:
    with taken_port() as taken:
        port = taken.getsockname()[1]
        with pytest.raises(EndpointError) as caught:
            endpoint.listen(["127.0.0.2", "127.0.0.1"], port)
    assert str(caught.value) == (
        f"cannot listen on 127.0.0.1:{port}: port {port} is in use; stop the program that uses"
        " it, or choose another port"
    )
    socket.create_server(("127.0.0.2", port)).close()


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("192.0.2.1", "this machine has no such address"),
        ("no.such.name.invalid", "neither an IP address nor a name that is known"),
        ("a" * 70 + ".example", "neither an IP address nor a name that is known"),
    ],
)
async def test_addresses_that_cannot_be(endpoint: Endpoint, address: str, reason: str) -> None:
    with pytest.raises(EndpointError, match=reason):
        endpoint.listen([address], 0)


@pytest.mark.parametrize(
    ("number", "reason"),
    [(errno.EACCES, "this user may not use port 80"), (errno.EIO, "Input/output error")],
)
def test_other_trouble(number: int, reason: str) -> None:
    assert reason in module._reason(OSError(number, "x"), 80)


async def test_idle_ones_keep_nobody_out(endpoint: Endpoint, expect_log: ExpectLog) -> None:
    expect_log(f"{MAX_CONNECTIONS} connections are open; one is closed for each")
    (where,) = endpoint.listen(["127.0.0.1"], 0)
    opened = [socket.create_connection(("127.0.0.1", port_of(where))) for _ in range(40)]
    await until(lambda: len(endpoint._streams) == MAX_CONNECTIONS)
    assert (await fetch(port_of(where), "/")).body == b"here"
    assert len(endpoint._streams) <= MAX_CONNECTIONS
    for each in opened:
        each.close()


async def test_who_is_answered_keeps_the_place(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, expect_log: ExpectLog
) -> None:
    expect_log("1 connections are open")
    monkeypatch.setattr(module, "MAX_CONNECTIONS", 1)
    (where,) = endpoint.listen(["127.0.0.1"], 0)
    _, writer = await asyncio.open_connection("127.0.0.1", port_of(where), limit=1024)
    writer.write(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
    await until(lambda: any(stream.writing() for stream in endpoint._streams))
    reader, refused = await asyncio.open_connection("127.0.0.1", port_of(where))
    assert await asyncio.wait_for(reader.read(), 15) == b""
    assert [stream.closed() for stream in endpoint._streams] == [False]
    for each in (writer, refused):
        each.close()


async def test_who_takes_nothing_does_not_hold_the_end(endpoint: Endpoint) -> None:
    (where,) = endpoint.listen(["127.0.0.1"], 0)
    _, writer = await asyncio.open_connection("127.0.0.1", port_of(where), limit=1024)
    writer.write(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
    await until(lambda: any(stream.writing() for stream in endpoint._streams))
    async with asyncio.timeout(5):
        await endpoint.stop()
    writer.close()


async def test_who_takes_nothing_is_closed(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tornado_webrtc.web.stall.STALL_S", 0.1)
    monkeypatch.setattr("tornado_webrtc.web.stall.CHECK_S", 0.1)
    (where,) = endpoint.listen(["127.0.0.1"], 0)
    _, writer = await asyncio.open_connection("127.0.0.1", port_of(where), limit=1024)
    writer.write(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
    await until(lambda: any(stream.closed() for stream in endpoint._streams))
    writer.close()


async def test_no_file_for_a_connection(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, expect_log: ExpectLog
) -> None:
    expect_log("nobody can be answered: Too many open files; trying again every 0.1 s")
    monkeypatch.setattr(httpserver, "PAUSE_S", 0.1)
    (where,) = endpoint.listen(["127.0.0.1"], 0)
    assert endpoint._gate is not None
    endpoint._gate._wait(OSError(errno.EMFILE, "Too many open files"))
    assert (await fetch(port_of(where), "/")).body == b"here", "after the pause"
