"""The guide's third example in a real server: seen, ended, limited, waited for."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.wire import WireClient, until
from tornado_webrtc.admin.view import status
from tornado_webrtc.server import Server, ServerState, load

EXAMPLE = Path(__file__).resolve().parents[3] / "docs" / "examples" / "games.py"

CONF = """
[general]
bind = 127.0.0.1,
port = 0
[admin]
socket =
[plugins]
path = plugins
disabled = turn, logging_console
[games]
limit = {limit}
"""


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    (tmp_path / "plugins").mkdir()
    shutil.copy(EXAMPLE, tmp_path / "plugins")
    (tmp_path / "server.ini").write_text(CONF.format(limit=1))
    made = Server(*load(tmp_path / "server.ini"))
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def ann(server: Server) -> AsyncIterator[WireClient]:
    async with await WireClient.connect(server.port) as client:
        await client.register("ann")
        yield client


@pytest.fixture
async def bob(server: Server) -> AsyncIterator[WireClient]:
    async with await WireClient.connect(server.port) as client:
        await client.register("bob")
        yield client


async def play(client: WireClient, on: object = True) -> Any:
    await client.send("game", {"on": on})
    while (message := await client.read())["type"] not in {"game", "error"}:
        pass
    return message["data"].get("code", message["data"])


async def test_games_are_seen_counted_and_ended(server: Server, ann: WireClient) -> None:
    assert await play(ann) == {"on": True}
    assert await play(ann) == {"on": True}
    games = server.collections["games"]
    shown = {"id": "1", "player": "ann", "remote_ip": "127.0.0.1", "user": None}
    assert (len(games), list(games.entries()), games.get("1")) == (1, [shown], shown)
    assert status(server, 0.0)["counters"]["games"] == {"begun": 1}
    assert games.end is not None
    assert (games.end("1", "enough"), games.end("1", "enough")) == (True, False)
    assert (len(games), games.get("1")) == (0, None)


async def test_game_ends_with_its_player(server: Server, ann: WireClient) -> None:
    await play(ann)
    assert await play(ann, False) == {"on": False}
    assert len(server.collections["games"]) == 0
    await play(ann)
    await ann.drop()
    await until(lambda: len(server.collections["games"]) == 0)


async def test_bad_data(ann: WireClient) -> None:
    assert await play(ann, 1) == "bad-message"


async def test_limit_is_live(server: Server, ann: WireClient, bob: WireClient) -> None:
    await play(ann)
    assert await play(bob) == "too-many-games"
    path = server.config.path
    assert path is not None
    path.write_text(CONF.format(limit=2))
    report = await server.reload()
    assert (report.applied, report.needs_restart) == (("games.limit",), ())
    assert await play(bob) == {"on": True}


async def test_drain_waits_for_games(server: Server, ann: WireClient, bob: WireClient) -> None:
    await play(ann)
    draining = asyncio.create_task(server.drain(600))
    await until(lambda: server.state is ServerState.DRAINING)
    assert await play(bob) == "too-many-games"
    assert not draining.done()
    await play(ann, False)
    await draining


async def test_ban_ends_the_game(server: Server, ann: WireClient) -> None:
    await play(ann)
    _, ended = server.ban("ip", "127.0.0.1", seconds=60)
    assert ended["connections"] == 1
    assert len(server.collections["games"]) == 0
