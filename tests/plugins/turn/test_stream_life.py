"""How streams of TURN clients end, and that nothing is left of them."""

import asyncio
import os

from tornado.ioloop import IOLoop

from tests.plugins.turn.client import BINDING, UDP_TRANSPORT, TcpWire, TurnClient, ended
from tests.plugins.turn.site import LOOPBACK, Manual, Recorder, StartTurn, TurnSite
from tests.wire import until
from tornado_webrtc.plugins.turn.stream import (
    TurnStreams,
)
from tornado_webrtc.stun.message import Method


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208


async def test_client_that_leaves(start_turn: StartTurn) -> None:
    recorder = Recorder()
    site = await start_turn(recorder)
    client = await site.tcp()
    await client.allocate()
    client.wire.close()
    await until(lambda: recorder.names == ["created", "deleted"])
    assert recorder.events[-1][3] == "disconnected"


async def test_connection_from_the_same_port(start_turn: StartTurn) -> None:
    """A reset may come when the next connection with the same ends is there already."""
    recorder = Recorder()
    site = await start_turn(recorder)
    wire = await site.connect()
    await TurnClient(wire, *site.credential("alice")).allocate()
    ((five_tuple, old),) = site.driver._streams.items()
    IOLoop.current().remove_handler(old._stream.fileno())  # it is not noticed
    wire.reset()
    await asyncio.sleep(0)  # it is closed
    wire = await site.connect(port=wire.address.port)
    client = TurnClient(wire, *site.credential("alice"))
    await client.allocate()
    new = site.driver._streams[five_tuple]
    assert new is not old
    assert old._stream.closed()
    assert recorder.names == ["created", "deleted", "created"]
    assert recorder.events[1][3] == "disconnected"
    for _ in range(2):
        old.close()
        site.driver.disconnected(five_tuple, old)
    assert await client.refresh(600) == 0
    assert site.driver._streams == {five_tuple: new}


async def test_stream_that_is_gone_gets_no_allocation(start_turn: StartTurn) -> None:
    site = await start_turn()
    client = await site.tcp()
    await client.allocate()
    (five_tuple,) = site.driver._streams
    client.wire.close()
    await until(lambda: not site.driver._streams)
    site.driver.receive(five_tuple, client.encode(Method.ALLOCATE, [UDP_TRANSPORT]))
    assert not site.driver.turn.allocations


async def test_allocation_that_has_expired_is_not_left_to_the_next_stream(
    start_turn: StartTurn,
) -> None:
    """Its timer may come late."""
    time = Manual()
    site = await start_turn(clock=time.clock)
    wire = await site.connect()
    await TurnClient(wire, *site.credential("alice")).allocate()
    time.advance(3600)
    wire.close()
    await until(lambda: not site.driver._streams)
    assert not site.driver.turn.allocations


async def test_server_that_stops_closes_its_streams(start_turn: StartTurn) -> None:
    site = await start_turn()
    wire = await site.connect()
    await TurnClient(wire, *site.credential("alice")).allocate()
    await site.server.stop()
    assert await ended(wire) == b""


async def begin_nothing(_site: TurnSite, _wire: TcpWire) -> None:
    """Say nothing at all."""


async def begin_message(_site: TurnSite, wire: TcpWire) -> None:
    """Stop in the middle of a message."""
    wire.send(BINDING[:7])


async def begin_request(site: TurnSite, wire: TcpWire) -> None:
    """Do not wait for the answer."""
    client = TurnClient(wire, *site.credential("alice"))
    wire.send(client.encode(Method.ALLOCATE, []))


async def begin_allocation(site: TurnSite, wire: TcpWire) -> None:
    """Have everything that a client can have."""
    client = TurnClient(wire, *site.credential("alice"))
    await client.allocate()
    assert await client.bind((await site.address("udp"))._replace(port=9)) == 0


async def test_two_hundred_connections_leave_nothing(start_turn: StartTurn) -> None:
    """Closed or reset, at whatever point."""
    site = await start_turn(allow_peers=LOOPBACK)
    await begin_and_end(site, 0)
    streams = site.plugin._streams
    assert isinstance(streams, TurnStreams)
    await until(lambda: is_empty(site, streams))
    before = open_files()
    for number in range(200):
        await begin_and_end(site, number)
    await until(lambda: is_empty(site, streams) and open_files() <= before)
    assert (await (await site.tcp()).try_to_allocate()) == 0


async def begin_and_end(site: TurnSite, number: int) -> None:
    beginnings = (begin_nothing, begin_message, begin_request, begin_allocation)
    wire = await site.connect()
    await beginnings[number % 4](site, wire)
    if number % 8 < 4:
        wire.reset()
    else:
        wire.close()


def is_empty(site: TurnSite, streams: TurnStreams) -> bool:
    """Whether nothing is known of any client."""
    turn = site.driver.turn
    return not (
        streams.clients
        or site.driver._streams
        or turn.allocations
        or turn.deadlines
        or turn._waiting
    )
