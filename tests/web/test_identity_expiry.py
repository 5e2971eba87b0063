"""An identity that expires: its connection is closed, and no TURN credential outlives it."""

import asyncio

import pytest

from tests.wallclock import WallClock
from tests.web.conftest import Serve
from tests.web.rawhttp import Answer, fetch
from tests.wire import WireClient, call, error, until
from tornado_webrtc import hookimpl
from tornado_webrtc.credential import expiry_of, verify
from tornado_webrtc.hooks import AuthRequest, Identity, JoinRequest, ScopeRequest
from tornado_webrtc.server import Server
from tornado_webrtc.signaling import Peer
from tornado_webrtc.web import connection
from tornado_webrtc.web.connection import MAX_EXPIRY_WAIT_S, Connection

WALL = 1_700_000_000.25
EXPIRED = error("", "Your sign-in has expired.", "identity-expired")


class Gate:
    """Knows tokens of the form ``SUBJECT:SECONDS``, good until so long after `WALL`, or ever."""

    def __init__(self) -> None:
        self.left: list[tuple[str, str]] = []
        self.asked = asyncio.Event()
        self.permitted = asyncio.Event()
        self.permitted.set()

    @hookimpl
    def authenticate(self, request: AuthRequest) -> Identity | None:
        if request.token is None:
            return None
        subject, _, seconds = request.token.partition(":")
        return Identity(subject, expires_at=WALL + float(seconds) if seconds else None)

    @hookimpl
    def scope_for(self, request: ScopeRequest) -> str | None:
        return request.room

    @hookimpl
    async def permit_join(self, request: JoinRequest) -> None:
        self.asked.set()
        await self.permitted.wait()

    @hookimpl
    def peer_left(self, peer: Peer, reason: str) -> None:
        self.left.append((peer.id, reason))


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> WallClock:
    """A wall clock that connections look at all the time."""
    monkeypatch.setattr(connection, "MAX_EXPIRY_WAIT_S", 0.01)
    return WallClock(WALL)


async def connect(server: Server, token: str = "") -> WireClient:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return await WireClient.connect(server.port, headers=headers)


def connections(server: Server) -> list[Connection]:
    return [*server.hub._connections.values()]


# --- connections --------------------------------------------------------------------------------


@pytest.mark.parametrize("as_it_opens", [True, False])
async def test_connection_and_its_calls_end(
    serve: Serve, watch: WallClock, as_it_opens: bool
) -> None:
    gate = Gate()
    server = await serve(plugins=[gate], clock=watch.clock)
    token = "ann:100"
    async with (
        await connect(server, token if as_it_opens else "") as ann,
        await connect(server, "ben") as ben,
    ):
        await ann.register("ann", **({} if as_it_opens else {"token": token}))
        await ben.register("ben")
        session_id = await call(ann, ben)
        watch.set(99.5)
        await watch.looked_at()
        assert await ben.settled() == await ann.settled() == []
        watch.set(0.5)
        assert await ann.read() == EXPIRED
        closed = await ann.read_until_closed()
        assert (closed.code, closed.reason) == (4401, "Your sign-in has expired.")
        assert await ben.read_type("bye") == {"session_id": session_id, "to": "ben"}
        assert await ben.read_type("leave") == "ann"
        assert [peer["id"] for peer in await ben.read_type("peers")] == ["ben"]
        assert gate.left == [("ann", "identity-expired")]
        counters = server.hub.counters
        assert counters["closed.identity-expired"] == counters["error.identity-expired"] == 1
        watch.set(1e9)
        assert await ben.settled() == [], "without an end there is none"


async def test_timer_goes_off_when_it_is_time(serve: Serve) -> None:
    """With the intervals of a real server, and half a second."""
    watch = WallClock(WALL)
    server = await serve(plugins=[Gate()], clock=watch.clock)
    async with await connect(server, "ann:0.5") as ann:
        await ann.register("ann")
        watch.run()
        assert await ann.read() == EXPIRED
        assert (await ann.read_until_closed()).code == 4401
        assert watch.wall - WALL >= 0.5


async def test_who_has_not_signed_in_yet_is_closed_too(serve: Serve, watch: WallClock) -> None:
    server = await serve(plugins=[Gate()], clock=watch.clock, signaling={"hello_timeout_s": 0})
    async with await connect(server, "ann:1") as ann:
        await until(lambda: bool(server.hub))
        watch.set(1)
        assert await ann.read() == EXPIRED
        assert (await ann.read_until_closed()).code == 4401


async def test_it_expires_while_a_plugin_thinks(serve: Serve, watch: WallClock) -> None:
    gate = Gate()
    gate.permitted.clear()
    server = await serve(plugins=[gate], clock=watch.clock)
    async with await connect(server, "ann:1") as ann:
        await ann.send("new", {"id": "ann"})
        await gate.asked.wait()
        watch.set(1)
        assert await ann.read() == EXPIRED
        assert (await ann.read_until_closed()).code == 4401
        gate.permitted.set()
        assert list(server.hub.peers()) == []
        assert gate.left == []


@pytest.mark.parametrize("seconds", ["0", "-0.01", "-1e9"])
async def test_what_has_expired_already_lets_nobody_in(serve: Serve, seconds: str) -> None:
    server = await serve(plugins=[Gate()], clock=WallClock(WALL).clock)
    reason = "Your sign-in has expired."
    async with await connect(server, f"ann:{seconds}") as client:
        closed = await client.read_until_closed()
        assert (closed.code, closed.reason) == (4401, reason)
    async with await connect(server) as client:
        await client.send("new", {"id": "ann", "token": f"ann:{seconds}"})
        assert await client.read() == error("new", reason, "not-authenticated")
        assert (await client.read_until_closed()).code == 4401
    assert list(server.hub.peers()) == []
    assert server.hub.counters["error.not-authenticated"] == 2


async def test_clock_that_is_set_back_prolongs_and_one_set_forward_ends(
    serve: Serve, watch: WallClock
) -> None:
    """The wall clock alone counts, whatever the timer thought when it was set."""
    server = await serve(plugins=[Gate()], clock=watch.clock)
    async with await connect(server, "ann:0.05") as ann:
        await ann.register("ann")
        watch.set(-3600)
        for _ in range(10):
            await watch.looked_at()
        assert await ann.settled() == []
        watch.set(7200)
        assert await ann.read() == EXPIRED


@pytest.mark.parametrize("seconds", ["59", "61", "1e9", "1e300", "inf"])
async def test_one_timer_that_is_never_long(serve: Serve, seconds: str) -> None:
    server = await serve(plugins=[Gate()], clock=WallClock(WALL).clock)
    async with await connect(server, f"ann:{seconds}") as ann:
        await ann.register("ann")
        (only,) = connections(server)
        timer = only._timers.get("expiry")
        if seconds == "inf":
            assert timer is None
            return
        assert timer is not None
        left_s = timer.when() - asyncio.get_running_loop().time()
        assert 50 < left_s <= min(float(seconds), MAX_EXPIRY_WAIT_S)
        await ann.drop()
        await until(lambda: not server.hub)
        assert timer.cancelled()
        assert only._timers == {}


async def test_no_end_no_timer(serve: Serve) -> None:
    server = await serve(plugins=[Gate()])
    async with await connect(server, "ann") as ann, await connect(server) as ben:
        await ann.register("ann")
        await ben.register("ben")
        assert [each._timers.get("expiry") for each in connections(server)] == [None, None]


async def test_signing_in_anew_counts_anew(serve: Serve, watch: WallClock) -> None:
    """After `leave`, with a newer token, or with none where that is enough; a mere `new` is not."""
    server = await serve(plugins=[Gate()], clock=watch.clock)
    async with await connect(server) as ann:
        await ann.register("ann", token="ann:100")
        (only,) = connections(server)
        await ann.register("ann", token="ann:300", name="Anna")
        assert only.expires_at == WALL + 100, "that changes the name and asks nobody"
        await ann.send("leave")
        await ann.register("ann", token="ann:200")
        watch.set(150)
        await watch.looked_at()
        assert await ann.settled() == []
        await ann.send("leave")
        await ann.register("ann")
        watch.set(100)
        assert await ann.settled() == []
        assert "expiry" not in only._timers
        await ann.send("leave")
        await ann.register("ann", token="ann:251")
        watch.set(1)
        assert await ann.read() == EXPIRED


# --- /api/turn ----------------------------------------------------------------------------------

SECRET = "north-sea-herring"


async def ask(server: Server, token: str = "") -> Answer:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return await fetch(server.port, "/api/turn?service=turn&username=ann", headers=headers)


@pytest.mark.parametrize(
    ("seconds", "ttl_s"),
    [("", 600), ("inf", 600), ("1e300", 600), ("600.5", 600), ("599.9", 599), ("1", 1)],
)
async def test_credential_ends_with_the_identity(serve: Serve, seconds: str, ttl_s: int) -> None:
    turn = {"api_access": "auth", "credential_ttl_s": 600, "secret": (SECRET,)}
    server = await serve(plugins=[Gate()], clock=WallClock(WALL).clock, turn=turn)
    answer = await ask(server, f"ann:{seconds}")
    assert (answer.status, answer.json["ttl"]) == (200, ttl_s)
    ends_at = expiry_of(answer.json["username"])
    assert ends_at == int(WALL) + ttl_s
    assert ends_at <= WALL + float(seconds or "inf")
    made = answer.json["username"], answer.json["password"]
    assert verify([SECRET], *made, ends_at - 0.1) == "ann"
    assert verify([SECRET], *made, ends_at) is None


@pytest.mark.parametrize("seconds", ["0.9", "0", "-5"])
async def test_no_credential_for_less_than_a_second(serve: Serve, seconds: str) -> None:
    turn = {"api_access": "auth"}
    server = await serve(plugins=[Gate()], clock=WallClock(WALL).clock, turn=turn)
    answer = await ask(server, f"ann:{seconds}")
    reason = "Your sign-in has expired."
    assert answer.status == 401
    assert answer.json == {"error": {"code": "not-authenticated", "reason": reason}}
    assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


async def test_credential_for_a_peer_ends_with_its_sign_in(serve: Serve) -> None:
    turn = {"api_access": "peer", "credential_ttl_s": 600}
    server = await serve(plugins=[Gate()], clock=WallClock(WALL).clock, turn=turn)
    async with await connect(server, "ann:50") as first, await connect(server) as second:
        await first.register("ann", room="red")
        assert (await ask(server)).json["ttl"] == 50
        assert (await ask(server, "ann:70")).json["ttl"] == 50, "nobody looks at the token"
        await second.register("ann", room="blue", token="ann:60")
        assert (await ask(server)).json["ttl"] == 60, "either lets it have one"
        await second.send("leave")
        await second.register("ann", room="blue")
        assert (await ask(server)).json["ttl"] == 600


async def test_credential_for_everybody_knows_of_no_identity(serve: Serve) -> None:
    turn = {"api_access": "open", "credential_ttl_s": 600}
    server = await serve(plugins=[Gate()], clock=WallClock(WALL).clock, turn=turn)
    assert (await ask(server, "ann:5")).json["ttl"] == 600
