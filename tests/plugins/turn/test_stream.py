"""TURN over TCP: frames out of a stream, slow readers, silence, garbage."""

import asyncio
import os
import socket
import ssl
from pathlib import Path

import pytest
from tornado.ioloop import IOLoop
from tornado.iostream import IOStream

from tests.listener.wire import make_store
from tests.plugins.turn.client import BINDING, CHANNEL, DEADLINE_S, TcpWire, TurnClient, ended
from tests.plugins.turn.site import HOST, LOOPBACK, Manual, Recorder, StartTurn, TurnSite
from tests.relay.lab import Endpoint
from tests.wire import until
from tornado_webrtc.plugins.turn import stream
from tornado_webrtc.plugins.turn.stream import (
    ANSWER_BYTES,
    FRAMES_AT_ONCE,
    IDLE_S,
    MAX_WAITING_BYTES,
    READ_BYTES,
    Client,
    TurnStreams,
    claims_turn,
)
from tornado_webrtc.stun import channeldata
from tornado_webrtc.stun.address import FiveTuple, TransportAddress
from tornado_webrtc.stun.attribute import XOR_MAPPED_ADDRESS
from tornado_webrtc.stun.channeldata import HEADER_BYTES
from tornado_webrtc.stun.message import MessageClass, Method, encode

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


async def test_more_at_once_than_one_read_takes(start_turn: StartTurn) -> None:
    """The listener has put all of it back: no event tells of what is left."""
    wire = await (await start_turn()).connect()
    count = 3 * READ_BYTES // len(BINDING)
    wire.send(BINDING * count)
    for _ in range(count):
        assert (await wire.receive())[:2] == b"\1\1"


async def test_answers_of_one_read_leave_in_one_write(
    start_turn: StartTurn, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = await start_turn()
    wire = await site.connect()
    await TurnClient(wire, *site.credential("alice")).allocate()
    writes = []

    def write_to_fd(stream: IOStream, data: memoryview) -> int:
        writes.append(len(data))
        return stream.socket.send(data)

    monkeypatch.setattr(IOStream, "write_to_fd", write_to_fd)
    wire.send(BINDING * 50)
    answers = [await wire.receive() for _ in range(50)]
    assert writes == [sum(map(len, answers))]


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
    assert site.plugin.counters()["relay-dropped-channel"] == 1


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


async def fill(site: TurnSite, peer: Endpoint, relayed: TransportAddress) -> bytearray:
    """Send a client that does not read more than there is room for; returns what waits."""
    (stream,) = site.driver._streams.values()
    waiting, sent = stream._waiting, 0
    while site.plugin.counters()["relay-dropped-sink"] < 100:
        peer.send(bytes(DATA_BYTES), relayed)
        sent += 1
        await asyncio.sleep(0)
        assert len(waiting) <= MAX_WAITING_BYTES
        assert sent * DATA_BYTES < KERNEL_BYTES, "all of it was taken"
    return waiting


async def test_slow_reader_loses_data_and_takes_no_memory(start_turn: StartTurn) -> None:
    """What there is no room for is dropped and counted; what is there comes whole."""
    site = await start_turn(allow_peers=LOOPBACK)
    client, peer = await slow_client(site), site.peer()
    relayed = await client.allocate()
    assert await client.bind(peer.address) == 0
    counters = site.plugin.counters
    waiting = await fill(site, peer, relayed)
    came = counters()["relay-packets-from-peer"]
    for _ in range(came):
        assert await client.data() == (CHANNEL, bytes(DATA_BYTES))
    await until(lambda: not waiting)
    peer.send(b"again", relayed)
    assert await client.data() == (CHANNEL, b"again")
    assert counters()["relay-dropped-sink"] >= 100


async def test_slow_reader_loses_no_answer(start_turn: StartTurn) -> None:
    """Over TCP nobody asks again: without the answer to its Refresh it would give up."""
    site = await start_turn(allow_peers=LOOPBACK)
    client, peer = await slow_client(site), site.peer()
    relayed = await client.allocate()
    assert await client.bind(peer.address) == 0
    waiting = await fill(site, peer, relayed)
    while len(waiting) < MAX_WAITING_BYTES - HEADER_BYTES:
        peer.send(b"", relayed)
        await asyncio.sleep(0)
    assert await client.refresh(600) == 0
    assert await client.data() == (CHANNEL, bytes(DATA_BYTES))


async def test_slow_reader_that_asks_on_and_on_is_closed(start_turn: StartTurn) -> None:
    recorder = Recorder()
    site = await start_turn(recorder, allow_peers=LOOPBACK)
    client, peer = await slow_client(site), site.peer()
    relayed = await client.allocate()
    assert await client.bind(peer.address) == 0
    waiting = await fill(site, peer, relayed)
    async with asyncio.timeout(DEADLINE_S):
        while site.driver._streams:
            client.wire.send(BINDING * 10)
            await asyncio.sleep(0)
            assert len(waiting) <= MAX_WAITING_BYTES + ANSWER_BYTES
    await until(lambda: "deleted" in recorder.names)
    assert recorder.events[-1][3] == "disconnected"


async def test_errors_of_peers_may_be_lost(start_turn: StartTurn) -> None:
    """An indication is no answer: what the client does not read of them closes nothing."""
    site = await start_turn(allow_peers=LOOPBACK)
    client, peer = await slow_client(site), site.peer()
    relayed = await client.allocate()
    assert await client.bind(peer.address) == 0
    waiting = await fill(site, peer, relayed)
    while len(waiting) < MAX_WAITING_BYTES - HEADER_BYTES:
        peer.send(b"", relayed)
        await asyncio.sleep(0)
    gone = site.peer()
    gone.sock.close()
    for _ in range(20):
        client.indicate(gone.address, b"anybody?")
        await asyncio.sleep(0)
        assert len(waiting) <= MAX_WAITING_BYTES
    assert await client.permit(gone.address) == 0


def test_room_for_the_largest_datagram() -> None:
    assert MAX_WAITING_BYTES > 65535 + HEADER_BYTES


async def test_answers_go_nowhere_once_the_stream_is_closed(start_turn: StartTurn) -> None:
    site = await start_turn(allow_peers=LOOPBACK)
    client, peer = await site.tcp(), site.peer()
    relayed = await client.allocate()
    assert await client.permit(peer.address) == 0
    (stream,) = site.driver._streams.values()
    client.wire.close()
    await until(lambda: not site.driver._streams)
    assert not stream.write(b"too late")
    stream.answer(b"too late")
    peer.send(b"too late", relayed)


# --- silence ------------------------------------------------------------------


async def test_silence_without_an_allocation_ends_the_stream(
    start_turn: StartTurn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that has an allocation may be as silent as the call is."""
    monkeypatch.setattr(stream, "IDLE_S", 0.5)
    site = await start_turn(allow_peers=LOOPBACK)
    wire = await site.connect()
    talker = TurnClient(wire, *site.credential("bob"))
    await talker.allocate()
    idle = await site.connect()
    idle.send(BINDING)
    assert (await ended(idle))[:2] == b"\1\1", "the answer, then the end"
    assert await talker.refresh(600) == 0
    assert await talker.refresh(0) == 0
    assert await ended(wire) == b""


class Quiet:
    """A client whose server's time passes when the test says so."""

    def __init__(self, time: Manual, site: TurnSite, wire: TcpWire) -> None:
        self.time, self.wire = time, wire
        streams = site.plugin._streams
        assert streams is not None
        (self.client,) = streams.clients

    def is_kept_after(self, seconds: float) -> bool:
        """Let time pass, and the server look."""
        self.time.advance(seconds)
        self.client.end_if_idle()
        return not self.client._stream.closed()


async def quiet(start_turn: StartTurn) -> tuple[Quiet, TurnClient]:
    """A client that has said something just now."""
    time = Manual()
    site = await start_turn(clock=time.clock)
    wire = await site.connect()
    client = TurnClient(wire, *site.credential("alice"))
    await client.request(Method.BINDING)
    return Quiet(time, site, wire), client


async def test_keep_alive_keeps_the_stream(start_turn: StartTurn) -> None:
    server, client = await quiet(start_turn)
    for _ in range(3):
        assert server.is_kept_after(IDLE_S - 1)
        await client.request(Method.BINDING)
    assert not server.is_kept_after(IDLE_S)
    assert await ended(server.wire) == b""


async def test_byte_now_and_then_does_not(start_turn: StartTurn) -> None:
    """A message that never ends is no sign of life."""
    server, _ = await quiet(start_turn)
    for byte, seconds in zip(BINDING, (20, 20, 19), strict=False):
        server.wire.send(bytes([byte]))
        await until(lambda: server.client._framer._buffer.endswith(bytes([byte])))  # noqa: B023
        assert server.is_kept_after(seconds)
    assert not server.is_kept_after(1)
    assert await ended(server.wire) == b""


async def test_allocation_keeps_a_silent_stream(start_turn: StartTurn) -> None:
    server, client = await quiet(start_turn)
    await client.allocate()
    assert server.is_kept_after(10 * IDLE_S - 1)
    assert not server.is_kept_after(1), "the allocation has expired"
    assert await ended(server.wire) == b""


# --- TLS ----------------------------------------------------------------------


async def test_tls_makes_no_difference(start_turn: StartTurn, tmp_path: Path) -> None:
    """The most that a record holds, both ways, and more than the kernel takes at once."""
    site = await start_turn(allow_peers=LOOPBACK)
    streams = site.plugin._streams
    assert streams is not None
    store = make_store(tmp_path)
    (bound,) = site.server.listener.listen([HOST], 0, [streams.protocol()], store)
    trust = ssl.create_default_context(cafile=str(store.cert))
    wire = TcpWire(*await asyncio.open_connection(HOST, bound.port, ssl=trust, limit=1024))
    client, peer = TurnClient(wire, *site.credential("alice")), site.peer()
    relayed = await client.allocate()
    assert next(iter(streams.clients))._five_tuple.transport == "tls"
    assert await client.bind(peer.address) == 0
    for size in (1, READ_BYTES - HEADER_BYTES, 3 * READ_BYTES):
        client.send_channel(bytes(size))
        assert await peer.data() == bytes(size)
    while not next(iter(streams.clients))._blocked:
        peer.send(os.urandom(DATA_BYTES), relayed)
        await asyncio.sleep(0)
    came = site.plugin.counters()["relay-packets-from-peer"]
    assert [len((await client.data())[1]) for _ in range(came)] == [DATA_BYTES] * came
    wire.close()
    await until(lambda: not streams.clients)


# --- many frames --------------------------------------------------------------


async def test_others_get_their_turn(start_turn: StartTurn) -> None:
    """However short the frames are: no turn of the loop handles all of a read."""
    site = await start_turn(allow_peers=LOOPBACK)
    client, peer = await site.tcp(), site.peer()
    await client.allocate()
    assert await client.bind(peer.address) == 0
    (stream,) = site.driver._streams.values()
    loop, receive = asyncio.get_running_loop(), stream._receive
    handled, turns, reads = [0], [0], list[int]()

    def turn() -> None:
        turns[0] += 1
        handled.append(0)
        if site.driver._streams:
            loop.call_soon(turn)

    def count(five_tuple: FiveTuple, frames: list[bytes]) -> None:
        handled[-1] += len(frames)
        reads.append(len(frames))
        receive(five_tuple, frames)

    stream._receive = count  # type: ignore[assignment]
    turn()
    client.wire.send(channeldata.encode(CHANNEL, b"", pad=True) * 5000)
    assert await client.refresh(600) == 0, "in order, behind all of them"
    assert sum(handled) == 5001
    assert max(reads) == FRAMES_AT_ONCE
    assert max(handled) <= 2 * FRAMES_AT_ONCE, "the end of one read, and the next one"
    client.wire.close()
    await until(lambda: not site.driver._streams)


async def test_nothing_is_left_to_do_when_the_stream_is_closed(start_turn: StartTurn) -> None:
    streams, client, wire = await one_client(start_turn)
    client._handle([BINDING] * 3)
    assert len(client._frames) == 2
    streams.close()
    assert client._frames == []
    assert await ended(wire) == b""


# --- what the event loop may do -----------------------------------------------


async def one_client(start_turn: StartTurn) -> tuple[TurnStreams, Client, TcpWire]:
    site = await start_turn()
    wire = await site.connect()
    wire.send(BINDING)
    await wire.receive()
    streams = site.plugin._streams
    assert streams is not None
    (client,) = streams.clients
    return streams, client, wire


async def test_waking_for_nothing(start_turn: StartTurn, monkeypatch: pytest.MonkeyPatch) -> None:
    """A frame that the kernel has no room for is sent when there is some."""
    _, client, wire = await one_client(start_turn)
    client._on_event(None, IOLoop.READ)
    full = iter([BlockingIOError()])

    def write_to_fd(stream: IOStream, data: memoryview) -> int:
        for error in full:
            raise error
        return stream.socket.send(data)

    monkeypatch.setattr(IOStream, "write_to_fd", write_to_fd)
    assert client.write(BINDING)
    assert await wire.receive() == BINDING
    assert not client._blocked


async def test_what_was_to_be_done_is_left_when_the_stream_is_closed(
    start_turn: StartTurn,
) -> None:
    streams, client, wire = await one_client(start_turn)
    assert client.write(BINDING)
    streams.close()
    client._read_returned()
    assert await ended(wire) == b""
    assert not client.write(BINDING)
    assert not streams.clients
