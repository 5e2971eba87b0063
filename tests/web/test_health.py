"""Health: alive as long as it answers, ready as long as clients are welcome."""

import asyncio

import pytest

from tests.web.conftest import Serve
from tests.web.rawhttp import assert_secure, fetch
from tornado_webrtc.server import ServerState


@pytest.mark.parametrize(("path", "status"), [("/healthz", "ok"), ("/readyz", "ready")])
async def test_running_server_is_alive_and_ready(serve: Serve, path: str, status: str) -> None:
    server = await serve()
    answer = await fetch(server.port, path)
    assert answer.status == 200
    assert answer.json == {"status": status}
    assert answer.headers["Cache-Control"] == "no-store"
    assert_secure(answer)


async def test_server_that_takes_no_clients_is_alive_but_not_ready(serve: Serve) -> None:
    server = await serve()
    server.state = ServerState.STOPPED
    answer = await fetch(server.port, "/readyz")
    assert (answer.status, answer.json) == (503, {"status": "stopping"})
    assert_secure(answer)
    assert (await fetch(server.port, "/healthz")).status == 200


async def test_server_that_drains_says_so(serve: Serve) -> None:
    server = await serve()
    await server.drain(0)
    answer = await fetch(server.port, "/readyz")
    assert (answer.status, answer.json) == (503, {"status": "draining"})
    assert (await fetch(server.port, "/healthz")).status == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_head_is_the_same_without_a_body(serve: Serve, path: str) -> None:
    server = await serve()
    get, head = await asyncio.gather(
        fetch(server.port, path), fetch(server.port, path, method="HEAD")
    )
    assert head.status == 200
    assert head.body == b""
    assert head.headers["Content-Length"] == get.headers["Content-Length"]


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "BREW"])
async def test_other_methods_are_not_allowed(serve: Serve, path: str, method: str) -> None:
    server = await serve()
    answer = await fetch(server.port, path, method=method)
    assert answer.status == 405
    assert answer.json["error"]["code"] == "method-not-allowed"
    assert_secure(answer)


@pytest.mark.parametrize("path", ["/healthz/", "/healthz/x", "/healthzz", "/xhealthz"])
async def test_path_has_to_be_exact(serve: Serve, path: str) -> None:
    server = await serve()
    assert (await fetch(server.port, path)).status == 404
