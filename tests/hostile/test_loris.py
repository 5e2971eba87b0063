"""Connections that say a byte now and then, to be kept for ever: each ends by its time limit."""

import asyncio
import contextlib
import itertools
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest

from tests.hostile.conftest import Figures, Install
from tests.hostile.mute import text_frame
from tests.hostile.operated import HOST, OperatedSite
from tests.hostile.relayed import all_undisturbed
from tests.hostile.shortlimits import short_limits
from tests.hostile.site import until
from tests.wire import upgrade_request

DRIP_S = 0.25
REQUEST = b"GET /style.css HTTP/1.1\r\nHost: x\r\n\r\n"
ALL_REQUESTS = REQUEST * 3000
CROWD = 40
LONG_CROWD = 300
GREEDY = 12
TURN_CROWD = 50
"""At most 64 TURN streams of one address may be without an allocation."""

GROWTH_BYTES = 16 << 20
ROUNDS = 2
MAX_LATE_S = 20.0

LIMIT_S = 4.0
SHORT = {"signaling.ping_s": "2", "signaling.hello_timeout_s": "4"}

Opened = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Open = Callable[[OperatedSite, int], Coroutine[Any, Any, Opened]]


async def plain(site: OperatedSite, _number: int) -> Opened:
    return await asyncio.open_connection(HOST, site.port)


async def secure(site: OperatedSite, _number: int) -> Opened:
    return await site.open_stream(tls=site.tls)


async def turn(site: OperatedSite, _number: int) -> Opened:
    host = f"127.0.1.{1 + next(_numbers) // TURN_CROWD % 250}"
    return await asyncio.open_connection(*site.turn_tcp, local_addr=(host, 0))


def hello() -> bytes:
    return text_frame({"type": "new", "data": {"id": f"loris-{next(_numbers)}", "name": ""}})


_numbers = itertools.count()
FRAME_HEAD = struct.pack("!BBH4x", 0x81, 0x80 | 126, 60_000)
STUN_HEAD = struct.pack("!HHI12x", 0x0003, 1000, 0x2112A442)
CLIENT_HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"

KINDS: dict[str, tuple[Open, Callable[[], bytes], bytes]] = {
    # how it is opened, what is said at once, what is dripped
    "handshake": (plain, lambda: b"\x16", CLIENT_HELLO[1:] + bytes(500)),
    "silence": (plain, lambda: b"", b""),
    "request line": (secure, lambda: b"GET /", b"x" * 500),
    "headers": (secure, lambda: b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ", b"x" * 500),
    "kept alive": (secure, lambda: b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", b""),
    "body": (
        secure,
        lambda: b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n",
        b"x" * 500,
    ),
    "frame before new": (secure, upgrade_request, FRAME_HEAD + bytes(500)),
    "frame after new": (secure, lambda: upgrade_request() + hello(), FRAME_HEAD + bytes(500)),
    "TURN message": (turn, lambda: b"\x00", STUN_HEAD[1:] + bytes(500)),
    "TURN silence after a byte": (turn, lambda: b"\x00", b""),
}


async def drip(site: OperatedSite, opened: Opened, at_once: bytes, slowly: bytes) -> float:
    """Say something a byte at a time until the server ends the connection; returns the seconds."""
    reader, writer = opened
    began = time.monotonic()

    async def say() -> None:
        for byte in slowly:
            writer.write(bytes([byte]))
            await asyncio.sleep(DRIP_S)

    writer.write(at_once)
    saying = asyncio.create_task(say())
    try:
        while await reader.read(65536):
            pass
    except OSError:
        pass
    saying.cancel()
    await asyncio.gather(saying, return_exceptions=True)
    writer.transport.abort()
    return time.monotonic() - began


async def crowd(
    site: OperatedSite, count: int, limit_s: float
) -> AsyncIterator[tuple[str, float, float]]:
    """Let many of each kind drip; yields each kind, and how long the first and last lasted."""
    dripping: dict[str, list[asyncio.Task[float]]] = {}
    for kind, (open_stream, at_once, slowly) in KINDS.items():
        if kind == "handshake" and not site.tls:
            continue
        opened = await asyncio.gather(*(open_stream(site, number) for number in range(count)))
        dripping[kind] = [
            asyncio.create_task(drip(site, each, at_once(), slowly)) for each in opened
        ]
    try:
        async with asyncio.timeout(limit_s):
            for kind, tasks in dripping.items():
                lasted = await asyncio.gather(*tasks)
                yield kind, min(lasted), max(lasted)
    finally:
        left = [task for tasks in dripping.values() for task in tasks if not task.done()]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)


async def attack(site: OperatedSite, figures: Figures, count: int, limit_s: float) -> None:
    """Hold hundreds of connections as long as the server lets one, twice.

    What the first round took, the second one uses again: more than that would be a leak.
    """
    async with all_undisturbed(site) as call:
        await until(lambda: all(each.received for each in call.people), "they hear each other")
        files, memory = site.open_files(), [site.memory_bytes()]
        for _ in range(ROUNDS):
            async for kind, first_s, last_s in crowd(site, count, limit_s + MAX_LATE_S):
                figures(**{f"{kind} lasted": f"{first_s:.1f} to {last_s:.1f} s"})
                assert (await site.get("/healthz"))[0] == 200
            await until(lambda: site.open_files() <= files, "the server's files are closed again")
            await site.until_tables(arrivals=0, connections=4, turn_streams=2, turn_strangers=0)
            memory.append(site.memory_bytes())
        grown = [each - memory[0] for each in memory[1:]]
        figures(grown_mb=[round(each / 1e6, 1) for each in grown])
        assert grown[-1] - grown[0] < GROWTH_BYTES


async def test_each_slow_connection_ends_by_its_limit(install: Install, figures: Figures) -> None:
    """Four hundred of ten kinds at once."""
    installation = install(SHORT, tls=True, plugins={"short_limits": short_limits(LIMIT_S)})
    with installation.run() as site:
        await attack(site, figures, CROWD, LIMIT_S)
        await site.until_tables(open_connections=1, living_Client=0, turn_deadlines=0)


async def greedy(site: OperatedSite) -> socket.socket:
    """Connect with as little room for answers as the system allows."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, (HOST, site.port))
    return sock


async def ask(sock: socket.socket) -> None:
    """Ask for more than the kernel holds, and take nothing of it."""
    with contextlib.suppress(OSError, TimeoutError):
        await asyncio.wait_for(asyncio.get_running_loop().sock_sendall(sock, ALL_REQUESTS), 1)


async def test_answers_that_nobody_takes(install: Install, figures: Figures) -> None:
    """Each holds a socket and an open file until it ends."""
    plugins = {"short_limits": short_limits(LIMIT_S)}
    installation = install({"signaling.ping_s": "0"}, plugins=plugins)
    with installation.run() as site:
        async with all_undisturbed(site):
            files, memory = site.open_files(), site.memory_bytes()
            began = time.monotonic()
            socks = [await greedy(site) for _ in range(GREEDY)]
            await until(lambda: site.open_files() >= files + GREEDY, "they are let in")
            await asyncio.gather(*map(ask, socks))
            await until(lambda: site.open_files() <= files, "the server's files are closed again")
            grown_mb = (site.memory_bytes() - memory) / 1e6
            figures(lasted_s=time.monotonic() - began, grown_mb=grown_mb)
            for sock in socks:
                sock.close()
        await site.until_tables(open_connections=1)


@pytest.mark.long
@pytest.mark.timeout(400)
@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("event_loop", ["asyncio", "uvloop"])
async def test_limits_as_they_come(
    install: Install, figures: Figures, tls: bool, event_loop: str
) -> None:
    """Thousands, with the limits that operators have: the longest is a minute."""
    with install({"general.event_loop": event_loop}, tls=tls).run() as site:
        await attack(site, figures, LONG_CROWD, 60.0)
