"""Servers with shipped plugins, made from a file as an operator writes it, and their clients."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.wire import DEADLINE_S, WireClient
from tornado_webrtc.reload import ReloadReport
from tornado_webrtc.server import Server, load

BASIS = """
[general]
bind = 127.0.0.1,
port = 0
state_dir = state
[admin]
socket = {socket}
[plugins]
disabled = turn, logging_console
"""


class PluginSite:
    """A folder with a configuration, the server that runs with it, and its clients.

    Attributes:
        folder: Where the configuration is.
        conf: The configuration.
        server: The server, once it is started.
    """

    server: Server

    def __init__(self, folder: Path, stack: AsyncExitStack) -> None:
        self.folder = folder
        self.conf = folder / "server.ini"
        self._stack = stack
        self._socket = ""

    def write(self, sections: str, **files: str) -> None:
        """Write the configuration, and files beside it that only their owner can read."""
        self.conf.write_text(BASIS.format(socket=self._socket) + sections)
        for name, text in files.items():
            (self.folder / name).write_text(text)
            (self.folder / name).chmod(0o600)

    async def start(self, sections: str, *, socket: str = "", **files: str) -> Server:
        """Start a server; the end of the test stops it."""
        self._socket = socket
        self.write(sections, **files)
        self.server = Server(*load(self.conf))
        self._stack.push_async_callback(self.server.stop)
        await self.server.start()
        return self.server

    async def reload(self, sections: str, **files: str) -> ReloadReport:
        """Change configuration and files, and let the server read them again."""
        self.write(sections, **files)
        return await self.server.reload()

    async def connect(self, room: str | None = None) -> WireClient:
        """A WebSocket; a room stands in its URL, as legacy clients do it."""
        path = "/ws" if room is None else f"/ws?room={quote(room, safe='')}"
        client = await WireClient.connect(self.server.port, path=path)
        return await self._stack.enter_async_context(client)

    async def join(self, peer_id: str, room: str | None = None, **fields: Any) -> WireClient:
        """Somebody who has signed in, with the room in `new`."""
        client = await self.connect()
        await client.register(peer_id, **_given(room, fields))
        return client

    async def refused(self, peer_id: str, room: str | None = None, **fields: Any) -> str:
        """Sign in in vain: the error's code, after the close code and the reason were checked."""
        client = await self.connect()
        return await refused(client, peer_id, room, **fields)

    def counters(self, plugin: str) -> dict[str, int]:
        """What a plugin has counted."""
        counted: dict[str, dict[str, int]] = dict(self.server.hooks.collect("counters"))
        return counted.get(plugin, {})


def _given(room: str | None, fields: dict[str, Any]) -> dict[str, Any]:
    return fields if room is None else {"room": room, **fields}


async def refused(client: WireClient, peer_id: str, room: str | None = None, **fields: Any) -> str:
    """As `PluginSite.refused`, for a client that is connected."""
    error = await refusal(client, peer_id, room, **fields)
    code = error["code"]
    assert isinstance(code, str)
    return code


async def refusal(
    client: WireClient, peer_id: str, room: str | None = None, **fields: Any
) -> dict[str, Any]:
    """The `error` that answers a `new`; the connection is closed behind it."""
    await client.send("new", {"id": peer_id, **_given(room, fields)})
    message = await client.read()
    assert (message["type"], message["data"]["request"]) == ("error", "new")
    closed = await client.read_until_closed()
    error: dict[str, Any] = message["data"]
    assert closed.code == 4403
    assert error["reason"].encode().startswith(closed.reason.encode())
    return error


async def seen(client: WireClient, *ids: str) -> None:
    """Wait until a client's list of peers has exactly these, in any order."""
    async with asyncio.timeout(DEADLINE_S):
        while {peer["id"] for peer in await client.read_type("peers")} != {*ids}:
            pass
