"""Servers with a socket for operators, and two ways to use it."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests.web.conftest import Serve, serve
from tornado_webrtc.admin.client import AdminClient
from tornado_webrtc.server import Server

__all__ = ["Operate", "Operated", "operate", "serve"]

SOCKET = Path("admin.sock")


@dataclass
class Operated:
    """A running server and its socket."""

    server: Server

    @property
    def path(self) -> Path:
        """The socket."""
        path = self.server.config.admin_socket
        assert path is not None
        return path

    async def raw(self, request: bytes) -> tuple[int, Mapping[str, str], bytes]:
        """Send bytes, and return status, headers and body of the answer."""
        reader, writer = await asyncio.open_unix_connection(str(self.path))
        try:
            writer.write(request)
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 15)
            status, *lines = head.decode().strip().split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in lines)
            length = int(headers.get("content-length", 0))
            return int(status.split()[1]), headers, await reader.readexactly(length)
        finally:
            writer.close()

    async def ask(
        self, method: str, path: str, body: object = None, *, content: bytes | None = None
    ) -> tuple[int, Any]:
        """Make a request, and return status and JSON of the answer."""
        if content is None:
            content = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(content)}\r\n\r\n"
        status, _, answer = await self.raw(head.encode() + content)
        return status, json.loads(answer) if answer else None

    async def client(self, method: str, *arguments: Any, **options: Any) -> Any:
        """Call a method of an `AdminClient`, which blocks, in a thread."""
        function = getattr(AdminClient(self.path), method)
        return await asyncio.to_thread(function, *arguments, **options)


class Operate(Protocol):
    """Starts a server with a socket; see `Serve`."""

    async def __call__(self, **options: Any) -> Operated: ...


@pytest.fixture
async def operate(serve: Serve) -> Operate:
    """Return a function that starts servers; see `Operate`."""

    async def start(**options: Any) -> Operated:
        return Operated(await serve(admin={"socket": SOCKET}, **options))

    return start
