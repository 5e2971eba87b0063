"""What operators ask for, over a real socket of a real server: kick, ban, reload, drain, …"""

import asyncio
import json
import logging
import os
from random import Random
from typing import Any
from unittest.mock import AsyncMock
from urllib.parse import quote

import pytest
from tornado.httpclient import AsyncHTTPClient

from tests.admin.conftest import Operate, Operated
from tests.conftest import ExpectLog
from tests.plugins.turn.site import Manual
from tests.wire import WireClient, call, until
from tornado_webrtc import hookimpl
from tornado_webrtc.errors import ConfigError, Problem
from tornado_webrtc.hooks import AuthRequest, Identity
from tornado_webrtc.reload import ReloadReport

HOST = "127.0.0.1"


class Accounts:
    """Whoever shows a token is who the token says."""

    @hookimpl
    def authenticate(self, request: AuthRequest) -> Identity | None:
        return Identity(request.token) if request.token else None


async def closed_with(client: WireClient) -> tuple[int | None, str]:
    closed = await client.read_until_closed()
    return closed.code, closed.reason


async def knock(server: Any, **options: Any) -> WireClient:
    return await WireClient.connect(server.port, **options)


# --- listing and ending ------------------------------------------------------------


async def test_collections_are_listed_and_shown(operate: Operate) -> None:
    operated = await operate()
    async with await knock(operated.server) as ann, await knock(operated.server) as ben:
        await ann.register("ann/1 ü")
        await ben.register("2")
        await call(ann, ben)
        status, answer = await operated.ask("GET", "/peers")
        assert status == 200
        (first, _) = answer["peers"]
        assert (first["name"], first["remote_ip"]) == ("peer ann/1 ü", HOST)
        path = f"/peers/{'%2Fann%2F1%20%C3%BC'}"
        status, shown = await operated.ask("GET", path)
        assert (status, shown["id"]) == (200, first["id"])
        status, answer = await operated.ask("GET", "/sessions")
        assert [each["state"] for each in answer["sessions"]] == ["answered"]
    assert (await operated.ask("GET", "/bans"))[1] == {"bans": []}
    assert (await operated.ask("GET", "/plugins"))[1] == {"plugins": []}


async def test_kick(operate: Operate, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tornado_webrtc.admin")
    operated = await operate()
    async with await knock(operated.server) as ann, await knock(operated.server) as ben:
        await ann.register("1")
        await ben.register("2")
        answer = await operated.ask("DELETE", "/peers/1?reason=no%20spam%20here")
        assert answer == (200, {"ended": "1"})
        assert await closed_with(ann) == (4403, "no spam here")
        (peer,) = (await operated.ask("GET", "/peers"))[1]["peers"]
        assert peer["id"] == "2"
        async with await knock(operated.server) as again:
            await again.register("1")
    assert "ended peers '1': no spam here" in caplog.text
    assert f"operator (uid {os.geteuid()})" in caplog.text


async def test_a_call_is_ended(operate: Operate) -> None:
    operated = await operate()
    async with await knock(operated.server) as ann, await knock(operated.server) as ben:
        await ann.register("1")
        await ben.register("2")
        await call(ann, ben)
        assert (await operated.ask("DELETE", "/sessions/1-2?reason=too%20loud"))[0] == 200
        for each in (ann, ben):
            bye = {"code": "call-ended", "reason": "too loud"}
            assert await each.read_type("bye") == {"session_id": "1-2", "to": each.id, **bye}


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/", 404, "not-found"),
        ("GET", "/peers/", 404, "not-found"),
        ("GET", "/peers/1/2", 404, "not-found"),
        ("GET", "/PEERS", 404, "not-found"),
        ("GET", "/rooms", 404, "no-such-collection"),
        ("GET", "/rooms/1", 404, "no-such-collection"),
        ("GET", "/peers/1", 404, "not-found"),
        ("DELETE", "/peers/1", 404, "not-found"),
        ("DELETE", "/bans/ip:192.0.2.1", 404, "not-found"),
        ("DELETE", "/plugins/turn", 405, "cannot-end"),
        ("DELETE", f"/peers/1?reason={'x' * 101}", 400, "bad-reason"),
        ("GET", "/peers/%ff", 400, "bad-request"),
        ("POST", "/peers", 405, "method-not-allowed"),
        ("OPTIONS", "/peers", 405, "method-not-allowed"),
        ("GET", "/reload", 405, "method-not-allowed"),
        ("POST", "/log-level", 405, "method-not-allowed"),
    ],
)
async def test_what_is_not_there(
    operate: Operate, method: str, path: str, status: int, code: str
) -> None:
    operated = await operate()
    found_status, answer = await operated.ask(method, path)
    assert (found_status, answer["error"]["code"]) == (status, code)
    assert answer["error"]["reason"]


async def test_an_answer_has_no_headers_for_browsers(operate: Operate) -> None:
    operated = await operate()
    request = b"GET /status HTTP/1.1\r\nHost: x\r\nOrigin: https://evil.example\r\n\r\n"
    status, headers, _ = await operated.raw(request)
    assert (status, headers["cache-control"]) == (200, "no-store")
    assert headers["content-type"].startswith("application/json")
    assert not [name for name in headers if name.startswith("access-control")]


# --- bans --------------------------------------------------------------------------


async def test_a_banned_address_is_turned_away_until_the_ban_ends(operate: Operate) -> None:
    time = Manual()
    operated = await operate(clock=time.clock)
    async with await knock(operated.server) as ann, await knock(operated.server) as silent:
        await ann.register("1")
        body = {"ip": "127.0.0.0/8", "seconds": 60, "reason": "spam"}
        status, ban = await operated.ask("POST", "/bans", body)
        assert (status, ban["id"], ban["left_s"]) == (201, "ip:127.0.0.0/8", 60)
        assert (ban["ended"], ban["stored"]) == ({"connections": 2}, True)
        assert await closed_with(ann) == (4403, "banned: spam")
        assert await closed_with(silent) == (4403, "banned: spam")
    async with await knock(operated.server) as again:
        assert await closed_with(again) == (4403, "banned: spam")
    assert (await credential(operated)).code == 403
    time.advance(61)
    assert (await credential(operated)).code == 200
    async with await knock(operated.server) as again:
        await again.register("1")
    assert operated.server.hub.counters["refused.banned"] == 1


async def credential(operated: Operated) -> Any:
    url = f"http://127.0.0.1:{operated.server.port}/api/turn?service=turn&username=alice"
    return await AsyncHTTPClient(force_instance=True).fetch(url, raise_error=False)


@pytest.mark.parametrize("kind", ["peer", "user"])
async def test_a_banned_name_gets_no_credential(operate: Operate, kind: str) -> None:
    operated = await operate()
    await operated.ask("POST", "/bans", {kind: "alice", "reason": "spam"})
    answer = await credential(operated)
    expected = {"error": {"code": "banned", "reason": "Banned: spam."}}
    assert (answer.code, json.loads(answer.body)) == (403, expected)


async def test_a_banned_user_gets_no_credential(operate: Operate) -> None:
    operated = await operate(plugins=[Accounts()], turn={"api_access": "auth"})
    await operated.ask("POST", "/bans", {"user": "ann@example.org"})
    url = f"http://127.0.0.1:{operated.server.port}/api/turn?service=turn&username=x"
    client = AsyncHTTPClient(force_instance=True)
    for user, status in (("ann@example.org", 403), ("ben@example.org", 200)):
        headers = {"Authorization": f"Bearer {user}"}
        assert (await client.fetch(url, headers=headers, raise_error=False)).code == status


async def test_the_call_of_a_banned_peer_has_to_end(operate: Operate) -> None:
    operated = await operate()
    async with await knock(operated.server) as ann, await knock(operated.server) as ben:
        await ann.register("1")
        await ben.register("2")
        session_id = await call(ann, ben)
        await operated.ask("POST", "/bans", {"peer": "1", "reason": "spam"})
        bye = {"session_id": session_id, "to": "2", "code": "peer-removed", "reason": ""}
        assert await ben.read_type("bye") == bye
        assert await closed_with(ann) == (4403, "banned: spam")


async def test_a_banned_peer_may_not_sign_in(operate: Operate) -> None:
    operated = await operate()
    async with await knock(operated.server) as ann, await knock(operated.server) as ben:
        await ann.register("ann")
        await ben.register("ben")
        await operated.ask("POST", "/bans", {"peer": "ann"})
        assert await closed_with(ann) == (4403, "you are banned")
        async with await knock(operated.server) as again:
            await again.send("new", {"id": "ann", "name": "a", "user_agent": "x"})
            error = await again.read()
            assert error["data"]["code"] == "banned"
            assert await closed_with(again) == (4403, "you are banned")
        assert (await operated.ask("DELETE", "/bans/peer:ann"))[0] == 200
        async with await knock(operated.server) as again:
            await again.register("ann")


@pytest.mark.parametrize("at_upgrade", [True, False])
async def test_a_banned_user_may_not_connect(operate: Operate, at_upgrade: bool) -> None:
    operated = await operate(plugins=[Accounts()])
    headers = {"Authorization": "Bearer ann@example.org"} if at_upgrade else {}
    fields = {} if at_upgrade else {"token": "ann@example.org"}
    async with await knock(operated.server, headers=headers) as ann:
        await ann.register("1", **fields)
        ban = (await operated.ask("POST", "/bans", {"user": "ann@example.org"}))[1]
        assert ban["ended"] == {"connections": 1}
        assert await closed_with(ann) == (4403, "you are banned")
    async with await knock(operated.server, headers=headers) as again:
        if not at_upgrade:
            await again.send("new", {"id": "1", "name": "a", "user_agent": "x", **fields})
        assert await closed_with(again) == (4403, "you are banned")


async def test_a_ban_ends_connections_of_a_user_who_has_not_signed_in(operate: Operate) -> None:
    operated = await operate(plugins=[Accounts()])
    headers = {"Authorization": "Bearer ann@example.org"}
    async with await knock(operated.server, headers=headers) as ann:
        assert await ann.settled() == []
        ban = (await operated.ask("POST", "/bans", {"user": "ann@example.org"}))[1]
        assert ban["ended"] == {"connections": 1}
        assert await closed_with(ann) == (4403, "you are banned")


async def test_a_ban_that_comes_while_somebody_signs_in(operate: Operate) -> None:
    asked, go_on = asyncio.Event(), asyncio.Event()

    class Slow:
        @hookimpl
        async def permit_join(self) -> None:
            asked.set()
            await go_on.wait()

    operated = await operate(plugins=[Slow()])
    async with await knock(operated.server) as ann:
        await ann.send("new", {"id": "ann", "name": "a", "user_agent": "x"})
        await asked.wait()
        await operated.ask("POST", "/bans", {"peer": "ann"})
        go_on.set()
        assert await closed_with(ann) == (4403, "you are banned")
    assert list(operated.server.hub.peers()) == []


async def test_a_restart_keeps_bans(operate: Operate) -> None:
    first = await operate()
    await first.ask("POST", "/bans", {"ip": HOST, "seconds": 3600, "reason": "spam"})
    before = (await first.ask("GET", "/bans"))[1]["bans"]
    await first.server.stop()
    kept = first.server.config.general.state_dir / "bans.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    second = await operate()
    after = (await second.ask("GET", "/bans"))[1]["bans"]
    assert [{**each, "left_s": 0} for each in after] == [{**each, "left_s": 0} for each in before]
    async with await knock(second.server) as ann:
        assert await closed_with(ann) == (4403, "banned: spam")


async def test_a_ban_that_cannot_be_stored(operate: Operate, expect_log: ExpectLog) -> None:
    expect_log("a restart will lose changes of the bans")
    operated = await operate()
    kept = operated.server.config.general.state_dir / "bans.json"
    kept.mkdir()
    status, ban = await operated.ask("POST", "/bans", {"peer": "ann"})
    assert (status, ban["stored"]) == (201, False)
    assert (await operated.ask("GET", "/status"))[1]["bans_stored"] is False
    kept.rmdir()


async def test_a_ban_is_stored_as_soon_as_that_is_possible(
    operate: Operate, expect_log: ExpectLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tornado_webrtc.banfile.RETRY_S", 0.05)
    expect_log("a restart will lose changes of the bans")
    operated = await operate()
    kept = operated.server.config.general.state_dir / "bans.json"
    kept.mkdir()
    await operated.ask("POST", "/bans", {"peer": "ann"})
    kept.rmdir()
    await until(lambda: operated.server.bans.stored)
    assert "ann" in kept.read_text()


async def test_a_ban_is_stored_at_the_end_at_the_latest(
    operate: Operate, expect_log: ExpectLog
) -> None:
    expect_log("a restart will lose changes of the bans")
    operated = await operate()
    kept = operated.server.config.general.state_dir / "bans.json"
    kept.mkdir()
    await operated.ask("POST", "/bans", {"peer": "ann"})
    kept.rmdir()
    await operated.server.stop()
    assert "ann" in kept.read_text()


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"ip": HOST, "peer": "ann"},
        {"ip": "everybody"},
        {"ip": "0.0.0.0/0"},
        {"ip": 7},
        {"peer": ""},
        {"peer": "ann", "seconds": 0},
        {"peer": "ann", "seconds": "60"},
        {"peer": "ann", "reason": "x" * 101},
        {"peer": "ann", "reason": "\x1b[2J"},
        {"peer": "ann", "for": 60},
        [],
        7,
    ],
)
async def test_a_ban_that_makes_no_sense(operate: Operate, body: object) -> None:
    operated = await operate()
    status, answer = await operated.ask("POST", "/bans", body)
    assert status == 400
    assert answer["error"]["code"] in {"bad-ban", "bad-body"}
    assert (await operated.ask("GET", "/bans"))[1] == {"bans": []}


# --- reload, drain, log level ------------------------------------------------------


async def test_reload(operate: Operate, monkeypatch: pytest.MonkeyPatch) -> None:
    operated = await operate()
    report = ReloadReport(
        applied=("signaling.ping_s",),
        needs_restart=("turn.port",),
        certificate_error="no key",
        warnings=("turn.secret: short",),
    )
    monkeypatch.setattr(operated.server, "reload", AsyncMock(return_value=report))
    assert await operated.ask("POST", "/reload") == (
        200,
        {
            "applied": ["signaling.ping_s"],
            "needs_restart": ["turn.port"],
            "certificate": False,
            "certificate_error": "no key",
            "warnings": ["turn.secret: short"],
        },
    )


async def test_reload_of_a_configuration_with_problems(
    operate: Operate, monkeypatch: pytest.MonkeyPatch
) -> None:
    operated = await operate()

    async def fail() -> None:
        raise ConfigError([Problem("server.ini, line 2, general.port", "is no number", "Give one")])

    monkeypatch.setattr(operated.server, "reload", fail)
    status, answer = await operated.ask("POST", "/reload")
    assert (status, answer["error"]["code"]) == (422, "bad-config")
    assert answer["problems"] == [
        {
            "where": "server.ini, line 2, general.port",
            "message": "is no number",
            "hint": "Give one",
        }
    ]


async def test_drain(operate: Operate) -> None:
    operated = await operate()
    server = operated.server
    async with await knock(server) as ann, await knock(server) as ben:
        await ann.register("1")
        await ben.register("2")
        await call(ann, ben)
        answer = await operated.ask("POST", "/drain", {"seconds": 600})
        assert answer == (202, {"seconds": 600, "left": {"sessions": 1}})
        await until(lambda: str(server.state) == "draining")
        assert (await operated.ask("GET", "/status"))[1]["state"] == "draining"
        assert not server.drained.is_set()
        await ann.send("bye", {"session_id": "1-2", "to": "2", "from": "1"})
        await until(server.drained.is_set)


async def test_drain_as_configured_and_stopped_meanwhile(operate: Operate) -> None:
    operated = await operate(general={"drain_s": 300})
    async with await knock(operated.server) as ann, await knock(operated.server) as ben:
        await ann.register("1")
        await ben.register("2")
        await call(ann, ben)
        assert (await operated.ask("POST", "/drain"))[1]["seconds"] == 300
        await operated.server.stop()
    assert not operated.path.exists()


@pytest.mark.parametrize("seconds", [-1, 1e9, "soon"])
async def test_drain_for_a_time_that_is_none(operate: Operate, seconds: object) -> None:
    operated = await operate()
    assert (await operated.ask("POST", "/drain", {"seconds": seconds}))[0] == 400
    assert str(operated.server.state) == "running"


async def test_log_level(operate: Operate) -> None:
    operated = await operate()
    body = {"level": "DEBUG", "logger": "tornado_webrtc.signaling"}
    logging.getLogger(body["logger"])
    answer = await operated.ask("PUT", "/log-level", body)
    assert answer == (200, {**body, "before": "INHERITED"})
    assert logging.getLogger(body["logger"]).level == logging.DEBUG
    logging.getLogger(body["logger"]).setLevel(logging.NOTSET)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"level": "LOUD"},
        {"level": "INHERITED"},
        {"level": "DEBUG", "logger": "nobody"},
        {"level": "DEBUG", "logger": "tornado.general"},
    ],
)
async def test_a_log_level_that_cannot_be(operate: Operate, body: object) -> None:
    operated = await operate()
    assert (await operated.ask("PUT", "/log-level", body))[0] == 400


# --- hostile input -----------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [b"{", b"\xff\xfe", b"null", b"[" * 60_000, b'{"peer": "\\ud800"}', b'{"peer": NaN}', b"\0"],
)
@pytest.mark.parametrize(("method", "path"), [("POST", "/bans"), ("PUT", "/log-level")])
async def test_bodies_that_are_no_json(
    operate: Operate, method: str, path: str, content: bytes
) -> None:
    operated = await operate()
    status, answer = await operated.ask(method, path, content=content)
    assert (status, answer["error"]["code"]) == (400, "bad-body")


async def test_a_body_that_is_too_large(operate: Operate) -> None:
    operated = await operate()
    head = b"POST /bans HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n"
    status, _, _ = await operated.raw(head + b"x" * 100)
    assert status == 400
    assert (await operated.ask("GET", "/status"))[0] == 200


async def test_nothing_that_is_asked_is_an_error_of_the_server(operate: Operate) -> None:
    operated = await operate()
    random = Random(8)  # noqa: S311
    names = ["status", "bans", "peers", "log-level", "drain", "a", "%00", "%2e%2e", "..", "é", "?"]
    values: list[object] = [
        None,
        0,
        -1,
        1e300,
        "",
        "x",
        "ip",
        "\0",
        [],
        {},
        True,
        "127.0.0.1",
        "1" * 600,
    ]
    keys = ["ip", "peer", "user", "seconds", "reason", "level", "logger"]
    for _ in range(300):
        path = "".join(f"/{random.choice(names)}" for _ in range(random.randint(1, 3)))
        path = quote(path, safe="/%?")
        body = {random.choice(keys): random.choice(values) for _ in range(random.randint(0, 3))}
        method = random.choice(["GET", "DELETE", "POST", "PUT", "PATCH", "OPTIONS"])
        if path == "/drain" and method == "POST":
            continue
        status, _ = await operated.ask(method, path, body)
        assert 200 <= status < 500, (method, path, body)
