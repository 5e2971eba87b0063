"""Handlers: their headers on every answer, errors in the caller's form, no secrets in the log."""

import ipaddress
import logging
from typing import Any

import pytest
from tornado.web import HTTPError

from tests.conftest import ExpectLog
from tests.web.conftest import Serve
from tests.web.rawhttp import assert_secure, fetch
from tornado_webrtc import hookimpl
from tornado_webrtc.server import Server
from tornado_webrtc.web.handler import ApiError, ApiHandler, PageHandler

APP = "https://app.example.org"


class WhoPage(PageHandler):
    """Tells the client its address."""

    def get(self) -> None:
        self.write(f"{self.remote_ip} of {self.server.scheme}")


class TroublePage(PageHandler):
    """Fails as it is asked to."""

    def get(self, kind: str) -> None:
        if kind == "teapot":
            raise HTTPError(418, "brewing for %s", self.get_argument("for"))
        if kind == "unheard-of":
            raise HTTPError(599)
        raise RuntimeError("the cause is nobody's business")


class TroubleApi(ApiHandler):
    """Fails as it is asked to, in JSON."""

    def get(self, kind: str) -> None:
        if kind == "own":
            headers = {"Retry-After": "7", "X-Content-Type-Options": "nosniff"}
            raise ApiError(429, "too-eager", "Not so fast.", headers)
        if kind == "gone":
            raise HTTPError(410)
        raise RuntimeError("the cause is nobody's business")

    def put(self, kind: str) -> None:
        self.finish({"put": kind})


class Pages:
    """The plugin that brings them."""

    @hookimpl
    def http_handlers(self, server: Server) -> list[tuple[str, Any]]:
        del server
        return [
            ("/who", WhoPage),
            ("/page/(.*)", TroublePage),
            ("/api/trouble/(.*)", TroubleApi),
        ]


@pytest.fixture
async def port(serve: Serve) -> int:
    return (await serve(plugins=[Pages()])).port


# --- pages ----------------------------------------------------------------------


async def test_page_has_security_headers(port: int) -> None:
    answer = await fetch(port, "/who")
    assert (answer.status, answer.body) == (200, b"127.0.0.1 of http")
    assert_secure(answer)


@pytest.mark.parametrize(
    ("target", "status", "text"),
    [
        ("/page/teapot?for=me", 418, "418 I'm a Teapot\n"),
        ("/page/unheard-of", 599, "599 Error\n"),
        ("/page/teapot", 400, "400 Bad Request\n"),
        ("/nowhere", 404, "404 Not Found\n"),
    ],
)
async def test_error_page_is_a_line_of_text(
    port: int, expect_log: ExpectLog, target: str, status: int, text: str
) -> None:
    if status >= 500:
        expect_log(r"GET /page/unheard-of 599 ")
    answer = await fetch(port, target)
    assert (answer.status, answer.text) == (status, text)
    assert_secure(answer)


async def test_failure_is_logged_and_its_cause_stays_here(port: int, expect_log: ExpectLog) -> None:
    expect_log(r"^uncaught exception: GET /page/bug$")
    expect_log(r" GET /page/bug 500 ")
    answer = await fetch(port, "/page/bug")
    assert (answer.status, answer.text) == (500, "500 Internal Server Error\n")
    assert_secure(answer)


@pytest.mark.parametrize("kind", ["teapot", "bug", "%ff"])
async def test_query_never_reaches_the_log(
    port: int, expect_log: ExpectLog, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    caplog.set_level(logging.DEBUG)
    if kind == "bug":
        expect_log("/page/bug")
    await fetch(port, f"/page/{kind}?for=s3cr3t&token=s3cr3t%ff")
    assert any("/page/" in message for message in caplog.messages)
    assert "s3cr3t" not in caplog.text


@pytest.mark.parametrize(
    "target", ["*", "nowhere", "http://localhost/who", "//localhost/who", "?", "/who?", "/who/"]
)
@pytest.mark.parametrize("method", ["GET", "OPTIONS", "POST"])
async def test_answer_to_any_target_has_security_headers(
    port: int, target: str, method: str
) -> None:
    answer = await fetch(port, target, method=method)
    assert answer.status in {200, 404, 405}
    assert_secure(answer)


async def test_client_behind_a_trusted_proxy(serve: Serve) -> None:
    trusting = {"trusted_proxies": (ipaddress.ip_network("127.0.0.0/8"),)}
    headers = {"X-Forwarded-For": "1.2.3.4, 203.0.113.7"}
    for general, client in ((trusting, b"203.0.113.7"), ({}, b"127.0.0.1")):
        server = await serve(plugins=[Pages()], general=general)
        assert (await fetch(server.port, "/who", headers=headers)).body.startswith(client)


# --- REST -----------------------------------------------------------------------


async def test_api_error_is_json_with_code_reason_and_headers(port: int) -> None:
    answer = await fetch(port, "/api/trouble/own")
    assert answer.status == 429
    assert answer.json == {"error": {"code": "too-eager", "reason": "Not so fast."}}
    assert answer.headers["Retry-After"] == "7"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert_secure(answer)


async def test_other_http_error_is_json_too(port: int) -> None:
    answer = await fetch(port, "/api/trouble/gone")
    assert (answer.status, answer.json) == (410, {"error": {"code": "gone", "reason": "Gone"}})


async def test_failure_is_json_too_and_its_cause_stays_here(
    port: int, expect_log: ExpectLog
) -> None:
    expect_log(r"^uncaught exception: GET /api/trouble/bug$")
    expect_log(r" GET /api/trouble/bug 500 ")
    answer = await fetch(port, "/api/trouble/bug")
    assert answer.status == 500
    assert answer.json["error"]["code"] == "internal-server-error"
    assert b"business" not in answer.body
    assert_secure(answer)


async def test_method_that_is_not_allowed_is_told_which_are(port: int) -> None:
    answer = await fetch(port, "/api/trouble/own", method="DELETE")
    assert answer.status == 405
    assert answer.json["error"]["code"] == "method-not-allowed"
    assert answer.headers["Allow"] == "GET, PUT, OPTIONS"
    answer = await fetch(port, "/who", method="DELETE")
    assert (answer.status, answer.text) == (405, "405 Method Not Allowed\n")
    assert answer.headers["Allow"] == "GET"


async def test_preflight(port: int) -> None:
    headers = {"Origin": APP, "Access-Control-Request-Method": "PUT"}
    answer = await fetch(port, "/api/trouble/own", method="OPTIONS", headers=headers)
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Access-Control-Allow-Methods"] == "GET, PUT, OPTIONS"
    assert answer.headers["Access-Control-Allow-Headers"] == "Authorization, Content-Type"
    assert int(answer.headers["Access-Control-Max-Age"]) > 0
    assert_secure(answer)


@pytest.mark.parametrize(
    ("origin", "allowed", "answered"),
    [
        (None, ("*",), "*"),
        (APP, ("*",), "*"),
        (APP, (APP, "https://*.example.com"), APP),
        ("https://a.example.com", (APP, "https://*.example.com"), "https://a.example.com"),
        ("https://evil.example", (APP,), None),
        ("null", (APP,), None),
        (None, (APP,), None),
    ],
)
@pytest.mark.parametrize("target", ["/api/trouble/own", "/healthz"])
async def test_pages_elsewhere_may_read_the_answer_if_allowed(
    serve: Serve,
    target: str,
    origin: str | None,
    allowed: tuple[str, ...],
    answered: str | None,
) -> None:
    server = await serve(plugins=[Pages()], signaling={"allowed_origins": allowed})
    headers = {} if origin is None else {"Origin": origin}
    answer = await fetch(server.port, target, headers=headers)
    assert answer.headers.get("Access-Control-Allow-Origin") == answered
    assert answer.headers.get("Vary") == (None if "*" in allowed else "Origin")
