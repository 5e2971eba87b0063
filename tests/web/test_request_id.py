"""Each request has a name: random, or its trusted proxy's, in the log and in the answer."""

import ipaddress
import logging
import re
from typing import Any

import pytest
from tornado.web import RequestHandler

from tests.conftest import ExpectLog
from tests.web.conftest import Serve
from tests.web.rawhttp import exchange, fetch, parse
from tests.wire import WireClient
from tornado_webrtc import hookimpl
from tornado_webrtc.server import Server

LOOPBACK = {"trusted_proxies": (ipaddress.ip_network("127.0.0.0/8"),)}
OURS = re.compile(r"[0-9a-f]{16}")


def records(caplog: pytest.LogCaptureFixture) -> list[Any]:
    return [each for each in caplog.records if each.name == "tornado_webrtc.access"]


@pytest.fixture
def access_log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG, "tornado_webrtc.access")
    return caplog


class Plain(RequestHandler):
    def get(self) -> None:
        self.write("plain")


class Broken(RequestHandler):
    def get(self) -> None:
        raise RuntimeError("oops")


class Pages:
    @hookimpl
    def http_handlers(self, server: Server) -> list[tuple[str, type[RequestHandler]]]:
        return [("/plain", Plain), ("/broken", Broken)]


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "/", 200),
        ("HEAD", "/healthz", 200),
        ("GET", "/nothing", 404),
        ("POST", "/healthz", 405),
        ("GET", "/api/turn", 400),
        ("GET", "/plain", 200),
    ],
)
async def test_every_answer_has_the_id_that_is_logged(
    serve: Serve, access_log: pytest.LogCaptureFixture, method: str, target: str, status: int
) -> None:
    server = await serve(plugins=[Pages()])
    answer = await fetch(server.port, target, method=method)
    (record,) = records(access_log)
    assert answer.headers.get_list("X-Request-ID") == [record.request_id]
    assert OURS.fullmatch(record.request_id)
    assert (record.method, record.path, record.status) == (method, target, status)
    assert (record.remote_ip, answer.status) == ("127.0.0.1", status)
    assert 0 <= record.duration_ms < 60_000


async def test_failure_is_logged_with_the_id(
    serve: Serve, caplog: pytest.LogCaptureFixture, expect_log: ExpectLog
) -> None:
    expect_log(r"^uncaught exception: GET /broken")
    expect_log(r"GET /broken 500")
    server = await serve(plugins=[Pages()])
    answer = await fetch(server.port, "/broken")
    found = [vars(each)["request_id"] for each in caplog.records if "/broken" in each.getMessage()]
    assert found == [answer.headers["X-Request-ID"]] * 2


async def test_ids_differ_on_one_connection_too(serve: Serve) -> None:
    server = await serve()
    request = b"GET /healthz HTTP/1.1\r\nHost: x\r\n%s\r\n"
    raw = await exchange(server.port, request % b"" + request % b"Connection: close\r\n")
    found = re.findall(rb"X-Request-Id: ([0-9a-f]{16})\r\n", raw)
    assert len(set(found)) == 2


async def test_connection_keeps_the_id_of_its_upgrade(
    serve: Serve, access_log: pytest.LogCaptureFixture
) -> None:
    server = await serve()
    async with await WireClient.connect(server.port) as client:
        await client.settled()
        (connection,) = server.hub._connections.values()
        (record,) = records(access_log)
        assert connection.handshake.request_id == record.request_id
        assert record.status == 101


@pytest.mark.parametrize("given", ["a", "3f2c9a10-77aa-4b6e-9d55-0123456789ab", "x" * 64])
async def test_trusted_proxy_chooses(
    serve: Serve, access_log: pytest.LogCaptureFixture, given: str
) -> None:
    server = await serve(general=LOOPBACK)
    answer = await fetch(server.port, "/healthz", headers={"X-Request-ID": given})
    assert answer.headers["X-Request-ID"] == given
    assert [record.request_id for record in records(access_log)] == [given]


@pytest.mark.parametrize("given", ["", "x" * 65, "a b", "a\x1b[2J", 'a"b', "a,b", "é"])
async def test_nonsense_of_a_trusted_proxy_is_not_taken(serve: Serve, given: str) -> None:
    server = await serve(general=LOOPBACK)
    raw = f"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Request-ID: {given}\r\n\r\n"
    answer = parse(await exchange(server.port, raw.encode()))
    if answer.status == 200:  # Tornado refuses control characters itself
        assert OURS.fullmatch(answer.headers["X-Request-ID"])


async def test_two_ids_are_nonsense(serve: Serve) -> None:
    server = await serve(general=LOOPBACK)
    twice = "X-Request-ID: a\r\n" * 2
    raw = f"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{twice}\r\n"
    answer = parse(await exchange(server.port, raw.encode()))
    assert OURS.fullmatch(answer.headers["X-Request-ID"])


@pytest.mark.parametrize("trusted", ["10.0.0.0/8", None])
async def test_nobody_else_chooses(serve: Serve, trusted: str | None) -> None:
    networks = (ipaddress.ip_network(trusted),) if trusted else ()
    server = await serve(general={"trusted_proxies": networks})
    answer = await fetch(server.port, "/healthz", headers={"X-Request-ID": "mine"})
    assert OURS.fullmatch(answer.headers["X-Request-ID"])
