"""my_plugin in a real server, asked by a real client: run ``pytest``."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tornado.websocket import WebSocketClientConnection, websocket_connect

from tornado_webrtc.server import Server, load

PLUGINS = Path(__file__).resolve().parents[1] / "plugins"

CONF = """
[general]
bind = 127.0.0.1,
port = 0
[admin]
socket =
[plugins]
path = "{plugins}",
disabled = turn,
required = my_plugin,
[my_plugin]
greeting = {greeting}
"""


def write_conf(folder: Path, greeting: str) -> Path:
    """Write a configuration that runs the plugin, on any free port."""
    path = folder / "server.ini"
    path.write_text(CONF.format(plugins=PLUGINS, greeting=greeting), encoding="utf-8")
    return path


@asynccontextmanager
async def serving(conf: Path) -> AsyncIterator[Server]:
    """Serve for as long as the block takes."""
    server = Server(*load(conf))
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


@asynccontextmanager
async def peer(server: Server, peer_id: str) -> AsyncIterator[WebSocketClientConnection]:
    """A client that has signed in."""
    client = await websocket_connect(f"ws://127.0.0.1:{server.port}/ws")
    try:
        hello = {"id": peer_id, "name": peer_id.title(), "user_agent": "test"}
        await client.write_message(json.dumps({"type": "new", "data": hello}))
        yield client
    finally:
        client.close()


async def ask(client: WebSocketClientConnection, data: object) -> object:
    """Send a message of the plugin's type; the data of the answer, or the code of an error."""
    await client.write_message(json.dumps({"type": "my_plugin", "data": data}))
    while True:
        frame = await asyncio.wait_for(client.read_message(), 10)
        assert frame is not None, f"closed: {client.close_code} {client.close_reason}"
        message = json.loads(frame)
        if message.get("type") == "my_plugin":
            return message["data"]
        if message.get("type") == "error":
            return message["data"]["code"]


def test_peer_is_greeted(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving(write_conf(tmp_path, "Welcome")) as server, peer(server, "ann") as ann:
            assert await ask(ann, {}) == {"greeting": "Welcome, Ann!"}

    asyncio.run(scenario())


def test_nonsense_is_refused(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving(write_conf(tmp_path, "Hello")) as server, peer(server, "ann") as ann:
            assert await ask(ann, ["no object"]) == "bad-message"
            assert await ask(ann, {}) == {"greeting": "Hello, Ann!"}

    asyncio.run(scenario())


def test_reload_changes_the_greeting(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving(write_conf(tmp_path, "Hello")) as server, peer(server, "ann") as ann:
            assert await ask(ann, {}) == {"greeting": "Hello, Ann!"}
            write_conf(tmp_path, "Good evening")
            report = await server.reload()
            assert report.applied == ("my_plugin.greeting",)
            assert await ask(ann, {}) == {"greeting": "Good evening, Ann!"}

    asyncio.run(scenario())
