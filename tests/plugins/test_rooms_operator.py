"""What operators see of rooms, over the socket of a real server, and how they end them."""

import asyncio
import json
from typing import Any

from tests.commandline import run
from tests.plugins.rooms.conftest import site
from tests.plugins.rooms.site import PluginSite

__all__ = ["site"]

FILE = "open\nsmall max_peers=1\n"


async def test_operator_sees_and_ends_rooms(site: PluginSite) -> None:
    sections = "[rooms]\nfile = rooms\nmax_peers = 9\nadhoc_passwords = yes\n"
    server = await site.start(sections, socket="admin.sock", rooms=FILE)
    await site.join("ann", "small")
    clients = [await site.join(peer, "a/b %", password="x") for peer in ("ann", "ben")]
    other = await site.join("ben", "blue")

    def operate(*arguments: str) -> Any:
        result = run(*arguments, "--conf", site.conf, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    shown = (await asyncio.to_thread(operate, "status", "rooms"))["rooms"]
    assert all(0 <= room.pop("occupied_s") < 600 for room in shown)
    assert shown == [
        {"id": "small", "peers": 1, "max_peers": 1, "locked": False, "listed": True},
        {"id": "a/b %", "peers": 2, "max_peers": 9, "locked": True, "listed": False},
        {"id": "blue", "peers": 1, "max_peers": 9, "locked": False, "listed": False},
    ]
    entry = await asyncio.to_thread(operate, "status", "rooms", "a/b %")
    assert entry["peers"] == 2
    whole = await asyncio.to_thread(operate, "status")
    assert whole["counters"]["rooms"] == {"joined": 4}
    ending = ("kick", "a/b %", "--of", "rooms", "--reason", "over for today")
    await asyncio.to_thread(operate, *ending)
    for client in clients:
        closed = await client.read_until_closed()
        assert (closed.code, closed.reason) == (4403, "over for today")
    assert await other.settled() == []
    rooms_left = server.collections["rooms"]
    assert (len(rooms_left), rooms_left.get("a/b %")) == (2, None)
    assert rooms_left.end is not None
    assert not rooms_left.end("a/b %", "")


async def test_operator_sees_listed_rooms_that_are_empty(site: PluginSite) -> None:
    server = await site.start("[rooms]\nfile = rooms\n", rooms=FILE)
    rooms = server.collections["rooms"]
    shown = {"id": "small", "peers": 0, "max_peers": 1, "locked": False, "listed": True}
    assert rooms.get("small") == {**shown, "occupied_s": None}
    assert rooms.get("elsewhere") is None
    assert (len(rooms), list(rooms.entries())) == (0, [])
    assert rooms.end is not None
    assert not rooms.end("small", "")
