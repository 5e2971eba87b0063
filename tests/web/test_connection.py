"""One connection over a real socket: liveness, limits, what a slow or silent client gets."""

import asyncio
import itertools
import json
from dataclasses import replace

from tests.web.conftest import Serve
from tests.wire import (
    PING,
    PONG,
    TEXT,
    WireClient,
    encode_frame,
)
from tornado_webrtc.signaling import Peer
from tornado_webrtc.web.connection import Handshake

DEADLINE_S = 20.0


async def test_heartbeat_comes_unasked_and_needs_no_reply(serve: Serve) -> None:
    server = await serve(signaling={"heartbeat_s": 0.05, "ping_s": 0})
    async with await WireClient.connect(server.port) as client:
        assert [await client.read_frame() for _ in range(3)] == [(TEXT, b"{}")] * 3


async def test_ping_is_answered_and_asked(serve: Serve) -> None:
    server = await serve(signaling={"heartbeat_s": 0, "ping_s": 0.2})
    async with await WireClient.connect(server.port) as client:
        await client.send_raw(encode_frame(PING, b"here?"))
        frames = [await client.read_frame(), await client.read_frame()]
        assert (PONG, b"here?") in frames
        assert PING in {opcode for opcode, _ in frames}


async def test_client_that_answers_no_ping_is_dropped(serve: Serve) -> None:
    server = await serve(signaling={"heartbeat_s": 0, "ping_s": 0.5})
    seen: list[set[str]] = []
    async with await WireClient.connect(server.port) as alive:
        await alive.register("alive")

        async def listen() -> None:
            """Answer pings on the way."""
            while seen[-2:] != [{"alive", "silent"}, {"alive"}]:
                seen.append({peer["id"] for peer in await alive.read_type("peers")})

        listening = asyncio.create_task(listen())
        async with await WireClient.connect(server.port) as silent:
            await silent.send("new", {"id": "silent"})
            await silent.read_unanswered()
        await listening


async def test_half_a_frame_then_silence_is_dropped(serve: Serve) -> None:
    server = await serve(signaling={"heartbeat_s": 0, "ping_s": 0.1})
    async with await WireClient.connect(server.port) as client:
        await client.send_raw(encode_frame(TEXT, b'{"type":"new"}')[:7])
        await client.read_unanswered()


async def test_no_hello_in_time(serve: Serve) -> None:
    server = await serve(signaling={"hello_timeout_s": 2})
    async with (
        await WireClient.connect(server.port) as registered,
        await WireClient.connect(server.port) as idle,
    ):
        await registered.register("registered")
        assert (await idle.read_until_closed()).code == 4408
        assert await registered.settled() == []


async def test_peer_that_left_is_not_closed_for_want_of_a_hello(serve: Serve) -> None:
    server = await serve(signaling={"hello_timeout_s": 2, "heartbeat_s": 0.2})
    async with await WireClient.connect(server.port) as client:
        await client.register("1")
        await client.send("leave", None)
        heartbeats = 0
        while heartbeats < 15:
            heartbeats += await client.read_text() == "{}"
        assert await client.settled() == []


async def test_above_the_rate_reading_pauses_and_nothing_is_lost(serve: Serve) -> None:
    server = await serve(signaling={"messages_per_s": 200, "hello_timeout_s": 0})
    async with await WireClient.connect(server.port) as client:
        frames = [json.dumps({"type": "keepalive", "data": {"n": n}}) for n in range(1100)]
        wire = b"".join(encode_frame(TEXT, frame.encode()) for frame in frames)
        sending = asyncio.ensure_future(client.send_raw(wire))
        echoed: list[str] = []
        while len(echoed) < len(frames):
            text = await client.read_text()
            echoed += [text] if text != "{}" else []
        await sending
        assert echoed == frames


async def test_reader_that_never_reads_is_told_and_dropped(serve: Serve) -> None:
    server = await serve(signaling={"send_queue_bytes": 100_000, "messages_per_s": 0})
    async with (
        await WireClient.connect(server.port) as sleeper,
        await WireClient.connect(server.port) as ann,
    ):
        await sleeper.register("sleeper")
        await ann.register("ann")
        filler = "x" * 50_000
        while len(server.hub) > 1:
            await ann.send("candidate", {"to": "sleeper", "session_id": "s", "filler": filler})
            await ann.settled()
        assert server.hub.counters["closed.too-slow"] == 1
        assert [peer.id for peer in server.hub.peers()] == ["ann"]
        closed = await sleeper.read_until_closed()
        assert closed.code in {None, 4008}


class StuckTransport:
    """The way to somebody who never reads: what is written never leaves."""

    def __init__(self) -> None:
        self.closed_with: int | None = None

    def write(self, frame: bytes) -> asyncio.Future[None]:
        return asyncio.get_running_loop().create_future()

    def ping(self) -> None:
        return

    def close(self, code: int, reason: str) -> None:
        self.closed_with = code

    def abort(self) -> None:
        return


async def test_readers_too_slow_all_at_once_do_not_set_each_other_off(serve: Serve) -> None:
    """Each has a call with the next one, and for each of them any frame is one too many."""
    server = await serve(start=False)
    hub, count = server.hub, 300
    transports = [StuckTransport() for _ in range(count)]
    connections = [hub.open(each, Handshake(remote_ip="127.0.0.1")) for each in transports]
    peers = [
        Peer(str(number), "", "", "", connection.address)
        for number, connection in enumerate(connections)
    ]
    for peer in peers:
        hub.signaling.join(peer)
    for one, other in itertools.pairwise(peers):
        hub.signaling.sessions.offer(f"{one.id}-{other.id}", one, other, 0.0)
    for connection in connections:
        connection.send(b"in flight")
        connection.send(b"x" * hub.limits.send_queue_bytes)
    connections[0].send(b"one too many")
    async with asyncio.timeout(DEADLINE_S):
        while hub.signaling.peer_count:  # noqa: ASYNC110
            await asyncio.sleep(0)
    assert {each.closed_with for each in transports} == {4008}
    assert hub.counters["closed.too-slow"] == count
    assert len(hub.signaling.sessions) == 0
    hub.stop()
    for connection in connections:
        connection.closed()


async def test_rate_is_lifted_under_a_client_that_is_above_it(serve: Serve) -> None:
    server = await serve(signaling={"messages_per_s": 10, "heartbeat_s": 0})
    async with await WireClient.connect(server.port) as client:
        frame = encode_frame(TEXT, b'{"type":"keepalive"}')
        await client.send_raw(frame * 600)
        for _ in range(55):  # more than come through at once
            await client.read_text()
        server.hub.set_limits(replace(server.hub.limits, messages_per_s=0))
        async with asyncio.timeout(DEADLINE_S):
            for _ in range(600 - 55):
                await client.read_text()


async def test_intervals_change_for_everybody_but_not_at_one_moment(serve: Serve) -> None:
    server = await serve(signaling={"heartbeat_s": 3600, "ping_s": 0})
    async with await WireClient.connect(server.port) as client:
        await client.register("1")
        (connection,) = server.hub._connections.values()
        loop = asyncio.get_running_loop()
        connection._again("heartbeat", 900, connection._heartbeat)
        server.hub.set_limits(replace(server.hub.limits, heartbeat_s=400))
        left_s = connection._timers["heartbeat"].when() - loop.time()
        assert 90 < left_s <= 100
        server.hub.set_limits(replace(server.hub.limits, heartbeat_s=0))
        assert "heartbeat" not in connection._timers


async def test_connection_that_closes_takes_no_new_limits(serve: Serve) -> None:
    server = await serve()
    async with await WireClient.connect(server.port) as client:
        await client.register("1")
        (connection,) = server.hub._connections.values()
        connection.close(1001, "a test")
        server.hub.set_limits(replace(server.hub.limits, heartbeat_s=1, hello_timeout_s=1))
        assert set(connection._timers) <= {"closing"}
