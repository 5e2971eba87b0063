"""TURN over TCP: frames out of a stream, slow readers, silence, garbage, and clean ends."""

import asyncio
import os
import socket

import pytest

from tests.plugins.turn.client import CHANNEL, DEADLINE_S, TcpWire, TurnClient
from tests.plugins.turn.site import LOOPBACK, Recorder, StartTurn, TurnSite
from tests.wire import until
from tornado_webrtc.plugins.turn import stream
from tornado_webrtc.plugins.turn.stream import MAX_WAITING_BYTES, TurnStreams, claims_turn
from tornado_webrtc.stun.attribute import XOR_MAPPED_ADDRESS
from tornado_webrtc.stun.channeldata import HEADER_BYTES
from tornado_webrtc.stun.message import MessageClass, Method, encode

BINDING = encode(Method.BINDING, MessageClass.REQUEST, bytes(12))
KERNEL_BYTES = 16 << 20
"""More than the kernel keeps for both ends of a connection, whatever it is tuned to."""

DATA_BYTES = 8000


@pytest.mark.parametrize(
    ("first", "claimed"),
    [
        (b"\0", True),
        (b"\3\xff", True),
        (b"\4", False),
        (b"\x16", False),
        (b"\x40", False),
        (b"GET /", False),
        (b"\xff", False),
    ],
)
def test_what_begins_like_stun_is_claimed(first: bytes, claimed: bool) -> None:
    assert claims_turn(first) is claimed


# --- frames -------------------------------------------------------------------


async def test_message_in_pieces(start_turn: StartTurn) -> None:
    wire = await (await start_turn()).connect()
    for byte in BINDING:
        wire.send(bytes([byte]))
        await wire.writer.drain()
        await asyncio.sleep(0)
    assert (await wire.receive())[8:20] == bytes(12)


async def test_several_messages_at_once(start_turn: StartTurn) -> None:
    wire = await (await start_turn()).connect()
    requests = [encode(Method.BINDING, MessageClass.REQUEST, bytes([n] * 12)) for n in range(50)]
    wire.send(b"".join(requests))
    assert [(await wire.receive())[8] for _ in requests] == list(range(50))


async def test_client_is_told_its_address_here(start_turn: StartTurn) -> None:
    client = await (await start_turn()).tcp()
    response = await client.request(Method.BINDING)
    assert response.get(XOR_MAPPED_ADDRESS) == client.wire.address


async def test_channel_data_without_a_channel_is_dropped(start_turn: StartTurn) -> None:
    site = await start_turn()
    client = await site.tcp()
    await client.allocate()
    client.send_channel(b"lost", CHANNEL + 7)
    assert await client.refresh(600) == 0
    assert site.plugin.counters()["dropped-unbound-channel"] == 1


async def ended(wire: TcpWire) -> bytes:
    """All that still comes until the server closes."""
    async with asyncio.timeout(DEADLINE_S):
        try:
            return await wire.reader.read(-1)
        except ConnectionResetError:
            return b""


@pytest.mark.parametrize(
    "garbage",
    [
        b"\xff" * 100,
        b"\0\1\0\0\x21\x12\xa4\x43" + bytes(12),  # another cookie
        b"\0\1\0\3\x21\x12\xa4\x42" + bytes(15),  # no multiple of four
        b"\x7f\xff\0\0",  # no channel has that number
    ],
)
async def test_garbage_ends_the_stream(start_turn: StartTurn, garbage: bytes) -> None:
    """What follows could not be told apart any more; the allocation goes with it."""
    recorder = Recorder()
    site = await start_turn(recorder)
    wire = await site.connect()
    await TurnClient(wire, *site.credential("alice")).allocate()
    wire.send(garbage)
    assert await ended(wire) == b""
    await until(lambda: recorder.names == ["created", "deleted"])
    assert recorder.events[-1][3] == "disconnected"


@pytest.mark.parametrize("garbage", [b"\xff" * 100, b"GET / HTTP/1.1\r\n\r\n", b"\x40\0\0\0"])
async def test_garbage_from_the_start_is_nobodys(start_turn: StartTurn, garbage: bytes) -> None:
    site = await start_turn()
    wire = await site.connect()
    wire.send(garbage)
    assert await ended(wire) == b""
    assert site.server.listener.counters.unclaimed == 1


async def test_message_that_is_wrong_inside_is_dropped(start_turn: StartTurn) -> None:
    """Its frame was right, so the stream goes on."""
    site = await start_turn()
    wire = await site.connect()
    wire.send(b"\0\3\0\4\x21\x12\xa4\x42" + bytes(12) + b"\0\6\0\xff")
    wire.send(BINDING)
    assert (await wire.receive())[:2] == b"\1\1"
    assert site.plugin.counters()["dropped-malformed"] == 1


# --- readers that are slow ----------------------------------------------------


async def slow_client(site: TurnSite) -> TurnClient:
    """A client whose kernel keeps little for it; it reads when the test does."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, await site.address("tcp"))
    wire = TcpWire(*await asyncio.open_connection(sock=sock, limit=1024))
    site._stack.callback(wire.close)
    return TurnClient(wire, *site.credential("alice"))


async def test_slow_reader_loses_data_and_takes_no_memory(start_turn: StartTurn) -> None:
    """What there is no room for is dropped and counted; what is there comes whole."""
    site = await start_turn(allow_peers=LOOPBACK)
    client, peer = await slow_client(site), site.peer()
    relayed = await client.allocate()
    assert await client.bind(peer.address) == 0
    counters = site.plugin.counters
    (write,) = site.driver._streams.values()
    sink = write.__self__  # type: ignore[attr-defined]
    sent = 0
    while counters()["relay-dropped-sink"] < 100:
        peer.send(bytes(DATA_BYTES), relayed)
        sent += 1
        await asyncio.sleep(0)
        assert sink._waiting <= MAX_WAITING_BYTES
        assert sent * DATA_BYTES < KERNEL_BYTES, "all of it was taken"
    came = counters()["relay-packets-from-peer"]
    for _ in range(came):
        assert await client.data() == (CHANNEL, bytes(DATA_BYTES))
    await until(lambda: sink._waiting == 0)
    peer.send(b"again", relayed)
    assert await client.data() == (CHANNEL, b"again")
    assert counters()["relay-dropped-sink"] >= 100


def test_room_for_the_largest_datagram() -> None:
    assert MAX_WAITING_BYTES > 65535 + HEADER_BYTES


async def test_answers_go_nowhere_once_the_stream_is_closed(start_turn: StartTurn) -> None:
    site = await start_turn(allow_peers=LOOPBACK)
    client, peer = await site.tcp(), site.peer()
    relayed = await client.allocate()
    assert await client.permit(peer.address) == 0
    (write,) = site.driver._streams.values()
    client.wire.close()
    await until(lambda: not site.driver._streams)
    assert not write(b"too late")
    peer.send(b"too late", relayed)


# --- silence ------------------------------------------------------------------


async def test_silence_without_an_allocation_ends_the_stream(
    start_turn: StartTurn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that has an allocation may be as silent as the call is."""
    monkeypatch.setattr(stream, "IDLE_S", 0.05)
    site = await start_turn(allow_peers=LOOPBACK)
    wire = await site.connect()
    talker = TurnClient(wire, *site.credential("bob"))
    await talker.allocate()
    for _ in range(3):
        idle = await site.connect()
        idle.send(BINDING)
        assert (await ended(idle))[:2] == b"\1\1", "the answer, then the end"
    assert await talker.refresh(600) == 0
    assert await talker.refresh(0) == 0
    assert await ended(wire) == b""


# --- ends ---------------------------------------------------------------------


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
    open_or_served = streams._open or streams._tasks or site.driver._streams
    return not (open_or_served or turn.allocations or turn.deadlines or turn._waiting)
