"""`/api/turn`: credentials that verify, in both forms, for those who may have them."""

import asyncio
import ipaddress
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import pytest

from tests.conftest import ExpectLog
from tests.web.conftest import Serve
from tests.web.rawhttp import Answer, assert_secure, fetch
from tests.wire import WireClient
from tornado_webrtc import hookimpl
from tornado_webrtc.clock import Clock
from tornado_webrtc.credential import verify
from tornado_webrtc.hooks import AuthRequest, IceRequest, IceServer, Identity, Refused
from tornado_webrtc.web.turn import configured_servers

WALL = 1_700_000_000.0
SECRET = "north-sea-herring"
URIS = (
    "turn:turn.example.org:3478?transport=udp",
    "stun:stun.example.org:3478",
    "turns:turn.example.org:5349?transport=tcp",
    "stuns:stun.example.org:5349",
)
TURN_URIS = [
    "turn:turn.example.org:3478?transport=udp",
    "turns:turn.example.org:5349?transport=tcp",
]
STUN_URIS = ["stun:stun.example.org:3478", "stuns:stun.example.org:5349"]
TURN: dict[str, Any] = {"secret": (SECRET,), "uris": URIS}
FIXED = Clock(now=lambda: 50.0, wall=lambda: WALL)


def target(**parameters: str) -> str:
    parameters = {"service": "turn", "username": "ann", **parameters}
    return "/api/turn?" + "&".join(f"{name}={quote(value)}" for name, value in parameters.items())


def assert_error(answer: Answer, status: int, code: str) -> None:
    assert (answer.status, answer.json["error"]["code"]) == (status, code)
    assert set(answer.json) == {"error"}
    assert answer.json["error"]["reason"]
    assert answer.headers["Cache-Control"] == "no-store"
    assert_secure(answer)


# --- what is answered -------------------------------------------------------------


async def test_legacy_form(serve: Serve) -> None:
    """With the very password that openssl makes; see tests/test_credential.py."""
    server = await serve(turn=TURN, clock=FIXED)
    answer = await fetch(server.port, "/api/turn?service=turn&username=ann")
    assert answer.status == 200
    assert answer.json == {
        "username": "1700086400:ann",
        "password": "7qTa8hgQcI9GrnfYhwJgqKv/XOg=",
        "ttl": 86400,
        "uris": TURN_URIS,
    }
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert_secure(answer)


async def test_form_of_browsers(serve: Serve) -> None:
    server = await serve(turn=TURN, clock=FIXED)
    answer = await fetch(server.port, target(format="ice"))
    keys = {"username": "1700086400:ann", "credential": "7qTa8hgQcI9GrnfYhwJgqKv/XOg="}
    assert answer.json == {
        "iceServers": [{"urls": TURN_URIS, **keys}, {"urls": STUN_URIS}],
        "ttl": 86400,
    }


@pytest.mark.parametrize("form", ["uberti", "ice"])
async def test_server_without_any_uris(serve: Serve, form: str) -> None:
    server = await serve()
    answer = await fetch(server.port, target(format=form))
    assert answer.status == 200
    assert answer.json["uris" if form == "uberti" else "iceServers"] == []


@pytest.mark.parametrize(
    "name", ["123456", "a:b", "Ann B.", "Jürgen", "日本語", "🎉" * 123, "%&=+#?/"]
)
async def test_credential_verifies_under_any_name(serve: Serve, name: str) -> None:
    server = await serve(turn={"secret": ("new", "old"), "credential_ttl_s": 60})
    made = (await fetch(server.port, target(username=name))).json
    assert made["ttl"] == 60
    wall = server.clock.wall()
    assert verify(["new"], made["username"], made["password"], wall) == name
    assert verify(["old"], made["username"], made["password"], wall) is None
    assert verify(["new"], made["username"], made["password"], wall + 61) is None


async def test_secret_that_is_made_and_kept(serve: Serve) -> None:
    first, second = await serve(), await serve()
    made = (await fetch(first.port, target())).json
    assert len(second.secrets[0]) >= 32
    assert verify(second.secrets, made["username"], made["password"], WALL) == "ann"


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("", b"service=turn&username=ann"),
        ("?service=turn&username=ann", b""),
        ("?service=turn", b"username=ann"),
        ("?username=ann", b"service=turn&format=uberti"),
    ],
)
async def test_post(serve: Serve, query: str, body: bytes) -> None:
    server = await serve(turn=TURN, clock=FIXED)
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Content-Length": "0"}
    if body:
        del headers["Content-Length"]
    answer = await fetch(
        server.port, f"/api/turn{query}", method="POST", headers=headers, body=body
    )
    assert answer.status == 200
    assert answer.json == (await fetch(server.port, target())).json


# --- parameters -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("", "bad-service"),
        ("?", "bad-service"),
        ("?username=ann", "bad-service"),
        ("?service=&username=ann", "bad-service"),
        ("?service=stun&username=ann", "bad-service"),
        ("?service=TURN&username=ann", "bad-service"),
        ("?service=turn", "bad-username"),
        ("?service=turn&username=", "bad-username"),
        ("?service=turn&username=" + "a" * 129, "bad-username"),
        ("?service=turn&username=" + quote("🎉" * 124), "bad-username"),
        ("?service=turn&username=a%0ab", "bad-username"),
        ("?service=turn&username=a%0d%0aSet-Cookie:%20x", "bad-username"),
        ("?service=turn&username=%7f", "bad-username"),
        ("?service=turn&username=a%c2%85b", "bad-username"),
        ("?service=turn&username=ann&username=", "bad-username"),
        ("?service=turn&username=ann&format=xml", "bad-format"),
        ("?service=turn&username=ann&format=ICE", "bad-format"),
        ("?service=turn&username=%ff%fe", "bad-request"),
        ("?service=turn&username=%ed%a0%80", "bad-request"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_bad_parameters_are_400_with_a_reason(
    serve: Serve, method: str, query: str, code: str
) -> None:
    server = await serve(turn=TURN)
    answer = await fetch(server.port, f"/api/turn{query}", method=method)
    assert_error(answer, 400, code)
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data; boundary=x", b"no part in sight"),
        ("multipart/form-data", b"--x\r\n\r\n--x--"),
        ("application/json", b'{"service": "turn", "username": "ann"}'),
        ("application/x-www-form-urlencoded", b"\xff\xfe=%ff&&&==;"),
        ("application/x-www-form-urlencoded; charset=utf-16", b"service=turn"),
        ("", b"\0" * 100),
    ],
)
async def test_body_that_is_no_form_is_400(serve: Serve, kind: str, body: bytes) -> None:
    server = await serve(turn=TURN)
    headers = {"Content-Type": kind}
    answer = await fetch(server.port, "/api/turn", method="POST", headers=headers, body=body)
    assert answer.status == 400
    assert_secure(answer)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "HEAD", "BREW"])
async def test_other_methods_are_not_allowed(serve: Serve, method: str) -> None:
    server = await serve()
    answer = await fetch(server.port, target(), method=method)
    assert answer.status == 405
    assert answer.headers["Allow"] == "GET, POST, OPTIONS"
    assert_secure(answer)


# --- pages elsewhere ----------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
async def test_only_allowed_pages_elsewhere_may_read_it(serve: Serve, method: str) -> None:
    server = await serve(turn=TURN, signaling={"allowed_origins": ("https://app.example.org",)})
    for origin, allowed in (
        ("https://app.example.org", "https://app.example.org"),
        ("https://evil.example", None),
    ):
        answer = await fetch(server.port, target(), method=method, headers={"Origin": origin})
        assert answer.headers.get("Access-Control-Allow-Origin") == allowed
        assert answer.headers["Vary"] == "Origin"


async def test_preflight_asks_nobody_and_gives_nothing_away(serve: Serve) -> None:
    server = await serve(turn={**TURN, "api_access": "auth"})
    headers = {"Origin": "https://a.example", "Access-Control-Request-Headers": "authorization"}
    answer = await fetch(server.port, target(), method="OPTIONS", headers=headers)
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Access-Control-Allow-Methods"] == "GET, POST, OPTIONS"
    assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]


# --- api_access = peer --------------------------------------------------------------


async def test_peer_gets_a_credential_for_its_own_name_only(serve: Serve) -> None:
    server = await serve(turn={**TURN, "api_access": "peer"})
    assert_error(await fetch(server.port, target()), 403, "not-a-peer")
    async with await WireClient.connect(server.port) as client:
        await client.register("ann")
        assert (await fetch(server.port, target())).status == 200
        assert_error(await fetch(server.port, target(username="ben")), 403, "not-a-peer")
        assert_error(await fetch(server.port, target(username="ANN")), 403, "not-a-peer")
        await client.send("leave", {})
        await client.settled()
        assert_error(await fetch(server.port, target()), 403, "not-a-peer")


async def test_peer_has_to_ask_from_its_own_address(serve: Serve) -> None:
    trusted = {"trusted_proxies": (ipaddress.ip_network("127.0.0.1/32"),)}
    server = await serve(turn={**TURN, "api_access": "peer"}, general=trusted)
    here, elsewhere = ({"X-Forwarded-For": ip} for ip in ("203.0.113.7", "203.0.113.8"))
    async with await WireClient.connect(server.port, headers=here) as client:
        await client.register("ann")
        assert (await fetch(server.port, target(), headers=here)).status == 200
        for headers in (elsewhere, {}):
            answer = await fetch(server.port, target(), headers=headers)
            assert_error(answer, 403, "not-a-peer")


# --- api_access = auth --------------------------------------------------------------


class Doorman:
    """A plugin that knows one token."""

    def __init__(self) -> None:
        self.requests: list[AuthRequest] = []

    @hookimpl
    async def authenticate(self, request: AuthRequest) -> Identity | Refused | None:
        self.requests.append(request)
        await asyncio.sleep(0)
        if request.token == "broken":
            raise RuntimeError("the database is gone")
        if request.token == "annstoken":
            return Identity("account-1", ("ann", "ann-*"))
        return None if request.token is None else Refused("never heard of it")


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize(
    ("headers", "name", "status", "code"),
    [
        (bearer("annstoken"), "ann", 200, ""),
        ({"Authorization": "bearer   annstoken "}, "ann-tablet", 200, ""),
        (bearer("annstoken"), "ben", 403, "name-not-allowed"),
        (bearer("wrong"), "ann", 401, "not-authenticated"),
        (bearer(""), "ann", 401, "not-authenticated"),
        ({}, "ann", 401, "not-authenticated"),
        ({"Authorization": "Basic annstoken"}, "ann", 401, "not-authenticated"),
        ({"Authorization": "annstoken"}, "ann", 401, "not-authenticated"),
    ],
)
async def test_plugin_says_who_may_have_a_credential(
    serve: Serve, headers: dict[str, str], name: str, status: int, code: str
) -> None:
    server = await serve(turn={**TURN, "api_access": "auth"}, plugins=[Doorman()])
    answer = await fetch(server.port, target(username=name), headers=headers)
    if status == 200:
        assert answer.json["username"].endswith(f":{name}")
        return
    assert_error(answer, status, code)
    if status == 401:
        refused = headers == bearer("wrong")
        challenge = 'Bearer error="invalid_token"' if refused else "Bearer"
        assert answer.headers["WWW-Authenticate"] == challenge
        reason = "never heard of it" if refused else "A valid token is needed."
        assert answer.json["error"]["reason"] == reason


async def test_plugin_is_told_who_asks(serve: Serve) -> None:
    doorman = Doorman()
    trusted = {"trusted_proxies": (ipaddress.ip_network("127.0.0.1/32"),)}
    server = await serve(turn={**TURN, "api_access": "auth"}, plugins=[doorman], general=trusted)
    headers = {
        **bearer("annstoken"),
        "Origin": "https://a.example",
        "X-Forwarded-For": "203.0.113.7",
    }
    answer = await fetch(server.port, target(room="42") + "&room=43", headers=headers)
    assert answer.status == 200
    (request,) = doorman.requests
    assert request.kind == "rest"
    assert request.token == "annstoken"
    assert request.remote_ip == "203.0.113.7"
    assert request.origin == "https://a.example"
    assert request.path == "/api/turn"
    assert request.query == {"service": "turn", "username": "ann", "room": "43"}
    assert request.peer_id == "ann"
    assert request.headers["X-Forwarded-For"] == "203.0.113.7"
    assert "annstoken" not in repr(request)


async def test_plugin_that_fails_lets_nobody_in(serve: Serve, expect_log: ExpectLog) -> None:
    server = await serve(turn={**TURN, "api_access": "auth"}, plugins=[Doorman()])
    expect_log(r"doorman.*authenticate")
    answer = await fetch(server.port, target(), headers=bearer("broken"))
    assert_error(answer, 503, "plugin-failed")
    assert b"database" not in answer.body


async def test_without_a_plugin_nobody_gets_in(serve: Serve) -> None:
    server = await serve(turn={**TURN, "api_access": "auth"})
    answer = await fetch(server.port, target(), headers=bearer("annstoken"))
    assert_error(answer, 401, "not-authenticated")


async def test_open_access_asks_no_plugin(serve: Serve) -> None:
    doorman = Doorman()
    server = await serve(turn=TURN, plugins=[doorman])
    assert (await fetch(server.port, target(), headers=bearer("broken"))).status == 200
    assert doorman.requests == []


# --- rate ---------------------------------------------------------------------------


async def test_too_many_requests_bad_ones_too_are_told_when_to_come_back(serve: Serve) -> None:
    now = [1000.0]
    clock = Clock(now=lambda: now[0], wall=lambda: WALL)
    server = await serve(turn={**TURN, "api_per_minute": 3}, clock=clock)
    statuses = [
        (await fetch(server.port, target(service=kind))).status for kind in ("turn", "", "")
    ]
    assert statuses == [200, 400, 400], "bad requests count too"
    answer = await fetch(server.port, target())
    assert_error(answer, 429, "too-many-requests")
    assert answer.headers["Retry-After"] == "20"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    now[0] += 19.0
    assert (await fetch(server.port, target())).headers["Retry-After"] == "1"
    now[0] += 1.5
    assert (await fetch(server.port, target())).status == 200


async def test_rate_is_per_client(serve: Serve) -> None:
    trusted = {"trusted_proxies": (ipaddress.ip_network("127.0.0.1/32"),)}
    server = await serve(turn={**TURN, "api_per_minute": 1}, general=trusted, clock=FIXED)
    for ip, status in (
        ("203.0.113.7", 200),
        ("203.0.113.7", 429),
        ("203.0.113.8", 200),
        ("2001:db8::1", 200),
        ("2001:db8::2", 429),
        ("2001:db8:0:1::1", 200),
    ):
        answer = await fetch(server.port, target(), headers={"X-Forwarded-For": ip})
        assert (ip, answer.status) == (ip, status)


async def test_limit_zero_is_no_limit(serve: Serve) -> None:
    server = await serve(turn={**TURN, "api_per_minute": 0}, clock=FIXED)
    answers = await asyncio.gather(*(fetch(server.port, target()) for _ in range(70)))
    assert {answer.status for answer in answers} == {200}


# --- ICE servers --------------------------------------------------------------------


class Relay:
    """A plugin that brings its own TURN server."""

    def __init__(self, answer: Sequence[IceServer] | None) -> None:
        self.answer = answer
        self.requests: list[IceRequest] = []

    @hookimpl
    async def ice_servers(self, request: IceRequest) -> Sequence[IceServer] | None:
        self.requests.append(request)
        return self.answer


OWN = [
    IceServer(("turn:own.example:19302?transport=udp",), needs_credential=True),
    IceServer(("stun:own.example:19302",), needs_credential=False),
]


async def test_servers_of_a_plugin_come_before_configured_ones(serve: Serve) -> None:
    relay = Relay(OWN)
    server = await serve(turn=TURN, plugins=[relay])
    legacy = (await fetch(server.port, target())).json
    assert legacy["uris"] == ["turn:own.example:19302?transport=udp", *TURN_URIS]
    ice = (await fetch(server.port, target(format="ice"))).json["iceServers"]
    assert [(each["urls"], "credential" in each, "username" in each) for each in ice] == [
        (["turn:own.example:19302?transport=udp"], True, True),
        (["stun:own.example:19302"], False, False),
        (TURN_URIS, True, True),
        (STUN_URIS, False, False),
    ]
    assert relay.requests[0] == IceRequest(username="ann", remote_ip="127.0.0.1", host="localhost")


@pytest.mark.parametrize("answer", [None, []])
async def test_plugin_without_servers_leaves_the_configured_ones(
    serve: Serve, answer: Sequence[IceServer] | None
) -> None:
    server = await serve(turn=TURN, plugins=[Relay(answer)])
    assert (await fetch(server.port, target())).json["uris"] == TURN_URIS


class Broken:
    """A plugin that fails when it is asked for servers."""

    @hookimpl
    def ice_servers(self, request: IceRequest) -> Sequence[IceServer] | None:
        raise RuntimeError(request.host)


async def test_plugin_that_fails_costs_only_its_own_servers(
    serve: Serve, expect_log: ExpectLog
) -> None:
    expect_log(r"broken.*ice_servers")
    server = await serve(turn=TURN, plugins=[Broken()])
    answer = await fetch(server.port, target())
    assert (answer.status, answer.json["uris"]) == (200, TURN_URIS)


@pytest.mark.parametrize(
    ("uris", "servers"),
    [
        ((), []),
        (("turn:a",), [IceServer(("turn:a",), needs_credential=True)]),
        (("stun:a", "stuns:b"), [IceServer(("stun:a", "stuns:b"), needs_credential=False)]),
        (
            ("stun:a", "turns:b", "turn:c"),
            [
                IceServer(("turns:b", "turn:c"), needs_credential=True),
                IceServer(("stun:a",), needs_credential=False),
            ],
        ),
    ],
)
def test_configured_servers(uris: tuple[str, ...], servers: list[IceServer]) -> None:
    assert configured_servers(uris) == servers
