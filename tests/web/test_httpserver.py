"""Requests that are too large or too slow end their connection."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler

from tornado_webrtc.web import httpserver
from tornado_webrtc.web.httpserver import MAX_BODY_BYTES, MAX_HEADER_BYTES, make_http_server

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
