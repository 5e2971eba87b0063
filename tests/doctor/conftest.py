"""A server in this process, and the case of who examines it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol

import pytest

from tornado_webrtc.certificate import write_certificate
from tornado_webrtc.doctor.case import Case
from tornado_webrtc.doctor.examination import Check
from tornado_webrtc.doctor.target import Target
from tornado_webrtc.finding import Finding
from tornado_webrtc.server import Server, load

HOST = "127.0.0.1"
TURN = f"bind = {HOST},\nport = 0\nport_tcp = 0\npublic_ip = {HOST},\n"


async def findings(check: Check, case: Case) -> list[Finding]:
    """What one check finds."""
    return [finding async for finding in check(case)]


class Serve(Protocol):
    """Starts a server; the keywords are more lines for sections, `tls` asks for HTTPS."""

    async def __call__(self, *, tls: bool = False, turn: str = "", more: str = "") -> Server: ...


@pytest.fixture
async def serve(tmp_path: Path) -> AsyncIterator[Serve]:
    servers: list[Server] = []

    async def start(*, tls: bool = False, turn: str = "", more: str = "") -> Server:
        folder = tmp_path / str(len(servers)) if servers else tmp_path
        folder.mkdir(exist_ok=True)
        conf = folder / "server.ini"
        general = f"[general]\nbind = {HOST},\nport = 0\n"
        if tls:
            write_certificate(folder / "cert.pem", folder / "key.pem", ["localhost", HOST])
            general += "cert = cert.pem\nkey = key.pem\n"
        conf.write_text(f"{general}[turn]\n{TURN}{turn}\n{more}")
        server = Server(*load(conf))
        await server.start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        await server.stop()


def case_of(server: Server, **more: Any) -> Case:
    """The case of somebody who was given the server's URL."""
    target = Target(server.scheme, "localhost", server.port, HOST, named=False)
    return Case(own=False, target=target, **more)


Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Answering = Callable[[Answer], Awaitable[int]]


@pytest.fixture
async def answering() -> AsyncIterator[Answering]:
    """Returns a function that opens a TCP port on which a test's own server answers."""
    servers: list[asyncio.Server] = []

    async def start(answer: Answer) -> int:
        server = await asyncio.start_server(answer, HOST, 0)
        servers.append(server)
        port: int = server.sockets[0].getsockname()[1]
        return port

    yield start
    for server in servers:
        server.close()
        await server.wait_closed()
