"""What plugins are asked and told about allocations, and whose credentials count."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.plugins.turn.client import CHANNEL, TurnClient
from tests.plugins.turn.site import (
    HOST,
    LOOPBACK,
    REALM,
    TTL_S,
    Manual,
    Recorder,
    StartTurn,
)
from tests.quietport import quiet_port
from tests.wire import until
from tornado_webrtc import hookimpl
from tornado_webrtc.config.address import PortRange
from tornado_webrtc.hooks import (
    AllocationRequest,
    CredentialRequest,
    Denied,
    RelayRequest,
    SocketAddress,
    TurnCredential,
)
from tornado_webrtc.stun.address import TransportAddress
from tornado_webrtc.stun.attribute import LIFETIME
from tornado_webrtc.stun.integrity import long_term_key
from tornado_webrtc.stun.message import Method
from tornado_webrtc.stun.value import Icmp

ExpectLog = Callable[[str], None]

TRANSPORTS = ("udp", "tcp")
CAROL = ("carol", "carols-password")
PEER = TransportAddress(HOST, 4000)


# --- credentials --------------------------------------------------------------


@pytest.mark.parametrize(
    ("secret", "error"), [("newest", 0), ("older", 0), ("oldest", 0), ("unknown", 401), ("", 401)]
)
async def test_every_secret_is_good(start_turn: StartTurn, secret: str, error: int) -> None:
    site = await start_turn(secret=("newest", "older", "oldest"))
    client = await site.udp(credential=site.credential("alice", secret))
    assert await client.try_to_allocate() == error
    if not error:
        assert await client.refresh(600) == 0


@pytest.mark.parametrize("username", ["alice", "", "x" * 500, "1:", "\N{SNOWMAN}"])
async def test_unknown_names(start_turn: StartTurn, username: str) -> None:
    site = await start_turn()
    client = await site.udp(credential=(username, "password"))
    assert await client.try_to_allocate() == 401


async def test_user_from_the_file(start_turn: StartTurn, tmp_path: Path) -> None:
    (tmp_path / "users").write_text("carol:carols-password\n")
    recorder = Recorder()
    site = await start_turn(recorder, users_file=tmp_path / "users")
    client = await site.udp(credential=CAROL)
    await client.allocate()
    assert recorder.events[0][1].user == "carol"
    wrong = await site.udp(credential=("carol", "password"))
    assert await wrong.try_to_allocate() == 401


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_expired_credential_keeps_what_it_has(start_turn: StartTurn, transport: str) -> None:
    """A call may last longer than the credential that it was begun with."""
    time = Manual()
    site = await start_turn(clock=time.clock, allow_peers=LOOPBACK)
    client, other = await site.client(transport), await site.client(transport)
    await client.allocate((LIFETIME, 3600))
    time.advance(TTL_S + 1)
    assert await client.refresh(3600) == 0
    assert await client.permit(PEER) == 0
    assert await client.bind(PEER) == 0
    other.username, other.password = client.username, client.password
    assert await other.try_to_allocate() == 401


class Directory:
    """A plugin that knows one user, and remembers what it was asked.

    Args:
        answer: Makes the answer.
    """

    def __init__(self, answer: Callable[[], Any]) -> None:
        self._answer = answer
        self.asked: list[CredentialRequest] = []

    @hookimpl
    def turn_credential(self, request: CredentialRequest) -> Any:
        self.asked.append(request)
        return self._answer()


def credential() -> TurnCredential:
    return TurnCredential(password=CAROL[1], user="account-7")


async def credential_later() -> TurnCredential:
    await asyncio.sleep(0)
    return credential()


def nothing() -> None:
    return None


def failure() -> None:
    raise RuntimeError("the directory is closed")


async def failure_later() -> None:
    await asyncio.sleep(0)
    failure()


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("answer", [credential, credential_later])
async def test_plugin_knows_the_password(
    start_turn: StartTurn, answer: Callable[[], Any], transport: str
) -> None:
    directory, recorder = Directory(answer), Recorder()
    site = await start_turn(directory, recorder, allow_peers=LOOPBACK)
    client = await site.client(transport)
    client.username, client.password = CAROL
    await client.allocate()
    assert directory.asked == [CredentialRequest("carol", REALM, HOST, transport)]
    assert recorder.events[0][1].user == "account-7"
    assert await client.permit(PEER) == 0
    assert await client.refresh(600) == 0
    assert len(directory.asked) == 1, "an allocation keeps its key"


async def test_wrong_password_for_a_plugin(start_turn: StartTurn) -> None:
    site = await start_turn(Directory(credential))
    client = await site.udp(credential=("carol", "guessed"))
    assert await client.try_to_allocate() == 401


async def test_plugin_comes_before_the_server(start_turn: StartTurn) -> None:
    site = await start_turn(Directory(credential))
    assert await (await site.udp()).try_to_allocate() == 401


async def test_credential_of_a_plugin_expires(start_turn: StartTurn) -> None:
    time = Manual()
    until_then = time.seconds + 60
    directory = Directory(lambda: replace(credential(), expires_at=until_then))
    site = await start_turn(directory, clock=time.clock)
    client, late = await site.udp(credential=CAROL), await site.udp(credential=CAROL)
    await client.allocate()
    time.advance(61)
    assert await late.try_to_allocate() == 401
    assert await client.refresh(600) == 0


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (nothing, ""),
        (failure, "plugin directory: turn_credential raised RuntimeError"),
        (failure_later, "plugin directory: turn_credential raised RuntimeError"),
        (lambda: "secret", "plugin directory: turn_credential returned a str, but has to return"),
    ],
)
async def test_plugin_that_knows_nothing_is_skipped(
    start_turn: StartTurn, expect_log: ExpectLog, answer: Callable[[], Any], complaint: str
) -> None:
    if complaint:
        expect_log(complaint)
    site = await start_turn(Directory(answer))
    assert await (await site.udp()).try_to_allocate() == 0
    stranger = await site.udp(credential=CAROL)
    assert await stranger.try_to_allocate() == 401


async def test_nonsense_of_a_plugin_holds_nobody_up(
    start_turn: StartTurn, expect_log: ExpectLog
) -> None:
    """A client whose question fails is refused, and its next request is handled."""
    expect_log("a question about a TURN client could not be answered")
    answers = [TurnCredential(password=None, user="x"), None]  # type: ignore[arg-type]
    site = await start_turn(Directory(lambda: answers.pop(0)))
    client = await site.udp()
    assert await client.try_to_allocate() == 401
    assert await client.try_to_allocate() == 0


async def test_plugin_that_never_answers_holds_nobody_up(start_turn: StartTurn) -> None:
    """What it does for a question is cancelled once nobody waits for the answer."""
    thinking: list[asyncio.Future[None]] = []

    async def think() -> None:
        thinking.append(asyncio.get_running_loop().create_future())
        await thinking[-1]

    site = await start_turn(Directory(think))
    driver = site.driver
    driver.turn.settings = replace(driver.turn.settings, question_timeout_s=0.05)
    client = await site.udp()
    assert await client.try_to_allocate() == 500
    await until(lambda: all(future.cancelled() for future in thinking))
    assert not driver._tasks


# --- permits ------------------------------------------------------------------


class Doorkeeper:
    """A plugin that objects, and remembers to what.

    Args:
        to_allocation, to_relay: Make the verdicts.
    """

    def __init__(
        self,
        to_allocation: Callable[[], Any] = nothing,
        to_relay: Callable[[RelayRequest], Any] = lambda _: None,
    ) -> None:
        self.verdict = to_allocation
        self._to_relay = to_relay
        self.allocations: list[AllocationRequest] = []
        self.relays: list[RelayRequest] = []

    @hookimpl
    def permit_allocation(self, request: AllocationRequest) -> Any:
        self.allocations.append(request)
        return self.verdict()

    @hookimpl
    def permit_relay(self, request: RelayRequest) -> Any:
        self.relays.append(request)
        return self._to_relay(request)


async def denied_later() -> Denied:
    await asyncio.sleep(0)
    return Denied("not today")


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize(
    "verdict", [lambda: Denied("no"), lambda: False, denied_later, failure, failure_later]
)
async def test_denied_allocation(
    start_turn: StartTurn, expect_log: ExpectLog, transport: str, verdict: Callable[[], Any]
) -> None:
    """It counts for no quota: as soon as nobody objects, it can be had."""
    if verdict in (failure, failure_later):
        expect_log("plugin doorkeeper: permit_allocation raised RuntimeError")
    doorkeeper = Doorkeeper(verdict)
    site = await start_turn(doorkeeper, max_allocations_per_user=1)
    client = await site.client(transport)
    assert await client.try_to_allocate() == 403
    expected = AllocationRequest(client.username, "alice", HOST, transport)
    assert doorkeeper.allocations == [expected]
    doorkeeper.verdict = nothing
    assert await client.try_to_allocate() == 0


@pytest.mark.parametrize("is_async", [False, True])
async def test_denied_peer(start_turn: StartTurn, is_async: bool) -> None:
    """For permissions and for channels, after the policy and for every peer."""

    def to_relay(request: RelayRequest) -> Any:
        verdict = Denied("no") if request.peer.host == "127.0.0.2" else None
        return later(verdict) if is_async else verdict

    doorkeeper = Doorkeeper(to_relay=to_relay)
    site = await start_turn(doorkeeper, allow_peers=LOOPBACK)
    client = await site.udp()
    await client.allocate()
    bad, good = TransportAddress("127.0.0.2", 5), TransportAddress("127.0.0.3", 6)
    assert await client.permit(bad) == 403
    assert await client.permit(good, bad) == 403
    assert await client.bind(bad) == 403
    assert await client.bind(good) == 0
    assert await client.permit(TransportAddress("10.0.0.1", 7)) == 403
    peers = [request.peer for request in doorkeeper.relays]
    assert peers == [SocketAddress(*peer) for peer in (bad, good, bad, bad, good)]
    assert {request.allocation.user for request in doorkeeper.relays} == {"alice"}


async def test_many_peers_in_one_request(start_turn: StartTurn) -> None:
    site = await start_turn(allow_peers=LOOPBACK)
    client = await site.udp()
    await client.allocate()
    peers = [TransportAddress(f"127.0.1.{number}", 9) for number in range(256)]
    assert await client.permit(*peers) == 0
    assert await client.permit(TransportAddress("127.0.2.1", 9)) == 508


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_peer_that_is_not_there(start_turn: StartTurn, transport: str) -> None:
    """Over loopback the kernel says "port unreachable" at once."""
    site = await start_turn(allow_peers=LOOPBACK)
    client = await site.client(transport)
    await client.allocate()
    closed = site.peer()
    closed.sock.close()
    assert await client.bind(closed.address) == 0
    client.send_channel(b"is anybody there?")
    while not client.unreachable:
        assert await client.refresh(600) == 0
    assert client.unreachable == [(closed.address, Icmp(3, 3))]


async def later(verdict: Any) -> Any:
    await asyncio.sleep(0)
    return verdict


async def test_requests_stay_in_order_while_a_plugin_thinks(start_turn: StartTurn) -> None:
    """What was sent behind a request that waits is handled after it."""
    thinking, decided = asyncio.Event(), asyncio.Event()

    async def think() -> None:
        thinking.set()
        await decided.wait()

    site = await start_turn(Doorkeeper(think), allow_peers=LOOPBACK)
    client = await site.tcp()
    asked = asyncio.ensure_future(client.try_to_allocate())
    await thinking.wait()
    client.wire.send(client.encode(Method.REFRESH, [(LIFETIME, 0)]))
    decided.set()
    assert await asked == 0
    gauges = site.plugin.gauges
    await until(lambda: gauges()["relay-ports-ipv4-used"] == 0)


async def test_client_that_leaves_while_a_plugin_thinks(start_turn: StartTurn) -> None:
    thinking, decided = asyncio.Event(), asyncio.Event()

    async def think() -> None:
        thinking.set()
        await decided.wait()

    recorder = Recorder()
    site = await start_turn(Doorkeeper(think), recorder, max_allocations=1)
    wire = await site.connect()
    client = TurnClient(wire, *site.credential("alice"))
    asked = asyncio.ensure_future(client.try_to_allocate())
    await thinking.wait()
    wire.reset()
    with pytest.raises(ConnectionError):
        await asked
    await until(lambda: not site.driver._streams)
    decided.set()
    assert await (await site.udp()).try_to_allocate() == 0
    assert recorder.names == ["created"]


async def test_stop_while_a_plugin_thinks(start_turn: StartTurn) -> None:
    thinking = asyncio.Event()

    async def think() -> None:
        thinking.set()
        await asyncio.Event().wait()

    site = await start_turn(Doorkeeper(think))
    client = await site.udp()
    asked = asyncio.ensure_future(client.try_to_allocate())
    await thinking.wait()
    driver = site.driver
    await site.server.stop()
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    assert not driver._tasks


# --- limits -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "shared"), [("allocation_bytes_per_s", False), ("server_bytes_per_s", True)]
)
async def test_bytes_per_second(start_turn: StartTurn, setting: str, shared: bool) -> None:
    """A second's worth at once, in each direction; nothing more while time stands still."""
    time = Manual()
    limits: dict[str, Any] = {setting: 1000}
    site = await start_turn(clock=time.clock, allow_peers=LOOPBACK, **limits)
    peer = site.peer()
    clients = [await site.udp(name) for name in ("alice", "bob")]
    for client in clients:
        await client.allocate()
        assert await client.bind(peer.address) == 0
    for client in clients:
        client.send_channel(b"x" * 1000)
        client.send_channel(b"y" * 1000)
    dropped = 3 if shared else 2
    await until(lambda: site.plugin.counters()["relay-dropped-quota"] == dropped)
    assert site.plugin.counters()["relay-bytes-to-peer"] == 4000 - 1000 * dropped
    peer.send(b"z" * 1000, clients[0].relayed)
    assert await clients[0].data() == (CHANNEL, b"z" * 1000)
    time.advance(1)
    clients[0].send_channel(b"again")
    await until(lambda: site.plugin.counters()["relay-packets-to-peer"] == 5 - dropped)


async def test_no_free_port(start_turn: StartTurn) -> None:
    port = quiet_port()
    site = await start_turn(relay_ports=PortRange(port, port))
    first, second = await site.udp(), await site.udp("bob")
    assert await first.try_to_allocate() == 0
    assert await second.try_to_allocate() == 508


def test_keys_are_those_of_the_realm() -> None:
    """The client of these tests is no judge in its own cause (RFC 8489 section 18.5.1)."""
    assert long_term_key("user", "realm", "pass").hex() == "8493fbc53ba582fb4c044c456bdc40eb"
