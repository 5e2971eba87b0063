"""Streams that never had an allocation get little: of memory, of time, of anything."""

import asyncio

import pytest
from tornado.iostream import IOStream

from tests.conftest import ExpectLog
from tests.plugins.turn.client import BINDING, CHANNEL, TurnClient, code, ended
from tests.plugins.turn.site import LOOPBACK, Manual, Recorder, StartTurn, TurnSite
from tests.wire import until
from tornado_webrtc.plugins.turn import stranger
from tornado_webrtc.plugins.turn.stranger import (
    MAX_STRANGERS,
    MAX_STRANGERS_PER_CLIENT,
    Strangers,
)
from tornado_webrtc.plugins.turn.stream import ANSWER_BYTES, Client
from tornado_webrtc.stun import channeldata
from tornado_webrtc.stun.message import Method
from tornado_webrtc.turn.server import MAX_STRANGER_BYTES


def strangers(site: TurnSite) -> Strangers:
    streams = site.plugin._streams
    assert streams is not None
    return streams.strangers


def only_client(site: TurnSite) -> Client:
    (client,) = site.driver._streams.values()
    return client


# --- how many -----------------------------------------------------------------


def test_each_prefix_has_its_own() -> None:
    counted = Strangers()
    for _ in range(MAX_STRANGERS_PER_CLIENT):
        assert counted.has_room("192.0.2.1")
        counted.add("192.0.2.1")
    assert not counted.has_room("192.0.2.1")
    assert counted.has_room("192.0.2.2")
    counted.remove("192.0.2.1")
    assert counted.has_room("192.0.2.1")


def test_all_together() -> None:
    counted = Strangers()
    for number in range(MAX_STRANGERS):
        assert counted.has_room(str(number))
        counted.add(str(number))
    assert not counted.has_room("another")
    counted.remove("0")
    assert counted.has_room("another")


def test_nothing_is_kept_of_who_has_left() -> None:
    counted = Strangers()
    for _ in range(3):
        counted.add("192.0.2.1")
    for left in (2, 1, 0):
        counted.remove("192.0.2.1")
        assert len(counted) == left
    assert not counted._by_prefix


async def test_newest_is_refused(
    start_turn: StartTurn,
    monkeypatch: pytest.MonkeyPatch,
    expect_log: ExpectLog,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One with an allocation counts no more, until its allocation ends before it does."""
    monkeypatch.setattr(stranger, "MAX_STRANGERS_PER_CLIENT", 2)
    expect_log("too many without an allocation are open")
    time = Manual()
    site = await start_turn(clock=time.clock)
    (alice, bob) = (await site.tcp("alice"), await site.tcp("bob"))

    async def is_refused(host: str = "127.0.0.1") -> bool:
        wire = await site.connect(host)
        wire.send(BINDING)
        answer = await wire.reader.read(100)
        wire.close()
        await until(lambda: len(site.driver._streams) == 2)
        return not answer

    for client in (alice, bob):
        await client.request(Method.BINDING)
    assert [await is_refused() for _ in range(3)] == [True] * 3
    assert not await is_refused("127.0.0.2")
    await alice.allocate()
    assert not await is_refused()
    assert await alice.refresh(0) == 0
    assert await is_refused()
    assert site.plugin.counters()["dropped-too-many-streams"] == 4
    assert caplog.text.count("(1 refusals") == 1
    time.advance(60)
    assert await is_refused()
    assert caplog.text.count("(4 refusals") == 1
    for client in (alice, bob):
        client.wire.close()
    await until(lambda: len(strangers(site)) == 0)


# --- long frames --------------------------------------------------------------


@pytest.mark.parametrize(
    "beginning",
    [
        (1).to_bytes(2) + (MAX_STRANGER_BYTES - 16).to_bytes(2),  # STUN
        BINDING + b"\x40\0" + (MAX_STRANGER_BYTES - 3).to_bytes(2),  # ChannelData
    ],
)
async def test_long_frame_ends_the_stream(start_turn: StartTurn, beginning: bytes) -> None:
    """As soon as its length is there: nothing of it is kept."""
    site = await start_turn()
    wire = await site.connect()
    wire.send(beginning)
    await ended(wire)
    await until(lambda: not site.driver._streams)


async def test_frames_may_be_long_once_there_was_an_allocation(start_turn: StartTurn) -> None:
    site = await start_turn(allow_peers=LOOPBACK)
    client, peer = await site.tcp(), site.peer()
    await client.allocate()
    assert await client.bind(peer.address) == 0
    client.send_channel(bytes(60000))
    assert len(await peer.data()) == 60000
    assert await client.refresh(0) == 0
    client.send_channel(bytes(60000))
    assert code(await client.request(Method.BINDING)) == 0


# --- ChannelData --------------------------------------------------------------


async def test_channel_data_ends_the_stream(start_turn: StartTurn) -> None:
    """No client sends any before it has an allocation; what comes behind it is not looked at."""
    site = await start_turn()
    wire = await site.connect()
    wire.send(BINDING + channeldata.encode(CHANNEL, b"", pad=True) * 1000)
    await ended(wire)
    await until(lambda: not site.driver._streams)
    counters = site.plugin.counters()
    assert counters["dropped-channel-data-without-allocation"] == 1
    assert counters["binding"] == 1


async def test_channel_data_after_the_allocation_is_dropped(start_turn: StartTurn) -> None:
    """It may have been on its way when the allocation expired."""
    time, recorder = Manual(), Recorder()
    site = await start_turn(recorder, clock=time.clock, allow_peers=LOOPBACK)
    client, peer = await site.tcp(), site.peer()
    await client.allocate()
    assert await client.bind(peer.address) == 0
    time.advance(601)
    for _ in range(2):
        client.send_channel(b"too late")
    assert code(await client.request(Method.BINDING)) == 0
    assert recorder.names == ["created", "permitted", "bound", "deleted"]
    assert site.plugin.counters()["dropped-channel-data-without-allocation"] == 2
    assert peer.is_empty()


# --- answers ------------------------------------------------------------------


async def test_answers_that_nobody_reads(
    start_turn: StartTurn, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = await start_turn()
    wire = await site.connect()
    wire.send(BINDING)
    size = len(await wire.receive())
    client = only_client(site)
    waited = []

    def write_to_fd(_: IOStream, data: memoryview) -> int:
        waited.append(len(data))
        raise BlockingIOError

    monkeypatch.setattr(IOStream, "write_to_fd", write_to_fd)
    for _ in range(ANSWER_BYTES // size):
        client.answer(bytes(size))
    await asyncio.sleep(0)
    assert not client._stream.closed()
    wire.send(BINDING)
    assert await ended(wire) == b""
    assert max(waited) <= ANSWER_BYTES


# --- one by one ---------------------------------------------------------------


async def test_one_frame_at_a_time(start_turn: StartTurn) -> None:
    """Whatever it says costs more than relaying: others are served in between."""
    site = await start_turn()
    wire = await site.connect()
    wire.send(BINDING)
    await wire.receive()
    client, sizes = only_client(site), list[int]()
    receive = client._receive

    def record(*arguments: object) -> None:
        _, frames = arguments
        sizes.append(len(frames))  # type: ignore[arg-type]
        receive(*arguments)  # type: ignore[arg-type]

    client._receive = record  # type: ignore[assignment]
    wire.send(BINDING * 20)
    for _ in range(20):
        await wire.receive()
    assert sizes == [1] * 20
    known = TurnClient(wire, *site.credential("alice"))
    await known.allocate()
    del sizes[:]
    wire.send(BINDING * 20)
    for _ in range(20):
        await wire.receive()
    assert sizes == [20]
