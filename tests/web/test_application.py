"""The application: paths in order, plugins' handlers among them, a log line per request."""

import asyncio
import ipaddress
import logging
import re
from typing import Any

import pytest
from tornado.web import RequestHandler

from tests.conftest import ExpectLog
from tests.web.conftest import Serve
from tests.web.rawhttp import assert_secure, exchange, fetch
from tests.wire import WireClient
from tornado_webrtc import hookimpl
from tornado_webrtc.server import Server, ServerState
from tornado_webrtc.web.application import CORE_PATHS

DEADLINE_S = 10.0


@pytest.fixture
def access_log(caplog: pytest.LogCaptureFixture) -> "AccessLog":
    caplog.set_level(logging.DEBUG)
    return AccessLog(caplog)


class AccessLog:
    """The access log's lines, without the time that each took."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog

    @property
    def records(self) -> list[logging.LogRecord]:
        return [each for each in self._caplog.records if each.name == "tornado_webrtc.access"]

    @property
    def lines(self) -> list[str]:
        lines = [record.getMessage() for record in self.records]
        assert all(re.search(r" \d+\.\dms\Z", line) for line in lines)
        return [line.rpartition(" ")[0] for line in lines]

    @property
    def everything(self) -> str:
        return self._caplog.text

    async def line(self) -> str:
        """Wait for the one line that is expected."""
        async with asyncio.timeout(DEADLINE_S):
            while not self.lines:  # noqa: ASYNC110 - a log has no event
                await asyncio.sleep(0.005)
        (line,) = self.lines
        return line


# --- the access log -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "target", "line"),
    [
        ("GET", "/", "127.0.0.1 GET / 200"),
        ("HEAD", "/index.html", "127.0.0.1 HEAD /index.html 200"),
        ("GET", "/no/such%20thing", "127.0.0.1 GET /no/such%20thing 404"),
        ("POST", "/healthz", "127.0.0.1 POST /healthz 405"),
        ("OPTIONS", "/api/turn", "127.0.0.1 OPTIONS /api/turn 204"),
        ("GET", "/api/turn?service=turn&username=s3cr3t", "127.0.0.1 GET /api/turn 200"),
        ("GET", "/api/turn?token=s3cr3t", "127.0.0.1 GET /api/turn 400"),
        ("GET", "/?token=s3cr3t%ff", "127.0.0.1 GET / 200"),
        ("GET", "//etc/passwd?s3cr3t", "127.0.0.1 GET //etc/passwd 404"),
        ("GET", "*?s3cr3t", "127.0.0.1 GET * 404"),
        ("GET", "/ws?token=s3cr3t", "127.0.0.1 GET /ws 400"),
        ("GET", f"/{'x' * 255}", f"127.0.0.1 GET /{'x' * 255} 404"),
        ("GET", f"/{'x' * 256}", f"127.0.0.1 GET /{'x' * 254}… 404"),
        ("M" * 24, "/ws", f"127.0.0.1 {'M' * 24} /ws 405"),
    ],
)
async def test_a_line_says_who_what_and_how_it_went_but_no_query(
    serve: Serve, access_log: AccessLog, method: str, target: str, line: str
) -> None:
    server = await serve()
    await fetch(server.port, target, method=method)
    assert access_log.lines == [line]
    assert "s3cr3t" not in access_log.everything


async def test_of_a_long_method_the_beginning_is_logged(
    serve: Serve, access_log: AccessLog
) -> None:
    """A connection that begins with one is not HTTP: it comes as the second request."""
    server = await serve()
    first, second = b"GET /readyz HTTP/1.1", b"M" * 25 + b" /ws HTTP/1.1"
    head = b"\r\nHost: x\r\n"
    await exchange(
        server.port, first + head + b"\r\n" + second + head + b"Connection: close\r\n\r\n"
    )
    assert access_log.lines[-1] == f"127.0.0.1 {'M' * 23}… /ws 405"


@pytest.mark.parametrize(
    ("target", "level"),
    [
        ("/", logging.DEBUG),
        ("/js/main.js", logging.DEBUG),
        ("/nothing", logging.DEBUG),
        ("/healthz", logging.DEBUG),
        ("/readyz", logging.DEBUG),
        ("/api/turn", logging.INFO),
        ("/api/turn?service=turn&username=alice", logging.INFO),
        ("/ws", logging.INFO),
    ],
)
async def test_what_comes_all_the_time_is_logged_for_debugging_only(
    serve: Serve, access_log: AccessLog, target: str, level: int
) -> None:
    server = await serve()
    await fetch(server.port, target)
    (record,) = access_log.records
    assert record.levelno == level


async def test_upgrade_is_logged_without_its_token(serve: Serve, access_log: AccessLog) -> None:
    server = await serve()
    headers = {
        "Authorization": "Bearer s3cr3t",
        "Sec-WebSocket-Protocol": "tornado-webrtc, bearer.s3cr3t",
    }
    path = "/ws?token=s3cr3t&room=r"
    async with await WireClient.connect(server.port, path=path, headers=headers) as client:
        await client.settled()
    assert await access_log.line() == "127.0.0.1 GET /ws 101"
    assert "s3cr3t" not in access_log.everything


async def test_line_names_the_client_behind_a_trusted_proxy(
    serve: Serve, access_log: AccessLog
) -> None:
    general = {"trusted_proxies": (ipaddress.ip_network("127.0.0.0/8"),)}
    server = await serve(general=general)
    headers = {"X-Forwarded-For": "1.2.3.4, 203.0.113.7"}
    await fetch(server.port, "/healthz", headers=headers)
    assert access_log.lines == ["203.0.113.7 GET /healthz 200"]


async def test_line_believes_nobody_else(serve: Serve, access_log: AccessLog) -> None:
    server = await serve()
    headers = {"X-Forwarded-For": "203.0.113.7", "X-Real-Ip": "203.0.113.7"}
    await fetch(server.port, "/healthz", headers=headers)
    assert access_log.lines == ["127.0.0.1 GET /healthz 200"]


@pytest.mark.parametrize(
    "target",
    [
        b"/\x1b[2J",
        b"/\x07",
        b"/\x7f",
        b"/\x85next",
        b"/\x9b2J",
        b"/\xa0",
        b"/\xe2\x80\xae",
        b"/\rx",
        b"/a\x0bb",
        b"/%1b%0a%0dx",
        "/grüße".encode(),
    ],
)
async def test_no_control_character_reaches_the_log(
    serve: Serve, access_log: AccessLog, target: bytes
) -> None:
    server = await serve()
    await exchange(
        server.port, b"GET " + target + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )
    assert all(line.isprintable() for line in access_log.lines)
    assert len(access_log.lines) <= 1


async def test_readiness_that_says_no_is_no_error(serve: Serve, access_log: AccessLog) -> None:
    server = await serve()
    server.state = ServerState.STOPPED
    await fetch(server.port, "/readyz")
    assert access_log.lines == ["127.0.0.1 GET /readyz 503"]


# --- plugins' handlers ----------------------------------------------------------------


class Plain(RequestHandler):
    """A handler that knows nothing of this package."""

    def initialize(self, answer: str = "plain") -> None:
        self._answer = answer

    def get(self, *groups: str) -> None:
        self.write(" ".join([self._answer, *groups]))

    def post(self) -> None:
        raise RuntimeError("bug")


class Rules:
    """A plugin with the rules that a test gives it."""

    def __init__(self, *rules: Any) -> None:
        self._rules = list(rules)

    @hookimpl
    def http_handlers(self, server: Server) -> list[Any]:
        assert not server.addresses, "no port is open yet"
        return self._rules


async def test_handlers_of_plugins_are_served(serve: Serve, access_log: AccessLog) -> None:
    rules = Rules(("/plain", Plain), (r"/plain/(\w+)/(.*)", Plain, {"answer": "with"}))
    server = await serve(plugins=[rules])
    assert (await fetch(server.port, "/plain")).body == b"plain"
    assert (await fetch(server.port, "/plain/a/b%20c")).body == b"with a b c"
    assert access_log.lines == [
        "127.0.0.1 GET /plain 200",
        "127.0.0.1 GET /plain/a/b%20c 200",
    ]


async def test_plugin_comes_before_the_page_and_after_the_core(serve: Serve) -> None:
    """A pattern may match a path of the core's; it has no effect there."""
    server = await serve(plugins=[Rules(("/(index.html|healthz|api/turn)", Plain))])
    assert (await fetch(server.port, "/index.html")).body == b"plain index.html"
    assert (await fetch(server.port, "/healthz")).json == {"status": "ok"}
    assert (await fetch(server.port, "/api/turn")).status == 400
    assert (await fetch(server.port, "/style.css")).status == 200


@pytest.mark.parametrize("path", CORE_PATHS)
async def test_plugin_that_wants_a_path_of_the_core_is_left_out(
    serve: Serve, expect_log: ExpectLog, path: str
) -> None:
    expect_log(rf"^plugin rules is left out: .* path {re.escape(repr(path))} ")
    server = await serve(plugins=[Rules(("/mine", Plain), (path, Plain))])
    assert (await fetch(server.port, "/mine")).status == 404
    assert (await fetch(server.port, "/healthz")).status == 200
    assert server.plugins.names == ()


async def test_failing_handler_of_a_plugin_logs_no_query(
    serve: Serve, access_log: AccessLog, expect_log: ExpectLog
) -> None:
    expect_log(r"^uncaught exception: POST /plain$")
    expect_log(r" POST /plain 500 ")
    server = await serve(plugins=[Rules(("/plain", Plain))])
    answer = await fetch(server.port, "/plain?token=s3cr3t", method="POST")
    assert answer.status == 500
    assert "s3cr3t" not in access_log.everything
    assert "RuntimeError: bug" in access_log.everything


async def test_handler_that_logs_its_errors_itself_may(serve: Serve, expect_log: ExpectLog) -> None:
    class Own(Plain):
        def log_exception(self, *_exception: object) -> None:
            logging.getLogger("tornado_webrtc.plugins.rules").error("my own words")

    expect_log(r"^my own words$")
    expect_log(r" POST /plain 500 ")
    server = await serve(plugins=[Rules(("/plain", Own))])
    assert (await fetch(server.port, "/plain", method="POST")).status == 500


async def test_without_plugins_every_answer_is_the_cores_own(serve: Serve) -> None:
    server = await serve()
    for target in ("/", "/ws", "/api/turn", "/healthz", "/readyz", "/plain", "nonsense"):
        assert_secure(await fetch(server.port, target))
