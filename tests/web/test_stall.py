"""A client that does not take its answer is not waited for without end."""

import asyncio
import socket

import pytest
from tornado.iostream import IOStream

from tests.web.conftest import Serve, serve
from tests.wire import WireClient, until
from tornado_webrtc.web import stall
from tornado_webrtc.web.stall import STALL_S, StallWatch

__all__ = ["serve"]

REQUEST = b"GET /style.css HTTP/1.1\r\nHost: x\r\n\r\n"
MEGABYTES = bytes(16 << 20)


@pytest.fixture
def ends() -> tuple[IOStream, socket.socket]:
    here, there = socket.socketpair()
    there.setblocking(False)
    return IOStream(here), there


async def test_stream_that_does_not_move_is_closed(ends: tuple[IOStream, socket.socket]) -> None:
    stream, client = ends
    watch = StallWatch(lambda: [stream])
    writing = asyncio.ensure_future(stream.write(MEGABYTES))
    for now in (0.0, STALL_S - 1):
        watch.check(now)
        assert not stream.closed()
    watch.check(STALL_S)
    assert stream.closed()
    await asyncio.gather(writing, return_exceptions=True)
    client.close()


async def test_stream_that_moves_is_left_alone(ends: tuple[IOStream, socket.socket]) -> None:
    stream, client = ends
    watch = StallWatch(lambda: [stream])
    writing = asyncio.ensure_future(stream.write(MEGABYTES))
    for number in range(3):
        watch.check(number * STALL_S)
        before = stream._total_write_done_index
        client.recv(1 << 20)
        await until(lambda: stream._total_write_done_index > before)  # noqa: B023
    assert not stream.closed()
    stream.close()
    watch.check(9 * STALL_S)
    await asyncio.gather(writing, return_exceptions=True)
    client.close()


async def test_stream_with_nothing_to_write_may_rest(
    ends: tuple[IOStream, socket.socket],
) -> None:
    stream, client = ends
    watch = StallWatch(lambda: [stream])
    for now in (0.0, STALL_S, 2 * STALL_S):
        watch.check(now)
    assert not stream.closed()
    stream.close()
    client.close()


async def test_server_ends_clients_that_do_not_read(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stall, "STALL_S", 0.2)
    monkeypatch.setattr(stall, "CHECK_S", 0.05)
    server = await serve(signaling={"ping_s": 0})
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        client.setblocking(False)
        await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", server.port))
        asking = asyncio.create_task(
            asyncio.get_running_loop().sock_sendall(client, REQUEST * 3000)
        )
        async with await WireClient.connect(server.port) as idle:
            await idle.register("idle")
            await until(lambda: server.listener.counters.claimed == 2)
            await until(lambda: server.listener.open_connections == 1)
            await idle.settled()
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
