"""The life of allocations, and what plugins are told of it until the server has stopped."""

import asyncio

import pytest

from tests.plugins.turn.client import CHANNEL, UDP_TRANSPORT
from tests.plugins.turn.site import (
    HOST,
    LOOPBACK,
    REALM,
    Manual,
    Recorder,
    StartTurn,
    TurnSite,
)
from tests.wire import until
from tornado_webrtc import hookimpl
from tornado_webrtc.hooks import SocketAddress, TurnAllocation, TurnTraffic
from tornado_webrtc.stun.address import FiveTuple, TransportAddress
from tornado_webrtc.stun.attribute import EVEN_PORT, LIFETIME
from tornado_webrtc.stun.message import Method
from tornado_webrtc.turn.settings import TurnSettings

TRANSPORTS = ("udp", "tcp")


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_life_of_an_allocation(start_turn: StartTurn, transport: str) -> None:
    recorder = Recorder()
    site = await start_turn(recorder, allow_peers=LOOPBACK)
    client, peer = await site.client(transport), site.peer()
    relayed = await client.allocate()
    assert await client.permit(peer.address) == 0
    assert await client.bind(peer.address) == 0
    client.send_channel(b"12345")
    await peer.receive()
    client.indicate(peer.address, b"123")
    await peer.receive()
    peer.send(b"1234567", relayed)
    await client.data()
    client.indicate(peer.address, b"")
    await peer.receive()
    assert await client.refresh(600) == 0
    assert await client.refresh(0) == 0
    allocation = TurnAllocation(
        id=recorder.events[0][1].id,
        username=client.username,
        user="alice",
        client=SocketAddress(*client.wire.address),
        transport=transport,
        relayed=SocketAddress(*relayed),
    )
    traffic = TurnTraffic(
        packets_to_peer=3, bytes_to_peer=8, packets_from_peer=1, bytes_from_peer=7, dropped=0
    )
    assert recorder.events == [
        ("created", allocation),
        ("permitted", allocation, HOST),
        ("permitted", allocation, HOST),
        ("bound", allocation, CHANNEL, SocketAddress(*peer.address)),
        ("refreshed", allocation),
        ("deleted", allocation, traffic, "refreshed to 0"),
    ]


async def test_dropped_datagrams_are_told(start_turn: StartTurn) -> None:
    recorder = Recorder()
    site = await start_turn(recorder, allow_peers=LOOPBACK)
    client, stranger = await site.udp(), site.peer("127.0.0.2")
    relayed = await client.allocate()
    stranger.send(b"hello", relayed)
    stranger.send(b"anybody there?", relayed)
    await until(lambda: site.plugin.counters()["relay-dropped-permission"] == 2)
    assert await client.refresh(0) == 0
    assert recorder.events[-1][2] == TurnTraffic(0, 0, 0, 0, 2)


async def test_ids_are_never_reused(start_turn: StartTurn) -> None:
    recorder = Recorder()
    site = await start_turn(recorder)
    client = await site.udp()
    for _ in range(3):
        await client.allocate()
        assert await client.refresh(0) == 0
    assert recorder.names == ["created", "deleted"] * 3
    assert len({event[1].id for event in recorder.events}) == 3


def shorten_life(site: TurnSite) -> None:
    site.driver.turn.settings = TurnSettings(realm=REALM, default_lifetime_s=1, max_lifetime_s=1)


async def test_expiry_needs_no_traffic(start_turn: StartTurn) -> None:
    """The timer is set anew for what ends before everything that it was set for."""
    recorder = Recorder()
    site = await start_turn(recorder)
    lasting, client = await site.udp(), await site.udp("bob")
    await lasting.allocate((LIFETIME, 3600))
    shorten_life(site)
    await client.allocate()
    await until(lambda: recorder.names == ["created", "created", "deleted"])
    assert recorder.events[-1][1].user == "bob"
    assert recorder.events[-1][3] == "expired"
    assert site.plugin.gauges()["relay-ports-ipv4-used"] == 1


async def test_expiry_is_seen_before_the_timer(start_turn: StartTurn) -> None:
    time, recorder = Manual(), Recorder()
    site = await start_turn(recorder, clock=time.clock)
    client = await site.udp()
    await client.allocate()
    time.advance(600)
    client.username, client.password = site.credential("alice")
    await client.allocate()
    assert recorder.names == ["created", "deleted", "created"]


async def test_unused_reserved_port_is_closed(start_turn: StartTurn) -> None:
    time = Manual()
    site = await start_turn(clock=time.clock)
    client = await site.udp()
    await client.allocate((EVEN_PORT, True))
    (reservation,) = site.driver.turn.reservations.values()
    time.advance(31)
    assert await client.refresh(600) == 0
    assert site.driver.turn.reservations == {}
    assert reservation.relay.sock.fileno() == -1  # type: ignore[attr-defined]


class Sleepy:
    """A plugin that writes down what ended, but not at once."""

    def __init__(self) -> None:
        self.ended: list[tuple[str, str]] = []

    @hookimpl
    async def allocation_deleted(self, allocation: TurnAllocation, reason: str) -> None:
        await asyncio.sleep(0.01)
        self.ended.append((allocation.user, reason))


async def test_stop_ends_every_allocation_and_tells(start_turn: StartTurn) -> None:
    """Plugins of operators are registered, and so stopped, after this one started."""
    recorder, sleepy = Recorder(), Sleepy()
    site = await start_turn(recorder, sleepy)
    for name, transport in (("alice", "udp"), ("bob", "tcp"), ("carol", "udp")):
        await (await site.client(transport, name)).allocate()
    gauges = site.plugin.gauges
    await site.server.stop()
    assert recorder.names == ["created"] * 3 + ["deleted"] * 3
    assert {event[3] for event in recorder.events[3:]} == {"server stopped"}
    users = ("alice", "bob", "carol")
    assert sorted(sleepy.ended) == [(user, "server stopped") for user in users]
    assert gauges()["relay-ports-ipv4-used"] == 0


class Strict:
    """A plugin that ends allocations on the spot, whatever it is being told."""

    def __init__(self, hook: str) -> None:
        self.site: TurnSite | None = None
        self._hook = hook

    @hookimpl
    def permission_created(self) -> None:
        self._end("permission_created")

    @hookimpl
    def channel_bound(self) -> None:
        self._end("channel_bound")

    @hookimpl
    def allocation_deleted(self) -> None:
        self._end("allocation_deleted")

    def _end(self, hook: str) -> None:
        if hook != self._hook or self.site is None:
            return
        allocations = self.site.server.collections["allocations"]
        assert allocations.end is not None
        for entry in allocations.entries():
            allocations.end(str(entry["id"]), "not that one")


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("hook", ["permission_created", "channel_bound"])
async def test_plugin_ends_an_allocation_while_it_is_told_of_it(
    start_turn: StartTurn, hook: str, transport: str
) -> None:
    recorder, strict = Recorder(), Strict(hook)
    strict.site = site = await start_turn(recorder, strict, allow_peers=LOOPBACK)
    client = await site.client(transport)
    await client.allocate()
    if hook == "permission_created":
        peers = [TransportAddress(f"127.0.0.{n}", 9) for n in (2, 3)]
        assert await client.permit(*peers) == 0
    else:
        assert await client.bind(TransportAddress("127.0.0.2", 9)) == 0
    assert recorder.events[-1][3] == "not that one"
    assert recorder.names.count("deleted") == 1
    assert await client.refresh(600) == 437
    assert await client.try_to_allocate() == 0


async def test_plugin_ends_all_when_one_ends(start_turn: StartTurn) -> None:
    recorder, strict = Recorder(), Strict("allocation_deleted")
    strict.site = site = await start_turn(recorder, strict)
    for name in ("alice", "bob", "carol"):
        await (await site.client("udp", name)).allocate()
    site.driver.stop()
    assert sorted(event[1].user for event in recorder.events[3:]) == ["alice", "bob", "carol"]
    assert len(site.driver.turn.quotas) == 0
    assert site.plugin.gauges()["relay-ports-ipv4-used"] == 0


async def test_stopped_driver_takes_nothing_in(start_turn: StartTurn) -> None:
    """Streams may still have something to say while the server stops."""
    site = await start_turn()
    client = await site.tcp()
    await client.allocate()
    driver = site.driver
    five_tuple = FiveTuple("tcp", client.wire.address, await site.address("tcp"))
    stream = driver._streams[five_tuple]
    driver.stop()
    driver.receive(five_tuple, client.encode(Method.ALLOCATE, [UDP_TRANSPORT]))
    driver.disconnected(five_tuple, stream)
    assert not driver.turn.allocations
    assert driver.counters()["error-401"] == 1, "that of the first challenge"
